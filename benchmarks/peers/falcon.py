"""Falcon. It has no sessions and no templates: its users take itsdangerous and Jinja."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import falcon
import falcon.asgi
import jinja2
import msgspec
from falcon.asgi import App, Request, Response, WebSocket
from itsdangerous import BadSignature, URLSafeTimedSerializer

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES, ROWS, SECRET


def _app(path: str, resource: Any, **options: Any) -> App:
    app = App(**options)
    app.add_route(path, resource)
    return app


class _Hello:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "Hello, World!"


def plain_text(**options: Any) -> App:
    return _app("/", _Hello(), **options)


def json() -> App:
    class Hello:
        async def on_get(self, req: Request, resp: Response) -> None:
            resp.media = {"message": "Hello, World!"}

    return _app("/", Hello())


def path_text() -> App:
    class Item:
        async def on_get(self, req: Request, resp: Response, id: int) -> None:
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = str(id + 1)

    return _app("/items/{id:int}", Item())


def path_json() -> App:
    class Item:
        async def on_get(self, req: Request, resp: Response, id: int) -> None:
            resp.media = {"id": id, "name": "item"}

    return _app("/items/{id:int}", Item())


def query() -> App:
    class Search:
        async def on_get(self, req: Request, resp: Response) -> None:
            q, page = req.get_param("q"), req.get_param("page")
            order, tag = req.get_param("order"), req.get_param("tag")
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = f"{q} {page} {order} {tag}"

    return _app("/search", Search())


def json_echo() -> App:
    class Echo:
        async def on_post(self, req: Request, resp: Response) -> None:
            resp.media = await req.get_media()

    return _app("/echo", Echo())


class Item(msgspec.Struct):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> App:
    decode = msgspec.json.Decoder(Item).decode

    class Items:
        async def on_post(self, req: Request, resp: Response) -> None:
            try:
                item = decode(await req.stream.read())
            except msgspec.ValidationError as error:
                raise falcon.HTTPBadRequest(description=str(error)) from None
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = f"{item.name} {item.price * item.quantity} {len(item.tags)}"

    return _app("/items", Items())


def form() -> App:
    class Form:
        async def on_post(self, req: Request, resp: Response) -> None:
            form = await req.get_media()
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = f"{form['name']} {form['email']}"

    return _app("/form", Form())


def template() -> App:
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(DATA / "templates"), autoescape=True)

    class Table:
        async def on_get(self, req: Request, resp: Response) -> None:
            resp.content_type = falcon.MEDIA_HTML
            resp.text = env.get_template("table.html").render(title="Table", rows=ROWS)

    return _app("/", Table())


def session() -> App:
    serializer = URLSafeTimedSerializer(SECRET)

    class Count:
        async def on_get(self, req: Request, resp: Response) -> None:
            values = {}
            if cookies := req.get_cookie_values("session"):
                with contextlib.suppress(BadSignature):
                    values = serializer.loads(cookies[0])
            values["count"] = values.get("count", 0) + 1
            resp.set_cookie("session", serializer.dumps(values), path="/", secure=False)
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = str(values["count"])

    return _app("/", Count())


def routes(count: int = ROUTES) -> App:
    class Resource:
        async def on_get(self, req: Request, resp: Response, id: int) -> None:
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = str(id)

    app = App()
    for number in range(count):
        app.add_route(f"/resource{number}/{{id:int}}", Resource())
    return app


def few_routes() -> App:
    return routes(FEW_ROUTES)


class _Hook:
    async def process_request(self, req: Request, resp: Response) -> None:
        pass

    async def process_response(
        self, req: Request, resp: Response, resource: object, req_succeeded: bool
    ) -> None:
        pass


def hooks() -> App:
    return plain_text(middleware=[_Hook() for _ in range(HOOKS)])


def stream() -> App:
    async def generate() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    class Chunks:
        async def on_get(self, req: Request, resp: Response) -> None:
            resp.content_type = falcon.MEDIA_TEXT
            resp.stream = generate()

    return _app("/", Chunks())


def threaded() -> App:
    """Its views are `async def` always. This is how they call what is not."""

    def hello() -> str:
        return "Hello, World!"

    class Hello:
        async def on_get(self, req: Request, resp: Response) -> None:
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = await falcon.sync_to_async(hello)

    return _app("/", Hello())


def websocket() -> App:
    class Echo:
        async def on_websocket(self, req: Request, ws: WebSocket) -> None:
            await ws.accept()
            try:
                while True:
                    await ws.send_text(await ws.receive_text())
            except falcon.WebSocketDisconnected:
                pass

    return _app("/", Echo())


def static() -> App:
    app = App()
    app.add_static_route("/static", DATA / "static")
    return app


def upload() -> App:
    class Upload:
        async def on_post(self, req: Request, resp: Response) -> None:
            title, size = None, 0
            async for part in await req.get_media():
                if part.name == "title":
                    title = await part.text
                elif part.name == "file":
                    size = len(await part.stream.read())
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = f"{title} {size}"

    return _app("/upload", Upload())
