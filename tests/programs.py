"""Servers for tests: one in this process, and programs in others."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

REPOSITORY = Path(__file__).parents[1]
PATIENCE = 60  # seconds that something may take on a slow machine


def wait_for(condition: Callable[[], Any]) -> Any:
    """Call ``condition`` until it is true, and return what it returned."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise TimeoutError("waited in vain")


def get(url: str) -> str:
    """Return the body at ``url``."""
    with urlopen(url, timeout=PATIENCE) as response:
        return str(response.read().decode())


def url_in(text: str) -> str | None:
    """Return the URL that a server has announced, or None."""
    found = re.search(r"at (https?://\S+?:\d+)[ .]", text)
    return found and found[1]


class Program:
    """A program in another process, its output in a file."""

    def __init__(self, arguments: list[str], directory: Path, **environment: str) -> None:
        self._file = directory / "output.txt"
        with self._file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=directory,
                env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._file.read_text()

    @property
    def url(self) -> str:
        """The URL it has announced, once it has."""
        return str(self._wait_for(lambda: url_in(self.output)))

    def get(self, path: str = "/") -> str:
        """Return the body at a path of its server, as soon as it answers."""

        def answer() -> str | None:
            # A connection that is made in the moment of a reload is reset.
            try:
                return get(self.url + path)
            except (ConnectionError, URLError):
                return None

        return str(self._wait_for(answer))

    def page(self, path: str, **headers: str) -> str:
        """Return the body at a path of its server, also of an error."""
        try:
            with urlopen(Request(self.url + path, headers=headers), timeout=PATIENCE) as response:
                return str(response.read().decode())
        except HTTPError as error:
            return error.read().decode()

    def wait_for_output(self, text: str) -> None:
        """Wait until it has printed ``text``."""
        self._wait_for(lambda: text in self.output)

    def _wait_for(self, condition: Callable[[], Any]) -> Any:
        try:
            return wait_for(condition)
        except TimeoutError:
            raise TimeoutError(f"waited in vain; the program printed:\n{self.output}") from None

    def signal(self, number: int, *, group: bool = False) -> int:
        """Send a signal, to all processes as a terminal does or to the first; return the code."""
        send = os.killpg if group else os.kill
        send(self.process.pid, number)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it and its children, if it has not ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


Start = Callable[..., Program]
Meanwhile = Callable[[Callable[[], None], Callable[[str], Any]], list[Any]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start Python with these arguments in the test's directory."""
    programs: list[Program] = []

    def start(*arguments: str, **environment: str) -> Program:
        programs.append(Program(list(arguments), tmp_path, **environment))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()


@contextlib.contextmanager
def stderr_into(path: Path) -> Iterator[None]:
    """Write what goes to stderr to a file, which can be read meanwhile: of this process and others.

    What pytest captures cannot: reading that in another thread may lose what is written just then.
    """
    before = os.dup(2)
    with path.open("a", buffering=1) as file, contextlib.redirect_stderr(file):
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)


@pytest.fixture
def meanwhile(tmp_path_factory: pytest.TempPathFactory) -> Meanwhile:
    """Run a server in this process, and ``act(url)`` in a thread; then Ctrl-C.

    The result collects what ``act`` returned and what the server printed.
    """

    def meanwhile(run: Callable[[], None], act: Callable[[str], Any]) -> list[Any]:
        printed = tmp_path_factory.mktemp("printed") / "stderr.txt"
        results: list[Any] = []
        ended = threading.Event()

        def announced() -> str | None:
            return url_in(printed.read_text())

        def other_thread() -> None:
            try:
                results.append(act(wait_for(announced)))
            except Exception as error:
                results.append(error)
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGINT)

        with stderr_into(printed):
            thread = threading.Thread(target=other_thread)
            thread.start()
            try:
                run()
            finally:
                ended.set()
                thread.join()
        return [*results, printed.read_text()]

    return meanwhile
