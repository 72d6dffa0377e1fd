"""WSGI's description of a request (PEP 3333), made of ASGI's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Scope


def environ_of(scope: Scope) -> dict[str, Any]:
    """Return the environ for a request or a handshake, without what is for its body.

    Headers whose names have underscores are left out: they would pass for those with hyphens.
    """
    host, port = scope.get("server") or ("localhost", 80)
    root_path, path = split_path(scope)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.get("method", "GET").upper(),
        "SCRIPT_NAME": _as_latin(root_path),
        "PATH_INFO": _as_latin(path),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    client = scope.get("client")
    if client:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    for name, value in scope["headers"]:
        if b"_" not in name:
            _add_header(environ, name.decode("latin-1"), value.decode("latin-1"))
    # What a test has said in these terms, and a scope has no place for.
    environ.update(scope.get("asyncflask.environ", {}))
    return environ


def _add_header(environ: dict[str, Any], name: str, value: str) -> None:
    key = name.upper().replace("-", "_")
    if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
        key = f"HTTP_{key}"
    separator = "; " if key == "HTTP_COOKIE" else ","
    environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value


def split_path(scope: Scope) -> tuple[str, str]:
    """Return the prefix that an application is mounted under, and the path within it.

    ``{"root_path": "/shop/", "path": "/shop/tea"} -> ("/shop", "/tea")``
    """
    root_path = str(scope.get("root_path", "")).rstrip("/")
    path: str = scope["path"]
    if root_path and (path == root_path or path.startswith(root_path + "/")):
        path = path[len(root_path) :]
    return root_path, "/" + path.lstrip("/")


def _as_latin(text: str) -> str:
    """Return ``text`` as WSGI wants it: its UTF-8 bytes read as Latin-1."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
