"""Every public name of Flask and of Quart is here, but for those that are listed with a reason."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import flask
import pytest
import quart

import asyncflask

# What is left out. A name stands under the object that has it in Flask or Quart.

_WSGI = "part of a WSGI request or response; there is no environ and no start_response here"
_FORM_PARSER = "forms are parsed by python-multipart, within the limits of the configuration"
_CONSTRUCTOR = "a class that Quart's request, response or server is put together from"
_MARKUPSAFE = "MarkupSafe's, to be imported from there, as with Flask 3"
_FLASKS_NAME = "the class is called as in Flask: write 'from asyncflask import Flask'"

LEFT_OUT: dict[str, dict[str, str]] = {
    "flask": {},
    "flask.Request": {
        "application": _WSGI,
        "form_data_parser_class": _FORM_PARSER,
        "make_form_data_parser": _FORM_PARSER,
        "want_form_data_parsed": _FORM_PARSER,
        "from_values": "app.test_request_context() makes a request by hand",
        "input_stream": _WSGI,
        "is_multiprocess": _WSGI,
        "is_multithread": _WSGI,
        "is_run_once": _WSGI,
        "remote_user": _WSGI,
        "json_module": "app.json is the provider",
    },
    "flask.Response": {
        "autocorrect_location_header": "a Location is sent as it is set; browsers take a path",
        "force_type": "app.make_response() takes responses of every kind",
        "from_app": _WSGI,
        "get_app_iter": _WSGI,
        "get_wsgi_headers": _WSGI,
        "get_wsgi_response": _WSGI,
        "json_module": "app.json is the provider",
    },
    "flask.cli": {"show_server_banner": "the server tells its address itself"},
    "flask.helpers": {"get_template_attribute": "in asyncflask.templating, and in asyncflask"},
    "quart": {
        "Markup": _MARKUPSAFE,
        "escape": _MARKUPSAFE,
        "Quart": _FLASKS_NAME,
        "signals_available": "always true; Flask has removed it",
        "ResponseReturnValue": "in asyncflask.typing",
    },
    "quart.cli": {"QuartGroup": "FlaskGroup, as in Flask"},
    "quart.helpers": {
        "find_package": "Flask's and Quart's own way to find folders",
        "get_template_attribute": "in asyncflask.templating, and in asyncflask",
    },
    "quart.logging": {"LocalQueueHandler": "logging.handlers.QueueHandler does it"},
    "quart.testing": {
        "make_test_body_with_headers": "asyncflask.testing.EnvironBuilder takes the same",
        "make_test_headers_path_and_query_string": "asyncflask.testing.make_scope() makes it all",
        "make_test_scope": "asyncflask.testing.make_scope(), from a test's arguments",
        "no_op_push": "pushes are sent by the context, which a request need not know",
        "QuartClient": "FlaskClient",
        "QuartCliRunner": "FlaskCliRunner",
    },
    "quart.wrappers": {
        "BaseRequestWebsocket": "Request and Websocket share asyncflask.messages.connection",
        "Body": "request.body is one; it is not made by hand",
        "ClientDisconnectedError": "Werkzeug's ClientDisconnected",
    },
    "quart.Quart": {
        "asgi_http_class": _CONSTRUCTOR,
        "asgi_lifespan_class": _CONSTRUCTOR,
        "asgi_websocket_class": _CONSTRUCTOR,
        "event_class": "asyncio's, always",
        "lock_class": "asyncio's, always",
    },
    "quart.Request": {
        "body_class": _CONSTRUCTOR,
        "form_data_parser_class": _FORM_PARSER,
        "make_form_data_parser": _FORM_PARSER,
        "json_module": "app.json is the provider",
        "lock_class": "asyncio's, always",
        "send_push_promise": "asyncflask.make_push_promise() sends it",
    },
    "quart.Websocket": {
        "buffer_class": _CONSTRUCTOR,
        "json_module": "app.json is the provider",
    },
    "quart.Response": {
        "data_body_class": _CONSTRUCTOR,
        "file_body_class": _CONSTRUCTOR,
        "io_body_class": _CONSTRUCTOR,
        "iterable_body_class": _CONSTRUCTOR,
        "iter_encode": "iter_encoded(), as in Flask",
        "json_module": "app.json is the provider",
    },
}

#: Ours for each class of theirs.
CLASSES: dict[str, Any] = {
    "flask.Flask": asyncflask.Flask(__name__),
    "flask.Blueprint": asyncflask.Blueprint("bp", __name__),
    "flask.Config": asyncflask.Config,
    "flask.Request": asyncflask.Request,
    "flask.Response": asyncflask.Response,
    "quart.Quart": asyncflask.Flask(__name__),
    "quart.Blueprint": asyncflask.Blueprint("bp", __name__),
    "quart.Config": asyncflask.Config,
    "quart.Request": asyncflask.Request,
    "quart.Websocket": asyncflask.Websocket,
    "quart.Response": asyncflask.Response,
}

#: Modules that have what is documented as theirs; the others of Flask's are its own business.
MODULES = [
    "views",
    "json",
    "json.provider",
    "json.tag",
    "signals",
    "globals",
    "cli",
    "testing",
    "sessions",
    "config",
    "helpers",
    "templating",
    "wrappers",
    "blueprints",
    "logging",
]


def public(owner: object) -> set[str]:
    return {name for name in dir(owner) if name[0] != "_"}


@pytest.mark.parametrize("package", [flask, quart])
def test_every_exported_name_is_here(package: ModuleType) -> None:
    """What a package exports can be imported from this one."""
    left_out = LEFT_OUT[package.__name__]
    missing = {
        name
        for name in public(package)
        if name not in left_out
        and not hasattr(asyncflask, name)
        and not isinstance(getattr(package, name), ModuleType)  # there once it is imported
    }
    assert missing == set()
    assert [name for name in left_out if hasattr(asyncflask, name)] == []


@pytest.mark.parametrize("name", CLASSES)
def test_every_method_and_attribute_is_here(name: str) -> None:
    """Of the classes that applications work with, and of their instances."""
    package, _, class_name = name.partition(".")
    theirs = getattr(flask if package == "flask" else quart, class_name)
    names = public(theirs)
    if class_name in ("Flask", "Quart"):
        names |= public(theirs(__name__))
    elif class_name == "Blueprint":
        names |= public(theirs("bp", __name__))
    left_out = LEFT_OUT.get(name, {})
    ours = public(CLASSES[name])
    assert names - ours - left_out.keys() == set()
    assert left_out.keys() & ours == set()


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("package", ["flask", "quart"])
def test_modules_have_the_names_that_are_defined_in_theirs(package: str, name: str) -> None:
    """Functions and classes; not what the module imports."""
    theirs = import_module(f"{package}.{name}")
    ours = import_module(f"asyncflask.{name}")
    defined = {
        each
        for each in public(theirs)
        if (getattr(getattr(theirs, each), "__module__", "") or "").startswith(theirs.__name__)
        and not isinstance(getattr(theirs, each), TypeVar | ModuleType)
    }
    left_out = LEFT_OUT.get(f"{package}.{name}", {}).keys()
    assert {each for each in defined if not hasattr(ours, each)} <= left_out
    assert {each for each in left_out if hasattr(ours, each)} == set()
    for each in defined - left_out:
        # Clients are httpx's here, and the requests and responses are compared above.
        if (
            package == "flask"
            and inspect.isclass(getattr(theirs, each))
            and name not in ("testing", "wrappers")
        ):
            assert public(getattr(theirs, each)) - public(getattr(ours, each)) == set(), each


def test_every_default_of_the_configuration_is_here() -> None:
    """All of Flask's keys; Quart's that still do something."""
    ours = asyncflask.Flask.default_config
    assert flask.Flask.default_config.keys() <= ours.keys()
    gone = {"ENV", "PREFER_SECURE_URLS", "PRESERVE_CONTEXT_ON_EXCEPTION"}  # Flask 2's, without use
    assert quart.Quart.default_config.keys() - ours.keys() <= gone
