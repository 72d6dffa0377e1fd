"""Flask-HTTPAuth: Basic, Digest and tokens."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from flask import Flask
from flask_httpauth import HTTPBasicAuth, HTTPDigestAuth, HTTPTokenAuth, MultiAuth

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-HTTPAuth", kind="extension")


@pytest.fixture
def app() -> Flask:
    """Views of both kinds behind each scheme."""
    app = Flask(__name__)
    app.secret_key = "secret"
    basic, digest, token = HTTPBasicAuth(), HTTPDigestAuth(), HTTPTokenAuth()
    basic.verify_password(lambda name, word: name if word == f"word of {name}" else None)
    digest.get_password(lambda name: f"word of {name}")

    @token.verify_token
    async def verify(value: str) -> str | None:
        await asyncio.sleep(0)
        return value.removeprefix("token of ") if value.startswith("token of ") else None

    @basic.get_user_roles
    def roles(user: Any) -> list[str]:
        return ["admin"] if user["username" if isinstance(user, dict) else 0] == "r" else []

    either = MultiAuth(basic, token)
    for name, auth in {"basic": basic, "digest": digest, "token": token, "either": either}.items():

        @auth.login_required
        def in_def(auth: Any = auth) -> str:
            return str(auth.current_user())

        @auth.login_required
        async def in_async(auth: Any = auth) -> str:
            await asyncio.sleep(0)
            return str(auth.current_user())

        app.add_url_rule(f"/{name}/def", f"{name}_def", in_def)
        app.add_url_rule(f"/{name}/async", f"{name}_async", in_async)

    @app.get("/admin")
    @basic.login_required(role="admin")
    async def admin() -> str:
        return "for admins"

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_each_user_is_who_they_are(app: Flask, kind: str) -> None:
    """Fifty at once, by each scheme."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:

            async def use(number: int) -> None:
                name = f"user{number}"
                auth: Any = (name, f"word of {name}")
                token = {"Authorization": f"Bearer token of {name}"}
                for response in (
                    await client.get(f"/basic/{kind}", auth=auth),
                    await client.get(f"/either/{kind}", auth=auth),
                    await client.get(f"/token/{kind}", headers=token),
                    await client.get(f"/either/{kind}", headers=token),
                ):
                    assert (response.status_code, response.text) == (200, name)

            await asyncio.gather(*map(use, range(50)))
            response = await client.get(
                f"/digest/{kind}", auth=httpx.DigestAuth("ada", "word of ada")
            )
            assert response.text == "ada"


async def test_strangers_are_refused(app: Flask) -> None:
    """With a challenge; users without the role are forbidden."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            for path, scheme in (("basic", "Basic"), ("digest", "Digest"), ("token", "Bearer")):
                response = await client.get(f"/{path}/async")
                assert response.status_code == 401
                assert response.headers["WWW-Authenticate"].startswith(scheme)
            assert (await client.get("/basic/def", auth=("ada", "wrong"))).status_code == 401
            assert (await client.get("/admin", auth=("ada", "word of ada"))).status_code == 403
            assert (await client.get("/admin", auth=("root", "word of root"))).status_code == 200
