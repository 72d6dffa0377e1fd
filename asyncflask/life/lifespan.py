"""Start, shutdown and what runs beside requests: serving hooks and background tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from asyncflask.concurrency import is_async_callable
from asyncflask.concurrency.journey import wait_for_stragglers
from asyncflask.concurrency.pool import stand_alone

if TYPE_CHECKING:
    from asyncflask.app import Flask

_log = logging.getLogger("asyncflask")


class BackgroundTasks:
    """The tasks of an application that outlive their requests.

    Each runs in a copy of the context it was added in, so ``g`` and ``request`` are still there.
    One that fails is logged.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, name: str, run: Callable[[], Awaitable[Any]]) -> None:
        """Run ``run()`` as a task on the loop that runs here."""
        task = asyncio.get_running_loop().create_task(self._run(name, run), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, name: str, run: Callable[[], Awaitable[Any]]) -> None:
        stand_alone()
        try:
            await run()
        except Exception:
            _log.exception("The background task %r failed", name)

    async def drain(self, seconds: float | None) -> None:
        """Wait for the tasks, at most so many seconds; what is left is cancelled."""
        try:
            async with asyncio.timeout(seconds):
                while tasks := self._tasks_here():  # tasks may add tasks
                    await asyncio.wait(tasks)
        except TimeoutError:
            late = self._tasks_here()
            for task in late:
                _log.warning("The background task %r was cancelled at shutdown", task.get_name())
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _tasks_here(self) -> list[asyncio.Task[None]]:
        here = asyncio.get_running_loop()
        return [task for task in self._tasks if task.get_loop() is here]


@asynccontextmanager
async def serving(app: Flask) -> AsyncIterator[Any]:
    """The lifespan of an application: what ``app.router`` runs at start and at shutdown.

    At start: the application's ``lifespan``, ``while_serving`` generators up to their ``yield``,
    ``before_serving`` functions. At shutdown: what cancelled requests have left to do and
    background tasks are waited for, then ``after_serving`` functions, the rest of the generators
    and of the ``lifespan``. One that fails does not keep the others from running. The last
    lifespan to end ends the worker threads.
    """
    app.freeze()
    app._lifespans += 1
    try:
        async with app._user_lifespan(app) as state, _serving_hooks(app):
            yield state
    finally:
        app._lifespans -= 1
        if not app._lifespans:
            app.close_pools()


@asynccontextmanager
async def _serving_hooks(app: Flask) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        async with app.app_context():
            for generator in app.while_serving_gens:
                await stack.enter_async_context(asynccontextmanager(generator)())
            for function in app.before_serving_funcs:
                await _call(app, function)
        try:
            yield
        finally:
            seconds = app.config["SHUTDOWN_TIMEOUT"]
            await wait_for_stragglers(seconds)  # first: their teardowns may add background tasks
            await app.background_tasks.drain(seconds)
            for function in reversed(app.after_serving_funcs):
                stack.push_async_callback(_call, app, function)
            async with app.app_context():
                await stack.aclose()


async def _call(app: Flask, function: Callable[[], Any]) -> None:
    if is_async_callable(function):
        await function()
    else:
        await app.run_sync(function)


@asynccontextmanager
async def no_lifespan(_app: Flask) -> AsyncIterator[None]:
    """The lifespan of an application that was given none."""
    yield
