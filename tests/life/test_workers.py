"""The ways between `def` and `async def` code."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Any

import pytest

from asyncflask import Flask, current_app, g, request
from asyncflask.exceptions import WorkerPoolFullError
from tests.wire import until


def make_app(**config: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(TESTING=True, **config)
    return app


def ident(*args: Any, **kwargs: Any) -> Any:
    return threading.get_ident(), args, kwargs


async def aident(*args: Any, **kwargs: Any) -> Any:
    await asyncio.sleep(0)
    return ident(*args, **kwargs)


async def test_run_sync_runs_a_function_in_a_worker_with_the_context() -> None:
    """In a request and outside of one; results, errors and changes of `g` come back."""
    app = make_app()

    def blocking(name: str) -> str:
        g.seen = name
        return f"{request.path} {threading.current_thread().name.partition('-')[2]}"

    def fail() -> None:
        raise KeyError("mine")

    @app.get("/x")
    async def view() -> str:
        result = await app.run_sync(blocking, name="x")
        with pytest.raises(KeyError, match="mine"):
            await app.run_sync(fail)
        return f"{result} {g.seen}"

    assert (await app.test_client().get("/x")).text == "/x worker-1 x"
    thread, args, kwargs = await app.run_sync(ident, 1, a=2)
    assert thread != threading.get_ident()
    assert (args, kwargs) == ((1,), {"a": 2})


async def test_run_sync_says_when_all_workers_are_busy() -> None:
    """After the queue is full."""
    app = make_app(WORKER_THREADS=1, WORKER_QUEUE_SIZE=0)
    gate = threading.Event()
    first = asyncio.create_task(app.run_sync(gate.wait, 5))
    await until(lambda: app.pool.busy)
    with pytest.raises(WorkerPoolFullError):
        await app.run_sync(ident)
    gate.set()
    await first


async def test_run_sync_in_a_context_pushed_in_the_request_uses_its_worker() -> None:
    """Waiting for another one could last for ever."""
    app = make_app(WORKER_THREADS=1, WORKER_QUEUE_TIMEOUT=0.2)

    @app.before_request
    def hold() -> None:
        g.thread = threading.get_ident()

    @app.before_request
    async def needs_a_thread() -> None:
        thread = g.thread
        async with app.app_context():
            assert await app.run_sync(threading.get_ident) == thread

    @app.get("/")
    def view() -> str:
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"


async def test_other_tasks_of_a_request_do_not_use_its_worker() -> None:
    """A slow function there does not hold up the response."""
    app = make_app(WORKER_THREADS=3)
    gate = threading.Event()
    tasks: list[asyncio.Task[Any]] = []

    async def background() -> None:
        await app.run_sync(gate.wait, 5)

    @app.before_request
    def hold() -> None:
        g.thread = threading.get_ident()

    @app.before_request
    async def begin() -> None:
        app.add_background_task(background)
        tasks.append(asyncio.create_task(app.run_sync(threading.get_ident)))
        assert await tasks[0] != g.thread
        await until(lambda: app.pool.busy == 2)
        assert await app.run_sync(threading.get_ident) == g.thread

    @app.get("/")
    def view() -> str:
        return "ok"

    async with app.test_client() as client:
        async with asyncio.timeout(3):
            assert (await client.get("/")).text == "ok"
        assert not gate.is_set()
        gate.set()


async def test_wrong_arguments_are_raised_in_def_code() -> None:
    """The thread of the view does not wait for a coroutine that was never made."""
    app = make_app()

    async def takes_one(one: int) -> int:
        return one

    @app.get("/")
    def view() -> str:
        with pytest.raises(TypeError, match="positional argument"):
            app.ensure_sync(takes_one)(1, 2, 3)
        return str(app.ensure_sync(takes_one)(1))

    async with asyncio.timeout(5):
        assert (await app.test_client().get("/")).text == "1"


async def test_ensure_sync_in_def_code_runs_a_coroutine_function_on_the_loop() -> None:
    """The thread waits; `def` functions are given back as they are."""
    app = make_app()
    loop_thread = threading.get_ident()

    @app.get("/")
    def view() -> str:
        assert app.ensure_sync(ident) is ident
        call = app.ensure_sync(aident)
        assert call.__name__ == "aident"
        assert call(1, a=2) == (loop_thread, (1,), {"a": 2})
        assert app.ensure_sync(functools.partial(aident, 1))()[0] == loop_thread
        assert app.wait(aident()) == (loop_thread, (), {})
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"


async def test_ensure_sync_in_async_code_gives_the_coroutine() -> None:
    """There it can be awaited."""
    app = make_app()

    @app.get("/")
    async def view() -> str:
        assert await app.ensure_sync(aident)(1) == (threading.get_ident(), (1,), {})
        with pytest.raises(RuntimeError, match="block"):
            app.wait(asyncio.get_running_loop().create_future())
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"


def test_outside_of_a_loop_a_loop_is_run() -> None:
    """In scripts and commands."""
    app = make_app()
    assert app.ensure_sync(aident)(1)[1] == (1,)
    assert app.wait(aident(2))[1] == (2,)
    with app.app_context():
        assert app.ensure_sync(aident)(3)[1] == (3,)


async def test_a_context_pushed_in_a_def_view_keeps_the_requests_loop() -> None:
    """What is bound to that loop can be used there."""
    app = make_app()
    loop = asyncio.get_running_loop()

    async def which() -> bool:
        return asyncio.get_running_loop() is loop

    @app.get("/")
    def view() -> str:
        with app.app_context():
            assert app.ensure_sync(which)()
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"


async def test_asyncio_run_in_a_def_view() -> None:
    """Another loop in the request's thread: the body still comes from the application's."""
    app = make_app()

    @app.post("/")
    def view() -> Any:
        async def read() -> Any:
            return await request.get_json()

        return asyncio.run(read())

    assert (await app.test_client().post("/", json={"a": 1})).json() == {"a": 1}


async def test_to_thread_from_an_async_view() -> None:
    """`def` code in any thread gets plain values."""
    app = make_app()

    def blocking() -> str:
        return f"{request.form['a']} {current_app.name}"

    @app.post("/")
    async def view() -> str:
        return await asyncio.to_thread(blocking)

    assert (await app.test_client().post("/", data={"a": "1"})).text == f"1 {app.name}"


async def test_workers_are_sized_by_the_config() -> None:
    """One pool for functions, one for streams; closed ones are made anew."""
    app = make_app(WORKER_THREADS=3, STREAM_THREADS=2, WORKER_QUEUE_SIZE=5, WORKER_QUEUE_TIMEOUT=6)
    pool = app.pool
    assert (pool.size, pool.queue_size, pool.queue_timeout) == (3, 5, 6)
    assert app.stream_pool.size == 2
    app.close_pools()
    app.close_pools()
    assert app.pool is not pool
    assert (await app.run_sync(ident, 1))[1] == (1,)


async def test_ensure_async_makes_def_functions_awaitable() -> None:
    """They run in a worker; `async def` functions are given back as they are."""
    app = make_app()

    def number(value: int) -> tuple[int, int]:
        return value, threading.get_ident()

    async def already() -> None: ...

    assert app.ensure_async(already) is already
    value, thread = await app.ensure_async(number)(5)
    assert value == 5
    assert thread != threading.get_ident()


@pytest.mark.parametrize("name", ["ensure_sync", "ensure_async"])
async def test_replaced_adapters_see_every_function(name: str) -> None:
    """Views, hooks, teardowns and error handlers, once, when the application starts."""
    seen: list[str] = []
    app = make_app()
    original = getattr(app, name)

    def adapt(func: Any) -> Any:
        seen.append(func.__name__)
        return original(func)

    setattr(app, name, adapt)

    @app.before_request
    async def before() -> None: ...

    @app.teardown_request
    def teardown(exc: BaseException | None) -> None: ...

    @app.errorhandler(KeyError)
    async def handler(exc: Exception) -> str:
        return "handled"

    @app.get("/")
    async def view() -> str:
        raise KeyError

    client = app.test_client()
    for _ in range(2):
        assert (await client.get("/")).text == "handled"
    for function in ("before", "teardown", "view"):
        assert function in seen
    assert seen.count("handler") == 1
