"""Flask-CORS: headers for other origins, from hooks and from decorators."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from flask import Flask
from flask_cors import CORS, cross_origin

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-CORS", kind="extension")

ORIGIN = "https://shop.example"


@pytest.fixture
def app() -> Flask:
    """Its API is for one origin; a view of either kind has a decorator of its own."""
    app = Flask(__name__)
    CORS(app, resources={"/api/*": {"origins": ORIGIN, "supports_credentials": True}})
    app.add_url_rule("/api/def", "in_def", lambda: {"from": "def"})

    @app.get("/api/async")
    async def in_async() -> Any:
        return {"from": "async"}

    @app.get("/open/def")
    @cross_origin(origins="*")
    def open_def() -> str:
        return "def"

    @app.get("/open/async")
    @cross_origin(origins="*")
    async def open_async() -> str:
        await asyncio.sleep(0)
        return "async"

    @app.get("/api/error")
    async def error() -> Any:
        raise ZeroDivisionError

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_the_api_is_for_its_origin(app: Flask, kind: str) -> None:
    """Preflight and request, over the wire, and fifty at once."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, headers={"Origin": ORIGIN}) as client:
            ask = {"Access-Control-Request-Method": "GET"}
            preflight = await client.options(f"/api/{kind}", headers=ask)
            assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert "GET" in preflight.headers["Access-Control-Allow-Methods"]
            responses = await asyncio.gather(*(client.get(f"/api/{kind}") for _ in range(50)))
            for response in responses:
                assert response.json() == {"from": kind}
                assert response.headers["Access-Control-Allow-Credentials"] == "true"
            other = await client.get(f"/api/{kind}", headers={"Origin": "https://evil.example"})
            assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_a_view_has_a_decorator(app: Flask, kind: str) -> None:
    """Around ``def`` and around ``async def`` views."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, headers={"Origin": ORIGIN}) as client:
            response = await client.get(f"/open/{kind}")
            assert (response.text, response.status_code) == (kind, 200)
            assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_an_error_has_the_headers_too(app: Flask) -> None:
    """So that the page's script learns of it."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, headers={"Origin": ORIGIN}) as client:
            response = await client.get("/api/error")
            assert response.status_code == 500
            assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
