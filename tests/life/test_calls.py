"""Calls of users' functions, each in its place."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from asyncflask import Flask, Response, abort, request
from asyncflask.life.calls import on_journey
from asyncflask.signals import request_finished, request_started


def make_app() -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config["TESTING"] = True
    return app


def in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class View:
    """A view that is an object."""

    def __call__(self) -> str:
        return f"{in_loop()}"


class AsyncView:
    async def __call__(self) -> str:
        return f"{in_loop()}"


def view(name: str = "") -> str:
    return f"{in_loop()}"


async def async_view(name: str = "") -> str:
    return f"{in_loop()}"


def decorated() -> Any:
    return async_view()


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize(
    ("function", "on_loop"),
    [
        (view, False),
        (async_view, True),
        (View(), False),
        (AsyncView(), True),
        (functools.partial(view, "x"), False),
        (functools.partial(async_view, "x"), True),
        (decorated, True),
    ],
)
async def test_each_function_runs_in_its_place(function: Any, on_loop: bool, hooked: bool) -> None:
    """`async def` on the loop, `def` in a worker; functions, objects, partials, decorators."""
    app = make_app()
    if hooked:

        @app.before_request
        def before() -> None:
            assert not in_loop()

    app.add_url_rule("/", "index", function)
    assert (await app.test_client().get("/")).text == f"{on_loop}"


def test_a_wrapped_function_keeps_its_name() -> None:
    """For logs and debuggers; an object has none to keep."""
    assert on_journey(view).__name__ == "view"
    assert on_journey(async_view).__name__ == "async_view"
    assert on_journey(View()).__name__ == "run_in_worker"


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if request.headers.get("X-Token") != "yes":
            abort(403)
        return function(*args, **kwargs)

    return wrapper


async def test_a_def_decorator_around_an_async_view() -> None:
    """It decides in a worker, the view runs on the loop."""
    app = make_app()

    @app.get("/<name>")
    @plain
    async def index(name: str) -> str:
        await asyncio.sleep(0)
        return f"{name} {in_loop()}"

    client = app.test_client()
    assert (await client.get("/x")).status_code == 403
    assert (await client.get("/x", headers={"X-Token": "yes"})).text == "x True"


@pytest.mark.parametrize("view_kind", ["def", "async def"])
@pytest.mark.parametrize("handler_kind", ["def", "async def"])
async def test_error_handlers_run_in_their_place(view_kind: str, handler_kind: str) -> None:
    """On the journey of a `def` view, or with a short one of their own."""
    app = make_app()
    seen: list[bool] = []

    def fail() -> str:
        raise KeyError

    async def async_fail() -> str:
        raise KeyError

    def handle(exc: KeyError) -> str:
        seen.append(in_loop())
        return "handled"

    async def async_handle(exc: KeyError) -> str:
        return handle(exc)

    app.register_error_handler(KeyError, handle if handler_kind == "def" else async_handle)
    app.add_url_rule("/", "index", fail if view_kind == "def" else async_fail)
    assert (await app.test_client().get("/")).text == "handled"
    assert seen == [handler_kind == "async def"]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_receivers_run_inline_and_are_awaited_on_the_loop(kind: str) -> None:
    """Whichever the view is."""
    app = make_app()
    app.add_url_rule("/", "index", view if kind == "def" else async_view)
    seen: list[Any] = []

    def receiver(sender: Flask, **kwargs: Any) -> None:
        seen.append(("def", sender is app))

    async def async_receiver(sender: Flask, response: Response | None = None) -> None:
        seen.append(("async def", in_loop(), response is not None))

    for signal in (request_started, request_finished):
        signal.connect(receiver, app)
        signal.connect(async_receiver, app)
    other = make_app()
    other.add_url_rule("/", "index", async_view)
    await other.test_client().get("/")
    assert seen == []
    assert (await app.test_client().get("/")).text == f"{kind == 'async def'}"
    assert sorted(seen) == [
        ("async def", True, False),
        ("async def", True, True),
        ("def", True),
        ("def", True),
    ]
    assert threading.active_count() > 0
