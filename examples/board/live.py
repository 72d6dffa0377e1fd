"""Tells open pages about new notes, within this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from examples.board.store import Note


class Live:
    """Passes notes on to everyone who listens."""

    def __init__(self) -> None:
        self._listeners: dict[asyncio.Queue[Note], asyncio.AbstractEventLoop] = {}

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Note]]:
        """Give a queue that receives every note published from now on; for ``async def`` code."""
        queue: asyncio.Queue[Note] = asyncio.Queue()
        self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield queue
        finally:
            del self._listeners[queue]

    def publish(self, note: Note) -> None:
        """Pass a note on. It may be called from any thread."""
        for queue, loop in list(self._listeners.items()):
            loop.call_soon_threadsafe(queue.put_nowait, note)
