"""The end of a context: its teardown functions, and the receivers of the teardown signals."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

from asyncflask.concurrency import is_async_callable, running_loop
from asyncflask.ctx import ConnectionContext, RequestContext, WebsocketContext
from asyncflask.life.calls import AsyncFunction, settle
from asyncflask.messages.connection import blueprint_names
from asyncflask.signals import appcontext_tearing_down

if TYPE_CHECKING:
    from blinker import Signal

    from asyncflask.app import Flask
    from asyncflask.ctx import AppContext
    from asyncflask.typing import TeardownFunction

_log = logging.getLogger("asyncflask")


# For ``dispatch``, where requests and WebSockets end.


async def run_all(steps: Iterable[AsyncFunction], exc: BaseException | None) -> None:
    """Run teardown functions; one that fails is logged and does not keep the others from it."""
    for step in steps:
        try:
            await step(exc)
        except Exception:
            _log_failure(step)


def receivers(context: AppContext, signal: Signal) -> Iterator[AsyncFunction]:
    """Return the receivers of a teardown signal as teardown functions."""
    if signal.receivers:
        for receiver in signal.receivers_for(context.app):
            yield update_wrapper(partial(_tell, context, receiver), receiver)


async def _tell(context: AppContext, receiver: Any, exc: BaseException | None) -> None:
    await settle(context, receiver(context.app, exc=exc))


def name_of(function: Any) -> str:
    """Return what to call a function in messages."""
    return getattr(function, "__name__", repr(function))


# For contexts that code has pushed itself.


def tear_down_in_place(context: AppContext, exc: BaseException | None) -> None:
    """Run the teardown functions in this thread: ``async def`` ones on the context's loop."""
    app = context.app
    for functions, signal in _stages(context):
        for function in functions:
            _call_in_place(app, partial(function, exc))
        for receiver in signal.receivers_for(app):
            _call_in_place(app, partial(receiver, app, exc=exc))
    _close(context)


def _call_in_place(app: Flask, call: partial[Any]) -> None:
    try:
        if is_async_callable(call) and running_loop() is not None:
            raise RuntimeError(
                "An 'async def' teardown function cannot run at the end of a 'with' block in "
                "'async def' code. Use 'async with'."
            )
        app.ensure_sync(call)()
    except Exception:
        _log_failure(call.func)


async def tear_down(context: AppContext, exc: BaseException | None) -> None:
    """Run the teardown functions, each in its place, and the receivers here."""
    for functions, signal in _stages(context):
        await run_all(map(context.app.ensure_async, functions), exc)
        await run_all(receivers(context, signal), exc)
    _close(context)


def _stages(context: AppContext) -> Iterator[tuple[list[TeardownFunction], Signal]]:
    """The teardown functions of a request or WebSocket, then those of the application context.

    Each with the signal that follows.
    """
    app = context.app
    if isinstance(context, ConnectionContext):
        declared = app.teardown_request_funcs
        if isinstance(context, WebsocketContext):
            declared = app.teardown_websocket_funcs
        names = (*blueprint_names(context.endpoint.name), None)
        functions = [f for name in names for f in reversed(declared.get(name, ()))]
        yield functions, context.tearing_down
    yield app.teardown_appcontext_funcs[::-1], appcontext_tearing_down


def _close(context: AppContext) -> None:
    if isinstance(context, RequestContext) and context.holds_files:
        context.request.close()


def _log_failure(function: Any) -> None:
    _log.exception("The teardown function %r failed", name_of(function))
