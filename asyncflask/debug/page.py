"""The debug page and its plain text form."""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import os
import platform
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import escape

from asyncflask.debug.failure import MASK, describe

MAX_TEXT = 100_000

_secret_header = re.compile(
    r"authorization|cookie|secret|token|api-?key|password|session|csrf", re.IGNORECASE
)


def render_error_page(error: BaseException, scope: Mapping[str, Any] | None = None) -> str:
    """Render an exception as an HTML page: frames with their source and locals, chain, request.

    It never raises: should the page itself fail, it is the plain traceback. Header values that
    carry secrets are masked. Ask :func:`may_show` first.

    :param error: the exception, with its traceback.
    :param scope: the ASGI scope of the request during which it was raised.
    """
    try:
        html = _template().render(
            failures=describe(error),
            request=None if scope is None else _request_facts(scope),
            environment=_environment(),
            text=render_error_text(error, scope),
        )
        return html.strip()
    except Exception:
        return f"<!doctype html><title>Error</title><pre>{escape(render_error_text(error))}</pre>"


def render_error_text(error: BaseException, scope: Mapping[str, Any] | None = None) -> str:
    """Render an exception as Python prints it, below a line that names the request.

    It never raises, and its length is bounded.

    :param error: the exception, with its traceback.
    :param scope: the ASGI scope of the request during which it was raised.
    """
    try:
        text = "".join(traceback.format_exception(error))
        if scope is not None:
            text = f"{_request_line(scope)}\n\n{text}"
    except Exception:
        return f"{type(error).__name__} (its traceback cannot be shown)"
    if len(text) > MAX_TEXT:
        half = MAX_TEXT // 2
        text = f"{text[:half]}\n...\n{text[-half:]}"
    return text


def versions() -> dict[str, str]:
    """Name the versions that a bug report needs.

    Those of Flask and Quart too where they are installed: one of them may be imported by mistake.
    """
    from asyncflask import __version__

    found = {"asyncflask": __version__, "Python": platform.python_version()}
    for name in ("Starlette", "uvicorn", "Werkzeug", "Flask", "Quart"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("traceback.html")


def _request_facts(scope: Mapping[str, Any]) -> dict[str, Any]:
    client = scope.get("client")
    route = scope.get("route")
    rule = getattr(route, "rule", None) or getattr(route, "path", None)
    facts = {
        "Rule": rule and str(getattr(rule, "rule", rule)),
        "Endpoint": getattr(rule, "endpoint", None),
        "Path parameters": scope.get("path_params"),
        "Mounted at": scope.get("root_path"),
        "Query": scope.get("query_string", b"").decode("latin-1"),
        "Client": client and f"{client[0]}, port {client[1]}",
        "Protocol": f"{scope.get('scheme', 'http')}, HTTP/{scope.get('http_version', '?')}",
    }
    return {
        "line": _request_line(scope),
        "facts": {name: str(value) for name, value in facts.items() if value},
        "headers": [
            (name, MASK if _secret_header.search(name) else value)
            for name, value in (
                (raw_name.decode("latin-1"), raw_value.decode("latin-1"))
                for raw_name, raw_value in scope.get("headers", ())
            )
        ],
    }


def _request_line(scope: Mapping[str, Any]) -> str:
    return f"{scope.get('method') or scope.get('type', '?')} {scope.get('path', '?')}"


def _environment() -> dict[str, str]:
    return {
        "Runs in": _place(),
        "Process": str(os.getpid()),
        "Directory": os.getcwd(),
        "Command": " ".join(sys.argv),
        **versions(),
    }


def _place() -> str:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is None:
        return f"thread {threading.current_thread().name}"
    return f"task {task.get_name()} on the event loop"
