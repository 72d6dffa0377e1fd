"""The application of the compatibility namespace."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading
import weakref
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import flask
import pytest
from werkzeug.exceptions import NotFound, TooManyRequests
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder, run_wsgi_app

import asyncflask
from asyncflask.compat.flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    jsonify,
    make_response,
    request,
    session,
)
from asyncflask.compat.flask import json as compat_json
from asyncflask.compat.flask.globals import _cv_app, _cv_request
from asyncflask.compat.flask.helpers import _split_blueprint_path
from asyncflask.compat.flask.sansio.scaffold import find_package
from asyncflask.compat.flask.sessions import SecureCookieSession, SessionInterface
from asyncflask.testing import FlaskClient
from tests.wire import until

BOTH = [flask, pytest.param(None, id="asyncflask")]


def make(framework: Any) -> Any:
    """An application of either framework."""
    return (framework.Flask if framework else Flask)("shop")


async def fetch(app: Flask, path: str = "/", **options: Any) -> Any:
    """The response of an application to its ASGI client."""
    return await FlaskClient(app).get(path, **options)


# The ways it is called.


def test_it_is_a_wsgi_application() -> None:
    """A server calls it with an environ."""
    app = Flask("shop")
    app.get("/")(lambda: "Hello")
    body, status, headers = run_wsgi_app(app, EnvironBuilder("/").get_environ())
    assert (b"".join(body), status, headers["Content-Length"]) == (b"Hello", "200 OK", "5")


async def test_it_is_an_asgi_application() -> None:
    """A server calls it with a scope, and sees that it is of that kind."""
    app = Flask("shop")
    app.get("/")(lambda: "Hello")
    assert (await fetch(app)).text == "Hello"
    assert inspect.iscoroutinefunction(app.__call__)

    class Served:
        """What a server does that goes by the attribute."""

        config, json = app.config, app.json

        def __call__(self, *connection: Any) -> Any:
            return app.__call__(*connection)

    assert (await FlaskClient(Served()).get("/")).text == "Hello"  # type: ignore[arg-type]


def test_it_is_freed_at_once() -> None:
    """What servers look at holds no reference to it."""
    gc.disable()
    try:
        app = Flask("shop")
        freed = weakref.ref(app)
        del app
        assert freed() is None
    finally:
        gc.enable()


def middleware(wsgi_app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Middleware of WSGI's kind, which leaves a trace in the environ."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["HTTP_X_TRACE"] = environ.get("HTTP_X_TRACE", "") + "x"
        environ["SCRIPT_NAME"] = "/prefix"
        return wsgi_app(environ, start_response)

    return call


@pytest.fixture
def wrapped() -> Flask:
    """An application whose ``wsgi_app`` is wrapped."""
    app = Flask("shop")
    app.wsgi_app = middleware(app.wsgi_app)  # type: ignore[method-assign]
    app.state.value = None

    @app.post("/def")
    def in_def() -> Any:
        thread = threading.current_thread().name
        return [request.headers["X-Trace"], request.script_root, request.form["a"], thread]

    @app.post("/async")
    async def in_async() -> Any:
        loop = asyncio.get_running_loop()
        return [request.headers["X-Trace"], request.script_root, request.form["a"], id(loop)]

    @app.websocket("/ws")
    async def ws() -> None:
        await asyncflask.websocket.send("open")

    return app


async def test_what_wraps_wsgi_app_is_gone_through_under_asgi_too(wrapped: Flask) -> None:
    """Once, on the loop of the server, and ``def`` views run in the thread that it takes."""
    client = FlaskClient(wrapped)
    response = await client.post("/def", data={"a": "b"})
    assert response.json == ["x", "/prefix", "b", "shop-worker-1"]
    response = await client.post("/async", data={"a": "b"})
    assert response.json == ["x", "/prefix", "b", id(asyncio.get_running_loop())]
    async with client.websocket("/ws") as websocket:
        assert await websocket.receive() == "open"


def test_what_wraps_wsgi_app_is_gone_through_once_under_wsgi(wrapped: Flask) -> None:
    """As in Flask."""
    response = wrapped.test_client().post("/def", data={"a": "b"})
    assert response.json == ["x", "/prefix", "b", threading.current_thread().name]


async def test_werkzeugs_middleware_works_under_asgi() -> None:
    """``ProxyFix`` is what Flask's users put there most."""
    app = Flask("shop")
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    app.get("/")(lambda: f"{request.remote_addr} {request.scheme}")
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    assert (await fetch(app, headers=headers)).text == "192.0.2.7 https"


async def test_streams_through_it_leave_no_worker_behind(wrapped: Flask) -> None:
    """Their teardown functions borrow one, because the thread of the request has gone on."""
    wrapped.config.update(WORKER_THREADS=2, STREAM_THREADS=2)
    torn_down = []
    wrapped.teardown_appcontext(torn_down.append)
    wrapped.get("/stream")(lambda: iter(["a", "b"]))
    client = FlaskClient(wrapped)
    for _ in range(3):
        responses = await asyncio.gather(*(client.get("/stream") for _ in range(10)))
        assert {response.text for response in responses} == {"ab"}
    assert len(torn_down) == 30
    await until(lambda: not wrapped.pool.busy)


async def test_an_asgi_app_that_was_wrapped_comes_first(wrapped: Flask) -> None:
    """Who wraps that means ASGI servers."""
    inner = wrapped.asgi_app

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        scope["headers"] = [*scope["headers"], (b"x-trace", b"asgi")]
        await inner(scope, receive, send)

    wrapped.asgi_app = outer  # type: ignore[method-assign]
    response = await FlaskClient(wrapped).post("/def", data={"a": "b"})
    assert response.json[:2] == ["asgi", ""]


# Bodies, in async def views.


async def test_forms_and_json_are_values_in_async_views() -> None:
    """Extensions ask for them without awaiting; who awaits them gets the same."""
    app = Flask("shop")

    @app.post("/")
    async def view() -> Any:
        found: Any = request.form, request.files, request.values
        awaited = await request.form, await request.files, await request.values  # type: ignore[misc]
        assert found == awaited
        kinds = {"form": dict(found[0]), "values": dict(found[2])}
        if request.is_json:
            value: Any = request.get_json()
            assert value == await request.get_json() == await request.json
            assert request.data == await request.data
            assert request.get_data(as_text=True) == await request.get_data(as_text=True)
            kinds["json"] = value
        return kinds

    client = FlaskClient(app)
    response = await client.post("/?q=1", data={"a": "b"})
    assert response.json == {"form": {"a": "b"}, "values": {"a": "b", "q": "1"}}
    for value in ({"c": 1}, [1, 2]):
        response = await client.post("/", json=value)
        assert response.json == {"form": {}, "values": {}, "json": value}


def plain(view: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that knows nothing of ``async def``."""

    @functools.wraps(view)
    def decorated(**kwargs: Any) -> Any:
        return view(**kwargs)

    return decorated


def careful(view: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of the kind that Flask's extensions have."""

    @functools.wraps(view)
    def decorated(**kwargs: Any) -> Any:
        return current_app.ensure_sync(view)(**kwargs)

    return decorated


def heavy(view: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that makes a response of whatever the view returns."""

    @functools.wraps(view)
    def decorated(**kwargs: Any) -> Any:
        return make_response(view(**kwargs))

    return decorated


@pytest.mark.parametrize("decorator", [plain, careful, heavy])
async def test_forms_are_values_in_decorated_async_views(decorator: Any) -> None:
    """Although the decorated function is ``def``."""
    app = Flask("shop")

    @app.post("/")
    @decorator
    async def view() -> Any:
        return request.form["a"]

    assert (await FlaskClient(app).post("/", data={"a": "b"})).text == "b"


async def test_forms_are_values_in_async_hooks() -> None:
    """Before a ``def`` view, too."""
    app = Flask("shop")
    app.post("/")(lambda: str(g.found))

    @app.before_request
    async def hook() -> None:
        g.found = request.form["a"]

    assert (await FlaskClient(app).post("/", data={"a": "b"})).text == "b"


def test_an_async_function_is_made_a_plain_one_outside_of_requests() -> None:
    """As by commands."""
    app = Flask("shop")

    async def function() -> str:
        return "done"

    assert app.ensure_sync(function)() == "done"
    with app.app_context():
        assert app.ensure_sync(function)() == "done"


async def test_json_of_other_kinds_has_to_be_awaited() -> None:
    """No object can stand for ``true``, so there is an awaitable as ever."""
    app = Flask("shop")
    app.post("/")(_awaiting_view)
    assert (await FlaskClient(app).post("/", json=True)).text == "True"


async def _awaiting_view() -> str:
    with pytest.raises(asyncflask.MissingAwaitError):
        assert request.get_json() == True  # noqa: E712
    return str(await request.get_json())


async def test_other_bodies_are_left_to_the_view() -> None:
    """A stream of bytes is not read before the view."""
    app = Flask("shop")

    @app.post("/")
    async def view() -> str:
        return str([len(chunk) async for chunk in request.body])

    headers = {"Content-Type": "application/octet-stream"}
    assert (await FlaskClient(app).post("/", content=b"123", headers=headers)).text == "[3]"


async def test_a_broken_form_is_the_clients_mistake() -> None:
    """The error handlers see it as one of the view, which has asked for the form."""
    app = Flask("shop")
    app.errorhandler(400)(lambda exc: ("refused", 400))

    @app.post("/")
    async def view() -> Any:
        return request.form

    headers = {"Content-Type": "multipart/form-data"}
    response = await FlaskClient(app).post("/", data=b"x", headers=headers)
    assert (response.status_code, response.text) == (400, "refused")


async def test_an_async_handler_of_broken_json_is_awaited() -> None:
    """Then the JSON is no value that is here already."""

    class Request(Flask.request_class):  # type: ignore[misc,name-defined]
        async def on_json_loading_failed(self, e: Any) -> Any:
            await asyncio.sleep(0)
            return "none"

    app = Flask("shop")
    app.request_class = Request

    @app.post("/")
    async def view() -> Any:
        return await request.get_json()

    headers = {"Content-Type": "application/json"}
    assert (await FlaskClient(app).post("/", content=b"{", headers=headers)).text == "none"


# What differs from asyncflask, as Flask has it.


@pytest.mark.parametrize("framework", BOTH)
def test_json_is_flasks(framework: Any) -> None:
    """Dates, the order of keys, the line break at the end; and without an application."""
    app = make(framework)
    value = {"b": date(2026, 1, 2), "a": "ä"}
    expected = '{"a":"\\u00e4","b":"Fri, 02 Jan 2026 00:00:00 GMT"}\n'
    app.get("/")(lambda: value)
    assert app.test_client().get("/").text == expected
    module = framework.json if framework else compat_json
    assert module.dumps(value) == '{"b": "Fri, 02 Jan 2026 00:00:00 GMT", "a": "\\u00e4"}'
    with app.app_context():
        assert module.dumps(value) == expected.strip().replace('":', '": ').replace('","', '", "')
        assert module.loads(module.dumps(value)) == {"a": "ä", "b": "Fri, 02 Jan 2026 00:00:00 GMT"}


def test_json_goes_to_files_and_back(tmp_path: Any) -> None:
    """``dump`` and ``load``, with and without an application."""
    path = tmp_path / "x.json"
    with path.open("w") as file:
        compat_json.dump({"a": 1}, file)
    with path.open() as file, Flask("shop").app_context():
        assert compat_json.load(file) == {"a": 1}


@pytest.mark.parametrize("framework", BOTH)
def test_errors_are_pages_for_all_clients(framework: Any) -> None:
    """Flask knows no problem details."""
    response = make(framework).test_client().get("/", headers={"Accept": "application/json"})
    assert (response.status_code, response.mimetype) == (404, "text/html")


@pytest.mark.parametrize("framework", BOTH)
def test_a_view_may_return_a_wsgi_application(framework: Any) -> None:
    """An error of Werkzeug's is one, and a plain function."""
    app = make(framework)

    def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("202 Accepted", [("X-Path", environ["PATH_INFO"])])
        return [b"plain"]

    app.add_url_rule("/plain", "plain", lambda: plain)
    app.add_url_rule("/error", "error", lambda: TooManyRequests("slowly"))
    client = app.test_client()
    response = client.get("/plain")
    assert (response.status_code, response.text) == (202, "plain")
    assert response.headers["X-Path"] == "/plain"
    assert client.get("/error").status_code == 429


@pytest.mark.parametrize("framework", BOTH)
def test_the_session_is_opened_in_each_request(framework: Any) -> None:
    """So a permanent one lasts longer with each."""
    app = make(framework)
    app.secret_key = "secret"
    state = framework.session if framework else session

    @app.get("/")
    def start() -> str:
        state["a"] = state.permanent = True
        return ""

    app.get("/other")(lambda: "")
    client = app.test_client()
    client.get("/")
    assert "session=" in client.get("/other").headers["Set-Cookie"]


@pytest.mark.parametrize("framework", BOTH)
def test_the_handler_of_an_error_is_found(framework: Any) -> None:
    """By Flask's private names, which extensions use."""
    app = make(framework)
    assert not app._got_first_request
    assert app._find_error_handler(NotFound(), []) is None
    app.register_error_handler(404, handler := lambda exc: "")
    assert app._find_error_handler(NotFound(), ["blueprint"]) is handler
    assert app._get_exc_class_and_code(404) == (NotFound, 404)
    app.test_client().get("/")
    assert app._got_first_request


@pytest.mark.parametrize("framework", BOTH)
def test_the_context_is_found_by_flasks_variables(framework: Any) -> None:
    """``_cv_app`` and ``_cv_request``."""
    cv_app = framework.globals._cv_app if framework else _cv_app
    cv_request = framework.globals._cv_request if framework else _cv_request
    assert cv_app.get(None) is cv_request.get(None) is None
    with pytest.raises(LookupError):
        cv_app.get()
    app = make(framework)
    with app.app_context() as context:
        assert cv_app.get() is context
        assert cv_request.get("none") == "none"
    with app.test_request_context() as context:
        assert cv_request.get() is context
    token = cv_app.set(context)
    assert cv_app.get(None) is context
    cv_app.reset(token)


@pytest.mark.parametrize("framework", BOTH)
def test_g_shows_its_application(framework: Any) -> None:
    """As Flask's does."""
    namespace = framework.g if framework else g
    with make(framework).app_context():
        assert repr(namespace) == "<flask.g of 'shop'>"
        kept = namespace._get_current_object()
    assert repr(kept).startswith("<flask.g of '") or framework


def test_private_helpers_are_there() -> None:
    """Of those that extensions import."""
    assert _split_blueprint_path("a.b") == flask.helpers._split_blueprint_path("a.b")
    for name in ("asyncflask", "werkzeug"):
        assert find_package(name) == flask.sansio.scaffold.find_package(name)


async def test_both_sets_of_names_can_be_used() -> None:
    """The proxies of asyncflask and those of the namespace are the same objects."""
    app = Flask("shop")
    blueprint = Blueprint("part", __name__)

    @blueprint.get("/")
    def view() -> Any:
        assert asyncflask.request is request
        assert asyncflask.current_app == current_app
        return asyncflask.jsonify(jsonify(a=1).json)

    app.register_blueprint(blueprint)
    assert (await fetch(app)).json == {"a": 1}
    assert isinstance(app, asyncflask.Flask)


class Slow(SessionInterface):
    """An interface whose methods block."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def open_session(self, app: Any, request: Any) -> SecureCookieSession:
        self.threads.append(threading.current_thread().name)
        return SecureCookieSession({"user": request.headers["X-User"]})

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        self.threads.append(threading.current_thread().name)
        response.headers["X-Saved"] = session["user"]


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_sessions_of_extensions_stay_off_the_event_loop(kind: str) -> None:
    """They are opened and saved in a worker, and each request has its own."""
    app = Flask("shop")
    app.session_interface = interface = Slow()

    def in_def() -> str:
        return str(session["user"])

    async def in_async() -> str:
        await asyncio.sleep(0)
        return str(session["user"])

    app.get("/")(in_def if kind == "def" else in_async)
    client = FlaskClient(app)
    users = [str(number) for number in range(10)]
    requests = [client.get("/", headers={"X-User": user}) for user in users]
    responses = await asyncio.gather(*requests)
    assert [response.text for response in responses] == users
    assert [response.headers["X-Saved"] for response in responses] == users
    assert all("-worker-" in thread for thread in interface.threads)
    assert len(interface.threads) == 20


def test_the_classes_are_those_of_the_namespace() -> None:
    """Extensions look at them, and make subclasses."""
    app = Flask("shop")
    app.get("/")(lambda: "")
    with app.test_request_context():
        assert isinstance(app.make_response(""), Response)
        assert type(request._get_current_object()) is Flask.request_class  # type: ignore[attr-defined]


def test_an_application_may_keep_something_of_its_own_as_its_router() -> None:
    """Flask has no such attribute, so applications made for it do not know that it is taken."""
    app = Flask("shop")
    app.router = object()  # type: ignore[assignment]
    app.get("/before")(lambda: "before")
    client = app.test_client()
    assert client.get("/before").text == "before"
    assert client.options("/before").headers["Allow"] == "GET, HEAD, OPTIONS"
    app.before_request_funcs.setdefault(None, []).append(lambda: "taken over")
    assert client.get("/before").text == "taken over"
