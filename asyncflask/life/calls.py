"""Calls of users' functions, each in its place: ``async def`` on the loop, ``def`` in a worker.

While a request is on a journey its coroutine changes place; otherwise it is on the loop, and a
``def`` function gets a short journey of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

from asyncflask.concurrency import (
    Detour,
    Journey,
    awaited,
    in_worker,
    is_async_callable,
    on_loop,
    running_loop,
)
from asyncflask.ctx import current

if TYPE_CHECKING:
    from blinker import Signal

    from asyncflask.ctx import AppContext, ConnectionContext

T = TypeVar("T")

#: Where the scope has the worker of a thread that waits for the request anyway.
WAITING_WORKER = "asyncflask.worker"

AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


def on_journey(function: Callable[..., Any]) -> AsyncFunction:
    """Make a coroutine function that runs ``function`` in its place, on a journey."""
    if is_async_callable(function):

        async def run_on_loop(*args: Any, **kwargs: Any) -> Any:
            if running_loop() is None:
                await on_loop
            return await function(*args, **kwargs)

        return _named(run_on_loop, function)

    async def run_in_worker(*args: Any, **kwargs: Any) -> Any:
        # PERF: who is there already need not ask, which goes through all coroutines outside of this
        # one (scenario: `def` hooks).
        if running_loop() is not None:
            await in_worker
        result = function(*args, **kwargs)
        if result.__class__ is CoroutineType:
            # A plain decorator around an `async def` function.
            await on_loop
            for prepare in current.get().app._before_async_code():
                await prepare()
            result = await result
        return result

    return _named(run_in_worker, function)


def _named(wrapper: AsyncFunction, function: Callable[..., Any]) -> AsyncFunction:
    return wraps(function)(wrapper) if hasattr(function, "__name__") else wrapper


def make_journey(
    context: ConnectionContext, coroutine: Coroutine[Any, Any, T], *, keep: bool = False
) -> Journey[T]:
    """Make the journey of a request or of a part of it.

    :param keep: its ``def`` functions share one worker; see :class:`Journey`.
    """
    worker = context.scope.get(WAITING_WORKER)
    pool = getattr(context.app, context.endpoint.pool)
    return Journey(coroutine, pool, worker=worker, keep=keep)


async def call_function(
    context: ConnectionContext, function: Callable[..., Any], *args: Any
) -> Any:
    """Call a function that is not part of the endpoint (an error handler, say) in its place."""
    if _is_driven(context):
        return await on_journey(function)(*args)
    if is_async_callable(function):
        return await function(*args)
    return await make_journey(context, on_journey(function)(*args))


async def settle(context: AppContext, result: Any) -> Any:
    """Return the result of an inline call, awaited on the loop if it is awaitable."""
    # PERF: most calls give None; what else they give is looked at the long way (scenario: hooks).
    if result is not None and inspect.isawaitable(result):
        if _is_driven(context):
            await on_loop
        return await result
    return result


async def run_part(context: ConnectionContext, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a part of a request for ``async def`` code of its own, in whatever task that is."""
    if _is_driven(context) or not context.endpoint.elsewhere:
        return await make()
    outer = context.journey
    context.journey = journey = Journey(make(), context.app.pool)
    try:
        return await journey
    finally:
        context.journey = outer


def run_part_here(context: ConnectionContext, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """:func:`run_part` for ``def`` code, which waits for it and runs its ``def`` functions."""
    outer = context.journey
    context.journey = detour = Detour(make(), context.loop)
    try:
        return detour.complete()
    finally:
        context.journey = outer


def _is_driven(context: AppContext) -> bool:
    """Whether the coroutine at work is on a journey, and may ask to go elsewhere."""
    return context.journey is not None and context.journey.drives_here


async def announce(context: ConnectionContext, signal: Signal, **kwargs: Any) -> None:
    """Send ``signal`` from the application. Receivers run inline, and are awaited if awaitable."""
    app = context.app
    for receiver in signal.receivers_for(app):
        await settle(context, receiver(app, **kwargs))


async def announce_beside(sender: Any, signal: Signal, **kwargs: Any) -> None:
    """:func:`announce` for what no journey drives. To be called on the loop."""
    for receiver in signal.receivers_for(sender):
        await awaited(receiver(sender, **kwargs))
