"""Applications that do what they should not: ``served.py`` mounts them at ``/asgi`` and ``/wsgi``.

The path says what goes wrong.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import flask

legacy = flask.Flask("legacy")


@legacy.post("/size")
def size() -> str:
    """Read the whole body."""
    return str(len(flask.request.get_data()))


class Fault(Exception):
    """Raised on purpose."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# ASGI: applications by path.


async def raises(scope: Any, receive: Any, send: Any) -> None:
    raise Fault("asgi")


async def says_nothing(scope: Any, receive: Any, send: Any) -> None:
    pass


def after_half_a_body(then: Callable[[], None]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        then()

    return app


def raises_half_way() -> None:
    raise Fault("asgi half-way")


ASGI = {
    "/raises": raises,
    "/says-nothing": says_nothing,
    "/raises-half-way": after_half_a_body(raises_half_way),
    "/dies-half-way": after_half_a_body(die),
}


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """All of them."""
    if scope["type"] == "http":
        await ASGI[scope["path"].removeprefix(scope["root_path"])](scope, receive, send)


# WSGI: status, headers, and how often they are told; and what is returned then.


def half_and(then: Callable[[], None]) -> Iterator[bytes]:
    yield b"half"
    then()


def wsgi_raises() -> None:
    raise Fault("wsgi half-way")


def length(size: int) -> list[tuple[str, str]]:
    return [("Content-Length", str(size))]


PLAIN = ("Content-Type", "text/plain")
WSGI: dict[str, tuple[str, list[tuple[str, str]], int, Any]] = {
    "/never-starts": ("200 OK", [], 0, [b"x"]),
    "/starts-twice": ("200 OK", [], 2, [b"x"]),
    "/is-text": ("200 OK", [], 1, ["x"]),
    "/is-nothing": ("200 OK", [], 1, None),
    "/is-interim": ("100 Continue", [], 1, []),
    "/splits": ("200 OK", [("X-Split", "a\r\nSet-Cookie: b=c")], 1, [b"x"]),
    "/has-two-lengths": ("200 OK", length(1) + length(2), 1, [b"x"]),
    "/is-short": ("200 OK", length(9), 1, [b"x"]),
    "/is-long": ("200 OK", length(1), 1, [b"xyz"]),
    "/is-short-half-way": ("200 OK", length(9), 1, (b"half", b"way")),
    "/is-long-half-way": ("200 OK", length(5), 1, (b"half", b"way")),
}


def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    """All of them."""
    path = environ["PATH_INFO"]
    if path == "/raises":
        raise Fault("wsgi")
    if path in ("/raises-half-way", "/dies-half-way"):
        start_response("200 OK", [PLAIN])
        return half_and(die if path == "/dies-half-way" else wsgi_raises)
    status, headers, times, body = WSGI[path]
    for _ in range(times):
        start_response(status, [PLAIN, *headers])
    return body


#: What is answered with 500, and what the log says of it, if it is our application that says it.
ANSWERED = {
    "/asgi/raises": "Fault: asgi",
    "/asgi/says-nothing": "",
    "/wsgi/raises": "Fault: wsgi",
    "/wsgi/never-starts": "has not called start_response()",
    "/wsgi/starts-twice": "was called a second time",
    "/wsgi/is-text": "has given str where bytes are due",
    "/wsgi/is-nothing": "'NoneType' object is not iterable",
    "/wsgi/is-interim": "'100 Continue' is not a status",
    "/wsgi/splits": "cannot be sent as a header",
    "/wsgi/has-two-lengths": "Content-Length is not one number",
    "/wsgi/is-short": "shorter than its Content-Length",
    "/wsgi/is-long": "longer than its Content-Length",
}

#: What breaks a response off that has begun, and what the log says of it.
BROKEN_OFF = {
    "/asgi/raises-half-way": "Fault: asgi half-way",
    "/wsgi/raises-half-way": "Fault: wsgi half-way",
    "/wsgi/is-short-half-way": "shorter than its Content-Length",
    "/wsgi/is-long-half-way": "longer than its Content-Length",
}
