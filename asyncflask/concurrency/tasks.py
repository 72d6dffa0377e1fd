"""Tasks that outlive the code that began them, and how they are waited for in the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

F = TypeVar("F", bound="asyncio.Future[Any]")

_log = logging.getLogger("asyncflask")

#: What goes on after the task that began it was cancelled, on any loop.
_stragglers: set[asyncio.Future[Any]] = set()


def keep_going(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run ``coroutine`` as a task that nobody waits for, and keep it from being collected."""
    remember(asyncio.get_running_loop().create_task(coroutine))


def remember(straggler: asyncio.Future[Any]) -> None:
    """Have :func:`wait_for_stragglers` wait for a future, too."""
    _stragglers.add(straggler)
    straggler.add_done_callback(_stragglers.discard)


async def wait_for_stragglers(seconds: float | None) -> None:
    """Wait for what goes on after cancelled requests of this loop, in its workers too.

    :param seconds: the most to wait; what is left then goes on, and the log says so.
    """
    try:
        async with asyncio.timeout(seconds):
            while stragglers := of_this_loop(_stragglers):  # one may leave others behind
                await asyncio.wait(stragglers)
    except TimeoutError:
        left = len(of_this_loop(_stragglers))
        _log.warning("%d cancelled requests were not finished at shutdown", left)


def of_this_loop(futures: set[F]) -> list[F]:
    """Return those futures, or tasks, that belong to the loop that runs here."""
    here = asyncio.get_running_loop()
    # Copied at once: other loops, in other threads, have theirs in it.
    return [future for future in futures.copy() if future.get_loop() is here]


async def finish(task: asyncio.Task[Any], grace: float | None) -> bool:
    """Wait for ``task``, and cancel it after ``grace`` seconds (None: as long as it takes).

    It is over when this returns or raises: a caller that is cancelled cancels the task.

    :returns: whether the task ended by itself.
    """
    interrupted: asyncio.CancelledError | None = None
    by_itself = True
    while not task.done():
        try:
            await asyncio.wait({task}, timeout=grace)
        except asyncio.CancelledError as exc:
            interrupted = exc
        if not task.done():
            by_itself, grace = False, None
            task.cancel()
    if not task.cancelled():
        task.exception()  # seen, whether or not somebody raises it
    if interrupted is not None:
        raise interrupted
    return by_itself
