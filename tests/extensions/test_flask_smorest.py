"""flask-smorest: arguments and responses by schemas, and OpenAPI."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import marshmallow
import pytest
from flask import Flask
from flask.views import MethodView
from flask_smorest import Api, Blueprint, abort

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("flask-smorest", kind="extension")


class Tea(marshmallow.Schema):
    """What the API takes and gives."""

    id = marshmallow.fields.Int(dump_only=True)
    name = marshmallow.fields.String(required=True)


class Query(marshmallow.Schema):
    """What may be asked for."""

    name = marshmallow.fields.String()


@pytest.fixture
def app() -> Flask:
    """A collection of teas, with methods of both kinds."""
    app = Flask(__name__)
    app.config.update(
        API_TITLE="Teas",
        API_VERSION="v1",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        OPENAPI_SWAGGER_UI_PATH="/docs",
        OPENAPI_SWAGGER_UI_URL="https://cdn.example/",
    )
    blueprint = Blueprint("teas", __name__, url_prefix="/teas", description="All teas")
    teas: list[dict[str, Any]] = []

    @blueprint.route("/")
    class Teas(MethodView):
        """The collection."""

        @blueprint.arguments(Query, location="query")
        @blueprint.response(200, Tea(many=True))
        @blueprint.paginate()
        def get(self, query: dict[str, Any], pagination_parameters: Any) -> Any:
            """List teas."""
            pagination_parameters.item_count = len(teas)
            return [tea for tea in teas if query.get("name") in (None, tea["name"])]

        @blueprint.arguments(Tea)
        @blueprint.response(201, Tea)
        async def post(self, tea: dict[str, Any]) -> Any:
            """Add a tea."""
            await asyncio.sleep(0)
            teas.append({**tea, "id": len(teas)})
            return teas[-1]

    @blueprint.route("/<int:number>")
    @blueprint.response(200, Tea)
    async def find(number: int) -> Any:
        """Find a tea."""
        if number >= len(teas):
            abort(404, message="No such tea.")
        return teas[number]

    Api(app).register_blueprint(blueprint)
    return app


async def test_arguments_are_checked_and_responses_made(app: Flask) -> None:
    """Fifty additions at once; lists, errors."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            posts = [client.post("/teas/", json={"name": f"tea {i}"}) for i in range(50)]
            responses = await asyncio.gather(*posts)
            assert {response.status_code for response in responses} == {201}
            assert sorted(response.json()["id"] for response in responses) == list(range(50))
            found = await client.get("/teas/", params={"name": "tea 7"})
            assert [tea["name"] for tea in found.json()] == ["tea 7"]
            assert '"total": 50' in found.headers["X-Pagination"]
            wrong = await client.post("/teas/", json={"name": 5})
            assert wrong.status_code == 422
            assert wrong.json()["errors"] == {"json": {"name": ["Not a valid string."]}}
            missing = await client.get("/teas/99")
            assert missing.json()["message"] == "No such tea."
            assert (await client.get("/teas/0")).json()["id"] == 0


async def test_the_api_is_described(app: Flask) -> None:
    """By OpenAPI, and by a page of its own."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            paths = (await client.get("/openapi.json")).json()["paths"]
            assert set(paths["/teas/"]) == {"get", "post"}
            assert paths["/teas/{number}"]["get"]["summary"] == "Find a tea."
            assert "swagger" in (await client.get("/docs")).text
