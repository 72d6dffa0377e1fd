"""A Flask site, as ``test_wsgi_applications.py`` mounts it. It has what ``django_site.py`` has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, request, session, url_for

app = Flask(__name__, static_folder=None)
app.secret_key = "a key"

#: What its views have done.
told: list[str] = []


@app.route("/seen/<path:rest>")
def seen(rest: str) -> dict[str, Any]:
    return {
        "rest": rest,
        "prefix": request.script_root,
        "path": request.path,
        "q": request.args.get("q"),
        "url": request.base_url,
        "link": url_for("size"),
        "user": request.headers.get("X-User"),
    }


@app.post("/size")
def size() -> str:
    total = 0
    while chunk := request.stream.read(1000):
        if not total:
            told.append(f"got {chunk[:5].decode()}")
        total += len(chunk)
    return str(total)


@app.post("/form")
def form() -> str:
    return f"{request.form['a']} {request.files['file'].read().decode()}"


@app.get("/ticks")
def ticks() -> Iterator[bytes]:
    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick" * 1000
        finally:
            told.append("closed")

    return endless()


@app.get("/half")
def half() -> Iterator[bytes]:
    def pieces() -> Iterator[bytes]:
        yield b"half of it"
        raise ZeroDivisionError

    return pieces()


@app.get("/count")
def count() -> str:
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.get("/error")
def error() -> None:
    raise ZeroDivisionError


wsgi = app.wsgi_app
