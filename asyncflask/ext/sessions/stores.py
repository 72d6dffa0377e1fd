"""Where server-side sessions are kept.

A record is a mapping of a session's keys to their values as text. Stores merge changes into it key
by key, so that requests of one session that overlap do not undo each other's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from typing import Protocol


class SessionStore(Protocol):
    """What a store has to do. Each call is atomic: others see all of it or nothing.

    Keys are 64 hexadecimal digits; ``lifetime`` is in seconds, counted from the call.
    """

    async def load(self, key: str) -> Mapping[str, str] | None:
        """Return a record, which may be empty; None: there is none, or it has expired."""
        ...

    async def create(self, key: str, record: Mapping[str, str], lifetime: float) -> None:
        """Keep a new record."""
        ...

    async def update(
        self,
        key: str,
        written: Mapping[str, str],
        deleted: Collection[str],
        lifetime: float,
        *,
        replace: bool = False,
    ) -> bool:
        """Merge changes into a record and let its lifetime begin again.

        :param written: entries to add or to overwrite.
        :param deleted: names of entries to remove.
        :param replace: drop all other entries.
        :returns: whether there was such a record. Where there is none, nothing is done: one that
            was deleted stays deleted.
        """
        ...

    async def pop(self, key: str) -> Mapping[str, str] | None:
        """Delete a record and return what it held last; None: there was none."""
        ...

    async def aclose(self) -> None:
        """Close connections, at the end of the application."""
        ...


class MemoryStore:
    """Keeps sessions in this process: for tests, and for applications that are one process.

    They are lost when it ends.
    """

    def __init__(self) -> None:
        self._records: dict[str, tuple[float, dict[str, str]]] = {}
        self._purge_at = 100
        # Test clients run the application on loops in several threads.
        self._lock = threading.Lock()

    async def load(self, key: str) -> dict[str, str] | None:
        """See :meth:`SessionStore.load`."""
        with self._lock:
            record = self._find(key)
            return None if record is None else dict(record)

    async def create(self, key: str, record: Mapping[str, str], lifetime: float) -> None:
        """See :meth:`SessionStore.create`."""
        with self._lock:
            if len(self._records) >= self._purge_at:
                self._purge()
            self._records[key] = (time.monotonic() + lifetime, dict(record))

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
        with self._lock:
            record = self._find(key)
            if record is None:
                return False
            kept = {} if replace else {k: v for k, v in record.items() if k not in deleted}
            self._records[key] = (time.monotonic() + lifetime, {**kept, **written})
            return True

    async def pop(self, key: str) -> dict[str, str] | None:
        """See :meth:`SessionStore.pop`."""
        with self._lock:
            record = self._find(key)
            self._records.pop(key, None)
            return record

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _find(self, key: str) -> dict[str, str] | None:
        expires, record = self._records.get(key, (0.0, None))
        return record if expires > time.monotonic() else None

    def _purge(self) -> None:
        """Forget what has expired; next when there are twice as many as are left."""
        now = time.monotonic()
        self._records = {key: kept for key, kept in self._records.items() if kept[0] > now}
        self._purge_at = max(100, 2 * len(self._records))
