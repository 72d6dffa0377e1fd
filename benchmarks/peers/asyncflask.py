"""asyncflask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from asyncflask import Flask, abort, render_template, request
from asyncflask import session as current_session
from asyncflask import websocket as socket
from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES, ROWS, SECRET


def _app() -> Flask:
    return Flask(__name__, template_folder=str(DATA / "templates"), static_folder=None)


def plain_text() -> Flask:
    app = _app()

    @app.get("/")
    async def hello() -> str:
        return "Hello, World!"

    return app


def json() -> Flask:
    app = _app()

    @app.get("/")
    async def hello() -> dict[str, Any]:
        return {"message": "Hello, World!"}

    return app


def path_text() -> Flask:
    app = _app()

    @app.get("/items/<int:id>")
    async def item(id: int) -> str:
        return str(id + 1)

    return app


def path_json() -> Flask:
    app = _app()

    @app.get("/items/<int:id>")
    async def item(id: int) -> dict[str, Any]:
        return {"id": id, "name": "item"}

    return app


def query() -> Flask:
    app = _app()

    @app.get("/search")
    async def search() -> str:
        args = request.args
        return f"{args['q']} {args['page']} {args['order']} {args['tag']}"

    return app


def json_echo() -> Flask:
    app = _app()

    @app.post("/echo")
    async def echo() -> Any:
        return await request.get_json()

    return app


class Item(msgspec.Struct):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> Flask:
    app = _app()
    decode = msgspec.json.Decoder(Item).decode

    @app.post("/items")
    async def create() -> str:
        try:
            item = decode(await request.data)
        except msgspec.ValidationError as error:
            abort(400, str(error))
        return f"{item.name} {item.price * item.quantity} {len(item.tags)}"

    return app


def form() -> Flask:
    app = _app()

    @app.post("/form")
    async def submit() -> str:
        form = await request.form
        return f"{form['name']} {form['email']}"

    return app


def template() -> Flask:
    app = _app()

    @app.get("/")
    async def table() -> str:
        return await render_template("table.html", title="Table", rows=ROWS)

    return app


def session() -> Flask:
    app = _app()
    app.secret_key = SECRET

    @app.get("/")
    async def count() -> str:
        current_session["count"] = current_session.get("count", 0) + 1
        return str(current_session["count"])

    return app


def routes(count: int = ROUTES) -> Flask:
    app = _app()

    async def resource(id: int) -> str:
        return str(id)

    for number in range(count):
        app.add_url_rule(f"/resource{number}/<int:id>", f"resource{number}", resource)
    return app


def few_routes() -> Flask:
    return routes(FEW_ROUTES)


def hooks() -> Flask:
    app = plain_text()

    async def before() -> None:
        pass

    async def after(response: Any) -> Any:
        return response

    for _ in range(HOOKS):
        app.before_request(before)
        app.after_request(after)
    return app


def stream() -> Flask:
    app = _app()

    @app.get("/")
    async def chunks() -> Any:
        async def generate() -> AsyncIterator[bytes]:
            for _ in range(CHUNKS):
                yield CHUNK

        return generate()

    return app


def threaded() -> Flask:
    app = _app()

    @app.get("/")
    def hello() -> str:
        return "Hello, World!"

    return app


def websocket() -> Flask:
    app = _app()

    @app.websocket("/")
    async def echo() -> None:
        async for message in socket:
            await socket.send(message)

    return app


def static() -> Flask:
    return Flask(__name__, static_folder=str(DATA / "static"))


def upload() -> Flask:
    app = _app()

    @app.post("/upload")
    async def take() -> str:
        form, files = await request.form, await request.files
        return f"{form['title']} {files['file'].seek(0, 2)}"

    return app
