"""Flask's module tree on asyncflask: what ``import flask`` gives after ``compat.install()``.

It is Flask to the letter where that differs from asyncflask: Flask's defaults and JSON, requests
and responses that are Werkzeug's wrappers, sessions opened in each request, pages for errors, a
test client that is Werkzeug's, and an application that is a WSGI application, too. What is the
same is asyncflask's own, so both sets of names can be used in one application.
"""

from __future__ import annotations

import importlib
from typing import Any

from asyncflask.compat import flask_version
from asyncflask.compat.flask import json as json
from asyncflask.compat.flask.app import Flask as Flask
from asyncflask.compat.flask.blueprints import Blueprint as Blueprint
from asyncflask.compat.flask.config import Config as Config
from asyncflask.compat.flask.ctx import after_this_request as after_this_request
from asyncflask.compat.flask.ctx import copy_current_request_context as copy_current_request_context
from asyncflask.compat.flask.ctx import has_app_context as has_app_context
from asyncflask.compat.flask.ctx import has_request_context as has_request_context
from asyncflask.compat.flask.globals import current_app as current_app
from asyncflask.compat.flask.globals import g as g
from asyncflask.compat.flask.globals import request as request
from asyncflask.compat.flask.globals import session as session
from asyncflask.compat.flask.helpers import abort as abort
from asyncflask.compat.flask.helpers import flash as flash
from asyncflask.compat.flask.helpers import get_flashed_messages as get_flashed_messages
from asyncflask.compat.flask.helpers import get_template_attribute as get_template_attribute
from asyncflask.compat.flask.helpers import make_response as make_response
from asyncflask.compat.flask.helpers import redirect as redirect
from asyncflask.compat.flask.helpers import send_file as send_file
from asyncflask.compat.flask.helpers import send_from_directory as send_from_directory
from asyncflask.compat.flask.helpers import stream_with_context as stream_with_context
from asyncflask.compat.flask.helpers import url_for as url_for
from asyncflask.compat.flask.json import jsonify as jsonify
from asyncflask.compat.flask.signals import appcontext_popped as appcontext_popped
from asyncflask.compat.flask.signals import appcontext_pushed as appcontext_pushed
from asyncflask.compat.flask.signals import appcontext_tearing_down as appcontext_tearing_down
from asyncflask.compat.flask.signals import before_render_template as before_render_template
from asyncflask.compat.flask.signals import got_request_exception as got_request_exception
from asyncflask.compat.flask.signals import message_flashed as message_flashed
from asyncflask.compat.flask.signals import request_finished as request_finished
from asyncflask.compat.flask.signals import request_started as request_started
from asyncflask.compat.flask.signals import request_tearing_down as request_tearing_down
from asyncflask.compat.flask.signals import template_rendered as template_rendered
from asyncflask.compat.flask.templating import render_template as render_template
from asyncflask.compat.flask.templating import render_template_string as render_template_string
from asyncflask.compat.flask.templating import stream_template as stream_template
from asyncflask.compat.flask.templating import stream_template_string as stream_template_string
from asyncflask.compat.flask.wrappers import Request as Request
from asyncflask.compat.flask.wrappers import Response as Response

__version__ = flask_version()

#: Modules that ``import flask`` makes attributes of it in Flask, loaded here when they are used.
_MODULES = ("cli", "logging", "testing", "typing", "views")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'flask' ({__name__}) has no attribute {name!r}")
