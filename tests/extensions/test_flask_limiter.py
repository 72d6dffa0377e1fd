"""Flask-Limiter: so many requests and no more."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest
from flask import Flask, request
from flask_limiter import Limiter

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Limiter", kind="extension")


def user() -> str:
    """Who asks."""
    return request.headers.get("X-User", "nobody")


@pytest.fixture
def app() -> Flask:
    """Limits by decorators, around views of both kinds, and one for all the rest."""
    app = Flask(__name__)
    limiter = Limiter(
        user, app=app, default_limits=["5 per hour"], storage_uri="memory://", headers_enabled=True
    )

    @app.get("/def")
    @limiter.limit("10 per hour")
    def in_def() -> str:
        return user()

    @app.get("/async")
    @limiter.limit("10 per hour")
    async def in_async() -> str:
        await asyncio.sleep(0)
        return user()

    @app.get("/default")
    async def default() -> str:
        return user()

    @app.get("/exempt")
    @limiter.exempt
    async def exempt() -> str:
        return user()

    return app


@pytest.mark.parametrize(
    ("path", "limit"), [("/def", 10), ("/async", 10), ("/default", 5), ("/exempt", 25)]
)
async def test_each_user_has_a_limit(app: Flask, path: str, limit: int) -> None:
    """Fifty requests of two users at once: each gets as many answers as allowed."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            users = ["ada", "bob"] * 25
            requests = [client.get(path, headers={"X-User": name}) for name in users]
            responses = await asyncio.gather(*requests)
    served = Counter(response.text for response in responses if response.status_code == 200)
    assert served == {"ada": limit, "bob": limit}
    assert {response.status_code for response in responses} <= {200, 429}


async def test_the_headers_tell_what_is_left(app: Flask) -> None:
    """``X-RateLimit-Remaining`` and the others."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            left = [(await client.get("/async")).headers["X-RateLimit-Remaining"] for _ in "ab"]
    assert left == ["9", "8"]
