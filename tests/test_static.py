"""Static files of applications and blueprints, beside Flask's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import flask
import pytest

from asyncflask import Blueprint, Flask, current_app, url_for
from asyncflask.static import send_static_file
from tests.wire import Wire


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of an application with two folders of static files."""
    for name in ("static/app.css", "static/.env", "static/sub/app.js", "own/bp.css", "secret"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"the content of {name}")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tmp_path


def build(framework: Any, blueprint_class: Any, root: Path) -> Any:
    """The same application, of ours or of Flask's."""
    app = framework(__name__, root_path=str(root))
    app.config["TESTING"] = True
    blueprint = blueprint_class(
        "bp", __name__, static_folder="own", url_prefix="/bp", root_path=str(root)
    )
    app.register_blueprint(blueprint)
    return app


PATHS = [
    "/static/app.css",
    "/static/sub/app.js",
    "/bp/own/bp.css",
    "/static/missing.css",
    "/static/",
    "/static/sub",
    "/bp/own/app.css",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_they_are_served_as_by_flask(root: Path, path: str, method: str) -> None:
    """To GET and HEAD only."""
    app, other = build(Flask, Blueprint, root), build(flask.Flask, flask.Blueprint, root)
    ours = await app.test_client().open(path, method=method)
    with other.test_client().open(path, method=method) as theirs:
        agree(ours, theirs, method)


def agree(ours: Any, theirs: Any, method: str) -> None:
    assert ours.status_code == theirs.status_code
    for name in ("ETag", "Last-Modified", "Content-Length", "Cache-Control"):
        if ours.status_code == 200 and method != "OPTIONS":
            assert ours.headers.get(name) == theirs.headers.get(name)
    allowed = theirs.headers.get("Allow")
    if allowed is not None:
        assert set(ours.headers["Allow"].split(", ")) == set(allowed.split(", "))
    if ours.status_code == 200:
        assert ours.content == theirs.data


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret",
        "/static/sub/../app.css",
        "/static/.env",
        "/static//etc/passwd",
        "/static/..\\secret",
        "/bp/own/../secret",
    ],
)
async def test_tricks_are_not_found(root: Path, path: str) -> None:
    """As in `send_from_directory`, whatever a client sends."""
    wire = Wire(path)
    await build(Flask, Blueprint, root)(wire.scope, wire.receive, wire.send)
    assert wire.sent[0]["status"] in (308, 404)
    assert b"the content" not in wire.body


async def test_a_view_may_send_one_itself(root: Path) -> None:
    """Awaited in `async def` code, a value in `def` code."""
    app = build(Flask, Blueprint, root)

    @app.get("/async")
    async def async_view() -> Any:
        return await current_app.send_static_file("app.css")

    @app.get("/def")
    def def_view() -> Any:
        return current_app.send_static_file("app.css")

    client = app.test_client()
    for path in ("/async", "/def", "/static/app.css"):
        assert (await client.get(path)).text == "the content of static/app.css"
    async with app.test_request_context():
        assert url_for("static", filename="app.css") == "/static/app.css"
        assert url_for("bp.static", filename="bp.css") == "/bp/own/bp.css"


async def test_the_owner_says_how_long_they_are_kept(root: Path) -> None:
    """By a method that gets the file's name."""

    class Own(Flask):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            return 3600 if filename == "app.css" else None

    app = build(Own, Blueprint, root)
    client = app.test_client()
    assert "max-age=3600" in (await client.get("/static/app.css")).headers["cache-control"]
    assert (await client.get("/static/sub/app.js")).headers["cache-control"] == "no-cache"


def test_without_a_folder_the_error_says_what_to_set() -> None:
    """For an application that has none."""
    app = Flask(__name__, static_folder=None)
    with app.test_request_context(), pytest.raises(RuntimeError, match="'static_folder'"):
        send_static_file(app, "x")
