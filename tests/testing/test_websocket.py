"""The client's end of a WebSocket in tests, with and without `await`."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from asyncflask import Flask, session, websocket
from asyncflask.testing import (
    ASGITransport,
    WebsocketDisconnectError,
    WebsocketResponseError,
    make_websocket_scope,
)
from tests.wire import until


@pytest.fixture
def app() -> Flask:
    app = Flask("sockets", static_folder=None)
    app.secret_key = "a key"
    app.testing = True

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/threaded")
    def threaded() -> None:
        for message in websocket:
            websocket.send(message)

    @app.websocket("/choose")
    async def choose() -> None:
        session["n"] = session.get("n", 0) + 1
        await websocket.accept({"X-N": str(session["n"])}, websocket.requested_subprotocols[0])
        await websocket.send_json(dict(websocket.args))

    @app.websocket("/refuse")
    async def refuse() -> Any:
        return {"error": "no"}, 402

    @app.websocket("/fail")
    async def fail() -> None:
        await websocket.accept()
        raise KeyError("a bug")

    @app.get("/n")
    async def n() -> str:
        return str(session.get("n"))

    return app


# With `await`.


async def test_messages(app: Flask) -> None:
    """Text, bytes, JSON, one after the other or iterated to the end."""
    async with app.test_client().websocket("/echo") as ws:
        assert ws.app is app
        assert ws.accepted
        for message in ("a", b"b", "", b""):
            await ws.send(message)
            assert await ws.receive() == message
        await ws.send_json([1])
        assert await ws.receive_json() == [1]


async def test_the_handshake(app: Flask) -> None:
    """Query, headers, subprotocols and cookies go; what is answered can be seen."""
    async with app.test_client() as client:
        for number in (1, 2):
            async with client.websocket(
                "/choose", subprotocols=["a", "b"], query_string={"q": "é"}, headers={"X-Y": "1"}
            ) as ws:
                assert (ws.subprotocol, ws.headers["x-n"]) == ("a", str(number))
                assert await ws.receive_json() == {"q": "é"}
                assert (await client.get("/n")).text == str(number)


async def test_ends(app: Flask) -> None:
    """The application's code; a refusal's response; its own exception, in the block or after."""
    client = app.test_client()

    @app.websocket("/close")
    async def close() -> None:
        await websocket.send("last")
        await websocket.close(4000, "done")

    async with client.websocket("/close") as ws:
        assert await ws.receive() == "last"
        for use in (ws.receive, lambda: ws.send("x")):
            with pytest.raises(WebsocketDisconnectError, match="4000 done") as closed:
                await use()
            assert (closed.value.code, closed.value.reason) == (4000, "done")
        with pytest.raises(WebsocketDisconnectError):
            async for _ in ws:
                pass
    async with client.websocket("/refuse") as ws:
        with pytest.raises(WebsocketResponseError, match="402 PAYMENT REQUIRED") as refused:
            await ws.receive()
        assert refused.value.response.get_json() == {"error": "no"}
        assert ws.headers["content-type"] == "application/json"
    with pytest.raises(WebsocketResponseError):
        async with client.websocket("/refuse"):
            pass
    with pytest.raises(KeyError):
        async with client.websocket("/fail"):
            pass
    with pytest.raises(ZeroDivisionError):  # what the test has raised counts
        async with client.websocket("/fail"):
            raise ZeroDivisionError


async def test_a_block_that_ends_closes_normally(app: Flask) -> None:
    """Unless the client was closed or is gone before that."""
    codes: list[Any] = []
    app.teardown_websocket(lambda exc: codes.append((websocket.close_code, websocket.close_reason)))
    client = app.test_client()
    async with client.websocket("/echo"):
        pass
    async with client.websocket("/echo") as ws:
        await ws.close(4001, "mine")
    async with client.websocket("/echo") as ws:
        await ws.disconnect()
    assert codes == [(1000, ""), (4001, "mine"), (1006, "")]


async def test_a_handshake_may_be_answered_late(app: Flask) -> None:
    """The block begins after a second; so do the cookies come."""
    go = asyncio.Event()

    @app.websocket("/late")
    async def late() -> None:
        await go.wait()
        session["n"] = 7
        await websocket.accept()

    client = app.test_client()
    async with client.websocket("/late") as ws:
        assert not ws.accepted
        go.set()
        await until(lambda: ws.accepted)
    assert (await client.get("/n")).text == "7"


async def test_an_application_that_does_not_end_is_cancelled(app: Flask) -> None:
    """After `disconnect_grace`, with an error that says so."""

    @app.websocket("/stuck")
    async def stuck() -> None:
        await websocket.receive()
        while True:
            try:
                await asyncio.sleep(60)
            finally:
                torn.append(True)

    torn: list[bool] = []
    with pytest.raises(RuntimeError, match="still busy with the WebSocket /stuck"):
        async with app.test_client(disconnect_grace=0.05).websocket("/stuck") as ws:
            await ws.send("x")
    assert torn == [True]


async def test_it_has_to_be_opened(app: Flask) -> None:
    """Before it is used."""
    with pytest.raises(RuntimeError, match="Open the WebSocket first"):
        await app.test_client().websocket("/echo").receive()


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        (["websocket.send"], "websocket.send"),
        (["websocket.accept", "websocket.accept"], "websocket.accept"),
        (["websocket.http.response.start", "websocket.accept"], "websocket.accept"),
        (["websocket.accept", "websocket.close", "websocket.send"], "websocket.send"),
    ],
)
async def test_what_servers_refuse_is_refused(messages: list[str], wrong: str) -> None:
    """An application has to keep to the protocol."""
    failed: list[str] = []

    class Application:
        config: dict[str, Any] = {}  # noqa: RUF012
        json = None

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                return
            for kind in messages:
                try:
                    await send({"type": kind, "status": 403, "text": "x"})
                except RuntimeError as exc:
                    failed.append(str(exc))
                    raise

    from asyncflask.testing import FlaskClient

    client = FlaskClient(Application())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=f"sent '{wrong}' where"):
        async with client.websocket("/"):
            pass
    assert len(failed) == 1


async def test_who_sends_to_a_client_that_has_gone_is_told() -> None:
    """By an `OSError`, which is no failure when it leaves the application."""
    app = Flask("sockets", static_folder=None)
    told: list[Any] = []

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()
        while True:
            await websocket.send("x")

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "bytes": b"x"})
            await asyncio.sleep(0)

    async with app.test_client().websocket("/ws") as ws:
        assert await ws.receive() == "x"
    transport = ASGITransport(bare)
    import httpx

    exchange = transport.make_websocket(httpx.Request("GET", "http://localhost/"))
    await exchange.start()
    assert await exchange.receive() == b"x"
    await exchange.aclose()
    assert told == []


def test_scopes() -> None:
    """`ws` and `wss`, from a path or a URL, with what the client offers."""
    app = Flask("sockets", static_folder=None)
    scope = make_websocket_scope(app, "/ws?a=1", subprotocols=["x", "y"])
    assert (scope["type"], scope["scheme"], scope["query_string"]) == ("websocket", "ws", b"a=1")
    assert scope["subprotocols"] == ["x", "y"]
    assert (b"sec-websocket-protocol", b"x, y") in scope["headers"]
    assert "method" not in scope
    scope = make_websocket_scope(app, "wss://example.org/ws", scope_base={"extensions": {}})
    assert (scope["scheme"], scope["server"]) == ("wss", ("example.org", 443))
    assert scope["extensions"] == {}


# Without.


@pytest.mark.parametrize("path", ["/echo", "/threaded"])
def test_the_same_without_await(app: Flask, path: str) -> None:
    """`def` views run in a thread of the application's."""
    with app.sync_test_client() as client, client.websocket(path) as ws:
        assert ws.accepted
        for message in ("a", b"b"):
            ws.send(message)
            assert ws.receive() == message
        ws.send_json([1])
        assert ws.receive_json() == [1]


def test_a_sync_client_has_the_rest_too(app: Flask) -> None:
    """Subprotocols, cookies, TLS, iteration, ends and refusals."""
    threads: list[Any] = []
    codes: list[Any] = []
    app.teardown_websocket(lambda exc: codes.append(websocket.close_code))

    @app.websocket("/three")
    def three() -> None:
        threads.append(threading.current_thread())
        for number in range(3):
            websocket.send(f"{websocket.scheme} {number}")

    @app.websocket("/close")
    async def close() -> None:
        await websocket.accept()
        await websocket.close(4000)

    with app.sync_test_client() as client:
        with client.websocket("/choose", subprotocols=["a"]) as ws:
            assert ws.subprotocol == "a"
        assert client.get("/n").text == "1"
        with client.websocket("/three", scheme="wss") as ws:
            assert list(ws) == ["wss 0", "wss 1", "wss 2"]
        assert threading.main_thread() not in threads
        with client.websocket("/echo") as ws:
            ws.close(4001)
        with client.websocket("/echo") as ws:
            ws.disconnect()
        with client.websocket("/close") as ws, pytest.raises(WebsocketDisconnectError):
            list(ws)
        with pytest.raises(WebsocketResponseError), client.websocket("/refuse") as ws:
            ws.receive()
    assert codes == [1000, 1000, 4001, 1006, 4000, None]
