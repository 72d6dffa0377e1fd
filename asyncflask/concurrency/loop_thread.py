"""A thread with an event loop, for threads that have none."""

from __future__ import annotations

import asyncio
import threading
import weakref
from concurrent.futures import Future
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

#: Seconds that what runs on a loop may take to end with its thread.
PATIENCE = 5.0


class LoopThread:
    """A thread with an event loop, from a use to :meth:`stop`, garbage collection or exit.

    :param name: what the thread is called, for debuggers.
    :param patience: the most seconds to wait for what is cancelled when the thread ends.
    """

    def __init__(self, name: str, *, patience: float = PATIENCE) -> None:
        self._name = name
        self._patience = patience
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def started(self) -> bool:
        """Whether the thread runs."""
        return self._loop is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, whose thread is started when needed."""
        with self._lock:
            if self._loop is None:
                self._loop = self._start()
            return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        # The thread holds no reference to this object, so that it can be forgotten.
        thread = threading.Thread(
            target=asyncio.run, args=(_live(ready),), name=self._name, daemon=True
        )
        thread.start()
        loop, end = ready.result()
        self._end = weakref.finalize(self, _end_thread, loop, end, thread, self._patience)
        return loop

    def stop(self) -> None:
        """Cancel what still runs on the loop, and end the thread."""
        with self._lock:
            if self._loop is not None:
                self._loop = None
                self._end()

    def forget(self) -> None:
        """Leave the thread alone, in a process forked from the one where it runs."""
        if self._loop is not None:
            self._end.detach()


#: The tasks in :func:`end_of_loop`, for each loop.
_waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, set[asyncio.Task[Any]]] = WeakKeyDictionary()


async def end_of_loop() -> None:
    """Return when this task is cancelled, as all are when their loop ends.

    The loop of a :class:`LoopThread` lets those that wait here end before all other tasks.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    waiting = _waiting.setdefault(loop, set())
    waiting.add(task)
    try:
        await loop.create_future()
    except asyncio.CancelledError:
        task.uncancel()
    finally:
        waiting.discard(task)


async def _live(ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    ready.set_result((loop, end))
    await end.wait()
    # What they end may have tasks of its own, which must not be cancelled under it.
    first = [*_waiting.pop(loop, ())]
    for task in first:
        task.cancel()
    await asyncio.gather(*first, return_exceptions=True)


def _end_thread(
    loop: asyncio.AbstractEventLoop,
    end: asyncio.Event,
    thread: threading.Thread,
    patience: float,
) -> None:
    with suppress(RuntimeError):  # the loop is closed: it has ended already
        loop.call_soon_threadsafe(end.set)
    if thread is not threading.current_thread():  # the garbage may be collected in any thread
        thread.join(timeout=patience)
