"""Iterators for what takes its time: pulled on the loop, made elsewhere; how they are closed."""

from __future__ import annotations

import contextvars
import threading
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from types import AsyncGeneratorType
from typing import Any, cast

from asyncflask.concurrency.awaitable import awaited
from asyncflask.concurrency.pool import Worker, WorkerPool

_end: Any = object()


class OpenedIterator(AsyncIterator[Any]):
    """An async iterator that needs something before its first item: a thread, for one."""

    @abstractmethod
    async def open(self) -> None:
        """Get what it needs; called once, first.

        :raises WorkerPoolFullError: no thread came free in time.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close what is iterated, and give back what :meth:`open` has got."""


class ThreadedIterator(OpenedIterator):
    """Pulls a sync iterable in one thread of ``pool``, within a copy of the current context."""

    def __init__(self, iterable: Iterable[Any], pool: WorkerPool) -> None:
        self._iterable = iterable
        self._iterator: Iterator[Any] | None = None
        self._pool = pool
        self._context = contextvars.copy_context()

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
            close_iterable(self._iterator)
        finally:
            if self._iterator is not self._iterable:
                close_iterable(self._iterable)


class PiecewiseIterator(AsyncIterator[Any]):
    """Pulls a sync iterable in whichever thread of ``pool`` is free: a slow client holds none.

    :param iterable: it has its items quickly, does not mind which threads it is pulled in, and can
        be closed on the loop: a file.
    :param pool: where each item gets a thread.
    """

    def __init__(self, iterable: Iterable[Any], pool: WorkerPool) -> None:
        self._iterable = iterable
        self._iterator = iter(iterable)
        self._pool = pool
        # Guards the two flags, and is never held while something is read.
        self._lock = threading.Lock()
        self._is_read = False
        self._is_left = False

    async def __anext__(self) -> Any:
        item = await self._pool.run_urgently(self._next)
        if item is _end:
            raise StopAsyncIteration
        return item

    def _next(self) -> Any:
        with self._lock:
            if self._is_left:
                return _end
            self._is_read = True
        try:
            return next(self._iterator, _end)
        finally:
            with self._lock:
                self._is_read = False
                is_left = self._is_left
            if is_left:
                self._close()

    async def aclose(self) -> None:
        """Close the iterable: now, or after the item that a thread is still reading for nobody."""
        with self._lock:
            self._is_left = True
            is_read = self._is_read
        if not is_read:
            self._close()

    def _close(self) -> None:
        close_iterable(self._iterator)
        close_iterable(self._iterable)


def close_iterable(iterable: object) -> None:
    """Close a generator, a file or the like; nothing happens to what cannot be closed."""
    close = getattr(iterable, "close", None)
    if close is not None:
        close()


async def aclose_iterable(iterable: object) -> None:
    """:func:`close_iterable` for what may be async, too."""
    if iterable.__class__ is AsyncGeneratorType:  # PERF: the usual (scenario: stream)
        await cast("AsyncGenerator[Any, Any]", iterable).aclose()
        return
    close = getattr(iterable, "aclose", None) or getattr(iterable, "close", None)
    if close is not None:
        await awaited(close())
