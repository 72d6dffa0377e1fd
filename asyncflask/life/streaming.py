"""Sends a body piece by piece, at the client's pace, and notices when the client goes away."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from asyncflask.messages.response import _encode

if TYPE_CHECKING:
    from starlette.types import Message

    from asyncflask.concurrency import Worker, WorkerPool
    from asyncflask.ctx import RequestContext
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
        close = getattr(self._iterator, "close", None) or getattr(self._iterable, "close", None)
        if close is not None:
            close()


class _ClientWatch:
    """Cancels the task that streams when the client goes away."""

    def __init__(self, context: RequestContext) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self.gone = False
        self._watcher = asyncio.create_task(context.request.body.disconnected())
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


async def open_chunks(response: Response, pool: WorkerPool) -> AsyncIterator[Any]:
    """Return an async iterator over the body; a sync body gets its thread here.

    :raises WorkerPoolFullError: no thread of the pool came free in time.
    """
    body = response.response
    if isinstance(body, AsyncIterable):
        return aiter(cast("AsyncIterable[Any]", body))
    chunks = ThreadedIterator(cast("Iterable[Any]", body), pool)
    await chunks.open()
    return chunks


async def send_stream(context: RequestContext, chunks: AsyncIterator[Any], start: Message) -> None:
    """Send a streamed response; the body is closed in every case.

    A client that goes away ends it quietly.

    :param start: the message with status and headers.
    :raises Exception: what the body raises. The final message is not sent then, so the client sees
        that the response is incomplete.
    """
    send = context.send
    watch = _ClientWatch(context)
    try:
        await send(start)
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": _encode(chunk), "more_body": True})
        watch.stop()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except asyncio.CancelledError:
        if not watch.explains():
            raise
    finally:
        watch.stop()
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
