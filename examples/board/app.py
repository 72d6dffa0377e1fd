"""The application factory: configuration, blueprints, and what all pages share."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from werkzeug.exceptions import HTTPException

from asyncflask import Flask, Response
from asyncflask.sync import render_template, request
from examples.board import api, pages
from examples.board.live import Live
from examples.board.store import Note, Store


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the application.

    :param config: settings that win over the defaults below and over ``BOARD_...`` variables.
    """
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(
        DATA=os.path.join(app.instance_path, "board"),
        MAX_CONTENT_LENGTH=4 * 1024 * 1024,
    )
    app.config.from_prefixed_env("BOARD")
    app.config.from_mapping(config)

    data = Path(app.config["DATA"])
    data.mkdir(parents=True, exist_ok=True)
    app.secret_key = app.secret_key or _secret_key(data / "secret_key")
    app.extensions["board.store"] = store = Store(data)
    app.extensions["board.live"] = Live()
    if not store.notes(limit=1):
        _welcome(store)

    app.register_blueprint(pages.bp)
    app.register_blueprint(api.bp)
    app.register_error_handler(HTTPException, error_page)
    app.after_request(protect)
    return app


def error_page(error: HTTPException) -> tuple[Any, int | None]:
    """Answer an error: in JSON below ``/api``, with a page elsewhere."""
    if request.path.startswith("/api/"):
        return {"error": error.name, "description": error.description}, error.code
    return render_template("error.html", error=error), error.code


async def protect(response: Response) -> Response:
    """Let browsers load nothing but our own files."""
    response.headers.setdefault("Content-Security-Policy", "default-src 'self'")
    return response


def _secret_key(path: Path) -> str:
    """Return the key that signs sessions; the first start makes it."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex())
    return path.read_text()


def _welcome(store: Store) -> None:
    for author, color, text in [
        ("The house", "sun", "Welcome! Pin a note with the form above. Everyone sees it at once."),
        ("Ada", "sea", "Choir on Thursday at seven, in the big hall. Bring tea."),
        ("Grace", "rose", "Found: one grey moth, slightly flat. Ask at the relay."),
    ]:
        store.add(Note(text=text, author=author, color=color))
