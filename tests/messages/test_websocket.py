"""The WebSocket: handshake, messages and ends, over a server that is played by hand."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.exceptions import BadRequest

from asyncflask.exceptions import MissingAwaitError
from asyncflask.json.provider import DefaultJSONProvider
from asyncflask.messages.websocket import Websocket, WebSocketDisconnect

CONNECT = {"type": "websocket.connect"}


class Server:
    """Gives the messages it was given, and keeps those it gets."""

    def __init__(self, *messages: Any, gone: bool = False) -> None:
        self.incoming = [CONNECT, *messages]
        self.sent: list[Any] = []
        self.gone = gone

    async def receive(self) -> Any:
        await asyncio.sleep(0)
        if not self.incoming:
            await asyncio.Event().wait()
        return self.incoming.pop(0)

    async def send(self, message: Any) -> None:
        await asyncio.sleep(0)
        if self.gone:
            raise OSError("The client has gone.")
        self.sent.append(message)

    def socket(self, loop: Any = None, **scope: Any) -> Websocket:
        app = SimpleNamespace(
            config={"WEBSOCKET_MAX_MESSAGE_SIZE": 100, "TRUSTED_HOSTS": None},
            json=DefaultJSONProvider(None),
            debug=False,
        )
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/ws",
            "query_string": b"a=1",
            "headers": [(b"host", b"localhost"), (b"cookie", b"c=2")],
            **scope,
        }
        return Websocket(scope, self.receive, self.send, app=app, loop=loop)


def text(data: str) -> Any:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> Any:
    return {"type": "websocket.receive", "bytes": data, "text": None}


def gone(code: int | None = None, reason: str | None = None) -> Any:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


async def test_it_has_what_a_request_has_but_for_a_body() -> None:
    """The path, arguments, headers and cookies of its handshake, which is a GET."""
    socket = Server().socket()
    assert (socket.path, socket.args["a"], socket.cookies["c"]) == ("/ws", "1", "2")
    assert (socket.method, socket.url) == ("GET", "ws://localhost/ws?a=1")
    assert socket.requested_subprotocols == []
    assert not hasattr(socket, "form")


async def test_the_first_message_accepts() -> None:
    """In either direction, once; `repr()` tells the state."""
    server = Server(text("a"))
    socket = server.socket()
    assert repr(socket) == "<Websocket '/ws' (not accepted)>"
    assert await socket.receive() == "a"
    assert repr(socket) == "<Websocket '/ws' (open)>"
    await socket.send("b")
    await socket.accept()
    await socket.close()
    assert repr(socket) == "<Websocket '/ws' (closed with 1000)>"
    accept = {"type": "websocket.accept", "subprotocol": None, "headers": []}
    assert server.sent == [
        accept,
        {"type": "websocket.send", "text": "b"},
        {"type": "websocket.close", "code": 1000, "reason": ""},
    ]
    # Two tasks may both be the first.
    server = Server(text("a"))
    socket = server.socket()
    assert await asyncio.gather(socket.receive(), socket.send(b"b")) == ["a", None]
    assert server.sent == [accept, {"type": "websocket.send", "bytes": b"b"}]


async def test_accepting_chooses_headers_and_a_subprotocol() -> None:
    """Of those that are offered; only before the first message."""
    server = Server()
    socket = server.socket(subprotocols=["a", "b"])
    with pytest.raises(ValueError, match=r"'c' was not offered .* offers \['a', 'b'\]"):
        await socket.accept(subprotocol="c")
    with pytest.raises(ValueError, match=r"accept\(subprotocol=...\)"):
        await socket.accept({"Sec-WebSocket-Protocol": "a"})
    for name in ("X-A\r\nSet-Cookie: a=b\r\nX-B", "X A", ""):
        with pytest.raises(ValueError, match="is no name for a header"):
            await socket.accept({name: "a"})
    await socket.accept({"X-A": "é"}, subprotocol="b")
    assert socket.subprotocol == "b"
    assert server.sent == [
        {"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-a", b"\xe9")]}
    ]
    with pytest.raises(RuntimeError, match="is accepted already"):
        await socket.accept(subprotocol="a")


async def test_text_is_str_and_bytes_are_bytes() -> None:
    """Empty ones too, however the server writes them."""
    messages = [text("é"), text(""), binary(b"\0"), binary(b""), {"type": "websocket.receive"}]
    socket = Server(*messages).socket()
    assert [await socket.receive() for _ in messages] == ["é", "", b"\0", b"", b""]


async def test_what_can_be_sent() -> None:
    """Text, and bytes of any kind; nothing else."""
    server = Server()
    socket = server.socket()
    for data in ("a", b"b", bytearray(b"c"), memoryview(b"d")):
        await socket.send(data)  # type: ignore[arg-type]
    await socket.send_json({"a": 1})
    await socket.send_json(1, 2)
    await socket.send_json(a=1)
    sent = [message.get("text", message.get("bytes")) for message in server.sent[1:]]
    assert sent == ["a", b"b", b"c", b"d", '{"a":1}', "[1,2]", '{"a":1}']
    with pytest.raises(TypeError, match="send_json"):
        socket.send({})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not of both"):
        socket.send_json(1, a=1)


async def test_json_is_read_with_the_applications_provider() -> None:
    """What is no JSON is the client's mistake; details are for debug mode."""
    socket = Server(text("[1]"), binary(b"2"), text("{"), text("["), text("[" * 90)).socket()
    assert await socket.receive_json() == [1]
    assert await socket.receive_json() == 2
    with pytest.raises(BadRequest, match=r"not valid JSON\.$"):
        await socket.receive_json()
    socket.app.debug = True  # type: ignore[misc]
    for _ in range(2):
        with pytest.raises(BadRequest, match="not valid JSON: "):
            await socket.receive_json()


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        ("x" * 100, True),
        ("x" * 101, False),
        ("é" * 50, True),
        ("é" * 51, False),
        (b"x" * 100, True),
        (b"x" * 101, False),
    ],
)
async def test_a_message_has_a_size(data: Any, fits: bool) -> None:
    """In bytes of UTF-8; a larger one closes with 1009, unless there is no limit."""
    message = text(data) if isinstance(data, str) else binary(data)
    server = Server(message)
    socket = server.socket()
    if fits:
        assert await socket.receive() == data
    else:
        with pytest.raises(WebSocketDisconnect) as closed:
            await socket.receive()
        assert closed.value.code == socket.close_code == 1009
        assert server.sent[-1] == {
            "type": "websocket.close",
            "code": 1009,
            "reason": "A message may have 100 bytes.",
        }
    socket = Server(message).socket()
    socket.max_message_size = None
    assert await socket.receive() == data


async def test_the_clients_end_raises() -> None:
    """With its code, wherever the socket is used from then on; closing is allowed."""
    server = Server(text("a"), gone(4001, "bye"))
    socket = server.socket()
    assert await socket.receive() == "a"
    for use in (socket.receive, socket.receive, lambda: socket.send("x"), socket.receive_json):
        with pytest.raises(WebSocketDisconnect) as ended:
            await use()
        assert (ended.value.code, ended.value.reason) == (4001, "bye")
    await socket.close()
    assert len(server.sent) == 1
    socket = Server(gone()).socket()
    with pytest.raises(WebSocketDisconnect) as ended:
        await socket.receive()
    assert (ended.value.code, ended.value.reason) == (1005, "")


async def test_a_client_that_has_gone_before_the_handshake() -> None:
    """Is noticed when it is accepted."""
    server = Server()
    server.incoming = [gone(1006)]
    with pytest.raises(WebSocketDisconnect):
        await server.socket().accept()
    server = Server(gone=True)
    server.incoming.append(gone(1006))
    with pytest.raises(WebSocketDisconnect):
        await server.socket().accept()


async def test_iterating_finds_a_client_that_has_gone_before_the_handshake() -> None:
    """A normal end is an iteration's; accepting one that is closed already is an error."""
    server = Server()
    server.incoming = [gone(1001)]
    socket = server.socket()
    assert [message async for message in socket] == []
    with pytest.raises(WebSocketDisconnect):
        await socket.accept()
    server = Server()
    server.incoming = [gone(1006)]
    with pytest.raises(WebSocketDisconnect):
        await anext(server.socket())


async def test_who_only_sends_leaves_the_loop_to_others() -> None:
    """Whatever the server does: after some messages others have their turn."""
    server = Server()

    async def send_at_once(message: Any) -> None:
        server.sent.append(message)

    socket = server.socket(asyncio.get_running_loop())
    socket._send_message = send_at_once
    await socket.accept()
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(server.sent)))
    for _ in range(100):
        await socket.send("x")
    assert turns
    assert turns[0] < 100


async def test_sending_finds_the_clients_code() -> None:
    """What it sent before is dropped; where the server does not tell, it is 1006."""
    server = Server(text("a"), gone(4001, "bye"))
    socket = server.socket()
    await socket.accept()
    server.gone = True
    with pytest.raises(WebSocketDisconnect) as ended:
        await socket.send("x")
    assert (ended.value.code, ended.value.reason) == (4001, "bye")
    # A server that says nothing:
    server = Server()
    socket = server.socket()
    await socket.accept()
    server.gone = True
    with pytest.raises(WebSocketDisconnect) as ended:
        await socket.send("x")
    assert (ended.value.code, socket.close_code) == (1006, 1006)
    # Another task that receives is the one to hear of it.
    server = Server()
    socket = server.socket()
    await socket.accept()
    receiver = asyncio.create_task(socket.receive())
    await asyncio.sleep(0.01)
    server.gone = True
    with pytest.raises(WebSocketDisconnect) as ended:
        await socket.send("x")
    assert (ended.value.code, socket.close_code) == (1006, None)
    receiver.cancel()


async def test_closing() -> None:
    """Once; with codes and reasons that may be sent; nothing is received afterwards."""
    server = Server(text("a"))
    socket = server.socket()
    await socket.accept()
    for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
        with pytest.raises(ValueError, match=f"{code} is no close code"):
            socket.close(code)
    with pytest.raises(ValueError, match="at most 123 bytes"):
        socket.close(1000, "é" * 62)
    await socket.close(4999, "x" * 123)
    await socket.close(1000)
    assert [message["type"] for message in server.sent] == ["websocket.accept", "websocket.close"]
    with pytest.raises(WebSocketDisconnect) as ended:
        await socket.receive()
    assert ended.value.code == 4999
    # The client has gone at the same moment:
    server = Server(gone=True)
    await server.socket().close()
    # It is closed while another task receives:
    server = Server()
    socket = server.socket()
    receiver = asyncio.create_task(socket.receive())
    await asyncio.sleep(0.01)
    await socket.close(1001)
    server.incoming.append(text("late"))
    receiver.cancel()
    with pytest.raises(WebSocketDisconnect):
        await socket.receive()


async def test_what_arrives_after_the_close_is_dropped() -> None:
    """A receiver that waited learns of the close."""
    arrival = asyncio.Event()
    server = Server()
    socket = server.socket()
    await socket.accept()

    async def receive() -> Any:
        await arrival.wait()
        return text("late")

    socket._next_message = receive
    receiver = asyncio.create_task(socket.receive())  # a coroutine: it can be made a task
    await asyncio.sleep(0)
    await socket.close(4000)
    arrival.set()
    with pytest.raises(WebSocketDisconnect) as ended:
        await receiver
    assert ended.value.code == 4000


@pytest.mark.parametrize(
    ("code", "quiet"), [(1000, True), (1001, True), (None, True), (1006, False)]
)
async def test_iteration_ends_with_the_client(code: int | None, quiet: bool) -> None:
    """Quietly at a normal end; in `def` code as well."""
    messages = (text("a"), binary(b"b"), gone(code))

    async def collect(socket: Websocket) -> list[Any]:
        return [message async for message in socket]

    def collect_in_thread(socket: Websocket) -> list[Any]:
        return [message for message in socket]  # noqa: C416

    for collector in (collect, collect_in_thread):
        socket = Server(*messages).socket(asyncio.get_running_loop())
        outcome = await in_either(collector, socket)
        assert outcome == ["a", b"b"] if quiet else outcome.code == code


async def in_either(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function where it belongs, and return what it returns or raises."""
    try:
        if inspect.iscoroutinefunction(function):
            return await function(*args)
        return await asyncio.to_thread(function, *args)
    except WebSocketDisconnect as exc:
        return exc


async def test_in_def_code_everything_is_a_plain_call() -> None:
    """In a thread without a loop the same names wait."""
    server = Server(text("a"), text("[1]"))
    socket = server.socket(asyncio.get_running_loop(), subprotocols=["chat"])

    def view() -> list[Any]:
        assert socket.accept(subprotocol="chat") is None  # type: ignore[func-returns-value]
        received = [socket.receive(), socket.receive_json()]
        for done in (socket.send("x"), socket.send_json(x=1), socket.close()):
            assert done is None
        return received

    assert await asyncio.to_thread(view) == ["a", [1]]
    assert len(server.sent) == 4


async def test_for_is_refused_in_async_code() -> None:
    """It would block the loop."""
    with pytest.raises(RuntimeError, match="write 'async for message in websocket'"):
        iter(Server().socket())


async def test_another_loop_is_bridged() -> None:
    """`asyncio.run()` in a `def` view: the work is done on the application's loop."""
    server = Server(text("a"))
    socket = server.socket(asyncio.get_running_loop())
    threads: list[Any] = []
    receive = socket._next_message

    async def noting() -> Any:
        threads.append(threading.current_thread())
        return await receive()

    socket._next_message = noting

    async def other() -> Any:
        pending: Any = socket.receive()
        with pytest.raises(MissingAwaitError, match=r"websocket\.receive\(\)"):
            len(pending)
        return await pending

    def view() -> Any:
        return asyncio.run(other())

    assert await asyncio.to_thread(view) == "a"
    assert set(threads) == {threading.main_thread()}
