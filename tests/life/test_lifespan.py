"""Start, shutdown and background tasks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asyncflask import Flask, current_app, got_serving_exception, request
from tests.wire import Wire, until


def make_app(**options: Any) -> Flask:
    return Flask(__name__, static_folder=None, **options)


async def test_serving_functions_run_in_order_around_the_requests() -> None:
    """`lifespan`, `before_serving` and `while_serving`; at shutdown the other way round."""
    record: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Flask) -> AsyncIterator[dict[str, str]]:
        record.append("lifespan start")
        yield {"name": "state"}
        record.append(f"lifespan end {await app.run_sync(str, 1)}")

    app = make_app(lifespan=lifespan)

    @app.while_serving
    async def during() -> AsyncIterator[None]:
        record.append(f"while start {current_app.name == app.name}")
        yield
        record.append(f"while end {current_app.name == app.name}")

    @app.before_serving
    def before() -> None:
        assert threading.current_thread() is not threading.main_thread()
        record.append(f"before {current_app.name == app.name}")

    @app.before_serving
    async def async_before() -> None:
        record.append("async before")

    @app.after_serving
    def after() -> None:
        record.append(f"after {current_app.name == app.name}")

    @app.after_serving
    async def async_after() -> None:
        record.append("async after")

    @app.get("/")
    async def index() -> str:
        return str(request.scope["state"]["name"])

    async with app.test_client() as client:
        assert (await client.get("/")).text == "state"
        assert record == ["lifespan start", "before True", "async before", "while start True"]
        record.clear()
    assert record == ["while end True", "after True", "async after", "lifespan end 1"]
    assert "pool" not in app.__dict__


async def test_a_lifespan_may_be_a_plain_async_generator_function() -> None:
    """And one that yields nothing leaves the state alone."""
    record: list[str] = []

    async def lifespan(app: Flask) -> AsyncIterator[None]:
        record.append("start")
        yield
        record.append("end")

    app = make_app(lifespan=lifespan)

    @app.get("/")
    async def index() -> str:
        return str(request.scope["state"])

    async with app.test_client() as client:
        assert (await client.get("/")).text == "{}"
    assert record == ["start", "end"]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_while_serving_takes_generators_of_both_kinds(kind: str) -> None:
    """A `def` one runs in worker threads, both halves within an application context."""
    record: list[str] = []
    app = make_app()

    def where() -> str:
        loop = threading.current_thread() is threading.main_thread()
        return f"{'loop' if loop else 'thread'} {current_app.name == app.name}"

    @app.while_serving
    async def async_during() -> AsyncIterator[None]:
        record.append(where())
        yield
        record.append(where())

    def during() -> Iterator[None]:
        record.append(where())
        yield
        record.append(where())

    if kind == "def":
        app.while_serving_gens.clear()
        app.while_serving(during)
    async with app.test_client():
        pass
    assert record == [f"{'thread' if kind == 'def' else 'loop'} True"] * 2


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_while_serving_needs_a_generator(kind: str) -> None:
    """What has no `yield` is a mistake that is told at start."""
    app = make_app()

    def function() -> None:
        pass

    async def async_function() -> None:
        pass

    app.while_serving(function if kind == "def" else async_function)
    with pytest.raises(TypeError, match="has no 'yield'") as caught:
        await app.startup()
    (note,) = caught.value.__notes__
    assert note.startswith("The while_serving function 'test_while_serving_needs_a_generator")


@pytest.mark.parametrize("kind", ["def", "async def", "generator", "lifespan"])
async def test_a_failure_at_startup_is_reported(kind: str) -> None:
    """The server hears of it, and what has started is ended."""
    record: list[str] = []

    async def broken_lifespan(app: Flask) -> AsyncIterator[None]:
        raise ValueError("broken")
        yield

    app = make_app(lifespan=broken_lifespan if kind == "lifespan" else None)

    @app.while_serving
    async def during() -> AsyncIterator[None]:
        try:
            yield
        finally:
            record.append("ended")

    def fail() -> None:
        raise ValueError("broken")

    async def async_fail() -> None:
        raise ValueError("broken")

    async def generator() -> AsyncIterator[None]:
        raise ValueError("broken")
        yield

    if kind == "generator":
        app.while_serving(generator)
    else:
        app.before_serving(fail if kind == "def" else async_fail)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    def signalled(sender: Any, exception: Exception) -> None:
        record.append(f"{exception}, signalled")

    with (
        got_serving_exception.connected_to(signalled, app),
        pytest.raises(ValueError, match="broken"),
    ):
        await app({"type": "lifespan", "state": {}}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "broken" in sent[0]["message"]
    assert record == ["broken, signalled", *(["ended"] if kind == "generator" else [])]
    assert "pool" not in app.__dict__


async def test_a_failure_at_shutdown_keeps_nothing_else_from_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each is logged and signalled, and the first one is reported."""
    record: list[str] = []
    signalled: list[str] = []

    async def signal(sender: Any, exception: Exception) -> None:
        signalled.append(str(exception))

    async def lifespan(app: Flask) -> AsyncIterator[None]:
        yield
        record.append("lifespan")

    app = make_app(lifespan=lifespan)

    @app.while_serving
    async def during() -> AsyncIterator[None]:
        yield
        record.append("while")
        raise ValueError("broken too")

    @app.after_serving
    async def fail() -> None:
        raise ValueError("broken")

    @app.after_serving
    def last() -> None:
        record.append("last")

    client = app.test_client()
    await client.__aenter__()
    with (
        got_serving_exception.connected_to(signal, app),
        pytest.raises(ValueError, match="broken too"),
    ):
        await client.__aexit__(None, None, None)
    assert record == ["while", "last", "lifespan"]
    assert signalled == ["broken too", "broken"]
    assert "fail' has failed at shutdown" in caplog.text
    assert "during' has failed at shutdown" in caplog.text
    assert "pool" not in app.__dict__


async def test_an_application_works_without_its_lifespan() -> None:
    """A server may not send it."""
    app = make_app()
    app.before_serving(lambda: None)

    @app.get("/")
    def index() -> str:
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"
    app.close_pools()
    assert (await app.test_client().get("/")).text == "ok"
    app.close_pools()


async def test_lifespans_that_overlap_share_the_worker_threads() -> None:
    """The last one to end ends them: the other's requests go on."""
    app = Flask(__name__, static_folder=None)

    @app.get("/")
    def index() -> str:
        return "ok"

    async with app.test_client() as client:
        async with app.test_client() as other:
            assert (await other.get("/")).text == "ok"
        async with asyncio.timeout(5):
            assert (await client.get("/")).text == "ok"


# What cancelled requests leave.


async def test_what_cancelled_requests_have_left_is_done_before_after_serving() -> None:
    """A view still in its thread, and its teardown functions with what they add."""
    app = make_app()
    gate = threading.Event()
    record: list[str] = []
    app.after_serving(lambda: record.append("after serving"))

    async def late() -> None:
        record.append("background")

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        await asyncio.sleep(0.01)
        record.append("teardown")
        app.add_background_task(late)

    @app.get("/")
    def index() -> str:
        gate.wait(5)
        record.append("view")
        return "ok"

    async with app.test_client():
        wire = Wire("/")
        task = asyncio.ensure_future(app(wire.scope, wire.receive, wire.send))
        await until(lambda: app.pool.busy)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        asyncio.get_running_loop().call_later(0.03, gate.set)
    assert record == ["view", "teardown", "background", "after serving"]
