"""Flask-RESTX: resources, parsers, models, and Swagger."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from flask import Blueprint, Flask, current_app
from flask_restx import Api, Resource, fields, reqparse

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-RESTX", kind="extension")


def waits(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a ``def`` method of an ``async def`` one: resources know no others, in Flask either."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return current_app.ensure_sync(method)(*args, **kwargs)

    return call


@pytest.fixture
def app() -> Flask:
    """Resources of both kinds, and views beside them."""
    app = Flask(__name__)
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    api = Api(blueprint, version="1.0", title="Teas")
    model = api.model("Tea", {"id": fields.Integer, "name": fields.String(required=True)})
    parser = reqparse.RequestParser()
    parser.add_argument("name", required=True, location="json")
    teas: list[dict[str, Any]] = []

    @api.route("/teas")
    class Teas(Resource):  # type: ignore[misc]
        @api.marshal_list_with(model)
        def get(self) -> Any:
            return teas

        @api.expect(model, validate=True)
        @api.marshal_with(model, code=201)
        def post(self) -> Any:
            teas.append({"id": len(teas), "name": parser.parse_args()["name"], "secret": 1})
            return teas[-1], 201

    @api.route("/later")
    class Later(Resource):  # type: ignore[misc]
        @waits
        async def post(self) -> Any:
            await asyncio.sleep(0)
            return {"name": parser.parse_args()["name"]}

    @api.route("/error")
    class Error(Resource):  # type: ignore[misc]
        def get(self) -> Any:
            raise KeyError("missing")

    @api.errorhandler(KeyError)
    def missing(error: KeyError) -> Any:
        return {"message": error.args[0]}, 410

    app.register_blueprint(blueprint)

    @app.get("/async")
    async def view() -> str:
        return "a view"

    return app


async def test_resources_answer(app: Flask) -> None:
    """Fifty at once; what is wrong is refused, and errors have handlers."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            posts = [client.post("/api/teas", json={"name": f"tea {i}"}) for i in range(50)]
            responses = await asyncio.gather(*posts)
            assert {response.status_code for response in responses} == {201}
            assert sorted(response.json()["id"] for response in responses) == list(range(50))
            listed = (await client.get("/api/teas")).json()
            assert len(listed) == 50
            assert set(listed[0]) == {"id", "name"}
            wrong = await client.post("/api/teas", json={"name": 5})
            assert wrong.json()["message"] == "Input payload validation failed"
            assert (await client.post("/api/later", json={"name": "x"})).json() == {"name": "x"}
            assert (await client.get("/api/error")).status_code == 410
            assert "message" in (await client.put("/api/teas")).json()
            assert (await client.get("/async")).text == "a view"


async def test_the_api_is_described(app: Flask) -> None:
    """By Swagger, and by a page of its own."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert "/teas" in (await client.get("/api/swagger.json")).json()["paths"]
            page = await client.get("/api/")
            assert "swagger-ui" in page.text
            assert (await client.get("/swaggerui/swagger-ui.css")).status_code == 200
