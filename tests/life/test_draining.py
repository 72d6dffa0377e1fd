"""The event that is set when the shutdown begins."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from asyncflask.life.draining import Draining, told_by_signals

Handler = Callable[[int, FrameType | None], None]


@pytest.fixture
def received() -> Iterator[list[int]]:
    """The signals that reached the handlers of a server, which are installed meanwhile."""
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    yield received
    for number in numbers:
        signal.signal(number, before[number])


async def test_everyone_who_waits_is_told() -> None:
    """Also who comes later; setting it twice does no harm."""
    draining = Draining()
    waiting = [asyncio.create_task(draining.wait()) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not draining.is_set()
    assert not any(task.done() for task in waiting)
    draining.set()
    draining.set()
    assert draining.is_set()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    await asyncio.wait_for(draining.wait(), 5)


async def test_one_who_gives_up_waiting_is_forgotten() -> None:
    """A cancelled wait leaves nothing behind and bothers nobody."""
    draining = Draining()
    given_up, waiting = (asyncio.create_task(draining.wait()) for _ in range(2))
    await asyncio.sleep(0.01)
    given_up.cancel()
    draining.set()
    await asyncio.wait_for(waiting, 5)
    assert given_up.cancelled()
    assert not draining._listeners


async def test_threads_and_other_loops_are_told() -> None:
    """It may be set in one thread and waited for in another's event loop; it can begin again."""
    draining = Draining()
    running = threading.Event()

    async def wait() -> bool:
        running.set()
        await draining.wait()
        return draining.is_set()

    other = asyncio.create_task(asyncio.to_thread(asyncio.run, wait()))
    await asyncio.to_thread(running.wait, 5)
    await asyncio.to_thread(draining.set)
    assert await asyncio.wait_for(other, 5)
    draining.clear()
    assert not draining.is_set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_sets_it_and_reaches_the_server(
    number: signal.Signals, received: list[int]
) -> None:
    """Every time: a second SIGINT forces many servers to stop."""
    draining = Draining()
    server = signal.getsignal(number)
    with told_by_signals(draining):
        waiting = asyncio.create_task(draining.wait())
        await asyncio.sleep(0)
        signal.raise_signal(number)
        await asyncio.wait_for(waiting, 5)
        signal.raise_signal(number)
        assert received == [number, number]
    assert signal.getsignal(number) is server


def test_a_handler_on_top_stays_and_still_reaches_the_server(received: list[int]) -> None:
    """Who has come later is not replaced."""
    draining = Draining()

    def on_top(number: int, frame: FrameType | None) -> None:
        received.append(0)
        before(number, frame)

    with told_by_signals(draining):
        before: Handler = signal.getsignal(signal.SIGTERM)  # type: ignore[assignment]
        signal.signal(signal.SIGTERM, on_top)
    assert signal.getsignal(signal.SIGTERM) is on_top
    signal.raise_signal(signal.SIGTERM)
    assert received == [0, signal.SIGTERM]
    assert draining.is_set()


def test_where_no_server_handles_a_signal_it_keeps_its_meaning() -> None:
    """Ctrl-C interrupts, SIGTERM ends the process, and an ignored signal is ignored."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_IGN),
    ):
        before = signal.signal(number, handler)
        try:
            with told_by_signals(Draining()):
                assert signal.getsignal(number) is handler
        finally:
            signal.signal(number, before)


def test_asyncios_own_ctrl_c_is_no_servers() -> None:
    """`asyncio.run` installs what becomes a `KeyboardInterrupt`, and takes it away itself."""

    async def look() -> None:
        handler = signal.getsignal(signal.SIGINT)
        assert handler is not signal.default_int_handler
        with told_by_signals(Draining()):
            assert signal.getsignal(signal.SIGINT) is handler

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        asyncio.run(look())
    finally:
        signal.signal(signal.SIGINT, before)


async def test_in_other_threads_nothing_is_installed(received: list[int]) -> None:
    """Only the main thread may, and a server in another thread handles no signals either."""
    server = signal.getsignal(signal.SIGTERM)

    def elsewhere() -> None:
        with told_by_signals(Draining()):
            assert signal.getsignal(signal.SIGTERM) is server

    await asyncio.to_thread(elsewhere)
