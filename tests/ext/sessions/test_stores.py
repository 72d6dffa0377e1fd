"""What stores do, whichever they are."""

from __future__ import annotations

import asyncio
import builtins
import uuid
from typing import Any

import pytest
import redis.asyncio

from asyncflask.ext.sessions import MemoryStore, RedisStore


def a_key() -> str:
    return uuid.uuid4().hex


async def test_a_record_is_kept_until_it_is_popped(store: Any) -> None:
    """Then it is gone, and whoever has popped it has what it held."""
    key = a_key()
    assert await store.load(key) is None
    await store.create(key, {"a": "1", "é": "ü"}, 60)
    assert await store.load(key) == {"a": "1", "é": "ü"}
    assert await store.pop(key) == {"a": "1", "é": "ü"}
    assert await store.load(key) is None
    assert await store.pop(key) is None


async def test_changes_are_merged_entry_by_entry(store: Any) -> None:
    """What is not named stays."""
    key = a_key()
    await store.create(key, {"a": "1", "b": "2", "c": "3"}, 60)
    assert await store.update(key, {"a": "4", "d": "5"}, ["b", "unknown"], 60)
    assert await store.load(key) == {"a": "4", "c": "3", "d": "5"}


async def test_a_record_can_be_replaced(store: Any) -> None:
    """All of it."""
    key = a_key()
    await store.create(key, {"a": "1", "b": "2"}, 60)
    assert await store.update(key, {"c": "3"}, [], 60, replace=True)
    assert await store.load(key) == {"c": "3"}


async def test_a_record_may_be_empty(store: Any) -> None:
    """It is there nevertheless."""
    key = a_key()
    await store.create(key, {"a": "1"}, 60)
    assert await store.update(key, {}, ["a"], 60)
    assert await store.load(key) == {}
    assert await store.update(key, {"b": "2"}, [], 60)
    assert await store.pop(key) == {"b": "2"}


async def test_a_deleted_record_is_not_brought_back(store: Any) -> None:
    """By a change that comes too late."""
    key = a_key()
    assert not await store.update(key, {"a": "1"}, [], 60)
    assert not await store.update(key, {"a": "1"}, [], 60, replace=True)
    assert await store.load(key) is None


async def test_a_record_expires(store: Any) -> None:
    """A change lets its lifetime begin again."""
    key, other = a_key(), a_key()
    await store.create(key, {"a": "1"}, 0.05)
    await store.create(other, {"a": "1"}, 0.05)
    assert await store.update(other, {}, [], 60)
    async with asyncio.timeout(5):
        while await store.load(key) is not None:
            await asyncio.sleep(0.01)
    assert not await store.update(key, {"a": "1"}, [], 60)
    assert await store.pop(key) is None
    assert await store.load(other) == {"a": "1"}


async def test_memory_is_freed() -> None:
    """Expired records go when others come."""
    store = MemoryStore()
    for number in range(1000):
        await store.create(str(number), {}, 0.0)
    assert len(store._records) <= 100


async def test_of_a_url_there_is_a_client_for_each_loop(redis_server: Any) -> None:
    """Connections belong to a loop. Closing twice does nothing."""
    store, key = RedisStore(redis_server.url), a_key()

    async def create() -> None:
        await store.create(key, {"a": "1"}, 60)
        await store.aclose()
        await store.aclose()

    await asyncio.to_thread(asyncio.run, create())
    assert await store.load(key) == {"a": "1"}
    await store.aclose()


async def test_keys_have_a_prefix(redis_server: Any) -> None:
    """So that an application finds its own."""
    async with redis.asyncio.from_url(redis_server.url) as client:
        store = RedisStore(client, prefix="shop:")
        await store.create("key", {}, 60)
        assert await client.exists("shop:key")
        assert 0 < await client.pttl("shop:key") <= 60_000


def test_without_the_package_redis_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At once, not at the first request."""
    original = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("redis"):
            raise ModuleNotFoundError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'asyncflask\[redis\]'"):
        RedisStore("redis://localhost")
