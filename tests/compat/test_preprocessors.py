"""URL value preprocessors in the compatibility namespace run where hooks of their kind do."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from asyncflask.compat.flask import Flask, g, request
from asyncflask.testing import FlaskClient


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)

    @app.url_value_preprocessor
    def take(endpoint: str | None, values: dict[str, Any] | None) -> None:
        assert values is not None
        g.seen = [endpoint, values.pop("number"), request.form.get("name"), *request.files]
        g.thread = threading.get_ident()

    @app.url_value_preprocessor
    async def add(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.seen.append(endpoint)

    @app.post("/def/<int:number>")
    def in_def() -> Any:
        return [*g.seen, g.thread == threading.get_ident()]

    @app.post("/async/<int:number>")
    async def in_async() -> Any:
        return [*g.seen, g.thread == threading.get_ident()]

    return app


@pytest.mark.parametrize(("kind", "shares"), [("def", True), ("async", False)])
async def test_they_can_read_forms(app: Flask, kind: str, shares: bool) -> None:
    """A `def` one runs in the worker, with the `def` view, and sees what was read ahead."""
    client = FlaskClient(app)
    response = await client.post(f"/{kind}/7", data={"name": "Ada"})
    assert response.json == [f"in_{kind}", 7, "Ada", f"in_{kind}", shares]


def test_they_run_in_the_thread_of_the_client(app: Flask) -> None:
    """Werkzeug's client waits for them in its own."""
    response = app.test_client().post("/def/7", data={"name": "Ada"})
    assert response.json == ["in_def", 7, "Ada", "in_def", True]
