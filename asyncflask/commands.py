"""An application's commands: they run in its context, ``async def`` ones on an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

import click

from asyncflask.concurrency import running_loop
from asyncflask.ctx import current, has_app_context

if TYPE_CHECKING:
    from asyncflask.app import Flask

_RUNNER = f"{__name__}.runner"  # a key of click's `Context.meta`

P = ParamSpec("P")
T = TypeVar("T")


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
            enter_app_context(context, _find_loader(context).load_app())
        return _finish(context, context.invoke(f, *args, **kwargs))

    return functools.update_wrapper(wrapper, f)


class AppGroup(click.Group):
    """A click group whose commands run in the application's context: ``app.cli`` is one.

    Callbacks may be ``def`` or ``async def``::

        @app.cli.command()
        @click.argument("name")
        async def create_user(name: str) -> None: ...
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command, as :meth:`click.Command.main` does.

        Where an event loop runs, as in an ``async def`` test, it runs in a thread of its own.
        """
        return off_the_loop(super().main, *args, **kwargs)

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
        return _register(super().command, wrap, args, kwargs)

    @overload
    def group(self, function: Callable[..., Any], /) -> click.Group: ...

    @overload
    def group(self, *args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], click.Group]: ...

    def group(self, *args: Any, **kwargs: Any) -> Any:
        """Register the decorated function as a group, which is an :class:`AppGroup` too."""
        kwargs.setdefault("cls", AppGroup)
        return _register(super().group, _without_appcontext, args, kwargs)


def _register(
    decorator: Callable[..., Any],
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Apply a decorator of click's, written with or without parentheses, to what ``wrap`` makes."""
    if args and callable(args[0]):
        function, *rest = args
        return decorator(*rest, **kwargs)(wrap(function))
    register = decorator(*args, **kwargs)
    return lambda function: register(wrap(function))


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


def enter_app_context(context: click.Context, app: Flask) -> None:
    """Make an application's context current until a click context ends.

    The ``async def`` functions that run within it, commands and then teardowns, share a loop.
    """
    runner = context.meta[_RUNNER] = asyncio.Runner()
    context.call_on_close(runner.close)  # it makes no loop before it needs one
    context.with_resource(app.app_context())


def _finish(context: click.Context, result: Any) -> Any:
    if not inspect.iscoroutine(result):
        return result
    if running_loop() is not None:
        result.close()
        raise RuntimeError(
            "An 'async def' command gets an event loop of its own, and one is running here "
            "already. In a test, run it with app.test_cli_runner()."
        )
    runner: asyncio.Runner | None = context.meta.get(_RUNNER)
    if runner is None:
        return asyncio.run(result)
    current.get().loop = runner.get_loop()
    return runner.run(result, context=contextvars.copy_context())


def off_the_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function where no event loop runs: here, or in a thread of its own if one does.

    In a thread it begins with an empty context: the context of the application that is active here
    belongs to the loop that is waiting.
    """
    if running_loop() is None:
        return function(*args, **kwargs)
    with ThreadPoolExecutor(1) as thread:
        call = functools.partial(function, *args, **kwargs)
        return thread.submit(contextvars.Context().run, call).result()
