"""What the threads of a WSGI server's process share: one event loop, and a start of each app."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from starlette.routing import Host, Mount

from asyncflask.concurrency import LoopThread
from asyncflask.concurrency.loop_thread import end_of_loop
from asyncflask.concurrency.pool import tell
from asyncflask.life.lifespan import has_lifespan, run_lifespan

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

        It is shut down when the process ends, and kept until then if it has anything to shut
        down. One that cannot start tries again at the next request.

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
        serve = self._serve if _is_to_be_kept(app) else self._serve_while_used
        task = self.loop.create_task(serve(app, ready))
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

    async def _serve_while_used(self, app: Flask, ready: Future[State]) -> None:
        """Wait with an application for the end of the process, or of what else refers to it."""
        loop, task = self.loop, cast("asyncio.Task[None]", asyncio.current_task())
        used = weakref.ref(app, lambda _: tell(loop, task.cancel))
        app._lifespans += 1
        del app
        ready.set_result({})
        await end_of_loop()
        left = used()
        if left is not None:
            left._lifespans -= 1
            async with run_lifespan(left):
                pass  # it has only what every application has to do at its shutdown

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


def _is_to_be_kept(app: Flask) -> bool:
    mounted = any(isinstance(route, Mount | Host) for route in app._router.routes)
    return mounted or has_lifespan(app)


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
