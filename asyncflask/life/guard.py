"""Refuses requests that no view should ever see, whatever the server lets through."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from werkzeug.exceptions import BadRequest, Forbidden, HTTPException
from werkzeug.sansio.utils import host_is_trusted

if TYPE_CHECKING:
    from starlette.types import Scope

#: As the router says that it has no route: an error in the place of one.
Refusal = tuple[None, None, dict[str, Any], HTTPException]

_HOST = re.compile(rb"(?:[a-z0-9._~%!$&'()*+,;=-]*|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?", re.I)

#: How many hosts are remembered, and of which length: clients choose them.
_MANY, _LONG = 1000, 256


class HostGuard:
    """Refuses requests for their ``Host``: two of them, a malformed one, one that is not trusted.

    :param trusted: ``TRUSTED_HOSTS``, or None.
    """

    def __init__(self, trusted: list[str] | None) -> None:
        self._trusted = trusted
        # PERF: those that were found to be fine; a set is asked in no time (scenario: plain text).
        self._fine: set[bytes | None] = set()

    def refuse(self, scope: Scope) -> Refusal | None:
        """Return the answer of no route, or None for a request that is fine (RFC 9112, 3.2)."""
        host = None
        for name, value in scope["headers"]:
            if name == b"host":
                if host is not None:
                    return _refusal("The request has more than one Host header.")
                host = value
        return None if host in self._fine else self._refuse(host)

    def _refuse(self, host: bytes | None) -> Refusal | None:
        if host is not None and not _HOST.fullmatch(host):
            return _refusal("The Host header is malformed.")
        name = (host or b"").decode("latin-1")
        if self._trusted is not None and not host_is_trusted(name, self._trusted):
            return _refusal(f"Host {name!r} is not trusted.")
        if len(self._fine) < _MANY and len(name) < _LONG:
            self._fine.add(host)
        return None


def refuse_path(scope: Scope) -> Refusal | None:
    """Refuse a path that cannot be decoded, or has NUL or line breaks.

    :returns: the answer of no route; None for a path that is fine.
    """
    path: str = scope["path"]
    # PERF: two calls say that there is nothing to look at (scenario: int in the path).
    if path.isascii() and path.isprintable():
        return None
    if "\0" in path or "\r" in path or "\n" in path:
        return _refusal("The path has a control character that no address has.")
    try:
        path.encode()  # a server may have decoded with lone surrogates
        if "\ufffd" in path:  # or with replacement; U+FFFD may also have been sent as such
            unquote_to_bytes(scope.get("raw_path") or b"%FF").decode()
    except UnicodeError:
        return _refusal("The path is not UTF-8.")
    return None


def host_of(scope: Scope) -> str:
    """Return the ``Host`` header, as it was sent; empty where there is none."""
    return next((value for name, value in scope["headers"] if name == b"host"), b"").decode(
        "latin-1"
    )


_PORTS = {"http": 80, "https": 443}


def refuse_origin(scope: Scope, allowed: str | Collection[str]) -> Refusal | None:
    """Refuse a WebSocket handshake that another site's page has begun.

    Browsers send cookies with such handshakes and no CORS protects from them, so an ``Origin``
    (RFC 6455, section 10.2) has to be that of the ``Host`` or one of ``allowed``. A page from
    https may open a socket that arrives without TLS: a proxy in front has ended it.

    :param allowed: origins such as ``https://example.com``, or one; ``*`` stands for all.
    """
    if isinstance(allowed, str):  # from the environment, say: "*" is not looked for within it
        allowed = (allowed,)
    origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    if not origins or "*" in allowed:
        return None
    host = host_of(scope)
    origin = _normal_origin(origins[0])
    own = {_normal_origin(f"https://{host}")}
    if scope.get("scheme") not in ("wss", "https"):
        own.add(_normal_origin(f"http://{host}"))
    listed = {_normal_origin(entry) for entry in allowed}
    if len(origins) == 1 and origin is not None and origin in own | listed:
        return None
    return None, None, {}, Forbidden("Pages of other sites cannot open WebSockets here.")


def _normal_origin(origin: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(origin)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def _refusal(reason: str) -> Refusal:
    return None, None, {}, BadRequest(reason)
