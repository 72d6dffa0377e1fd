"""The same names as in ``asyncflask``, typed for ``def`` code.

The objects are the same: only a type checker sees a difference. In ``def`` code
``request.form`` and ``render_template()`` are plain values, and from here types say so::

    from asyncflask import Flask
    from asyncflask.sync import render_template, request

    app = Flask(__name__)


    @app.post("/")
    def index() -> str:
        return render_template("index.html", name=request.form["name"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import asyncflask.files as _files
import asyncflask.globals as _globals
import asyncflask.helpers as _helpers
import asyncflask.templating as _templating
from asyncflask import Blueprint as Blueprint
from asyncflask import Config as Config
from asyncflask import Flask as Flask
from asyncflask import MissingAwaitError as MissingAwaitError
from asyncflask import ServerSentEvent as ServerSentEvent
from asyncflask import SetupError as SetupError
from asyncflask import WebSocketDisconnect as WebSocketDisconnect
from asyncflask import abort as abort
from asyncflask import after_this_request as after_this_request
from asyncflask import after_this_websocket as after_this_websocket
from asyncflask import app_ctx as app_ctx
from asyncflask import appcontext_popped as appcontext_popped
from asyncflask import appcontext_pushed as appcontext_pushed
from asyncflask import appcontext_tearing_down as appcontext_tearing_down
from asyncflask import before_render_template as before_render_template
from asyncflask import copy_current_app_context as copy_current_app_context
from asyncflask import copy_current_request_context as copy_current_request_context
from asyncflask import copy_current_websocket_context as copy_current_websocket_context
from asyncflask import current_app as current_app
from asyncflask import flash as flash
from asyncflask import g as g
from asyncflask import get_flashed_messages as get_flashed_messages
from asyncflask import get_template_attribute as get_template_attribute
from asyncflask import got_background_exception as got_background_exception
from asyncflask import got_request_exception as got_request_exception
from asyncflask import got_serving_exception as got_serving_exception
from asyncflask import got_websocket_exception as got_websocket_exception
from asyncflask import has_app_context as has_app_context
from asyncflask import has_request_context as has_request_context
from asyncflask import has_websocket_context as has_websocket_context
from asyncflask import json as json
from asyncflask import jsonify as jsonify
from asyncflask import make_response as make_response
from asyncflask import message_flashed as message_flashed
from asyncflask import redirect as redirect
from asyncflask import request_ctx as request_ctx
from asyncflask import request_finished as request_finished
from asyncflask import request_started as request_started
from asyncflask import request_tearing_down as request_tearing_down
from asyncflask import run_sync as run_sync
from asyncflask import session as session
from asyncflask import stream_events as stream_events
from asyncflask import stream_with_context as stream_with_context
from asyncflask import template_rendered as template_rendered
from asyncflask import url_for as url_for
from asyncflask import websocket_ctx as websocket_ctx
from asyncflask import websocket_finished as websocket_finished
from asyncflask import websocket_received as websocket_received
from asyncflask import websocket_sent as websocket_sent
from asyncflask import websocket_started as websocket_started
from asyncflask import websocket_tearing_down as websocket_tearing_down
from asyncflask.messages.request import SyncRequest as Request
from asyncflask.messages.response import Response as Response
from asyncflask.messages.websocket import SyncWebsocket as Websocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import ParamSpec, TypeVar

    from asyncflask.templating import TemplateName

    P = ParamSpec("P")
    T = TypeVar("T")

request: Request = cast(Request, _globals.request)
"""The request that is being handled, with plain values."""

websocket: Websocket = cast(Websocket, _globals.websocket)
"""The WebSocket that is being handled, with plain calls."""

if TYPE_CHECKING:

    def render_block(template_name_or_list: TemplateName, block: str, **context: Any) -> str: ...

    def render_template(template_name_or_list: TemplateName, **context: Any) -> str: ...

    def render_template_string(source: str, **context: Any) -> str: ...

    def stream_template(template_name_or_list: TemplateName, **context: Any) -> Iterator[str]: ...

    def stream_template_string(source: str, **context: Any) -> Iterator[str]: ...

    def _plain(function: Callable[P, Awaitable[T]]) -> Callable[P, T]: ...

    send_file = _plain(_files.send_file)
    send_from_directory = _plain(_files.send_from_directory)
    make_push_promise = _plain(_helpers.make_push_promise)
else:
    render_block = _templating.render_block
    render_template = _templating.render_template
    render_template_string = _templating.render_template_string
    stream_template = _templating.stream_template
    stream_template_string = _templating.stream_template_string
    send_file = _files.send_file
    send_from_directory = _files.send_from_directory
    make_push_promise = _helpers.make_push_promise
