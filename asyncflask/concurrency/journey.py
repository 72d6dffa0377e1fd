"""A coroutine that runs partly on the event loop and partly in one worker thread.

The life of a request is written once, as a coroutine. Where a ``def`` function is due it says
``await in_worker``, where an ``async def`` function is due ``await on_loop``, and it goes on in
that place. A request whose functions are all ``def`` goes over once and comes back once.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from asyncio import _get_running_loop as running_loop
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack
from typing import Any, Generic, NamedTuple, TypeVar, cast

from asyncflask.concurrency.pool import Worker, WorkerPool, carry, tell, wait_for
from asyncflask.concurrency.tasks import keep_going, remember

T = TypeVar("T")

_log = logging.getLogger("asyncflask")


class _Place:
    """Awaited by a coroutine that is driven by a :class:`Journey`: go on there."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __await__(self) -> Generator[Any, Any, None]:
        yield self

    def __repr__(self) -> str:
        return self.name


on_loop = _Place("on_loop")
in_worker = _Place("in_worker")


class _Visit(NamedTuple):
    """How a stretch in the worker ended: came back with something to await, or finished."""

    yielded: Any = None
    result: Any = None
    error: BaseException | None = None
    finished: bool = False


class Journey(Generic[T]):
    """Drives ``coroutine`` between the loop and a worker, as it asks; awaiting gives its result.

    All of its ``def`` code runs within one ``contextvars.Context``; values that change there are
    carried to the task, and the task's to it.

    When the awaiting task is cancelled while the worker runs, the task leaves at once. The
    coroutine goes on by itself to its end, ``abandoned`` is set so that it can drop what it was
    to deliver, and only then the worker goes back to the pool.

    :param coroutine: what to drive.
    :param pool: where the worker comes from.
    :param worker: a worker to use instead, which stays the caller's (a thread that waits for this
        request anyway).
    :param keep: keep one worker from the first stretch to the end, so that all ``def`` code runs
        in one thread. Otherwise it is given back whenever the coroutine returns to the loop.
    """

    __slots__ = (
        "_borrowed",
        "_context",
        "_coroutine",
        "_loop",
        "_pool",
        "_return",
        "_task",
        "abandoned",
        "keep",
        "urgent",
        "worker",
    )

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        pool: WorkerPool,
        *,
        worker: Worker | None = None,
        keep: bool = False,
    ) -> None:
        self._coroutine = coroutine
        self._pool = pool
        self.worker = worker
        self._borrowed = worker is None
        self._loop = asyncio.get_running_loop()
        self._context: contextvars.Context | None = None
        self._task: asyncio.Task[Any] | None = None
        # While the worker runs and the task has left: done when the worker comes back.
        self._return: asyncio.Future[None] | None = None
        self.keep = keep
        self.urgent = False
        self.abandoned = False

    @property
    def drives_here(self) -> bool:
        """Whether the code that asks is part of the coroutine, and so may change its place.

        Other tasks of the request, on any loop, are not.
        """
        return running_loop() is None or self._task is asyncio.current_task()

    @property
    def has_worker_here(self) -> bool:
        """Whether a worker is kept, and for the task that runs here: it drives this journey.

        Other tasks of the request must not use that worker: they would hold the request up.
        """
        return self.worker is not None and self._task is asyncio.current_task()

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run a ``def`` function in the worker that is kept, for code of this request on the loop.

        Taking another worker while this one is kept could wait for ever.
        """
        assert self.worker is not None
        context = contextvars.copy_context()
        result = await self.worker.call(function, context)
        carry(context)
        return result

    def release(self) -> None:
        """Give back the worker that is kept, if one is; the next stretch takes one again."""
        worker, self.worker = self.worker, None
        if worker is not None and self._borrowed:
            self._pool.release(worker)

    def _drive(self, yielded: Any = on_loop) -> Generator[Any, Any, T]:
        """Step the coroutine, which has last yielded ``yielded``."""
        coroutine = self._coroutine
        self._task = asyncio.current_task()
        try:
            while True:
                value: Any = None
                error: BaseException | None = None
                while yielded is in_worker:
                    visit = yield from self._visit()
                    if visit.finished:
                        if visit.error is not None:
                            raise visit.error
                        result: T = visit.result
                        return result
                    yielded = visit.yielded
                if yielded is not on_loop:
                    try:
                        value = yield yielded
                    except BaseException as exc:
                        error = exc
                try:
                    yielded = coroutine.send(value) if error is None else coroutine.throw(error)
                except StopIteration as stop:
                    finished: T = stop.value
                    return finished
        finally:
            if self._return is None and self.worker is not None:
                self.release()

    #: Awaiting it drives the coroutine from its beginning.
    __await__ = _drive

    def _visit(self) -> Generator[Any, Any, _Visit]:
        if self.worker is None:
            try:
                self.worker = yield from self._pool.acquire(urgent=self.urgent).__await__()
            except BaseException as exc:
                # The coroutine is still here: what went wrong happened to its `def` function.
                return self._throw(exc)
            self._borrowed = True  # also where the caller's was given back before
        if self._context is None:
            self._context = contextvars.copy_context()
        else:
            self._context.run(carry, contextvars.copy_context())
        arrival: asyncio.Future[_Visit] = self._loop.create_future()
        self.worker.submit(functools.partial(self._work, self._context, arrival))
        try:
            visit = yield from arrival
        except asyncio.CancelledError as exc:
            if arrival.cancelled():
                self.abandoned = True
                self._return = self._loop.create_future()
                remember(self._return)
                raise
            # It had arrived when the cancellation came: the coroutine is here and hears of it.
            visit = arrival.result()
            if visit.finished:
                raise
            return self._throw(exc)
        carry(self._context)
        if self._borrowed and not self.keep:
            self.release()
        return visit

    def _throw(self, error: BaseException) -> _Visit:
        try:
            return _Visit(self._coroutine.throw(error))
        except StopIteration as stop:
            return _Visit(result=stop.value, finished=True)
        except BaseException as exc:
            return _Visit(error=exc, finished=True)

    def _work(self, context: contextvars.Context, arrival: asyncio.Future[_Visit]) -> None:
        """In the worker: step the coroutine until it wants to go elsewhere."""
        visit = context.run(_stay, self._coroutine)
        tell(self._loop, self._arrive, arrival, visit)

    def _arrive(self, arrival: asyncio.Future[_Visit], visit: _Visit) -> None:
        """On the loop again."""
        if not arrival.cancelled():
            arrival.set_result(visit)
        elif self._return is None:
            # The task is cancelled and about to hear of it: it leaves first.
            self._loop.call_soon(self._arrive, arrival, visit)
        else:
            self._return.set_result(None)
            self._return = None
            self._go_on(visit)

    def _go_on(self, visit: _Visit) -> None:
        if not visit.finished:
            keep_going(self._go_on_alone(visit.yielded))
            return
        self.release()
        if visit.error is not None:
            _log.error("A cancelled request failed in its thread", exc_info=visit.error)

    async def _go_on_alone(self, yielded: Any) -> None:
        carry(cast(contextvars.Context, self._context))  # set by the visit that is over
        try:
            await _Rest(self._drive(yielded))
        except Exception:
            _log.exception("A cancelled request failed while it was finished")


def _stay(coroutine: Coroutine[Any, Any, Any]) -> _Visit:
    """Step ``coroutine`` in this thread, where no loop runs, until it wants to go elsewhere."""
    try:
        yielded = in_worker
        while yielded is in_worker:
            yielded = coroutine.send(None)
    except StopIteration as stop:
        return _Visit(result=stop.value, finished=True)
    except BaseException as exc:
        return _Visit(error=exc, finished=True)
    return _Visit(yielded)


class Detour(Generic[T]):
    """Drives ``coroutine`` from ``def`` code, which waits for it, as a :class:`Journey` would.

    Its ``def`` code runs in the thread that waits, the rest on a loop.

    :param coroutine: what to drive.
    :param loop: the loop of the request. With None it gets one of its own.
    """

    urgent = False
    abandoned = False

    def __init__(
        self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None

    @property
    def drives_here(self) -> bool:
        """Whether the code that asks is part of the coroutine; see :class:`Journey`."""
        return running_loop() is None or self._task is asyncio.current_task()

    def release(self) -> None:
        """Do nothing: the thread is the caller's."""

    def complete(self) -> T:
        """Return what the coroutine returns.

        :raises BaseException: what the coroutine raises.
        """
        with ExitStack() as stack:
            runner = None if self._loop is not None else stack.enter_context(asyncio.Runner())
            while True:
                if runner is None:
                    visit = wait_for(self._stretch, self._loop)
                else:
                    context = contextvars.copy_context()
                    visit = runner.run(self._stretch(), context=context)
                    carry(context)
                if not visit.finished:
                    visit = _stay(self._coroutine)
                if visit.error is not None:
                    raise visit.error
                if visit.finished:
                    result: T = visit.result
                    return result

    async def _stretch(self) -> _Visit:
        self._task = asyncio.current_task()
        visit: _Visit = await _Rest(_step_on_loop(self._coroutine))
        return visit


def _step_on_loop(coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, _Visit]:
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            yielded = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            return _Visit(result=stop.value, finished=True)
        except BaseException as exc:
            return _Visit(error=exc, finished=True)
        value, error = None, None
        if yielded is in_worker:
            return _Visit(yielded)
        if yielded is not on_loop:
            try:
                value = yield yielded
            except BaseException as exc:
                error = exc


class _Rest:
    """Makes the remaining steps of a journey awaitable."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Generator[Any, Any, Any]) -> None:
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._steps
