"""Tasks that outlive the code that began them."""

from __future__ import annotations

import asyncio

import pytest

from asyncflask.concurrency import finish, keep_going, wait_for_stragglers


async def test_what_goes_on_alone_can_be_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """At shutdown, for so long; the log says what was not finished."""
    gate = asyncio.Event()
    done: list[str] = []

    async def late() -> None:
        await gate.wait()
        done.append("late")

    keep_going(late())
    await wait_for_stragglers(0.01)
    assert "1 cancelled requests were not finished" in caplog.text
    gate.set()
    await wait_for_stragglers(5)
    assert done == ["late"]


@pytest.mark.parametrize("grace", [None, 0.01])
async def test_a_task_is_waited_for_and_cancelled_after_its_grace(grace: float | None) -> None:
    """The answer says whether it ended by itself."""
    gate = asyncio.Event()
    task = asyncio.create_task(gate.wait())
    if grace is None:
        gate.set()
    assert await finish(task, grace) == (grace is None)
    assert task.cancelled() == (grace is not None)
