"""Middleware made for Starlette, around an application and around a blueprint."""

from __future__ import annotations

import base64
import contextvars
import gzip
from collections.abc import Callable
from typing import Any

import brotli
import httpx
import pytest
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from brotli_asgi import BrotliMiddleware
from secure import Secure
from secure.middleware import SecureASGIMiddleware
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette_context import context as starlette_context
from starlette_context.middleware import RawContextMiddleware
from starlette_context.plugins import RequestIdPlugin
from websockets.sync.client import connect

from asyncflask import Blueprint, Flask, current_app, g, request, session, websocket
from tests.ecosystem.serving import serving

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")


def answer() -> Any:
    """What each view says: the context is right, and so are variables of the middleware."""
    assert request.endpoint is not None
    assert g.before == request.path
    return {
        "app": current_app.name,
        "text": "long " * 200,
        "tenant": tenant.get(),
        "correlation": correlation_id.get(),
    }


def views(registrar: Flask | Blueprint) -> None:
    """Views of both kinds, a stream, an error and a WebSocket."""

    @registrar.before_request
    def before() -> None:
        g.before = request.path

    @registrar.teardown_request
    def teardown(exc: BaseException | None) -> None:
        assert g.before == request.path

    registrar.add_url_rule("/def", "def_view", answer)

    @registrar.get("/async")
    async def async_view() -> Any:
        return answer()

    @registrar.get("/stream")
    async def stream() -> Any:
        async def rows() -> Any:
            for _ in range(200):
                yield f"{answer()['app']} "

        return rows()

    @registrar.post("/length")
    def length() -> Any:
        return str(len(request.get_data()))

    @registrar.get("/fail")
    async def fail() -> str:
        raise LookupError("broken")

    @registrar.websocket("/echo")
    async def echo() -> None:
        await websocket.send(f"{current_app.name} {await websocket.receive()}")


Make = Callable[..., Flask]


def around_the_application(*middleware: Middleware) -> Flask:
    app = Flask("shop", static_folder=None)
    for each in reversed(middleware):
        app.add_middleware(each.cls, *each.args, **each.kwargs)
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    views(inner)
    app.register_blueprint(inner)
    return app


def around_a_blueprint(*middleware: Middleware) -> Flask:
    app = Flask("shop", static_folder=None)
    inner = Blueprint("inner", __name__, url_prefix="/inner", middleware=middleware)
    views(inner)
    app.register_blueprint(inner)
    return app


both = pytest.mark.parametrize("make", [around_the_application, around_a_blueprint])
starlettes = pytest.mark.neighbour("Starlette's own", kind="middleware", package="starlette")
VIEWS = ["/inner/def", "/inner/async", "/inner/stream"]


@both
@starlettes
def test_cors(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Preflights are answered, and every response, also a 500, has its headers."""
    app = make(Middleware(CORSMiddleware, allow_origins=["https://a.test"], allow_methods=["PUT"]))
    origin = {"Origin": "https://a.test"}
    with serving(app) as url:
        preflight = {**origin, "Access-Control-Request-Method": "PUT"}
        response = httpx.options(f"{url}/inner/def", headers=preflight)
        assert response.headers["Access-Control-Allow-Methods"] == "PUT"
        for path in [*VIEWS, "/inner/fail"]:
            response = httpx.get(url + path, headers=origin)
            assert response.headers["Access-Control-Allow-Origin"] == "https://a.test"
            assert response.status_code == (500 if path == "/inner/fail" else 200)
        refused = httpx.options(
            f"{url}/inner/def", headers={**preflight, "Origin": "https://b.test"}
        )
        assert refused.status_code == 400


@both
@starlettes
def test_gzip(make: Make) -> None:
    """Complete bodies and streams are compressed for clients that take it."""
    with serving(make(Middleware(GZipMiddleware, minimum_size=100))) as url:
        for path in VIEWS:
            headers = {"Accept-Encoding": "gzip"}
            with httpx.stream("GET", url + path, headers=headers) as response:
                assert response.headers["Content-Encoding"] == "gzip"
                assert b"shop" in gzip.decompress(b"".join(response.iter_raw()))
            plain = httpx.get(url + path, headers={"Accept-Encoding": "identity"})
            assert "Content-Encoding" not in plain.headers


@both
@starlettes
def test_trusted_host(make: Make) -> None:
    """Requests for other hosts are refused."""
    with serving(make(Middleware(TrustedHostMiddleware, allowed_hosts=["shop.test"]))) as url:
        assert httpx.get(f"{url}/inner/def", headers={"Host": "shop.test"}).status_code == 200
        assert httpx.get(f"{url}/inner/def").status_code == 400


@both
@starlettes
def test_https_redirect(make: Make) -> None:
    """The path and the query are kept."""
    with serving(make(Middleware(HTTPSRedirectMiddleware))) as url:
        response = httpx.get(f"{url}/inner/def?a=b", headers={"Host": "shop.test"})
        assert response.status_code == 307
        assert response.headers["Location"] == "https://shop.test/inner/def?a=b"


@both
@starlettes
def test_sessions(make: Make) -> None:
    """Starlette's session is in the scope, ours beside it, each in a cookie of its own."""
    app = make(Middleware(SessionMiddleware, secret_key="theirs", session_cookie="theirs"))
    app.secret_key = "ours"

    @app.endpoint("inner.both")
    def count_both() -> Any:
        theirs = request.scope["session"]
        theirs["count"] = theirs.get("count", 0) + 1
        session["count"] = session.get("count", 10) + 1
        return [theirs["count"], session["count"]]

    app.add_url_rule("/inner/both", "inner.both")
    with serving(app) as url, httpx.Client(base_url=url) as client:
        assert [client.get("/inner/both").json() for _ in range(2)] == [[1, 11], [2, 12]]
        assert sorted(client.cookies) == ["session", "theirs"]


@both
@starlettes
def test_authentication(make: Make) -> None:
    """The user is in the scope."""

    class Basic(AuthenticationBackend):
        async def authenticate(self, conn: Any) -> Any:
            if "Authorization" not in conn.headers:
                return None
            _, _, credentials = conn.headers["Authorization"].partition(" ")
            name, _, _ = base64.b64decode(credentials).decode().partition(":")
            return AuthCredentials(["signed in"]), SimpleUser(name)

    app = make(Middleware(AuthenticationMiddleware, backend=Basic()))

    @app.endpoint("inner.who")
    async def who() -> Any:
        return [request.scope["user"].display_name, request.scope["auth"].scopes]

    app.add_url_rule("/inner/who", "inner.who")
    with serving(app) as url:
        assert httpx.get(f"{url}/inner/who").json() == ["", []]
        assert httpx.get(f"{url}/inner/who", auth=("ada", "x")).json() == ["ada", ["signed in"]]


class Timing(BaseHTTPMiddleware):
    """Middleware as many write it: it sees the request, and changes the response."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        tenant.set(request.headers.get("X-Tenant", "nobody"))
        if request.headers.get("X-Refuse"):
            return Response("refused", 403)
        body = await request.body()
        response = await call_next(request)
        response.headers["X-Seen"] = f"{len(body)} {request.state.of}"
        return response


class Stateful:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["of"] = scope["path"]
        await self.app(scope, receive, send)


@both
@starlettes
def test_base_http_middleware(make: Make) -> None:
    """It may read the body, set variables, answer instead; WebSockets pass it by."""
    with serving(make(Middleware(Stateful), Middleware(Timing), Middleware(Timing))) as url:
        for path in VIEWS:
            response = httpx.get(url + path, headers={"X-Tenant": "acme"})
            assert response.headers["X-Seen"] == f"0 {path}"
            if path != "/inner/stream":
                assert response.json()["tenant"] == "acme"
        response = httpx.post(f"{url}/inner/length", content=b"x" * 100_000)
        assert (response.text, response.headers["X-Seen"]) == ("100000", "100000 /inner/length")
        response = httpx.get(f"{url}/inner/def", headers={"X-Refuse": "yes"})
        assert (response.status_code, response.text) == (403, "refused")
        assert httpx.get(f"{url}/inner/fail").status_code == 500
        with connect(f"{url}/inner/echo".replace("http", "ws")) as socket:
            socket.send("hello")
            assert socket.recv(10) == "shop hello"


# Third parties'.


@both
@pytest.mark.neighbour("asgi-correlation-id", kind="middleware")
def test_correlation_ids(make: Make) -> None:
    """The id of the request is there in views of both kinds and in streams, and sent back."""
    with serving(make(Middleware(CorrelationIdMiddleware))) as url:
        for path in ("/inner/def", "/inner/async"):
            wanted = "5" * 32
            response = httpx.get(url + path, headers={"X-Request-ID": wanted})
            assert response.headers["X-Request-ID"] == response.json()["correlation"] == wanted
        assert len(httpx.get(f"{url}/inner/stream").headers["X-Request-ID"]) == 32


@both
@pytest.mark.neighbour("secure", kind="middleware")
def test_secure_headers(make: Make) -> None:
    """Every response has them, also one that is an error."""
    with serving(
        make(Middleware(SecureASGIMiddleware, secure=Secure.with_default_headers()))
    ) as url:
        for path in [*VIEWS, "/inner/fail"]:
            headers = httpx.get(url + path).headers
            assert headers["Strict-Transport-Security"].startswith("max-age=")
            assert headers["X-Frame-Options"] == "SAMEORIGIN"


@both
@pytest.mark.neighbour("brotli-asgi", kind="middleware")
def test_brotli(make: Make) -> None:
    """Complete bodies and streams are compressed."""
    with serving(make(Middleware(BrotliMiddleware, minimum_size=100))) as url:
        for path in VIEWS:
            with httpx.stream("GET", url + path, headers={"Accept-Encoding": "br"}) as response:
                assert response.headers["Content-Encoding"] == "br"
                assert b"shop" in brotli.decompress(b"".join(response.iter_raw()))


@both
@pytest.mark.neighbour("starlette-context", kind="middleware")
def test_starlette_context(make: Make) -> None:
    """Its own request context is there beside ours, in views of both kinds."""
    app = make(Middleware(RawContextMiddleware, plugins=(RequestIdPlugin(),)))

    def view() -> Any:
        starlette_context["seen"] = request.path
        return {**starlette_context.data}

    async def async_view() -> Any:
        return view()

    app.add_url_rule("/inner/1", "inner.def", view)
    app.add_url_rule("/inner/2", "inner.async", async_view)
    with serving(app) as url:
        for path in ("/inner/1", "/inner/2"):
            wanted = "3f2504e04f8941d39a0c0305e82c3301"
            response = httpx.get(url + path, headers={"X-Request-ID": wanted})
            assert response.json() == {"X-Request-ID": wanted, "seen": path}
