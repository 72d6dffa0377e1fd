"""The floor: bare ASGI callables that send what asyncflask sends."""

from __future__ import annotations

import asyncio
import hmac
import json as stdlib_json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from email.utils import formatdate
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

import jinja2
import msgspec
from python_multipart import MultipartParser

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
    """What itsdangerous does for Flask's cookie: JSON, the time, and an HMAC."""
    key = hmac.digest(SECRET.encode(), b"cookie-session", "sha1")

    def sign(value: bytes) -> bytes:
        return urlsafe_b64encode(hmac.digest(key, value, "sha1")).rstrip(b"=")

    def load(cookie: bytes) -> Any:
        signed, _, signature = cookie.rpartition(b".")
        if not hmac.compare_digest(sign(signed), signature):
            return {}
        payload = signed.rpartition(b".")[0]
        return stdlib_json.loads(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))

    def dump(values: Any) -> bytes:
        payload = urlsafe_b64encode(stdlib_json.dumps(values, separators=(",", ":")).encode())
        now = urlsafe_b64encode(int(time.time()).to_bytes(4)).rstrip(b"=")
        signed = payload.rstrip(b"=") + b"." + now
        return signed + b"." + sign(signed)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        values: Any = {}
        for name, value in scope["headers"]:
            if name == b"cookie":
                values = load(value.partition(b"session=")[2].partition(b";")[0])
        values["count"] = values.get("count", 0) + 1
        cookie = b"session=" + dump(values) + b"; HttpOnly; Path=/; SameSite=Lax"
        extra = (b"set-cookie", cookie), (b"vary", b"Cookie")
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
    path = DATA / "static/style.css"

    def read() -> tuple[bytes, os.stat_result]:
        with open(path, "rb") as file:
            return file.read(), os.fstat(file.fileno())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, status = await asyncio.get_running_loop().run_in_executor(None, read)
        await _answer(
            send,
            body,
            (b"content-type", b"text/css; charset=utf-8"),
            (b"last-modified", formatdate(status.st_mtime, usegmt=True).encode()),
            (b"etag", b'"%x-%x"' % (status.st_mtime_ns, status.st_size)),
            (b"cache-control", b"no-cache"),
        )

    return app


def upload() -> Any:
    """Parses what arrives as it arrives; the parts are kept in memory."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        parts: dict[bytes, BytesIO] = {}
        header = b""
        write: Any = None

        def on_header_value(data: bytes, start: int, end: int) -> None:
            nonlocal header
            header += data[start:end]

        def on_headers_finished() -> None:
            nonlocal header, write
            name = header.partition(b' name="')[2].partition(b'"')[0]
            parts[name] = BytesIO()
            header, write = b"", parts[name].write

        def on_part_data(data: bytes, start: int, end: int) -> None:
            write(data[start:end])

        boundary = dict(scope["headers"])[b"content-type"].partition(b"boundary=")[2]
        callbacks: Any = {
            "on_header_value": on_header_value,
            "on_headers_finished": on_headers_finished,
            "on_part_data": on_part_data,
        }
        parser = MultipartParser(boundary, callbacks)
        message = await receive()
        parser.write(message["body"])
        while message["more_body"]:
            message = await receive()
            parser.write(message["body"])
        parser.finalize()
        title = parts[b"title"].getvalue().decode()
        await _answer(send, f"{title} {parts[b'file'].tell()}".encode())

    return app
