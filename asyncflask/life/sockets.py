"""WebSockets: the life of a request, and what an answer means where there are messages.

Before the handshake is accepted an answer, whoever gives it, refuses it: it is sent as the
response. After that no response can be sent, and the answer's status becomes a close code.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from starlette.websockets import WebSocketDisconnect
from werkzeug.exceptions import ServiceUnavailable

from asyncflask.concurrency import on_loop
from asyncflask.ctx import ConnectionContext, WebsocketContext
from asyncflask.life.calls import announce, announce_beside, call_function
from asyncflask.life.dispatch import Dispatch
from asyncflask.life.guard import refuse_origin
from asyncflask.signals import websocket_received, websocket_sent

if TYPE_CHECKING:
    from blinker import Signal
    from starlette.types import Message, Receive, Scope, Send
    from werkzeug.exceptions import HTTPException

    from asyncflask.app import Flask
    from asyncflask.life.plan import Endpoint, Plan
    from asyncflask.life.routes import Found, Router
    from asyncflask.messages.response import Response

#: Close codes (RFC 6455, 7.4.1 and its registry) for statuses; else 1008 for 4xx, 1011 for 5xx.
_CLOSE_CODES = {400: 1007, 413: 1009, 503: 1013}

#: Headers of a response that the handshake has its own of, or none.
_OF_RESPONSES = frozenset({"content-type", "content-length", "vary"})

#: Seconds that a view does not read before somebody looks whether its client is there still.
_LOOK_AFTER = 1.0
#: How much is taken from the server meanwhile: messages, and bytes or characters of them. Where
#: there is more, the client's end is behind it and cannot be seen.
_MOST_AHEAD = 256
_MOST_BYTES_AHEAD = 256 * 1024


def close_code(status: int) -> int:
    """Return what an HTTP status means for a WebSocket that is open: ``404 -> 1008``."""
    if status < 400:
        return 1000
    return _CLOSE_CODES.get(status) or (1011 if status >= 500 else 1008)


class Sockets(Dispatch):
    """Handles the WebSockets of one application, as its base handles the requests."""

    def __init__(self, app: Flask, router: Router, plan: Plan) -> None:
        super().__init__(app, router, plan)
        self._miss = plan.websocket_miss
        self._foreign = plan.websocket_foreign

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one WebSocket, from the handshake to the last teardown function."""
        route, endpoint, params, error = self._refuse(scope) or self._find_open(scope)
        if endpoint is None:
            endpoint = self._miss if route is None else self._foreign
        # A handshake is a GET (RFC 6455, section 4.1); ASGI does not say so.
        scope.setdefault("method", "GET")
        scope.update(
            router=self.router, route=route, endpoint=endpoint.function, path_params=params
        )
        return self._go_in(scope, receive, send, endpoint, error)

    def _find_open(self, scope: Scope) -> Found:
        """Find the route; ours is not there for other sites' pages, nor at the end of serving."""
        found = self._find(scope)
        if found[1] is None:
            return found
        if self._app.draining.is_set():
            return None, None, {}, ServiceUnavailable("The server is shutting down.")
        return refuse_origin(scope, self._app.config["WEBSOCKET_ALLOWED_ORIGINS"]) or found

    async def _go_in(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        endpoint: Endpoint,
        error: HTTPException | None = None,
    ) -> None:
        context = WebsocketContext(self._app, scope, receive, send, endpoint, scope["path_params"])
        context.routing_exception = error
        if endpoint.inner is not None:  # middleware of blueprints comes first
            await self._run_elsewhere(context)
            return
        line = _Line(self, context)
        try:
            await (self._run_elsewhere(context) if endpoint.elsewhere else self._run(context))
        finally:
            line.end()

    async def save_session(self, context: WebsocketContext) -> list[tuple[bytes, bytes]]:
        """Save the session with the handshake, and return its headers for that."""
        context.sent = True
        if context._session is None:
            return []
        response = self._app.response_class()
        await self._save_session(context, response)
        return [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers
            if name.lower() not in _OF_RESPONSES
        ]

    # What is the same as for requests up to here.

    async def _recover(self, context: ConnectionContext, exc: BaseException) -> Any:
        if _is_interrupted(context, exc) or is_disconnect(exc):
            if context.answered:
                return None
            try:
                return await self._finalize(context, None)
            except BaseException as failure:
                exc = failure
        try:
            return await super()._recover(context, exc)
        except Exception:  # it is to reach the server, or the test
            if context.websocket.accepted:
                await self._close(context, 1011)
            raise

    async def _finalize(self, context: ConnectionContext, value: Any) -> Any:
        if value is not None:
            return await super()._finalize(context, value)
        context.answered = True
        response = await self._process(context, None)
        if context.finished.receivers:
            await announce(context, context.finished, response=response)
        return response

    async def _process(self, context: ConnectionContext, response: Any) -> Any:
        """Let the hooks see the response that refuses the handshake, or None where there is none.

        Other than after a request, they need not return it.
        """
        for function in context.after_functions or ():
            response = await call_function(context, function, response) or response
        for function in context.endpoint.after:
            response = await function(response) or response
        if response is not None and context._session is not None and not context.sent:
            await self._save_session(context, response)
        return response

    def _messages(self, context: ConnectionContext, response: Any) -> Any:
        return response

    async def _conclude(self, context: ConnectionContext, answer: Any) -> None:
        """Refuse the handshake with the answer, or close the connection; then the teardowns."""
        websocket = context.websocket
        if answer is not None and not websocket.accepted and websocket.close_code is None:
            context.send = _refusing(context.scope, context.send)
            await super()._conclude(context, answer)
            return
        try:
            code = 1000 if answer is None else close_code(answer.status_code)
            await self._close(context, code if context.error is None else 1011)
            if answer is not None:
                await answer.aclose()
        except BaseException as exc:
            self._tear_down_beside(context, exc)
            raise
        await self.tear_down(context, context.error)
        await self._back_on_loop(context)
        if context.reraise:
            raise cast(Exception, context.error)

    async def _close(self, context: ConnectionContext, code: int) -> None:
        if context.journey is not None:
            await on_loop
        await context.websocket._close(code)

    async def _deliver(self, context: ConnectionContext, response: Response) -> None:
        # A route of Starlette's has failed before it answered the handshake.
        if context.endpoint is self._foreign:
            context.send = _refusing(context.scope, context.send)
        await super()._deliver(context, response)


class _Line:
    """The server's ``receive`` and ``send`` for one socket, and what the application adds.

    The session goes out with the handshake, messages are signalled, and the end of serving closes
    the socket. An ``async def`` view that does not notice that its client has gone is cancelled.

    :param sockets: what saves the session.
    :param context: gets these ``receive`` and ``send`` in the place of its own.
    """

    def __init__(self, sockets: Sockets, context: WebsocketContext) -> None:
        self._sockets = sockets
        self._context = context
        self._receive, self._send = context.receive, context.send
        context.receive, context.send = self.receive, self.send
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._loop = asyncio.get_running_loop()
        endpoint = context.endpoint
        self._is_ours = endpoint.function is not None
        # A thread cannot be cancelled.
        self._may_cancel = self._is_ours and not endpoint.keep_worker
        self._watcher: asyncio.Task[None] | None = None
        self._readers = 0
        self._is_read = self._view_reads = False
        self._ahead: asyncio.Task[None] | None = None
        self._taken: deque[Message] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._start("look", _LOOK_AFTER, self._look_ahead)  # it may go before it was accepted

    async def receive(self) -> Message:
        """Return the server's next message."""
        self._stop("look")
        self._stop("overflow")
        in_view = asyncio.current_task() is self._task
        self._readers += 1
        try:
            message = await self._next()
        finally:
            self._readers -= 1
        kind = message["type"]
        if kind != "websocket.disconnect":
            self._start("look", _LOOK_AFTER, self._look_ahead)
        elif not in_view:
            self._expect_end(message)
        if kind == "websocket.receive":
            self._is_read = True
            self._view_reads = self._view_reads or in_view
            if websocket_received.receivers:
                await _tell_of(websocket_received, message)
        return message

    async def send(self, message: Message) -> None:
        """Give the server a message."""
        kind = message["type"]
        if kind == "websocket.accept":
            cookies = await self._sockets.save_session(self._context)
            await self._send({**message, "headers": [*message.get("headers", ()), *cookies]})
            if self._is_ours:
                self._watcher = asyncio.create_task(self._close_at_shutdown())
            return
        await self._send(message)
        if websocket_sent.receivers and kind == "websocket.send":
            await _tell_of(websocket_sent, message)

    def end(self) -> None:
        """Stop watching, and let go of the context, which knows this object."""
        for name in list(self._timers):
            self._stop(name)
        for task in (self._watcher, self._ahead):
            if task is not None:
                task.cancel()
        self._context.receive, self._context.send = self._receive, self._send

    async def _close_at_shutdown(self) -> None:
        """Tell an open socket that serving ends: 1001, "going away"."""
        await self._context.app.draining.wait()
        await self._context.websocket._close(1001)

    # The client goes while the view does something else. A view that reads the messages itself
    # learns of it when it comes back for the next one, and may finish what it does with the last.
    # One that only sends, or leaves the reading to another task, might wait for ever.

    async def _next(self) -> Message:
        while not self._taken:
            if not self._is_looking():
                return await self._receive()
            self._arrived.clear()
            await self._arrived.wait()
        message = self._taken.popleft()
        self._size -= _size_of(message)
        return message

    def _is_looking(self) -> bool:
        return self._ahead is not None and not self._ahead.done()

    def _look_ahead(self) -> None:
        """Take messages before the view asks for them: the client's end may be among them."""
        self._meanwhile(self._take)

    def _end_overflow(self) -> None:
        self._meanwhile(self._close_overflow)

    def _meanwhile(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not (self._readers or self._context.answered or self._is_looking()):
            self._ahead = self._loop.create_task(work())

    async def _take(self) -> None:
        try:
            while len(self._taken) < _MOST_AHEAD and self._size < _MOST_BYTES_AHEAD:
                message = await self._receive()
                self._taken.append(message)
                self._size += _size_of(message)
                self._arrived.set()
                if message["type"] == "websocket.disconnect":
                    self._expect_end(message)
                    return
        finally:
            self._arrived.set()
        seconds = self._context.app.config["WEBSOCKET_CLOSE_TIMEOUT"]
        self._start("overflow", seconds, self._end_overflow)

    async def _close_overflow(self) -> None:
        """Send a client away whose messages nobody reads: it may have gone long ago."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AFTER):
                await self._context.websocket._close(1008, "The messages are not read.")
        self._expect_end({"type": "websocket.disconnect", "code": 1008})

    def _expect_end(self, message: Message) -> None:
        """The client has gone: see to it that the view ends."""
        if not self._is_read:  # there are no messages that should come first: sending raises
            self._context.websocket._note_disconnect(message)
        seconds: float = self._context.app.config["WEBSOCKET_CLOSE_TIMEOUT"]
        interrupt = partial(self._interrupt, message)
        if self._view_reads or seconds <= _LOOK_AFTER:
            self._start("end", seconds, interrupt)
            return
        waits_for = _awaited(self._task)

        def interrupt_if_stuck() -> None:
            # A view that another task of its own has told is doing something about it.
            if _awaited(self._task) is waits_for:
                interrupt()
            else:
                self._start("end", seconds - _LOOK_AFTER, interrupt)

        self._start("end", _LOOK_AFTER, interrupt_if_stuck)

    def _interrupt(self, message: Message) -> None:
        if not self._context.answered:
            self._context.websocket._note_disconnect(message)
            self._context.interrupted = True
            self._task.cancel()

    def _start(self, name: str, seconds: float, function: Callable[[], None]) -> None:
        self._stop(name)
        if self._may_cancel:
            self._timers[name] = self._loop.call_later(seconds, function)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _size_of(message: Message) -> int:
    return len(message.get("text") or message.get("bytes") or b"")


def _awaited(task: asyncio.Task[Any]) -> Any:
    """The future that a task waits for. There is no public way to ask."""
    return getattr(task, "_fut_waiter", None)


async def _tell_of(signal: Signal, message: Message) -> None:
    data = message.get("text")
    if data is None:
        data = message.get("bytes")
    await announce_beside(data, signal)


def _refusing(scope: Scope, send: Send) -> Send:
    """Return a ``send`` for the response that refuses a handshake.

    Where the server does not offer the extension "websocket.http.response", it sends its own 403.
    """
    extended = "websocket.http.response" in (scope.get("extensions") or {})

    async def refuse_with(message: Message) -> None:
        kind = message["type"].removeprefix("websocket.")
        with contextlib.suppress(OSError):  # the client has gone, and will not miss it
            if extended:
                await send({**message, "type": f"websocket.{kind}"})
            elif kind == "http.response.start":
                await send({"type": "websocket.close", "code": 1008, "reason": ""})

    return refuse_with


def _is_interrupted(context: ConnectionContext, exc: BaseException) -> bool:
    """Whether a cancellation is ours, and only ours: the client has gone."""
    if not (isinstance(context, WebsocketContext) and context.interrupted):
        return False
    context.interrupted = False
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    return task.uncancel() == 0 and isinstance(exc, asyncio.CancelledError)


def is_disconnect(exc: BaseException) -> bool:
    """Whether an exception, or each in a group, only tells that the connection has ended."""
    if isinstance(exc, BaseExceptionGroup):
        return exc.split(WebSocketDisconnect)[1] is None
    return isinstance(exc, WebSocketDisconnect)
