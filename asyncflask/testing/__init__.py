"""Testing an application without a server.

``client``       ``app.test_client()``: httpx's asynchronous client with Flask's arguments
``sync_client``  ``app.sync_test_client()``: the same for plain ``def`` tests
``base``         what the two share
``response``     what they return
``connection``   a request that a test plays step by step
``kept``         what a client's ``with`` block keeps of the last request
``websocket``    their ends of WebSockets
``scope``        requests made by hand, for ``app.test_request_context()`` and the clients
``environ``      the same in WSGI's terms
``transport``    from httpx to ASGI; ``exchange`` plays the server for one request, ``lifespan``
                 starts the application and shuts it down

The names below are loaded at first use: importing this package does not import httpx. The runner
of commands, ``app.test_cli_runner()``, stands with them and belongs to ``asyncflask.cli``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncflask.cli.runner import FlaskCliRunner as FlaskCliRunner
    from asyncflask.testing.client import FlaskClient as FlaskClient
    from asyncflask.testing.connection import HTTPConnection as HTTPConnection
    from asyncflask.testing.environ import EnvironBuilder as EnvironBuilder
    from asyncflask.testing.lifespan import TestApp as TestApp
    from asyncflask.testing.response import TestResponse as TestResponse
    from asyncflask.testing.scope import make_scope as make_scope
    from asyncflask.testing.scope import make_websocket_scope as make_websocket_scope
    from asyncflask.testing.sync_client import SyncClient as SyncClient
    from asyncflask.testing.transport import ASGITransport as ASGITransport
    from asyncflask.testing.websocket import WebsocketDisconnectError as WebsocketDisconnectError
    from asyncflask.testing.websocket import WebsocketResponseError as WebsocketResponseError

_HOMES = {
    "ASGITransport": ".transport",
    "EnvironBuilder": ".environ",
    "FlaskCliRunner": "..cli.runner",
    "FlaskClient": ".client",
    "HTTPConnection": ".connection",
    "SyncClient": ".sync_client",
    "TestApp": ".lifespan",
    "TestResponse": ".response",
    "WebsocketDisconnectError": ".websocket",
    "WebsocketResponseError": ".websocket",
    "make_scope": ".scope",
    "make_websocket_scope": ".scope",
}

__all__ = [
    "ASGITransport",
    "EnvironBuilder",
    "FlaskCliRunner",
    "FlaskClient",
    "HTTPConnection",
    "SyncClient",
    "TestApp",
    "TestResponse",
    "WebsocketDisconnectError",
    "WebsocketResponseError",
    "make_scope",
    "make_websocket_scope",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)
