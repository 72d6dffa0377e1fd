"""Flask's dictionaries, written by an application that has started."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import flask
import pytest
from werkzeug.exceptions import NotFound

from asyncflask import websocket
from asyncflask.compat.flask import Flask
from asyncflask.compat.flask.views import MethodView
from asyncflask.compat.live import LiveDict, LiveList
from asyncflask.testing import FlaskClient

BOTH = pytest.mark.parametrize("cls", [flask.Flask, Flask])


def first(response: Any) -> Any:
    """A hook."""
    response.headers["X-First"] = "1"
    return response


def second(response: Any) -> Any:
    """Another hook."""
    response.headers["X-Second"] = "2"
    return response


def started(cls: Any) -> Any:
    """An application that has served a request."""
    app = cls("shop", static_folder=None)
    app.add_url_rule("/", "view", lambda: "view")
    app.after_request(first)
    assert app.test_client().get("/").headers["X-First"] == "1"
    return app


@BOTH
@pytest.mark.parametrize(
    ("change", "hooks"),
    [
        (lambda hooks: hooks.append(second), ["X-First", "X-Second"]),
        (lambda hooks: hooks.extend([second]), ["X-First", "X-Second"]),
        (lambda hooks: hooks.insert(0, second), ["X-First", "X-Second"]),
        (lambda hooks: hooks.remove(first), []),
        (lambda hooks: hooks.pop(), []),
        (lambda hooks: hooks.clear(), []),
        (lambda hooks: hooks.__setitem__(0, second), ["X-Second"]),
        (lambda hooks: hooks.__delitem__(0), []),
        (lambda hooks: hooks.__iadd__([second]), ["X-First", "X-Second"]),
        (lambda hooks: hooks.reverse(), ["X-First"]),
        (lambda hooks: hooks.sort(key=id), ["X-First"]),
    ],
)
def test_changes_of_a_list_of_hooks_count(
    cls: Any, change: Callable[[Any], Any], hooks: list[str]
) -> None:
    """For the requests that come then, as in Flask."""
    app = started(cls)
    change(app.after_request_funcs[None])
    headers = app.test_client().get("/").headers
    assert [name for name in ("X-First", "X-Second") if name in headers] == hooks


@BOTH
@pytest.mark.parametrize(
    ("change", "hooks"),
    [
        (lambda hooks: hooks.__setitem__(None, [second]), ["X-Second"]),
        (lambda hooks: hooks.__delitem__(None), []),
        (lambda hooks: hooks.setdefault(None, []).append(second), ["X-First", "X-Second"]),
        (lambda hooks: hooks.update({None: [second]}), ["X-Second"]),
        (lambda hooks: hooks.__ior__({None: [second]}), ["X-Second"]),
        (lambda hooks: hooks.pop(None), []),
        (lambda hooks: hooks.pop("missing", None), ["X-First"]),
        (lambda hooks: hooks.popitem(), []),
        (lambda hooks: hooks.clear(), []),
        (lambda hooks: (hooks.clear(), hooks[None].append(second)), ["X-Second"]),
        (
            lambda hooks: (hooks.clear(), hooks.setdefault(None, []).append(second)),
            ["X-Second"],
        ),
        (
            lambda hooks: (hooks.update({None: []}), hooks[None].append(second)),
            ["X-Second"],
        ),
    ],
)
def test_changes_of_a_dictionary_of_hooks_count(
    cls: Any, change: Callable[[Any], Any], hooks: list[str]
) -> None:
    """What is put there is live as well."""
    app = started(cls)
    change(app.after_request_funcs)
    headers = app.test_client().get("/").headers
    assert [name for name in ("X-First", "X-Second") if name in headers] == hooks


@BOTH
def test_views_and_error_handlers_can_be_replaced(cls: Any) -> None:
    """Also by views of another kind."""
    app = started(cls)
    client = app.test_client()
    app.view_functions["view"] = lambda: "other"
    assert client.get("/").text == "other"
    app.error_handler_spec[None][404][NotFound] = lambda exc: "nothing here"
    assert client.get("/missing").text == "nothing here"
    with pytest.raises(KeyError):
        app.view_functions["missing"]


@BOTH
def test_decorators_are_too_late(cls: Any) -> None:
    """As in Flask."""
    app = started(cls)
    with pytest.raises(AssertionError):
        app.after_request(second)


async def test_the_endpoint_of_a_class_can_become_a_function() -> None:
    """Although its methods had endpoints of their own."""

    class Both(MethodView):
        def get(self) -> str:
            return "def"

        async def post(self) -> str:
            return "async"

    app = Flask("shop", static_folder=None)
    app.add_url_rule("/", view_func=Both.as_view("view"))
    client = FlaskClient(app)
    assert [(await client.get("/")).text, (await client.post("/")).text] == ["def", "async"]
    app.view_functions["view"] = lambda: "one for all"
    assert (await client.post("/")).text == "one for all"


async def test_a_view_adds_a_hook_while_others_are_served() -> None:
    """From worker threads and on the loop; each is added once, and none is lost."""
    app = Flask("shop", static_folder=None)

    def add(name: str) -> str:
        def hook(response: Any) -> Any:
            response.headers[f"X-{name}"] = "1"
            return response

        app.after_request_funcs[None].append(hook)
        return name

    @app.get("/def/<name>")
    def in_def(name: str) -> str:
        return add(name)

    @app.get("/async/<name>")
    async def in_async(name: str) -> str:
        await asyncio.sleep(0)
        return add(name)

    client = FlaskClient(app)
    paths = [f"/{('def', 'async')[i % 2]}/h{i}" for i in range(20)]
    responses = await asyncio.gather(*map(client.get, paths))
    assert {response.status_code for response in responses} == {200}
    headers = (await client.get("/missing")).headers
    assert all(f"X-h{i}" in headers for i in range(20))


async def test_sockets_go_by_the_changes_too() -> None:
    """Each handshake by what is declared then."""
    app = Flask("shop", static_folder=None)

    @app.websocket("/")
    async def old() -> None:
        await websocket.send("old")

    async def new() -> None:
        await websocket.send("new")

    client = FlaskClient(app)
    async with client.websocket("/") as socket:
        assert await socket.receive() == "old"
    app.view_functions["old"] = new
    async with client.websocket("/") as socket:
        assert await socket.receive() == "new"


def test_a_change_that_is_refused_leaves_things_as_they_are() -> None:
    """The application goes on with what it had."""
    app = started(Flask)
    with pytest.raises(ValueError, match="not in list"):
        app.after_request_funcs[None].remove(second)
    assert app.test_client().get("/").headers["X-First"] == "1"


def test_they_do_not_keep_the_application() -> None:
    """It is freed although its dictionaries are still there."""
    app = Flask("shop")
    app.freeze()
    hooks, functions = app.after_request_funcs, app.teardown_appcontext_funcs
    freed = weakref.ref(app)
    assert (type(hooks), type(functions)) == (LiveDict, LiveList)
    del app
    gc.collect()
    assert freed() is None
