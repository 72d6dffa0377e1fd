"""The application: what it is made of, what it can be told, what it is wrapped in."""

from __future__ import annotations

import gc
import json as stdlib_json
import logging
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import RequestRedirect

from asyncflask import (
    Config,
    Flask,
    Request,
    Response,
    SetupError,
    abort,
    current_app,
    g,
    has_request_context,
    jsonify,
    request,
    session,
)
from asyncflask.exceptions import FormDataRoutingRedirect
from asyncflask.json.provider import DefaultJSONProvider
from asyncflask.sessions import SecureCookieSession, SecureCookieSessionInterface
from asyncflask.testing import FlaskClient
from tests.wire import until


@pytest.fixture
def app() -> Flask:
    return Flask("shop", static_folder=None)


def add_index(app: Flask) -> None:
    @app.get("/")
    async def index() -> str:
        g.seen = request.path
        return f"index {g.seen}"


# What it is.


def test_it_is_a_starlette_application(app: Flask) -> None:
    """With the attributes that tools made for Starlette read."""
    assert isinstance(app, Starlette)
    app.state.x = 1
    assert (app.state.x, app.routes, app.user_middleware) == (1, [], [])
    assert app.middleware_stack is None
    assert repr(app) == "<Flask 'shop'>"


async def test_tools_may_replace_starlettes_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    """As instrumentation does, to add its middleware to every application."""
    construct = Starlette.__init__

    class Instrument:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["instrumented"] = [*scope.get("instrumented", ()), type(self.app).__name__]
            await self.app(scope, receive, send)

    def instrumented(self: Starlette, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        self.add_middleware(Instrument)

    monkeypatch.setattr(Starlette, "__init__", instrumented)
    app = Flask("shop", static_folder=None, middleware=[Middleware(Instrument)])
    app.get("/")(lambda: request.scope["instrumented"])
    assert (await app.test_client().get("/")).json() == ["Instrument", "method"]


def test_middleware_can_tell_that_the_dispatch_is_asgi_3(app: Flask) -> None:
    """asgiref asks whether it is a coroutine function, which it is not, or for this name."""
    assert app.dispatch.handle._asgi_single_callable


def test_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import name; of a script, its file's; as in Flask."""
    for file, name in (("/srv/shop.py", "shop"), (None, "__main__")):
        main = ModuleType("__main__")
        if file is not None:
            main.__file__ = file
        monkeypatch.setitem(sys.modules, "__main__", main)
        options: dict[str, Any] = {"root_path": "/", "instance_path": "/", "static_folder": None}
        assert Flask("__main__", **options).name == name
        assert flask.Flask("__main__", **options).name == name
    assert Flask("shop.web").name == "shop.web"


def test_paths_as_in_flask(tmp_path: Path) -> None:
    """Root, instance, templates."""
    options: list[dict[str, Any]] = [
        {},
        {"root_path": str(tmp_path)},
        {"instance_path": str(tmp_path)},
        {"instance_relative_config": True},
        {"template_folder": None},
    ]
    for kwargs in options:
        ours, theirs = Flask(__name__, **kwargs), flask.Flask(__name__, **kwargs)
        for name in ("root_path", "instance_path", "template_folder", "static_folder"):
            assert getattr(ours, name) == getattr(theirs, name), name
        assert ours.config.root_path == str(theirs.config.root_path)
    for cls in (Flask, flask.Flask):
        with pytest.raises(ValueError, match="absolute"):
            cls(__name__, instance_path="here")


def test_files_of_the_installation(tmp_path: Path) -> None:
    """Below `instance_path`, for reading and writing."""
    app = Flask("shop", instance_path=str(tmp_path))
    with app.open_instance_resource("a.txt", "w") as file:
        file.write("gr\u00fcn")
    with app.open_instance_resource("a.txt") as file:
        assert file.read() == "gr\u00fcn".encode()
    with app.open_instance_resource("a.txt", "r", encoding="latin-1") as file:
        assert file.read() == "gr\u00c3\u00bcn"


def test_attributes_that_live_in_the_config(app: Flask) -> None:
    """Both ways, also after the start."""
    app.freeze()
    for name, key, value in (
        ("testing", "TESTING", True),
        ("secret_key", "SECRET_KEY", "a key"),
        ("debug", "DEBUG", True),
        ("permanent_session_lifetime", "PERMANENT_SESSION_LIFETIME", timedelta(minutes=1)),
    ):
        setattr(app, name, value)
        assert app.config[key] == value
        app.config[key] = None if name == "secret_key" else app.config[key]
    app.config.update(TESTING=False, SECRET_KEY="other", DEBUG=0, PERMANENT_SESSION_LIFETIME=90)
    assert (app.testing, app.secret_key, app.debug) == (False, "other", False)
    assert app.permanent_session_lifetime == timedelta(seconds=90)


def test_debug_mode_reloads_templates(app: Flask) -> None:
    """Unless the config says otherwise; the environment is made when it is needed."""
    app.debug = True
    assert "jinja_env" not in app.__dict__
    assert app.jinja_env.auto_reload
    assert app.jinja_env is app.jinja_env
    app.debug = False
    assert not app.jinja_env.auto_reload
    app.config["TEMPLATES_AUTO_RELOAD"] = True
    assert app.jinja_env.auto_reload
    app.jinja_env.auto_reload = False
    assert not app.jinja_env.auto_reload


def test_the_logger_has_the_applications_name(app: Flask) -> None:
    """As in Flask."""
    assert isinstance(app.logger, logging.Logger)
    assert app.logger.name == flask.Flask("shop").logger.name == "shop"


def test_errors_are_logged_with_the_request(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Its path and method, where there is one."""
    try:
        raise KeyError("x")
    except KeyError as exc:
        info = (KeyError, exc, exc.__traceback__)
    with app.test_request_context("/x", method="POST"):
        app.log_exception(info)
    app.log_exception(info)
    assert "Exception on /x [POST]" in caplog.text
    assert "Exception on None [None]" in caplog.text


# Static files.


def test_static_rules_as_in_flask(tmp_path: Path) -> None:
    """None, with the folder's name, with another URL, with a host."""
    options: list[dict[str, Any]] = [
        {},
        {"static_folder": None},
        {"static_folder": "files"},
        {"static_url_path": "/assets"},
        {"static_url_path": ""},
        {"static_folder": str(tmp_path)},
        {"static_host": "static.test", "host_matching": True},
    ]

    def rules(app: Any) -> list[Any]:
        return [
            (rule.rule, rule.endpoint, rule.host, sorted(rule.methods))
            for rule in app.url_map.iter_rules()
        ]

    for kwargs in options:
        assert rules(Flask("shop", **kwargs)) == rules(flask.Flask("shop", **kwargs)), kwargs


@pytest.mark.parametrize("options", [{"static_host": "static.test"}, {"host_matching": True}])
def test_static_host_and_host_matching_go_together(options: dict[str, Any]) -> None:
    """One without the other cannot work."""
    with pytest.raises(SetupError, match="'static_host' and 'host_matching' go together"):
        Flask("shop", **options)
    with pytest.raises(AssertionError):
        flask.Flask("shop", **options)


async def test_static_files_are_sent_by_a_method_that_may_be_replaced(tmp_path: Path) -> None:
    """Of the application, whose `get_send_file_max_age` is asked."""
    (tmp_path / "a.txt").write_text("a file")

    class Mine(Flask):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            return 7

    app = Mine("shop", static_folder=str(tmp_path), static_url_path="/files")
    client = app.test_client()
    response = await client.get("/files/a.txt")
    assert (response.text, response.headers["Cache-Control"]) == ("a file", "public, max-age=7")
    app.send_static_file = lambda filename: f"mine: {filename}"  # type: ignore[method-assign]
    assert (await client.get("/files/a.txt")).text == "mine: a.txt"


# Responses and URLs.


def test_make_response_and_redirect(app: Flask) -> None:
    """Of the application's class."""

    class Mine(Response):
        pass

    app.response_class = Mine
    with app.test_request_context():
        response = app.make_response(("text", 201, {"X-A": "1"}))
        assert (type(response), response.status_code, response.headers["X-A"]) == (Mine, 201, "1")
        assert type(app.redirect("/x")) is Mine
        assert app.redirect("/x", 308).status_code == 308


def test_urls_can_be_influenced(app: Flask) -> None:
    """By `url_for`, `inject_url_defaults` and `handle_url_build_error` of the application."""
    app.add_url_rule("/<lang>/x", "x", lambda lang: "")
    app.url_defaults(lambda endpoint, values: values.setdefault("lang", "en"))
    app.url_build_error_handlers.append(lambda error, endpoint, values: f"/lost/{endpoint}")
    with app.test_request_context():
        assert app.url_for("x") == "/en/x"
        assert app.url_for("x", lang="de", _anchor="top", _external=True) == (
            "http://localhost/de/x#top"
        )
        assert app.url_for("nowhere") == "/lost/nowhere"
    values: dict[str, Any] = {}
    app.inject_url_defaults("x", values)
    assert values == {"lang": "en"}


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.txt", "a.xml", "a.htm", "a.xhtml", None])
def test_which_templates_are_escaped(app: Flask, name: str | None) -> None:
    """As in Flask."""
    theirs = flask.Flask("shop").select_jinja_autoescape(name)  # type: ignore[arg-type]
    assert app.select_jinja_autoescape(name) == theirs


# Middleware and mounts.


class Tag:
    """ASGI middleware that leaves its name on the way in and out."""

    def __init__(self, app: Any, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {}).setdefault("tags", []).append(self.name)
        await self.app(scope, receive, send)


async def test_middleware_of_the_constructor_and_added(app: Flask) -> None:
    """The constructor's first is the outermost; what is added goes around all, as in Starlette."""
    app = Flask("shop", static_folder=None, middleware=[Middleware(Tag, "a"), Middleware(Tag, "b")])
    app.add_middleware(Tag, name="c")
    app.add_middleware(Tag, "d")

    @app.get("/")
    async def index() -> list[str]:
        tags: list[str] = request.scope["state"]["tags"]
        return tags

    async with app.test_client() as client:
        assert (await client.get("/")).json() == ["d", "c", "a", "b"]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_the_context_is_right_behind_starlettes_middleware(app: Flask, kind: str) -> None:
    """CORS, gzip and a `BaseHTTPMiddleware`, also for streams and 500s."""
    seen: list[bool] = []

    class Base(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            seen.append(has_request_context())
            response = await call_next(request)
            seen.append(has_request_context())
            response.headers["X-Base"] = "1"
            return response

    app.add_middleware(Base)
    app.add_middleware(GZipMiddleware, minimum_size=100)
    app.add_middleware(CORSMiddleware, allow_origins=["http://friend.test"])

    async def page() -> str:
        return f"{request.path} {current_app.name} " * 50

    async def stream() -> AsyncIterator[str]:
        for _ in range(100):
            yield request.path

    async def stream_view() -> Any:
        return stream()

    async def broken() -> None:
        abort(500)

    if kind == "def":
        app.add_url_rule("/page", "page", lambda: f"{request.path} {current_app.name} " * 50)
    else:
        app.add_url_rule("/page", "page", page)
    app.add_url_rule("/stream", "stream", stream_view)
    app.add_url_rule("/broken", "broken", broken)
    client = app.test_client()
    headers = {"Origin": "http://friend.test", "Accept-Encoding": "gzip"}
    response = await client.get("/page", headers=headers)
    assert response.text == "/page shop " * 50
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Access-Control-Allow-Origin"] == "http://friend.test"
    assert (await client.get("/stream", headers=headers)).text == "/stream" * 100
    response = await client.get("/broken", headers=headers)
    assert (response.status_code, response.headers["X-Base"]) == (500, "1")
    assert response.headers["Access-Control-Allow-Origin"] == "http://friend.test"
    assert seen == [False] * 6


async def test_asgi_app_can_be_wrapped(app: Flask) -> None:
    """By assignment, as in Quart; the user's middleware stays around it."""
    add_index(app)
    app.add_middleware(Tag, "middleware")
    app.asgi_app = Tag(app.asgi_app, "wrapper")  # type: ignore[method-assign]
    app.asgi_app = Tag(app.asgi_app, "outer")  # type: ignore[method-assign]
    tags: list[str] = []
    app.before_request(lambda: tags.extend(request.scope["state"]["tags"]))
    assert (await app.test_client().get("/")).text == "index /"
    assert tags == ["middleware", "outer", "wrapper"]


async def test_asgi_app_can_be_overridden() -> None:
    """By a subclass."""

    class Mine(Flask):
        async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
            scope["mine"] = True
            await super().asgi_app(scope, receive, send)

    app = Mine("shop", static_folder=None)
    app.add_url_rule("/", "index", lambda: str(request.scope["mine"]))
    assert (await app.test_client().get("/")).text == "True"


async def test_mounts_and_starlettes_routes(app: Flask) -> None:
    """Stand among the rules."""

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"other {scope['root_path']}")(scope, receive, send)

    async def starlette_view(request: Any) -> JSONResponse:
        return JSONResponse({"path": request.url.path})

    add_index(app)
    app.mount("/other", other, name="other")
    app.add_route("/star", starlette_view)
    app.host("api.test", other)
    client = app.test_client()
    assert (await client.get("/other/x")).text == "other /other"
    assert (await client.get("/star")).json() == {"path": "/star"}
    assert (await client.get("/")).text == "index /"
    assert (await client.get("http://api.test/any")).text == "other "


async def test_starlettes_exception_handlers(app: Flask) -> None:
    """Take the request and the error."""

    async def handle(request: Any, exc: Exception) -> PlainTextResponse:
        return PlainTextResponse(f"{request.url.path} {exc!r}", status_code=418)

    app.add_exception_handler(404, handle)
    response = await app.test_client().get("/nowhere")
    assert (response.status_code, response.text[:36]) == (
        418,
        "/nowhere HTTPException(status_code=4",
    )
    assert app.exception_handlers == {404: handle}


@pytest.mark.parametrize("decorated", [True, False])
async def test_a_lifespan_of_starlettes_kind(decorated: bool) -> None:
    """An async context manager function, or the bare async generator function."""
    record: list[str] = []

    async def lifespan(app: Any) -> AsyncIterator[None]:
        record.append(f"start {app.name}")
        yield
        record.append("stop")

    made = asynccontextmanager(lifespan) if decorated else lifespan
    app = Flask("shop", static_folder=None, lifespan=made)  # type: ignore[arg-type]
    async with app.test_client():
        assert record == ["start shop"]
    assert record == ["start shop", "stop"]


@pytest.mark.parametrize(
    ("accept", "client", "mimetype", "shows"),
    [
        ("text/html", "127.0.0.1", "text/html", True),
        ("text/plain", "127.0.0.1", "text/plain", True),
        ("text/html", "203.0.113.7", "text/html", False),
    ],
)
def test_the_page_of_debug_mode(
    app: Flask, accept: str, client: str, mimetype: str, shows: bool
) -> None:
    """HTML for browsers, text for others, and nothing for clients elsewhere."""
    with app.test_request_context(
        headers={"Accept": accept}, scope_base={"client": (client, 1)}
    ) as context:
        assert app.debug_response(context, KeyError("x")) is None
        app.debug = True
        response = app.debug_response(context, KeyError("x"))
        assert (response is not None) == shows
        if response is not None:
            assert (response.status_code, response.mimetype) == (500, mimetype)
            assert b"KeyError" in response.data


# Subclasses.


async def test_an_application_of_ones_own() -> None:  # noqa: C901 - one class per part
    """Each part can be of another class."""

    class MyRequest(Request):
        @property
        def shout(self) -> str:
            return self.path.upper()

    class MyResponse(Response):
        default_mimetype = "text/plain"

    class MyJSON(DefaultJSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return stdlib_json.dumps({"mine": obj})

        def dumps_bytes(self, obj: Any) -> bytes:
            return self.dumps(obj).encode()

    class MyConfig(Config):
        pass

    class MySessions(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> SecureCookieSession:
            return SecureCookieSession({"user": "ann"})

        def save_session(self, app: Any, session: Any, response: Any) -> None:
            response.headers["X-User"] = session["user"]

    class MyAborter:
        def __call__(self, code: int) -> None:
            raise NotFound("mine")

    class MyClient(FlaskClient):
        pass

    class MyFlask(Flask):
        request_class = MyRequest
        response_class = MyResponse
        json_provider_class = MyJSON
        config_class = MyConfig
        session_interface = MySessions()
        aborter_class = MyAborter  # type: ignore[assignment]
        test_client_class = MyClient

        def make_config(self, instance_relative: bool = False) -> Config:
            config = super().make_config(instance_relative)
            config["MINE"] = 1
            return config

    app = MyFlask("shop", static_folder=None)
    assert (type(app.config), app.config["MINE"]) == (MyConfig, 1)

    @app.get("/page")
    async def page() -> str:
        return request.shout  # type: ignore[attr-defined, no-any-return]

    @app.get("/json")
    async def some_json() -> dict[str, str]:
        return {"user": session["user"]}

    @app.get("/jsonify")
    async def more_json() -> Response:
        return jsonify(1)

    @app.get("/abort")
    async def aborts() -> None:
        abort(500)

    client = app.test_client()
    assert isinstance(client, MyClient)
    response = await client.get("/page")
    assert (response.text, response.headers["Content-Type"]) == (
        "/PAGE",
        "text/plain; charset=utf-8",
    )
    response = await client.get("/json")
    assert response.json() == {"mine": {"user": "ann"}}
    assert response.headers["X-User"] == "ann"
    assert (await client.get("/jsonify")).json() == {"mine": 1}
    assert (await client.get("/abort")).status_code == 404


@pytest.mark.parametrize("on", ["class", "instance"])
async def test_an_overridden_make_response_sees_every_value(on: str) -> None:
    """Also plain ones, which would be sent as they are otherwise."""

    class Mine(Flask):
        def make_response(self, rv: Any) -> Response:
            return super().make_response(f"<{rv}>")

    if on == "class":
        app: Flask = Mine("shop", static_folder=None)
    else:
        app = Flask("shop", static_folder=None)
        make = app.make_response
        app.make_response = lambda rv: make(f"<{rv}>")  # type: ignore[method-assign]
    add_index(app)
    assert (await app.test_client().get("/")).text == "<index />"


async def test_an_error_page_of_the_applications_aborter(app: Flask) -> None:
    """`aborter` knows the codes of `abort`."""

    class Paid(HTTPException):
        code = 402
        description = "pay"

    app.aborter.mapping[402] = Paid

    @app.get("/")
    async def index() -> None:
        abort(402)

    response = await app.test_client().get("/")
    assert (response.status_code, "pay" in response.text) == (402, True)


# Its end.


async def test_a_dropped_application_is_freed(tmp_path: Path) -> None:
    """After requests too, with static files, threads, sessions and middleware."""

    async def use() -> weakref.ref[Flask]:
        app = Flask("shop", static_folder=str(tmp_path))
        app.secret_key = "a key"
        app.add_middleware(Tag, "x")
        add_index(app)
        app.add_url_rule("/def", "def", lambda: session.setdefault("x", "def"))
        async with app.test_client() as client:
            await client.get("/")
            await client.get("/def")
            await client.get("/nowhere")
        return weakref.ref(app)

    def is_freed() -> bool:
        gc.collect()
        return reference() is None

    reference = await use()
    await until(is_freed)  # its threads are ending
    unused = weakref.ref(Flask("shop"))
    gc.collect()
    assert unused() is None


def test_an_application_that_is_not_served_is_freed_at_once() -> None:
    """It stands in no reference cycle, as Flask's: suites of tests make many."""
    gc.disable()
    try:
        app = Flask("freed", static_folder="static")
        app.add_url_rule("/", view_func=lambda: "", endpoint="index")
        assert app.view_functions["static"]
        reference = weakref.ref(app)
        del app
        assert reference() is None
    finally:
        gc.enable()


def test_in_debug_mode_a_redirect_that_loses_a_body_explains_itself() -> None:
    """It names both addresses, as in Flask. Bodies of the usual redirects (308) are kept."""
    app = Flask("debug", static_folder=None)
    app.debug = True
    with app.test_request_context("/here?x=1", method="POST", base_url="http://a.test/root/"):
        error = RequestRedirect("/root/there")
        error.code = 301
        request.routing_exception = error
        with pytest.raises(FormDataRoutingRedirect) as info:
            app.raise_routing_exception(request)
    assert "to the canonical URL 'http://a.test/root/there'" in str(info.value)
