"""The tutorial and the main example, under real servers and over the wire."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
TUTORIAL = ROOT / "examples" / "tutorial"

#: Commands that serve ``module`` (an application) or make one (a factory), at a port.
SERVERS: dict[str, Callable[[str, bool, int], list[str]]] = {
    "uvicorn": lambda target, factory, port: [
        "uvicorn", f"--port={port}", *(["--factory"] if factory else []), target
    ],
    "hypercorn": lambda target, factory, port: [
        "hypercorn", f"--bind=127.0.0.1:{port}", target + ("()" if factory else "")
    ],
    "granian": lambda target, factory, port: [
        "granian", "--interface=asgi", f"--port={port}", *(["--factory"] if factory else []), target
    ],
}  # fmt: skip


@contextlib.contextmanager
def serving(
    command: Callable[[int], list[str]], log: Path, **environment: str
) -> Iterator[httpx.Client]:
    """Run a server at a free port until the block ends, and give a client for it."""
    for _ in range(3):  # somebody else may take the port before the server does
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command(port)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            if _answers(process, port):
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                    yield client
                return
        finally:
            _stop(process)
    pytest.fail(f"The server did not start:\n{log.read_text()}")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def use_the_tutorial(client: httpx.Client) -> None:
    """Ask for every page of the tutorial."""
    assert client.get("/").text == "Welcome!"
    assert client.get("/about").text == "About us"
    assert client.get("/contact").text == "Contact us"
    assert client.get("/user/Zoë").text == "Profile of Zoë"
    assert client.get("/post/42").text == "Post number 42"
    assert client.get("/post/first").status_code == 404
    assert "<form" in client.get("/submit").text
    assert client.post("/submit", data={"name": "Ada"}).text == "Thank you, Ada!"
    assert client.put("/submit").status_code == 405
    assert client.head("/about").status_code == 200

    assert client.get("/items").json() == ["pen", "paper"]
    response = client.post("/items", json={"name": "ink"})
    assert (response.status_code, response.json()) == (201, {"added": "ink"})
    assert client.put("/items/1", json={"name": "ink"}).json() == {"id": 1, "name": "ink"}
    assert client.patch("/items/1", json={"b": 1, "a": 2}).json() == {
        "id": 1,
        "changed": ["a", "b"],
    }
    response = client.delete("/items/1")
    assert (response.status_code, response.text) == (204, "")


@pytest.mark.parametrize("module", ["app", "async_app"])
@pytest.mark.parametrize("server", SERVERS)
def test_the_tutorial_under_a_server(server: str, module: str, tmp_path: Path) -> None:
    """Any ASGI server serves the tutorial, with ``def`` and with ``async def`` views."""
    target = f"examples.tutorial.{module}:app"
    with serving(
        lambda port: ["-m", *SERVERS[server](target, False, port)], tmp_path / "log"
    ) as client:
        use_the_tutorial(client)


@pytest.mark.parametrize("module", ["app", "async_app"])
def test_the_tutorial_run_as_a_script(module: str, tmp_path: Path) -> None:
    """``python app.py`` serves it with ``app.run(debug=True)``; here only the port is another."""
    source = (TUTORIAL / f"{module}.py").read_text()
    call = "app.run(debug=True)"
    assert call in source
    script = tmp_path / f"{module}.py"

    def command(port: int) -> list[str]:
        script.write_text(source.replace(call, f"app.run(debug=True, port={port})"))
        return [str(script)]

    with serving(command, tmp_path / "log") as client:
        use_the_tutorial(client)


@pytest.mark.parametrize("server", SERVERS)
def test_the_board_under_a_server(server: str, tmp_path: Path) -> None:
    """The main example is a factory, which any ASGI server can call."""
    with serving(
        lambda port: ["-m", *SERVERS[server]("examples.board:create_app", True, port)],
        tmp_path / "log",
        BOARD_DATA=str(tmp_path),
    ) as client:
        assert "Welcome! Pin a note" in client.get("/").text
        # A note from the form, with a picture, arrives at an open page and in the API.
        with client.stream("GET", "/api/live") as live:
            lines = live.iter_lines()
            assert next(lines) == "retry: 500"
            picture = b"\x89PNG\r\n\x1a\n" + bytes(1000)
            response = client.post(
                "/", data={"text": "wired"}, files={"picture": ("a.png", picture)}
            )
            assert response.status_code == 302
            data = next(line for line in lines if line.startswith("data: "))
            assert '"text":"wired"' in data
        assert "Your note is on the board." in client.get("/").text
        note = client.get("/api/notes?limit=1").json()[0]
        assert client.get(f"/pictures/{note['picture']}").content == picture
        assert client.get("/notes/99").status_code == 404
