"""An application's commands: they run in its context, ``async def`` ones on an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, overload

import click

from asyncflask.concurrency import running_loop
from asyncflask.ctx import has_app_context

if TYPE_CHECKING:
    from asyncflask.app import Flask


class AppLoader:
    """Knows the application that commands are for. It is the click context's ``obj``."""

    def load_app(self) -> Flask:
        """Return the application, found or made at the first call."""
        raise NotImplementedError


def with_appcontext(f: Callable[..., Any]) -> Callable[..., Any]:
    """Run a click callback in the context of the application, if none is active.

    Commands made by :meth:`AppGroup.command` have it already.

    :param f: a ``def`` function, or an ``async def`` function, which gets an event loop.
    """

    @click.pass_context
    def wrapper(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        if not has_app_context():
            app = _find_loader(context).load_app()
            context.with_resource(app.app_context())
        return _finish(context, context.invoke(f, *args, **kwargs))

    return functools.update_wrapper(wrapper, f)


class AppGroup(click.Group):
    """A click group whose commands run in the application's context: ``app.cli`` is one.

    Callbacks may be ``def`` or ``async def``::

        @app.cli.command()
        @click.argument("name")
        async def create_user(name: str) -> None: ...
    """

    @overload
    def command(self, function: Callable[..., Any], /) -> click.Command: ...

    @overload
    def command(
        self, *args: Any, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], click.Command]: ...

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """Register the decorated function as a command, as :meth:`click.Group.command` does.

        :param with_appcontext: ``False`` leaves out the application's context.
        """
        wrap = with_appcontext if kwargs.pop("with_appcontext", True) else _without_appcontext
        if args and callable(args[0]):
            function, *rest = args
            return super().command(*rest, **kwargs)(wrap(function))
        register = super().command(*args, **kwargs)
        return lambda function: register(wrap(function))

    @overload
    def group(self, function: Callable[..., Any], /) -> click.Group: ...

    @overload
    def group(self, *args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], click.Group]: ...

    def group(self, *args: Any, **kwargs: Any) -> Any:
        """Register the decorated function as a group, which is an :class:`AppGroup` too."""
        kwargs.setdefault("cls", AppGroup)
        return super().group(*args, **kwargs)


def _without_appcontext(f: Callable[..., Any]) -> Callable[..., Any]:
    @click.pass_context
    def wrapper(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        return _finish(context, context.invoke(f, *args, **kwargs))

    return functools.update_wrapper(wrapper, f)


def _find_loader(context: click.Context) -> AppLoader:
    loader = context.find_object(AppLoader)
    if loader is None:
        raise click.UsageError(
            "This command needs an application. Run it through 'asyncflask --app ...', "
            "or pass obj=asyncflask.cli.ScriptInfo(create_app=...)."
        )
    return loader


def _finish(context: click.Context, result: Any) -> Any:
    if not inspect.iscoroutine(result):
        return result
    if running_loop() is None:
        return asyncio.run(result)
    # Called from async code, such as a test: the command gets a thread, hence a loop, of its own.
    with ThreadPoolExecutor(1) as thread:
        run = contextvars.copy_context().run
        return thread.submit(run, _run_within, context, result).result()


def _run_within(context: click.Context, result: Coroutine[Any, Any, Any]) -> Any:
    with context.scope(cleanup=False):
        return asyncio.run(result)
