"""Testing an application without a server.

``client``       ``app.test_client()``: httpx's asynchronous client with Flask's arguments
``sync_client``  ``app.sync_test_client()``: the same for plain ``def`` tests
``base``         what the two share
``response``     what they return
``scope``        requests made by hand, for ``app.test_request_context()`` and the clients
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
    from asyncflask.testing.response import TestResponse as TestResponse
    from asyncflask.testing.scope import make_scope as make_scope
    from asyncflask.testing.sync_client import SyncClient as SyncClient
    from asyncflask.testing.transport import ASGITransport as ASGITransport

_HOMES = {
    "ASGITransport": "asyncflask.testing.transport",
    "FlaskCliRunner": "asyncflask.cli.runner",
    "FlaskClient": "asyncflask.testing.client",
    "SyncClient": "asyncflask.testing.sync_client",
    "TestResponse": "asyncflask.testing.response",
    "make_scope": "asyncflask.testing.scope",
}

__all__ = [
    "ASGITransport",
    "FlaskCliRunner",
    "FlaskClient",
    "SyncClient",
    "TestResponse",
    "make_scope",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
