"""What an application does between start and shutdown besides its requests."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from asyncflask.concurrency import is_async_callable, running_loop
from asyncflask.ctx import current
from asyncflask.life.background import BackgroundTasks
from asyncflask.life.calls import announce_beside
from asyncflask.life.draining import Draining
from asyncflask.life.mounted import MountedLifespans
from asyncflask.life.workers import Workers
from asyncflask.signals import got_background_exception

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.life.self_start import SelfStart


class Serving(Workers):
    """Starts, shuts down, and runs tasks beside the requests. A base of the application."""

    logger: logging.Logger
    #: How many lifespans are open: each test client may run one.
    _lifespans = 0
    _self_start: SelfStart | None = None
    _started: AbstractAsyncContextManager[Any] | None = None

    def _init_serving(self) -> None:
        #: Set when the shutdown begins, before the server waits for open connections.
        self.draining = Draining()
        self._mounted = MountedLifespans()
        #: The background tasks that run just now.
        self.background_tasks = BackgroundTasks(self)

    @property
    def shutdown_event(self) -> Draining:
        """Quart's name for :attr:`draining`."""
        return self.draining

    @asynccontextmanager
    async def lifespan(self, host: Any = None) -> AsyncIterator[Any]:
        """Start here, and shut down at the end of the block: for a host that the app is mounted in.

        ``Starlette(lifespan=app.lifespan)`` and the like hand the application's start and shutdown
        to the host's. A host that has a lifespan of its own enters it there:
        ``async with app.lifespan():``. Until its end, requests do not start the application.

        :param host: what hosts give to a lifespan; it is not used.
        :returns: the context manager; entered, the state that the application's ``lifespan`` has
            given. Its requests have that in ``scope["state"]``, whatever the host does with it.
        """
        app = cast("Flask", self)
        if app.middleware_stack is None:
            app.middleware_stack = app.build_middleware_stack()
        async with app._router.lifespan_context(app) as state:
            if self._self_start is not None:
                self._self_start.keep(state)
            yield state

    async def startup(self) -> None:
        """Start as a server makes the application do: for tests and servers of one's own.

        :raises RuntimeError: it was started in this way already.
        """
        if self._started is not None:
            raise RuntimeError(f"{self.name!r} was started already: call 'shutdown()' first.")
        lifespan = self.lifespan()
        await lifespan.__aenter__()
        self._started = lifespan

    async def shutdown(self) -> None:
        """End what :meth:`startup` began.

        :raises RuntimeError: :meth:`startup` was not called.
        """
        lifespan, self._started = self._started, None
        if lifespan is None:
            raise RuntimeError(f"{self.name!r} was not started: call 'startup()' first.")
        await lifespan.__aexit__(None, None, None)

    def add_background_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a function beside the requests; it outlives this one and is awaited at shutdown.

        It runs in a copy of the current context: ``g`` and ``request`` are still there. What it
        raises goes to :meth:`handle_background_exception`.

        :param func: ``async def`` runs on the loop, ``def`` in a worker thread, once one is free
            that no request waits for.
        :raises TypeError: it is no function.
        """
        if not callable(func):
            if asyncio.iscoroutine(func):
                func.close()
            raise TypeError(
                f"A background task is a function, not {func!r}. Pass the function and its "
                "arguments: add_background_task(function, argument)."
            )
        name = getattr(func, "__name__", repr(func))
        if is_async_callable(func):
            run: Callable[[], Awaitable[Any]] = functools.partial(func, *args, **kwargs)
        else:
            run = functools.partial(self.pool.run_patiently, func, *args, **kwargs)
        context = current.get(None)
        if running_loop() is None and context is not None and context.loop is not None:
            context.loop.call_soon_threadsafe(self.background_tasks.start, name, run)
        else:
            self.background_tasks.start(name, run)

    async def handle_background_exception(self, error: Exception) -> None:
        """Log what a background task has raised, and signal it; subclasses may do otherwise.

        It is called within the task and its context.
        """
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.logger.error("The background task %r failed", task.get_name(), exc_info=error)
        await announce_beside(cast("Flask", self), got_background_exception, exception=error)
