"""The end of a context that code has pushed itself; requests end in ``dispatch``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from asyncflask.concurrency import is_async_callable, running_loop
from asyncflask.ctx import RequestContext
from asyncflask.helpers import blueprint_names
from asyncflask.signals import appcontext_tearing_down, request_tearing_down

if TYPE_CHECKING:
    from asyncflask.ctx import AppContext

_log = logging.getLogger("asyncflask")


def _functions(context: AppContext) -> Iterator[Callable[..., Any]]:
    app = context.app
    if isinstance(context, RequestContext):
        for name in (*blueprint_names(context.endpoint.name), None):
            yield from reversed(app.teardown_request_funcs.get(name, ()))
    yield from reversed(app.teardown_appcontext_funcs)


def tear_down_in_place(context: AppContext, exc: BaseException | None) -> None:
    """Run the teardown functions in this thread: ``async def`` ones on the context's loop."""
    for function in _functions(context):
        try:
            if is_async_callable(function) and running_loop() is not None:
                raise RuntimeError(
                    "An 'async def' teardown function cannot run at the end of a 'with' block in "
                    "'async def' code. Use 'async with'."
                )
            context.app.ensure_sync(function)(exc)
        except Exception:
            _log.exception("The teardown function %r failed", _name(function))
    for receiver_result in _announced(context, exc):
        del receiver_result
    _close(context)


async def tear_down(context: AppContext, exc: BaseException | None) -> None:
    """Run the teardown functions, each in its place."""
    for function in _functions(context):
        try:
            if is_async_callable(function):
                await function(exc)
            else:
                await context.app.run_sync(function, exc)
        except Exception:
            _log.exception("The teardown function %r failed", _name(function))
    for result in _announced(context, exc):
        if hasattr(result, "__await__"):
            await result
    _close(context)


def _announced(context: AppContext, exc: BaseException | None) -> Iterator[Any]:
    signals = [appcontext_tearing_down]
    if isinstance(context, RequestContext):
        signals.insert(0, request_tearing_down)
    for signal in signals:
        for _, result in signal.send(context.app, exc=exc):
            yield result


def _close(context: AppContext) -> None:
    if isinstance(context, RequestContext) and context.has_form:
        context.request.close()


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
