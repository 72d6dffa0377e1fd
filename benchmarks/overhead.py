"""What a request costs in process, beside a bare ASGI callable and Starlette.

Run it with ``python benchmarks/overhead.py``. Each candidate answers the same requests on one event
loop, in interleaved rounds; the figures are medians of the rounds' CPU time per request, and the
ratio is the cost above the bare callable relative to Starlette's. Only ratios mean anything:
machines differ, and so do their minutes.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asyncflask import Flask, request

App = Callable[[Any, Any, Any], Awaitable[None]]

HEADERS = [
    (b"host", b"127.0.0.1:5000"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"connection", b"keep-alive"),
]


def make_scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 5000),
        "client": ("127.0.0.1", 40000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": HEADERS,
        "state": {},
    }


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


# The candidates: plain text.

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"13"),
        (b"x-content-type-options", b"nosniff"),
    ],
}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await send(dict(_START))
    await send({"type": "http.response.body", "body": b"Hello, World!"})


async def bare_thread(scope: Any, receive: Any, send: Any) -> None:
    loop = asyncio.get_running_loop()
    body = await loop.run_in_executor(None, lambda: b"Hello, World!")
    await send(dict(_START))
    await send({"type": "http.response.body", "body": body})


def starlette_app(rules: int = 0) -> App:
    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("Hello, World!", headers={"x-content-type-options": "nosniff"})

    def threaded(request: Request) -> PlainTextResponse:
        return PlainTextResponse("Hello, World!", headers={"x-content-type-options": "nosniff"})

    return Starlette(routes=[Route("/", hello), Route("/def", threaded)])


def flask_app() -> App:
    app = Flask(__name__, static_folder=None)

    @app.get("/")
    async def hello() -> str:
        return "Hello, World!"

    @app.get("/request")
    async def uses_request() -> str:
        return "Hello, World!" if request.method == "GET" else "?"

    @app.get("/def")
    def threaded() -> str:
        return "Hello, World!"

    return app


def rest_app(rules: int) -> App:
    """An application with ``rules`` rules of a REST shape."""
    app = Flask(__name__, static_folder=None)

    async def view(**values: Any) -> str:
        return "ok"

    for number in range(rules // 5):
        base = f"/resource{number}"
        app.add_url_rule(base, f"list{number}", view)
        app.add_url_rule(base, f"create{number}", view, methods=["POST"])
        app.add_url_rule(f"{base}/<int:id>", f"get{number}", view)
        app.add_url_rule(f"{base}/<int:id>", f"put{number}", view, methods=["PUT"])
        app.add_url_rule(f"{base}/<int:id>/parts/<name>", f"part{number}", view)
    return app


async def cost(app: App, path: str, requests: int) -> float:
    """Return the CPU microseconds per request, of all threads."""
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app(make_scope(path), receive, send)
    assert sent[0]["status"] == 200, sent
    assert sent[1]["body"] in (b"Hello, World!", b"ok"), sent

    async def drop(message: Any) -> None:
        pass

    started = time.process_time()
    for _ in range(requests):
        await app(make_scope(path), receive, drop)
    return (time.process_time() - started) / requests * 1e6


async def compare(
    candidates: dict[str, tuple[App, str]], requests: int, rounds: int
) -> dict[str, float]:
    results: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        print(f"\r  round {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        for name, (app, path) in candidates.items():
            results[name].append(await cost(app, path, requests))
    print("\r" + " " * 30 + "\r", end="", file=sys.stderr)
    return {name: statistics.median(values) for name, values in results.items()}


def show(title: str, medians: dict[str, float], floor: str, peer: str) -> None:
    print(f"\n{title}")
    for name, value in medians.items():
        ratio = (value - medians[floor]) / (medians[peer] - medians[floor])
        print(f"  {name:34} {value:8.2f} us   overhead {ratio:6.2f} of {peer}'s")


async def main() -> None:
    star, ours = starlette_app(), flask_app()
    plain = {
        "bare ASGI": (bare, "/"),
        "Starlette": (star, "/"),
        "asyncflask": (ours, "/"),
        "asyncflask, with `request` used": (ours, "/request"),
    }
    show("Plain text", await compare(plain, 4000, 15), "bare ASGI", "Starlette")
    threaded = {
        "bare run_in_executor": (bare_thread, "/"),
        "Starlette": (star, "/def"),
        "asyncflask": (ours, "/def"),
    }
    show(
        "A `def` view, in a thread",
        await compare(threaded, 1500, 11),
        "bare run_in_executor",
        "Starlette",
    )
    rules = {
        f"{count:5} rules": (rest_app(count), f"/resource{count // 5 - 1}/7")
        for count in (10, 2000)
    }
    few, many = (await compare(rules, 4000, 15)).values()
    print(f"\nThe last of N rules\n     10 rules {few:8.2f} us\n   2000 rules {many:8.2f} us")
    print(f"  ratio {many / few:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
