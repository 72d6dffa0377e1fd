"""How iterables of both kinds are closed."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from asyncflask.concurrency import (
    PiecewiseIterator,
    WorkerPool,
    aclose_iterable,
    close_iterable,
)
from tests.wire import until


async def test_generators_and_files_are_closed_and_other_iterables_left_alone() -> None:
    """In `async def` code those of either kind; a list has nothing to close."""
    ended: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield 1
        finally:
            ended.append("def")

    async def async_numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("async def")

    for close in (close_iterable, None):
        generator, file = numbers(), io.BytesIO()
        next(generator)
        for iterable in (generator, file, [1]):
            close(iterable) if close else await aclose_iterable(iterable)
        assert file.closed
    async_generator = async_numbers()
    await anext(async_generator)
    await aclose_iterable(async_generator)
    assert ended == ["def", "def", "async def"]
    with pytest.raises(StopAsyncIteration):
        await anext(async_generator)


class Pieces:
    """An iterable whose pieces come when it is told so, and which must not be closed meanwhile."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.is_read = False
        self.pulled = 0
        self.closed: list[tuple[bool, bool]] = []

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.is_read = True
        self.pulled += 1
        assert self.gate.wait(10)
        self.is_read = False
        if self.pulled == 3:
            raise StopIteration
        return self.pulled

    def close(self) -> None:
        on_loop = threading.current_thread() is threading.main_thread()
        self.closed.append((self.is_read, on_loop))


async def test_pieces_hold_no_thread_in_between() -> None:
    """All of them come, in order, and it is closed here and now."""
    pool, pieces = WorkerPool(1), Pieces()
    pieces.gate.set()
    iterator = PiecewiseIterator(pieces, pool)
    seen = []
    async for number in iterator:
        await until(lambda: pool.busy == 0)
        seen.append(number)
    await iterator.aclose()
    assert seen == [1, 2]
    assert set(pieces.closed) == {(False, True)}
    pool.close()


async def test_pieces_come_although_all_threads_are_held() -> None:
    """Nor does a queue that is full break them."""
    pool, pieces = WorkerPool(1, queue_size=0), Pieces()
    pieces.gate.set()
    held = await pool.acquire()
    iterator = PiecewiseIterator(pieces, pool)
    assert await asyncio.wait_for(anext(iterator), 5) == 1
    await iterator.aclose()
    pool.release(held)
    await until(lambda: pool.busy == 0)
    pool.close()


async def test_closing_waits_for_no_piece_and_happens_in_none() -> None:
    """What a thread is reading for nobody is closed after it, by that thread."""
    pool, pieces = WorkerPool(1), Pieces()
    iterator = PiecewiseIterator(pieces, pool)
    task = asyncio.create_task(anext(iterator))  # type: ignore[arg-type]
    await until(lambda: pieces.is_read)
    task.cancel()
    await asyncio.wait({task})
    await iterator.aclose()
    assert pieces.closed == []
    pieces.gate.set()
    await until(lambda: pool.busy == 0)
    assert set(pieces.closed) == {(False, False)}
    pool.close()


async def test_what_was_closed_is_not_read_any_more() -> None:
    """A thread may come to its piece too late."""
    pool, pieces = WorkerPool(1), Pieces()
    gate = threading.Event()
    pool_thread = asyncio.create_task(pool.run(gate.wait))
    await until(lambda: pool.busy == 1)
    iterator = PiecewiseIterator(pieces, pool)
    await iterator.aclose()
    assert [number async for number in iterator] == []
    assert pieces.pulled == 0
    gate.set()
    await pool_thread
    pool.close()
