"""Calls of users' functions, each in its place: ``async def`` on the loop, ``def`` in a worker.

While a request is on a journey its coroutine changes place; otherwise it is on the loop, and a
``def`` function gets a short journey of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any

from asyncflask.concurrency import Journey, in_worker, is_async_callable, on_loop

if TYPE_CHECKING:
    from blinker import Signal

    from asyncflask.ctx import ConnectionContext

AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


def on_journey(function: Callable[..., Any]) -> AsyncFunction:
    """Make a coroutine function that runs ``function`` in its place, on a journey."""
    if is_async_callable(function):

        async def run_on_loop(*args: Any, **kwargs: Any) -> Any:
            await on_loop
            return await function(*args, **kwargs)

        return _named(run_on_loop, function)

    async def run_in_worker(*args: Any, **kwargs: Any) -> Any:
        await in_worker
        result = function(*args, **kwargs)
        if inspect.iscoroutine(result):
            # A plain decorator around an `async def` function.
            await on_loop
            result = await result
        return result

    return _named(run_in_worker, function)


def _named(wrapper: AsyncFunction, function: Callable[..., Any]) -> AsyncFunction:
    return wraps(function)(wrapper) if hasattr(function, "__name__") else wrapper


async def call_function(
    context: ConnectionContext, function: Callable[..., Any], *args: Any
) -> Any:
    """Call a function that is not part of the endpoint (an error handler, say) in its place."""
    if context.journey is not None:
        return await on_journey(function)(*args)
    if is_async_callable(function):
        return await function(*args)
    worker = context.scope.get("asyncflask.worker")
    return await Journey(on_journey(function)(*args), context.app.pool, worker=worker)


async def settle(context: ConnectionContext, result: Any) -> Any:
    """Return the result of an inline call, awaited on the loop if it is awaitable."""
    if inspect.isawaitable(result):
        if context.journey is not None:
            await on_loop
        return await result
    return result


async def announce(context: ConnectionContext, signal: Signal, **kwargs: Any) -> None:
    """Send ``signal`` from the application. Receivers run inline, and are awaited if awaitable."""
    app = context.app
    for receiver in signal.receivers_for(app):
        await settle(context, receiver(app, **kwargs))
