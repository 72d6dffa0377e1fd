"""The proxies: each operation is done on the object of the current context."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import inspect
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import flask.globals
import pytest

from asyncflask import (
    Flask,
    Request,
    app_ctx,
    current_app,
    g,
    request,
    request_ctx,
    session,
)
from asyncflask.ctx import AppContext, RequestContext
from asyncflask.globals import _Proxy
from asyncflask.sessions import SessionMixin

OUTSIDE: Any = "outside"


@pytest.fixture
def app() -> Flask:
    app = Flask("shop", static_folder=None)
    app.secret_key = "a key"
    return app


APP_PROXIES = {"current_app": current_app, "g": g, "app_ctx": app_ctx}
REQUEST_PROXIES = {"request": request, "session": session, "request_ctx": request_ctx}


def raw(proxy: Any) -> Any:
    return proxy._get_current_object()


def test_each_stands_for_the_object_of_the_context(app: Flask) -> None:
    """And `_get_current_object` gives that object."""
    with app.test_request_context("/x") as context:
        assert isinstance(context, RequestContext)
        assert raw(current_app) is app
        assert raw(app_ctx) is raw(request_ctx) is context
        assert raw(request) is context.request
        assert raw(session) is context.session
        assert raw(g) is context.g


def test_isinstance_holds_for_the_proxies(app: Flask) -> None:
    """Inside of a context; outside, a proxy is a proxy."""
    with app.test_request_context():
        assert isinstance(request, Request)
        assert isinstance(current_app, Flask)
        assert isinstance(session, SessionMixin)
        assert isinstance(app_ctx, AppContext)
        assert request.__class__ is Request
    assert not isinstance(request, Request)
    assert isinstance(cast(Any, request), _Proxy)


@pytest.mark.parametrize("name", [*APP_PROXIES, *REQUEST_PROXIES])
@pytest.mark.parametrize(
    "use",
    [
        lambda proxy: proxy._get_current_object(),
        lambda proxy: proxy.anything,
        lambda proxy: setattr(proxy, "x", 1),
        lambda proxy: delattr(proxy, "x"),
        lambda proxy: proxy["x"],
        lambda proxy: proxy.__setitem__("x", 1),
        lambda proxy: proxy.__delitem__("x"),
        lambda proxy: "x" in proxy,
        len,
        iter,
        hash,
        str,
        lambda proxy: proxy == 1,
        lambda proxy: proxy != 1,
        lambda proxy: proxy(),
        lambda proxy: proxy | {},
        lambda proxy: {} | proxy,
        reversed,
        copy.copy,
        copy.deepcopy,
    ],
)
def test_outside_of_a_context_they_say_what_is_missing(
    name: str, use: Callable[[Any], Any]
) -> None:
    """And how to make one."""
    proxy = {**APP_PROXIES, **REQUEST_PROXIES}[name]
    how = "app.test_request_context()" if name in REQUEST_PROXIES else "app.app_context()"
    with pytest.raises(RuntimeError, match="outside of") as caught:
        use(proxy)
    assert how in str(caught.value)


@pytest.mark.parametrize("name", [*APP_PROXIES, *REQUEST_PROXIES])
def test_outside_of_a_context_what_only_looks_does_not_fail(name: str) -> None:
    """As with Flask's: truth, `repr`, `dir`, and what test collectors and debuggers probe."""
    proxy: Any = {**APP_PROXIES, **REQUEST_PROXIES}[name]
    assert not proxy
    assert repr(proxy) == f"<{name} outside of its context>"
    assert dir(proxy) == []
    assert not hasattr(proxy, "__wrapped__")
    assert inspect.unwrap(proxy) is proxy
    theirs: Any = getattr(flask.globals, name)
    assert not theirs
    assert dir(theirs) == []
    assert inspect.unwrap(theirs) is not None


@pytest.mark.parametrize("name", list(REQUEST_PROXIES))
def test_the_requests_proxies_need_a_request(app: Flask, name: str) -> None:
    """An application context is not enough."""
    with app.app_context():
        assert not REQUEST_PROXIES[name]
        with pytest.raises(RuntimeError, match=r"app\.test_request_context\(\)"):
            _ = REQUEST_PROXIES[name].anything  # type: ignore[attr-defined]


def test_hot_attributes_of_a_request_name_what_is_missing(app: Flask) -> None:
    """They do not go through `__getattr__`."""
    with pytest.raises(RuntimeError, match="outside of a request"):
        _ = request.path
    with app.app_context(), pytest.raises(RuntimeError, match="outside of a request"):
        _ = request.path


@pytest.mark.parametrize("name", [name for name in dir(Request) if not name.startswith("_")])
def test_each_public_attribute_of_a_request_is_a_property_of_the_proxy(
    app: Flask, name: str
) -> None:
    """It reads the attribute of the request at hand, whatever its class."""
    assert isinstance(getattr(type(request), name), property)
    with app.test_request_context("/") as context:
        context._request = cast(Any, SimpleNamespace(**{name: "mine"}))
        assert getattr(request, name) == "mine"
        context._request = None


def test_attributes_of_the_request_can_be_set_and_deleted(app: Flask) -> None:
    """Known and unknown ones, on the request itself."""
    with app.test_request_context("/x?a=1"):
        target: Any = request
        target.user = "ann"
        target.path = "/other"
        assert (raw(request).user, raw(request).path) == ("ann", "/other")
        del target.user
        del target.path
        assert not hasattr(request, "user")
        assert request.path == "/x"
        assert request.args["a"] == "1"
        assert "args" in dir(request)
        assert request.scope is raw(request).scope


def test_the_class_can_be_set_through_the_proxy(app: Flask) -> None:
    """It is the object's, as every attribute."""

    class Other(Request):
        pass

    with app.test_request_context():
        cast(Any, request).__class__ = Other
        assert type(raw(request)) is Other


def test_items_iteration_and_operators(app: Flask) -> None:
    """The session is a dictionary, and so is its proxy."""
    with app.test_request_context():
        assert not session
        session["a"] = 1
        session["b"] = 2
        assert session
        assert "a" in session
        assert (list(session), len(session), session["b"]) == (["a", "b"], 2, 2)
        assert list(reversed(cast(Any, session))) == ["b", "a"]
        assert session == {"a": 1, "b": 2}
        assert session != {"a": 1}
        assert cast(Any, session) | {"c": 3} == {"a": 1, "b": 2, "c": 3}
        assert {"b": 0, "c": 3} | cast(Any, session) == {"b": 2, "c": 3, "a": 1}
        del session["a"]
        assert str(session) == str(raw(session))
        assert repr(session) == repr(raw(session))
        assert f"{session}" == str(raw(session))


def test_equality_and_hash_are_the_objects(app: Flask) -> None:
    """A proxy finds what the object was stored under."""
    with app.app_context():
        assert current_app == app
        assert (current_app != app) is False
        assert app == current_app
        assert hash(current_app) == hash(app)
        assert {app: "found"}[current_app] == "found"


def test_a_proxy_can_be_called_and_copied(app: Flask) -> None:
    """`current_app` is an ASGI application; a copy is one of the object."""
    with app.test_request_context():
        session["list"] = [1]
        shallow, deep = copy.copy(session), copy.deepcopy(session)
        assert shallow["list"] is session["list"]
        assert deep == session
        assert deep["list"] is not session["list"]
        assert callable(current_app)

    class Callable(Flask):
        def __call__(self, value: Any) -> Any:  # type: ignore[override]
            return value

    with Callable("callable", static_folder=None).app_context():
        assert cast(Any, current_app)(5) == 5


def test_g_is_a_namespace(app: Flask) -> None:
    """Side by side with Flask's: attributes and a dictionary's methods."""

    def use(g: Any) -> list[Any]:
        g.name = "ann"
        seen = [
            g.name,
            "name" in g,
            "other" in g,
            g.get("name"),
            g.get("other"),
            g.get("other", 1),
            g.setdefault("name", "bob"),
            g.setdefault("count", 0),
            g.setdefault("nothing"),
            sorted(g),
            g.pop("count"),
            g.pop("count", "gone"),
            hasattr(g, "other"),
        ]
        for fails in (
            lambda: g.pop("count"),
            lambda: g.other,
            lambda: delattr(g, "other"),
        ):
            with pytest.raises((KeyError, AttributeError)) as caught:
                fails()
            seen.append(caught.type)
        del g.name
        return [*seen, "name" in g]

    theirs = flask.Flask("shop", static_folder=None)
    with theirs.app_context():
        expected = use(flask.g)
    with app.app_context():
        assert use(g) == expected


def test_g_shows_what_is_in_it(app: Flask) -> None:
    """And says the name of what is not."""
    with app.app_context():
        g.name = "ann"
        assert repr(g) == "<asyncflask.g {'name': 'ann'}>"
        assert not isinstance(g, SimpleNamespace)
        with pytest.raises(AttributeError, match="'g' has no attribute 'nmae' in this context"):
            _ = g.nmae


def test_g_can_be_of_a_class_of_ones_own(app: Flask) -> None:
    """The application's `app_ctx_globals_class`."""

    class Globals(app.app_ctx_globals_class):  # type: ignore[name-defined, misc]
        user = "nobody"

    app.app_ctx_globals_class = Globals
    with app.app_context():
        assert g.user == "nobody"


def test_threads_that_are_given_the_context_have_it(app: Flask) -> None:
    """With `contextvars`; threads without it have none."""
    seen: list[Any] = []

    def work() -> None:
        seen.append(current_app.name if current_app else None)

    with app.app_context():
        inside = contextvars.copy_context()
        for target in (work, lambda: inside.run(work)):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            thread.join()
    inherited = [None, "shop"]
    if getattr(__import__("sys").flags, "thread_inherit_context", 0):
        inherited = ["shop", "shop"]
    assert seen == inherited


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_the_identity_of_the_context_is_that_of_the_request(app: Flask, kind: str) -> None:
    """Extensions key what they keep on it: the same all through a request, another in the next."""
    seen: list[list[Any]] = []

    def note() -> None:
        seen[-1].append(raw(app_ctx))

    @app.before_request
    async def before() -> None:
        seen.append([])
        note()
        await asyncio.create_task(in_a_task())

    async def in_a_task() -> None:
        note()

    @app.before_request
    def before_in_worker() -> None:
        note()

    @app.teardown_appcontext
    def teardown(exc: BaseException | None) -> None:
        note()

    async def on_loop() -> str:
        note()
        return "ok"

    def in_worker() -> str:
        note()
        return "ok"

    app.add_url_rule("/", "index", in_worker if kind == "def" else on_loop)
    client = app.test_client()
    await asyncio.gather(client.get("/"), client.get("/"))
    await client.get("/")
    first, second, third = seen[0], seen[1], seen[2]
    everything = {*map(id, first), *map(id, second), *map(id, third)}
    assert sum(map(len, seen)) == 15
    assert len(everything) == 3
    assert len({id(context) for context in third}) == 1


async def test_the_context_can_be_entered_through_its_proxy(app: Flask) -> None:
    """As in Flask; in `async def` code with `async with`."""
    ended: list[BaseException | None] = []
    app.teardown_appcontext(ended.append)
    with app.app_context():
        with app_ctx:
            assert current_app.name == app.name
        assert ended == []
    assert ended == [None]
    async with app.app_context(), app_ctx:
        pass
    assert ended == [None, None]
