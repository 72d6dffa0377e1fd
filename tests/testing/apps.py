"""Small ASGI applications, and a plain httpx client for them, for the tests of the test clients."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asyncflask.testing._httpx import httpx
from asyncflask.testing.transport import ASGITransport

#: The message that starts a plain response.
START: Message = {"type": "http.response.start", "status": 200, "headers": []}


class Dressed:
    """An ASGI callable with the two attributes that the clients read from a Flask application."""

    json = json

    def __init__(self, asgi: ASGIApp, **config: Any) -> None:
        self._asgi = asgi
        self.config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._asgi(scope, receive, send)


async def read_body(receive: Receive) -> bytes:
    """Return the whole request body."""
    body = b""
    while True:
        message: Message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


async def respond(
    send: Send, body: bytes, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send a complete response."""
    await send({"type": "http.response.start", "status": status, "headers": headers or []})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what arrived, as JSON."""
    if scope["type"] != "http":
        return
    body = await read_body(receive)
    seen = {
        key: value.decode("latin-1") if isinstance(value, bytes) else value
        for key, value in scope.items()
        if isinstance(value, (str, bytes, int, float, dict))
    }
    seen["client"], seen["server"] = scope["client"], scope["server"]
    seen["headers"] = [[k.decode("latin-1"), v.decode("latin-1")] for k, v in scope["headers"]]
    seen["body"] = body.decode("latin-1")
    text = json.dumps(seen).encode()
    await respond(send, text, headers=[(b"content-type", b"application/json")])


def echo_app(**config: Any) -> Dressed:
    """Return an application that answers with what arrived."""
    return Dressed(echo, **config)


def client_for(app: ASGIApp, **options: Any) -> httpx.AsyncClient:
    """Return httpx's own client for an ASGI callable."""
    return httpx.AsyncClient(transport=ASGITransport(app, **options), base_url="http://localhost")


def body(chunk: bytes = b"", more: bool = False) -> Message:
    """Return the message for a chunk of a response."""
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def other_tasks() -> set[asyncio.Task[Any]]:
    """Return the tasks that run besides the test's own."""
    return asyncio.all_tasks() - {asyncio.current_task()}
