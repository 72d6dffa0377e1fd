"""The signals are Flask's, by name, and are the framework's own."""

from __future__ import annotations

import blinker
import flask.signals
import pytest

import asyncflask.signals

NAMES = [name for name, value in vars(flask.signals).items() if isinstance(value, blinker.Signal)]


def test_there_are_eleven_signals() -> None:
    """Every signal of Flask's exists here, and Quart's for background tasks; and no other."""
    ours = vars(asyncflask.signals).items()
    assert {name for name, value in ours if isinstance(value, blinker.Signal)} == {
        *NAMES,
        "got_background_exception",
    }
    assert len(NAMES) == 10


@pytest.mark.parametrize("name", NAMES)
def test_signals_have_flasks_names(name: str) -> None:
    """A signal is called what Flask calls it, but is another object."""
    ours = getattr(asyncflask.signals, name)
    theirs = getattr(flask.signals, name)
    assert ours.name == theirs.name
    assert ours is not theirs


def test_a_receiver_is_called() -> None:
    """A connected function gets the sender and the keywords."""
    seen: list[tuple[object, str]] = []

    def receive(sender: object, message: str) -> None:
        seen.append((sender, message))

    sender = object()
    with asyncflask.signals.message_flashed.connected_to(receive, sender):
        asyncflask.signals.message_flashed.send(sender, message="saved")
        asyncflask.signals.message_flashed.send(object(), message="not ours")
    assert seen == [(sender, "saved")]
