"""What the threads of a WSGI server's process share: one event loop, and a start of each app."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize

from asyncflask.concurrency import LoopThread
from asyncflask.concurrency.loop_thread import end_of_loop
from asyncflask.concurrency.pool import tell
from asyncflask.life.lifespan import run_lifespan

if TYPE_CHECKING:
    from asyncflask.app import Flask

#: Seconds that the shutdown of applications may hold up the end of the process.
PATIENCE = 30.0

State = dict[str, Any]

#: Where a test client's environ has its :class:`Stay`.
STAY = "asyncflask.stay"


class Stay:
    """For how long a test client, or a request of it, wants the application that it tests.

    When all are gone the application is shut down, unless others have used it: a process that tests
    many would keep them all to its end.
    """

    start: _Start | None = None


class _Start:
    """An application that was started."""

    def __init__(self) -> None:
        self.ready: Future[State] = Future()
        self.task: asyncio.Task[None] | None = None
        #: How many test clients want it.
        self.stays = 0
        #: Whether it is for the rest of the process.
        self.lasts = False


class Process:
    """The event loop of this process, in a thread, and the applications that it serves.

    Nothing runs before the first request: a server that forks afterwards takes no loop along.
    """

    def __init__(self) -> None:
        self._thread = LoopThread("asyncflask-wsgi", patience=PATIENCE)
        self._lock = threading.Lock()
        self._starts: WeakKeyDictionary[Flask, _Start] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that all threads share."""
        return self._thread.loop

    def state_of(self, app: Flask, stay: Stay | None = None) -> State:
        """Return the lifespan state of ``app``, which is started by the first request.

        It is shut down when the process ends. One that cannot start tries again at the next
        request.

        :param stay: if only such have asked for the application, it is shut down after them.
        :raises Exception: what the start has raised.
        """
        with self._lock:
            start = self._starts.get(app)
            if start is None:
                start = self._starts[app] = _Start()
                # Not in the context of the request that happens to come first.
                self.loop.call_soon_threadsafe(
                    self._start, app, start, context=contextvars.Context()
                )
            self._keep(start, stay)
        return start.ready.result()

    def _keep(self, start: _Start, stay: Stay | None) -> None:
        if stay is None:
            start.lasts = True
        elif stay.start is not start:
            stay.start = start
            start.stays += 1
            # The garbage is collected in any thread, and while any lock is held.
            finalize(stay, tell, self.loop, self._leave, start).atexit = False

    def _start(self, app: Flask, start: _Start) -> None:
        start.task = task = self.loop.create_task(self._serve(app, start.ready))
        self._tasks.add(task)  # a loop alone would let it be collected
        task.add_done_callback(self._tasks.discard)

    def _leave(self, start: _Start) -> None:
        with self._lock:
            start.stays -= 1
            if start.stays or start.lasts:
                return
            for app in [app for app, other in self._starts.items() if other is start]:
                del self._starts[app]
        assert start.task is not None
        start.task.cancel()

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
