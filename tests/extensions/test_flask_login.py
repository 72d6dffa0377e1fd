"""Flask-Login around ``def`` and ``async def`` views."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from flask import Flask, request
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)

from asyncflask.testing import FlaskClient
from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Login", kind="extension")

KINDS = pytest.mark.parametrize("kind", ["def", "async"])


class User(UserMixin):
    """Somebody, known by name."""

    def __init__(self, name: str) -> None:
        self.id = name


def make_app() -> Flask:
    """An application with views of both kinds."""
    app = Flask(__name__)
    app.secret_key = "key"
    manager = LoginManager(app)
    manager.login_view = "login_in_def"
    manager.user_loader(lambda name: None if name == "deleted" else User(name))

    @manager.request_loader
    def load_from_header(request):
        token = request.headers.get("Authorization", "")
        return User(token.removeprefix("Bearer ")) if token.startswith("Bearer ") else None

    @app.post("/login/def")
    def login_in_def():
        login_user(User(request.form["name"]), remember="remember" in request.form)
        return {"name": current_user.id}

    @app.post("/login/async")
    async def login_in_async():
        form = await request.form
        login_user(User(form["name"]), remember="remember" in form)
        await asyncio.sleep(0)
        return {"name": current_user.id}

    @app.get("/def")
    @login_required
    def name_in_def():
        return {"name": current_user.id}

    @app.get("/async")
    @login_required
    async def name_in_async():
        before = current_user.id
        await asyncio.sleep(0.01)
        assert current_user.id == before
        return {"name": before}

    @app.get("/fresh/def")
    @fresh_login_required
    def fresh_in_def():
        return ""

    @app.get("/fresh/async")
    @fresh_login_required
    async def fresh_in_async():
        return ""

    @app.post("/logout/def")
    @login_required
    def logout_in_def():
        logout_user()
        return {"anonymous": current_user.is_anonymous}

    @app.post("/logout/async")
    @login_required
    async def logout_in_async():
        logout_user()
        await asyncio.sleep(0)
        return {"anonymous": current_user.is_anonymous}

    return app


@pytest.fixture
def app() -> Flask:
    return make_app()


@KINDS
async def test_a_user_logs_in_and_out(app: Flask, kind: str) -> None:
    """Where nobody is logged in, the login page is next."""
    async with FlaskClient(app) as client:
        response = await client.get(f"/{kind}")
        assert response.status_code == 302
        assert response.headers["Location"] == f"/login/def?next=%2F{kind}"
        response = await client.post(f"/login/{kind}", data={"name": "Ann"})
        assert response.json == {"name": "Ann"}
        for path in ("/def", "/async"):
            assert (await client.get(path)).json == {"name": "Ann"}
        assert (await client.post(f"/logout/{kind}")).json == {"anonymous": True}
        assert (await client.get(f"/{kind}")).status_code == 302


@KINDS
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # of the package
async def test_a_cookie_remembers_a_user_who_has_no_session_any_more(app: Flask, kind: str) -> None:
    """The login is not fresh then. Logging out deletes the cookie."""
    async with FlaskClient(app) as client:
        await client.post(f"/login/{kind}", data={"name": "Ann", "remember": "1"})
        assert (await client.get(f"/fresh/{kind}")).status_code == 200
        client.delete_cookie("session")
        assert (await client.get(f"/{kind}")).json == {"name": "Ann"}
        assert (await client.get(f"/fresh/{kind}")).status_code == 401
        await client.post(f"/logout/{kind}")
        client.delete_cookie("session")
        assert (await client.get(f"/{kind}")).status_code == 302


@KINDS
async def test_a_user_who_does_not_exist_any_more_is_nobody(app: Flask, kind: str) -> None:
    """The loader is asked in each request."""
    async with FlaskClient(app) as client:
        await client.post(f"/login/{kind}", data={"name": "deleted"})
        assert (await client.get(f"/{kind}")).status_code == 302


async def test_many_users_at_once_are_never_mixed(app: Flask) -> None:
    """Each logs in, is asked for its name ten times, and logs out, in views of both kinds."""

    async def use(name: str) -> None:
        async with FlaskClient(app) as client:
            for kind in ("def", "async"):
                response = await client.post(f"/login/{kind}", data={"name": name})
                assert response.json == {"name": name}
                responses = await asyncio.gather(*(client.get(f"/{kind}") for _ in range(5)))
                assert [response.json for response in responses] == [{"name": name}] * 5
                assert (await client.post(f"/logout/{kind}")).json == {"anonymous": True}

    await asyncio.gather(*(use(f"user {i}") for i in range(50)))


async def test_over_the_wire(app: Flask) -> None:
    """With cookies, and with a header for each of many requests on one connection pool."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            headers = [{"Authorization": f"Bearer {i}"} for i in range(50)]
            paths = ["/def", "/async"] * 25
            responses = await asyncio.gather(
                *(client.get(path, headers=h) for path, h in zip(paths, headers, strict=True))
            )
            assert [r.json() for r in responses] == [{"name": f"{i}"} for i in range(50)]
            await client.post("/login/async", data={"name": "Ann"})
            assert (await client.get("/def")).json() == {"name": "Ann"}


def test_tests_of_its_users_work(app: Flask) -> None:
    """Its own client logs a user in."""
    from flask_login import FlaskLoginClient

    app.test_client_class = FlaskLoginClient
    with app.test_client(user=User("Ann")) as client:
        assert client.get("/def").json == client.get("/async").json == {"name": "Ann"}
        assert current_user.id == "Ann"
