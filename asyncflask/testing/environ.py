"""WSGI's descriptions of a request, which tests written for Flask and Werkzeug have."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from werkzeug import test
from werkzeug.datastructures import EnvironHeaders, Headers

if TYPE_CHECKING:
    from asyncflask.testing.scope import Application

_HEADER = "HTTP_"


class EnvironBuilder(test.EnvironBuilder):
    """Werkzeug's builder of requests, with an application's defaults; Flask's.

    A test client's ``open`` takes one.

    :param app: whose configuration says scheme, host and root, unless they are given.
    :param path: path below the application's root, with or without a query; or an absolute URL.
    :param base_url: scheme, host and root of the application.
    :param subdomain: goes in front of ``SERVER_NAME``; not together with ``base_url``.
    :param url_scheme: instead of ``PREFERRED_URL_SCHEME``; not together with ``base_url``.
    :param args: and ``kwargs``: as for ``werkzeug.test.EnvironBuilder``.
    :raises TypeError: arguments that exclude each other.
    """

    def __init__(
        self,
        app: Application,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.app = app
        if base_url is None:
            url = urlsplit(path)
            base_url = default_base_url(app.config, url.scheme, url.netloc, subdomain, url_scheme)
            path = f"{url.path}?{url.query}" if url.query else url.path
        elif subdomain or url_scheme:
            raise TypeError("Pass base_url=, or subdomain= and url_scheme=, but not both")
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: Any, **kwargs: Any) -> str:
        """Serialize ``obj`` with the application's JSON provider."""
        return self.app.json.dumps(obj, **kwargs)


def default_base_url(
    config: Mapping[str, Any],
    scheme: str,
    netloc: str,
    subdomain: str | None,
    url_scheme: str | None,
) -> str:
    """Return an application's URL. ``scheme`` and ``netloc``, of an absolute URL, come first."""
    host = netloc or config.get("SERVER_NAME") or "localhost"
    if subdomain and not netloc:
        host = f"{subdomain}.{host}"
    scheme = scheme or url_scheme or config.get("PREFERRED_URL_SCHEME") or "http"
    return f"{scheme}://{host}/{(config.get('APPLICATION_ROOT') or '').lstrip('/')}"


def environ_of(described: Any) -> dict[str, Any] | None:
    """Return the environ of Werkzeug's builder or request, or an environ itself; else None."""
    if isinstance(described, test.EnvironBuilder):
        return described.get_environ()
    if isinstance(described, Mapping):
        return dict(described)
    environ: dict[str, Any] | None = getattr(described, "environ", None)
    return environ


def request_options(environ: dict[str, Any]) -> dict[str, Any]:
    """Return an environ (PEP 3333) as arguments for a test client's ``request``."""
    headers = Headers(EnvironHeaders(environ))
    host = headers.pop("Host", None) or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    root = _text(environ.get("SCRIPT_NAME", ""))
    options = {
        "method": environ["REQUEST_METHOD"],
        "url": _text(environ.get("PATH_INFO", "")) or "/",
        "base_url": f"{environ['wsgi.url_scheme']}://{host}{root}",
        "query_string": _text(environ.get("QUERY_STRING", "")),
        "headers": headers,
        "environ_base": {k: environ[k] for k in ("REMOTE_ADDR", "REMOTE_PORT") if k in environ},
    }
    body = environ["wsgi.input"].read()
    if body:
        headers.pop("Content-Length", None)
        options["content"] = body
    return options


def scope_of(environ: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return an environ (PEP 3333) as an ASGI scope and a body, with nothing put right."""
    headers = [
        (key.removeprefix(_HEADER).replace("_", "-").lower().encode("latin-1"), _wire(key, value))
        for key, value in environ.items()
        if key.startswith(_HEADER) or (value and key in ("CONTENT_TYPE", "CONTENT_LENGTH"))
    ]
    root = environ.get("SCRIPT_NAME", "").rstrip("/")
    path = f"{root}{environ.get('PATH_INFO', '')}"
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": _text(path),
        "raw_path": quote(path.encode("latin-1")).encode(),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "root_path": _text(root),
        "headers": headers,
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "extensions": {},
        "asyncflask.environ": dict(environ),
    }
    if "REMOTE_ADDR" in environ:
        scope["client"] = (environ["REMOTE_ADDR"], int(environ.get("REMOTE_PORT", 0)))
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return scope, environ["wsgi.input"].read(length) if length else b""


def _wire(key: str, value: str) -> bytes:
    """Return a header's value; of a host in another alphabet its form in DNS."""
    if key == "HTTP_HOST" and not value.isascii():
        with suppress(UnicodeError):
            return value.encode("idna")
    return value.encode("latin-1", "replace")


def lay_over(environ: Mapping[str, Any], headers: Headers, scope: MutableMapping[str, Any]) -> None:
    """Put an environ into a request's headers and scope.

    What they have no place for is left to ``request.environ``.
    """
    for key, value in environ.items():
        if key.startswith(_HEADER):
            headers[key.removeprefix(_HEADER).replace("_", "-").title()] = value
        elif key == "REMOTE_ADDR":
            scope["client"] = (value, int(environ.get("REMOTE_PORT", 50000)))
        elif key == "SERVER_NAME":
            scope["server"] = (value, int(environ.get("SERVER_PORT", 80)))
        elif key == "wsgi.url_scheme":
            scope["scheme"] = value
        elif key not in ("REMOTE_PORT", "SERVER_PORT"):
            scope.setdefault("asyncflask.environ", {})[key] = value


def _text(latin: str) -> str:
    """Undo WSGI's way of writing UTF-8."""
    return latin.encode("latin-1").decode("utf-8", "replace")
