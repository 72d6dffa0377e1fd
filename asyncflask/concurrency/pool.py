"""Worker threads: one queue of jobs each, handed out one request at a time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import queue
import threading
import weakref
from asyncio import _get_running_loop as running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from asyncflask.exceptions import WorkerPoolFullError

T = TypeVar("T")

Job = Callable[[], None]

#: How many threads past its size a pool may start for urgent work (teardowns, files).
_SPARE = 8

_thread = threading.local()

#: In a task that a worker waits for: where to run ``def`` functions for it.
_lent: ContextVar[_Lent | None] = ContextVar("asyncflask.worker", default=None)


class _Flag:
    """Set by a job; a worker serves its queue until it is."""

    __slots__ = ("up",)

    def __init__(self) -> None:
        self.up = False

    def set(self) -> None:
        self.up = True


class _Lent:
    """A worker that waits for a task, and serves its own queue for it meanwhile."""

    __slots__ = ("_lock", "_worker")

    def __init__(self, worker: Worker) -> None:
        self._worker: Worker | None = worker
        self._lock = threading.Lock()

    def submit(self, job: Job) -> bool:
        """Give the worker a job, unless it has stopped waiting."""
        with self._lock:
            if self._worker is None:
                return False
            self._worker.submit(job)
            return True

    def end(self) -> None:
        with self._lock:
            self._worker = None


class Worker:
    """A thread that runs the jobs of its queue, or a waiting thread that lends itself as one.

    Jobs are calls without arguments that do not raise.
    """

    __slots__ = ("__weakref__", "_ended", "_jobs")

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._ended = _Flag()

    def start(self, name: str) -> Worker:
        """Start a daemon thread called ``name`` that serves this worker, and return the worker."""
        threading.Thread(target=self._main, name=name, daemon=True).start()
        return self

    def _main(self) -> None:
        _thread.worker = self
        self._serve(self._ended)

    def stop(self) -> None:
        """End the thread once the jobs already in the queue are done."""
        self._jobs.put(self._ended.set)

    def submit(self, job: Job) -> None:
        """Put a job into the queue."""
        self._jobs.put(job)

    def _serve(self, until: _Flag) -> None:
        get = self._jobs.get
        while not until.up:
            # A job that waits serves this queue too and may meet the flag of an outer wait:
            # flags are set by jobs, so it does not matter which loop runs them.
            get()()

    def wait(
        self, make: Callable[[], Coroutine[Any, Any, T]], loop: asyncio.AbstractEventLoop
    ) -> T:
        """Run ``make()`` as a task on ``loop`` and serve the queue until it is done.

        Called in this worker's own thread. Because the queue is served meanwhile, what runs on
        the loop may call back into this thread: ``def`` -> ``async def`` -> ``def`` cannot
        deadlock. Context variables that the task changes are changed here too.

        :returns: what the coroutine returns.
        :raises Exception: what ``make`` or the coroutine raises.
        """
        done = _Flag()
        lent = _Lent(self)
        context = contextvars.copy_context()
        outer = _lent.get()
        context.run(_lent.set, lent)
        tasks: list[asyncio.Future[T]] = []

        async def run() -> T:
            return await make()

        def start() -> None:
            coroutine = run()
            task: asyncio.Future[T]
            try:
                task = loop.create_task(coroutine, context=context)
            except Exception as exc:  # of a task factory: the thread must not wait for ever
                coroutine.close()
                task = loop.create_future()
                task.set_exception(exc)
            tasks.append(task)
            task.add_done_callback(finish)

        def finish(_task: object) -> None:
            lent.end()
            self._jobs.put(done.set)

        before = getattr(_thread, "worker", None)
        _thread.worker = self
        try:
            loop.call_soon_threadsafe(start)
            self._serve(done)
        finally:
            _thread.worker = before
        context.run(_lent.set, outer)
        carry(context)
        return tasks[0].result()

    async def call(self, function: Callable[[], T], context: contextvars.Context) -> T:
        """Run ``function`` in this worker's thread within ``context`` and await its result.

        When the waiting task is cancelled it leaves at once; the function finishes, and its
        result is dropped.
        """
        return await _hand_in(self.submit, function, context)


def stand_alone() -> None:
    """Let this task, which outlives the code that began it, not use the worker that waits there."""
    _lent.set(None)


async def _hand_in(
    submit: Callable[[Job], object], function: Callable[[], T], context: contextvars.Context
) -> T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    if submit(functools.partial(_run_job, function, context, loop, future)) is False:
        raise _NotWaitingError
    return await future


class _NotWaitingError(Exception):
    """The worker that was lent to a task has stopped waiting for it."""


def _run_job(
    function: Callable[[], T],
    context: contextvars.Context,
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[T],
) -> None:
    result: Any
    try:
        result, raised = context.run(function), False
    except BaseException as exc:
        result, raised = exc, True
    tell(loop, _settle, future, result, raised)


def _settle(future: asyncio.Future[Any], result: Any, raised: bool) -> None:
    if future.done():  # cancelled: nobody waits any more
        return
    if not raised:
        future.set_result(result)
    elif isinstance(result, StopIteration):  # a future refuses to carry one
        future.set_exception(RuntimeError("a 'def' function raised StopIteration"))
    else:
        future.set_exception(result)


def tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any) -> None:
    """Call ``callback(*args)`` soon on ``loop`` from a thread; a closed loop hears nothing."""
    with contextlib.suppress(RuntimeError):  # closed
        loop.call_soon_threadsafe(callback, *args)


_unset: Any = object()


def carry(source: contextvars.Context) -> None:
    """Give this thread's current context the values that ``source`` holds and it does not."""
    for variable, value in source.items():
        if variable.get(_unset) is not value:
            variable.set(value)


def wait_for(
    make: Callable[[], Coroutine[Any, Any, T]], loop: asyncio.AbstractEventLoop | None
) -> T:
    """Run ``make()`` on ``loop`` from a thread without a running loop, and return its result.

    In a worker the wait serves the worker's queue; in any other thread it just waits. A loop that
    does not run at the moment, as between the ``async def`` functions of a command, is run here.
    With ``loop`` None the coroutine is run here, and must not need a loop.
    """
    if running_loop() is not None:
        raise RuntimeError("wait_for() would block the event loop that runs in this thread")
    if loop is None:
        return _run_without_loop(make())
    worker: Worker | None = getattr(_thread, "worker", None)
    if worker is not None:
        return worker.wait(make, loop)
    if not loop.is_running():
        return loop.run_until_complete(make())
    return asyncio.run_coroutine_threadsafe(make(), loop).result()


def _run_without_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(
        "This needs an event loop, and none belongs to this request. Use 'async def' code, or "
        "make the request with a test client."
    )


#: All pools of this process.
_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()

_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Worker]"]


class WorkerPool:
    """At most ``size`` worker threads, started when needed and lent one request at a time.

    Who finds none free waits in a queue that is bounded in length and in seconds. Urgent work
    (teardowns, pieces of files) goes to the front, and may start a few threads past ``size``, so
    that it never waits behind views. Patient work (background tasks) comes last and waits as long
    as it takes.

    The pool belongs to no event loop: it may serve several, one after another or at once.

    :param size: the most threads for ordinary work.
    :param queue_size: the most requests that wait for a thread.
    :param queue_timeout: the most seconds one waits.
    :param name: what the threads are called, for debuggers.
    """

    def __init__(
        self, size: int, *, queue_size: int = 1000, queue_timeout: float = 30, name: str = "worker"
    ) -> None:
        self.size = size
        self.queue_size = queue_size
        self.queue_timeout = queue_timeout
        self._name = name
        self._lock = threading.Lock()
        self._threads = 0
        self._idle: list[Worker] = []
        self._queue: deque[_Waiter] = deque()
        self._urgent: deque[_Waiter] = deque()
        self._patient: deque[_Waiter] = deque()
        self._closed = False
        _pools.add(self)
        # Threads hold their worker, never the pool, so a forgotten pool ends its threads.
        weakref.finalize(self, _stop_all, self._idle).atexit = False

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return self._threads

    @property
    def busy(self) -> int:
        """How many threads are lent out."""
        return self._threads - len(self._idle)

    @property
    def waiting(self) -> int:
        """How many wait for a thread."""
        return len(self._queue) + len(self._urgent) + len(self._patient)

    async def acquire(self, *, urgent: bool = False, patient: bool = False) -> Worker:
        """Borrow a worker; the borrower gives it back with :meth:`release`.

        :param urgent: wait before all others, without limit, and start a spare thread if need be.
        :param patient: wait behind all others and without limit.
        :raises WorkerPoolFullError: the queue is full, or the wait took too long.
        """
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._threads < self.size + (_SPARE if urgent else 0):
                self._threads += 1
                return Worker().start(f"{self._name}-{self._threads}")
            bounded = not (urgent or patient)
            if bounded and len(self._queue) >= self.queue_size:
                raise WorkerPoolFullError
            waiters = self._queue if bounded else self._urgent if urgent else self._patient
            loop = asyncio.get_running_loop()
            waiter: _Waiter = (loop, loop.create_future())
            waiters.append(waiter)
        return await self._wait(waiter, waiters, self.queue_timeout if bounded else None)

    async def _wait(
        self, waiter: _Waiter, waiters: deque[_Waiter], seconds: float | None
    ) -> Worker:
        future = waiter[1]
        try:
            async with asyncio.timeout(seconds):
                return await future
        except BaseException as exc:
            with self._lock:
                if waiter in waiters:
                    waiters.remove(waiter)
            if future.done() and not future.cancelled():
                self.release(future.result())  # handed over just as the wait ended
            if isinstance(exc, TimeoutError):
                raise WorkerPoolFullError from None
            raise

    def release(self, worker: Worker) -> None:
        """Give a worker back, from any thread."""
        with self._lock:
            if self._urgent:
                waiter = self._urgent.popleft()
            elif self._threads <= self.size and (waiters := self._queue or self._patient):
                waiter = waiters.popleft()
            elif self._closed or self._threads > self.size:
                self._threads -= 1
                worker.stop()
                return
            else:
                self._idle.append(worker)
                return
        loop, future = waiter
        try:
            loop.call_soon_threadsafe(self._hand_over, future, worker)
        except RuntimeError:  # that loop was closed with its requests
            self.release(worker)

    def _hand_over(self, future: asyncio.Future[Worker], worker: Worker) -> None:
        if future.done():
            self.release(worker)
        else:
            future.set_result(worker)

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a blocking function in a worker, within a copy of the current context.

        When the waiting task is cancelled it leaves at once, and the worker comes back when the
        function is done. Context variables that the function changes are changed here too.
        """
        call = functools.partial(function, *args, **kwargs)
        context = contextvars.copy_context()
        lent = _lent.get()
        if lent is not None:
            # A worker waits for this task: another one could be waited for in vain.
            with contextlib.suppress(_NotWaitingError):
                result = await _hand_in(lent.submit, call, context)
                carry(context)
                return result
        return await self._run_in(await self.acquire(), call, context)

    async def run_patiently(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """:meth:`run` for work that nobody waits for: it waits for a worker without limit."""
        call = functools.partial(function, *args, **kwargs)
        context = contextvars.copy_context()
        return await self._run_in(await self.acquire(patient=True), call, context)

    async def run_urgently(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """:meth:`run` for work that is done in a moment: before all others and without limit."""
        call = functools.partial(function, *args, **kwargs)
        context = contextvars.copy_context()
        return await self._run_in(await self.acquire(urgent=True), call, context)

    async def _run_in(
        self, worker: Worker, call: Callable[[], T], context: contextvars.Context
    ) -> T:
        def job() -> T:
            try:
                return call()
            finally:
                self.release(worker)

        result = await worker.call(job, context)
        carry(context)
        return result

    def _begin_again(self) -> None:
        """In a process just forked: the threads are in the parent, and so is who waits."""
        self._lock = threading.Lock()
        self._threads = 0
        for waiters in (self._idle, self._queue, self._urgent, self._patient):
            waiters.clear()

    def close(self) -> None:
        """End the threads that are idle; the others end when they come back and nobody waits.

        Who still needs a worker gets one as before; its thread ends after that.
        """
        with self._lock:
            self._closed = True
            self._threads -= len(self._idle)
            _stop_all(self._idle)


def _stop_all(workers: list[Worker]) -> None:
    while workers:
        workers.pop().stop()


def _after_fork() -> None:
    for pool in _pools:
        pool._begin_again()


if hasattr(os, "register_at_fork"):  # pragma: no branch - everywhere but on Windows
    os.register_at_fork(after_in_child=_after_fork)
