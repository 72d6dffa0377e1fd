"""Flask-SQLAlchemy in ``def`` and ``async def`` views."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from asyncflask.testing import FlaskClient

pytestmark = pytest.mark.neighbour("Flask-SQLAlchemy", kind="extension")


class Base(DeclarativeBase):
    """The base of the models."""


db = SQLAlchemy(model_class=Base)


class User(db.Model):  # type: ignore[name-defined]
    """A row."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def make_app(folder: Path) -> Flask:
    """An application with a view of each kind."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/test.db"
    db.init_app(app)

    @app.post("/def")
    def add_in_def():
        db.session.add(User(name=request.form["name"]))
        db.session.commit()
        return "", 201

    @app.post("/async")
    async def add_in_async():
        db.session.add(User(name=request.form["name"]))
        await asyncio.sleep(0)
        db.session.commit()
        return "", 201

    @app.get("/")
    def names():
        return [user.name for user in db.session.scalars(db.select(User).order_by(User.name))]

    with app.app_context():
        db.create_all()
    return app


async def test_views_of_both_kinds_use_sessions_of_their_own(tmp_path: Path) -> None:
    """Many requests at once add a row each, and all of them are there."""
    client = FlaskClient(make_app(tmp_path))
    paths = ["/def", "/async"] * 10
    posts = [client.post(path, data={"name": f"{i:02}"}) for i, path in enumerate(paths)]
    assert {response.status_code for response in await asyncio.gather(*posts)} == {201}
    assert (await client.get("/")).json == [f"{i:02}" for i in range(20)]
