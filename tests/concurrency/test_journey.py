"""A coroutine that runs partly on the loop and partly in one worker."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import anyio
import pytest

from asyncflask.concurrency import Journey, Worker, WorkerPool, in_worker, on_loop, wait_for
from asyncflask.concurrency.tasks import keep_going, wait_for_stragglers
from asyncflask.exceptions import WorkerPoolFullError

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(2)
    yield pool
    pool.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_it_runs_where_it_asks_to(pool: WorkerPool) -> None:
    """Loop, worker, loop, worker: and awaiting works on the loop."""
    idents: list[int] = []

    async def travel() -> str:
        idents.append(threading.get_ident())
        await in_worker
        idents.append(threading.get_ident())
        await on_loop
        await asyncio.sleep(0)
        idents.append(threading.get_ident())
        await in_worker
        await in_worker
        idents.append(threading.get_ident())
        return "home"

    assert await Journey(travel(), pool, keep=True) == "home"
    here = threading.get_ident()
    assert [ident == here for ident in idents] == [True, False, True, False]
    assert idents[1] == idents[3]
    assert pool.busy == 0


async def test_neighbouring_steps_share_one_hop(pool: WorkerPool) -> None:
    """Any number of `def` steps in a row is one job for the worker."""
    worker = await pool.acquire()
    hops = 0
    submit = worker.submit

    class Counting(Worker):
        def submit(self, job: Callable[[], None]) -> None:
            nonlocal hops
            hops += 1
            submit(job)

    async def travel() -> None:
        for _ in range(10):
            await in_worker

    await Journey(travel(), pool, worker=Counting())
    assert hops == 1
    pool.release(worker)


async def test_context_tokens_work_across_hops(pool: WorkerPool) -> None:
    """A variable set in one stretch can be reset by its token in the next."""

    async def travel() -> list[str]:
        seen = []
        await in_worker
        token = variable.set("in worker")
        await on_loop
        seen.append(variable.get())
        variable.set("on loop")
        await in_worker
        seen.append(variable.get())
        variable.reset(token)
        seen.append(variable.get())
        return seen

    assert await Journey(travel(), pool) == ["in worker", "on loop", "unset"]


async def test_errors_cross_both_ways(pool: WorkerPool) -> None:
    """What is raised on the loop can be caught in the worker's stretch, and the reverse."""

    async def travel() -> None:
        try:
            await in_worker
            raise KeyError("worker")
        except KeyError:
            await on_loop
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            await in_worker
        raise ValueError("the end")

    with pytest.raises(ValueError, match="the end"):
        await Journey(travel(), pool)
    assert pool.busy == 0


async def test_errors_on_the_loop_end_it(pool: WorkerPool) -> None:
    """The worker that was kept goes back."""

    async def travel() -> None:
        await in_worker
        await on_loop
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await Journey(travel(), pool, keep=True)
    assert pool.busy == 0


async def test_without_keep_the_worker_is_given_back_on_the_loop(pool: WorkerPool) -> None:
    """An `async def` view does not hold a thread while it awaits."""
    busy: list[int] = []

    async def travel() -> None:
        await in_worker
        await on_loop
        busy.append(pool.busy)
        await in_worker

    await Journey(travel(), pool)
    assert busy == [0]
    await Journey(travel(), pool, keep=True)
    assert busy == [0, 1]


async def test_no_free_worker_is_raised_in_the_coroutine() -> None:
    """So that it can be answered like any other error."""
    pool = WorkerPool(1, queue_size=0)
    worker = await pool.acquire()

    async def travel() -> str:
        try:
            await in_worker
        except WorkerPoolFullError:
            await asyncio.sleep(0)
            return "answered"
        return "never"

    async def gives_up() -> None:
        await in_worker

    assert await Journey(travel(), pool) == "answered"
    with pytest.raises(WorkerPoolFullError):
        await Journey(gives_up(), pool)

    async def catches() -> str:
        try:
            await in_worker
        except WorkerPoolFullError:
            return "at once"
        return "never"

    assert await Journey(catches(), pool) == "at once"
    pool.release(worker)
    pool.close()


async def test_a_cancelled_journey_leaves_at_once_and_finishes_alone(pool: WorkerPool) -> None:
    """The view and the teardown run to their end; then the worker is free."""
    gate = threading.Event()
    done: list[str] = []

    async def travel() -> str:
        variable.set("set before")
        await in_worker
        gate.wait(5)
        variable.set("set in worker")
        done.append("view")
        await on_loop
        await asyncio.sleep(0)
        done.append(variable.get())
        await in_worker
        done.append(f"teardown, abandoned={journey.abandoned}")
        return "dropped"

    coroutine = travel()
    journey = Journey(coroutine, pool, keep=True)
    task = asyncio.create_task(_await(journey))
    await until(lambda: pool.busy)
    started = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.perf_counter() - started < 1
    assert done == []
    gate.set()
    await until(lambda: pool.busy == 0)
    assert done == ["view", "set in worker", "teardown, abandoned=True"]


async def test_a_cancelled_journey_that_ends_in_the_worker_gives_it_back(
    pool: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    """An error nobody waits for is logged, wherever it is raised."""
    gate = threading.Event()

    async def fails_in_worker() -> None:
        await in_worker
        gate.wait(5)
        raise ValueError("in worker")

    async def fails_on_loop() -> None:
        await in_worker
        gate.wait(5)
        await on_loop
        raise ValueError("on loop")

    async def ends() -> None:
        await in_worker
        gate.wait(5)

    makers: list[Callable[[], Coroutine[Any, Any, None]]] = [fails_in_worker, fails_on_loop, ends]
    for make in makers:
        gate.clear()
        task = asyncio.create_task(_await(Journey(make(), pool)))
        await until(lambda: pool.busy)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        await until(lambda: pool.busy == 0)
    messages = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(message) for message in messages] == ["in worker", "on loop"]
    assert all(record.levelno == logging.ERROR for record in caplog.records)


async def test_a_cancellation_on_the_loop_is_raised_in_the_coroutine(pool: WorkerPool) -> None:
    """As in any other coroutine; it may still visit the worker to clean up."""
    cleaned: list[bool] = []

    async def travel() -> None:
        await in_worker
        await on_loop
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await in_worker
            cleaned.append(threading.current_thread() is not threading.main_thread())
            raise

    task = asyncio.create_task(_await(Journey(travel(), pool)))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]
    assert pool.busy == 0


async def test_a_cancellation_at_the_moment_of_arrival_is_not_lost(pool: WorkerPool) -> None:
    """The worker has finished and the task is cancelled before it hears of it."""
    heard: list[str] = []

    async def goes_on() -> None:
        await in_worker
        try:
            await on_loop
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    async def ends() -> None:
        await in_worker

    class CancelledOnArrival(Journey[None]):
        def _arrive(self, *args: Any) -> None:
            super()._arrive(*args)
            task.cancel()

    for make in (goes_on, ends):
        task = asyncio.create_task(_await(CancelledOnArrival(make(), pool)))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.busy == 0
    assert heard == ["cancelled"]


async def test_an_anyio_scope_that_is_cancelled_does_not_spin(pool: WorkerPool) -> None:
    """A wait that refuses cancellation makes anyio retry at full load."""
    gate = threading.Event()

    async def travel() -> None:
        await in_worker
        gate.wait(5)

    started = time.process_time()
    with anyio.move_on_after(0.05) as scope:
        await Journey(travel(), pool)
    assert scope.cancelled_caught
    await asyncio.sleep(0.1)
    assert time.process_time() - started < 0.09
    gate.set()
    await until(lambda: pool.busy == 0)


async def test_requests_that_keep_a_worker_can_run_more_def_code_from_the_loop() -> None:
    """With as many requests as threads: each uses the worker it keeps."""
    pool = WorkerPool(3)

    async def travel() -> tuple[int, int]:
        await in_worker
        first = threading.get_ident()
        await on_loop
        await asyncio.sleep(0.01)
        return first, await journey_of[asyncio.current_task()].run(threading.get_ident)

    journey_of: dict[Any, Journey[tuple[int, int]]] = {}

    async def request() -> tuple[int, int]:
        journey = Journey(travel(), pool, keep=True)
        journey_of[asyncio.current_task()] = journey
        return await journey

    async with asyncio.timeout(5):
        results = await asyncio.gather(*(request() for _ in range(12)))
    assert all(first == second for first, second in results)
    pool.close()


async def test_a_journey_cancelled_twice_keeps_a_worker_that_still_runs(pool: WorkerPool) -> None:
    """What goes on alone may be cancelled too: the worker goes back when it is done."""
    gates = [threading.Event(), threading.Event()]
    seen: list[str] = []
    alone: list[Any] = []

    async def travel() -> None:
        await in_worker
        gates[0].wait(5)
        await on_loop
        alone.append(asyncio.current_task())
        await in_worker
        seen.append("second visit")
        gates[1].wait(5)
        await on_loop
        seen.append("end")

    task = asyncio.create_task(_await(Journey(travel(), pool, keep=True)))
    await until(lambda: pool.busy)
    task.cancel()
    gates[0].set()
    await until(lambda: seen)
    alone[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone[0]
    assert pool.busy == 1
    gates[1].set()
    await wait_for_stragglers(5)
    assert seen == ["second visit", "end"]
    assert pool.busy == 0


async def test_what_goes_on_alone_in_a_worker_can_be_waited_for(
    pool: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    """In a worker, on the loop, and beside it; but not for ever."""
    gate = threading.Event()
    done: list[str] = []

    async def travel() -> None:
        await in_worker
        gate.wait(5)
        await on_loop
        await asyncio.sleep(0.01)
        keep_going(beside())
        done.append("journey")

    async def beside() -> None:
        await asyncio.sleep(0.01)
        done.append("beside")

    task = asyncio.create_task(_await(Journey(travel(), pool)))
    await until(lambda: pool.busy)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_for_stragglers(0.01)
    assert done == []
    assert "1 cancelled requests were not finished at shutdown" in caplog.text
    await asyncio.to_thread(asyncio.run, wait_for_stragglers(None))  # another loop has none
    gate.set()
    await wait_for_stragglers(5)
    assert done == ["journey", "beside"]


async def test_a_callers_worker_is_used_and_stays_its_own(pool: WorkerPool) -> None:
    """The thread of a sync test client does the `def` work of its request."""
    worker = Worker().start("lent")

    async def travel() -> str:
        await in_worker
        await on_loop
        await in_worker
        return threading.current_thread().name

    journey = Journey(travel(), pool, worker=worker)
    assert await journey == "lent"
    assert journey.worker is None
    assert pool.threads == 0
    worker.stop()


async def test_what_follows_a_callers_worker_is_borrowed_and_given_back(pool: WorkerPool) -> None:
    """The end of a stream, whose client's thread has been released, takes one from the pool."""
    worker = Worker().start("lent")
    threads = []

    async def travel() -> None:
        await in_worker
        threads.append(threading.current_thread().name)
        await on_loop
        journey.release()
        await in_worker
        threads.append(threading.current_thread().name)

    for _ in range(3):
        journey = Journey(travel(), pool, worker=worker, keep=True)
        await journey
        assert pool.busy == 0
    assert threads == ["lent", "worker-1"] * 3
    worker.stop()


async def test_a_worker_may_wait_for_the_loop_within_a_journey() -> None:
    """`def` code that needs the loop gets its answer, with a single thread."""
    pool = WorkerPool(1)
    loop = asyncio.get_running_loop()

    async def answer() -> str:
        await asyncio.sleep(0)
        return await pool.run(lambda: "from the same thread")

    async def travel() -> str:
        await in_worker
        return wait_for(answer, loop)

    async with asyncio.timeout(5):
        assert await Journey(travel(), pool) == "from the same thread"
    pool.close()


async def test_closing_it_closes_the_coroutine(pool: WorkerPool) -> None:
    """A journey that is never finished does not leave its coroutine open."""
    closed: list[bool] = []

    async def travel() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    steps = Journey(travel(), pool).__await__()
    next(steps)
    steps.close()
    assert closed == [True]


def test_places_have_names() -> None:
    """For debuggers."""
    assert repr(on_loop) == "on_loop"
    assert repr(in_worker) == "in_worker"


async def _await(journey: Journey[Any]) -> Any:
    return await journey


async def test_a_cancellation_that_meets_an_arrival_is_heard_first(pool: WorkerPool) -> None:
    """The worker has finished, and the task is cancelled, within one turn of the loop."""
    gate = threading.Event()
    done: list[str] = []

    async def travel() -> None:
        await in_worker
        gate.wait(5)
        await on_loop
        done.append("finished alone")

    task = asyncio.create_task(_await(Journey(travel(), pool)))
    await until(lambda: pool.busy)
    gate.set()
    time.sleep(0.1)  # noqa: ASYNC251 - holds up the loop, so that the arrival waits in its queue
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: done)
    await until(lambda: pool.busy == 0)
