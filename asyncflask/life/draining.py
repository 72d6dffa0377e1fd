"""The event that tells long-lived work about the shutdown, and the signals that set it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

from asyncflask.concurrency.pool import tell

_Handler = Callable[[int, FrameType | None], Any]

#: What asks a server to stop; the last one exists on Windows only.
_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
]


class Draining:
    """An event: the application is about to shut down, so what would go on for ever has to end.

    Any thread may ask :meth:`is_set` and call :meth:`set`, and any event loop may :meth:`wait` or
    :meth:`listen`.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._listeners: dict[Callable[[], object], asyncio.AbstractEventLoop] = {}

    def is_set(self) -> bool:
        """Whether the shutdown has begun."""
        return self._is_set

    def listen(self, callback: Callable[[], object]) -> None:
        """Let this thread's event loop call ``callback`` when the shutdown begins, soon if it has.

        Until :meth:`ignore` it may be called more than once.
        """
        loop = asyncio.get_running_loop()
        # Signal handlers and threads may set the event at any moment, so it is looked at once the
        # listener can be seen.
        self._listeners[callback] = loop
        if self._is_set:
            loop.call_soon(callback)

    def ignore(self, callback: Callable[[], object]) -> None:
        """End what :meth:`listen` began, if it did."""
        self._listeners.pop(callback, None)

    async def wait(self) -> None:
        """Return when the shutdown begins, at once if it has."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wake = partial(_wake, waiter)
        self.listen(wake)
        try:
            await waiter
        finally:
            self.ignore(wake)

    def set(self) -> None:
        """Tell everyone. It may be called more than once, from a signal handler too."""
        self._is_set = True
        for callback, loop in self._listeners.copy().items():
            tell(loop, callback)

    def clear(self) -> None:
        """Begin again: the application is served once more."""
        self._is_set = False


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


@contextlib.contextmanager
def told_by_signals(draining: Draining) -> Iterator[None]:
    """Set ``draining`` at SIGINT and SIGTERM, before the server's own handlers run.

    A server tells an application about the shutdown only when its connections are closed. Its
    handlers stay in charge: each is called with every signal, and put back in the end. Outside of
    the main thread, and where no server has installed a handler, nothing happens.
    """
    chained = {}
    if threading.current_thread() is threading.main_thread():
        for number in _NUMBERS:
            before = signal.getsignal(number)
            if callable(before) and not _is_pythons_own(before):
                chained[number] = before, _chain(draining, before)
                signal.signal(number, chained[number][1])
    try:
        yield
    finally:
        for number, (before, ours) in chained.items():
            # Who has put a handler on top of ours meanwhile still calls it.
            if signal.getsignal(number) is ours:
                signal.signal(number, before)


def _is_pythons_own(handler: object) -> bool:
    """Whether no server has installed it: it is what raises ``KeyboardInterrupt``."""
    owner = getattr(getattr(handler, "func", None), "__self__", None)
    return handler is signal.default_int_handler or isinstance(owner, asyncio.Runner)


def _chain(draining: Draining, before: _Handler) -> _Handler:
    def handle(number: int, frame: FrameType | None) -> Any:
        draining.set()
        return before(number, frame)

    return handle
