"""Flask-SQLAlchemy in ``def`` and ``async def`` views."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from flask import Flask, abort, g, request, stream_with_context
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from asyncflask.testing import FlaskClient
from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-SQLAlchemy", kind="extension")


class Site:
    """An application with views of both kinds, and what its sessions went through."""

    def __init__(self, folder: Path) -> None:
        #: How often each session was closed, by itself: it stays alive, so no other has its id.
        self.closed: Counter[Session] = Counter()
        site = self

        class Counted(Session):
            def __init__(self, *args: object, **kwargs: object) -> None:
                super().__init__(*args, **kwargs)  # type: ignore[arg-type]
                site.closed[self] = 0

            def close(self) -> None:
                site.closed[self] += 1
                super().close()

        class Base(DeclarativeBase):
            pass

        self.db = SQLAlchemy(model_class=Base, session_options={"class_": Counted})

        class User(self.db.Model):  # type: ignore[name-defined]
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(unique=True)

        self.user = User
        self.app = Flask(__name__)
        self.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/test.db"
        self.db.init_app(self.app)
        self.add_views()
        self.add_reads()
        self.add_streams()
        with self.app.app_context():
            self.db.create_all()
        self.closed.clear()

    def add_views(self) -> None:
        app, db, User = self.app, self.db, self.user

        @app.before_request
        def touch() -> None:
            g.session = db.session()

        @app.post("/def")
        def add_in_def():
            db.session.add(User(name=request.form["name"]))
            db.session.commit()
            assert db.session() is g.session
            return {"id": id(db.session())}

        @app.post("/async")
        async def add_in_async():
            db.session.add(User(name=request.form["name"]))
            await asyncio.sleep(0.01)
            db.session.commit()
            assert db.session() is g.session
            return {"id": id(db.session())}

        @app.post("/lost/def")
        def lose_in_def():
            db.session.add(User(name="lost"))
            db.session.flush()
            raise RuntimeError

        @app.post("/lost/async")
        async def lose_in_async():
            db.session.add(User(name="lost"))
            db.session.flush()
            abort(409)

        @app.errorhandler(IntegrityError)
        def taken(exc: IntegrityError):
            return "taken", 409

    def add_reads(self) -> None:
        app, db, User = self.app, self.db, self.user

        @app.get("/")
        def names():
            return list(db.session.scalars(db.select(User.name).order_by(User.name)))

        @app.get("/<int:number>")
        async def name(number: int):
            return {"name": db.get_or_404(User, number).name}

        @app.get("/page")
        async def page():
            found = db.paginate(db.select(User).order_by(User.name), per_page=2)
            return {"names": [user.name for user in found], "pages": found.pages}

    def add_streams(self) -> None:
        app, db, User = self.app, self.db, self.user

        @app.get("/stream/def")
        def stream_in_def():
            @stream_with_context
            def lines() -> Iterator[str]:
                for user in db.session.scalars(db.select(User).order_by(User.name)):
                    assert db.session() is g.session
                    yield f"{user.name}\n"

            return lines()

        @app.get("/stream/async")
        async def stream_in_async():
            async def lines():
                for user in db.session.scalars(db.select(User).order_by(User.name)):
                    assert db.session() is g.session
                    await asyncio.sleep(0)
                    yield f"{user.name}\n"

            return lines()

    def assert_all_released(self, count: int) -> None:
        """There were so many sessions, each was closed once, and none is kept."""
        assert list(self.closed.values()) == [1] * count
        assert self.db.session.registry.registry == {}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    with site.app.app_context():
        site.db.engine.dispose()


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return FlaskClient(site.app)


async def test_each_of_many_requests_has_one_session_that_is_released_once(
    site: Site, client: FlaskClient
) -> None:
    """It is the same one in hooks and view, whatever kind and thread these are of."""
    paths = ["/def", "/async"] * 25
    posts = [client.post(path, data={"name": f"{i:02}"}) for i, path in enumerate(paths)]
    responses = await asyncio.gather(*posts)
    assert {response.status_code for response in responses} == {200}
    assert len({response.json["id"] for response in responses}) == 50
    site.assert_all_released(50)
    assert (await client.get("/")).json == [f"{i:02}" for i in range(50)]


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_an_error_undoes_what_was_not_committed(
    site: Site, client: FlaskClient, kind: str
) -> None:
    """Each session is released all the same."""
    responses = await asyncio.gather(*(client.post(f"/lost/{kind}") for _ in range(10)))
    assert {response.status_code for response in responses} == {500 if kind == "def" else 409}
    assert (await client.get("/")).json == []
    site.assert_all_released(11)


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_its_errors_reach_error_handlers(site: Site, client: FlaskClient, kind: str) -> None:
    """The session is usable by the next request."""
    posts = [await client.post(f"/{kind}", data={"name": "Ann"}) for _ in range(2)]
    assert [response.status_code for response in posts] == [200, 409]
    assert (await client.get("/")).json == ["Ann"]
    site.assert_all_released(3)


async def test_its_helpers_work_in_async_views(client: FlaskClient) -> None:
    """``get_or_404``, and pages that are asked for in the query."""
    for name in "abc":
        await client.post("/async", data={"name": name})
    assert (await client.get("/2")).json == {"name": "b"}
    assert (await client.get("/7")).status_code == 404
    assert (await client.get("/page?page=2")).json == {"names": ["c"], "pages": 2}


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_a_stream_keeps_its_session_to_the_last_byte(site: Site, kind: str) -> None:
    """Over the wire; a client that goes away in the middle releases it, too."""
    with site.app.app_context():
        site.db.session.add_all(site.user(name=f"{i:04}" + 500 * "-") for i in range(2000))
        site.db.session.commit()
    site.closed.clear()
    with serving(site.app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            responses = await asyncio.gather(*(client.get(f"/stream/{kind}") for _ in range(5)))
            for response in responses:
                assert [line[:4] for line in response.text.splitlines()] == [
                    f"{i:04}" for i in range(2000)
                ]
            async with client.stream("GET", f"/stream/{kind}") as response:
                await anext(response.aiter_raw())
    site.assert_all_released(6)


def test_tests_of_its_users_work(site: Site) -> None:
    """With Werkzeug's client, and in contexts that the test pushes."""
    client = site.app.test_client()
    assert client.post("/def", data={"name": "def"}).status_code == 200
    assert client.post("/async", data={"name": "async"}).status_code == 200
    with site.app.app_context():
        assert site.db.session.query(site.user).count() == 2
    site.assert_all_released(3)


@pytest.mark.parametrize("way", ["def", "commit", "no limit"])
async def test_a_connection_that_a_hook_has_taken_holds_nobody_up(tmp_path: Path, way: str) -> None:
    """Many at once: ``def`` views keep their worker; for others the docs have two ways."""
    limit = -1 if way == "no limit" else 2
    options = {"pool_size": 2, "max_overflow": limit, "pool_timeout": 20}
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/test.db"
    app.config.update(SQLALCHEMY_ENGINE_OPTIONS=options, WORKER_THREADS=8)
    db = SQLAlchemy(app, session_options={"expire_on_commit": False})

    class User(db.Model):  # type: ignore[name-defined]
        id = mapped_column(db.Integer, primary_key=True)

    @app.before_request
    def load_user() -> None:
        g.user = db.session.get(User, 1)
        if way == "commit":
            db.session.commit()

    def count() -> str:
        return f"{g.user.id} of {db.session.scalar(db.select(db.func.count(User.id)))}"

    @app.get("/def")
    def in_def() -> str:
        return count()

    @app.get("/async")
    async def in_async() -> str:
        await asyncio.sleep(0.01)
        counted: str = await app.run_sync(count)
        return counted

    with app.app_context():
        db.create_all()
        db.session.add(User())
        db.session.commit()
    client = FlaskClient(app)
    path = "/def" if way == "def" else "/async"
    async with asyncio.timeout(15):
        responses = await asyncio.gather(*(client.get(path) for _ in range(100)))
    assert {response.text for response in responses} == {"1 of 1"}
    with app.app_context():
        db.engine.dispose()
