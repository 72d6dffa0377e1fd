"""Start and shutdown under real servers, over the wire."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.programs import PATIENCE, Program, Start, wait_for

PROGRAM = """
import asyncio, sys, time

from asyncflask import Flask, stream_events, websocket

app = Flask(__name__)


def say(text):
    print(text, file=sys.stderr, flush=True)


@app.while_serving
def during():
    yield
    say("while ended")


@app.after_serving
async def after():
    say(f"after serving, draining {app.draining.is_set()}")


@app.get("/events")
async def events():
    async def endless():
        yield "first"
        await asyncio.Event().wait()

    return stream_events(endless())


@app.get("/sync-events")
def sync_events():
    def endless():
        while True:
            yield "tick"
            time.sleep(0.05)

    return stream_events(endless())


@app.websocket("/echo")
async def echo():
    async for message in websocket:
        await websocket.send(message)


@app.get("/slow")
async def slow():
    app.add_background_task(background)
    say("slow begins")
    await app.draining.wait()
    say("slow is told")
    await asyncio.sleep(0.3)
    return "slow"


async def background():
    await app.draining.wait()
    await asyncio.sleep(0.6)
    say("background done")


@app.get("/deaf")
async def deaf():
    async def endless():
        yield "first"
        await asyncio.Event().wait()

    return endless()


@app.get("/cancelled", on_disconnect="cancel")
async def cancelled():
    say("view begins")
    try:
        await asyncio.sleep(60)
    finally:
        say("view cancelled")


@app.get("/ready")
async def ready():
    return ("draining", 503) if app.draining.is_set() else "ready"
"""

HOST = """
from starlette.applications import Starlette
from starlette.routing import Mount
from shop import app as shop

app = Starlette(routes=[Mount("/shop", shop)])
"""

#: Commands that serve the program at a port, and the exit code at SIGTERM.
SERVERS: dict[str, tuple[list[str], int]] = {
    "ours": (["asyncflask", "--app=shop", "run", "--port={port}"], -signal.SIGTERM),
    "ours, 2 workers": (["asyncflask", "--app=shop", "run", "--port={port}", "--workers=2"], 0),
    "uvicorn": (["uvicorn", "--port={port}", "shop:app"], -signal.SIGTERM),
    "uvicorn on asyncio": (
        ["uvicorn", "--loop=asyncio", "--http=h11", "--port={port}", "shop:app"],
        -signal.SIGTERM,
    ),
    "hypercorn in one process": (
        ["hypercorn", "--workers=0", "--bind=127.0.0.1:{port}", "shop:app"],
        0,
    ),
    "granian": (["granian", "--interface=asgi", "--port={port}", "shop:app"], 0),
}


class Served:
    """A program that serves at a port of this machine."""

    def __init__(self, start: Start, directory: Path, command: list[str]) -> None:
        (directory / "shop.py").write_text(PROGRAM)
        (directory / "host.py").write_text(HOST)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._connections: list[http.client.HTTPConnection] = []
        self._responses: list[http.client.HTTPResponse] = []
        self.program: Program = start("-m", *(part.format(port=self.port) for part in command))
        wait_for(self._answers)

    def _answers(self) -> bool:
        assert self.program.process.poll() is None, self.program.output
        try:
            self.ask("/nothing").read()
        except OSError:
            return False
        return True

    def ask(self, path: str) -> http.client.HTTPResponse:
        """Return the beginning of a response."""
        self._responses.append(self.send(path).getresponse())
        return self._responses[-1]

    def send(self, path: str) -> http.client.HTTPConnection:
        """Send a request, and return its connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        self._connections.append(connection)
        connection.request("GET", path)
        return connection

    def close(self) -> None:
        """Close all connections."""
        for each in (*self._responses, *self._connections):
            each.close()


Serve = Callable[[list[str]], Served]


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Iterator[Serve]:
    """Serve the program with a command."""
    served: list[Served] = []

    def serve(command: list[str]) -> Served:
        served.append(Served(start, tmp_path, command))
        return served[-1]

    yield serve
    for each in served:
        each.close()


@pytest.mark.parametrize("server", SERVERS)
def test_everything_that_is_open_ends_at_sigterm(server: str, serve: Serve) -> None:
    """Endless streams end properly, and what is under way is finished."""
    command, code = SERVERS[server]
    served = serve(command)
    program = served.program
    events, sync_events = served.ask("/events"), served.ask("/sync-events")
    assert events.headers["Content-Type"] == "text/event-stream"
    assert events.readline() == b"data: first\n"
    assert sync_events.readline() == b"data: tick\n"
    slow = served.send("/slow")
    program.wait_for_output("slow begins")

    began = time.monotonic()
    os.kill(program.process.pid, signal.SIGTERM)
    assert events.read() == b"\n"  # all of it: what is cut off raises an error here
    assert sync_events.read().endswith(b"\n")
    assert slow.getresponse().read() == b"slow"
    assert program.process.wait(PATIENCE) == code
    assert time.monotonic() - began < 10
    printed = [
        program.output.index(text)
        for text in ("background done", "while ended", "after serving, draining True")
    ]
    if "workers" not in server:  # where each prints
        assert printed == sorted(printed)
    assert "Traceback" not in program.output


@pytest.mark.parametrize("server", ["ours", "uvicorn", "hypercorn in one process"])
def test_open_sockets_are_told_at_sigterm(server: str, serve: Serve) -> None:
    """They are closed with 1001, "going away"; granian drops them by itself."""
    served = serve(SERVERS[server][0])
    with connect(f"ws://127.0.0.1:{served.port}/echo") as socket:
        socket.send("hello")
        assert socket.recv() == "hello"
        os.kill(served.program.process.pid, signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert served.program.process.wait(PATIENCE) == SERVERS[server][1]


def test_the_server_still_forces_the_end(serve: Serve) -> None:
    """What does not listen holds it up; uvicorn's second Ctrl-C ends that."""
    served = serve(["uvicorn", "--port={port}", "shop:app"])
    deaf = served.ask("/deaf")
    assert deaf.read(5) == b"first"
    os.kill(served.program.process.pid, signal.SIGINT)
    served.program.wait_for_output("Waiting for connections to close")
    os.kill(served.program.process.pid, signal.SIGINT)
    served.program.process.wait(10)


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn in one process", "granian"])
def test_readiness_turns_false_at_sigterm(server: str, serve: Serve) -> None:
    """A probe is not let in any more, while something is still under way."""
    served = serve(SERVERS[server][0])
    assert served.ask("/ready").read() == b"ready"
    slow = served.send("/slow")
    served.program.wait_for_output("slow begins")
    os.kill(served.program.process.pid, signal.SIGTERM)
    served.program.wait_for_output("slow is told")

    def refused() -> bool:
        try:
            return served.ask("/ready").status == 503
        except (OSError, http.client.HTTPException):
            return True

    wait_for(refused)
    assert slow.getresponse().read() == b"slow"
    served.program.process.wait(PATIENCE)


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn in one process", "granian"])
def test_a_view_is_cancelled_when_the_client_leaves(server: str, serve: Serve) -> None:
    """Servers tell of it; the answer goes nowhere, and that is no error."""
    served = serve(SERVERS[server][0])
    connection = served.send("/cancelled")
    served.program.wait_for_output("view begins")
    connection.close()
    served.program.wait_for_output("view cancelled")
    assert served.ask("/ready").read() == b"ready"
    served.program.signal(signal.SIGTERM)
    assert "Traceback" not in served.program.output


@pytest.mark.parametrize("target", ["host:app", "shop:app"])
def test_without_a_lifespan_it_starts_itself(target: str, serve: Serve) -> None:
    """Mounted in Starlette, or with the lifespan turned off; Ctrl-C shuts it down in order."""
    lifespan = "auto" if target == "host:app" else "off"
    served = serve(["uvicorn", f"--lifespan={lifespan}", "--port={port}", target])
    path = "/shop/events" if target == "host:app" else "/events"
    events = served.ask(path)
    assert events.readline() == b"data: first\n"
    assert served.program.output.count("has started itself at its first request") == 1
    os.kill(served.program.process.pid, signal.SIGINT)
    assert events.read() == b"\n"
    served.program.process.wait(PATIENCE)
    output = served.program.output
    assert output.index("while ended") < output.index("after serving")
