"""Server-side sessions in Redis: a hash for each, which expires by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from redis.asyncio import Redis

#: An entry that every hash has, because Redis keeps no empty ones. No session has such a key.
_MARK = "\0"

# One script, so that nothing comes between the question and the changes. It touches one key, which
# a cluster allows.
_UPDATE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
local written = tonumber(ARGV[3])
for i = 5, 4 + 2 * written, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = 5 + 2 * written, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('HSET', KEYS[1], ARGV[4], '')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""


class RedisStore:
    """Keeps sessions in Redis (4 or newer, or what speaks its protocol).

    :param redis: a client of ``redis.asyncio``, which stays yours to close, or the URL of a server,
        such as ``"redis://localhost:6379/0"``. Of a URL a client is made for each event loop; it
        gives up after 5 seconds without an answer, unless the URL says otherwise
        (``?socket_timeout=1``).
    :param prefix: put before the keys.
    :raises ImportError: a URL was given, and the package ``redis`` is not installed.
    """

    def __init__(self, redis: Redis | str, *, prefix: str = "session:") -> None:
        self._redis = redis
        self._prefix = prefix
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()
        if isinstance(redis, str):
            _import_redis()

    async def load(self, key: str) -> dict[str, str] | None:
        """See :meth:`SessionStore.load`."""
        return _decode(await self._client.hgetall(self._prefix + key))

    async def create(self, key: str, record: Mapping[str, str], lifetime: float) -> None:
        """See :meth:`SessionStore.create`."""
        name = self._prefix + key
        async with self._client.pipeline(transaction=True) as transaction:
            transaction.hset(name, mapping={_MARK: "", **record})
            transaction.pexpire(name, _milliseconds(lifetime))
            await transaction.execute()

    async def update(
        self,
        key: str,
        written: Mapping[str, str],
        deleted: Collection[str],
        lifetime: float,
        *,
        replace: bool = False,
    ) -> bool:
        """See :meth:`SessionStore.update`."""
        entries = [text for entry in written.items() for text in entry]
        done = await self._client.eval(
            _UPDATE,
            1,
            self._prefix + key,
            _milliseconds(lifetime),
            int(replace),
            len(written),
            _MARK,
            *entries,
            *deleted,
        )
        return bool(done)

    async def pop(self, key: str) -> dict[str, str] | None:
        """See :meth:`SessionStore.pop`."""
        name = self._prefix + key
        async with self._client.pipeline(transaction=True) as transaction:
            transaction.hgetall(name)
            transaction.delete(name)
            record, _ = await transaction.execute()
        return _decode(record)

    async def aclose(self) -> None:
        """Close the client of this loop, if it was made of a URL."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    @property
    def _client(self) -> Any:
        if not isinstance(self._redis, str):
            return self._redis
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = _import_redis().from_url(
                self._redis, socket_timeout=5, socket_connect_timeout=5
            )
        return self._clients[loop]


def _import_redis() -> Any:
    try:
        import redis.asyncio
    except ModuleNotFoundError:
        raise ImportError(
            "RedisStore needs the package redis. Install it with: pip install 'asyncflask[redis]'"
        ) from None
    return redis.asyncio


def _milliseconds(lifetime: float) -> int:
    return max(1, int(lifetime * 1000))


def _decode(record: Mapping[bytes | str, bytes | str]) -> dict[str, str] | None:
    """Return a record without its mark, as text whether or not the client decodes answers."""
    if not record:
        return None
    texts = (
        [text.decode() if isinstance(text, bytes) else text for text in entry]
        for entry in record.items()
    )
    return {name: value for name, value in texts if name != _MARK}
