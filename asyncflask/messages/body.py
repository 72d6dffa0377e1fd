"""The request body as it arrives: whole, in parts, or as a file, with its limits kept.

Everything here goes through one place, :meth:`Body._pull`, which takes one message from the
server. So the body can have several readers, and one who only waits for the client to leave.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from types import CoroutineType, coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    RequestEntityTooLarge,
    RequestTimeout,
)

from asyncflask.concurrency import resolve, running_loop
from asyncflask.lazy import lazy

if TYPE_CHECKING:
    from starlette.types import Message, Receive

T = TypeVar("T")

#: How many bytes are kept for a later reader while only the client's departure is awaited.
READ_AHEAD = 64 * 1024


async def no_body() -> Message:
    """Stand in for ``receive`` where a request has no body."""
    return {"type": "http.request", "body": b"", "more_body": False}


@coroutine
def _rest(work: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Go on with ``work``, which has begun and waits for ``waits_for``."""
    try:
        while True:
            try:
                value = yield waits_for
            except BaseException as exc:
                waits_for = work.throw(exc)
            else:
                waits_for = work.send(value)
    except StopIteration as stop:
        result: T = stop.value
        return result


class Body:
    """The bytes that the client sends, counted against the limit as they arrive.

    ``await body`` gives all of it, and again the same at each further ``await``.
    ``async for chunk in body`` gives it in parts of the sizes in which they arrive, and keeps none
    of them; what was given in parts cannot be had whole any more.

    Any of them raises

    - :class:`~werkzeug.exceptions.RequestEntityTooLarge` (413) when ``limit`` is passed. A
      ``Content-Length`` above it is refused before anything is received.
    - :class:`~werkzeug.exceptions.RequestTimeout` (408) when nothing comes for ``timeout`` seconds.
    - :class:`~werkzeug.exceptions.ClientDisconnected` (400) when the client leaves before the end.
    - :class:`~werkzeug.exceptions.BadRequest` (400) when less comes than ``Content-Length`` said.

    :param receive: the ASGI ``receive`` callable; from here on nobody else may call it.
    :param limit: the most bytes to accept, or None. It may be changed until it is passed.
    :param content_length: the size in bytes that the client declared, or None.
    :param timeout: the most seconds between two messages, or None.
    :param loop: the loop on which ``receive`` lives; None is the loop that reads first.
    """

    # PERF: what a body that arrives in one message does not need is set when it is needed
    # (scenario: validated model).

    #: Whether it was given out in parts, so that it cannot be had whole.
    streamed = False
    # Whether anything was asked of the server.
    _begun = False
    # Set by whoever waits for `receive`, so that there is one at a time.
    _busy: asyncio.Event | None = None
    _taking = False
    _count = 0
    _arrived = False
    _gone = False
    _failure: HTTPException | None = None
    # Whether parts were thrown away, since nobody read them.
    _lost = False
    # Whether somebody reads it whole, or did, so that it cannot be taken in parts.
    _wants_whole = False
    _whole: bytes | None = None
    _room: asyncio.Event | None = None

    def __init__(
        self,
        receive: Receive,
        limit: int | None = None,
        content_length: int | None = None,
        timeout: float | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.limit = limit
        self._receive = receive
        self._declared = content_length
        self._timeout = timeout
        self._loop = loop

    @lazy
    def _buffer(self) -> list[bytes]:
        return []

    def __repr__(self) -> str:
        state = "complete" if self._arrived else "arriving"
        return f"<{type(self).__name__} {state}, {self._count} bytes so far>"

    @property
    def whole(self) -> bytes | None:
        """All of it, when it was read whole already; else None."""
        return self._whole

    @property
    def is_read_whole(self) -> bool:
        """Whether somebody reads it whole, or did, so that it cannot be taken in parts."""
        return self._wants_whole

    def __await__(self) -> Generator[Any, Any, bytes]:
        return (yield from self._at_home(self.read).__await__())

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self.streamed and self._arrived and not self._buffer:
            raise already_streamed()
        return _Parts(self)

    def read_now(self, limit: int | None = None) -> bytes | Awaitable[bytes]:
        """Return all of the body if it is here in one message, or else what reads it.

        PERF: neither a coroutine nor a buffer for most bodies (scenarios: JSON echo, form).

        :param limit: as for :meth:`read`, which raises the same.
        """
        if self._begun or self.streamed:
            return self.read(limit)
        self._wants_whole = True
        self._check_size(self._declared, limit)
        message = self._ask_server()
        if message.__class__ is not dict:
            return self._read_on(self._wait(message), limit)
        data: Any = message.get("body")
        if (
            data.__class__ is not bytes
            or len(data) != self._declared  # whose size was looked at
            or message.get("more_body")
        ):
            self._take(message)
            return self.read(limit)
        self._count = len(data)
        self._arrived = True
        self._whole = data
        return data

    async def _read_on(self, waiting: Awaitable[None], limit: int | None) -> bytes:
        await self._in_time(waiting)
        return await self.read(limit)

    async def read(self, limit: int | None = None) -> bytes:
        """Return all of the body, reading what has not arrived yet.

        :param limit: refuse more than so many bytes here, where the body's own limit is higher.
        :raises RuntimeError: it was already given out in parts.
        """
        if self._whole is None:
            if self.streamed:
                raise already_streamed()
            self._check_kept()
            self._wants_whole = True
            self._check_size(self._declared, limit)
            self._check_size(self._count, limit)
            while not self._arrived and self._failure is None:
                waiting = self._pull(self._all_is_here)
                if waiting is not None:
                    await waiting
                if limit is not None:
                    self._check_size(self._count, limit)
            if self._failure is not None:
                raise self._failure
            if self._whole is None:  # else another reader was quicker
                self._whole = b"".join(self._buffer)
                self._clear()
        elif limit is not None:
            self._check_size(len(self._whole), limit)
        return self._whole

    async def next_chunk(self) -> bytes:
        """Return the next part as it arrives, or ``b""`` at the end.

        :raises RuntimeError: it is being read whole.
        """
        if self._wants_whole or self._taking:
            raise self._not_in_parts()
        if not self.streamed:
            self._check_kept()
            self._check_size(self._declared, None)
            self.streamed = True
        if not self._buffer:
            self._taking = True
            try:
                while not self._something_is_here():
                    waiting = self._pull(self._something_is_here)
                    if waiting is not None:
                        await waiting
            finally:
                self._taking = False
            if not self._buffer:
                if self._failure is not None:
                    raise self._failure
                return b""
        chunk = self._buffer.pop(0)
        if self._room is not None:
            self._wake()
        return chunk

    def _not_in_parts(self) -> RuntimeError:
        if self._wants_whole:
            return RuntimeError(
                "The request body is read whole and cannot be taken in parts as well. Use the "
                "bytes that 'await request.body' or 'get_data()' gave."
            )
        return RuntimeError(
            "Two tasks take parts of the same request body at once; each would miss some. "
            "Let one of them read it, or use 'await request.body' in both."
        )

    async def disconnected(self, *, discard: bool = True) -> None:
        """Wait until the client has gone.

        Parts that arrive meanwhile are kept for a reader. With :data:`READ_AHEAD` bytes kept it
        takes no more, and so notices nothing, until they are read. If nobody has begun to read,
        the body is thrown away instead: who never reads it must not hide that the client has gone.

        :param discard: False keeps the body in any case, since it may be read later.
        """
        while not self._gone:
            was_complete = self._arrived
            if not self._must_not_read_ahead():
                await self._take_one(self._must_not_read_ahead)
            unread = discard and not (self.streamed or self._wants_whole)
            if unread and self._kept() >= READ_AHEAD:
                self._lost = True
                self._clear()
            if was_complete or self._must_not_read_ahead():
                await self._changed()

    def _check_kept(self) -> None:
        if self._lost:
            raise RuntimeError(
                "The request body was thrown away: the response was being streamed, and nobody had "
                "begun to read the body. Read it before the response is returned, or begin to read "
                "it with the first part of the stream."
            )

    def _must_not_read_ahead(self) -> bool:
        return self._gone or (not self._arrived and self._kept() >= READ_AHEAD)

    def _kept(self) -> int:
        return sum(map(len, self._buffer))

    async def _changed(self) -> None:
        """Wait until a reader makes room or learns that the client has gone."""
        if not self._gone:
            self._room = self._room or asyncio.Event()
            await self._room.wait()

    def _at_home(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """Return ``make()`` to await, bridged to the loop of ``receive`` if another runs here."""
        if self._loop is None or self._loop is running_loop():
            return make()
        return cast("Awaitable[T]", resolve(make, loop=self._loop, expression="request.body"))

    def _all_is_here(self) -> bool:
        return self._arrived or self._failure is not None

    def _something_is_here(self) -> bool:
        return bool(self._buffer) or self._arrived or self._failure is not None

    def _pull(self, enough: Callable[[], bool]) -> Awaitable[None] | None:
        """Take one message that is here already, or return what waits for it.

        The wait ends when another reader brings ``enough`` meanwhile.

        PERF: no coroutine, no turn and no timer for a message that is here (scenario: JSON echo).
        """
        if self._busy is not None:
            return self._in_time(self._take_one(enough))
        message = self._ask_server()
        if message.__class__ is not dict:
            return self._in_time(self._wait(message))
        self._take(message)
        return None

    def _ask_server(self) -> Any:
        """Return its next message, a dict, if that is here already, or what waits for it."""
        self._begun = True
        receiving = self._receive()
        if not isinstance(receiving, CoroutineType):  # a server's own awaitable
            return receiving
        try:
            waits_for = receiving.send(None)
        except StopIteration as stop:
            message = stop.value
            return message if message.__class__ is dict else dict(message)
        return _rest(receiving, waits_for)

    async def _in_time(self, taking: Awaitable[None]) -> None:
        """Wait for one message, and no longer than allowed."""
        if self._timeout is None or running_loop() is None:
            return await taking
        timer = asyncio.timeout(self._timeout)
        try:
            async with timer:
                await taking
        except TimeoutError:
            if not timer.expired():
                raise
            self._fail(
                RequestTimeout(f"No part of the request body came for {self._timeout:g} seconds.")
            )

    async def _take_one(self, enough: Callable[[], bool]) -> None:
        while not enough():
            if self._busy is None:
                self._begun = True
                return await self._wait(self._receive())
            await self._busy.wait()

    async def _wait(self, receiving: Awaitable[Message]) -> None:
        self._busy = busy = asyncio.Event()
        try:
            message = await receiving
        finally:
            self._busy = None
            busy.set()
        self._take(message)

    def _take(self, message: Message) -> None:
        """Note what one message of the server's brought."""
        if message["type"] == "http.disconnect":
            self._gone = True
            if not self._arrived:
                self._fail(
                    ClientDisconnected("The client went away before its request was complete.")
                )
            self._wake()
            return
        if self._arrived:
            return
        if self._failure is None:
            self._keep(message.get("body") or b"")
        if not message.get("more_body"):
            self._arrived = True
            if self._declared is not None and self._count < self._declared:
                self._fail(
                    BadRequest(
                        f"The request body ended after {self._count} of the {self._declared} bytes "
                        "that Content-Length announced."
                    )
                )

    def _keep(self, chunk: bytes) -> None:
        self._count += len(chunk)
        if self.limit is not None and self._count > self.limit:
            self._fail(_too_large(self.limit))
            self._clear()
        elif chunk and not self._lost:
            self._buffer.append(chunk)

    def check_declared_size(self) -> None:
        """Refuse a body that is declared larger than its limit, without reading it."""
        self._check_size(self._declared, None)

    def _check_size(self, size: int | None, limit: int | None) -> None:
        """Refuse a body of ``size`` bytes that passes its own limit or a lower one."""
        if size is None:
            return
        if self.limit is not None and size > self.limit:
            raise _too_large(self.limit)
        if limit is not None and size > limit:
            raise _too_large(limit)

    def _fail(self, failure: HTTPException) -> None:
        """Keep the first thing that went wrong, for all readers."""
        if self._failure is None:
            self._failure = failure

    def _clear(self) -> None:
        self._buffer.clear()
        self._wake()

    def _wake(self) -> None:
        """Let :meth:`disconnected` look again: there is room, or the client has gone."""
        if self._room is not None:
            self._room.set()
            self._room = None


class _Parts:
    """Iterates over a body; a cancelled ``__anext__`` loses nothing and may be called again."""

    __slots__ = ("_body", "_given")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._given = False

    def __aiter__(self) -> _Parts:
        return self

    async def __anext__(self) -> bytes:
        body = self._body
        if not body._wants_whole:
            chunk = await body._at_home(body.next_chunk)
        elif self._given:
            chunk = b""
        else:
            chunk = await body
            self._given = True
        if not chunk:
            raise StopAsyncIteration
        return chunk


class BodyFile(io.RawIOBase):
    """A body as a binary file, for ``def`` code; each read may wait for the event loop.

    :param body: what to read; it is consumed.
    :param loop: the loop the request lives on.
    """

    def __init__(self, body: Body, loop: asyncio.AbstractEventLoop | None) -> None:
        self._body = body
        self._loop = loop
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with what is there, and return how much that was; 0 at the end.

        :raises HTTPException: what the body raises.
        :raises RuntimeError: called where an event loop runs, which this would block.
        """
        check_def_code()
        if not self._rest:
            chunk = resolve(self._body.next_chunk, loop=self._loop, expression="request.stream")
            self._rest = memoryview(cast("bytes", chunk))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def check_def_code() -> None:
    """Refuse the use of ``request.stream`` where an event loop runs.

    :raises RuntimeError: one runs.
    """
    if running_loop() is not None:
        raise RuntimeError(
            "'request.stream' is for 'def' code: reading it would block the event loop. In "
            "'async def' code write 'async for chunk in request.body:' or 'await request.body'."
        )


def _too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"The request body is larger than the {limit} bytes allowed here.")


def already_streamed() -> RuntimeError:
    """Return the error for a body that is asked for whole after it was given out in parts."""
    return RuntimeError(
        "The request body was already streamed: given out in parts to 'async for', to "
        "'request.stream' or to the form parser. To have it whole as well, call "
        "'request.get_data()' first."
    )
