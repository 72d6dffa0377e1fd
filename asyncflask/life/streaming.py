"""Sends a body piece by piece, at the client's pace, and notices when the client goes away."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from asyncflask.messages.response import _encode

if TYPE_CHECKING:
    from starlette.types import Message, Send

    from asyncflask.concurrency import Worker, WorkerPool
    from asyncflask.ctx import ConnectionContext
    from asyncflask.messages.response import Response

_end: Any = object()


class ThreadedIterator(AsyncIterator[Any]):
    """Pulls a sync iterable in one thread of ``pool``, within a copy of the current context."""

    def __init__(self, iterable: Iterable[Any], pool: WorkerPool) -> None:
        self._iterable = iterable
        self._iterator: Iterator[Any] | None = None
        self._pool = pool
        self._context = contextvars.copy_context()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def open(self) -> None:
        """Take a thread for all that follows; needed first.

        :raises WorkerPoolFullError: none came free in time.
        """
        self._worker: Worker = await self._pool.acquire()

    async def __anext__(self) -> Any:
        item = await self._worker.call(self._next, self._context)
        if item is _end:
            raise StopAsyncIteration
        return item

    def _next(self) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._iterable)
        return next(self._iterator, _end)

    async def aclose(self) -> None:
        """Close the iterable in its thread, after what runs there, and give the thread back."""
        worker = self._worker
        try:
            await worker.call(self._close, self._context)
        finally:
            # Jobs run in order, so a close that nobody waits for any more still comes first.
            worker.submit(lambda: self._pool.release(worker))

    def _close(self) -> None:
        try:
            _close(self._iterator)
        finally:
            if self._iterator is not self._iterable:
                _close(self._iterable)


def _close(body: object) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


class _ClientWatch:
    """Cancels the task that streams when the client goes away."""

    def __init__(self, context: ConnectionContext) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self.gone = False
        self._watcher = asyncio.create_task(context.disconnected())
        self._watcher.add_done_callback(self._notice)

    def _notice(self, watcher: asyncio.Task[Any]) -> None:
        if not watcher.cancelled() and watcher.exception() is None:
            self.gone = True
            self._task.cancel()

    def stop(self) -> None:
        self._watcher.remove_done_callback(self._notice)
        self._watcher.cancel()

    def explains(self) -> bool:
        """Whether a cancellation came from here, and only from here."""
        return self.gone and self._task.uncancel() == 0


class Sender:
    """The server's ``send``, which knows whether the response has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self._send(message)


class Stream:
    """A streamed body on its way out. It is closed once, where it was pulled.

    :param response: whose body to send.
    :param pool: where a sync body gets its thread.
    """

    def __init__(self, response: Response, pool: WorkerPool) -> None:
        self.response = response
        self._pool = pool
        self._chunks: AsyncIterator[Any] | None = None

    async def open(self) -> None:
        """Begin with the body; a sync one takes its thread here.

        :raises WorkerPoolFullError: no thread of the pool came free in time.
        """
        body = self.response.response
        if isinstance(body, AsyncIterable):
            self._chunks = aiter(cast("AsyncIterable[Any]", body))
            return
        chunks = ThreadedIterator(cast("Iterable[Any]", body), self._pool)
        await chunks.open()
        self._chunks = chunks

    async def send(self, context: ConnectionContext, start: Message, send: Sender) -> None:
        """Send the whole response. A client that goes away ends it quietly.

        :param start: the message with status and headers.
        :raises Exception: what the body raises. The final message is not sent then, so the client
            sees that the response is incomplete.
        """
        chunks = cast("AsyncIterator[Any]", self._chunks)
        watch = _ClientWatch(context)

        async def put(body: bytes, more: bool) -> None:
            try:
                await send({"type": "http.response.body", "body": body, "more_body": more})
            except OSError as exc:  # how some servers say it
                raise _ClientGoneError from exc

        try:
            await send(start)
            async for chunk in chunks:
                await put(_encode(chunk), True)
            watch.stop()
            await put(b"", False)
        except _ClientGoneError:
            pass
        except asyncio.CancelledError:
            if not watch.explains():
                raise
        finally:
            watch.stop()

    async def aclose(self) -> None:
        """Close the body and call the response's ``call_on_close`` functions."""
        if self._chunks is None:
            await self.response.aclose()
            return
        close = getattr(self._chunks, "aclose", None)
        try:
            if close is not None:
                await close()
        finally:
            await self.response.call_close_functions()


class _ClientGoneError(Exception):
    """The server could not send: the client has gone."""
