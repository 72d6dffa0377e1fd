"""The WebSocket: a connection with messages both ways (RFC 6455) in the place of a body.

``BaseWebsocket`` holds what reads the same in all code. What waits for the client is awaited in
``async def`` code and a plain call in ``def`` code: one class at run time, ``Websocket``, that a
type checker sees as ``Websocket`` for the former and as ``SyncWebsocket`` for the latter.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.websockets import WebSocketDisconnect as WebSocketDisconnect
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest

from asyncflask.concurrency import resolve, running_loop
from asyncflask.lazy import lazy
from asyncflask.messages.connection import Application, Connection
from asyncflask.messages.response import wire_name

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from asyncflask.typing import HeadersValue

T = TypeVar("T")

#: Close codes that end ``async for`` as the end of a file does: normal, going away, none given.
NORMAL_CLOSES = frozenset({1000, 1001, 1005})

#: Codes of RFC 6455 and its registry that an endpoint may send; 3000 to 4999 are free for use.
_SENDABLE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_MAX_REASON = 123  # bytes: a close frame has 125, two of them for the code

#: What a message can be. PERF: a union would be made at each check (scenario: WebSocket).
_DATA = (str, bytes, bytearray, memoryview)

#: After how many messages without receiving one the event loop gets its turn.
_TURN = 16

#: Seconds that the server gets to tell with which code the client has gone.
_PATIENCE = 1.0


class BaseWebsocket(Connection):
    """What a WebSocket offers to ``def`` and ``async def`` code alike.

    Nothing is accepted when one is made: that is done by the first message in either direction,
    or by ``accept()``.

    :param scope: the ASGI scope. Its ``route`` and ``path_params`` say what was matched.
    :param receive: the ASGI ``receive``.
    :param send: the ASGI ``send``.
    :param app: the application, for its configuration and its JSON provider.
    :param loop: the event loop that serves the connection; None for one made by hand.
    """

    #: Whether the handshake was accepted.
    accepted: bool
    #: The subprotocol that was accepted, or None.
    subprotocol: str | None = None
    #: The code that the connection was closed with, by whichever side was first; None while it is
    #: open. 1005: the client gave none. 1006: it has gone without a word.
    close_code: int | None
    #: The reason that came with the code, often empty.
    close_reason = ""

    #: Told of each message that has arrived; what it returns, unless None, is awaited.
    _notice: Callable[[Message], Coroutine[Any, Any, None] | None] | None

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        app: Application,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.scope = scope
        self.app = app
        self.loop = loop
        self._next_message = receive
        self._send_message = send
        self._sent_in_a_row = 0
        self._receivers = 0
        # PERF: a default in the class is looked up the slow way (scenario: WebSocket).
        self.accepted = False
        self.close_code = None
        self._notice = None

    @property
    def requested_subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, in its order of preference."""
        return list(self.scope.get("subprotocols") or ())

    @lazy
    def max_message_size(self) -> int | None:
        """The most bytes a message of the client may have, or None; set it before receiving.

        By default ``WEBSOCKET_MAX_MESSAGE_SIZE``. A larger one closes the connection (1009).
        """
        size: int | None = self.app.config["WEBSOCKET_MAX_MESSAGE_SIZE"]
        return size

    def __repr__(self) -> str:
        if self.close_code is not None:
            state = f"closed with {self.close_code}"
        else:
            state = "open" if self.accepted else "not accepted"
        return f"<{type(self).__name__} {self.path!r} ({state})>"

    # --- The work, on the event loop

    def _ask(self, expression: str, make: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> Any:
        """Answer as the one rule says; in ``async def`` code by a coroutine, for tasks too."""
        here = running_loop()
        if here is not None and (self.loop is None or here is self.loop):
            return make(*args)
        return resolve(partial(make, *args), loop=self.loop, expression=expression)

    @lazy
    def _handshake(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def _accept(
        self, headers: HeadersValue | None = None, subprotocol: str | None = None
    ) -> None:
        # Two tasks of a view may send and receive at once, and both accept.
        async with self._handshake:
            if self.accepted and (headers is not None or subprotocol is not None):
                raise RuntimeError(
                    "The WebSocket is accepted already, so its headers and its subprotocol cannot "
                    "be chosen any more. Call 'accept()' before the first message."
                )
            if self.accepted:
                return
            self._check_open()
            message = {
                "type": "websocket.accept",
                "subprotocol": self._checked_subprotocol(subprotocol),
                "headers": [] if headers is None else _raw_headers(headers),
            }
            await self._read()  # websocket.connect
            try:
                await self._send_message(message)
            except OSError:
                raise await self._lost() from None
            self.subprotocol = subprotocol
            self.accepted = True

    def _checked_subprotocol(self, subprotocol: str | None) -> str | None:
        offered = self.requested_subprotocols
        if subprotocol is not None and subprotocol not in offered:
            raise ValueError(
                f"The subprotocol {subprotocol!r} was not offered by the client, which would fail "
                f"the connection (RFC 6455, 4.1). It offers {offered}."
            )
        return subprotocol

    def _receive(self, iterating: bool = False) -> Coroutine[Any, Any, str | bytes]:
        if self.accepted:
            return self._read(self.max_message_size, iterating)
        return self._receive_first(iterating)

    async def _receive_first(self, iterating: bool) -> str | bytes:
        try:
            await self._accept()
        except WebSocketDisconnect:
            raise self._ending(iterating) from None
        return await self._read(self.max_message_size, iterating)

    async def _receive_json(self) -> Any:
        data = await self._receive()
        try:
            return self._load_json(data)
        except ValueError as exc:
            details = f": {exc}" if self.app.debug else "."
            raise BadRequest(f"The message is not valid JSON{details}") from exc

    async def _send(self, data: str | bytes) -> None:
        if not self.accepted:
            await self._accept()
        if self.close_code is not None:
            raise self._disconnect()
        if isinstance(data, str):
            message: Message = {"type": "websocket.send", "text": data}
        else:
            message = {"type": "websocket.send", "bytes": bytes(data)}
        try:
            await self._send_message(message)
        except OSError:
            raise await self._lost() from None
        # A view that does nothing but send must not keep the loop to itself.
        self._sent_in_a_row += 1
        if self._sent_in_a_row >= _TURN:
            self._sent_in_a_row = 0
            await asyncio.sleep(0)

    async def _close(self, code: int = 1000, reason: str = "") -> None:
        if self.close_code is None:
            self._end(code, reason)
            message = {"type": "websocket.close", "code": code, "reason": reason}
            with contextlib.suppress(OSError):  # the client has gone at the same moment
                await self._send_message(message)

    # --- The state

    def _check_open(self) -> None:
        if self.close_code is not None:
            raise self._disconnect()

    def _end(self, code: int, reason: str | None) -> None:
        if self.close_code is None:
            self.close_code = code
            self.close_reason = reason or ""

    def _note_disconnect(self, message: Message) -> None:
        self._end(message.get("code") or 1005, message.get("reason"))

    def _disconnect(self) -> WebSocketDisconnect:
        code = 1006 if self.close_code is None else self.close_code
        return WebSocketDisconnect(code, self.close_reason)

    def _ending(self, iterating: bool) -> Exception:
        if iterating and self.close_code in NORMAL_CLOSES:
            return StopAsyncIteration()
        return self._disconnect()

    async def _read(self, limit: int | None = None, iterating: bool = False) -> str | bytes:
        """Read a message and return its data.

        PERF: the only coroutine between the view and the server's, nothing of it in functions of
        their own (scenario: WebSocket).

        :param limit: the most bytes it may have.
        :param iterating: a normal end is that of an iteration.
        """
        if self.close_code is not None:
            raise self._ending(iterating)
        self._sent_in_a_row = 0
        self._receivers += 1
        try:
            message = await self._next_message()
        finally:
            self._receivers -= 1
        if self._notice is not None:
            telling = self._notice(message)
            if telling is not None:
                await telling
        if message["type"] == "websocket.disconnect":
            self._note_disconnect(message)
        if self.close_code is not None:  # or somebody else has closed it meanwhile
            raise self._ending(iterating)
        data: str | bytes | None = message.get("text")
        if data is None:
            data = message.get("bytes") or b""
        # No character has more than four bytes.
        if limit is not None and len(data) * 4 > limit and _is_bigger(data, limit):
            await self._close(1009, f"A message may have {limit} bytes.")
            raise self._disconnect()
        return data

    async def _lost(self) -> WebSocketDisconnect:
        """Return what to raise where the server could not send.

        With ``OSError`` ASGI says that the client has gone, but not with which code: read on to the
        server's word of that, unless another task does.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                while self.close_code is None and not self._receivers:
                    await self._read()
        except (WebSocketDisconnect, TimeoutError):
            pass
        if not self._receivers:
            self._end(1006, "")
        return self._disconnect()


def _raw_headers(headers: HeadersValue | None) -> list[tuple[bytes, bytes]]:
    raw = [(wire_name(name), value.encode("latin-1")) for name, value in Headers(headers)]
    if any(name == b"sec-websocket-protocol" for name, _ in raw):
        raise ValueError("The subprotocol is no header here: write 'accept(subprotocol=...)'.")
    return raw


def _is_bigger(data: str | bytes, limit: int) -> bool:
    if isinstance(data, str) and not data.isascii():
        data = data.encode(errors="surrogatepass")
    return len(data) > limit


def _check_close(code: int, reason: str) -> None:
    if code not in _SENDABLE_CODES and not 3000 <= code <= 4999:
        raise ValueError(
            f"{code} is no close code that can be sent. Use one of RFC 6455, 7.4.1, such as 1000 "
            "or 1008, or one of your own between 4000 and 4999."
        )
    if len(reason.encode()) > _MAX_REASON:
        raise ValueError(
            f"The reason of a close has at most {_MAX_REASON} bytes (RFC 6455, 5.5), not "
            f"{len(reason.encode())}."
        )


def _json_value(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and kwargs:
        raise TypeError("A JSON message is made of arguments or of keywords, not of both.")
    return args[0] if len(args) == 1 else args or kwargs


class Websocket(BaseWebsocket):
    """The WebSocket that is being handled.

    In ``async def`` code its methods are awaited and messages come with ``async for``; in ``def``
    code they are plain calls, and messages come with ``for``. However the connection ends,
    receiving and sending then raise :class:`WebSocketDisconnect` with ``code`` and ``reason``.
    """

    def accept(
        self, headers: HeadersValue | None = None, subprotocol: str | None = None
    ) -> Coroutine[Any, Any, None]:
        """Accept the handshake; without this the first message in either direction does.

        :param headers: more headers for the response. The session's cookie is added.
        :param subprotocol: one of :attr:`requested_subprotocols`.
        :raises ValueError: the subprotocol was not offered.
        :raises RuntimeError: there is something to choose, but it was accepted before.
        :raises WebSocketDisconnect: the client has gone.
        """
        return self._ask("websocket.accept()", self._accept, headers, subprotocol)  # type: ignore[no-any-return]

    def receive(self) -> Coroutine[Any, Any, str | bytes]:
        """Return the next message: str from a text frame, bytes from a binary one.

        :raises WebSocketDisconnect: the connection has ended.
        """
        return self._ask("websocket.receive()", self._receive)  # type: ignore[no-any-return]

    def receive_json(self) -> Coroutine[Any, Any, Any]:
        """Return the next message read as JSON.

        :raises BadRequest: it is not JSON. If nobody handles that, it closes with 1007.
        :raises WebSocketDisconnect: the connection has ended.
        """
        return self._ask("websocket.receive_json()", self._receive_json)  # type: ignore[no-any-return]

    def send(self, data: str | bytes) -> Coroutine[Any, Any, None]:
        """Send a message: str in a text frame, bytes in a binary one.

        :raises WebSocketDisconnect: the connection has ended.
        """
        if not isinstance(data, _DATA):
            raise TypeError(
                f"A WebSocket sends str or bytes, not {type(data).__name__!r}. For JSON there is "
                "'send_json()'."
            )
        # PERF: here and in `__anext__` the usual answer of `_ask` (scenario: WebSocket).
        if self.loop is not None and running_loop() is self.loop:
            return self._send(data)
        return self._ask("websocket.send(...)", self._send, data)  # type: ignore[no-any-return]

    def send_json(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, None]:
        """Send JSON in a text frame.

        :param args: the value; several are sent as a list.
        :param kwargs: in place of ``args``: the members of an object.
        :raises WebSocketDisconnect: the connection has ended.
        """
        text = self.app.json.dumps(_json_value(args, kwargs))
        return self._ask("websocket.send_json(...)", self._send, text)  # type: ignore[no-any-return]

    def close(self, code: int = 1000, reason: str = "") -> Coroutine[Any, Any, None]:
        """Close the connection, if it is open still; before it was accepted, refuse it (403).

        :param code: of RFC 6455, 7.4.1, or one of your own between 4000 and 4999.
        :param reason: at most 123 bytes.
        :raises ValueError: another code, or a longer reason.
        """
        _check_close(code, reason)
        return self._ask("websocket.close()", self._close, code, reason)  # type: ignore[no-any-return]

    def __aiter__(self) -> Websocket:
        return self

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        if self.accepted and self.loop is not None and running_loop() is self.loop:
            return self._read(self.max_message_size, True)
        return self._ask("websocket.receive()", self._receive, True)  # type: ignore[no-any-return]

    def __iter__(self) -> Websocket:
        if running_loop() is not None:
            raise RuntimeError(
                "'for message in websocket' is for 'def' code: it would block the event loop. In "
                "'async def' code write 'async for message in websocket'."
            )
        return self

    def __next__(self) -> Any:
        try:
            return self.receive()
        except WebSocketDisconnect as exc:
            if exc.code in NORMAL_CLOSES:
                raise StopIteration from None
            raise


if TYPE_CHECKING:

    class SyncWebsocket(BaseWebsocket):
        """:class:`Websocket` as ``def`` code sees it."""

        def accept(
            self, headers: HeadersValue | None = None, subprotocol: str | None = None
        ) -> None: ...
        def receive(self) -> str | bytes: ...
        def receive_json(self) -> Any: ...
        def send(self, data: str | bytes) -> None: ...
        def send_json(self, *args: Any, **kwargs: Any) -> None: ...
        def close(self, code: int = 1000, reason: str = "") -> None: ...
        def __iter__(self) -> SyncWebsocket: ...
        def __next__(self) -> str | bytes: ...

else:
    SyncWebsocket = Websocket
