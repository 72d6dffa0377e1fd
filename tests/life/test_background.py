"""Background tasks: they outlive their request, keep its context, and are waited for."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import quart

from asyncflask import Flask, current_app, g, got_background_exception, has_request_context, request
from tests.wire import until


def make_app(**options: Any) -> Flask:
    return Flask(__name__, static_folder=None, **options)


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


async def test_a_background_task_is_a_function() -> None:
    """What was called already is a mistake that is told where it was made."""
    app = make_app()

    async def task() -> None: ...

    for wrong in (task(), 7):
        with pytest.raises(TypeError, match="Pass the function"):
            app.add_background_task(wrong)  # type: ignore[arg-type]


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


async def test_the_time_for_background_tasks_can_be_set_apart() -> None:
    """BACKGROUND_TASK_SHUTDOWN_TIMEOUT, Quart's key, comes before SHUTDOWN_TIMEOUT."""
    app = make_app()
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 0.01
    record: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            record.append("cancelled")

    async with asyncio.timeout(5), app.test_client():
        app.add_background_task(endless)
    assert record == ["cancelled"]


@pytest.mark.parametrize("kind", ["quart", "asyncflask"])
async def test_a_failure_is_signalled_as_in_quart(kind: str) -> None:
    """`got_background_exception`, with the application as sender; `def` receivers work too."""
    app: Any = quart.Quart(__name__) if kind == "quart" else make_app()
    signal: Any = (
        quart.signals.got_background_exception if kind == "quart" else got_background_exception
    )
    record: list[Any] = []

    async def receive(sender: Any, exception: Exception) -> None:
        record.append((sender is app, str(exception)))

    async def fail() -> None:
        raise ValueError("in background")

    with signal.connected_to(receive, app):
        await app.startup()
        app.add_background_task(fail)
        assert len(app.background_tasks) == 1
        assert isinstance(app.background_tasks, set)
        await until(lambda: record)
        await app.shutdown()
    assert record == [(True, "in background")]
    assert app.background_tasks == set()


async def test_receivers_of_a_failure_may_be_def_functions() -> None:
    """They run within the task."""
    app = make_app()
    record: list[Any] = []

    def receive(sender: Any, exception: Exception) -> None:
        record.append((str(exception), current_app.name))

    def fail() -> None:
        raise ValueError("in a thread")

    with got_background_exception.connected_to(receive, app):
        async with app.test_client(), app.app_context():
            app.add_background_task(fail)
    assert record == [("in a thread", app.name)]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_what_handles_failures_can_be_overridden(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In a subclass, with a `def` or an `async def` method; its own failure is logged."""
    record: list[str] = []

    class Shop(Flask):
        if kind == "def":

            def handle_background_exception(self, error: Exception) -> Any:
                record.append(str(error))
                if str(error) == "second":
                    raise RuntimeError("cannot handle")
        else:

            async def handle_background_exception(self, error: Exception) -> None:
                await asyncio.sleep(0)
                record.append(str(error))
                if str(error) == "second":
                    raise RuntimeError("cannot handle")

    app = Shop(__name__, static_folder=None)

    async def fail(name: str) -> None:
        raise ValueError(name)

    async with app.test_client():
        app.add_background_task(fail, "first")
        app.add_background_task(fail, "second")
    assert sorted(record) == ["first", "second"]
    assert "The failure of the background task 'fail' could not be handled" in caplog.text
    assert "cannot handle" in caplog.text


async def test_a_task_can_be_added_at_start() -> None:
    """A serving function has an application context, and so has its task."""
    app = make_app()
    record: list[str] = []

    async def task() -> None:
        record.append(current_app.name)

    @app.before_serving
    async def before() -> None:
        app.add_background_task(task)

    async with app.test_client():
        pass
    assert record == [app.name]
