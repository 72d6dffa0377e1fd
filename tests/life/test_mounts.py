"""Where applications can be mounted: below a path, in a blueprint, for a subdomain."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from asyncflask import Blueprint, Flask, SetupError, request
from asyncflask.wsgi import WSGIAdapter


async def where(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says how it was reached."""
    if scope["type"] == "http":
        way = "".join(scope.get("way", ()))
        text = f"{scope.get('root_path', '')} {scope['path']} {way}".rstrip()
        await PlainTextResponse(text)(scope, receive, send)


class Way:
    """Middleware that notes its name."""

    def __init__(self, app: Any, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "way": [*scope.get("way", ()), self.name]}
        await self.app(scope, receive, send)


def make_blueprint(name: str, **options: Any) -> Blueprint:
    return Blueprint(
        name, __name__, url_prefix=f"/{name}", middleware=[Middleware(Way, name)], **options
    )


async def test_a_blueprint_has_mounts_below_its_prefix() -> None:
    """At each registration; its middleware and that around it stand around them, once each."""
    inner, outer = make_blueprint("in"), make_blueprint("out")
    inner.mount("/x", where)
    inner.mount("y", where, name="why")
    outer.register_blueprint(inner)
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(outer)
    app.register_blueprint(inner, name="again", url_prefix="/again/")
    plain = Blueprint("plain", __name__)
    plain.mount("/z", where)
    app.register_blueprint(plain)
    client = app.test_client()
    assert (await client.get("/out/in/x/1")).text == "/out/in/x /out/in/x/1 outin"
    assert (await client.get("/out/in/y/")).text == "/out/in/y /out/in/y/ outin"
    assert (await client.get("/again/x/1")).text == "/again/x /again/x/1 in"
    assert (await client.get("/z/")).text == "/z /z/"
    assert (await client.get("/x/")).status_code == 404
    assert app.url_path_for("out.in.why", path="z") == "/out/in/y/z"
    with pytest.raises(SetupError, match="after it was registered"):
        plain.mount("/late", where)
    with pytest.raises(SetupError, match="after it has started"):
        app.mount("/late", where)


async def test_an_application_below_middleware_starts_once_and_keeps_its_state() -> None:
    """However many blueprints it is mounted in."""
    record: list[str] = []

    async def lifespan(app: Any) -> Any:
        record.append("start")
        yield {"name": "inner"}
        record.append("end")

    inner = Flask("inner", static_folder=None, lifespan=lifespan)

    @inner.get("/")
    async def index() -> Any:
        return request.scope["state"]["name"]

    app = Flask(__name__, static_folder=None)
    for name in ("a", "b"):
        blueprint = make_blueprint(name)
        blueprint.mount("/x", inner)
        app.register_blueprint(blueprint)
    async with app.test_client() as client:
        assert record == ["start"]
        assert (await client.get("/a/x/")).text == "inner"
        assert (await client.get("/b/x/")).text == "inner"
    assert record == ["start", "end"]


async def test_a_blueprint_for_a_subdomain_has_mounts_there_only() -> None:
    """Rules of other subdomains do not get in their way, nor they in the way of those."""
    app = Flask(__name__, static_folder=None, subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.org"
    app.get("/x/")(lambda: "ours")
    blueprint = Blueprint("api", __name__, subdomain="api")
    blueprint.mount("/x", where)
    app.register_blueprint(blueprint)
    async with app.test_client() as client:
        assert (await client.get("http://api.example.org/x/1")).text == "/x /x/1"
        assert (await client.get("http://example.org/x/")).text == "ours"
        assert (await client.get("http://example.org/x/1")).status_code == 404
        assert (await client.get("http://api.example.org/y")).status_code == 404


@pytest.mark.parametrize(
    ("options", "subdomain"),
    [({}, "api"), ({"subdomain_matching": True}, "<user>")],
)
def test_mounts_for_subdomains_need_them(options: dict[str, Any], subdomain: str) -> None:
    """Else they would be there for all hosts."""
    blueprint = Blueprint("api", __name__, subdomain=subdomain)
    blueprint.mount("/x", where)
    with pytest.raises(SetupError, match="subdomain_matching=True"):
        Flask(__name__, **options).register_blueprint(blueprint)


def test_mistakes_in_the_path_are_told() -> None:
    """What is wrong, and what to write."""
    app = Flask(__name__)
    with pytest.raises(SetupError, match=r"starts with a slash\. Write '/x'"):
        app.mount("x", where)
    with pytest.raises(SetupError, match=r"Mounts have Starlette's, '/\{name\}'"):
        app.mount("/<name>", where)
    blueprint = Blueprint("user", __name__, url_prefix="/<user>")
    blueprint.mount("/x", where)
    with pytest.raises(SetupError, match="blueprint whose prefix has variables"):
        app.register_blueprint(blueprint)


def test_what_is_no_asgi_application_is_refused() -> None:
    """With a hint for those that are something else."""
    app = Flask(__name__)

    def wsgi(environ: Any, start_response: Any) -> Any: ...

    for wrong in (wsgi, Blueprint("x", __name__), None, "shop:app"):
        with pytest.raises(TypeError, match=r"at '/x'.*WSGIAdapter\(app\).*register_blueprint"):
            app.mount("/x", wrong)  # type: ignore[arg-type]
    app.mount("/x", WSGIAdapter(wsgi))
    app.mount("/y", functools.partial(where))


async def test_an_application_that_does_not_tell_its_arguments_is_taken() -> None:
    """It may be written in C."""

    class Silent:
        @property
        def __signature__(self) -> Any:
            raise ValueError("no signature found")

        def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
            return where(scope, receive, send)

    app = Flask(__name__)
    app.mount("/x", Silent())
    assert (await app.test_client().get("/x/")).text == "/x /x/"


async def test_a_mount_may_have_variables_of_starlettes() -> None:
    """They reach the application, and the middleware around ours."""

    async def tenant(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await PlainTextResponse(request.path_params["tenant"])(scope, receive, send)

    app = Flask(__name__)
    app.mount("/of/{tenant}", tenant)
    assert (await app.test_client().get("/of/acme/")).text == "acme"
