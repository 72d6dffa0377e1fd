"""The floor: bare ASGI callables that send what asyncflask sends."""

from __future__ import annotations

import asyncio
import json as stdlib_json
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

import jinja2
import msgspec
from itsdangerous import URLSafeTimedSerializer

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, ROWS, SECRET

NOSNIFF = (b"x-content-type-options", b"nosniff")
TEXT = (b"content-type", b"text/html; charset=utf-8")
JSON = (b"content-type", b"application/json")


async def _answer(send: Any, body: bytes, content_type: Any = TEXT, *extra: Any) -> None:
    length = (b"content-length", b"%d" % len(body))
    headers = [content_type, NOSNIFF, length, *extra]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Any) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


def plain_text() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, b"Hello, World!")

    return app


def json() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, stdlib_json.dumps({"message": "Hello, World!"}).encode(), JSON)

    return app


def path_text() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        id = int(scope["path"].rpartition("/")[2])
        await _answer(send, str(id + 1).encode())

    return app


def path_json() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        id = int(scope["path"].rpartition("/")[2])
        await _answer(send, stdlib_json.dumps({"id": id, "name": "item"}).encode(), JSON)

    return app


def query() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        args = dict(parse_qsl(scope["query_string"].decode()))
        await _answer(send, f"{args['q']} {args['page']} {args['order']} {args['tag']}".encode())

    return app


def json_echo() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        value = stdlib_json.loads(await _body(receive))
        await _answer(send, stdlib_json.dumps(value).encode(), JSON)

    return app


class Item(msgspec.Struct):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> Any:
    decode = msgspec.json.Decoder(Item).decode

    async def app(scope: Any, receive: Any, send: Any) -> None:
        item = decode(await _body(receive))
        text = f"{item.name} {item.price * item.quantity} {len(item.tags)}"
        await _answer(send, text.encode())

    return app


def form() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        values = dict(parse_qsl((await _body(receive)).decode()))
        await _answer(send, f"{values['name']} {values['email']}".encode())

    return app


def template() -> Any:
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DATA / "templates"), autoescape=True, auto_reload=False
    )
    page = env.get_template("table.html")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, page.render(title="Table", rows=ROWS).encode())

    return app


def session() -> Any:
    serializer = URLSafeTimedSerializer(
        SECRET, salt="cookie-session", signer_kwargs={"key_derivation": "hmac"}
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        values = {"count": 0}
        for name, value in scope["headers"]:
            if name == b"cookie":
                values = serializer.loads(SimpleCookie(value.decode())["session"].value)
        values["count"] += 1
        cookie = f"session={serializer.dumps(values)}; HttpOnly; Path=/; SameSite=Lax"
        extra = (b"set-cookie", cookie.encode()), (b"vary", b"Cookie")
        await _answer(send, str(values["count"]).encode(), TEXT, *extra)

    return app


def routes() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, str(int(scope["path"].rpartition("/")[2])).encode())

    return app


few_routes = routes
hooks = plain_text


def stream() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [TEXT, NOSNIFF]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(CHUNKS):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def threaded() -> Any:
    def view() -> bytes:
        return b"Hello, World!"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, await asyncio.get_running_loop().run_in_executor(None, view))

    return app


def websocket() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})

    return app


def static() -> Any:
    read = (DATA / "static/style.css").read_bytes

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await asyncio.get_running_loop().run_in_executor(None, read)
        await _answer(send, body, (b"content-type", b"text/css; charset=utf-8"))

    return app


def upload() -> Any:
    from python_multipart import create_form_parser

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found: dict[str, Any] = {}
        parser = create_form_parser(
            {"Content-Type": dict(scope["headers"])[b"content-type"]},
            lambda field: found.update(title=field.value.decode()),
            lambda file: found.update(file=file),
            config={"MAX_MEMORY_FILE_SIZE": 512 * 1024},
        )
        while True:
            message = await receive()
            parser.write(message["body"])
            if not message["more_body"]:
                break
        parser.finalize()
        await _answer(send, f"{found['title']} {found['file'].size}".encode())
        found["file"].close()

    return app
