"""A WebSocket's way to the server: its messages, and what the application does about them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from asyncflask.lazy import lazy
from asyncflask.life.calls import announce_beside
from asyncflask.signals import websocket_received, websocket_sent

if TYPE_CHECKING:
    from blinker import Signal
    from starlette.types import Message

    from asyncflask.ctx import WebsocketContext
    from asyncflask.life.sockets import Sockets

#: Seconds that a view does not read before somebody looks whether its client is there still.
_LOOK_AFTER = 1.0
#: How much is taken from the server meanwhile: messages, and bytes or characters of them. Where
#: there is more, the client's end is behind it and cannot be seen.
_MOST_AHEAD = 256
_MOST_BYTES_AHEAD = 256 * 1024


class Channel:
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
        self._websocket = websocket = context.websocket
        # PERF: the server's own, until somebody looks ahead (scenario: WebSocket).
        websocket._next_message, websocket._notice = self._receive, self._notice
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._loop = asyncio.get_running_loop()
        endpoint = context.endpoint
        self._is_ours = endpoint.function is not None
        # A thread cannot be cancelled.
        self._may_cancel = self._is_ours and not endpoint.keep_worker
        self._closing: asyncio.Task[None] | None = None
        self._is_read = self._view_reads = False
        self._ahead: asyncio.Task[None] | None = None
        self._size = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._wait_to_look()  # it may go before it was accepted

    @lazy
    def _taken(self) -> deque[Message]:
        return deque()

    @lazy
    def _arrived(self) -> asyncio.Event:
        return asyncio.Event()

    async def receive(self) -> Message:
        """Return the server's next message, for who does not ask the WebSocket for it."""
        websocket = self._websocket
        websocket._receivers += 1
        try:
            message = await websocket._next_message()
        finally:
            websocket._receivers -= 1
        telling = self._notice(message)
        if telling is not None:
            await telling
        return message

    # PERF: plain functions, so that between the WebSocket's coroutine and the server's there is
    # none of this (scenario: WebSocket).

    def _notice(self, message: Message) -> Coroutine[Any, Any, None] | None:
        """Learn of a message that was read; return what tells the signal's receivers of it."""
        if message["type"] == "websocket.receive":
            self._read_at = self._loop.time()
            if "look" not in self._timers:
                self._wait_to_look()
            self._is_read = True
            if not self._view_reads:
                self._view_reads = asyncio.current_task() is self._task
            if websocket_received.receivers:
                return _tell_of(websocket_received, message)
        elif message["type"] != "websocket.disconnect":
            self._wait_to_look()
        elif asyncio.current_task() is not self._task:
            self._expect_end(message)
        return None

    def send(self, message: Message) -> Awaitable[None]:
        """Give the server a message."""
        if message["type"] == "websocket.accept":
            return self._accept(message)
        if websocket_sent.receivers and message["type"] == "websocket.send":
            return self._send_and_tell(message)
        return self._send(message)

    async def _accept(self, message: Message) -> None:
        cookies = await self._sockets.save_session(self._context)
        await self._send({**message, "headers": [*message.get("headers", ()), *cookies]})
        if self._is_ours:
            self._context.app.draining.listen(self._close_at_shutdown)

    async def _send_and_tell(self, message: Message) -> None:
        await self._send(message)
        await _tell_of(websocket_sent, message)

    def end(self) -> None:
        """Stop watching, and let the context and the WebSocket go, which know this object."""
        for name in list(self._timers):
            self._stop(name)
        self._context.app.draining.ignore(self._close_at_shutdown)
        for task in (self._closing, self._ahead):
            if task is not None:
                task.cancel()
        self._context.receive, self._context.send = self._receive, self._send
        websocket = self._websocket
        websocket._next_message, websocket._send_message = self._receive, self._send
        websocket._notice = None

    def _close_at_shutdown(self) -> None:
        """Tell an open socket that serving ends: 1001, "going away"."""
        self._closing = self._loop.create_task(self._websocket._close(1001))

    # The client goes while the view does something else. A view that reads the messages itself
    # learns of it when it comes back for the next one, and may finish what it does with the last.
    # One that only sends, or leaves the reading to another task, might wait for ever.

    async def _next(self) -> Message:
        self._stop("overflow")
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

    def _wait_to_look(self) -> None:
        """Look ahead when nothing was read for a while from now.

        PERF: a timer that runs is not set anew, but when it ends (scenario: WebSocket).
        """
        self._read_at = self._loop.time()
        if "look" not in self._timers:
            self._start("look", _LOOK_AFTER, self._look_ahead)

    def _look_ahead(self) -> None:
        """Take messages before the view asks for them: the client's end may be among them."""
        del self._timers["look"]
        early = self._read_at + _LOOK_AFTER - self._loop.time()
        if early > 0 and not self._websocket._receivers:
            self._start("look", early, self._look_ahead)
        else:
            self._meanwhile(self._take)

    def _end_overflow(self) -> None:
        self._meanwhile(self._close_overflow)

    def _meanwhile(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not (self._websocket._receivers or self._context.answered or self._is_looking()):
            self._ahead = self._loop.create_task(work())
            self._websocket._next_message = self._next

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
                await self._websocket._close(1008, "The messages are not read.")
        self._expect_end({"type": "websocket.disconnect", "code": 1008})

    def _expect_end(self, message: Message) -> None:
        """The client has gone: see to it that the view ends."""
        if not self._is_read:  # there are no messages that should come first: sending raises
            self._websocket._note_disconnect(message)
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
            self._websocket._note_disconnect(message)
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
