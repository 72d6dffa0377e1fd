"""A plugin of pytest for Flask's own tests, beside ``asyncflask.compat.installed``.

They were written for an older pytest, and replace the function that starts Werkzeug's server to see
what it is given. Here the application is served by another, so that is given the same.
"""

from __future__ import annotations

from typing import Any

import _pytest.monkeypatch
import werkzeug.serving

import asyncflask.compat.installed
from asyncflask.devserver import server

__all__ = ["asyncflask"]

if not hasattr(_pytest.monkeypatch, "notset"):
    _pytest.monkeypatch.notset = _pytest.monkeypatch.NOTSET  # type: ignore[attr-defined]

run_simple = werkzeug.serving.run_simple


def run(target: Any, *, host: str, port: int, **options: Any) -> None:
    """Tell Werkzeug's server to serve an application, if a test has replaced it."""
    assert werkzeug.serving.run_simple is not run_simple, "a test wants a server"
    werkzeug.serving.run_simple(host, port, target, **options)


server.run = run  # type: ignore[assignment]
