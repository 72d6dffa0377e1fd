"""Admin panels made for Starlette, on an application of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqladmin
import sqladmin.authentication
import starlette_admin.contrib.sqla
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette.requests import Request

from asyncflask import Flask, url_for
from tests.ecosystem.serving import serving


class Base(DeclarativeBase):
    pass


class Tea(Base):
    __tablename__ = "teas"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'teas.db'}")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Tea(name="Assam"))
        session.commit()
    yield engine
    engine.dispose()


@pytest.fixture
def app(engine: Engine) -> Flask:
    """A shop with teas."""
    app = Flask("shop", static_folder=None)
    app.secret_key = "ours"

    @app.get("/")
    def index() -> Any:
        with Session(engine) as session:
            return {"teas": list(session.scalars(select(Tea.name))), "index": url_for("index")}

    return app


def in_starlette(app: Flask) -> Any:
    from starlette.applications import Starlette

    host = Starlette(lifespan=app.lifespan)
    host.mount("/shop", app)
    return host


@pytest.mark.neighbour("SQLAdmin", kind="tool", package="sqladmin")
@pytest.mark.parametrize("prefix", ["", "/shop"])
def test_sqladmin(app: Flask, engine: Engine, prefix: str) -> None:
    """It lists and creates rows, and its files are found; below a prefix, too."""
    admin = sqladmin.Admin(app, engine)

    class TeaAdmin(sqladmin.ModelView, model=Tea):
        column_list = [Tea.id, Tea.name]  # noqa: RUF012

    admin.add_view(TeaAdmin)
    with (
        serving(in_starlette(app) if prefix else app) as url,
        httpx.Client(base_url=f"{url}{prefix}", follow_redirects=True) as client,
    ):
        assert "Tea" in client.get("/admin/").text
        page = client.get("/admin/tea/list")
        assert "Assam" in page.text
        assert f"{url}{prefix}/admin/statics/css/main.css" in page.text
        assert client.get("/admin/statics/css/main.css").status_code == 200
        response = client.post("/admin/tea/create", data={"name": "Darjeeling", "save": "Save"})
        assert response.url.path == f"{prefix}/admin/tea/list"
        assert client.get("/").json() == {
            "teas": ["Assam", "Darjeeling"],
            "index": f"{prefix}/",
        }
        assert client.get("/admin/nowhere").status_code == 404


@pytest.mark.neighbour("SQLAdmin", kind="tool", package="sqladmin")
def test_sqladmin_with_a_login(app: Flask, engine: Engine) -> None:
    """Its backend has Starlette's session, beside ours."""

    class Login(sqladmin.authentication.AuthenticationBackend):
        async def login(self, request: Request) -> bool:
            form = await request.form()
            request.session["user"] = form["username"]
            return form["password"] == "tea"

        async def logout(self, request: Request) -> bool:
            request.session.clear()
            return True

        async def authenticate(self, request: Request) -> bool:
            return "user" in request.session

    sqladmin.Admin(app, engine, authentication_backend=Login(secret_key="theirs"))
    with serving(app) as url, httpx.Client(base_url=url, follow_redirects=True) as client:
        assert client.get("/admin/").url.path == "/admin/login"
        form = {"username": "ada", "password": "tea"}
        assert client.post("/admin/login", data=form).url.path == "/admin/"
        assert client.get("/admin/").url.path == "/admin/"
        client.get("/admin/logout")
        assert client.get("/admin/").url.path == "/admin/login"


@pytest.mark.neighbour("Starlette-Admin", kind="tool", package="starlette-admin")
@pytest.mark.parametrize("prefix", ["", "/shop"])
def test_starlette_admin(app: Flask, engine: Engine, prefix: str) -> None:
    """It lists and creates rows, and its files are found; below a prefix, too."""
    admin = starlette_admin.contrib.sqla.Admin(engine, secret_key="theirs")
    admin.add_view(starlette_admin.contrib.sqla.ModelView(Tea))
    admin.mount_to(app)
    with (
        serving(in_starlette(app) if prefix else app) as url,
        httpx.Client(base_url=f"{url}{prefix}", follow_redirects=True) as client,
    ):
        page = client.get("/admin/")
        assert page.status_code == 200
        assert f"{url}{prefix}/admin/static/css/" in page.text
        assert "Assam" in client.get("/admin/tea/list").text
        assert client.post("/admin/tea/create", data={"name": "Forged"}).status_code == 403
        token = {"X-CSRFToken": client.cookies["starlette_admin_csrftoken"]}
        response = client.post("/admin/tea/create", data={"name": "Darjeeling"}, headers=token)
        assert response.url.path == f"{prefix}/admin/tea/list"
        assert client.get("/").json()["teas"] == ["Assam", "Darjeeling"]
