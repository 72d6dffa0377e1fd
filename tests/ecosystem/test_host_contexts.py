"""What a host has around a mounted application stays its own: middleware, contexts, errors."""

from __future__ import annotations

import contextvars
from typing import Any

import fastapi
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from asyncflask import Flask, abort, current_app, g, has_app_context, request, session, url_for
from tests.ecosystem.serving import serving

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")


@pytest.mark.neighbour("Starlette", kind="host")
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_middleware_of_the_host_stands_around_it(kind: str) -> None:
    """It sees the host's scope before and after, and its variables reach the view."""
    record: list[Any] = []
    app = Flask("shop", static_folder=None)

    def view() -> str:
        g.user = "ours"
        return f"{tenant.get()} {current_app.name}"

    async def async_view() -> str:
        return view()

    app.add_url_rule("/", "index", view if kind == "def" else async_view)

    class Around:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await self.app(scope, receive, send)
                return
            before = (scope["path"], scope["root_path"])
            token = tenant.set("acme")
            try:
                await self.app(scope, receive, send)
            finally:
                tenant.reset(token)
                record.append((before, has_app_context(), tenant.get()))

    host = Starlette(middleware=[Middleware(Around)])
    host.mount("/shop", app)
    with serving(host) as url:
        assert httpx.get(f"{url}/shop/").text == "acme shop"
    assert record == [(("/shop/", ""), False, "none")]


@pytest.mark.neighbour("FastAPI", kind="host")
@pytest.mark.neighbour("Starlette", kind="host")
def test_the_session_of_the_host_is_another() -> None:
    """Starlette's ``request.session`` and ours, each in its cookie."""
    app = Flask("shop", static_folder=None)
    app.config.update(SECRET_KEY="ours", SESSION_COOKIE_NAME="shop")

    @app.get("/")
    async def index() -> Any:
        session["count"] = session.get("count", 0) + 1
        return {"ours": session["count"], "theirs": request.scope["session"].get("count")}

    host = fastapi.FastAPI(
        middleware=[Middleware(SessionMiddleware, secret_key="theirs", session_cookie="host")]
    )

    @host.get("/own")
    def own(request: fastapi.Request) -> Any:
        request.session["count"] = request.session.get("count", 10) + 1
        return request.session["count"]

    host.mount("/shop", app)
    with serving(host) as url, httpx.Client(base_url=url) as client:
        assert client.get("/own").json() == 11
        assert client.get("/shop/").json() == {"ours": 1, "theirs": 11}
        assert client.get("/own").json() == 12
        assert client.get("/shop/").json() == {"ours": 2, "theirs": 12}
        assert sorted(client.cookies) == ["host", "shop"]


@pytest.mark.neighbour("asyncflask", kind="host")
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_hosts_of_the_same_kind_keep_their_context(kind: str) -> None:
    """All is of the inner application within, and of the outer in the outer's error handler."""
    inner, outer = Flask("inner", static_folder=None), Flask("outer", static_folder=None)
    torn_down: list[str] = []

    @inner.before_request
    async def mark() -> None:
        assert not hasattr(g, "mark")
        g.mark = "inner"

    def index() -> Any:
        return [current_app.name, request.root_path, request.path, url_for("index"), g.mark]

    async def async_index() -> Any:
        return index()

    inner.add_url_rule("/", "index", index if kind == "def" else async_index)
    inner.teardown_request(lambda exc: torn_down.append(current_app.name))

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        async def receive_nothing() -> Any:
            raise AssertionError("it is not to be read")

        async def drop(message: Any) -> None: ...

        if scope["type"] == "http":
            scope["path"] = "/"
            scope["root_path"] += "/deeper"
            await inner({**scope, "path": scope["root_path"] + "/"}, receive_nothing, drop)
            raise LookupError("broken")

    @outer.get("/home")
    async def home() -> str:
        return "home"

    @outer.errorhandler(LookupError)
    async def failed(error: Exception) -> Any:
        return [
            current_app.name,
            request.root_path,
            request.path,
            url_for("home"),
            hasattr(g, "mark"),
        ]

    outer.mount("/inner", inner)
    outer.mount("/broken", broken)
    with serving(outer) as url:
        assert httpx.get(f"{url}/inner/").json() == ["inner", "/inner", "/", "/inner/", "inner"]
        expected = ["outer", "", "/broken/x", "/home", False]
        assert httpx.get(f"{url}/broken/x").json() == expected
    assert torn_down == ["inner", "inner"]


@pytest.mark.neighbour("Starlette", kind="host")
@pytest.mark.parametrize("setting", ["TESTING", "PROPAGATE_EXCEPTIONS"])
def test_errors_reach_the_host_where_that_is_asked_for(setting: str) -> None:
    """The host's handlers, and reporters around it, see the exception; the client a 500."""
    seen: list[str] = []
    app = Flask("shop", static_folder=None)
    app.config[setting] = True

    @app.get("/fail")
    async def fail() -> str:
        raise LookupError("broken")

    @app.get("/refuse")
    async def refuse() -> str:
        abort(403)

    class Report(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            try:
                return await call_next(request)
            except LookupError as exc:
                seen.append(str(exc))
                raise

    host = Starlette(
        routes=[Route("/own", lambda request: JSONResponse("own"))], middleware=[Middleware(Report)]
    )
    host.mount("/shop", app)
    with serving(host) as url:
        assert httpx.get(f"{url}/shop/fail").status_code == 500
        assert httpx.get(f"{url}/shop/refuse").status_code == 403
        assert httpx.get(f"{url}/own").json() == "own"
    assert seen == ["broken"]
