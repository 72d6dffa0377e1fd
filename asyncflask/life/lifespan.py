"""Start and shutdown: the serving hooks of an application, and the lifespans around them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncflask.concurrency import wait_for_stragglers
from asyncflask.life.calls import announce_beside
from asyncflask.life.draining import told_by_signals
from asyncflask.signals import got_serving_exception

if TYPE_CHECKING:
    from asyncflask.app import Flask


def has_lifespan(app: Flask) -> bool:
    """Whether an application itself has anything to run at its start or its shutdown."""
    return _has_hooks(app) or app._user_lifespan is not no_lifespan


def _has_hooks(app: Flask) -> bool:
    return bool(app.before_serving_funcs or app.while_serving_gens or app.after_serving_funcs)


@asynccontextmanager
async def run_lifespan(app: Flask) -> AsyncIterator[Any]:
    """The lifespan of an application: what ``app.router`` runs at start and at shutdown.

    At start: the application's ``lifespan``, ``before_serving`` functions, ``while_serving``
    generators up to their ``yield``, the lifespans of mounted applications. At shutdown:
    ``app.draining`` is set, what cancelled requests have left to do and background tasks are waited
    for, then all that has started is ended in reverse order. One that fails does not keep the
    others from running. The last lifespan to end ends the worker threads.
    """
    app.freeze()
    app._lifespans += 1
    signals = told_by_signals(app.draining) if app._lifespans == 1 else nullcontext()
    try:
        with signals:
            async with _started(app) as state:
                if app._self_start is not None:
                    app._self_start.stand_aside()
                yield state
    finally:
        app._lifespans -= 1
        if not app._lifespans:
            app.close_pools()
            app.draining.clear()
            if app._self_start is not None:
                app._self_start.stand_ready()


@asynccontextmanager
async def _started(app: Flask) -> AsyncIterator[Any]:
    ends = _Ends(app)
    try:
        state = await _start(app, ends)
        try:
            yield state
        finally:
            await _drain(app)
    except BaseException as exc:
        if isinstance(exc, Exception):
            await announce_beside(app, got_serving_exception, exception=exc)
        await ends.run(exc)
        raise
    await ends.run(None)
    if ends.failures:
        raise ends.failures[0]  # logged, and for the server to know


class _Ends:
    """What has to be done at shutdown, in reverse order.

    What fails is logged, kept in ``failures``, and does not keep the rest from running.
    """

    def __init__(self, app: Flask) -> None:
        self.failures: list[Exception] = []
        self._app = app
        self._stack = AsyncExitStack()

    def push(self, name: str, leave: Callable[..., Awaitable[Any]]) -> None:
        """Add a step: ``leave(type, exception, traceback)``, as of a context manager."""

        async def step(*raised: Any) -> None:
            try:
                await leave(*raised)
            except Exception as exc:
                self._app.logger.exception("%s has failed at shutdown", name)
                self.failures.append(exc)
                await announce_beside(self._app, got_serving_exception, exception=exc)

        self._stack.push_async_exit(step)

    async def run(self, exc: BaseException | None) -> None:
        """Run all steps, within an application context.

        :param exc: why the application could not start, or was torn away.
        """
        async with _context_for_hooks(self._app):
            if exc is None:
                await self._stack.aclose()
            else:
                await self._stack.__aexit__(type(exc), exc, exc.__traceback__)


def _context_for_hooks(app: Flask) -> AbstractAsyncContextManager[Any]:
    """An application context where there are functions to run in it."""
    return app.app_context() if _has_hooks(app) else nullcontext()


async def _start(app: Flask, ends: _Ends) -> Any:
    lifespan = app._user_lifespan(app)
    state = await lifespan.__aenter__()
    ends.push("The lifespan", lifespan.__aexit__)
    async with _context_for_hooks(app):
        for function in app.before_serving_funcs:
            with _named("before_serving", function):
                await _call(app, function)
        for function in reversed(app.after_serving_funcs):  # in order, when it is their turn
            with _named("after_serving", function) as name:
                ends.push(name, partial(_call, app, function))
        for generator in app.while_serving_gens:
            with _named("while_serving", generator) as name:
                enter, leave = _halves(app, generator)
                await enter()
                ends.push(name, leave)
    for mounted in app._mounted.lifespans(app._router.routes):
        ends.push(str(mounted), mounted.stop)  # first: what does not start has to be stopped too
        await mounted.start()
    return state


async def _drain(app: Flask) -> None:
    if app._lifespans == 1:
        app.draining.set()  # where no signal has told it: those that wait for it end now
    seconds = app.config["SHUTDOWN_TIMEOUT"]
    await wait_for_stragglers(seconds)  # first: their teardowns may add background tasks
    limit = app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"]
    await app.background_tasks.drain(seconds if limit is None else limit)


async def _call(app: Flask, function: Callable[[], Any], *_raised: Any) -> None:
    await app.ensure_async(function)()


@contextmanager
def _named(kind: str, function: Any) -> Iterator[str]:
    """Give the name of a serving function, and say in an error that it comes from there."""
    name = f"The {kind} function {getattr(function, '__qualname__', repr(function))!r}"
    try:
        yield name
    except Exception as exc:
        exc.add_note(f"{name} has raised this at start.")
        raise


def _halves(
    app: Flask, function: Callable[[], Any]
) -> tuple[Callable[[], Awaitable[Any]], Callable[..., Awaitable[Any]]]:
    """The two halves of a generator function, each to be awaited, to run in its place."""
    made = function()
    if inspect.isasyncgen(made):
        manager = asynccontextmanager(lambda: made)()
        return manager.__aenter__, manager.__aexit__
    if inspect.isgenerator(made):
        sync_manager = contextmanager(lambda: made)()
        run_sync: Any = app.run_sync
        return partial(run_sync, sync_manager.__enter__), partial(run_sync, sync_manager.__exit__)
    if inspect.iscoroutine(made):
        made.close()
    raise TypeError(
        "A while_serving function is a generator function: what stands before its 'yield' runs at "
        "start, the rest at shutdown. This one has no 'yield'."
    )


@asynccontextmanager
async def no_lifespan(_app: Flask) -> AsyncIterator[None]:
    """The lifespan of an application that was given none."""
    yield
