"""What the threads of a WSGI server's process share: one event loop, and a start of each app."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asyncflask.concurrency import LoopThread
from asyncflask.concurrency.loop_thread import end_of_loop
from asyncflask.life.lifespan import run_lifespan

if TYPE_CHECKING:
    from asyncflask.app import Flask

#: Seconds that the shutdown of applications may hold up the end of the process.
PATIENCE = 30.0

State = dict[str, Any]


class Process:
    """The event loop of this process, in a thread, and the applications that it serves.

    Nothing runs before the first request: a server that forks afterwards takes no loop along.
    """

    def __init__(self) -> None:
        self._thread = LoopThread("asyncflask-wsgi", patience=PATIENCE)
        self._lock = threading.Lock()
        self._starts: WeakKeyDictionary[Flask, Future[State]] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that all threads share."""
        return self._thread.loop

    def state_of(self, app: Flask) -> State:
        """Return the lifespan state of ``app``, which is started by the first request.

        It is shut down when the process ends. One that cannot start tries again at the next
        request.

        :raises Exception: what the start has raised.
        """
        with self._lock:
            ready = self._starts.get(app)
            if ready is None:
                ready = self._starts[app] = Future()
                # Not in the context of the request that happens to come first.
                self.loop.call_soon_threadsafe(
                    self._start, app, ready, context=contextvars.Context()
                )
        return ready.result()

    def _start(self, app: Flask, ready: Future[State]) -> None:
        task = self.loop.create_task(self._serve(app, ready))
        self._tasks.add(task)  # a loop alone would let it be collected
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, app: Flask, ready: Future[State]) -> None:
        try:
            async with run_lifespan(app) as state:
                ready.set_result(dict(state or {}))
                await end_of_loop()
        except BaseException as exc:
            if not ready.done():  # else it is from the shutdown, and logged
                with self._lock:
                    del self._starts[app]
                ready.set_exception(exc)
            if not isinstance(exc, Exception):
                raise

    def end(self) -> None:
        """Shut the applications down and end the loop; the next request begins again."""
        self._thread.stop()
        self._starts.clear()

    def forget(self) -> None:
        """Leave behind what only the process has that this one was forked from."""
        self._thread.forget()
        for app in self._starts:
            app._lifespans = 0
            if app._self_start is not None:
                app._self_start.stand_ready()


process = Process()


def _after_fork() -> None:
    global process
    process.forget()
    process = Process()


if hasattr(os, "register_at_fork"):  # pragma: no branch - everywhere but on Windows
    os.register_at_fork(after_in_child=_after_fork)


def this_process() -> Process:
    """Return what belongs to the process that runs."""
    return process
