"""Reloading: the program is run again, in a child process, whenever its files change.

The parent holds the listening socket and watches the files, and imports nothing of the
application. So a syntax error ends only the child, and while there is none, clients wait.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asyncflask.devserver.environment import without_dotenv

if TYPE_CHECKING:
    from watchfiles import Change

#: Seconds that a child gets to end before it is killed.
GRACE = 5
#: Whether a child can take over a socket of its parent's.
CAN_SHARE_SOCKETS = os.name == "posix"

_TICK = 100  # milliseconds between two looks at the child
_VARIABLE = "ASYNCFLASK_RELOAD_SOCKET"
_USAGE_ERROR = 2  # click's exit code for a mistake on the command line

# Taken out of the environment, lest a program that the application starts believes it is the child.
_inherited = os.environ.pop(_VARIABLE, None)


def is_running_from_reloader() -> bool:
    """Whether this process is the one that serves, started by the one that watches.

    Use it to do something once only, which the process that watches would do again::

        if not app.debug or is_running_from_reloader():
            start_scheduler()
    """
    return _inherited is not None


def inherited_socket() -> socket.socket | None:
    """Return the listening socket of the process that watches; ``None`` where there is none."""
    if not _inherited:
        return None
    inherited = socket.socket(fileno=int(_inherited))
    inherited.set_inheritable(False)
    return inherited


def obstacle() -> str | None:
    """Return why this program cannot be reloaded; ``None`` where it can."""
    if not hasattr(sys.modules["__main__"], "__file__") and "-c" not in sys.orig_argv:
        return "an interactive session cannot be started again."
    if threading.current_thread() is not threading.main_thread():
        return "that takes the main thread, which gets the signals."
    if importlib.util.find_spec("watchfiles") is None:
        return "watchfiles is missing. Install it with: pip install watchfiles"
    return None


def watch(
    listener: socket.socket | None,
    paths: Iterable[str | os.PathLike[str]] = (),
    exclude_patterns: Iterable[str] = (),
) -> int:
    """Run this program in a child process, and again at each change of its files, until a signal.

    Watched are Python and ``.env`` files below the current directory and below ``paths``. A child
    that ends without error, and one that ends with a usage error at the start, end this too.

    :param listener: the socket that the child serves on; ``None`` lets it open one.
    :param paths: further directories, and single files of any kind.
    :param exclude_patterns: patterns (``fnmatch``) of paths whose changes are left alone.
    :returns: the exit code.
    """
    from watchfiles import watch as changes_of

    with _stop_event() as stop:
        child = _Child(listener)
        try:
            for changes in changes_of(
                *_roots(paths),
                watch_filter=_filter(paths, exclude_patterns),
                stop_event=stop,
                rust_timeout=_TICK,
                yield_on_timeout=True,
            ):
                if changes:
                    names = sorted({os.path.relpath(path) for _, path in changes})
                    click.echo(f" * Changed: {', '.join(names)}. Reloading.", err=True)
                    child.restart()
                elif (code := child.final_exit_code()) is not None:
                    return code
        finally:
            child.stop()
    return 0


class _Child:
    """The process that serves."""

    def __init__(self, listener: socket.socket | None) -> None:
        self._listener = listener
        self._process = self._start()
        self._restarts = 0
        self._told = False

    def _start(self) -> subprocess.Popen[bytes]:
        descriptors = [] if self._listener is None else [self._listener.fileno()]
        # Extensions made for Flask look at Werkzeug's variable.
        marks = {_VARIABLE: "".join(map(str, descriptors)), "WERKZEUG_RUN_MAIN": "true"}
        # A Ctrl-C in the terminal reaches both processes. It is the parent's to handle, which ends
        # the child by SIGTERM: no traceback from the middle of an import.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=without_dotenv() | marks,
                pass_fds=descriptors,
            )
        finally:
            signal.signal(signal.SIGINT, handler)

    def restart(self) -> None:
        self.stop()
        self._process = self._start()
        self._restarts += 1
        self._told = False

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def final_exit_code(self) -> int | None:
        """Return the exit code of a child that is not to be started again."""
        code = self._process.poll()
        if code == 0 or (code == _USAGE_ERROR and not self._restarts):
            return code
        if code is not None and not self._told:
            self._told = True
            click.echo(" * The app did not start, or ended. Waiting for a change.", err=True)
        return None


@contextmanager
def _stop_event() -> Iterator[threading.Event]:
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = {each: signal.signal(each, lambda *_: stop.set()) for each in signals}
    try:
        yield stop
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


def _roots(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    roots = {Path(path).resolve() for path in (os.curdir, *paths)}
    return [root for root in roots if root.exists() and roots.isdisjoint(root.parents)]


def _filter(
    paths: Iterable[str | os.PathLike[str]], exclude_patterns: Iterable[str] = ()
) -> Callable[[Change, str], bool]:
    from watchfiles import PythonFilter

    excluded = tuple(exclude_patterns)
    files = {str(Path(path).resolve()) for path in paths if Path(path).is_file()}

    class SourceFilter(PythonFilter):
        ignore_dirs = (*PythonFilter.ignore_dirs, "site-packages")

        def __call__(self, change: Change, path: str) -> bool:
            if any(fnmatch(path, pattern) for pattern in excluded):
                return False
            return path in files or super().__call__(change, path)

    return SourceFilter(extra_extensions=(".env", ".flaskenv"))
