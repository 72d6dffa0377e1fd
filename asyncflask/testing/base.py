"""What the asynchronous and the synchronous test client share: Flask's arguments, and cookies."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import Cookie as JarCookie
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TextIO, TypedDict, Unpack, cast
from urllib.parse import unquote, urlsplit

from werkzeug.datastructures import Authorization
from werkzeug.http import dump_cookie, parse_cookie

from asyncflask.testing._httpx import httpx
from asyncflask.testing.kept import KeptContext
from asyncflask.testing.scope import http_url, merge_environ, take_quarts, wire_request
from asyncflask.testing.transport import ASGITransport

if TYPE_CHECKING:
    from httpx._client import BaseClient

    from asyncflask.ctx import RequestContext
    from asyncflask.testing.scope import Application
    from asyncflask.testing.websocket import WebsocketExchange
else:
    BaseClient = object


#: What Flask's client calls itself.
_USER_AGENT = f"Werkzeug/{version('werkzeug')}"

#: Where the jar notes that a cookie is ``Secure``.
_SECURE = "asyncflask.secure"

_KNOWN = frozenset(inspect.signature(wire_request).parameters)


class FlaskOptions(TypedDict, total=False):
    """Flask's arguments for a request; :func:`~asyncflask.testing.scope.wire_request` has them."""

    base_url: str | None
    subdomain: str | None
    url_scheme: str | None
    root_path: str | None
    query_string: Mapping[str, Any] | str | None
    data: Any
    form: Mapping[str, Any] | None
    files: Any
    json: Any
    content_type: str | None
    mimetype: str | None
    environ_base: Mapping[str, Any] | None
    environ_overrides: Mapping[str, Any] | None
    errors_stream: TextIO | None
    scheme: str
    http_version: str


class RequestOptions(FlaskOptions, total=False):
    """What describes a request: Flask's arguments and httpx's."""

    content: Any
    params: Any
    headers: Any
    cookies: Any
    timeout: Any
    extensions: Mapping[str, Any] | None
    scope_base: Mapping[str, Any] | None


class SendOptions(RequestOptions, total=False):
    """What describes a request and how it is sent."""

    auth: Any
    follow_redirects: Any


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie that a test client keeps."""

    key: str
    value: str
    domain: str
    path: str
    expires: datetime | None
    secure: bool
    http_only: bool
    same_site: str | None
    origin_only: bool

    @property
    def decoded_value(self) -> str:
        """The value as the application sees it."""
        return parse_cookie(f"{self.key}={self.value}")[self.key]


class ClientBase(BaseClient):
    """Builds httpx requests from Flask's arguments, and handles cookies in Flask's form."""

    def __init__(
        self,
        application: Application,
        use_cookies: bool = True,
        *,
        raise_app_exceptions: bool = True,
        scope_base: Mapping[str, Any] | None = None,
        disconnect_grace: float = 5.0,
        **options: Any,
    ) -> None:
        self.application = application
        #: What all requests have, in WSGI's terms; Flask's: ``REMOTE_ADDR``, ``HTTP_USER_AGENT``.
        self.environ_base: dict[str, Any] = {}
        self.use_cookies = use_cookies
        cookies = options.pop("cookies", None)
        options["cookies"] = _Jar(None if use_cookies else DefaultCookiePolicy(allowed_domains=[]))
        self._asgi = ASGITransport(
            application,
            raise_app_exceptions=raise_app_exceptions,
            scope_base=scope_base,
            disconnect_grace=disconnect_grace,
        )
        self._kept = KeptContext(application, self._asgi.scope_base)
        options["transport"] = self._make_transport(self._asgi)
        own = httpx.Headers(options.get("headers"))
        super().__init__(**options)
        # Only what the test says decides what a view sees: httpx would accept everything.
        for name in ("Accept", "Accept-Encoding", "Connection"):
            if name not in own:
                del self.headers[name]
        if "User-Agent" not in own:
            self.headers["User-Agent"] = _USER_AGENT
        self.cookies.update(cookies)

    def _make_transport(self, asgi: ASGITransport) -> object:
        return asgi

    @property
    def app(self) -> Application:
        """The application under test; Quart's name for ``application``."""
        return self.application

    @property
    def cookie_jar(self) -> CookieJar | None:
        """The cookies, in the standard library's jar; None with ``use_cookies=False``."""
        return self.cookies.jar if self.use_cookies else None

    def build_request(
        self,
        method: str,
        url: httpx.URL | str = "/",
        *,
        content: Any = None,
        params: Any = None,
        headers: Any = None,
        cookies: Any = None,
        timeout: Any = httpx.USE_CLIENT_DEFAULT,
        extensions: Mapping[str, Any] | None = None,
        scope_base: Mapping[str, Any] | None = None,
        **flask: Unpack[FlaskOptions],
    ) -> httpx.Request:
        """Return an httpx request, described with Flask's arguments, httpx's or both.

        :param url: path below the application's root, with or without a query; or an absolute URL.
        :param content: the body as httpx takes it: also an iterable, or async iterable, of bytes.
        :param params: query arguments that are added to the URL's.
        :param scope_base: laid over the request's ASGI scope.
        :param flask: as for :func:`~asyncflask.testing.scope.wire_request`. ``data`` may also be
            what ``content`` may be. ``environ_base``, ``environ_overrides``, ``errors_stream``,
            ``scheme`` and ``http_version`` are as for :func:`~asyncflask.testing.scope.make_scope`.
        """
        if _is_streamed(flask.get("data")):
            content = flask.pop("data")
        extra = take_quarts(cast(Any, flask))
        url = str(url)
        if not (urlsplit(url).netloc or flask.keys() & {"base_url", "subdomain", "url_scheme"}):
            flask["base_url"] = str(self.base_url) or None
        own, described = merge_environ(
            _to_pairs(headers),
            {**self.environ_base, **(flask.pop("environ_base", None) or {})},
            flask.pop("environ_overrides", None),
            flask.pop("errors_stream", None),
        )
        if unknown := flask.keys() - _KNOWN:
            raise TypeError(
                f"A request of the test client takes no argument {min(unknown)!r}. It takes "
                "Flask's and httpx's."
            )
        wire = wire_request(self.application, url, method=method, headers=own, **cast(Any, flask))
        if wire.body and content is not None:
            raise TypeError("Pass content=, or Flask's data=, form=, files= or json=, but not both")
        sent = wire.headers
        if content is not None:
            # That is the length of no body, and httpx knows that of what it sends.
            sent = [pair for pair in sent if pair[0].lower() != b"content-length"]
        scope = {**described, **extra, **(scope_base or {})}
        if wire.root_path:
            scope.setdefault("root_path", unquote(wire.root_path))
        return super().build_request(
            wire.method,
            wire.url,
            content=wire.body or None if content is None else content,
            params=params,
            headers=sent,
            cookies=cookies,
            timeout=timeout,
            extensions={"scope": scope, **(extensions or {})},
        )

    def _make_websocket(
        self, url: str, scheme: str, subprotocols: Sequence[str], options: dict[str, Any]
    ) -> WebsocketExchange:
        if scheme == "wss":
            options["url_scheme"] = "https"
        request = self.build_request("GET", http_url(url), **options)
        return self._asgi.make_websocket(request, subprotocols)

    def _keep_cookies(self, exchange: WebsocketExchange) -> None:
        self.cookies.extract_cookies(
            httpx.Response(101, headers=exchange.headers, request=exchange.request)
        )

    def set_cookie(
        self,
        key: str,
        value: str = "",
        *,
        domain: str | None = None,
        origin_only: bool = True,
        path: str = "/",
        **options: Any,
    ) -> None:
        """Set a cookie that the next requests send.

        :param domain: the host that gets it; the application's own by default.
        :param origin_only: set it without a ``Domain`` attribute. The standard library's cookie
            jar, which httpx uses, sends such a cookie to the hosts below ``domain`` too.
        :param path: only paths at or below it get the cookie.
        :param options: ``max_age``, ``expires``, ``secure``, ``httponly``, ``samesite`` as for
            ``Response.set_cookie``.
        :raises RuntimeError: the client was made with ``use_cookies=False``.
        """
        jar_domain = self._jar_domain(domain)
        if not origin_only:
            options["domain"] = jar_domain
        header = dump_cookie(key, value, path=path, **options)
        self.cookies.extract_cookies(
            httpx.Response(
                200,
                headers=[("set-cookie", header)],
                request=httpx.Request("GET", f"https://{jar_domain}{path}"),
            )
        )

    def get_cookie(self, key: str, domain: str | None = None, path: str = "/") -> Cookie | None:
        """Return a cookie, or None when the client has none for this key, domain and path.

        :param domain: the host it was set for; the application's own by default.
        :raises RuntimeError: the client was made with ``use_cookies=False``.
        """
        for cookie in self._find_cookies(key, domain, path):
            return _describe(cookie)
        return None

    def delete_cookie(self, key: str, *, domain: str | None = None, path: str = "/") -> None:
        """Delete a cookie if the client has it.

        :param domain: the host it was set for; the application's own by default.
        :raises RuntimeError: the client was made with ``use_cookies=False``.
        """
        for cookie in self._find_cookies(key, domain, path):
            self.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)

    def _find_cookies(self, key: str, domain: str | None, path: str) -> list[JarCookie]:
        jar_domain = self._jar_domain(domain)
        return [
            cookie
            for cookie in self.cookies.jar
            if cookie.name == key
            and cookie.path == path
            and cookie.domain.removeprefix(".") == jar_domain
        ]

    def _jar_domain(self, domain: str | None) -> str:
        """Return what the standard library's cookie jar calls a host."""
        if not self.use_cookies:
            raise RuntimeError(
                "This client keeps no cookies. Make it with app.test_client(use_cookies=True)."
            )
        host = (domain or self.build_request("GET").url.host).removeprefix(".")
        return host if "." in host else f"{host}.local"

    def _keep_session(self, headers: Iterable[tuple[str, str]], request: httpx.Request) -> None:
        """Keep the cookies that the headers of an answer to ``request`` set."""
        cookies = [(name, value) for name, value in headers if name.lower() == "set-cookie"]
        self.cookies.extract_cookies(httpx.Response(200, headers=cookies, request=request))

    # The session.

    def _session_request(self, method: str, path: str, options: Any) -> httpx.Request:
        if not self.use_cookies:
            raise TypeError(
                "Cookies are disabled. A session needs them: make the client with "
                "app.test_client(use_cookies=True)."
            )
        return self.build_request(method, path, **options)

    def _context_for(self, request: httpx.Request) -> RequestContext:
        scope = self._asgi.make_scope(request)
        return cast("RequestContext", cast(Any, self.application).request_context(scope))


def check_opened(session: Any) -> Any:
    """Return a session that was opened.

    :raises RuntimeError: there is none.
    """
    if session is None:
        raise RuntimeError(
            "Session backend did not open a session. The session in a cookie needs a key: set "
            "'app.secret_key'."
        )
    return session


class _Jar(CookieJar):
    """Sends cookies that are ``Secure`` over http too, as Werkzeug's test client does.

    Tests ask at ``http://localhost`` with the configuration that is for https.
    """

    def set_cookie(self, cookie: JarCookie) -> None:
        if cookie.secure:
            cookie.set_nonstandard_attr(_SECURE, "")
            cookie.secure = False
        super().set_cookie(cookie)


def to_httpx_auth(auth: Any) -> Any:
    """Let httpx take Werkzeug's ``Authorization`` besides its own kinds of ``auth``."""
    if not isinstance(auth, Authorization):
        return auth

    def authorize(request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = auth.to_header()
        return request

    return authorize


def _describe(cookie: JarCookie) -> Cookie:
    expires = cookie.expires
    return Cookie(
        key=cookie.name,
        value=cookie.value or "",
        domain=cookie.domain.removeprefix(".").removesuffix(".local"),
        path=cookie.path,
        expires=None if expires is None else datetime.fromtimestamp(expires, UTC),
        secure=cookie.has_nonstandard_attr(_SECURE),
        http_only=cookie.has_nonstandard_attr("HttpOnly"),
        same_site=cookie.get_nonstandard_attr("SameSite"),
        origin_only=not cookie.domain_specified,
    )


def _is_streamed(data: Any) -> bool:
    if isinstance(data, (str, bytes, Mapping, list)) or hasattr(data, "read"):
        return False
    return isinstance(data, (Iterable, AsyncIterable))


def _to_pairs(headers: Any) -> Any:
    """Give Werkzeug all of httpx's headers, of which a mapping's view would join some."""
    return headers.multi_items() if isinstance(headers, httpx.Headers) else headers
