"""The signals the framework sends, as in Flask: blinker signals, with the application as sender.

A receiver is called where the signal is sent; one that is ``async def`` is awaited there. While
nobody is connected, a signal costs one look at ``signal.receivers``.
"""

from __future__ import annotations

from blinker import Namespace

# Extensions and applications make a namespace of their own, so that names never meet.
_signals = Namespace()

#: A template is about to be rendered. Sent with ``template`` and ``context``.
before_render_template = _signals.signal("before-render-template")
#: A template was rendered. Sent with ``template`` and ``context``.
template_rendered = _signals.signal("template-rendered")
#: A request begins: its context is set, nothing of the user's has run yet.
request_started = _signals.signal("request-started")
#: A response is ready to be sent. Sent with ``response``.
request_finished = _signals.signal("request-finished")
#: A request has ended, with or without an error. Sent with ``exc``.
request_tearing_down = _signals.signal("request-tearing-down")
#: An exception was not handled and becomes a 500. Sent with ``exception``.
got_request_exception = _signals.signal("got-request-exception")
#: A background task has failed. Sent with ``exception``.
got_background_exception = _signals.signal("got-background-exception")
#: A serving function has failed, at start or at shutdown. Sent with ``exception``.
got_serving_exception = _signals.signal("got-serving-exception")
#: A context has become the current one.
appcontext_pushed = _signals.signal("appcontext-pushed")
#: A context is no longer the current one.
appcontext_popped = _signals.signal("appcontext-popped")
#: A context has ended, with or without an error. Sent with ``exc``.
appcontext_tearing_down = _signals.signal("appcontext-tearing-down")
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
