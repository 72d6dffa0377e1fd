"""Worker threads, their queue and their limits."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from asyncflask.concurrency import Worker, WorkerPool, wait_for
from asyncflask.exceptions import WorkerPoolFullError

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_function_runs_in_a_thread_and_gives_its_result() -> None:
    """Arguments go in, the result comes out, and it was another thread."""
    pool = WorkerPool(2)
    ident, value = await pool.run(lambda x, *, y: (threading.get_ident(), x + y), 1, y=2)
    assert value == 3
    assert ident != threading.get_ident()
    pool.close()


async def test_errors_come_back_as_they_are() -> None:
    """The exception object itself is raised."""
    pool = WorkerPool(1)
    error = ValueError("mine")

    def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        await pool.run(fail)
    assert caught.value is error
    pool.close()


async def test_a_stop_iteration_is_not_lost() -> None:
    """A future refuses to carry StopIteration, so it arrives as a RuntimeError."""
    pool = WorkerPool(1)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await pool.run(next, iter(()))
    pool.close()


async def test_context_variables_go_in_and_changes_come_back() -> None:
    """What the function sets is set for the caller too."""
    pool = WorkerPool(1)
    variable.set("before")

    def change() -> str:
        seen = variable.get()
        variable.set("after")
        return seen

    assert await pool.run(change) == "before"
    assert variable.get() == "after"
    pool.close()


async def test_threads_are_reused_and_never_exceed_the_size() -> None:
    """Twenty calls at once run on three threads."""
    pool = WorkerPool(3, name="reuse")
    idents = await asyncio.gather(
        *(pool.run(lambda: time.sleep(0.005) or threading.get_ident()) for _ in range(20))
    )
    assert len(set(idents)) <= 3
    assert pool.threads <= 3
    assert pool.busy == 0
    assert pool.waiting == 0
    pool.close()
    await until(lambda: not threads("reuse"))


async def test_a_full_queue_is_refused_with_503() -> None:
    """The queue is bounded in length."""
    pool = WorkerPool(1, queue_size=1)
    gate = threading.Event()
    first = asyncio.create_task(pool.run(gate.wait))
    second = asyncio.create_task(pool.run(lambda: None))
    await until(lambda: pool.waiting == 1)
    with pytest.raises(WorkerPoolFullError) as caught:
        await pool.run(lambda: None)
    assert caught.value.code == 503
    assert ("Retry-After", "1") in caught.value.get_headers()
    gate.set()
    await asyncio.gather(first, second)
    pool.close()


async def test_a_wait_for_a_thread_is_bounded_in_seconds() -> None:
    """Who waits too long gets the 503, and leaves the queue."""
    pool = WorkerPool(1, queue_timeout=0.02)
    gate = threading.Event()
    first = asyncio.create_task(pool.run(gate.wait))
    await until(lambda: pool.busy == 1)
    with pytest.raises(WorkerPoolFullError):
        await pool.run(lambda: None)
    assert pool.waiting == 0
    gate.set()
    await first
    pool.close()


async def test_urgent_work_does_not_wait_behind_other_work() -> None:
    """Teardowns may start a few threads more; these end afterwards."""
    pool = WorkerPool(1, name="urgent")
    gate = threading.Event()
    first = asyncio.create_task(pool.run(gate.wait))
    await until(lambda: pool.busy == 1)
    worker = await pool.acquire(urgent=True)
    assert pool.threads == 2
    pool.release(worker)
    assert pool.threads == 1
    gate.set()
    await first
    pool.close()


async def test_urgent_work_is_first_in_the_queue() -> None:
    """When all spare threads are taken too, urgent work is served before the rest."""
    pool = WorkerPool(1)
    workers = [await pool.acquire(urgent=True) for _ in range(9)]
    order: list[str] = []

    async def take(name: str, urgent: bool) -> None:
        worker = await pool.acquire(urgent=urgent)
        order.append(name)
        pool.release(worker)

    ordinary = asyncio.create_task(take("ordinary", False))
    await asyncio.sleep(0)
    urgent = asyncio.create_task(take("urgent", True))
    await until(lambda: pool.waiting == 2)
    for worker in workers:
        pool.release(worker)
    await asyncio.gather(ordinary, urgent)
    assert order == ["urgent", "ordinary"]
    pool.close()


async def test_a_cancelled_wait_leaves_the_queue() -> None:
    """Nobody is handed a worker that nobody wants."""
    pool = WorkerPool(1)
    worker = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await until(lambda: pool.waiting == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.waiting == 0
    pool.release(worker)
    assert pool.busy == 0
    pool.close()


async def test_a_worker_handed_over_to_a_cancelled_wait_comes_back() -> None:
    """Cancellation and hand-over at once: the worker is not lost, at either moment."""
    pool = WorkerPool(1)
    for pause in (0, 1):
        worker = await pool.acquire()
        waiting = asyncio.create_task(pool.acquire())
        await until(lambda: pool.waiting == 1)
        pool.release(worker)  # the hand-over is on its way
        if pause:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: pool.busy == 0)
    pool.close()


async def test_a_cancelled_call_leaves_at_once_and_the_worker_returns_later() -> None:
    """The task does not wait for the thread."""
    pool = WorkerPool(1)
    gate = threading.Event()
    call = asyncio.create_task(pool.run(gate.wait))
    await until(lambda: pool.busy == 1)
    started = time.perf_counter()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert time.perf_counter() - started < 1
    assert pool.busy == 1
    gate.set()
    await until(lambda: pool.busy == 0)
    pool.close()


def test_a_pool_serves_one_loop_after_another() -> None:
    """Nothing in it belongs to a loop."""
    pool = WorkerPool(1)
    assert [asyncio.run(pool.run(lambda: 1)) for _ in range(3)] == [1, 1, 1]
    pool.close()


def test_a_waiter_whose_loop_was_closed_does_not_swallow_the_worker() -> None:
    """The worker goes to the next one."""
    pool = WorkerPool(1)
    loop = asyncio.new_event_loop()

    async def take() -> Worker:
        return await pool.acquire()

    worker = loop.run_until_complete(take())
    waiting = loop.create_task(take())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    pool.release(worker)
    assert pool.busy == 0
    assert not waiting.done()
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    pool.close()


async def test_threads_of_a_forgotten_pool_end() -> None:
    """A test suite makes many applications; their threads must not pile up."""
    pool = WorkerPool(2, name="forgotten")
    await pool.run(lambda: None)
    assert threads("forgotten")
    del pool
    gc.collect()
    await until(lambda: not threads("forgotten"))


async def test_a_closed_pool_ends_workers_as_they_come_back() -> None:
    """Work in flight finishes."""
    pool = WorkerPool(1, name="closing")
    gate = threading.Event()
    call = asyncio.create_task(pool.run(gate.wait))
    await until(lambda: pool.busy == 1)
    pool.close()
    gate.set()
    assert await call
    await until(lambda: not threads("closing"))


async def test_def_to_async_to_def_does_not_deadlock() -> None:
    """With a single thread: a worker that waits for the loop serves what the loop hands back."""
    pool = WorkerPool(1)
    loop = asyncio.get_running_loop()
    idents: list[int] = []

    def inner() -> str:
        idents.append(threading.get_ident())
        variable.set("from the innermost")
        return "done"

    async def between() -> str:
        return await pool.run(inner)

    def outer() -> str:
        idents.append(threading.get_ident())
        result = wait_for(between, loop)
        assert variable.get() == "from the innermost"
        return result

    async with asyncio.timeout(5):
        assert await pool.run(outer) == "done"
    assert idents[0] == idents[1]
    pool.close()


async def test_waits_nest() -> None:
    """A job served during a wait may wait itself, and the waits may end in any order."""
    pool = WorkerPool(1)
    loop = asyncio.get_running_loop()

    async def depth(n: int) -> int:
        return 0 if n == 0 else 1 + await pool.run(lambda: wait_for(lambda: depth(n - 1), loop))

    async with asyncio.timeout(5):
        assert await pool.run(lambda: wait_for(lambda: depth(5), loop)) == 5
    pool.close()


async def test_a_task_that_outlives_the_wait_uses_another_worker() -> None:
    """A worker is lent only while it waits."""
    pool = WorkerPool(1)
    loop = asyncio.get_running_loop()
    go = asyncio.Event()
    tasks: list[asyncio.Task[str]] = []

    async def later() -> str:
        await go.wait()
        return await pool.run(lambda: "later")

    async def starts() -> None:
        tasks.append(asyncio.create_task(later()))

    await pool.run(lambda: wait_for(starts, loop))
    go.set()
    async with asyncio.timeout(5):
        assert await tasks[0] == "later"
    pool.close()


async def test_waiting_on_a_running_loop_is_refused() -> None:
    """It would block the loop for ever."""

    async def nothing() -> None: ...

    with pytest.raises(RuntimeError, match="block the event loop"):
        wait_for(nothing, asyncio.get_running_loop())


async def test_errors_of_the_loop_reach_the_waiting_thread() -> None:
    """Bare, as they were raised."""
    pool = WorkerPool(1)
    loop = asyncio.get_running_loop()

    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await pool.run(lambda: wait_for(fail, loop))
    pool.close()


def test_a_caller_lends_its_own_thread() -> None:
    """A thread that waits for a loop in another thread can be the worker."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    worker = Worker()
    seen: list[int] = []

    async def work() -> Any:
        context = contextvars.copy_context()
        seen.append(threading.get_ident())
        return await worker.call(threading.get_ident, context)

    try:
        assert worker.wait(work, loop) == threading.get_ident()
        assert seen == [thread.ident]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_thread_that_outlives_its_loop_ends_quietly() -> None:
    """The result has nowhere to go, and that is all."""
    pool = WorkerPool(1, name="outlives")
    gate = threading.Event()

    async def main() -> None:
        call = asyncio.create_task(pool.run(gate.wait))
        await until(lambda: pool.busy == 1)
        call.cancel()

    asyncio.run(main())
    gate.set()
    deadline = time.monotonic() + 5
    while pool.busy and time.monotonic() < deadline:
        time.sleep(0.005)
    assert pool.busy == 0
    pool.close()


async def test_a_task_that_cannot_be_made_does_not_keep_a_worker_waiting() -> None:
    """Nor does a function that is called with the wrong arguments: both raise in the thread."""
    pool = WorkerPool(1)
    loop = asyncio.get_running_loop()

    async def answer() -> int:
        return 42

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no tasks today")

    loop.set_task_factory(refuse)
    try:
        async with asyncio.timeout(5):
            with pytest.raises(RuntimeError, match="no tasks today"):
                await pool.run(lambda: wait_for(answer, loop))
    finally:
        loop.set_task_factory(None)
    wrong: Any = answer
    async with asyncio.timeout(5):
        with pytest.raises(TypeError, match="positional"):
            await pool.run(lambda: wait_for(lambda: wrong(1, 2), loop))
    assert pool.busy == 0
    pool.close()


async def test_a_closed_pool_still_serves_who_needs_it() -> None:
    """Teardowns of a request that outlives a lifespan, for one; the threads end after it."""
    pool = WorkerPool(1, name="closed")
    pool.close()
    assert await pool.run(lambda: "served") == "served"
    worker = await pool.acquire(urgent=True)
    pool.release(worker)
    await until(lambda: not threads("closed"))


async def test_patient_work_waits_without_limit_behind_all_other() -> None:
    """A full queue does not refuse it, and it takes nobody's place in the queue."""
    pool = WorkerPool(1, queue_size=1, queue_timeout=5)
    worker = await pool.acquire()
    order: list[str] = []
    patient = [asyncio.create_task(pool.run_patiently(order.append, "patient")) for _ in range(3)]
    await until(lambda: pool.waiting == 3)
    ordinary = asyncio.create_task(pool.run(order.append, "ordinary"))
    await until(lambda: pool.waiting == 4)
    pool.release(worker)
    await asyncio.gather(*patient, ordinary)
    assert order == ["ordinary", "patient", "patient", "patient"]
    pool.close()


async def test_patient_work_has_no_queue_timeout() -> None:
    """It outwaits the seconds that a request would."""
    pool = WorkerPool(1, queue_timeout=0.01)
    worker = await pool.acquire()
    patient = asyncio.create_task(pool.run_patiently(lambda: "done"))
    await asyncio.sleep(0.05)
    pool.release(worker)
    assert await patient == "done"
    pool.close()
