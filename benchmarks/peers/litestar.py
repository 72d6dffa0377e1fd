"""Litestar, with msgspec's structs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, get, post, websocket_listener
from litestar.datastructures import UploadFile
from litestar.middleware import ASGIMiddleware
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import FromPath, FromQuery, JSONBody, MultipartBody, URLEncodedBody
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Stream, Template
from litestar.static_files import create_static_files_router
from litestar.status_codes import HTTP_200_OK
from litestar.template.config import TemplateConfig

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES, ROWS, SECRET


def _app(handlers: list[Any], **options: Any) -> Litestar:
    # Its logging would set up the root logger, and with it those of all peers in the process. It
    # logs no requests.
    return Litestar(handlers, logging_config=None, **options)


@get("/", media_type=MediaType.TEXT)
async def _hello() -> str:
    return "Hello, World!"


def plain_text(**options: Any) -> Litestar:
    return _app([_hello], **options)


def json() -> Litestar:
    @get("/")
    async def hello() -> dict[str, str]:
        return {"message": "Hello, World!"}

    return _app([hello])


def path_text() -> Litestar:
    @get("/items/{id:int}", media_type=MediaType.TEXT)
    async def item(id: FromPath[int]) -> str:
        return str(id + 1)

    return _app([item])


class Named(msgspec.Struct):
    id: int
    name: str


def path_json() -> Litestar:
    @get("/items/{id:int}")
    async def item(id: FromPath[int]) -> Named:
        return Named(id, "item")

    return _app([item])


def query() -> Litestar:
    @get("/search", media_type=MediaType.TEXT)
    async def search(
        q: FromQuery[str], page: FromQuery[int], order: FromQuery[str], tag: FromQuery[str]
    ) -> str:
        return f"{q} {page} {order} {tag}"

    return _app([search])


def json_echo() -> Litestar:
    @post("/echo", status_code=HTTP_200_OK)
    async def echo(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
        return data

    return _app([echo])


class Item(msgspec.Struct):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> Litestar:
    @post("/items", media_type=MediaType.TEXT, status_code=HTTP_200_OK)
    async def create(data: JSONBody[Item]) -> str:
        return f"{data.name} {data.price * data.quantity} {len(data.tags)}"

    return _app([create])


class Person(msgspec.Struct):
    name: str
    email: str


def form() -> Litestar:
    @post("/form", media_type=MediaType.TEXT, status_code=HTTP_200_OK)
    async def submit(
        data: URLEncodedBody[Person],
    ) -> str:
        return f"{data.name} {data.email}"

    return _app([submit])


def template() -> Litestar:
    @get("/")
    async def table() -> Template:
        return Template("table.html", context={"title": "Table", "rows": ROWS})

    config = TemplateConfig(directory=DATA / "templates", engine=JinjaTemplateEngine)
    return _app([table], template_config=config)


def session() -> Litestar:
    """The cookie is encrypted: there is no session that is only signed."""

    @get("/", media_type=MediaType.TEXT)
    async def count(request: Request[Any, Any, Any]) -> str:
        request.session["count"] = request.session.get("count", 0) + 1
        return str(request.session["count"])

    config = CookieBackendConfig(secret=SECRET.encode()[:32])
    return _app([count], middleware=[config.middleware])


def routes(count: int = ROUTES) -> Litestar:
    async def resource(id: FromPath[int]) -> str:
        return str(id)

    return _app(
        [
            get(f"/resource{number}/{{id:int}}", media_type=MediaType.TEXT)(resource)
            for number in range(count)
        ]
    )


def few_routes() -> Litestar:
    return routes(FEW_ROUTES)


class _Hook(ASGIMiddleware):
    async def handle(self, scope: Any, receive: Any, send: Any, next_app: Any) -> None:
        await next_app(scope, receive, send)


def hooks() -> Litestar:
    """A layer has one hook before and one after a request: five are middlewares."""
    return plain_text(middleware=[_Hook() for _ in range(HOOKS)])


def stream() -> Litestar:
    async def generate() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    @get("/")
    async def chunks() -> Stream:
        return Stream(generate(), media_type=MediaType.TEXT)

    return _app([chunks])


def threaded() -> Litestar:
    @get("/", media_type=MediaType.TEXT, sync_to_thread=True)
    def hello() -> str:
        return "Hello, World!"

    return _app([hello])


def websocket() -> Litestar:
    @websocket_listener("/")
    async def echo(data: str) -> str:
        return data

    return _app([echo])


def static() -> Litestar:
    return _app([create_static_files_router(path="/static", directories=[DATA / "static"])])


@dataclass
class Upload:
    title: str
    file: UploadFile


def upload() -> Litestar:
    @post("/upload", media_type=MediaType.TEXT, status_code=HTTP_200_OK)
    async def take(
        data: MultipartBody[Upload],
    ) -> str:
        return f"{data.title} {data.file.file.seek(0, 2)}"

    return _app([take])
