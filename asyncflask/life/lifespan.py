"""Start, shutdown and what runs beside requests: serving hooks and background tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from asyncflask.concurrency import is_async_callable

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
        try:
            await run()
        except Exception:
            _log.exception("The background task %r failed", name)

    async def drain(self, seconds: float | None) -> None:
        """Wait for the tasks, at most so many seconds; what is left is cancelled."""
        here = asyncio.get_running_loop()
        tasks = [task for task in self._tasks if task.get_loop() is here]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            _log.warning("The background task %r was cancelled at shutdown", task.get_name())
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


@asynccontextmanager
async def serving(app: Flask) -> AsyncIterator[Any]:
    """The lifespan of an application: what ``app.router`` runs at start and at shutdown.

    At start: the application's ``lifespan``, ``while_serving`` generators up to their ``yield``,
    ``before_serving`` functions. At shutdown: background tasks are waited for, then the same in
    reverse, with ``after_serving``.
    """
    app.freeze()
    async with AsyncExitStack() as stack:
        state = await stack.enter_async_context(app._user_lifespan(app))
        async with app.app_context():
            for function in app.while_serving_gens:
                await stack.enter_async_context(asynccontextmanager(function)())
            for function in app.before_serving_funcs:
                await _call(app, function)
        try:
            yield state
        finally:
            await app.background_tasks.drain(app.config["SHUTDOWN_TIMEOUT"])
            async with app.app_context():
                for function in app.after_serving_funcs:
                    await _call(app, function)
            app.close_pools()


async def _call(app: Flask, function: Callable[[], Any]) -> None:
    if is_async_callable(function):
        await function()
    else:
        await app.run_sync(function)


@contextlib.asynccontextmanager
async def no_lifespan(_app: Flask) -> AsyncIterator[None]:
    """The lifespan of an application that was given none."""
    yield
