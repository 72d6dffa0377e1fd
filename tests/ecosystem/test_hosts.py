"""Mounted in applications of others: what the application sees of its prefix, and they of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import fastapi
import httpx
import litestar
import pytest
import quart
from hypercorn.middleware import DispatcherMiddleware
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from websockets.sync.client import connect

from asyncflask import Blueprint, Flask, current_app, redirect, request, session, url_for, websocket
from tests.ecosystem.serving import serving


def make_app(name: str, folder: Path) -> Flask:
    """An application that says where it is."""
    folder.joinpath("style.css").write_text("body {}")
    app = Flask(name, static_folder=folder, static_url_path="/static")
    app.config.update(SECRET_KEY=name, SESSION_COOKIE_NAME=name)

    @app.get("/")
    async def index() -> Any:
        links = [url_for("index"), url_for("page", name="é"), url_for("static", filename="x.css")]
        return {
            "app": current_app.name,
            "links": links,
            "external": url_for("index", _external=True),
            "path": [request.root_path, request.path],
        }

    @app.get("/page/<name>")
    def page(name: str) -> str:
        return f"{name} {request.root_path}{request.path}"

    @app.get("/folder/")
    async def folder_view() -> str:
        return "folder"

    @app.get("/away")
    async def away() -> Any:
        return redirect(url_for("page", name="é"))

    @app.post("/count")
    def count() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    @app.get("/fail")
    async def fail() -> str:
        raise ValueError("broken")

    @app.errorhandler(404)
    async def missing(error: Exception) -> Any:
        return f"Not in {current_app.name}. Back to {url_for('index')}", 404

    @app.websocket("/echo")
    async def echo() -> None:
        await websocket.send(url_for("index"))
        await websocket.send(await websocket.receive())

    return app


# Each puts applications at these prefixes into one of somebody else's, which has a route `/own`.

Apps = dict[str, Flask]


def in_starlette(apps: Apps) -> Any:
    def own(request: Request) -> JSONResponse:
        return JSONResponse({"app": "host", "root_path": request.scope["root_path"]})

    host = Starlette(routes=[Route("/own", own)])
    for prefix, app in apps.items():
        host.mount(prefix, app)
    return host


def in_nested_starlette(apps: Apps) -> Any:
    host = in_starlette({})
    for prefix, app in apps.items():
        first, _, rest = prefix[1:].partition("/")
        inner = Starlette(routes=[Mount(f"/{rest}", app=app)]) if rest else app
        host.routes.append(Mount(f"/{first}", routes=[Mount("", app=inner)]))
    return host


def in_fastapi(apps: Apps) -> Any:
    host = fastapi.FastAPI()

    @host.get("/own")
    def own(request: fastapi.Request) -> Any:
        return {"app": "host", "root_path": request.scope["root_path"]}

    for prefix, app in apps.items():
        host.mount(prefix, app)
    return host


def in_litestar(apps: Apps) -> Any:
    @litestar.get("/own")
    async def own(request: litestar.Request[Any, Any, Any]) -> dict[str, str]:
        return {"app": "host", "root_path": request.scope.get("root_path", "")}

    def mounted(prefix: str, app: Flask) -> Any:
        @litestar.asgi(prefix, is_mount=True, copy_scope=True)
        async def below(scope: Any, receive: Any, send: Any) -> None:
            # Litestar cuts the prefix off and adds a slash, and does not tell the prefix.
            scope["path"] = unquote(scope["raw_path"].decode())
            scope["root_path"] = scope.get("root_path", "") + prefix
            await app(scope, receive, send)

        return below

    handlers = [mounted(prefix, app) for prefix, app in apps.items()]
    return litestar.Litestar([own, *handlers], openapi_config=None, logging_config=None)


def in_quart(apps: Apps) -> Any:
    host = quart.Quart("host")

    @host.get("/own")
    async def own() -> Any:
        return {"app": "host", "root_path": quart.request.root_path}

    host.asgi_app = DispatcherMiddleware({**apps, "": host.asgi_app})  # type: ignore[method-assign]
    return host


def in_asyncflask(apps: Apps) -> Any:
    host = Flask("host", static_folder=None)

    @host.get("/own")
    async def own() -> Any:
        return {"app": current_app.name, "root_path": request.root_path}

    for prefix, app in apps.items():
        host.mount(prefix, app)
    return host


def in_nested_asyncflask(apps: Apps) -> Any:
    host = in_asyncflask({})
    for prefix, app in apps.items():
        first, _, rest = prefix[1:].partition("/")
        inner = Flask("between", static_folder=None)
        inner.mount(f"/{rest}", app)
        host.mount(f"/{first}", inner if rest else app)
    return host


def in_blueprints(apps: Apps) -> Any:
    host = in_asyncflask({})
    for number, (prefix, app) in enumerate(apps.items()):
        first, _, rest = prefix[1:].partition("/")
        blueprint = Blueprint(f"b{number}", __name__, url_prefix=f"/{first}")
        blueprint.mount(rest, app)
        host.register_blueprint(blueprint)
    return host


HOSTS = [
    pytest.param(make, marks=pytest.mark.neighbour(name, kind="host"), id=make.__name__)
    for name, make in [
        ("Starlette", in_starlette),
        ("Starlette", in_nested_starlette),
        ("FastAPI", in_fastapi),
        ("Litestar", in_litestar),
        ("Quart", in_quart),
        ("asyncflask", in_asyncflask),
        ("asyncflask", in_nested_asyncflask),
        ("asyncflask", in_blueprints),
    ]
]
MakeHost = Callable[[Apps], Any]
PREFIXES = {"/shop": "shop", "/a/b": "blog", "/é b": "café"}


@pytest.fixture
def apps(tmp_path: Path) -> Apps:
    return {prefix: make_app(name, tmp_path) for prefix, name in PREFIXES.items()}


@pytest.fixture
def client(apps: Apps, make_host: MakeHost) -> Iterator[httpx.Client]:
    with serving(make_host(apps)) as url, httpx.Client(base_url=url) as client:
        yield client


def address(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


@pytest.mark.parametrize("make_host", HOSTS)
def test_urls_carry_the_prefix(client: httpx.Client) -> None:
    """Routes are found below it, and `url_for`, redirects and static files have it."""
    for path, name in PREFIXES.items():
        prefix = quote(path)
        assert client.get(f"{prefix}/").json() == {
            "app": name,
            "links": [f"{prefix}/", f"{prefix}/page/%C3%A9", f"{prefix}/static/x.css"],
            "external": f"{address(client)}{prefix}/",
            "path": [path, "/"],
        }
        assert client.get(f"{prefix}/page/%C3%A9").text == f"é {path}/page/é"
        assert client.get(f"{prefix}/static/style.css").text == "body {}"
        response = client.get(f"{prefix}/folder?a=b")
        assert (response.status_code, response.headers["Location"]) == (
            308,
            f"{prefix}/folder/?a=b",
        )
        assert client.get(f"{prefix}/folder/").text == "folder"
        response = client.get(f"{prefix}/away")
        assert response.headers["Location"] == f"{prefix}/page/%C3%A9"


@pytest.mark.parametrize("make_host", HOSTS)
def test_errors_are_answered_by_the_application(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Its handlers and pages, with the prefix; nothing of it reaches the host."""
    for path, name in PREFIXES.items():
        prefix = quote(path)
        response = client.get(f"{prefix}/nowhere")
        assert response.status_code == 404
        assert response.text == f"Not in {name}. Back to {prefix}/"
        response = client.post(f"{prefix}/away")
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        response = client.get(f"{prefix}/fail")
        assert response.status_code == 500
        assert "Internal Server Error" in response.text
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == [
        "shop",
        "blog",
        "café",
    ]


@pytest.mark.parametrize("make_host", HOSTS)
def test_sessions_stand_beside_each_other(client: httpx.Client) -> None:
    """Each application has its own, under a cookie name of its own."""
    assert [client.post("/shop/count").text for _ in range(3)] == ["1", "2", "3"]
    assert client.post("/a/b/count").text == "1"
    assert client.post("/shop/count").text == "4"


@pytest.mark.parametrize("make_host", HOSTS)
def test_websockets_carry_the_prefix(client: httpx.Client) -> None:
    """They are found below it."""
    for prefix in map(quote, PREFIXES):
        with connect(f"{address(client)}{prefix}/echo".replace("http", "ws")) as socket:
            assert socket.recv(10) == f"{prefix}/"
            socket.send("hello")
            assert socket.recv(10) == "hello"


@pytest.mark.parametrize("make_host", HOSTS)
def test_the_host_goes_on_as_before(client: httpx.Client) -> None:
    """Its own routes are without the prefix."""
    client.get("/shop/")
    assert client.get("/own").json() == {"app": "host", "root_path": ""}
    assert client.get("/nowhere").status_code == 404
    assert client.get("/shopping").status_code == 404


OUTERMOST = pytest.mark.xfail(
    reason="Hypercorn's DispatcherMiddleware does not know the server's own prefix", strict=True
)
BEHIND = [
    pytest.param(*host.values, id=host.id, marks=[*host.marks, OUTERMOST])
    if host.id == "in_quart"
    else host
    for host in HOSTS
]


@pytest.mark.parametrize("make_host", BEHIND)
def test_a_prefix_of_the_server_comes_before_that_of_the_host(
    apps: Apps, make_host: MakeHost
) -> None:
    """As where a proxy serves the host below a path."""
    with serving(make_host(apps), root_path="/proxy") as url:
        found = httpx.get(f"{url}/a/b/").json()
    assert found["links"][1] == "/proxy/a/b/page/%C3%A9"
    assert found["path"] == ["/proxy/a/b", "/"]
