"""Flask-Bcrypt in ``def`` and ``async def`` views."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from flask import Flask, request
from flask_bcrypt import Bcrypt

from asyncflask.testing import FlaskClient
from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Bcrypt", kind="extension")


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config["BCRYPT_LOG_ROUNDS"] = 4
    bcrypt = Bcrypt(app)
    hashes: dict[str, bytes] = {}

    @app.post("/def/<name>")
    def set_in_def(name: str):
        hashes[name] = bcrypt.generate_password_hash(request.form["password"])
        return ""

    @app.post("/async/<name>")
    async def set_in_async(name: str):
        password = request.form["password"]
        # Hashing takes its time: it is not for the event loop.
        hashes[name] = await asyncio.to_thread(bcrypt.generate_password_hash, password)
        return ""

    @app.post("/check/def/<name>")
    def check_in_def(name: str):
        return [bcrypt.check_password_hash(hashes[name], request.form["password"])]

    @app.post("/check/async/<name>")
    async def check_in_async(name: str):
        return [bcrypt.check_password_hash(hashes[name], request.form["password"])]

    return app


async def check_users(client: httpx.AsyncClient) -> None:
    """Set a password for each of many users, then try the right ones and wrong ones."""

    async def use(i: int) -> None:
        kind, other = ("def", "async") if i % 2 else ("async", "def")
        form = {"password": f"secret {i}"}
        assert (await client.post(f"/{kind}/{i}", data=form)).status_code == 200
        assert (await client.post(f"/check/{other}/{i}", data=form)).text.strip() == "[true]"
        form = {"password": f"secret {i + 1}"}
        assert (await client.post(f"/check/{kind}/{i}", data=form)).text.strip() == "[false]"

    await asyncio.gather(*(use(i) for i in range(50)))


async def test_passwords_of_many_users_at_once(app: Flask) -> None:
    """The configuration is the application's, in a thread that an async view starts, too."""
    async with FlaskClient(app) as client:
        await check_users(client)


async def test_over_the_wire(app: Flask) -> None:
    """The same with a server."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            await check_users(client)
