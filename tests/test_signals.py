"""The signals are Flask's and Quart's, by name, and are the framework's own."""

from __future__ import annotations

import gc

import blinker
import flask.signals
import pytest
import quart.signals

import asyncflask
import asyncflask.signals

THEIRS = {
    name: value
    for package in (quart.signals, flask.signals)
    for name, value in vars(package).items()
    if isinstance(value, blinker.Signal)
}


def test_there_are_eighteen_signals() -> None:
    """Flask's and Quart's, and there is no other."""
    ours = vars(asyncflask.signals).items()
    assert {name for name, value in ours if isinstance(value, blinker.Signal)} == THEIRS.keys()
    assert len(THEIRS) == 18


@pytest.mark.parametrize("name", THEIRS)
def test_signals_have_their_names(name: str) -> None:
    """A signal is called what Flask or Quart calls it, but is another object."""
    ours = getattr(asyncflask.signals, name)
    theirs = THEIRS[name]
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


async def test_requests_look_for_receivers_only_while_there_may_be_some() -> None:
    """One that has left, or was forgotten, costs the next request a look, and those after none."""
    app = asyncflask.Flask(__name__, static_folder=None)
    app.get("/")(lambda: "ok")
    client = app.test_client()

    def receiver(sender: object, **_: object) -> None:
        seen.append(sender)

    seen: list[object] = []
    with asyncflask.signals.request_started.connected_to(receiver, app):
        await client.get("/")
        assert asyncflask.signals.LifeSignal.heard
    asyncflask.signals.request_finished.connect(receiver, app)
    del receiver
    gc.collect()
    await client.get("/")
    # Other tests may have left some.
    left = any(signal.receivers for signal in asyncflask.signals.LifeSignal._all)
    assert asyncflask.signals.LifeSignal.heard is left
    assert seen == [app]
