"""Starting and shutting down by hand, with Quart's names."""

from __future__ import annotations

from typing import Any

import pytest

from asyncflask import Blueprint, Flask, current_app


def make_app() -> tuple[Flask, list[str]]:
    app = Flask(__name__, static_folder=None)
    record: list[str] = []
    app.before_serving(lambda: record.append("before"))
    app.after_serving(lambda: record.append("after"))
    return app, record


async def test_startup_and_shutdown() -> None:
    """They do what a server makes the application do, as often as one likes."""
    app, record = make_app()
    for _ in range(2):
        await app.startup()
        assert record == ["before"]
        assert not app.shutdown_event.is_set()
        await app.shutdown()
        assert record == ["before", "after"]
        record.clear()


async def test_they_belong_together() -> None:
    """A second start, or a shutdown without a start, is a mistake that is told."""
    app, _ = make_app()
    with pytest.raises(RuntimeError, match="was not started"):
        await app.shutdown()
    await app.startup()
    with pytest.raises(RuntimeError, match="was started already"):
        await app.startup()
    await app.shutdown()


async def test_draining_is_set_before_anything_ends() -> None:
    """By the shutdown itself, where no signal has set it; `shutdown_event` is Quart's name."""
    app, _ = make_app()
    record: list[Any] = []
    assert app.shutdown_event is app.draining

    async def task() -> None:
        await app.draining.wait()
        record.append("task")

    @app.after_serving
    async def after() -> None:
        record.append(app.draining.is_set())

    await app.startup()
    app.add_background_task(task)
    await app.shutdown()
    assert record == ["task", True]
    assert not app.draining.is_set()


async def test_blueprints_serve_with_the_application() -> None:
    """`before_app_serving` and the like: once, however often the blueprint is registered."""
    app = Flask(__name__, static_folder=None)
    bp = Blueprint("shop", __name__)
    record: list[str] = []

    @bp.before_app_serving
    async def before() -> None:
        record.append(f"before {current_app.name == app.name}")

    @bp.while_app_serving
    def during() -> Any:
        record.append("while start")
        yield
        record.append("while end")

    @bp.after_app_serving
    def after() -> None:
        record.append("after")

    app.register_blueprint(bp)
    app.register_blueprint(bp, name="again")
    await app.startup()
    assert record == ["before True", "while start"]
    await app.shutdown()
    assert record == ["before True", "while start", "while end", "after"]
