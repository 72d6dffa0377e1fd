"""What a request and a WebSocket share: the request line, the headers, the peers, the match.

Werkzeug's vocabulary over an ASGI scope, with every attribute made when it is asked for.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import BadRequestKeyError, HTTPException
from werkzeug.http import parse_options_header
from werkzeug.sansio.request import Request as SansIORequest

import asyncflask.json as json
from asyncflask.config import DEFAULT_CONFIG
from asyncflask.lazy import lazy
from asyncflask.messages.environ import environ_of, split_path
from asyncflask.messages.forms import parse_urlencoded

if TYPE_CHECKING:
    from starlette.types import Scope

    from asyncflask.routing import Rule


class Application(Protocol):
    """What a connection needs of its application."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration, complete with its defaults."""

    @property
    def json(self) -> JSONCodec:
        """The JSON provider."""

    @property
    def debug(self) -> bool:
        """Whether clients may be told the details of their errors."""


class JSONCodec(Protocol):
    """What a connection needs of a JSON provider."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return the JSON text of a value."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value of a JSON text; a ``ValueError`` tells what is wrong with it."""


_current_application: Callable[[], Application | None] = lambda: None  # noqa: E731


def set_application_lookup(lookup: Callable[[], Application | None]) -> None:
    """Say where the current application is found; the context does."""
    global _current_application
    _current_application = lookup


class AnyApplication:
    """The application of whichever context is active; without one, Werkzeug's limits hold."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The current application's configuration, or the defaults."""
        app = _current_application()
        return _DEFAULTS if app is None else app.config

    @property
    def json(self) -> JSONCodec:
        """The current application's JSON provider, or the default one."""
        return cast("JSONCodec", json)

    @property
    def debug(self) -> bool:
        """Whether the current application is in debug mode."""
        app = _current_application()
        return app is not None and app.debug


#: Of a request that belongs to no application.
_DEFAULTS = {**DEFAULT_CONFIG, "MAX_CONTENT_LENGTH": None}

#: What a request made by hand without an application has for one.
any_application = AnyApplication()


class RequestHeaders(Headers):
    """Werkzeug's ``Headers`` over the raw ones of an ASGI scope, decoded when asked.

    Names show in title case and are looked up in any; values are Latin-1, as in WSGI. A change is
    seen by whoever asks these headers, and not by the scope.

    :param raw: pairs of bytes, with the names in lower case, as ASGI says.
    """

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    @lazy
    def _list(self) -> list[tuple[str, str]]:
        return [(k.decode("latin-1").title(), v.decode("latin-1")) for k, v in self._raw]

    def _find(self, key: str) -> str | None:
        # PERF: a scan of a dozen pairs costs less than a dictionary of them, and decodes one.
        name = key.lower().encode("latin-1", "replace")
        for k, value in self._raw:
            if k == name:
                return value.decode("latin-1")
        return None

    def _get_key(self, key: str) -> str:
        value = self._find(key)
        if value is None:
            raise BadRequestKeyError(key)
        return value

    def __contains__(self, key: str) -> bool:
        return self._find(key) is not None

    def __len__(self) -> int:
        return len(self._raw)

    def copy(self) -> Headers:  # type: ignore[override]  # the scope's bytes are not its own
        """Return a copy, with the names as they show."""
        return Headers(self._list)

    if not TYPE_CHECKING:  # pragma: no branch - the overloads are those of `Headers`

        def get(self, key, default=None, type=None):
            """Return a header's first value, or ``default``: absent, or refused by ``type``."""
            value = self._find(key)
            if value is None:
                return default
            if type is None:
                return value
            try:
                return type(value)
            except ValueError:
                return default

        def getlist(self, key, type=None):
            """Return all values of a header; those that ``type`` refuses are left out."""
            if type is not None:
                return super().getlist(key, type)
            name = key.lower().encode("latin-1", "replace")
            return [value.decode("latin-1") for k, value in self._raw if k == name]

        def __getitem__(self, key):
            if isinstance(key, slice):
                return Headers(self._list[key])
            return super().__getitem__(key)


def _changing(name: str) -> Callable[..., Any]:
    """Return a method of ``Headers`` that changes the raw headers, too."""
    method = getattr(Headers, name)

    @functools.wraps(method)
    def change(self: RequestHeaders, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        self._raw = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in self._list]
        return result

    return change


for _name in ("__delitem__", "__setitem__", "_del_key", "add", "clear", "pop", "set"):
    setattr(RequestHeaders, _name, _changing(_name))  # the others call these


class Connection(SansIORequest):
    """What a client has asked for, whether a response or a WebSocket.

    Every attribute is computed when it is first asked for. Those for headers (``authorization``,
    ``accept_mimetypes``, ``if_none_match``, ``range``, ``user_agent``, ``cache_control``, ...) are
    Werkzeug's.
    """

    #: The ASGI scope. Its ``route`` and ``path_params`` say what was matched.
    scope: Scope
    #: The application, for its configuration and its JSON provider.
    app: Application
    #: The event loop that serves the connection; None for one made by hand.
    loop: asyncio.AbstractEventLoop | None

    _headers_asked_for = False
    _known_content: tuple[str, dict[str, str], int | None] | None = None

    #: Why no rule was matched: the 404 or 405 that answers unless a hook does.
    routing_exception: HTTPException | None = None

    # --- The request line

    @lazy
    def method(self) -> str:
        """The method, in upper case."""
        method: str = self.scope.get("method", "GET")
        return method.upper()

    @lazy
    def scheme(self) -> str:
        """The scheme of the URL, such as ``https`` or ``ws``."""
        return str(self.scope.get("scheme", "http"))

    @lazy
    def http_version(self) -> str:
        """The version of HTTP, such as ``1.1`` or ``2``."""
        return str(self.scope.get("http_version", "1.1"))

    @lazy
    def root_path(self) -> str:
        """The prefix that the application is mounted under, without a slash at the end."""
        return split_path(self.scope)[0]

    @lazy
    def path(self) -> str:
        """The path within the application: what comes after :attr:`root_path`."""
        return split_path(self.scope)[1]

    @lazy
    def query_string(self) -> bytes:
        """What follows the ``?``, as it was sent."""
        query_string: bytes = self.scope.get("query_string", b"")
        return query_string

    @property
    def _query_text(self) -> str:
        # A byte that is not UTF-8 comes out as its escape, like an escaped one.
        return self.query_string.decode(errors="werkzeug.url_quote")

    @lazy
    def args(self) -> MultiDict[str, str]:
        """The parameters of the query string; escapes that are not UTF-8 stay as they are."""
        return self.parameter_storage_class(parse_urlencoded(self._query_text))

    @lazy
    def full_path(self) -> str:
        """The path with the query string; it has a ``?`` even without one, as in Flask."""
        return f"{self.path}?{self._query_text}"

    @property
    def script_root(self) -> str:
        """Another name for :attr:`root_path`."""
        return self.root_path

    @property
    def url_root(self) -> str:
        """Another name for :attr:`root_url`."""
        return self.root_url

    # --- The headers and the peers

    @property
    def _content(self) -> tuple[str, dict[str, str], int | None]:
        """What the headers say of the body: media type in lower case, its parameters, length.

        PERF: all at once, for who reads a body asks for all (scenarios: JSON echo, form).
        """
        content = self._known_content
        if content is None:
            content = self._known_content = self._read_content()
        return content

    def _read_content(self) -> tuple[str, dict[str, str], int | None]:
        if self._headers_asked_for:  # they may have been changed
            kind = self.headers.get("content-type", "").encode("latin-1", "replace")
            return *_parse_content_type(kind), self.content_length
        headers: dict[bytes, bytes] = {}
        for name, value in self.scope["headers"]:
            # PERF: half the cost of a dictionary of them all (scenario: JSON echo).
            if name in _OF_THE_BODY and name not in headers:  # the first of each counts
                headers[name] = value
        kind = headers.get(b"content-type", b"")
        # Clients send few different ones; a long one has a boundary of its own.
        parse = _known_content_type if len(kind) < 100 else _parse_content_type
        mimetype, parameters = parse(kind)
        length = headers.get(b"content-length")
        if length is None:
            return mimetype, parameters, None
        # Digits are all that a server lets through; what else there may be is Werkzeug's.
        plain = length.isdigit() and b"transfer-encoding" not in headers
        return mimetype, parameters, int(length) if plain else self.content_length

    @property
    def mimetype(self) -> str:
        """The content type without its parameters, in lower case; empty without one."""
        return self._content[0]

    @lazy
    def mimetype_params(self) -> dict[str, str]:
        """The parameters of the content type."""
        return dict(self._content[1])

    @property
    def is_json(self) -> bool:
        """Whether the content type is JSON's: ``application/json`` or ``application/*+json``."""
        mimetype = self.mimetype
        return mimetype == "application/json" or (
            mimetype.startswith("application/") and mimetype.endswith("+json")
        )

    @lazy
    def headers(self) -> Headers:
        """The headers. Changes are for this application; the scope has those that came."""
        self._headers_asked_for = True
        raw = self.scope["headers"]
        return RequestHeaders(raw if type(raw) is list else list(raw))

    def _cookie(self, name: str) -> str | None:
        """The first value of a cookie, as ``cookies.get(name)`` has it.

        PERF: the others are not parsed (scenario: session).
        """
        replaced = type(self).cookies is not Connection.cookies or "cookies" in self.__dict__
        if replaced or self._headers_asked_for:
            return self.cookies.get(name)
        find = _cookie_finder(name)
        for header, value in self.scope["headers"]:
            if header == b"cookie":
                if b'"' in value:  # in quotes, anything else may stand
                    return self.cookies.get(name)
                found = find(value)
                if found is not None:
                    return (found[1] or b"").decode("latin-1")
        return None

    @lazy
    def trusted_hosts(self) -> list[str] | None:
        """The hosts this request may be for; any when None. By default ``TRUSTED_HOSTS``.

        :attr:`host` and the URLs raise ``SecurityError`` (400) for another one.
        """
        hosts: list[str] | None = self.app.config["TRUSTED_HOSTS"]
        return hosts

    @lazy
    def server(self) -> tuple[str, int | None] | None:
        """The server's host and port; its path and None on a Unix socket."""
        server = self.scope.get("server")
        return None if server is None else (server[0], server[1])

    @lazy
    def remote_addr(self) -> str | None:
        """The client's address, where the server knows it."""
        client = self.scope.get("client")
        return client[0] if client else None

    @lazy
    def environ(self) -> dict[str, Any]:
        """The request as a WSGI environment (PEP 3333), for code that reads one.

        Under a WSGI server it is that server's, with what middleware has put into it.
        """
        environ: dict[str, Any] = self.scope.get("wsgi.environ") or environ_of(self.scope)
        environ["werkzeug.request"] = self
        return environ

    def _load_json(self, data: str | bytes) -> Any:
        try:
            return self.app.json.loads(data)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    # --- What was matched

    @property
    def url_rule(self) -> Rule | None:
        """The rule that was matched, or None."""
        return getattr(self.scope.get("route"), "rule", None)

    @property
    def endpoint(self) -> str | None:
        """The endpoint of the rule that was matched, or None."""
        rule = self.url_rule
        return None if rule is None else rule.endpoint

    @property
    def view_args(self) -> dict[str, Any] | None:
        """The arguments of the view from the path, or None when no rule was matched."""
        return None if self.url_rule is None else self.scope.get("path_params")

    @view_args.setter
    def view_args(self, value: dict[str, Any]) -> None:
        self.scope["path_params"] = value

    @property
    def blueprint(self) -> str | None:
        """The name of the blueprint that the endpoint belongs to, or None."""
        return (self.endpoint or "").rpartition(".")[0] or None

    @property
    def blueprints(self) -> list[str]:
        """The name of the blueprint and those it is nested in, the innermost first."""
        return list(blueprint_names(self.endpoint))


#: The headers that say what the body is.
_OF_THE_BODY = frozenset({b"content-type", b"content-length", b"transfer-encoding"})


def _parse_content_type(value: bytes) -> tuple[str, dict[str, str]]:
    mimetype, parameters = parse_options_header(value.decode("latin-1"))
    return mimetype.lower(), parameters


_known_content_type = functools.lru_cache(maxsize=128)(_parse_content_type)


@functools.lru_cache(maxsize=32)
def _cookie_finder(name: str) -> Callable[[bytes], re.Match[bytes] | None]:
    """Return what finds a cookie in a header without quotes, by Werkzeug's pattern."""
    key = re.escape(name.encode("latin-1", "replace"))
    pattern = rb"(?:\A|;)[ \t]*%b(?:[ \t]*=[ \t]*([^ \t;]*))?[ \t]*(?:;|\Z)" % key
    return re.compile(pattern).search


@functools.lru_cache(maxsize=1024)
def blueprint_names(endpoint: str | None) -> tuple[str, ...]:
    """Return the blueprints of an endpoint, innermost first: ``"a.b.c" -> ("a.b", "a")``."""
    names = []
    while endpoint and "." in endpoint:
        endpoint = endpoint.rpartition(".")[0]
        names.append(endpoint)
    return tuple(names)
