"""Flask-Talisman: security headers, https, nonces in templates."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from flask import Flask, render_template_string
from flask_talisman import Talisman

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Talisman", kind="extension", package="flask-talisman")

TEMPLATE = "<script nonce='{{ csp_nonce() }}'></script>"


def make_app(**options: Any) -> Flask:
    """An application with views of both kinds."""
    app = Flask(__name__)
    app.secret_key = "secret"
    policy = {"default-src": "'self'", "script-src": "'self'"}
    talisman = Talisman(
        app,
        content_security_policy=policy,
        content_security_policy_nonce_in=["script-src"],
        **options,
    )

    @app.get("/def")
    def in_def() -> Any:
        return render_template_string(TEMPLATE)

    @app.get("/async")
    async def in_async() -> Any:
        return await render_template_string(TEMPLATE)

    @app.get("/framed")
    @talisman(frame_options="DENY")
    async def framed() -> str:
        return ""

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_each_response_has_its_nonce(kind: str) -> None:
    """In the page and in the policy; fifty at once have fifty."""
    with serving(make_app(force_https=False)) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            responses = await asyncio.gather(*(client.get(f"/{kind}") for _ in range(50)))
    nonces = set()
    for response in responses:
        nonce = response.text.split("'")[1]
        assert f"'nonce-{nonce}'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        nonces.add(nonce)
    assert len(nonces) == 50


async def test_a_view_has_options_of_its_own() -> None:
    """By the decorator, around an ``async def`` view."""
    with serving(make_app(force_https=False)) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/framed")).headers["X-Frame-Options"] == "DENY"


async def test_http_is_sent_to_https() -> None:
    """Unless a proxy says that it was https."""
    with serving(make_app()) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            response = await client.get("/async?a=1")
            assert response.status_code == 302
            assert response.headers["Location"] == f"{url}/async?a=1".replace("http", "https", 1)
            secure = await client.get("/async", headers={"X-Forwarded-Proto": "https"})
            assert secure.status_code == 200
            assert "max-age" in secure.headers["Strict-Transport-Security"]
