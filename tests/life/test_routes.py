"""Routing through the application: rules, and Starlette's routes among them."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.datastructures import URLPath
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    NoMatchFound,
    Route,
    Router,
    WebSocketRoute,
)

import asyncflask
from asyncflask import Flask, request, url_for
from asyncflask.life.routes import RuleRoute
from asyncflask.routing import Rule
from tests.wire import Wire


def make_app(**options: Any) -> Flask:
    return Flask(__name__, static_folder=None, **options)


def says(app: Flask, rule: str, text: str = "", **options: Any) -> None:
    """Add a rule whose view answers with a text, or with the rule."""

    async def view(**values: Any) -> str:
        return text or rule

    app.add_url_rule(rule, text or rule.replace("/", "_"), view, **options)


def text_route(path: str, text: str, **options: Any) -> Route:
    async def endpoint(starlette_request: Any) -> Any:
        return PlainTextResponse(text)

    return Route(path, endpoint, **options)


async def params(starlette_request: Any) -> Any:
    """An endpoint of Starlette's that tells its parameters."""
    return JSONResponse(starlette_request.path_params)


def http(path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    return {**Wire(path, method).scope, **more}


async def status_and_text(app: Any, scope: dict[str, Any]) -> tuple[int, str]:
    wire = Wire()
    await app(scope, wire.receive, wire.send)
    return wire.sent[0]["status"], wire.body.decode()


# What others see of it.


async def test_the_application_is_starlettes_and_its_rules_are_routes() -> None:
    """In `app.routes`, in order, with path, name, methods and endpoint."""
    app = make_app()

    @app.get("/user/<int:number>")
    async def user(number: int) -> str:
        return ""

    app.add_url_rule("/hidden", "hidden", build_only=True)
    app.router.routes.append(text_route("/starlette", "x"))
    assert isinstance(app, Starlette)
    assert isinstance(app.router, Router)
    rule, hidden, other = app.routes
    assert isinstance(rule, RuleRoute)
    assert isinstance(hidden, RuleRoute)
    assert isinstance(rule, BaseRoute)
    assert isinstance(other, Route)
    assert (rule.path, rule.name, rule.endpoint) == ("/user/<int:number>", "user", user)
    assert rule.methods == {"GET", "HEAD", "OPTIONS"}
    assert (rule.include_in_schema, hidden.include_in_schema) == (True, False)
    assert hidden.endpoint is None
    assert repr(rule) == "<RuleRoute '/user/<int:number>' -> 'user'>"


async def test_exactly_the_right_route_matches_a_scope() -> None:
    """As OpenTelemetry asks each route; the router is asked once for all of them."""
    app = make_app()
    for rule in ("/", "/a/<x>", "/a/b", "/c/<int:n>"):
        says(app, rule)
    finds = 0
    find = app.router.find

    def counting(scope: Any) -> Any:
        nonlocal finds
        finds += 1
        return find(scope)

    app.router.find = counting  # type: ignore[method-assign]
    for path, wanted in {"/": "/", "/a/b": "/a/b", "/a/z": "/a/<x>", "/c/1": "/c/<int:n>"}.items():
        scope = http(path)
        found = [route for route in app.routes if route.matches(scope)[0] is Match.FULL]
        assert [route.path for route in found if isinstance(route, RuleRoute)] == [wanted]
    assert finds == 4
    scope = http("/c/1")
    assert app.routes[3].matches(scope)[1] == {
        "endpoint": app.routes[3].endpoint,
        "path_params": {"n": 1},
    }
    scope["path"] = "/a/b"
    assert app.routes[3].matches(scope) == (Match.NONE, {})
    assert app.routes[0].matches({"type": "lifespan"}) == (Match.NONE, {})


async def test_applications_in_applications_do_not_share_answers() -> None:
    """The same scope goes through both; each router answers for itself."""
    inner, outer = make_app(), make_app()
    seen: list[Any] = []

    @inner.get("/x")
    async def x() -> str:
        seen.append([route.matches(request.scope)[0] for route in inner.routes])
        return url_for("x")

    outer.mount("/in", inner)
    says(outer, "/other")

    class Instrumented:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            for route in outer.routes:
                route.matches(scope)
            await self.app(scope, receive, send)

    outer.add_middleware(Instrumented)
    assert await status_and_text(outer, http("/in/x")) == (200, "/in/x")
    assert seen == [[Match.FULL]]


async def test_a_route_and_the_router_can_handle_a_request() -> None:
    """They are ASGI applications, as Starlette's."""
    app = make_app()
    says(app, "/x")
    wire = Wire("/x")
    await app.routes[0].handle(wire.scope, wire.receive, wire.send)
    assert wire.body == b"/x"
    assert await status_and_text(app.router, http("/x")) == (200, "/x")


def test_url_path_for_builds_as_starlette_does() -> None:
    """On the application and on the router; unknown names and values raise."""
    app = make_app()
    says(app, "/user/<int:n>", "user")
    says(app, "/chat", "chat", websocket=True)
    app.router.routes.append(Mount("/m", routes=[text_route("/x", "x", name="x")], name="m"))
    path = app.url_path_for("user", n=5)
    assert isinstance(path, URLPath)
    assert (path, path.protocol, path.host) == ("/user/5", "http", "")
    assert app.router.url_path_for("user", n=5) == "/user/5"
    assert app.url_path_for("chat").protocol == "websocket"
    assert app.url_path_for("m:x") == "/m/x"
    for name, values in (("nobody", {}), ("user", {})):
        with pytest.raises(NoMatchFound):
            app.url_path_for(name, **values)
    hosts = make_app(host_matching=True)
    says(hosts, "/x", "x", host="a.example")
    path = hosts.url_path_for("x")
    assert (path, path.host) == ("/x", "a.example")


# Starlette's routes among the rules.


async def test_the_order_of_rules_mounts_and_other_routes() -> None:
    """A mount is a literal prefix; other routes come after the rules, in their order."""
    app = make_app()
    app.router.routes.append(text_route("/a/rule", "route"))
    app.router.routes.append(text_route("/{any}/last", "first route"))
    app.router.routes.append(text_route("/x/last", "second route"))
    app.mount("/m", PlainTextResponse("mount"))
    says(app, "/a/rule", "rule")
    says(app, "/<x>/y", "variable")
    says(app, "/m/own", "own")
    app.mount("/{param}/mounted", PlainTextResponse("mount with a parameter"))
    for path, text in {
        "/a/rule": "rule",
        "/x/last": "first route",
        "/m/y": "mount",
        "/m/own": "own",
        "/m/": "mount",
        "/q/y": "variable",
        "/q/mounted/deep": "mount with a parameter",
    }.items():
        assert await status_and_text(app, http(path)) == (200, text), path
    assert (await status_and_text(app, http("/m")))[0] == 308
    assert (await status_and_text(app, http("/mm")))[0] == 404


async def test_a_mount_at_the_root_gets_the_rest() -> None:
    """What no rule has."""
    app = make_app()
    app.mount("/", PlainTextResponse("mount"))
    says(app, "/rule")
    assert await status_and_text(app, http("/rule")) == (200, "/rule")
    assert await status_and_text(app, http("/any/other")) == (200, "mount")


async def test_starlettes_routes_get_starlettes_parameters() -> None:
    """Their own, and those of what is around; nothing of ours."""
    app = make_app()
    app.router.routes.append(Route("/r/{a}", params))
    app.mount("/m", Starlette(routes=[Route("/{b}", params)]))
    app.mount("/n/{c}", Starlette(routes=[Route("/{b}", params)]))
    for path, expected in {
        "/r/1": {"a": "1"},
        "/m/2": {"b": "2"},
        "/n/3/2": {"c": "3", "b": "2"},
    }.items():
        wire = Wire(path)
        await app(wire.scope, wire.receive, wire.send)
        assert JSONResponse(expected).body == wire.body
    host = Starlette(routes=[Mount("/{tenant}", app)])
    assert await status_and_text(host, http("/t/r/1")) == (200, '{"tenant":"t","a":"1"}')


async def test_methods_of_starlettes_routes() -> None:
    """The route for the method is found behind one for another; else the answer is 405."""
    app = make_app()
    app.router.routes.append(text_route("/r", "get", methods=["GET"]))
    app.router.routes.append(text_route("/r", "post", methods=["POST"]))
    assert await status_and_text(app, http("/r")) == (200, "get")
    assert await status_and_text(app, http("/r", "POST")) == (200, "post")
    assert (await status_and_text(app, http("/r", "PUT")))[0] == 405


async def test_starlettes_host_route() -> None:
    """All requests for that host are its own, whatever the rules say for all hosts."""
    app = make_app()
    app.router.routes.append(Host("api.example", Router([text_route("/x", "api")])))
    says(app, "/x")
    says(app, "/y")
    api = [(b"host", b"api.example")]
    assert await status_and_text(app, http("/x", headers=api)) == (200, "api")
    assert (await status_and_text(app, http("/y", headers=api)))[0] == 404
    assert await status_and_text(app, http("/x")) == (200, "/x")
    assert isinstance(app.router.in_matching_order()[0], Host)


async def test_websockets() -> None:
    """Starlette's routes are served; one that nobody serves is closed, and an HTTP rule refused."""
    app = make_app()
    closed = {"type": "websocket.close", "code": 1008, "reason": ""}

    async def chat(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.path_params["room"])
        await websocket.close()

    app.router.routes.append(WebSocketRoute("/chat/{room}", chat))
    says(app, "/page")
    says(app, "/ws", websocket=True)

    async def connect(path: str) -> list[Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": path, "headers": [], "query_string": b""}
        await app(scope, receive, send)
        return sent

    assert [m.get("text") for m in await connect("/chat/x")] == [None, "x", None]
    assert await connect("/page") == [closed]
    assert await connect("/nowhere") == [closed]
    status, text = await status_and_text(app, http("/ws"))
    assert status == 400
    assert "WebSocket" in text


# Where the application is.


@pytest.mark.parametrize("root", ["/x", "/x/", "/a b/é"])
async def test_the_path_is_matched_without_the_root_path(root: str) -> None:
    """Which it begins with; outside of that there is nothing."""
    app = make_app()

    @app.get("/")
    async def index() -> str:
        return "index"

    @app.get("/page/<name>/")
    async def page(name: str) -> str:
        return name

    bare = root.rstrip("/")
    quoted = {"/x": "/x", "/a b/é": "/a%20b/%C3%A9"}[bare]
    assert await status_and_text(app, http(f"{bare}/", root_path=root)) == (200, "index")
    assert (await status_and_text(app, http(bare, root_path=root)))[0] == 200
    assert (await status_and_text(app, http("/page/1/", root_path=root)))[0] == 404
    assert (await status_and_text(app, http(f"{bare}y/", root_path=root)))[0] == 404
    wire = Wire()
    scope = http(f"{bare}/page/é?", root_path=root, query_string=b"a=1&b=%20")
    await app(scope, wire.receive, wire.send)
    assert wire.sent[0]["status"] == 308
    assert (
        dict(wire.sent[0]["headers"])[b"location"].decode() == f"{quoted}/page/%C3%A9%3F/?a=1&b=%20"
    )


async def test_mounted_in_starlette_once_and_twice() -> None:
    """Routes, `url_for` and redirects carry the prefix."""
    app = make_app()

    @app.get("/page/")
    async def page() -> str:
        urls = f"{url_for('page')} {url_for('page', _external=True)}"
        return f"{urls} {request.path} {request.root_path}"

    host = Starlette(routes=[Mount("/x", app), Mount("/y", Starlette(routes=[Mount("/z", app)]))])
    outer = make_app()
    outer.mount("/o", host)
    for served, prefix in ((host, "/x"), (host, "/y/z"), (outer, "/o/y/z")):
        status, text = await status_and_text(served, http(f"{prefix}/page/"))
        assert (status, text) == (
            200,
            f"{prefix}/page/ http://localhost{prefix}/page/ /page/ {prefix}",
        )
        wire = Wire()
        await served(http(f"{prefix}/page", query_string=b"q=1"), wire.receive, wire.send)
        assert dict(wire.sent[0]["headers"])[b"location"].decode() == f"{prefix}/page/?q=1"


# Redirects, methods, hosts.


@pytest.mark.parametrize("query", [b"", b"q=1&x=%C3%A9"])
async def test_a_missing_slash_is_a_308_with_a_path_only(query: bytes) -> None:
    """And the query; a host in it would break behind proxies."""
    app = make_app()
    says(app, "/a/<path:p>/", "x")
    says(app, "/old", redirect_to="/a/b/?c=1")
    for path, location in {
        "/a/b": "/a/b/",
        "/a/é?#%": "/a/%C3%A9%3F%23%25/",
        "/a//b/": "/a/b/",
    }.items():
        wire = Wire(path)
        wire.scope["query_string"] = query
        await app(wire.scope, wire.receive, wire.send)
        wanted = location + (f"?{query.decode()}" if query else "")
        assert wire.sent[0]["status"] == 308
        assert dict(wire.sent[0]["headers"])[b"location"].decode() == wanted


async def test_a_redirect_never_leads_to_another_host() -> None:
    """`//evil.example` is a path here."""
    app = make_app()
    says(app, "/<path:p>/", "x", merge_slashes=False)
    wire = Wire("//evil.example")
    await app(wire.scope, wire.receive, wire.send)
    assert dict(wire.sent[0]["headers"])[b"location"] == b"/evil.example/"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/get", "/post", "/both", "/own", "/none", "/nowhere"])
async def test_methods_are_answered_as_flask_does(method: str, path: str) -> None:
    """HEAD and OPTIONS by themselves, 405 with what is allowed; side by side."""
    ours, theirs = make_app(), flask.Flask(__name__, static_folder=None)
    for app in (ours, theirs):
        app.add_url_rule("/get", "get", lambda: "get")
        app.add_url_rule("/post", "post", lambda: "post", methods=["POST"])
        app.add_url_rule("/both", "both", lambda: "a", methods=["GET"])
        app.add_url_rule("/both", "both2", lambda: "b", methods=["PUT"])
        app.add_url_rule("/own", "own", lambda: "own", methods=["GET", "OPTIONS"])
        app.add_url_rule("/none", "none", lambda: "x", provide_automatic_options=False)
    response = await ours.test_client().open(path, method=method)
    expected = theirs.test_client().open(path, method=method)
    assert response.status_code == expected.status_code
    if response.status_code == 200:
        assert response.text == expected.text
    ours_allow = set(filter(None, response.headers.get("allow", "").split(", ")))
    assert ours_allow == set(filter(None, expected.headers.get("Allow", "").split(", ")))


async def test_options_under_a_root_path() -> None:
    """The allowed methods are those of the path without it."""
    app = make_app()
    says(app, "/", methods=["PUT"])
    wire = Wire()
    await app(http("/x", "OPTIONS", root_path="/x"), wire.receive, wire.send)
    assert dict(wire.sent[0]["headers"])[b"allow"] in (b"OPTIONS, PUT", b"PUT, OPTIONS")


async def test_host_matching() -> None:
    """Rules are for a host; mounts and Starlette's routes for all."""
    app = make_app(host_matching=True)
    says(app, "/x", "a", host="a.example")
    says(app, "/x", "b", host="b.example:81")
    app.mount("/m", PlainTextResponse("mount"))
    app.router.routes.append(text_route("/r", "route"))

    async def ask(path: str, host: bytes | None) -> tuple[int, str]:
        return await status_and_text(app, http(path, headers=[(b"host", host)] if host else []))

    assert await ask("/x", b"a.example") == (200, "a")
    assert await ask("/x", b"A.example:80") == (200, "a")
    assert await ask("/x", b"b.example:81") == (200, "b")
    for host in (b"c.example", b"a.example:81", None):
        assert (await ask("/x", host))[0] == 404
        assert await ask("/m/y", host) == (200, "mount")
        assert await ask("/r", host) == (200, "route")


async def test_subdomain_matching() -> None:
    """Rules are for a subdomain of SERVER_NAME; a default redirects to the rule's own."""
    app = make_app(subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    says(app, "/", "main", methods=["GET", "PUT"])
    says(app, "/", "api", subdomain="api")
    says(app, "/x", "user", subdomain="<user>")

    async def ask(path: str, host: str) -> tuple[int, str]:
        return await status_and_text(app, http(path, headers=[(b"host", host.encode())]))

    assert await ask("/", "example.com") == (200, "main")
    assert await ask("/", "api.example.com") == (200, "api")
    assert await ask("/x", "ada.example.com") == (200, "user")
    assert (await ask("/", "other.org"))[0] == 404
    without = make_app(subdomain_matching=True)  # and without a rule for a subdomain
    without.config["SERVER_NAME"] = "example.com"
    says(without, "/", "main")
    for host, status in (("example.com", 200), ("other.org", 404)):
        headers = [(b"host", host.encode())]
        assert (await status_and_text(without, http("/", headers=headers)))[0] == status
    off = make_app()
    says(off, "/", "main")
    assert await status_and_text(off, http("/", headers=[])) == (200, "main")


async def test_a_redirect_to_the_rules_own_host() -> None:
    """An alias on another host: the one redirect that has a host, with the prefix and the query."""
    app = make_app(host_matching=True)

    async def view() -> str:
        return "x"

    app.add_url_rule("/x", "x", view, host="new.example")
    app.add_url_rule("/x", "x", view, host="old.example", alias=True)
    wire = Wire()
    scope = http("/p/x", root_path="/p", headers=[(b"host", b"old.example")], query_string=b"q=1")
    await app(scope, wire.receive, wire.send)
    assert wire.sent[0]["status"] in (301, 308)
    assert dict(wire.sent[0]["headers"])[b"location"] == b"http://new.example/p/x?q=1"


async def test_a_redirect_to_elsewhere_is_left_as_it_is() -> None:
    """`redirect_to` may be a whole address, or have a query of its own."""
    app = make_app()
    app.add_url_rule("/out", "out", redirect_to="https://other.example/y")
    app.add_url_rule("/in", "in", redirect_to="y?a=1")
    for path, location in {"/out": b"https://other.example/y?q=1", "/in": b"/y?a=1&q=1"}.items():
        wire = Wire(path)
        wire.scope["query_string"] = b"q=1"
        await app(wire.scope, wire.receive, wire.send)
        assert dict(wire.sent[0]["headers"])[b"location"] == location


async def test_a_target_in_absolute_form() -> None:
    """`GET http://host/path`, which some servers hand on as it came."""
    app = make_app()

    @app.get("/x")
    async def x() -> str:
        return request.path

    says(app, "/")
    assert await status_and_text(app, http("http://localhost/x")) == (200, "/x")
    assert await status_and_text(app, http("http://localhost")) == (200, "/")
    assert await status_and_text(app, http("http://localhost/p/x", root_path="/p")) == (200, "/x")
    for path in ("*", "http:/x"):
        assert (await status_and_text(app, http(path)))[0] == 404


async def test_a_rule_added_to_the_map_itself() -> None:
    """It is a route too when the application starts."""
    app = make_app()
    app.url_map.add(Rule("/direct", endpoint="direct"))

    @app.endpoint("direct")
    async def direct() -> str:
        return url_for("direct")

    assert await status_and_text(app, http("/direct")) == (200, "/direct")
    assert [getattr(route, "path", None) for route in app.routes] == ["/direct"]


@pytest.mark.parametrize("make", [flask.Flask, Flask])
def test_subdomain_matching_finds_only_the_subdomains_of_rules(make: Any) -> None:
    """Where no rule has one, none but the server's own name is found."""
    app = make(__name__, subdomain_matching=True, static_folder=None)
    app.config["SERVER_NAME"] = "example.test:3000"
    app.add_url_rule("/", view_func=lambda: "index", endpoint="index")
    client = app.sync_test_client() if make is Flask else app.test_client()
    assert client.get("/", base_url="http://example.test:3000").status_code == 200
    assert client.get("/", base_url="http://www.example.test:3000").status_code == 404


async def test_mounts_are_for_all_subdomains() -> None:
    """They name none, unlike rules."""
    app = Flask(__name__, subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.test"
    app.mount("/mounted", PlainTextResponse("mounted"))
    client = app.test_client()
    for host in ("example.test", "www.example.test"):
        response = await client.get("/mounted/", base_url=f"http://{host}")
        assert response.text == "mounted"


def test_automatic_options_know_the_values_of_the_url_as_in_flask() -> None:
    """A preprocessor that takes one out, for a prefix such as ``/<lang>``, finds it there."""
    seen: dict[str, Any] = {}
    for module in (flask, asyncflask):
        app: Any = module.Flask(__name__, static_folder=None)
        app.add_url_rule("/<lang>/", "index", lambda: "ok")

        def take_language(_: Any, values: Any, name: str = module.__name__) -> None:
            seen[name] = values.pop("lang")

        app.url_value_preprocessor(take_language)
        client = app.test_client() if module is flask else app.sync_test_client()
        assert client.options("/de/").status_code == 200
    assert seen == {"flask": "de", "asyncflask": "de"}
