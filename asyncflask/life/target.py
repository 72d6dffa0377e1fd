"""Request targets in absolute form, ``GET http://host/path``, as some servers hand them on.

They are turned into ``GET /path`` with that host before any middleware looks at the path: it must
see what the router sees.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


def to_origin_form(scope: Scope) -> bool:
    """Rewrite the path and the ``Host`` of an absolute target (RFC 9112, section 3.2.2).

    :returns: whether it was one.
    """
    path: str = scope["path"]
    if path[:1] in ("/", ""):
        return False
    raw: bytes = scope.get("raw_path") or path.encode("utf-8", "surrogateescape")
    match = _ABSOLUTE.match(raw)
    if match is None:
        return False
    scope["raw_path"] = raw[match.end() :] or b"/"
    scope["path"] = unquote(scope["raw_path"].decode("latin-1"))
    others = [pair for pair in scope["headers"] if pair[0] != b"host"]
    scope["headers"] = [(b"host", match[1]), *others]
    return True


class OriginForm:
    """The outermost ASGI application where middleware stands around the dispatch."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the connection with its target in origin form."""
        if scope["type"] in ("http", "websocket"):
            to_origin_form(scope)
        await self._app(scope, receive, send)
