"""WebSockets of the test clients: the client's end of one, with no server between.

``WebsocketExchange`` plays the server for one WebSocket. ``WebsocketConnection`` is what
``client.websocket()`` gives in ``async def`` tests, ``SyncWebsocketConnection`` in ``def`` tests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from asyncflask.concurrency import finish
from asyncflask.testing._httpx import httpx
from asyncflask.testing.response import TestResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

    from asyncflask.testing.scope import Application

T = TypeVar("T")

#: Seconds that a handshake gets to be answered before the block begins without an answer.
_HANDSHAKE = 1.0


class WebsocketResponseError(Exception):
    """The handshake was refused with ``response``."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(f"The handshake was refused: {response.status}")
        self.response = response


class WebsocketDisconnectError(Exception):
    """The connection has ended, with ``code`` and ``reason``."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"The connection was closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebsocketExchange:
    """Plays the server for one WebSocket.

    As servers do, it answers the application's close by a disconnect, and what is sent to a client
    that has gone raises ``OSError``.

    :param app: the ASGI application.
    :param request: the handshake.
    :param scope: the scope the application is called with.
    :param grace: seconds between the client's leaving and the application's cancellation.
    """

    def __init__(self, app: ASGIApp, request: httpx.Request, scope: Scope, *, grace: float) -> None:
        self._app = app
        self.request = request
        self.accepted = False
        self.subprotocol: str | None = None
        self.headers = httpx.Headers()
        self._scope = scope
        self._grace = grace
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._messages: deque[str | bytes] = deque()
        self._refusal: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._body = b""
        #: How it ended, for whoever receives; told once where the block may end without.
        self._end: Exception | None = None
        self._told = False
        self._left = False
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Call the application, and give it a moment to answer the handshake."""
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._call())
        try:
            async with asyncio.timeout(_HANDSHAKE):
                while not (self.accepted or self._end):
                    await self._change()
        except TimeoutError:
            pass  # its view has something to do before

    async def _call(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
            self._finish_with(WebsocketDisconnectError(1006))
        except Exception as exc:
            if not (self._left and isinstance(exc, OSError)):
                # Whatever was seen before: the test has to know of it.
                self._end, self._told = exc, False
                self._changed.set()

    # What the application sees

    async def _receive(self) -> Message:
        return await self._incoming.get()

    async def _send(self, message: Message) -> None:
        if self._left:
            raise OSError("The client has gone.")
        kind = message["type"]
        if kind not in self._due():
            raise RuntimeError(f"The application sent {kind!r} where {self._due()} was due.")
        match kind:
            case "websocket.accept":
                self.accepted = True
                self.subprotocol = message.get("subprotocol")
                self.headers = httpx.Headers(list(message.get("headers", ())))
            case "websocket.send":
                text = message.get("text")
                self._messages.append(message.get("bytes", b"") if text is None else text)
            case "websocket.close" if self.accepted:
                code, reason = message.get("code", 1000), message.get("reason") or ""
                self._incoming.put_nowait(_disconnect(code, reason))
                self._finish_with(WebsocketDisconnectError(code, reason))
            case "websocket.close":
                self._incoming.put_nowait(_disconnect(1006, ""))
                self._refuse(403, [])
            case "websocket.http.response.start":
                self._refusal = (message["status"], list(message.get("headers", ())))
            case _:  # the body of a refusal
                self._body += message.get("body", b"")
                if self._refusal is not None and not message.get("more_body", False):
                    self._refuse(*self._refusal)
        self._changed.set()

    def _due(self) -> tuple[str, ...]:
        if self._end is not None:
            return ()
        if self.accepted:
            return ("websocket.send", "websocket.close")
        if self._refusal is not None:
            return ("websocket.http.response.body",)
        return ("websocket.accept", "websocket.close", "websocket.http.response.start")

    def _refuse(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.headers = httpx.Headers(headers)
        response = TestResponse(status, headers=headers, content=self._body, request=self.request)
        self._finish_with(WebsocketResponseError(response))

    def _finish_with(self, end: Exception) -> None:
        if self._end is None:
            self._end = end
        self._changed.set()

    # What the client does

    async def receive(self) -> str | bytes:
        """Return the application's next message.

        :raises WebsocketDisconnectError: the connection has ended.
        :raises WebsocketResponseError: the handshake was refused.
        :raises Exception: what left the application.
        """
        while not self._messages:
            if self._end is not None:
                self._told = True
                raise self._end
            await self._change()
        return self._messages.popleft()

    async def send(self, data: str | bytes) -> None:
        """Send a message; the exceptions are those of :meth:`receive`."""
        if self._end is not None and not self._messages:
            self._told = True
            raise self._end
        key = "text" if isinstance(data, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", key: data})

    async def leave(self, code: int, reason: str) -> None:
        """Be gone, with a close frame or, with the code 1006, without."""
        if self._end is None:
            self._left = True
            self._incoming.put_nowait(_disconnect(code, reason))
            self._finish_with(WebsocketDisconnectError(code, reason))

    async def aclose(self) -> None:
        """Close the connection if need be, and see the application to its end.

        :raises Exception: what left the application, or that the handshake was refused, where
            nobody was told yet.
        :raises RuntimeError: the application did not return in time and was cancelled.
        """
        await self.leave(1000, "")
        returned = await finish(self._task, self._grace)
        if not (self._told or isinstance(self._end, WebsocketDisconnectError | None)):
            self._told = True
            raise self._end
        if not returned:
            raise RuntimeError(
                f"The application was still busy with the WebSocket {self._scope['path']} "
                f"{self._grace:g} s after its end, and was cancelled."
            )

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _disconnect(code: int, reason: str) -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


class WebsocketBase:
    """What the client's end of a WebSocket tells in ``async def`` and ``def`` tests."""

    def __init__(
        self,
        app: Application,
        make_exchange: Callable[[], WebsocketExchange],
        keep_cookies: Callable[[WebsocketExchange], None],
    ) -> None:
        #: The application under test.
        self.app = app
        self._make_exchange = make_exchange
        self._keep_cookies = keep_cookies
        self._exchange: WebsocketExchange | None = None

    async def _begin(self) -> None:
        self._exchange = self._make_exchange()
        await self._exchange.start()
        self._keep_cookies(self._exchange)

    async def _end(self, error: BaseException | None) -> None:
        self._keep_cookies(self._open)  # of a handshake that was answered late
        try:
            await self._open.aclose()
        except Exception:
            if error is None:  # else the test has failed already, and that is what counts
                raise

    @property
    def _open(self) -> WebsocketExchange:
        if self._exchange is None:
            raise RuntimeError("Open the WebSocket first: 'with client.websocket(...) as ws:'.")
        return self._exchange

    @property
    def accepted(self) -> bool:
        """Whether the handshake was accepted."""
        return self._open.accepted

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was accepted, or None."""
        return self._open.subprotocol

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer to the handshake."""
        return self._open.headers


class WebsocketConnection(WebsocketBase):
    """The client's end of a WebSocket, in ``async def`` tests.

    ::

        async with client.websocket("/echo") as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"

    The end of the block closes it with 1000 and waits for the application.
    """

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end(exc_value)

    async def receive(self) -> str | bytes:
        """Return the application's next message.

        :raises WebsocketDisconnectError: the connection has ended.
        :raises WebsocketResponseError: the handshake was refused.
        :raises Exception: what left the application.
        """
        return await self._open.receive()

    async def receive_json(self) -> Any:
        """Return the application's next message read as JSON."""
        return self.app.json.loads(await self.receive())

    async def send(self, data: str | bytes) -> None:
        """Send a message; the exceptions are those of :meth:`receive`."""
        await self._open.send(data)

    async def send_json(self, data: Any) -> None:
        """Send JSON in a text frame."""
        await self.send(self.app.json.dumps(data))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection from the client's side."""
        await self._open.leave(code, reason)

    async def disconnect(self) -> None:
        """Be gone without a close frame: 1006 to the application."""
        await self._open.leave(1006, "")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebsocketDisconnectError as exc:
            if exc.code == 1000:
                raise StopAsyncIteration from None
            raise


class SyncWebsocketConnection(WebsocketBase):
    """The client's end of a WebSocket, in ``def`` tests: without ``await`` and ``async``.

    Other than for requests, a ``def`` view runs in a thread of the application's: this one goes on
    with the test.

    :param wait: runs a coroutine on the loop of the application.
    """

    def __init__(
        self,
        app: Application,
        make_exchange: Callable[[], WebsocketExchange],
        keep_cookies: Callable[[WebsocketExchange], None],
        wait: Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any],
    ) -> None:
        super().__init__(app, make_exchange, keep_cookies)
        self._wait = wait

    def __enter__(self) -> Self:
        self._wait(self._begin)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wait(lambda: self._end(exc_value))

    def receive(self) -> str | bytes:
        """Return the application's next message; see :meth:`WebsocketConnection.receive`."""
        message: str | bytes = self._wait(self._open.receive)
        return message

    def receive_json(self) -> Any:
        """Return the application's next message read as JSON."""
        return self.app.json.loads(self.receive())

    def send(self, data: str | bytes) -> None:
        """Send a message; the exceptions are those of :meth:`receive`."""
        self._wait(lambda: self._open.send(data))

    def send_json(self, data: Any) -> None:
        """Send JSON in a text frame."""
        self.send(self.app.json.dumps(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection from the client's side."""
        self._wait(lambda: self._open.leave(code, reason))

    def disconnect(self) -> None:
        """Be gone without a close frame: 1006 to the application."""
        self._wait(lambda: self._open.leave(1006, ""))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str | bytes:
        try:
            return self.receive()
        except WebsocketDisconnectError as exc:
            if exc.code == 1000:
                raise StopIteration from None
            raise
