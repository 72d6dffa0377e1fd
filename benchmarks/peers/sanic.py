"""Sanic on its own server. It has no sessions; its templates are an extension's."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from sanic import HTTPResponse, Request, Sanic, Websocket, text
from sanic import json as json_response
from sanic.exceptions import BadRequest

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES


def command(scenario: str, port: int) -> list[str]:
    """Return the command of its server."""
    return [
        *(sys.executable, "-m", "sanic", f"benchmarks.peers.sanic:{scenario}", "--factory"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--single-process", "--no-access-logs", "--no-motd"),
    ]


def plain_text() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.get("/")
    async def hello(request: Request) -> HTTPResponse:
        return text("Hello, World!")

    return app


def json() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.get("/")
    async def hello(request: Request) -> HTTPResponse:
        return json_response({"message": "Hello, World!"})

    return app


def path_text() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.get("/items/<id:int>")
    async def item(request: Request, id: int) -> HTTPResponse:
        return text(str(id + 1))

    return app


def path_json() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.get("/items/<id:int>")
    async def item(request: Request, id: int) -> HTTPResponse:
        return json_response({"id": id, "name": "item"})

    return app


def query() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.get("/search")
    async def search(request: Request) -> HTTPResponse:
        get = request.args.get
        return text(f"{get('q')} {get('page')} {get('order')} {get('tag')}")

    return app


def json_echo() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.post("/echo")
    async def echo(request: Request) -> HTTPResponse:
        return json_response(request.json)

    return app


class Item(msgspec.Struct):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> Sanic[Any, Any]:
    app = Sanic("benchmark")
    decode = msgspec.json.Decoder(Item).decode

    @app.post("/items")
    async def create(request: Request) -> HTTPResponse:
        try:
            item = decode(request.body)
        except msgspec.ValidationError as error:
            raise BadRequest(str(error)) from None
        return text(f"{item.name} {item.price * item.quantity} {len(item.tags)}")

    return app


def form() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.post("/form")
    async def submit(request: Request) -> HTTPResponse:
        form = request.form
        return text(f"{form.get('name')} {form.get('email')}")

    return app


def _routes(count: int) -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    async def resource(request: Request, id: int) -> HTTPResponse:
        return text(str(id))

    for number in range(count):
        app.add_route(resource, f"/resource{number}/<id:int>", name=f"resource{number}")
    return app


def routes() -> Sanic[Any, Any]:
    return _routes(ROUTES)


def few_routes() -> Sanic[Any, Any]:
    return _routes(FEW_ROUTES)


def hooks() -> Sanic[Any, Any]:
    app = plain_text()
    for _ in range(HOOKS):

        @app.on_request
        async def before(request: Request) -> None:
            pass

        @app.on_response
        async def after(request: Request, response: HTTPResponse) -> None:
            pass

    return app


def stream() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.get("/")
    async def chunks(request: Request) -> None:
        response = await request.respond(content_type="text/plain")
        for _ in range(CHUNKS):
            await response.send(CHUNK)
        await response.eof()

    return app


def websocket() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.websocket("/")
    async def echo(request: Request, ws: Websocket) -> None:
        async for message in ws:
            await ws.send(message)

    return app


def static() -> Sanic[Any, Any]:
    app = Sanic("benchmark")
    app.static("/static", DATA / "static")
    return app


def upload() -> Sanic[Any, Any]:
    app = Sanic("benchmark")

    @app.post("/upload")
    async def take(request: Request) -> HTTPResponse:
        return text(f"{request.form.get('title')} {len(request.files.get('file').body)}")

    return app
