"""Flask-JWT-Extended: tokens in headers and cookies."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from flask import Flask, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    current_user,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
)

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-JWT-Extended", kind="extension")


@pytest.fixture
def app() -> Flask:
    """Login, protected views of both kinds, refreshing, revoking."""
    app = Flask(__name__)
    app.config.update(
        JWT_SECRET_KEY="a secret that is long enough for HS256",
        JWT_TOKEN_LOCATION=["headers", "cookies"],
        JWT_COOKIE_CSRF_PROTECT=True,
    )
    jwt = JWTManager(app)
    revoked: set[str] = set()
    jwt.user_lookup_loader(lambda header, data: {"name": data["sub"]})
    jwt.token_in_blocklist_loader(lambda header, data: data["jti"] in revoked)

    @app.post("/login")
    async def login() -> Any:
        name = (await request.get_json())["name"]
        response = jsonify(
            access=create_access_token(name, additional_claims={"role": "reader"}),
            refresh=create_refresh_token(name),
        )
        set_access_cookies(response, create_access_token(name))
        return response

    @app.get("/def")
    @jwt_required()
    def in_def() -> Any:
        return [get_jwt_identity(), current_user["name"], get_jwt()["role"]]

    @app.get("/async")
    @jwt_required()
    async def in_async() -> Any:
        await asyncio.sleep(0)
        return [get_jwt_identity(), current_user["name"], get_jwt()["role"]]

    @app.post("/cookie")
    @jwt_required(locations="cookies")
    async def by_cookie() -> Any:
        return [get_jwt_identity()]

    @app.post("/refresh")
    @jwt_required(refresh=True)
    async def refresh() -> Any:
        return [create_access_token(get_jwt_identity())]

    @app.post("/revoke")
    @jwt_required()
    async def revoke() -> Any:
        revoked.add(get_jwt()["jti"])
        return []

    return app


def bearer(token: str) -> dict[str, str]:
    """The header for a token."""
    return {"Authorization": f"Bearer {token}"}


async def test_each_token_is_its_users(app: Flask) -> None:
    """Fifty users at once, in views of both kinds."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:

            async def use(number: int) -> None:
                name = f"user {number}"
                login = await client.post("/login", json={"name": name})
                for path in ("/def", "/async"):
                    headers = bearer(login.json()["access"])
                    response = await client.get(path, headers=headers)
                    assert response.json() == [name, name, "reader"]

            await asyncio.gather(*map(use, range(50)))


async def test_what_is_wrong_is_refused(app: Flask) -> None:
    """No token, a broken one, a refresh token, a revoked one."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            tokens = (await client.post("/login", json={"name": "ada"})).json()
            client.cookies.clear()
            for path in ("/def", "/async"):
                assert (await client.get(path)).status_code == 401
                assert (await client.get(path, headers=bearer("x.y.z"))).status_code == 422
                assert (
                    await client.get(path, headers=bearer(tokens["refresh"]))
                ).status_code == 422
            refreshed = await client.post("/refresh", headers=bearer(tokens["refresh"]))
            assert refreshed.status_code == 200
            headers = bearer(tokens["access"])
            assert (await client.post("/revoke", headers=headers)).status_code == 200
            assert (await client.get("/async", headers=headers)).json() == {
                "msg": "Token has been revoked"
            }


async def test_a_cookie_needs_its_csrf_token(app: Flask) -> None:
    """A page of somebody else's cannot send that."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            await client.post("/login", json={"name": "ada"})
            assert (await client.post("/cookie")).status_code == 401
            headers = {"X-CSRF-TOKEN": client.cookies["csrf_access_token"]}
            assert (await client.post("/cookie", headers=headers)).json() == ["ada"]
