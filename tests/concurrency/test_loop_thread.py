"""A thread with an event loop, which ends when nobody needs it any more."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

from asyncflask.concurrency import LoopThread
from asyncflask.concurrency.loop_thread import end_of_loop


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def begin(thread: LoopThread, main: Callable[[], Any]) -> None:
    asyncio.run_coroutine_threadsafe(main(), thread.loop)


def test_it_starts_when_it_is_needed_and_ends_once() -> None:
    """What waits for the end of the loop can then await more."""
    thread = LoopThread("a-loop")
    assert not thread.started
    events: list[str] = []
    begun = threading.Event()

    async def main() -> None:
        begun.set()
        await end_of_loop()
        await asyncio.sleep(0.01)
        events.append("ended")

    begin(thread, main)
    assert begun.wait(5)
    assert thread.started
    assert "a-loop" in names()
    thread.stop()
    thread.stop()
    assert events == ["ended"]
    assert "a-loop" not in names()
    assert thread.loop.is_running()  # it starts again
    thread.stop()


def test_what_waits_for_its_end_ends_before_other_tasks() -> None:
    """So it can wait for tasks that it has begun."""
    thread = LoopThread("orderly-loop")
    events: list[str] = []

    async def work(told: asyncio.Event) -> None:
        await told.wait()
        events.append("worked")

    async def main() -> None:
        told = asyncio.Event()
        task = asyncio.create_task(work(told))
        await end_of_loop()
        told.set()
        await task
        events.append("ended")

    begin(thread, main)
    thread.stop()
    assert events == ["worked", "ended"]


def test_one_that_is_forgotten_ends() -> None:
    """Its thread keeps no reference to it."""
    thread = LoopThread("forgotten-loop")
    assert thread.loop.is_running()
    del thread
    gc.collect()
    assert "forgotten-loop" not in names()


def test_a_loop_of_another_process_is_left_alone() -> None:
    """One that was not used has nothing to leave."""
    LoopThread("unused").forget()
    thread = LoopThread("other-loop")
    assert thread.loop.is_running()
    ending: Any = thread._end.peek()
    thread.forget()
    ending = ending[1:3]
    del thread
    gc.collect()
    assert "other-loop" in names()
    ending[0](*ending[1])
    assert "other-loop" not in names()
