"""The application that every server in ``test_servers.py`` serves, as a user would write it.

It prints what the tests wait for: they run in another process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any
from wsgiref.validate import validator

from asyncflask import Flask, Response, request, send_file, websocket
from asyncflask.wsgi import WSGIAdapter
from tests.ecosystem import faults

app = Flask("served", static_folder=None)


def tell(*words: object) -> None:
    print("#", *words, flush=True)


@app.while_serving
async def serving() -> AsyncIterator[None]:
    tell("STARTED", os.getpid())
    yield
    tell("ENDED", os.getpid())


@app.get("/")
async def index() -> str:
    return "Hello!"


@app.get("/who")
async def who() -> dict[str, Any]:
    loop = id(asyncio.get_running_loop())
    return {"pid": os.getpid(), "loop": loop, "thread": threading.current_thread().name}


@app.get("/thread")
def thread() -> str:
    return threading.current_thread().name


@app.route("/seen/<path:rest>", methods=["GET", "POST"])
async def seen(rest: str) -> dict[str, Any]:
    return {
        "rest": rest,
        "q": request.args.get("q"),
        "url": request.url,
        "method": request.method,
        "http": request.scope["http_version"],
        "twice": ",".join(request.headers.getlist("X-Twice")),
    }


@app.post("/size")
async def size() -> str:
    total = 0
    async for chunk in request.body:
        if not total:
            tell("GOT", chunk[:5].decode())
        total += len(chunk)
    return str(total)


@app.post("/size/def")
def size_in_thread() -> str:
    total = 0
    while chunk := request.stream.read(1000):
        if not total:
            tell("GOT", chunk[:5].decode())
        total += len(chunk)
    return str(total)


@app.post("/form")
def form() -> str:
    return f"{request.form['a']} {request.files['file'].read().decode()}"


@app.post("/unread")
async def unread() -> tuple[str, int]:
    return "I do not want it.", 403


@app.post("/left")
async def left() -> str:
    try:
        await request.get_data()
    except Exception as exc:
        tell("LEFT", type(exc).__name__)
        raise
    return "whole"


@app.get("/parts")
async def parts() -> Response:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"part {number}\n"

    return Response(pieces(), mimetype="text/plain")


@app.get("/ticks")
async def ticks() -> Response:
    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick" * 1000
                await asyncio.sleep(0.01)
        finally:
            tell("CLOSED /ticks")

    return Response(endless(), mimetype="text/plain")


@app.get("/ticks/def")
def ticks_in_thread() -> Response:
    def endless() -> Iterator[str]:
        try:
            while True:
                yield "tick" * 1000
        finally:
            tell("CLOSED /ticks/def")

    return Response(endless(), mimetype="text/plain")


@app.get("/cancelled", on_disconnect="cancel")
async def cancelled() -> str:
    tell("WAITING")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        tell("CANCELLED")
        raise
    return "nobody left"


@app.get("/file")
def file() -> Response:
    return send_file(__file__, mimetype="text/plain")


@app.get("/cookies")
async def cookies() -> Response:
    response = Response("two")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


@app.get("/error")
async def error() -> str:
    raise ZeroDivisionError


@app.get("/error/late")
async def late_error() -> Response:
    async def pieces() -> AsyncIterator[str]:
        yield "half of it"
        raise ZeroDivisionError

    return Response(pieces(), mimetype="text/plain")


@app.get("/slow")
async def slow() -> str:
    """Is under way until the shutdown begins, or for a second where nobody tells of that."""
    tell("WORKING")
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await app.draining.wait()
    return "done"


@app.get("/die")
async def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.websocket("/echo")
async def echo() -> None:
    try:
        async for message in websocket:
            await websocket.send(message)
    finally:
        tell("SOCKET")


@app.websocket("/closing")
async def closing() -> None:
    await websocket.accept({"X-Room": "blue"}, subprotocol="chat")
    await websocket.receive()
    await websocket.close(4001, "enough")


app.mount("/legacy", WSGIAdapter(faults.legacy))
app.mount("/asgi", faults.asgi)
app.mount("/wsgi", WSGIAdapter(faults.wsgi))

wsgi = app.wsgi_app
validated = validator(app.wsgi_app)
