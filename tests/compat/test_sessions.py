"""Sessions of the compatibility namespace."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from asyncflask import testing
from asyncflask.compat.flask import (
    Flask,
    flash,
    get_flashed_messages,
    session,
    stream_with_context,
)


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.secret_key = "key"
    return app


def test_a_test_takes_the_messages_of_a_request(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """They are there after it, and the log says that taking them was in vain."""

    @app.get("/")
    def index() -> str:
        flash("Saved")
        return ""

    with app.test_client() as client:
        client.get("/")
        assert get_flashed_messages() == ["Saved"]
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "the change would be lost" in record.message
        assert "test_sessions.py" in str(record.stack_info)  # where it was changed
        client.get("/")
        assert get_flashed_messages() == ["Saved", "Saved"]


async def test_a_stream_that_changes_the_session_goes_on(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """The change is lost, as in Flask."""

    @app.get("/")
    def index() -> Iterator[str]:
        @stream_with_context
        def stream() -> Iterator[str]:
            session["seen"] = True
            yield "rest"

        return stream()

    async with testing.FlaskClient(app) as client:
        response = await client.get("/")
        assert response.text == "rest"
        assert "Set-Cookie" not in response.headers
    assert [record.levelname for record in caplog.records] == ["WARNING"]
