"""Middleware of blueprints: around the views and hooks of the blueprint, and of no others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from asyncflask import Blueprint, Flask, SetupError, g, request


class Tell:
    """Adds its name to a header, and counts the requests that it sees."""

    made: list[Tell]

    def __init__(self, app: Any, name: str) -> None:
        self.app = app
        self.name = name
        self.seen = 0
        Tell.made.append(self)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen += 1

        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {
                    **message,
                    "headers": [*message["headers"], (b"x-way", self.name.encode())],
                }
            await send(message)

        scope = {**scope, "way": [*scope.get("way", ()), self.name]}
        await self.app(scope, receive, tell)


@pytest.fixture(autouse=True)
def _forget() -> None:
    Tell.made = []


def make_blueprint(name: str, kind: str, **options: Any) -> Blueprint:
    blueprint = Blueprint(
        name, __name__, url_prefix=f"/{name}", middleware=[Middleware(Tell, name)], **options
    )
    if kind == "def":

        @blueprint.get("/<int:number>")
        def view(number: int) -> str:
            return f"{number} {request.scope['way']} {request.blueprints}"

    else:

        @blueprint.get("/<int:number>")
        async def async_view(number: int) -> str:
            return f"{number} {request.scope['way']} {request.blueprints}"

    return blueprint


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_middleware_stands_around_the_blueprint_and_those_in_it(kind: str) -> None:
    """Outermost first; the application's outside of all; a blueprint without any has none."""
    app = Flask(__name__, middleware=[Middleware(Tell, "app")])
    inner, outer, plain = (make_blueprint(name, kind) for name in ("inner", "outer", "plain"))
    plain.user_middleware.clear()
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.register_blueprint(plain)
    client = app.test_client()
    response = await client.get("/outer/inner/5")
    assert response.text == "5 ['app', 'outer', 'inner'] ['outer.inner', 'outer']"
    assert response.headers.get_list("x-way") == ["inner", "outer", "app"]
    assert (await client.get("/outer/5")).text == "5 ['app', 'outer'] ['outer']"
    assert (await client.get("/plain/5")).text == "5 ['app'] ['plain']"
    assert (await client.get("/nowhere")).headers.get_list("x-way") == ["app"]


async def test_each_registration_has_one_instance_that_keeps_its_state() -> None:
    """Whichever view is asked for; the middleware added last is the outermost."""
    app = Flask(__name__)
    blueprint = make_blueprint("bp", "async")
    blueprint.add_middleware(Tell, "added")
    blueprint.get("/other")(lambda: "other")
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="again", url_prefix="/again")
    client = app.test_client()
    assert (await client.get("/bp/1")).text == "1 ['added', 'bp'] ['bp']"
    await client.get("/bp/other")
    await client.get("/again/other")
    assert sorted((each.name, each.seen) for each in Tell.made) == [
        ("added", 1), ("added", 2), ("bp", 1), ("bp", 2)
    ]  # fmt: skip
    with pytest.raises(SetupError):
        blueprint.add_middleware(Tell, "late")


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_starlettes_middleware_works(kind: str) -> None:
    """CORS answers preflights, GZip compresses; `g` and the context are right within."""
    app = Flask(__name__)
    seen: list[Any] = []

    class Timing(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["X-Timed"] = "yes"
            return response

    api = Blueprint(
        "api",
        __name__,
        url_prefix="/api",
        middleware=[
            Middleware(CORSMiddleware, allow_origins=["https://example.org"]),
            Middleware(GZipMiddleware, minimum_size=10),
            Middleware(Timing),
        ],
    )

    @api.before_request
    def before() -> None:
        g.number = 5

    @api.teardown_request
    def teardown(exc: BaseException | None) -> None:
        seen.append((g.number, exc))

    if kind == "def":
        api.post("/")(lambda: f"{g.number}" * 100)
    else:

        @api.post("/")
        async def index() -> str:
            await asyncio.sleep(0)
            return f"{g.number}" * 100

    app.register_blueprint(api)
    async with app.test_client() as client:
        origin = {"Origin": "https://example.org", "Accept-Encoding": "gzip"}
        response = await client.post("/api/", headers=origin)
        assert response.text == "5" * 100
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["X-Timed"] == "yes"
        assert response.headers["Access-Control-Allow-Origin"] == "https://example.org"
        preflight = await client.options(
            "/api/", headers={**origin, "Access-Control-Request-Method": "POST"}
        )
        assert preflight.headers["Access-Control-Allow-Methods"]
        assert (await client.options("/api/")).headers["Allow"] == "OPTIONS, POST"
    assert seen[0] == (5, None)


async def test_errors_go_through_the_middleware() -> None:
    """The 500 is made inside of it; under test the exception leaves it bare."""
    app = Flask("quiet")
    app.logger.disabled = True
    blueprint = make_blueprint("bp", "async")

    @blueprint.get("/fail")
    async def fail() -> str:
        raise KeyError("fail")

    app.register_blueprint(blueprint)
    client = app.test_client()
    response = await client.get("/bp/fail")
    assert (response.status_code, response.headers["x-way"]) == (500, "bp")
    app.testing = True
    with pytest.raises(KeyError):
        await client.get("/bp/fail")


async def test_middleware_may_answer_instead() -> None:
    """Then no hook and no view runs."""

    class Refuse:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"refused"})

    app = Flask(__name__)
    record: list[str] = []
    blueprint = Blueprint("bp", __name__, middleware=[Middleware(Refuse)])
    blueprint.get("/")(lambda: record.append("view") or "view")  # type: ignore[func-returns-value]
    app.before_request(lambda: record.append("before"))
    app.register_blueprint(blueprint)
    response = await app.test_client().get("/")
    assert (response.status_code, response.text, record) == (403, "refused", [])


def test_a_bare_class_is_no_middleware() -> None:
    """Starlette wants it wrapped; that is told where it is given."""
    bare: Any = [GZipMiddleware]
    with pytest.raises(
        TypeError, match=r"Write: middleware=\[Middleware\(GZipMiddleware, \.\.\.\)\]"
    ):
        Flask(__name__, middleware=bare)
    with pytest.raises(TypeError, match="is no starlette"):
        Blueprint("a", __name__, middleware=bare)
