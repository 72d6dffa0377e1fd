"""One accessor for both kinds of code: an awaitable in ``async def``, a value in ``def``.

The test is one question: is an event loop running in this thread?
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import warnings
from asyncio import _get_running_loop as running_loop
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, NoReturn, Self, TypeVar

from asyncflask.concurrency.pool import wait_for
from asyncflask.exceptions import MissingAwaitError

T = TypeVar("T")

#: Modules that stand between a user's line, or a template's, and the result it makes.
_NOT_THE_USERS = ("asyncflask.", "jinja2.")

__all__ = [
    "Pending",
    "Ready",
    "ReadyBytes",
    "ReadyStr",
    "awaited",
    "is_async_callable",
    "resolve",
    "running_loop",
]


class Pending(Generic[T]):
    """A result that has to be awaited; any other use raises and says what to write.

    Nothing has happened yet when a ``Pending`` is made: awaiting it does the work. One that is
    never awaited warns with the line that made it. What Python gives no way to notice
    (``x is None``, ``isinstance``, storing it) passes silently.

    :param make: called at each ``await``; returns the awaitable that does the work.
    :param expression: what the user wrote, for messages, such as ``request.form``.
    :param depth: how many frames out the user's code can begin at the earliest.
    """

    __slots__ = ("__weakref__", "_code", "_expression", "_globals", "_make", "_offset", "_used")

    def __init__(self, make: Callable[[], Awaitable[T]], expression: str, depth: int = 1) -> None:
        self._used = False
        self._make = make
        self._expression = expression
        # The first frame outside this package is the line of the user's that made the result. PERF:
        # which line that is, is found out when it is told, and no frame beyond that one is looked
        # at, for Python makes an object of each (scenario: JSON echo).
        frame = sys._getframe(depth)
        while frame.f_globals.get("__name__", "").startswith(_NOT_THE_USERS) and frame.f_back:
            frame = frame.f_back
        self._code = frame.f_code
        self._offset = frame.f_lasti
        self._globals = frame.f_globals

    def __await__(self) -> Generator[Any, None, T]:
        self._used = True
        return self._make().__await__()

    def raise_misuse(self, what: str) -> NoReturn:
        """Raise :class:`MissingAwaitError` for a use ``what`` of this result."""
        self._used = True
        file, line = self._place()
        raise MissingAwaitError(
            f"{self._expression} {what}, but it has not been awaited (made at {file}:{line}). "
            f"In 'async def' code write: await {self._expression}"
        )

    def _place(self) -> tuple[str, int]:
        """Return the file and the line that made this."""
        lines = self._code.co_lines()
        line = next((line for start, end, line in lines if start <= self._offset < end), None)
        template = self._globals.get("__jinja_template__")
        if template is not None and line is not None:
            line = template.get_corresponding_lineno(line)
        return self._code.co_filename, line or self._code.co_firstlineno

    def __getattr__(self, name: str) -> Any:
        # Protocol probes (copy, inspect, Jinja's __html__) must see a plain object.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        self.raise_misuse(f"was asked for its attribute {name!r}")

    def __repr__(self) -> str:
        file, line = self._place()
        return f"<{self._expression} not awaited, made at {file}:{line}>"

    def __del__(self) -> None:
        if not getattr(self, "_used", True):
            warnings.warn_explicit(
                f"{self._expression} was never awaited. In 'async def' code write: "
                f"await {self._expression}",
                RuntimeWarning,
                *self._place(),
            )

    __hash__ = object.__hash__


def _misuse(what: str) -> Callable[..., Any]:
    def method(self: Pending[Any], *_: Any) -> Any:
        self.raise_misuse(what)

    return method


for _names, _what in {
    "bool": "was tested for truth",
    "str format": "was made into text",
    "eq ne lt le gt ge": "was compared",
    "iter len contains getitem setitem delitem reversed": "was used as a collection",
    "call": "was called",
    "enter exit": "was used in a 'with' statement",
    "add radd or ror and rand sub mod mul": "was used in an operation",
    "int float index bytes": "was converted",
}.items():
    for _name in _names.split():
        setattr(Pending, f"__{_name}__", _misuse(_what))


class Ready:
    """A value that is here already and can be awaited all the same."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Self]:
        return self
        yield


class ReadyBytes(Ready, bytes):
    """Bytes that can be awaited."""


class ReadyStr(Ready, str):
    """Text that can be awaited."""

    __slots__ = ()


def resolve(
    make: Callable[[], Coroutine[Any, Any, T]],
    *,
    loop: asyncio.AbstractEventLoop | None,
    expression: str,
) -> T | Pending[T]:
    """Answer an accessor that needs the event loop, for whichever code is asking.

    In ``async def`` code the answer is a :class:`Pending`; in ``def`` code the work is done on
    ``loop`` while this thread waits, and the answer is the value.

    :param make: returns the coroutine that does the work.
    :param loop: the loop the request lives on. With None the work must not need one (a request
        made by hand, whose body is in memory), and is done at once, here.
    :param expression: what the user wrote, for messages.
    :raises Exception: in ``def`` code, whatever the work raises.
    """
    running = running_loop()
    if running is None:
        return wait_for(make, loop)
    if loop is None or running is loop:
        return Pending(make, expression, depth=2)
    # Another loop runs here (``asyncio.run`` in a ``def`` view): the work stays on the app's.
    return Pending(functools.partial(_on_other_loop, make, loop), expression, depth=2)


def _on_other_loop(
    make: Callable[[], Coroutine[Any, Any, T]], loop: asyncio.AbstractEventLoop
) -> Awaitable[T]:
    return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(make(), loop))


async def awaited(value: Any) -> Any:
    """Return ``value``; its result, if it is awaitable: what ``def`` or ``async def`` has given."""
    return await value if inspect.isawaitable(value) else value


def is_async_callable(function: Any) -> bool:
    """Whether calling ``function`` gives a coroutine: it runs on the event loop.

    Looks through ``functools.partial`` and at ``__call__`` of objects. A ``def`` function that
    returns an awaitable (a plain decorator around an ``async def``) is not one.
    """
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or (
        not inspect.isroutine(function)
        and not inspect.isclass(function)
        and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    )
