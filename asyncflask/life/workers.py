"""An application's worker threads, and the ways between ``def`` and ``async def`` code."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from asyncflask.concurrency import Journey, WorkerPool, is_async_callable, running_loop, wait_for
from asyncflask.ctx import current, current_connection
from asyncflask.lazy import lazy

if TYPE_CHECKING:
    from asyncflask.config import Config

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Runs functions where they belong. A base of the application."""

    name: str
    config: Config

    @lazy
    def pool(self) -> WorkerPool:
        """The threads for ``def`` functions, ``WORKER_THREADS`` at most."""
        return self._make_pool("WORKER_THREADS", "worker")

    @lazy
    def stream_pool(self) -> WorkerPool:
        """The threads for sync generators, files and sockets, ``STREAM_THREADS`` at most."""
        return self._make_pool("STREAM_THREADS", "stream")

    def _make_pool(self, size: str, kind: str) -> WorkerPool:
        config = self.config
        return WorkerPool(
            config[size],
            queue_size=config["WORKER_QUEUE_SIZE"],
            queue_timeout=config["WORKER_QUEUE_TIMEOUT"],
            name=f"{self.name}-{kind}",
        )

    def close_pools(self) -> None:
        """End the worker threads; new ones are started when they are needed again."""
        for name in ("pool", "stream_pool"):
            pool = self.__dict__.pop(name, None)
            if pool is not None:
                pool.close()

    async def run_sync(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in a worker thread, within the current context.

        In a request that holds a worker already, that one is used, but not in other tasks that
        the request has begun.

        :returns: what the function returns.
        :raises WorkerPoolFullError: no thread came free in time.
        """
        connection = current_connection()
        journey = None if connection is None else connection.journey
        if isinstance(journey, Journey) and journey.has_worker_here:
            result: T = await journey.run(functools.partial(function, *args, **kwargs))
            return result
        return await self.pool.run(function, *args, **kwargs)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function that ``def`` code can call of one that may be ``async def``.

        An application that replaces this method, or :meth:`ensure_async`, has it applied to every
        view, hook and error handler when it starts.
        """
        return self.async_to_sync(func) if is_async_callable(func) else func

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Make a ``def`` function of an ``async def`` one.

        Where a loop runs in the calling thread, its result is the coroutine, to be awaited or
        returned; elsewhere the coroutine is run on the request's loop while the thread waits.
        """

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            if running_loop() is not None:
                return func(*args, **kwargs)
            return self._run_coroutine(lambda: func(*args, **kwargs))

        return call

    def ensure_async(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function that can be awaited of one that may be ``def``; Quart's."""
        return func if is_async_callable(func) else self.sync_to_async(func)

    def sync_to_async(self, func: Callable[P, T]) -> Callable[P, Awaitable[T]]:
        """Make an ``async def`` function that runs ``func`` in a worker thread."""

        @functools.wraps(func)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return await self.run_sync(func, *args, **kwargs)

        return call

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait in ``def`` code for what can only be awaited, on the request's loop."""

        async def run() -> T:
            return await awaitable

        result: T = self._run_coroutine(run)
        return result

    def _run_coroutine(self, make: Callable[[], Any]) -> Any:
        context = current.get(None)
        loop = None if context is None else context.loop
        if loop is not None:
            return wait_for(make, loop)
        return asyncio.run(make())
