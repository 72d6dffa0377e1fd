"""Flask-Marshmallow: schemas with links, and of Flask-SQLAlchemy's models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask, request
from flask_marshmallow import Marshmallow
from flask_sqlalchemy import SQLAlchemy

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Marshmallow", kind="extension")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """A table of teas."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/teas.db"
    db = SQLAlchemy(app)
    ma = Marshmallow(app)

    class Tea(db.Model):  # type: ignore[name-defined]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String)

    class TeaSchema(ma.SQLAlchemyAutoSchema):  # type: ignore[name-defined]
        class Meta:
            model = Tea
            load_instance = True
            sqla_session = db.session

        url = ma.URLFor("find", values={"number": "<id>"})

    schema = TeaSchema()

    @app.post("/def")
    def in_def() -> Any:
        db.session.add(schema.load(request.get_json()))
        db.session.commit()
        return "", 201

    @app.post("/async")
    async def in_async() -> Any:
        db.session.add(schema.load(await request.get_json()))
        db.session.commit()
        return "", 201

    @app.get("/<int:number>")
    async def find(number: int) -> Any:
        return schema.dump(db.get_or_404(Tea, number))

    @app.get("/")
    def names() -> Any:
        return schema.jsonify(db.session.scalars(db.select(Tea)).all(), many=True)

    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()


async def test_models_are_read_and_written(app: Flask) -> None:
    """By views of both kinds, fifty at once, with links."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            paths = ["/def", "/async"] * 25
            posts = [client.post(path, json={"name": f"{i:02}"}) for i, path in enumerate(paths)]
            assert {each.status_code for each in await asyncio.gather(*posts)} == {201}
            teas = (await client.get("/")).json()
            assert sorted(tea["name"] for tea in teas) == [f"{i:02}" for i in range(50)]
            assert (await client.get(teas[0]["url"])).json() == teas[0]
            assert (await client.get("/99")).status_code == 404
