"""Starlette."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.websockets import WebSocket

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES, ROWS, SECRET


def plain_text(**options: Any) -> Starlette:
    async def hello(request: Request) -> Response:
        return PlainTextResponse("Hello, World!")

    return Starlette(routes=[Route("/", hello)], **options)


def json() -> Starlette:
    async def hello(request: Request) -> Response:
        return JSONResponse({"message": "Hello, World!"})

    return Starlette(routes=[Route("/", hello)])


def path_text() -> Starlette:
    async def item(request: Request) -> Response:
        return PlainTextResponse(str(request.path_params["id"] + 1))

    return Starlette(routes=[Route("/items/{id:int}", item)])


def path_json() -> Starlette:
    async def item(request: Request) -> Response:
        return JSONResponse({"id": request.path_params["id"], "name": "item"})

    return Starlette(routes=[Route("/items/{id:int}", item)])


def query() -> Starlette:
    async def search(request: Request) -> Response:
        args = request.query_params
        return PlainTextResponse(f"{args['q']} {args['page']} {args['order']} {args['tag']}")

    return Starlette(routes=[Route("/search", search)])


def json_echo() -> Starlette:
    async def echo(request: Request) -> Response:
        return JSONResponse(await request.json())

    return Starlette(routes=[Route("/echo", echo, methods=["POST"])])


class Item(msgspec.Struct):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> Starlette:
    decode = msgspec.json.Decoder(Item).decode

    async def create(request: Request) -> Response:
        try:
            item = decode(await request.body())
        except msgspec.ValidationError as error:
            raise HTTPException(400, str(error)) from None
        return PlainTextResponse(f"{item.name} {item.price * item.quantity} {len(item.tags)}")

    return Starlette(routes=[Route("/items", create, methods=["POST"])])


def form() -> Starlette:
    async def submit(request: Request) -> Response:
        async with request.form() as form:
            return PlainTextResponse(f"{form['name']} {form['email']}")

    return Starlette(routes=[Route("/form", submit, methods=["POST"])])


def template() -> Starlette:
    templates = Jinja2Templates(directory=DATA / "templates")

    async def table(request: Request) -> Response:
        return templates.TemplateResponse(request, "table.html", {"title": "Table", "rows": ROWS})

    return Starlette(routes=[Route("/", table)])


def session() -> Starlette:
    async def count(request: Request) -> Response:
        request.session["count"] = request.session.get("count", 0) + 1
        return PlainTextResponse(str(request.session["count"]))

    middleware = [Middleware(SessionMiddleware, secret_key=SECRET)]
    return Starlette(routes=[Route("/", count)], middleware=middleware)


def routes(count: int = ROUTES) -> Starlette:
    async def resource(request: Request) -> Response:
        return PlainTextResponse(str(request.path_params["id"]))

    return Starlette(
        routes=[Route(f"/resource{number}/{{id:int}}", resource) for number in range(count)]
    )


def few_routes() -> Starlette:
    return routes(FEW_ROUTES)


class _Hook(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


def hooks() -> Starlette:
    return plain_text(middleware=[Middleware(_Hook) for _ in range(HOOKS)])


def stream() -> Starlette:
    async def generate() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    async def chunks(request: Request) -> Response:
        return StreamingResponse(generate(), media_type="text/plain")

    return Starlette(routes=[Route("/", chunks)])


def threaded() -> Starlette:
    def hello(request: Request) -> Response:
        return PlainTextResponse("Hello, World!")

    return Starlette(routes=[Route("/", hello)])


def websocket() -> Starlette:
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        async for message in socket.iter_text():
            await socket.send_text(message)

    return Starlette(routes=[WebSocketRoute("/", echo)])


def static() -> Starlette:
    return Starlette(routes=[Mount("/static", StaticFiles(directory=DATA / "static"))])


def upload() -> Starlette:
    async def take(request: Request) -> Response:
        async with request.form() as form:
            title, file = form["title"], form["file"]
            assert not isinstance(file, str)
            return PlainTextResponse(f"{title} {file.size}")

    return Starlette(routes=[Route("/upload", take, methods=["POST"])])
