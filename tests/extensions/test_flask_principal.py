"""Flask-Principal around ``def`` and ``async def`` views."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from flask import Flask, current_app, g, session
from flask_principal import (
    AnonymousIdentity,
    Identity,
    Permission,
    PermissionDenied,
    Principal,
    RoleNeed,
    UserNeed,
    identity_changed,
    identity_loaded,
)

from asyncflask.testing import FlaskClient
from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Principal", kind="extension")


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.secret_key = "key"
    Principal(app)
    admin = Permission(RoleNeed("admin"))

    @identity_loaded.connect_via(app)
    def add_needs(sender, identity):
        identity.provides.add(UserNeed(identity.id))
        if identity.id is not None and identity.id.startswith("admin"):
            identity.provides.add(RoleNeed("admin"))

    @app.post("/login/<name>")
    async def login(name: str):
        identity_changed.send(current_app._get_current_object(), identity=Identity(name))
        return ""

    @app.post("/logout")
    def logout():
        session.clear()
        identity_changed.send(current_app._get_current_object(), identity=AnonymousIdentity())
        return ""

    @app.get("/def")
    @admin.require(403)
    def in_def():
        return {"id": g.identity.id}

    @app.get("/async")
    @admin.require(403)
    async def in_async():
        await asyncio.sleep(0.01)
        return {"id": g.identity.id}

    @app.get("/block/def/<name>")
    def block_in_def(name: str):
        with Permission(UserNeed(name)).require():
            return {"id": g.identity.id}

    @app.get("/block/async/<name>")
    async def block_in_async(name: str):
        with Permission(UserNeed(name)).require():
            await asyncio.sleep(0)
            return {"id": g.identity.id}

    @app.errorhandler(PermissionDenied)
    def deny(exc: PermissionDenied):
        return {"denied": True}, 403

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_only_who_has_the_need_is_let_in(app: Flask, kind: str) -> None:
    """By a decorator, and by a block in the view."""
    async with FlaskClient(app) as client:
        assert (await client.get(f"/{kind}")).status_code == 403
        await client.post("/login/ann")
        assert (await client.get(f"/{kind}")).status_code == 403
        assert (await client.get(f"/block/{kind}/ann")).json == {"id": "ann"}
        response = await client.get(f"/block/{kind}/bob")
        assert (response.status_code, response.json) == (403, {"denied": True})
        await client.post("/login/admin")
        assert (await client.get(f"/{kind}")).json == {"id": "admin"}
        await client.post("/logout")
        assert (await client.get(f"/{kind}")).status_code == 403


async def use(client: httpx.AsyncClient, i: int) -> None:
    """Log in, as an administrator or not, and see that this is what one is."""
    name = f"admin{i}" if i % 2 else f"user{i}"
    await client.post(f"/login/{name}")
    for kind in ("def", "async"):
        response = await client.get(f"/{kind}")
        assert response.status_code == (200 if i % 2 else 403)
        if i % 2:
            assert response.text.split('"')[3] == name
        assert (await client.get(f"/block/{kind}/{name}")).status_code == 200


async def test_many_identities_at_once_are_never_mixed(app: Flask) -> None:
    """Every request loads its own, from its session."""

    async def login_and_look(i: int) -> None:
        async with FlaskClient(app) as client:
            await use(client, i)

    await asyncio.gather(*(login_and_look(i) for i in range(50)))


async def test_over_the_wire(app: Flask) -> None:
    """The same with a server."""

    async def login_and_look(url: str, i: int) -> None:
        async with httpx.AsyncClient(base_url=url) as client:
            await use(client, i)

    with serving(app) as url:
        await asyncio.gather(*(login_and_look(url, i) for i in range(20)))
