"""One accessor for `async def` code and `def` code."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from asyncflask.concurrency import (
    Pending,
    ReadyBytes,
    ReadyStr,
    awaited,
    is_async_callable,
    resolve,
    running_loop,
)
from asyncflask.exceptions import MissingAwaitError


async def answer() -> int:
    return 42


def test_an_awaited_pending_gives_the_result_each_time() -> None:
    """Awaiting does the work, and can be done again."""

    async def main() -> list[int]:
        pending = Pending(answer, "request.form")
        return [await pending, await pending]

    assert asyncio.run(main()) == [42, 42]


MISUSES: list[Callable[[Any], object]] = [
    lambda pending: bool(pending),
    lambda pending: str(pending),
    lambda pending: f"{pending}",
    lambda pending: pending == 1,
    lambda pending: pending < 1,
    lambda pending: pending["key"],
    lambda pending: "key" in pending,
    lambda pending: list(pending),
    lambda pending: len(pending),
    lambda pending: pending.get("key"),
    lambda pending: pending + "x",
    lambda pending: pending | {},
    lambda pending: int(pending),
    lambda pending: pending(),
    lambda pending: pending.__enter__(),
]


@pytest.mark.parametrize("misuse", MISUSES)
def test_any_other_use_raises_and_says_what_to_write(misuse: Callable[[Any], object]) -> None:
    """The message has the expression, the line that made it and the mend."""
    pending: Any = Pending(answer, "request.form")
    with pytest.raises(MissingAwaitError) as caught:
        misuse(pending)
    message = str(caught.value)
    assert "await request.form" in message
    assert __file__ in message


def test_hasattr_does_not_hide_the_mistake() -> None:
    """`hasattr` swallows AttributeError only, and this is none."""
    with pytest.raises(MissingAwaitError):
        hasattr(Pending(answer, "request.form"), "get")


def test_protocol_probes_see_a_plain_object() -> None:
    """Jinja asks for `__html__`, copying for `__deepcopy__`: these are not the user's uses."""
    pending = Pending(answer, "request.form")
    assert not hasattr(pending, "__html__")
    assert copy.copy is not None
    assert isinstance(hash(pending), int)
    assert "request.form not awaited" in repr(pending)
    with contextlib.suppress(MissingAwaitError):
        bool(pending)


def test_one_that_is_never_awaited_warns_with_its_line() -> None:
    """The warning points at the line that made it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Pending(answer, "request.form")
        gc.collect()
    (warning,) = caught
    assert "request.form was never awaited" in str(warning.message)
    assert warning.filename == __file__


def test_ready_values_can_be_awaited_too() -> None:
    """What is here already is a value, and awaits to itself."""

    async def main() -> tuple[bytes, str]:
        return await ReadyBytes(b"x"), await ReadyStr("y")

    assert asyncio.run(main()) == (b"x", "y")
    assert ReadyBytes(b"x") == b"x"


def test_on_a_loop_the_answer_is_pending() -> None:
    """The test is whether a loop runs in this thread."""

    async def main() -> int:
        assert running_loop() is asyncio.get_running_loop()
        pending = resolve(answer, loop=running_loop(), expression="x")
        assert isinstance(pending, Pending)
        return await pending

    assert asyncio.run(main()) == 42


def test_without_a_loop_the_answer_is_the_value() -> None:
    """A coroutine that needs no loop is run in place."""
    assert resolve(answer, loop=None, expression="x") == 42


def test_work_that_needs_a_loop_says_so_where_there_is_none() -> None:
    """Suspending without a loop could never go on."""

    async def sleeps() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="needs an event loop"):
        resolve(sleeps, loop=None, expression="x")


def test_a_thread_waits_for_the_loop() -> None:
    """`asyncio.to_thread` code gets the value, made on the request's loop."""

    async def where() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        found = await asyncio.to_thread(resolve, where, loop=loop, expression="x")
        return found is loop

    assert asyncio.run(main())


def test_another_loop_is_bridged() -> None:
    """Under `asyncio.run` in a thread, the work is still done on the request's loop."""

    async def where() -> tuple[int, asyncio.AbstractEventLoop]:
        await asyncio.sleep(0)
        return threading.get_ident(), asyncio.get_running_loop()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def elsewhere() -> Any:
            return await resolve(where, loop=loop, expression="x")

        ident, found = await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
        assert ident == threading.get_ident()
        assert found is loop

    asyncio.run(main())


def test_async_callables_are_recognised() -> None:
    """Functions, methods, partials and objects with an async `__call__`."""

    class Async:
        async def __call__(self) -> None: ...

        async def method(self) -> None: ...

    class Plain:
        def __call__(self) -> None: ...

    assert is_async_callable(answer)
    assert is_async_callable(Async())
    assert is_async_callable(Async().method)
    assert is_async_callable(functools.partial(functools.partial(answer)))
    assert not is_async_callable(Plain())
    assert not is_async_callable(Async)
    assert not is_async_callable(len)
    assert not is_async_callable(lambda: answer())


async def test_a_value_may_be_awaitable() -> None:
    """What a function of the user's gave is its result, `def` or `async def`."""
    assert await awaited(answer()) == await awaited(42) == 42
