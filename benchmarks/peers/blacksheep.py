"""BlackSheep, which is compiled. Its ``def`` handlers run on the loop: ``threaded`` is missing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from blacksheep import (
    Application,
    FileBuffer,
    FromForm,
    FromJSON,
    Request,
    Response,
    StreamedContent,
    WebSocket,
    WebSocketDisconnectError,
)
from blacksheep.server.responses import view
from blacksheep.server.routing import Router
from blacksheep.settings.html import html_settings
from jinja2 import FileSystemLoader

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES, ROWS, SECRET


def _app() -> Application:
    return Application(router=Router())


def plain_text() -> Application:
    app = _app()

    @app.router.get("/")
    async def hello() -> str:
        return "Hello, World!"

    return app


def json() -> Application:
    app = _app()

    @app.router.get("/")
    async def hello() -> dict[str, str]:
        return {"message": "Hello, World!"}

    return app


def path_text() -> Application:
    app = _app()

    @app.router.get("/items/{int:id}")
    async def item(id: int) -> str:
        return str(id + 1)

    return app


def path_json() -> Application:
    app = _app()

    @app.router.get("/items/{int:id}")
    async def item(id: int) -> dict[str, Any]:
        return {"id": id, "name": "item"}

    return app


def query() -> Application:
    app = _app()

    @app.router.get("/search")
    async def search(q: str, page: int, order: str, tag: str) -> str:
        return f"{q} {page} {order} {tag}"

    return app


def json_echo() -> Application:
    app = _app()

    @app.router.post("/echo")
    async def echo(request: Request) -> Any:
        return await request.json()

    return app


@dataclass
class Item:
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> Application:
    app = _app()

    @app.router.post("/items")
    async def create(data: FromJSON[Item]) -> str:
        item = data.value
        return f"{item.name} {item.price * item.quantity} {len(item.tags)}"

    return app


@dataclass
class Person:
    name: str
    email: str


def form() -> Application:
    app = _app()

    @app.router.post("/form")
    async def submit(data: FromForm[Person]) -> str:
        return f"{data.value.name} {data.value.email}"

    return app


def template() -> Application:
    os.environ["APP_JINJA_EXTENSION"] = ".html"  # it is read at import
    from blacksheep.server.rendering.jinja2 import JinjaRenderer

    html_settings.use(JinjaRenderer(FileSystemLoader(DATA / "templates")))
    app = _app()

    @app.router.get("/")
    async def table() -> Response:
        return view("table", {"title": "Table", "rows": ROWS})

    return app


def session() -> Application:
    app = _app()
    app.use_sessions(SECRET)

    @app.router.get("/")
    async def count(request: Request) -> str:
        request.session["count"] = request.session.get("count", 0) + 1
        return str(request.session["count"])

    return app


def routes(count: int = ROUTES) -> Application:
    app = _app()

    async def resource(id: int) -> str:
        return str(id)

    for number in range(count):
        app.router.add_get(f"/resource{number}/{{int:id}}", resource)
    return app


def few_routes() -> Application:
    return routes(FEW_ROUTES)


def hooks() -> Application:
    app = plain_text()

    async def hook(request: Request, handler: Any) -> Response:
        response: Response = await handler(request)
        return response

    for _ in range(HOOKS):
        app.middlewares.append(hook)
    return app


def stream() -> Application:
    app = _app()

    async def generate() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    @app.router.get("/")
    async def chunks() -> Response:
        return Response(200, content=StreamedContent(b"text/plain", generate))

    return app


def websocket() -> Application:
    app = _app()

    @app.router.ws("/")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnectError:
            pass

    return app


def static() -> Application:
    app = _app()
    app.serve_files(DATA / "static", root_path="static")
    return app


def upload() -> Application:
    app = _app()

    @app.router.post("/upload")
    async def take(request: Request) -> str:
        form = await request.form()
        file: FileBuffer
        [file] = form["file"]
        return f"{form['title']} {file.size}"

    return app
