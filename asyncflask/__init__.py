"""An async-first web framework: Flask's API, native on ASGI, with Starlette underneath.

The package is laid out in floors; imports at run time go only down:

    ext                                     extensions, which use the public names only
    cli, compat, migration                  the command; what `import flask` can give; the way over
    app                                     the application, which composes everything
    testing, devserver, wsgi, debug         tools that take the application as an argument
    life                                    what happens at start, in a request, at shutdown
    registrar, declarations, blueprints     what is registered before the start
    templating, static, sse, views, ...     features
    jinja                                   the environment of templates
    helpers, files, assets                  functions for views
    ctx, globals                            the context and its proxies
    messages, sessions                      requests, responses, sessions
    concurrency                             event loop and worker threads
    routing                                 rules and matching, pure
    config, json, exceptions, signals, ...  the vocabulary

This module only re-exports what users import. ``asyncflask.sync`` has the same objects, typed for
``def`` code.
"""

from __future__ import annotations

from asyncflask import json as json
from asyncflask.app import Flask as Flask
from asyncflask.blueprints import Blueprint as Blueprint
from asyncflask.config import Config as Config
from asyncflask.ctx import after_this_request as after_this_request
from asyncflask.ctx import after_this_websocket as after_this_websocket
from asyncflask.ctx import copy_current_app_context as copy_current_app_context
from asyncflask.ctx import copy_current_request_context as copy_current_request_context
from asyncflask.ctx import copy_current_websocket_context as copy_current_websocket_context
from asyncflask.ctx import has_app_context as has_app_context
from asyncflask.ctx import has_request_context as has_request_context
from asyncflask.ctx import has_websocket_context as has_websocket_context
from asyncflask.exceptions import MissingAwaitError as MissingAwaitError
from asyncflask.exceptions import SetupError as SetupError
from asyncflask.files import send_file as send_file
from asyncflask.files import send_from_directory as send_from_directory
from asyncflask.globals import app_ctx as app_ctx
from asyncflask.globals import current_app as current_app
from asyncflask.globals import g as g
from asyncflask.globals import request as request
from asyncflask.globals import request_ctx as request_ctx
from asyncflask.globals import session as session
from asyncflask.globals import websocket as websocket
from asyncflask.globals import websocket_ctx as websocket_ctx
from asyncflask.helpers import abort as abort
from asyncflask.helpers import flash as flash
from asyncflask.helpers import get_flashed_messages as get_flashed_messages
from asyncflask.helpers import make_push_promise as make_push_promise
from asyncflask.helpers import make_response as make_response
from asyncflask.helpers import redirect as redirect
from asyncflask.helpers import run_sync as run_sync
from asyncflask.helpers import stream_with_context as stream_with_context
from asyncflask.helpers import url_for as url_for
from asyncflask.json import jsonify as jsonify
from asyncflask.messages.request import Request as Request
from asyncflask.messages.response import Response as Response
from asyncflask.messages.websocket import Websocket as Websocket
from asyncflask.messages.websocket import WebSocketDisconnect as WebSocketDisconnect
from asyncflask.signals import appcontext_popped as appcontext_popped
from asyncflask.signals import appcontext_pushed as appcontext_pushed
from asyncflask.signals import appcontext_tearing_down as appcontext_tearing_down
from asyncflask.signals import before_render_template as before_render_template
from asyncflask.signals import got_background_exception as got_background_exception
from asyncflask.signals import got_request_exception as got_request_exception
from asyncflask.signals import got_serving_exception as got_serving_exception
from asyncflask.signals import got_websocket_exception as got_websocket_exception
from asyncflask.signals import message_flashed as message_flashed
from asyncflask.signals import request_finished as request_finished
from asyncflask.signals import request_started as request_started
from asyncflask.signals import request_tearing_down as request_tearing_down
from asyncflask.signals import template_rendered as template_rendered
from asyncflask.signals import websocket_finished as websocket_finished
from asyncflask.signals import websocket_received as websocket_received
from asyncflask.signals import websocket_sent as websocket_sent
from asyncflask.signals import websocket_started as websocket_started
from asyncflask.signals import websocket_tearing_down as websocket_tearing_down
from asyncflask.sse import ServerSentEvent as ServerSentEvent
from asyncflask.sse import stream_events as stream_events
from asyncflask.templating import get_template_attribute as get_template_attribute
from asyncflask.templating import render_block as render_block
from asyncflask.templating import render_template as render_template
from asyncflask.templating import render_template_string as render_template_string
from asyncflask.templating import stream_template as stream_template
from asyncflask.templating import stream_template_string as stream_template_string

__version__ = "0.1.0"
