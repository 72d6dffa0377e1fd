"""Requests that a test plays step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asyncflask import Flask, Response, request, session


@pytest.fixture
def app() -> Flask:
    app = Flask("steps", static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key")

    @app.post("/echo")
    async def echo() -> Any:
        session["seen"] = True

        async def pieces() -> AsyncIterator[bytes]:
            async for chunk in request.body:
                yield b"got " + chunk

        return Response(pieces(), 201, {"X-Kind": "echo"})

    @app.get("/")
    async def index() -> str:
        return f"{session.get('seen')}"

    @app.post("/whole")
    async def whole() -> str:
        return (await request.get_data()).decode()

    @app.get("/error")
    async def fail() -> str:
        raise LookupError("broken")

    return app


async def test_parts_go_in_and_come_out_in_turn(app: Flask) -> None:
    """As in Quart; the client's cookies go along."""
    client = app.test_client()
    async with client.connection("/echo", method="POST") as connection:
        assert connection.status_code is None
        await connection.send(b"one")
        assert await connection.receive() == b"got one"
        assert connection.status_code == 201
        assert connection.headers["X-Kind"] == "echo"
        assert (await connection.as_response()).text == "got one"
        await connection.send(b"two")
        assert await connection.receive() == b"got two"
        await connection.send_complete()
        for _ in range(2):
            with pytest.raises(EOFError, match="nothing more to receive"):
                await connection.receive()
    response = await connection.as_response()
    assert (response.status_code, response.text) == (201, "got onegot two")
    assert (await client.get("/")).text == "True"
    async with client.connection() as connection:
        pass
    assert (await connection.as_response()).text == "True"


async def test_what_was_not_received_is_in_the_response(app: Flask) -> None:
    """Also before the end."""
    async with app.test_client().connection("/echo", method="POST") as connection:
        await connection.send(b"one")
        await connection.send_complete()
        assert await connection.receive() == b"got one"
        assert (await connection.as_response()).text == "got one"


async def test_the_client_can_go_away(app: Flask) -> None:
    """By itself, or because the test fails in the block."""
    async with app.test_client().connection("/whole", method="POST") as connection:
        await connection.send(b"half")
        await connection.disconnect()
    assert (await connection.as_response()).status_code in (400, 500)
    with pytest.raises(LookupError):
        async with app.test_client().connection("/whole", method="POST") as connection:
            raise LookupError


async def test_an_error_of_the_application_is_raised_at_the_end(app: Flask) -> None:
    """As it is."""
    with pytest.raises(LookupError, match="broken"):
        async with app.test_client().connection("/error"):
            pass


async def test_a_with_block_of_the_client_keeps_its_context(app: Flask) -> None:
    """As that of a plain request."""
    async with app.test_client() as client:
        async with client.connection("/?a=b") as connection:
            assert await connection.receive() == b"None"
        assert request.args["a"] == "b"


async def test_a_body_that_is_known_has_its_length(app: Flask) -> None:
    """It is still the test that sends it."""
    client = app.test_client()
    async with client.connection("/whole", method="POST", data=b"12345") as connection:
        assert (b"content-length", b"5") in connection.scope["headers"]
        await connection.send(b"12345")
        await connection.send_complete()
    assert (await connection.as_response()).text == "12345"
