"""How iterables of both kinds are closed."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator

import pytest

from asyncflask.concurrency import aclose_iterable, close_iterable


async def test_generators_and_files_are_closed_and_other_iterables_left_alone() -> None:
    """In `async def` code those of either kind; a list has nothing to close."""
    ended: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield 1
        finally:
            ended.append("def")

    async def async_numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("async def")

    for close in (close_iterable, None):
        generator, file = numbers(), io.BytesIO()
        next(generator)
        for iterable in (generator, file, [1]):
            close(iterable) if close else await aclose_iterable(iterable)
        assert file.closed
    async_generator = async_numbers()
    await anext(async_generator)
    await aclose_iterable(async_generator)
    assert ended == ["def", "def", "async def"]
    with pytest.raises(StopAsyncIteration):
        await anext(async_generator)
