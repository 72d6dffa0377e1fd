"""aiohttp on its own server, with aiohttp-jinja2 and aiohttp-session."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp_jinja2
import jinja2
import msgspec
import uvloop
from aiohttp import WSMsgType, web
from aiohttp_session import get_session, setup
from aiohttp_session.cookie_storage import EncryptedCookieStorage

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES, ROWS, SECRET


def command(scenario: str, port: int) -> list[str]:
    """Return the command of its server."""
    return [sys.executable, "-m", __name__, scenario, str(port)]


def _app(method: str, path: str, handler: Any, **options: Any) -> web.Application:
    app = web.Application(**options)
    app.router.add_route(method, path, handler)
    return app


async def _hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, World!")


def plain_text(**options: Any) -> web.Application:
    return _app("GET", "/", _hello, **options)


def json() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.json_response({"message": "Hello, World!"})

    return _app("GET", "/", hello)


def path_text() -> web.Application:
    async def item(request: web.Request) -> web.Response:
        return web.Response(text=str(int(request.match_info["id"]) + 1))

    return _app("GET", r"/items/{id:\d+}", item)


def path_json() -> web.Application:
    async def item(request: web.Request) -> web.Response:
        return web.json_response({"id": int(request.match_info["id"]), "name": "item"})

    return _app("GET", r"/items/{id:\d+}", item)


def query() -> web.Application:
    async def search(request: web.Request) -> web.Response:
        args = request.query
        return web.Response(text=f"{args['q']} {args['page']} {args['order']} {args['tag']}")

    return _app("GET", "/search", search)


def json_echo() -> web.Application:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    return _app("POST", "/echo", echo)


class Item(msgspec.Struct):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> web.Application:
    decode = msgspec.json.Decoder(Item).decode

    async def create(request: web.Request) -> web.Response:
        try:
            item = decode(await request.read())
        except msgspec.ValidationError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return web.Response(text=f"{item.name} {item.price * item.quantity} {len(item.tags)}")

    return _app("POST", "/items", create)


def form() -> web.Application:
    async def submit(request: web.Request) -> web.Response:
        form = await request.post()
        return web.Response(text=f"{form['name']} {form['email']}")

    return _app("POST", "/form", submit)


def template() -> web.Application:
    @aiohttp_jinja2.template("table.html")
    async def table(request: web.Request) -> dict[str, Any]:
        return {"title": "Table", "rows": ROWS}

    app = _app("GET", "/", table)
    aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(DATA / "templates"))
    return app


def session() -> web.Application:
    """The cookie is encrypted: there is no session that is only signed."""

    async def count(request: web.Request) -> web.Response:
        session = await get_session(request)
        session["count"] = session.get("count", 0) + 1
        return web.Response(text=str(session["count"]))

    app = _app("GET", "/", count)
    setup(app, EncryptedCookieStorage(SECRET.encode()[:32], cookie_name="session"))
    return app


def routes(count: int = ROUTES) -> web.Application:
    async def resource(request: web.Request) -> web.Response:
        return web.Response(text=str(int(request.match_info["id"])))

    app = web.Application()
    for number in range(count):
        app.router.add_get(rf"/resource{number}/{{id:\d+}}", resource)
    return app


def few_routes() -> web.Application:
    return routes(FEW_ROUTES)


@web.middleware
async def _hook(request: web.Request, handler: Any) -> web.StreamResponse:
    response: web.StreamResponse = await handler(request)
    return response


def hooks() -> web.Application:
    return plain_text(middlewares=[_hook] * HOOKS)


def stream() -> web.Application:
    async def chunks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "text/plain"
        await response.prepare(request)
        for _ in range(CHUNKS):
            await response.write(CHUNK)
        await response.write_eof()
        return response

    return _app("GET", "/", chunks)


def threaded() -> web.Application:
    """Its views are `async def` always. This is how they call what is not."""

    def hello() -> str:
        return "Hello, World!"

    async def view(request: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(hello))

    return _app("GET", "/", view)


def websocket() -> web.Application:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(message.data)
        return socket

    return _app("GET", "/", echo)


def static() -> web.Application:
    app = web.Application()
    app.router.add_static("/static", DATA / "static")
    return app


def upload() -> web.Application:
    async def take(request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        return web.Response(text=f"{form['title']} {file.file.seek(0, 2)}")

    return _app("POST", "/upload", take, client_max_size=16 * 1024**2)


if __name__ == "__main__":
    web.run_app(
        globals()[sys.argv[1]](),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
