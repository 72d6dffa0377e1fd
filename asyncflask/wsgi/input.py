"""The body of an ASGI request as ``wsgi.input``, and the client's leaving."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from asyncflask.concurrency import wait_for

if TYPE_CHECKING:
    from starlette.types import Receive


class UnfinishedError(ClientDisconnected, OSError):
    """The client has gone before the end of its request.

    What files raise; and, for applications made with Werkzeug, a 400 and no failure of theirs.
    """

    description = "The client has gone before the end of its request."


class TooSlowError(RequestTimeout, OSError):
    """No part of the request has come in time; for applications made with Werkzeug a 408."""

    description = "No part of the request body came in time."


class Input:
    """Receives the messages of a client in a task, one ahead of who reads them.

    Made on the event loop. A client that goes away is noticed once its body has been read or the
    application streams, without that a body is lost.

    :param receive: the server's ``receive``.
    :param timeout: the most seconds that the application waits for a message, or None.
    """

    def __init__(self, receive: Receive, timeout: float | None = None) -> None:
        self._receive = receive
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._chunk: bytes | None = None
        self._complete = False
        self._change = asyncio.Event()
        #: Whether the client has gone, or nobody waits for the response any more.
        self.gone = False
        #: What the application reads, in its thread.
        self.file = io.BufferedReader(_Raw(self))

    def watch(self) -> None:
        """Begin to receive, so that the client's leaving is noticed. On the loop."""
        if self._task is None:
            self._task = self._loop.create_task(self._pump())

    def stop(self) -> None:
        """Receive no more: the request is over. On the loop."""
        self._leave()
        if self._task is not None:
            self._task.cancel()

    def _leave(self) -> None:
        self.gone = True
        self._change.set()

    async def _pump(self) -> None:
        while True:  # until it is cancelled
            message = await self._receive()
            if message["type"] != "http.request":
                self._leave()
                return
            while self._chunk is not None:
                await self._next_change()
            self._chunk = message.get("body", b"")
            self._complete = not message.get("more_body", False)
            self._change.set()

    async def _next_change(self) -> None:
        self._change.clear()
        await self._change.wait()

    async def _next(self) -> bytes:
        self.watch()
        while True:
            if self._chunk is not None:
                chunk, self._chunk = self._chunk, None
                self._change.set()
                if chunk or self._complete:
                    return chunk
            elif self._complete:
                return b""
            elif self.gone:
                raise UnfinishedError
            else:
                await self._next_change()

    async def _next_in_time(self) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._next()
        except TimeoutError:
            raise TooSlowError from None

    def next_chunk(self) -> bytes:
        """Return the next bytes, none at the end. In a thread, which waits.

        :raises UnfinishedError: the client has gone before the end.
        :raises TooSlowError: nothing has come in time.
        """
        return wait_for(self._next_in_time, self._loop)


class _Raw(io.RawIOBase):
    def __init__(self, source: Input) -> None:
        self._source = source
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(self._source.next_chunk())
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
