"""Requests made by hand: Flask's arguments for one, and the ASGI scope that comes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO
from urllib.parse import unquote, urlsplit

from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.test import EnvironBuilder  # `import werkzeug` loads it anyway
from werkzeug.urls import iri_to_uri

from asyncflask.testing.environ import default_base_url, lay_over

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send
    from werkzeug.datastructures import Authorization

    from asyncflask.json.provider import JSONProvider
    from asyncflask.typing import HeadersValue

RawHeaders = list[tuple[bytes, bytes]]

#: Where requests come from, unless a test says otherwise.
CLIENT = ("127.0.0.1", 50000)

_PORTS = {"http": 80, "https": 443}
_SCHEMES = {"http": "ws", "https": "wss"}


class Application(Protocol):
    """What is asked of an application under test, besides being an ASGI callable."""

    config: Any
    json: JSONProvider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it goes over the wire: quoted, encoded, with its content headers."""

    method: str
    scheme: str
    host: str
    root_path: str
    path: str
    query: str
    headers: RawHeaders
    body: bytes

    @property
    def url(self) -> str:
        """The whole URL."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.host}{self.root_path}{self.path}{query}"


def make_scope(
    app: Application,
    path: str = "/",
    base_url: str | None = None,
    subdomain: str | None = None,
    url_scheme: str | None = None,
    *,
    scope_base: Mapping[str, Any] | None = None,
    environ_base: Mapping[str, Any] | None = None,
    environ_overrides: Mapping[str, Any] | None = None,
    errors_stream: TextIO | None = None,
    headers: HeadersValue | None = None,
    **options: Any,
) -> tuple[Scope, bytes]:
    """Return the ASGI scope and the body of a request, described with Flask's arguments.

    ``make_scope(app, "/search?q=x", method="POST", json={"a": 1})``

    :param path: path below the application's root, with or without a query; or an absolute URL.
    :param base_url: and ``subdomain``, ``url_scheme``: as for :func:`wire_request`.
    :param scope_base: laid over the scope, such as ``{"client": ("203.0.113.7", 4711)}``.
    :param environ_base: and ``environ_overrides``: the same in WSGI's terms, before and after the
        other arguments: ``REMOTE_ADDR``, ``HTTP_...``; Flask's.
    :param errors_stream: where the application's logger writes while it handles the request.
    :param options: the other arguments of :func:`wire_request`, and Quart's ``scheme`` and
        ``http_version``.
    """
    own, extra = merge_environ(headers, environ_base, environ_overrides, errors_stream)
    options = {"subdomain": subdomain, "url_scheme": url_scheme, **options}
    extra.update(take_quarts(options))
    wire = wire_request(app, path, base_url=base_url, headers=own, **options)
    host = wire.host.encode("ascii")
    raw = [(name.lower(), value) for name, value in wire.headers]
    if not any(name == b"host" for name, _ in raw):
        raw.insert(0, (b"host", host))
    parts = urlsplit(wire.url)
    scope = http_scope(
        wire.method,
        wire.scheme,
        (parts.hostname or "", parts.port),
        f"{wire.root_path}{wire.path}".encode("ascii"),
        wire.query.encode("ascii"),
        raw,
    )
    root_path = unquote(wire.root_path)
    return {**scope, "root_path": root_path, **extra, **(scope_base or {})}, wire.body


def take_quarts(options: MutableMapping[str, Any]) -> dict[str, Any]:
    """Take Quart's own arguments out of a request's; return what they put into its scope."""
    if "scheme" in options:
        options["url_scheme"] = options.pop("scheme")
    return {"http_version": options.pop("http_version")} if "http_version" in options else {}


def merge_environ(
    headers: HeadersValue | None,
    environ_base: Mapping[str, Any] | None,
    environ_overrides: Mapping[str, Any] | None,
    errors_stream: TextIO | None = None,
) -> tuple[Headers, dict[str, Any]]:
    """Return the headers, and the entries of the scope, of a request's headers and environs."""
    own, merged, scope = Headers(headers), Headers(), dict[str, Any]()
    lay_over(environ_base or {}, merged, scope)
    for name in {name.lower() for name in own.keys()}:  # noqa: SIM118 - not a mapping
        merged.setlist(name, own.getlist(name))
    lay_over(environ_overrides or {}, merged, scope)
    if errors_stream is not None:
        lay_over({"wsgi.errors": errors_stream}, merged, scope)
    return merged, scope


def http_scope(
    method: str,
    scheme: str,
    server: tuple[str, int | None],
    raw_path: bytes,
    query: bytes,
    headers: RawHeaders,
) -> Scope:
    """Return the scope that a server (uvicorn) would make of a request's parts."""
    host, port = server
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": CLIENT,
        "server": (host, port or _PORTS.get(scheme)),
        "extensions": {},
    }


def make_websocket_scope(
    app: Application,
    path: str = "/",
    *,
    subprotocols: Sequence[str] = (),
    scope_base: Mapping[str, Any] | None = None,
    **options: Any,
) -> Scope:
    """Return the ASGI scope of a WebSocket handshake.

    :param subprotocols: what the client offers.
    :param options: as for :func:`make_scope`, but for those of a body.
    """
    scope, _ = make_scope(app, http_url(path), **options)
    return {**as_websocket(scope, subprotocols), **(scope_base or {})}


def as_websocket(scope: Scope, subprotocols: Sequence[str] = ()) -> Scope:
    """Return the scope of the WebSocket whose handshake has ``scope``."""
    handshake = {
        b"connection": b"Upgrade",
        b"upgrade": b"websocket",
        b"sec-websocket-version": b"13",
        b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",  # the one of RFC 6455, 1.3
    }
    if subprotocols:
        handshake[b"sec-websocket-protocol"] = ", ".join(subprotocols).encode()
    headers = [pair for pair in scope["headers"] if pair[0] not in handshake]
    scope = {
        **scope,
        "type": "websocket",
        "scheme": _SCHEMES.get(scope["scheme"], scope["scheme"]),
        "headers": [*headers, *handshake.items()],
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}, **scope["extensions"]},
    }
    del scope["method"]
    return scope


def http_url(url: str) -> str:
    """Return the URL of the handshake of a WebSocket: ``ws://host/ -> http://host/``."""
    return f"http{url[2:]}" if url.startswith(("ws:", "wss:")) else url


def wire_request(
    app: Application,
    path: str = "/",
    *,
    method: str = "GET",
    base_url: str | None = None,
    subdomain: str | None = None,
    url_scheme: str | None = None,
    root_path: str | None = None,
    query_string: Mapping[str, Any] | str | None = None,
    headers: HeadersValue | None = None,
    auth: Authorization | tuple[str, str] | None = None,
    data: Any = None,
    form: Mapping[str, Any] | None = None,
    files: Any = None,
    json: Any = None,
    content_type: str | None = None,
    mimetype: str | None = None,
) -> WireRequest:
    """Turn Flask's arguments for a request into the request.

    :param path: path below the application's root, with or without a query; or an absolute URL.
    :param base_url: scheme, host and root of the application. By default they come from
        ``PREFERRED_URL_SCHEME``, ``SERVER_NAME`` (else ``localhost``) and ``APPLICATION_ROOT``.
    :param subdomain: goes in front of ``SERVER_NAME``; not together with ``base_url``.
    :param url_scheme: instead of ``PREFERRED_URL_SCHEME``; not together with ``base_url``.
    :param root_path: instead of ``APPLICATION_ROOT`` or the path of ``base_url``.
    :param query_string: a string or a mapping (values may be lists); not with a query in ``path``.
    :param auth: user and password for Basic, or Werkzeug's ``Authorization``.
    :param data: bytes, text, a binary file, or form fields (a mapping or a list of pairs). A field
        may be a list; one that is a ``(file, filename[, content_type])`` tuple, a ``FileStorage``
        or an open file is uploaded.
    :param form: form fields, as ``data``.
    :param files: uploads, also in httpx's form ``(filename, content[, content_type])``.
    :param json: serialized with the application's JSON provider.
    :raises TypeError: arguments that exclude each other.
    :raises ValueError: a query both in ``path`` and in ``query_string``.
    """
    if base_url and (subdomain or url_scheme):
        raise TypeError("Pass base_url=, or subdomain= and url_scheme=, but not both")
    if json is not None:
        if data is not None or form is not None or files is not None:
            raise TypeError("Pass json=, or data=, form= and files=, but not both")
        data, content_type = app.json.dumps(json), content_type or "application/json"
    elif form is not None or files is not None or isinstance(data, list):
        data = _merged_fields(data, form, files=files)
    url = urlsplit(path)
    builder = EnvironBuilder(
        f"{url.path or '/'}?{url.query}" if url.query else url.path or "/",
        base_url or default_base_url(app.config, url.scheme, url.netloc, subdomain, url_scheme),
        query_string=query_string,
        method=method.upper(),
        headers=Headers(headers),
        auth=auth,
        data=data,
        content_type=content_type,
        mimetype=mimetype,
    )
    if root_path is not None:
        builder.script_root = iri_to_uri(root_path).rstrip("/")
    return _encode(builder)


def _encode(builder: EnvironBuilder) -> WireRequest:
    try:
        environ = builder.get_environ()  # encodes the body
    finally:
        builder.close()  # closes the files, as Flask's client does
    with environ["wsgi.input"] as stream:
        body: bytes = stream.read()
    headers = builder.headers
    for name, key in (("Content-Type", "CONTENT_TYPE"), ("Content-Length", "CONTENT_LENGTH")):
        if key in environ:
            headers[name] = environ[key]
    return WireRequest(
        method=builder.method,
        scheme=builder.url_scheme,
        host=builder.host,
        root_path=builder.script_root,
        path=f"/{builder.path.removeprefix('/')}",
        query=urlsplit(iri_to_uri(f"/?{builder.query_string}")).query,
        headers=[(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers],
        body=body,
    )


def _merged_fields(*forms: Any, files: Any) -> dict[str, list[Any]]:
    """Return all fields, and the uploads of ``files``, as Werkzeug takes them."""
    fields: dict[str, list[Any]] = {}
    for form in forms:
        for name, value in _pairs(form):
            fields.setdefault(name, []).append(value)
    for name, value in _pairs(files):
        fields.setdefault(name, []).append(_upload(value))
    return fields


def _pairs(fields: Any) -> Iterable[tuple[str, Any]]:
    """Yield name and value of each field. Tuples are values (files), lists hold several."""
    if isinstance(fields, MultiDict):
        yield from fields.items(multi=True)
    elif isinstance(fields, Mapping):
        for name, value in fields.items():
            for item in value if isinstance(value, list) else [value]:
                yield name, item
    else:
        yield from fields or ()


def _upload(value: Any) -> FileStorage:
    """Return a file for ``files=``, which takes httpx's forms as well as Flask's."""
    if isinstance(value, FileStorage):
        return value
    if not isinstance(value, tuple):
        value = Path(str(getattr(value, "name", "upload"))).name, value
    elif not isinstance(value[0], str):
        value = value[1], value[0], *value[2:]
    filename, content, *rest = value
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        content = BytesIO(content)
    return FileStorage(content, filename, content_type=rest[0] if rest else None)
