"""The end of contexts that code has pushed itself."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import flask
import pytest

import asyncflask
from asyncflask import (
    Blueprint,
    Flask,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
)
from asyncflask.signals import appcontext_tearing_down, request_tearing_down

Record = list[Any]


def make_app(record: Record, *, is_async: bool = False) -> Flask:
    """An application with a blueprint, whose teardown functions note what they got."""
    app, blueprint = (
        Flask(__name__, static_folder=None),
        Blueprint("bp", __name__, url_prefix="/bp"),
    )
    app.config["TESTING"] = True

    def teardown(name: str) -> Any:
        def note(exc: BaseException | None) -> None:
            record.append((name, type(exc).__name__))

        async def async_note(exc: BaseException | None) -> None:
            await asyncio.sleep(0)
            note(exc)

        return async_note if is_async else note

    app.teardown_appcontext(teardown("first context"))
    app.teardown_appcontext(teardown("last context"))
    app.teardown_request(teardown("request"))
    blueprint.teardown_request(teardown("blueprint"))

    @blueprint.route("/", methods=["GET", "POST"])
    async def index() -> str:
        return "ok"

    app.register_blueprint(blueprint)
    return app


CONTEXT = ["last context", "first context"]
REQUEST = ["blueprint", "request", *CONTEXT]


def names(record: Record) -> list[str]:
    return [name for name, _ in record]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_context_in_def_code(is_async: bool) -> None:
    """Each teardown function once, in reverse order, `async def` ones too; then it is gone."""
    record: Record = []
    app = make_app(record, is_async=is_async)
    with app.app_context() as context:
        assert current_app._get_current_object() is app  # type: ignore[attr-defined]
        g.x = 1
        with context:
            assert g.x == 1
        assert record == []
    assert names(record) == CONTEXT
    assert not has_app_context()
    record.clear()
    with app.test_request_context("/bp/"):
        assert request.endpoint == "bp.index"
        assert has_request_context()
    assert names(record) == REQUEST
    record.clear()
    with app.test_request_context("/nowhere"):
        assert request.endpoint is None
    assert names(record) == REQUEST[1:]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_context_in_async_code(is_async: bool) -> None:
    """With `async with`; `def` functions run in workers."""
    record: Record = []
    app = make_app(record, is_async=is_async)
    async with app.app_context():
        g.x = 1
    assert names(record) == CONTEXT
    record.clear()
    async with app.test_request_context("/bp/", method="POST", data={"f": (io.BytesIO(b"x"), "f")}):
        files = await request.files
        file = files["f"]
    assert names(record) == REQUEST
    assert file.closed


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_error_that_ended_the_block_is_given(is_async: bool) -> None:
    """And goes on."""
    record: Record = []
    app = make_app(record, is_async=is_async)
    with pytest.raises(KeyError):
        async with app.app_context():
            raise KeyError
    assert record == [(name, "KeyError") for name in CONTEXT]


async def test_an_async_teardown_at_the_end_of_with_in_async_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It cannot run there, which is logged with what to write; the others run."""
    record: Record = []
    app = make_app(record)

    @app.teardown_appcontext
    async def on_loop(exc: BaseException | None) -> None:
        raise AssertionError

    with app.app_context():
        pass
    assert names(record) == CONTEXT
    assert "The teardown function 'on_loop' failed" in caplog.text
    assert "Use 'async with'" in caplog.text


@pytest.mark.parametrize("in_async_code", [False, True])
async def test_a_teardown_function_that_fails_is_logged(
    in_async_code: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The others run, and the context is left."""
    record: Record = []
    app = make_app(record)

    class Failing:
        def __call__(self, exc: BaseException | None) -> None:
            raise ValueError("in teardown")

    app.teardown_appcontext(Failing())
    if in_async_code:
        async with app.app_context():
            pass
    else:

        def block() -> None:
            with app.app_context():
                pass

        await asyncio.to_thread(block)
    assert names(record) == CONTEXT
    assert "in teardown" in caplog.text
    assert not has_app_context()


async def test_signals_are_sent_at_the_end() -> None:
    """To `def` receivers, and with `async with` to `async def` ones."""
    record: Record = []
    app = make_app([])

    def receiver(sender: Flask, exc: BaseException | None) -> None:
        record.append("def")

    async def async_receiver(sender: Flask, exc: BaseException | None) -> None:
        record.append("async def")

    appcontext_tearing_down.connect(receiver, app)
    request_tearing_down.connect(receiver, app)
    appcontext_tearing_down.connect(async_receiver, app)
    async with app.app_context():
        pass
    assert sorted(record) == ["async def", "def"]
    record.clear()
    async with app.test_request_context("/"):
        pass
    assert sorted(record) == ["async def", "def", "def"]


@pytest.mark.parametrize("way", ["request", "with", "async with"])
async def test_signals_follow_the_functions_of_their_kind_as_in_flask(way: str) -> None:
    """`request_tearing_down` comes before the functions of the application context."""
    orders = []
    for module in (flask, asyncflask):
        app: Any = module.Flask(__name__, static_folder=None)
        record: Record = []
        app.add_url_rule("/", "index", lambda: "ok")
        app.teardown_request(lambda exc, to=record: to.append("request function"))
        app.teardown_appcontext(lambda exc, to=record: to.append("app function"))

        def on_request(sender: Any, exc: Any, to: Record = record) -> None:
            to.append("request signal")

        def on_app(sender: Any, exc: Any, to: Record = record) -> None:
            to.append("app signal")

        module.request_tearing_down.connect(on_request, app)
        module.appcontext_tearing_down.connect(on_app, app)
        if module is flask:
            app.test_client().get("/")
        elif way == "request":
            await app.test_client().get("/")
        elif way == "with":
            with app.test_request_context("/"):
                pass
        else:
            async with app.test_request_context("/"):
                pass
        orders.append(record)
    assert orders[0] == orders[1]
    assert len(orders[0]) == 4


async def test_an_async_receiver_needs_async_with(caplog: pytest.LogCaptureFixture) -> None:
    """In a `with` block it is not run, which is logged."""
    app = make_app([])

    async def receiver(sender: Flask, exc: BaseException | None) -> None:
        raise AssertionError

    appcontext_tearing_down.connect(receiver, app)
    with app.app_context():
        pass
    assert "The teardown function 'receiver' failed" in caplog.text
    assert "Use 'async with'" in caplog.text


async def test_a_receiver_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The context is left all the same."""
    app = make_app([])

    def receiver(sender: Flask, exc: BaseException | None) -> None:
        raise ValueError("in receiver")

    appcontext_tearing_down.connect(receiver, app)
    async with app.app_context():
        pass
    assert not has_app_context()
    assert "in receiver" in caplog.text


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_context_in_a_request_has_its_own_g_and_its_own_end(kind: str) -> None:
    """The request stays visible; at its own end the teardown functions run again."""
    record: Record = []
    app = make_app(record)

    def check() -> None:
        assert request.path == "/"
        assert "name" not in g
        g.name = "inner"

    @app.get("/")
    def index() -> str:
        g.name = "outer"
        with app.app_context():
            check()
        assert names(record) == CONTEXT
        return g.name

    @app.get("/async")
    async def async_index() -> str:
        g.name = "outer"
        async with app.app_context():
            assert request.path == "/async"
            assert "name" not in g
        assert names(record) == CONTEXT
        return g.name

    response = await app.test_client().get("/" if kind == "def" else "/async")
    assert response.text == "outer"
    assert names(record) == CONTEXT + REQUEST[1:]


async def test_contexts_are_left_in_reverse_order() -> None:
    """Anything else is a mistake that is told."""
    app = make_app([])
    first, second = app.app_context(), app.app_context()
    first.push()
    second.push()
    with pytest.raises(RuntimeError, match="reverse order"):
        first.pop()
    await second.apop()
    await first.apop()
    with pytest.raises(RuntimeError, match="reverse order"):
        first.pop()
