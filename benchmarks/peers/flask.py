"""Flask under gunicorn."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import msgspec
from flask import Flask, abort, render_template, request
from flask import session as current_session

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES, ROWS, SECRET


def command(scenario: str, port: int) -> list[str]:
    """Return the command of its server: on one core, one worker with threads does best."""
    return [
        *(sys.executable, "-m", "gunicorn", f"benchmarks.peers.flask:{scenario}()"),
        *("--bind", f"127.0.0.1:{port}", "--workers", "1", "--log-level", "warning"),
        *("--worker-class", "gthread", "--threads", "4"),
    ]


def _app() -> Flask:
    return Flask(__name__, template_folder=str(DATA / "templates"), static_folder=None)


def plain_text() -> Flask:
    app = _app()

    @app.get("/")
    def hello() -> str:
        return "Hello, World!"

    return app


threaded = plain_text


def json() -> Flask:
    app = _app()

    @app.get("/")
    def hello() -> dict[str, Any]:
        return {"message": "Hello, World!"}

    return app


def path_text() -> Flask:
    app = _app()

    @app.get("/items/<int:id>")
    def item(id: int) -> str:
        return str(id + 1)

    return app


def path_json() -> Flask:
    app = _app()

    @app.get("/items/<int:id>")
    def item(id: int) -> dict[str, Any]:
        return {"id": id, "name": "item"}

    return app


def query() -> Flask:
    app = _app()

    @app.get("/search")
    def search() -> str:
        args = request.args
        return f"{args['q']} {args['page']} {args['order']} {args['tag']}"

    return app


def json_echo() -> Flask:
    app = _app()

    @app.post("/echo")
    def echo() -> Any:
        return request.get_json()

    return app


class Item(msgspec.Struct):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> Flask:
    app = _app()
    decode = msgspec.json.Decoder(Item).decode

    @app.post("/items")
    def create() -> str:
        try:
            item = decode(request.get_data())
        except msgspec.ValidationError as error:
            abort(400, str(error))
        return f"{item.name} {item.price * item.quantity} {len(item.tags)}"

    return app


def form() -> Flask:
    app = _app()

    @app.post("/form")
    def submit() -> str:
        return f"{request.form['name']} {request.form['email']}"

    return app


def template() -> Flask:
    app = _app()

    @app.get("/")
    def table() -> str:
        return render_template("table.html", title="Table", rows=ROWS)

    return app


def session() -> Flask:
    app = _app()
    app.secret_key = SECRET

    @app.get("/")
    def count() -> str:
        current_session["count"] = current_session.get("count", 0) + 1
        return str(current_session["count"])

    return app


def routes(count: int = ROUTES) -> Flask:
    app = _app()

    def resource(id: int) -> str:
        return str(id)

    for number in range(count):
        app.add_url_rule(f"/resource{number}/<int:id>", f"resource{number}", resource)
    return app


def few_routes() -> Flask:
    return routes(FEW_ROUTES)


def hooks() -> Flask:
    app = plain_text()

    def before() -> None:
        pass

    def after(response: Any) -> Any:
        return response

    for _ in range(HOOKS):
        app.before_request(before)
        app.after_request(after)
    return app


def stream() -> Flask:
    app = _app()

    @app.get("/")
    def chunks() -> Any:
        def generate() -> Iterator[bytes]:
            for _ in range(CHUNKS):
                yield CHUNK

        return generate()

    return app


def static() -> Flask:
    return Flask(__name__, static_folder=str(DATA / "static"))


def upload() -> Flask:
    app = _app()

    @app.post("/upload")
    def take() -> str:
        return f"{request.form['title']} {request.files['file'].stream.seek(0, 2)}"

    return app
