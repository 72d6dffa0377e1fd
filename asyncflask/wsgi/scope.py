"""ASGI's description of a request, and its body, made of WSGI's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from werkzeug.exceptions import BadRequest, HTTPException, LengthRequired, NotImplemented

if TYPE_CHECKING:
    from starlette.types import Scope

#: The most bytes that are read of a body at once.
CHUNK_SIZE = 64 * 1024

#: What is between the server and its client; an application must not send it (PEP 3333).
HOP_BY_HOP = frozenset(
    [b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"]
)

#: Where the scope of a request that takes the way of WSGI has the loop of its server.
HOME = "asyncflask.loop"

_VERSION = re.compile(r"HTTP/(\d(?:\.\d)?)")
_CONTENT = ("CONTENT_TYPE", "CONTENT_LENGTH")
_DIGITS = re.compile(r"[0-9]+")


def refuse(environ: dict[str, Any]) -> HTTPException | None:
    """Return the answer to a request that the application should never see, else None."""
    if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
        return NotImplemented(
            "WebSockets need an ASGI server. This application is served by a WSGI server."
        )
    length = environ.get("CONTENT_LENGTH")
    if length and not _DIGITS.fullmatch(length):
        return BadRequest("The Content-Length is not a number.")
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    if chunked and not (length or environ.get("wsgi.input_terminated")):
        return LengthRequired("The server does not say where a chunked body ends. Send its length.")
    return None


def scope_of(environ: dict[str, Any]) -> Scope:
    """Return the scope for a request. It has the environ too, as ``wsgi.environ``."""
    root = environ.get("SCRIPT_NAME", "").encode("latin-1").rstrip(b"/")
    path = environ.get("PATH_INFO", "").encode("latin-1")
    if path and not path.startswith(b"/"):
        # As Werkzeug reads it: its test client sends a path as it was written.
        path = b"/" + path
    path = root + path
    version = _VERSION.match(environ.get("SERVER_PROTOCOL", ""))
    return {
        "type": "http",
        # From this version on `send` may say that the client has gone.
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": version[1] if version else "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": path.decode("utf-8", "surrogateescape"),
        "raw_path": _raw_path(environ, path, root),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1", "replace"),
        "root_path": root.decode("utf-8", "surrogateescape"),
        "headers": _headers(environ),
        "server": _address(environ.get("SERVER_NAME"), environ.get("SERVER_PORT"), None),
        "client": _address(environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT"), 0),
        "extensions": {"http.response.pathsend": {}},
        "wsgi.environ": environ,
    }


def _raw_path(environ: dict[str, Any], path: bytes, root: bytes) -> bytes:
    """The path as it was sent, if the server tells; else one that means the same."""
    target: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    raw = target.partition("?")[0].encode("latin-1", "replace")
    decoded = unquote_to_bytes(raw)
    if decoded == path:
        return raw
    quoted = quote(root).encode()
    # A prefix that middleware has put there.
    return quoted + raw if root + decoded == path else quoted + quote(path[len(root) :]).encode()


def _headers(environ: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    headers = []
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            key = key[5:]
            if key in _CONTENT:
                continue
        elif key not in _CONTENT or not value:
            continue
        name = key.replace("_", "-").lower()
        headers.append((name.encode("latin-1", "replace"), value.encode("latin-1", "replace")))
    if "HTTP_TRANSFER_ENCODING" in environ:  # one framing only (RFC 9112, section 6.3)
        headers = [pair for pair in headers if pair[0] != b"content-length"]
    return headers


def _address(host: str | None, port: Any, default: int | None) -> tuple[str, int | None] | None:
    if not host:
        return None
    port = str(port)
    return host, int(port) if _DIGITS.fullmatch(port) else default


class Body:
    """The request body, read piece by piece from ``wsgi.input``.

    :param environ: says how it is framed: by its length; or, where the server promises that the
        input ends (``wsgi.input_terminated``), by that.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        self._input = environ["wsgi.input"]
        length = environ.get("CONTENT_LENGTH")
        ends = bool(environ.get("wsgi.input_terminated"))
        #: How many bytes are left, or None when only the end will tell.
        self._left: int | None = int(length) if length else 0
        if ends and (not length or "HTTP_TRANSFER_ENCODING" in environ):
            self._left = None

    @property
    def is_complete(self) -> bool:
        """Whether everything has been read."""
        return self._left == 0

    def read(self) -> bytes:
        """Return the next bytes, none at the end.

        :raises OSError: the client has gone before the end.
        """
        left = self._left
        if left is None:
            chunk: bytes = self._input.read(CHUNK_SIZE)
            if not chunk:
                self._left = 0
            return chunk
        chunk = self._input.read(min(left, CHUNK_SIZE))
        if not chunk:
            raise OSError("The body has ended before its Content-Length")
        self._left = left - len(chunk)
        return chunk
