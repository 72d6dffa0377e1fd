"""APIFlask: an application class of its own, above Flask's."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from apiflask import APIFlask, HTTPTokenAuth, Schema, abort
from apiflask.fields import Integer, String
from apiflask.validators import Length

import asyncflask
from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("APIFlask", kind="extension")


class TeaIn(Schema):
    """What comes in."""

    name = String(required=True, validate=Length(1, 10))


class TeaOut(Schema):
    """What goes out."""

    id = Integer()
    name = String()


@pytest.fixture
def app() -> APIFlask:
    """Views of both kinds."""
    app = APIFlask(__name__)
    auth = HTTPTokenAuth()
    auth.verify_token(lambda token: token or None)
    teas: list[dict[str, Any]] = []

    @app.post("/def")
    @app.input(TeaIn)
    @app.output(TeaOut, status_code=201)
    def in_def(json_data: dict[str, Any]) -> Any:
        teas.append({"id": len(teas), **json_data})
        return teas[-1]

    @app.post("/async")
    @app.input(TeaIn)
    @app.output(TeaOut, status_code=201)
    async def in_async(json_data: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        teas.append({"id": len(teas), **json_data})
        return teas[-1]

    @app.get("/secret")
    @app.auth_required(auth)
    async def secret() -> Any:
        return {"user": auth.current_user}

    @app.get("/teas/<int:number>")
    async def find(number: int) -> Any:
        return abort(404, "No such tea.") if number >= len(teas) else teas[number]

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_views_get_what_was_checked(app: APIFlask, kind: str) -> None:
    """Fifty at once; errors are JSON."""
    assert isinstance(app, asyncflask.Flask)
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            posts = [client.post(f"/{kind}", json={"name": f"tea {i}"}) for i in range(50)]
            responses = await asyncio.gather(*posts)
            assert {response.status_code for response in responses} == {201}
            assert sorted(response.json()["id"] for response in responses) == list(range(50))
            wrong = await client.post(f"/{kind}", json={"name": "x" * 11})
            assert wrong.status_code == 422
            assert wrong.json()["message"] == "Validation error"
            assert (await client.get("/teas/99")).json()["message"] == "No such tea."
            assert (await client.get("/none")).json()["message"] == "Not Found"


async def test_users_are_known(app: APIFlask) -> None:
    """By their token."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/secret")).status_code == 401
            headers = {"Authorization": "Bearer ada"}
            assert (await client.get("/secret", headers=headers)).json() == {"user": "ada"}


async def test_the_api_is_described(app: APIFlask) -> None:
    """By OpenAPI, and by a page."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            paths = (await client.get("/openapi.json")).json()["paths"]
            assert "201" in paths["/async"]["post"]["responses"]
            assert "swagger" in (await client.get("/docs")).text.lower()
