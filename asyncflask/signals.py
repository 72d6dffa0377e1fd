"""The signals the framework sends, as in Flask: blinker signals, with the application as sender.

A receiver is called where the signal is sent; one that is ``async def`` is awaited there. While
nobody is connected, the signals of a request cost nothing but a look at :attr:`LifeSignal.heard`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from blinker import ANY, NamedSignal, Namespace

F = TypeVar("F", bound=Callable[..., Any])

# Extensions and applications make a namespace of their own, so that names never meet.
_signals = Namespace()


class LifeSignal(NamedSignal):
    """A signal that is sent in the life of each request.

    PERF: while none of them has a receiver, a request asks for that once and again, not for each
    (scenario: plain text).
    """

    #: Whether any of them may have a receiver.
    heard = False

    _all: list[LifeSignal] = []  # noqa: RUF012
    _lock = threading.RLock()  # who hears of a new receiver may connect another

    def __init__(self, name: str, doc: str | None = None) -> None:
        super().__init__(name, doc)
        self._all.append(self)

    def connect(self, receiver: F, sender: Any = ANY, weak: bool = True) -> F:
        """Connect a receiver, as with any signal."""
        with self._lock:
            super().connect(receiver, sender, weak)
            LifeSignal.heard = True
        return receiver

    @classmethod
    def look_again(cls) -> None:
        """See whether those that were connected are still there."""
        with cls._lock:
            LifeSignal.heard = any(signal.receivers for signal in cls._all)


def _life_signal(name: str) -> NamedSignal:
    return _signals.setdefault(name, LifeSignal(name))


#: A template is about to be rendered. Sent with ``template`` and ``context``.
before_render_template = _signals.signal("before-render-template")
#: A template was rendered. Sent with ``template`` and ``context``.
template_rendered = _signals.signal("template-rendered")
#: A request begins: its context is set, nothing of the user's has run yet.
request_started = _life_signal("request-started")
#: A response is ready to be sent. Sent with ``response``.
request_finished = _life_signal("request-finished")
#: A request has ended, with or without an error. Sent with ``exc``.
request_tearing_down = _life_signal("request-tearing-down")
#: An exception was not handled and becomes a 500. Sent with ``exception``.
got_request_exception = _signals.signal("got-request-exception")
#: A background task has failed. Sent with ``exception``.
got_background_exception = _signals.signal("got-background-exception")
#: A serving function has failed, at start or at shutdown. Sent with ``exception``.
got_serving_exception = _signals.signal("got-serving-exception")
#: A context has become the current one.
appcontext_pushed = _life_signal("appcontext-pushed")
#: A context is no longer the current one.
appcontext_popped = _life_signal("appcontext-popped")
#: A context has ended, with or without an error. Sent with ``exc``.
appcontext_tearing_down = _life_signal("appcontext-tearing-down")
#: A message was flashed. Sent with ``message`` and ``category``.
message_flashed = _signals.signal("message-flashed")
#: A WebSocket handshake has come: its context is set, nothing of the user's has run yet.
websocket_started = _signals.signal("websocket-started")
#: A message was received. As in Quart, the sender is the message itself and nothing else is sent.
websocket_received = _signals.signal("websocket-received")
#: A message was sent. As in Quart, the sender is the message itself and nothing else is sent.
websocket_sent = _signals.signal("websocket-sent")
#: A WebSocket view has ended. Sent with ``response``: what refuses the handshake, or None.
websocket_finished = _signals.signal("websocket-finished")
#: A WebSocket has ended, with or without an error. Sent with ``exc``.
websocket_tearing_down = _signals.signal("websocket-tearing-down")
#: An exception in a WebSocket was not handled. Sent with ``exception``.
got_websocket_exception = _signals.signal("got-websocket-exception")
