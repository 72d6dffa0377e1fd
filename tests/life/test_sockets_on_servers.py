"""WebSockets over the wire: real servers, and the `websockets` library as the client."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from hypercorn.asyncio import serve as serve_with_hypercorn
from hypercorn.config import Config as HypercornConfig
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus

from asyncflask import Flask, WebSocketDisconnect, abort, session, websocket
from tests.wire import until

SERVERS = ["websockets-sansio", "wsproto", "hypercorn"]


class Site:
    """An application on a server, and what its sockets have seen."""

    def __init__(self, server: str, port: int, seen: list[Any]) -> None:
        self.server = server
        self.port = port
        self.seen = seen

    def connect(self, path: str, **options: Any) -> Any:
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)


def make_app(seen: list[Any]) -> Flask:
    app = Flask("sockets", static_folder=None)
    app.secret_key = "a key"
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 1000

    @app.teardown_websocket
    async def note(exc: BaseException | None) -> None:
        seen.append(("teardown", websocket.path, websocket.close_code, websocket.close_reason))

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/threaded")
    def threaded() -> None:
        for message in websocket:
            websocket.send(message)

    @app.websocket("/json")
    async def answer_json() -> None:
        await websocket.send_json({"got": await websocket.receive_json()})

    @app.websocket("/chosen")
    async def chosen() -> None:
        session["seen"] = True
        await websocket.accept({"X-Room": "blue"}, subprotocol="chat.v2")

    add_endings(app, seen)
    return app


def add_endings(app: Flask, seen: list[Any]) -> None:
    @app.websocket("/denied")
    async def denied() -> None:
        abort(403, "Not for you.")

    @app.websocket("/returned")
    async def returned() -> Any:
        return {"error": "no ticket"}, 402, {"X-Why": "ticket"}

    @app.websocket("/closing")
    async def closing() -> None:
        await websocket.accept()
        await websocket.close(4001, "enough")

    @app.websocket("/broken")
    async def broken() -> None:
        await websocket.accept()
        raise RuntimeError("a bug")

    @app.websocket("/ticker")
    async def ticker() -> None:
        try:
            while True:
                await websocket.send("tick")
                await asyncio.sleep(0.005)
        except WebSocketDisconnect as exc:
            seen.append(("told", exc.code, exc.reason))
            raise


@asynccontextmanager
async def serve(server: str, app: Flask) -> AsyncIterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port: int = listening.getsockname()[1]
        if server == "hypercorn":
            config = HypercornConfig()
            config.bind = [f"fd://{listening.fileno()}"]
            config.errorlog = logging.getLogger("hypercorn-under-test")
            stop = asyncio.Event()
            task = asyncio.create_task(
                serve_with_hypercorn(app, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
            )
            yield port
            stop.set()
            await task
            listening.detach()  # the server has closed it
            return
        options: Any = {"ws": server, "log_level": "critical", "lifespan": "on"}
        runner = uvicorn.Server(uvicorn.Config(app, **options))
        task = asyncio.create_task(runner.serve(sockets=[listening]))
        await until(lambda: runner.started)
        yield port
        runner.should_exit = True
        await task


@pytest.fixture(params=SERVERS)
async def site(request: Any) -> AsyncIterator[Site]:
    seen: list[Any] = []
    app = make_app(seen)
    async with serve(request.param, app) as port:
        yield Site(request.param, port, seen)


@pytest.mark.parametrize("path", ["/echo", "/threaded"])
async def test_messages_go_both_ways(site: Site, path: str) -> None:
    """Text, bytes, empty ones and many of them, for both kinds of views; the client's end."""
    async with site.connect(path) as ws:
        for message in ("hello", "ünïcødé", b"\0\xff", b"", "", *map(str, range(300))):
            await ws.send(message)
            assert await ws.recv() == message
    await until(lambda: site.seen)
    code = 1006 if site.server == "hypercorn" else 1000  # it does not tell the client's
    assert site.seen == [("teardown", path, code, "")]


async def test_json_goes_both_ways(site: Site) -> None:
    """As text; the end of the view closes with 1000; what is no JSON closes with 1007."""
    async with site.connect("/json") as ws:
        await ws.send('{"a": [1]}')
        assert json.loads(await ws.recv()) == {"got": {"a": [1]}}
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
        assert ws.close_code == 1000
    assert await close_code_after(site, "/json", "{no json") == 1007


async def close_code_after(site: Site, path: str, *messages: str | bytes) -> int | None:
    ws: ClientConnection
    async with site.connect(path, max_size=None) as ws:
        for message in messages:
            await ws.send(message)
        await ws.wait_closed()
        return ws.close_code


async def test_the_server_closes_with_a_code(site: Site) -> None:
    """The view's own, 1009 for what is too big, 1011 for a bug."""
    async with site.connect("/closing") as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (4001, "enough")
    assert await close_code_after(site, "/echo", "x" * 1001) == 1009
    assert await close_code_after(site, "/echo", "é" * 501) == 1009
    assert await close_code_after(site, "/broken") == 1011
    async with site.connect("/echo") as ws:
        await ws.send("é" * 500)
        assert await ws.recv() == "é" * 500


async def test_the_handshake_has_headers_and_a_subprotocol(site: Site) -> None:
    """The view chooses them; the session's cookie goes with them."""
    async with site.connect("/chosen", subprotocols=["chat.v1", "chat.v2"]) as ws:
        assert ws.subprotocol == "chat.v2"
        assert ws.response.headers["X-Room"] == "blue"
        assert ws.response.headers["Set-Cookie"].startswith("session=")


async def test_a_refusal_is_a_response(site: Site) -> None:
    """With status, headers and body: `abort()`, a return value, no such path, another site."""
    for path, status, text in [
        ("/denied", 403, "Not for you."),
        ("/returned", 402, "no ticket"),
        ("/nowhere", 404, "Not Found"),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            await site.connect(path)
        assert refused.value.response.status_code == status
        assert text in refused.value.response.body.decode()
        if path == "/returned":
            assert refused.value.response.headers["X-Why"] == "ticket"
    with pytest.raises(InvalidStatus) as refused:
        await site.connect("/echo", origin="https://elsewhere.example")
    assert refused.value.response.status_code == 403
    async with site.connect("/echo", origin=f"http://127.0.0.1:{site.port}"):
        pass
    # A plain request for a WebSocket's path is answered as well.
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_view_that_only_sends_is_told_of_the_end(site: Site, abruptly: bool) -> None:
    """By the exception, with the client's code where it gave one; the teardown runs once."""
    ws = await site.connect("/ticker")
    assert await ws.recv() == "tick"
    if abruptly:
        ws.transport.abort()
    else:
        await ws.close(4005, "bored")
    await until(lambda: any(entry[0] == "teardown" for entry in site.seen))
    expected = (1005, "") if abruptly else (4005, "bored")  # 1005 is what uvicorn makes of it
    if site.server == "hypercorn":
        expected = (1006, "")  # it does not tell who sends: that is found out after a second
    assert site.seen == [("told", *expected), ("teardown", "/ticker", *expected)]


async def test_the_shutdown_closes_sockets() -> None:
    """With 1001, at once: nobody waits until the server breaks them."""
    seen: list[Any] = []
    app = make_app(seen)
    async with serve("websockets-sansio", app) as port:
        ws = await connect(f"ws://127.0.0.1:{port}/echo")
        await ws.send("here")
        await ws.recv()
        app.draining.set()  # what SIGTERM does
        await until(lambda: seen)
        assert seen == [("teardown", "/echo", 1001, "")]
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
        assert ws.close_code == 1001


async def test_a_server_that_stops_ends_its_sockets() -> None:
    """The view ends and is torn down."""
    seen: list[Any] = []
    async with serve("websockets-sansio", make_app(seen)) as port:
        ws = await connect(f"ws://127.0.0.1:{port}/echo")
        await ws.send("here")
        await ws.recv()
    assert [entry[0] for entry in seen] == ["teardown"]
    with pytest.raises(ConnectionClosed):
        await ws.recv()
    assert ws.close_code == 1012
