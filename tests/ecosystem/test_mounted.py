"""Other people's applications, mounted in one of ours and used over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket as socket_module
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fastapi
import httpx
import litestar
import prometheus_client
import pytest
import quart
import socketio
import strawberry
from litestar.params import FromPath
from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from strawberry.asgi import GraphQL
from websockets.sync.client import connect

from asyncflask import Blueprint, Flask, current_app, g, request
from tests.ecosystem.process import run
from tests.ecosystem.serving import serving


def make_app(name: str = "ours") -> Flask:
    app = Flask(name, static_folder=None)

    @app.get("/")
    async def index() -> str:
        return "ours"

    return app


# Frameworks.


@pytest.mark.neighbour("FastAPI", kind="mounted")
@pytest.mark.parametrize("place", ["application", "blueprint", "host"])
def test_fastapi_with_its_documentation(place: str) -> None:
    """Routes, the page, and the schema know the prefix; its lifespan is run."""
    record: list[str] = []

    @asynccontextmanager
    async def lifespan(inner: fastapi.FastAPI) -> AsyncIterator[dict[str, str]]:
        record.append("start")
        yield {"name": "theirs"}
        record.append("end")

    api = fastapi.FastAPI(lifespan=lifespan)

    @api.get("/items/{number}")
    def item(number: int, request: fastapi.Request) -> Any:
        return {"number": number, "state": request.state.name, "host": current_app.name}

    @api.get("/link")
    async def link(request: fastapi.Request) -> Any:
        return str(request.url_for("item", number=5))

    @api.websocket("/echo")
    async def echo(websocket: fastapi.WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    app, prefix, headers = make_app(), "/api", {}
    if place == "application":
        app.mount("/api", api)
    elif place == "blueprint":
        blueprint = Blueprint("v1", __name__, url_prefix="/v1")
        blueprint.mount("/api", api)
        app.register_blueprint(blueprint)
        prefix = "/v1/api"
    else:
        app.host("api.test", api)
        prefix, headers = "", {"Host": "api.test"}
    with serving(app) as url, httpx.Client(base_url=url, headers=headers) as client:
        assert record == ["start"]
        expected = {"number": 5, "state": "theirs", "host": "ours"}
        assert client.get(f"{prefix}/items/5").json() == expected
        assert client.get(f"{prefix}/items/five").status_code == 422
        site = f"http://{headers['Host']}" if headers else url
        assert client.get(f"{prefix}/link").json() == f"{site}{prefix}/items/5"
        assert f"'{prefix}/openapi.json'" in client.get(f"{prefix}/docs").text
        schema = client.get(f"{prefix}/openapi.json").json()
        assert "/items/{number}" in schema["paths"]
        assert schema.get("servers", [{"url": ""}]) == [{"url": prefix}]
        address = ("127.0.0.1", httpx.URL(url).port)
        with connect(
            f"{site}{prefix}/echo".replace("http", "ws"),
            sock=socket_module.create_connection(address),
        ) as socket:
            socket.send("hello")
            assert socket.recv(10) == "hello"
        assert httpx.get(f"{url}/").text == "ours"
    assert record == ["start", "end"]


@pytest.mark.neighbour("Starlette", kind="mounted")
def test_starlette_with_files_and_templates(tmp_path: Path) -> None:
    """`url_for` in its templates has the prefix; ranges and conditions of its files work."""
    tmp_path.joinpath("a.txt").write_text("0123456789")
    tmp_path.joinpath("page.html").write_text("{{ url_for('files', path='a.txt') }}")
    templates = Jinja2Templates(tmp_path)

    async def page(request: Request) -> Any:
        return templates.TemplateResponse(request, "page.html")

    inner = Starlette(routes=[Route("/page", page)])
    inner.mount("/files", StaticFiles(directory=tmp_path), name="files")
    app = make_app()
    app.mount("/inner", inner)
    app.mount("/files", StaticFiles(directory=tmp_path), name="files")
    with serving(app) as url:
        assert httpx.get(f"{url}/files/a.txt").text == "0123456789"
        response = httpx.get(f"{url}/inner/files/a.txt", headers={"Range": "bytes=2-4"})
        assert (response.status_code, response.text) == (206, "234")
        etag = {"If-None-Match": response.headers["ETag"]}
        assert httpx.get(f"{url}/inner/files/a.txt", headers=etag).status_code == 304
        assert httpx.get(f"{url}/files/b.txt").status_code == 404
        assert httpx.get(f"{url}/files/../page.html").status_code == 404
        assert httpx.get(f"{url}/inner/page").text == f"{url}/inner/files/a.txt"


@pytest.mark.neighbour("Litestar", kind="mounted")
def test_litestar() -> None:
    """It takes the prefix from the scope; its startup runs with ours."""
    record: list[str] = []

    @litestar.get("/hello/{name:str}")
    async def hello(name: FromPath[str]) -> dict[str, str]:
        return {"hello": name, "host": current_app.name}

    inner = litestar.Litestar(
        [hello],
        on_startup=[lambda: record.append("start")],
        on_shutdown=[lambda: record.append("end")],
        logging_config=None,
    )
    app = make_app()
    app.mount("/inner", inner)
    with serving(app) as url:
        assert httpx.get(f"{url}/inner/hello/x").json() == {"hello": "x", "host": "ours"}
        assert httpx.get(f"{url}/inner/nowhere").status_code == 404
        assert httpx.get(f"{url}/inner/schema/openapi.json").status_code == 200
        assert httpx.get(f"{url}/").text == "ours"
    assert record == ["start", "end"]


@pytest.mark.neighbour("Quart", kind="mounted")
def test_quart() -> None:
    """Its `url_for` has the prefix, its context and ours are apart."""
    record: list[str] = []
    inner = quart.Quart("inner")
    inner.before_serving(lambda: record.append("start"))
    inner.after_serving(lambda: record.append("end"))

    @inner.get("/where")
    async def where() -> Any:
        ours = request.path
        quart.g.user = "theirs"
        assert not hasattr(g, "user")
        return [quart.url_for("where"), quart.current_app.name, current_app.name, ours]

    @inner.websocket("/echo")
    async def echo() -> None:
        await quart.websocket.send(await quart.websocket.receive())

    app = make_app()
    app.mount("/inner", inner)
    with serving(app) as url:
        assert httpx.get(f"{url}/inner/where").json() == [
            "/inner/where", "inner", "ours", "/inner/where"
        ]  # fmt: skip
        with connect(f"{url}/inner/echo".replace("http", "ws")) as socket:
            socket.send("hello")
            assert socket.recv(10) == "hello"
    assert record == ["start", "end"]


# Applications.


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello {name} from {current_app.name}"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number


@pytest.mark.neighbour("Strawberry", kind="mounted", package="strawberry-graphql")
def test_strawberry_answers_queries_and_subscriptions() -> None:
    """By POST, in the browser's page, and over a WebSocket."""
    app = make_app()
    app.mount("/graphql", GraphQL(strawberry.Schema(Query, subscription=Subscription)))
    with serving(app) as url:
        response = httpx.post(f"{url}/graphql/", json={"query": '{ hello(name: "you") }'})
        assert response.json()["data"] == {"hello": "Hello you from ours"}
        page = httpx.get(f"{url}/graphql/", headers={"Accept": "text/html"})
        assert "<html" in page.text
        assert httpx.post(f"{url}/graphql/", content=b"{").status_code == 400
        with connect(
            f"{url}/graphql/".replace("http", "ws"), subprotocols=["graphql-transport-ws"]
        ) as socket:
            socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(socket.recv(10))["type"] == "connection_ack"
            query = {"query": "subscription { count(to: 2) }"}
            socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": query}))
            messages = [json.loads(socket.recv(10)) for _ in range(3)]
        assert [message["type"] for message in messages] == ["next", "next", "complete"]
        assert messages[1]["payload"]["data"] == {"count": 1}


@pytest.mark.neighbour("Socket.IO", kind="mounted", package="python-socketio")
@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("place", ["mounted", "around"])
def test_socketio_over_both_transports(transport: str, place: str) -> None:
    """Mounted below a path, or put around the application as its documentation has it."""
    server = socketio.AsyncServer(async_mode="asgi", ping_interval=1, ping_timeout=1)

    @server.event
    async def greet(sid: str, name: str) -> str:
        await server.emit("greeted", name, to=sid)
        return f"Hello {name}"

    app: Any = make_app()
    if place == "mounted":
        # It compares the whole path, whatever it is mounted in.
        app.mount("/ws", socketio.ASGIApp(server, socketio_path="ws/socket.io"))
    else:
        app = socketio.ASGIApp(server, app, socketio_path="ws/socket.io")

    async def talk(url: str) -> list[Any]:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        async with socketio.AsyncSimpleClient() as client:
            await client.connect(url, socketio_path="/ws/socket.io", transports=[transport])
            heard.put_nowait(await client.call("greet", "you"))
            heard.put_nowait(await client.receive(timeout=10))
        return [heard.get_nowait(), heard.get_nowait()]

    with serving(app) as url:
        assert httpx.get(f"{url}/").text == "ours"
        assert asyncio.run(talk(url)) == ["Hello you", ["greeted", "you"]]


@pytest.mark.neighbour("Prometheus client", kind="mounted", package="prometheus-client")
def test_prometheus_metrics_are_scraped() -> None:
    """A scraper that follows redirects finds them without the slash, too."""
    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("visits", "Visits.", registry=registry)
    app = make_app()

    @app.get("/visit")
    def visit() -> str:
        counter.inc()
        return "visited"

    app.mount("/metrics", prometheus_client.make_asgi_app(registry))
    with serving(app) as url:
        httpx.get(f"{url}/visit")
        assert "visits_total 1.0" in httpx.get(f"{url}/metrics/").text
        response = httpx.get(f"{url}/metrics", follow_redirects=True)
        assert "visits_total 1.0" in response.text
        assert response.headers["Content-Type"].startswith("text/plain; version=")


@pytest.mark.neighbour("MCP SDK", kind="mounted", package="mcp")
def test_an_mcp_server_answers_its_client() -> None:
    """Its session manager lives in its lifespan, which is run with ours."""
    server = MCPServer("ours")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    app = make_app()
    app.mount("/ai", server.streamable_http_app())

    async def ask(url: str) -> Any:
        async with Client(f"{url}/ai/mcp") as client:
            tools = await client.list_tools()
            result = await client.call_tool("add", {"a": 2, "b": 3})
            return [tool.name for tool in tools.tools], result.content[0].text

    with serving(app) as url:
        assert asyncio.run(ask(url)) == (["add"], "5")
        assert httpx.get(f"{url}/").text == "ours"


@pytest.mark.neighbour("MCP SDK", kind="mounted", package="mcp")
def test_a_lifespan_that_is_run_twice_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Its documentation is for hosts that do not run it; the error says that this one does."""
    server = MCPServer("ours")
    inner = server.streamable_http_app()

    @asynccontextmanager
    async def lifespan(app: Flask) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    app = Flask("ours", static_folder=None, lifespan=lifespan)
    app.mount("/ai", inner)
    with pytest.raises(RuntimeError, match="has not started"), serving(app):
        pass
    assert "can only be called once" in caplog.text
    assert "if yours runs it, too" in caplog.text


@pytest.mark.neighbour("Gradio", kind="tool", package="gradio")
def test_gradio_mounts_itself_and_its_client_calls_it() -> None:
    """As on FastAPI: it wraps the lifespan, adds middleware and mounts its own application."""
    assert run(
        """
        import json, os
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        import gradio, gradio_client, httpx
        from asyncflask import Flask
        from tests.ecosystem.serving import serving

        record = []
        app = Flask("ours", static_folder=None)
        app.before_serving(lambda: record.append("start"))
        app.after_serving(lambda: record.append("end"))
        app.add_url_rule("/", "index", lambda: "ours")
        greet = lambda name: f"Hello {name}"
        page = gradio.Interface(greet, "textbox", "textbox", api_name="greet")
        app = gradio.mount_gradio_app(app, page, path="/page")
        with serving(app) as url:
            record.append(httpx.get(url).text)
            record.append(httpx.get(f"{url}/page/").status_code)
            client = gradio_client.Client(f"{url}/page/", verbose=False)
            record.append(client.predict("you", api_name="/greet"))
            client.close()
        print(json.dumps(record))
        """
    ) == ["start", "ours", 200, "Hello you", "end"]


@pytest.mark.neighbour("sse-starlette", kind="mounted")
def test_sse_starlette_streams_from_a_view_and_from_a_route() -> None:
    """Its response is Starlette's kind: a route returns it, and a view of ours, too."""
    app = make_app()

    async def events() -> AsyncIterator[dict[str, str]]:
        for number in range(3):
            yield {"event": "tick", "data": f"{number} {current_app.name}"}

    async def stream(request: Request) -> Any:
        return EventSourceResponse(events())

    app.add_route("/route", stream)
    app.mount("/mounted", Starlette(routes=[Route("/", stream)]))
    expected = [f"{number} ours" for number in range(3)]
    with serving(app) as url:
        for path in ("/route", "/mounted/"):
            with httpx.stream("GET", url + path) as response:
                assert response.headers["Content-Type"].startswith("text/event-stream")
                lines = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
            assert lines == expected


@pytest.mark.neighbour("Starlette", kind="mounted")
def test_a_tool_that_wraps_the_lifespan_and_mounts_itself() -> None:
    """As Gradio and others do with what is a Starlette application."""
    record: list[str] = []
    app = make_app()
    assert isinstance(app, Starlette)
    before = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(inner: Any) -> AsyncIterator[Any]:
        record.append("tool starts")
        async with before(inner) as state:
            yield state
        record.append("tool ends")

    app.router.lifespan_context = lifespan
    app.mount("/tool", Starlette(routes=[Route("/", lambda _: PlainTextResponse("tool"))]))
    host = Starlette(lifespan=app.lifespan)
    host.mount("/app", app)
    for served, prefix in ((app, ""), (host, "/app")):
        with serving(served) as url:
            assert record == ["tool starts"]
            assert httpx.get(f"{url}{prefix}/tool/").text == "tool"
        assert record == ["tool starts", "tool ends"]
        record.clear()


# What goes wrong in them.


@pytest.mark.neighbour("Starlette", kind="mounted")
def test_errors_in_a_mounted_application_are_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """The client gets a 500 where one can still be sent; the server goes on."""

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/fails/":
            raise ValueError("before the response")
        if scope["type"] == "http" and scope["path"] == "/fails/silent":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("half-way")

    def broken(request: Request) -> JSONResponse:
        raise ValueError("in Starlette")

    app = make_app()
    app.mount("/fails", fails)
    app.mount("/starlette", Starlette(routes=[Route("/", broken)]))
    with serving(app) as url:
        assert httpx.get(f"{url}/fails/").status_code == 500
        assert caplog.text.count("ValueError: before the response") == 1
        assert httpx.get(f"{url}/starlette/").status_code == 500
        assert httpx.get(f"{url}/fails/silent").status_code == 500
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{url}/fails/half")
        assert httpx.get(f"{url}/").text == "ours"
    assert "ValueError: in Starlette" in caplog.text
    assert "ASGI callable returned without starting response" in caplog.text
    assert "ValueError: half-way" in caplog.text


@pytest.mark.neighbour("FastAPI", kind="mounted")
def test_a_mounted_application_that_does_not_start_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server does not start; the log says which application it was and why."""

    @asynccontextmanager
    async def lifespan(inner: Any) -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    app = make_app()
    app.mount("/api", fastapi.FastAPI(lifespan=lifespan))
    with pytest.raises(RuntimeError, match="has not started"), serving(app):
        pass
    assert "The application mounted at '/api' has failed to start" in caplog.text
    assert "no database" in caplog.text
