"""Start, shutdown and background tasks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asyncflask import Flask, current_app, g, has_request_context, request
from tests.wire import Wire, until


def make_app(**options: Any) -> Flask:
    return Flask(__name__, static_folder=None, **options)


async def test_serving_functions_run_in_order_around_the_requests() -> None:
    """`lifespan`, `while_serving` and `before_serving`; at shutdown the other way round."""
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
        assert record == ["lifespan start", "while start True", "before True", "async before"]
        record.clear()
    assert record == ["after True", "async after", "while end True", "lifespan end 1"]
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

    with pytest.raises(ValueError, match="broken"):
        await app({"type": "lifespan", "state": {}}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "broken" in sent[0]["message"]
    assert record == ([] if kind == "lifespan" else ["ended"])
    assert "pool" not in app.__dict__


async def test_a_failure_at_shutdown_keeps_nothing_else_from_running() -> None:
    """It is reported all the same."""
    record: list[str] = []
    app = make_app()

    @app.while_serving
    async def during() -> AsyncIterator[None]:
        try:
            yield
        finally:
            record.append("while")

    @app.after_serving
    async def fail() -> None:
        raise ValueError("broken")

    @app.after_serving
    def last() -> None:
        record.append("last")

    client = app.test_client()
    await client.__aenter__()
    with pytest.raises(ValueError, match="broken"):
        await client.__aexit__(None, None, None)
    assert record == ["last", "while"]
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


# Background tasks.


@pytest.mark.parametrize("view", ["def", "async def"])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_background_task_keeps_the_context(view: str, kind: str) -> None:
    """It goes on after the response, with the request's `g` and `request`."""
    app = make_app()
    record: list[Any] = []
    gate = threading.Event()

    def task(number: int, *, name: str) -> None:
        gate.wait(5)
        record.append((g.value, request.path, number, name))

    async def async_task(number: int, *, name: str) -> None:
        await until(gate.is_set)
        record.append((g.value, request.path, number, name))

    def index() -> str:
        g.value = 7
        app.add_background_task(task if kind == "def" else async_task, 1, name="x")
        return "ok"

    async def async_index() -> str:
        return index()

    app.add_url_rule("/", "index", index if view == "def" else async_index)
    async with app.test_client() as client:
        assert (await client.get("/")).text == "ok"
        await until(lambda: len(app.background_tasks) == 1)
        assert record == []
        gate.set()
    assert record == [(7, "/", 1, "x")]
    assert len(app.background_tasks) == 0


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_background_task_that_fails_is_logged(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By name; nothing else happens."""
    app = make_app()

    def fail() -> None:
        raise ValueError("in background")

    async def async_fail() -> None:
        fail()

    async with app.test_client():
        app.add_background_task(fail if kind == "def" else async_fail)
    name = "fail" if kind == "def" else "async_fail"
    assert f"The background task {name!r} failed" in caplog.text
    assert "in background" in caplog.text


async def test_tasks_are_waited_for_and_then_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """At shutdown, up to SHUTDOWN_TIMEOUT seconds; tasks that tasks add count too."""
    app = make_app()
    app.config["SHUTDOWN_TIMEOUT"] = 0.05
    record: list[str] = []

    async def first() -> None:
        await asyncio.sleep(0.005)
        app.add_background_task(second)

    async def second() -> None:
        await asyncio.sleep(0.005)
        record.append("second")

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            record.append("cancelled")

    async with app.test_client():
        app.add_background_task(first)
        app.add_background_task(endless)
    assert record == ["second", "cancelled"]
    assert "The background task 'endless' was cancelled at shutdown" in caplog.text


async def test_a_background_task_needs_a_loop() -> None:
    """A thread of a request has the request's; any other thread has none."""
    app = make_app()

    async def task() -> None:
        assert not has_request_context()

    def add() -> None:
        with pytest.raises(RuntimeError, match="event loop"):
            app.add_background_task(task)

    await asyncio.to_thread(add)
    app.add_background_task(task)
    await app.background_tasks.drain(None)


async def test_a_background_def_function_does_not_take_the_threads_of_its_request() -> None:
    """A slow one does not hold up the response of a `def` view that called `async def` code."""
    app = make_app()
    gate = threading.Event()
    threads: list[int] = []

    def slow() -> None:
        gate.wait(5)
        threads.append(threading.get_ident())

    async def add() -> None:
        app.add_background_task(slow)
        await asyncio.sleep(0.01)

    @app.get("/")
    def index() -> str:
        app.wait(add())
        threads.append(threading.get_ident())
        return "ok"

    async with app.test_client() as client:
        async with asyncio.timeout(3):
            assert (await client.get("/")).text == "ok"
        gate.set()
    assert len(set(threads)) == 2


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


async def test_background_def_functions_wait_for_a_thread_without_limit() -> None:
    """A queue that is full or slow is for requests: no task is dropped."""
    app = make_app()
    app.config.update(WORKER_THREADS=1, WORKER_QUEUE_SIZE=0, WORKER_QUEUE_TIMEOUT=0.01)
    gate = threading.Event()
    record: list[int] = []

    def task(number: int) -> None:
        gate.wait(5)
        record.append(number)

    async with app.test_client():
        for number in range(3):
            app.add_background_task(task, number)
        await asyncio.sleep(0.05)
        gate.set()
    assert record == [0, 1, 2]


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
