"""Applications that start themselves, because their server does not tell them to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from asyncflask import Flask, has_request_context, request
from tests.wire import Wire, until


def make_app(record: list[str], **options: Any) -> Flask:
    app = Flask("shop", static_folder=None, root_path=".", **options)

    @app.before_serving
    async def before() -> None:
        assert not has_request_context()
        record.append("before")
        await asyncio.sleep(0.01)
        record.append("started")

    @app.after_serving
    def after() -> None:
        record.append("after")

    @app.get("/")
    async def index() -> Any:
        record.append("request")
        return dict(request.scope.get("state", {}))

    return app


async def ask(app: Any) -> Wire:
    wire = Wire()
    await app(wire.scope, wire.receive, wire.send)
    return wire


def test_the_first_request_starts_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """Concurrent ones wait; it steps aside then, and shuts down when the loop is closed."""
    record: list[str] = []
    app = make_app(record)

    async def main() -> None:
        await asyncio.gather(*(ask(app) for _ in range(3)))
        assert record == ["before", "started", *["request"] * 3]
        assert app.middleware_stack == app.dispatch.handle
        await ask(app)
        assert record.count("before") == 1

    for times in (1, 2):  # another loop is another life
        asyncio.run(main())
        assert record[-1] == "after"
        assert caplog.text.count("'shop' has started itself at its first request") == times
        record.clear()


def test_its_shutdown_drains(caplog: pytest.LogCaptureFixture) -> None:
    """As far as the loop lets it; what fails is logged."""
    record: list[str] = []
    app = make_app(record)

    @app.after_serving
    async def fail() -> None:
        assert app.draining.is_set()
        raise ValueError("broken")

    asyncio.run(ask(app))  # type: ignore[arg-type]
    assert record == ["before", "started", "request", "after"]
    assert caplog.text.count("ValueError: broken") == 1


async def test_the_state_of_its_lifespan_reaches_every_request() -> None:
    """In a copy that the host does not see."""

    @asynccontextmanager
    async def lifespan(app: Flask) -> AsyncIterator[dict[str, str]]:
        yield {"name": "ours"}

    app = make_app([], lifespan=lifespan)
    host_state = {"host": "theirs"}
    for _ in range(2):
        wire = Wire()
        wire.scope["state"] = host_state
        await app(wire.scope, wire.receive, wire.send)
        assert wire.body == b'{"host":"theirs","name":"ours"}'
    assert host_state == {"host": "theirs"}


async def test_under_a_starlette_that_forwards_nothing() -> None:
    """The usual case: mounted, and nobody thought of the lifespan."""
    record: list[str] = []
    host = Starlette(routes=[Mount("/shop", make_app(record))])
    wire = Wire("/shop/")
    await host(wire.scope, wire.receive, wire.send)
    assert wire.sent[0]["status"] == 200
    assert record == ["before", "started", "request"]


async def test_a_host_that_runs_its_lifespan_comes_first() -> None:
    """Then nothing is started twice, not even before the first request."""
    record: list[str] = []
    app = make_app(record)
    host = Starlette(routes=[Mount("/shop", app)], lifespan=app.lifespan)
    wire = Wire("/shop/")
    async with host.router.lifespan_context(host):
        assert record == ["before", "started"]
        await host(wire.scope, wire.receive, wire.send)
        assert app.middleware_stack == app.dispatch.handle
    assert record == ["before", "started", "request", "after"]
    await ask(app)
    assert record[4:] == ["before", "started", "request"]


async def test_a_host_may_have_a_lifespan_of_its_own() -> None:
    """It enters those of its applications there; each keeps its own state."""
    record: list[str] = []

    @asynccontextmanager
    async def ours(app: Flask) -> AsyncIterator[dict[str, str]]:
        yield {"name": "ours"}

    shop, blog = make_app(record, lifespan=ours), make_app(record)

    @asynccontextmanager
    async def theirs(host: Any) -> AsyncIterator[dict[str, str]]:
        async with shop.lifespan() as state, blog.lifespan(host):
            assert state == {"name": "ours"}
            yield {"host": "theirs"}

    host = Starlette(routes=[Mount("/shop", shop), Mount("/blog", blog)], lifespan=theirs)
    async with host.router.lifespan_context(host) as state:
        bodies = []
        for path in ("/shop/", "/blog/", "/shop/"):
            wire = Wire(path)
            wire.scope["state"] = dict(state)
            await host(wire.scope, wire.receive, wire.send)
            bodies.append(wire.body)
    assert bodies == [
        b'{"host":"theirs","name":"ours"}',
        b'{"host":"theirs"}',
        b'{"host":"theirs","name":"ours"}',
    ]
    assert record == [*["before", "started"] * 2, *["request"] * 3, *["after"] * 2]
    assert (await ask(blog)).body == b"{}"


async def test_a_failure_in_the_lifespan_is_the_hosts() -> None:
    """It can say so to its server."""
    app = make_app([])

    @app.before_serving
    async def fail() -> None:
        raise ValueError("broken")

    host = Starlette(lifespan=app.lifespan)
    with pytest.raises(ValueError, match="broken"):
        async with host.router.lifespan_context(host):
            pass


async def test_a_start_that_fails_is_an_error_of_every_waiting_request() -> None:
    """The next request tries again."""
    record: list[str] = []
    app = make_app(record)
    broken = True

    @app.before_serving
    async def connect() -> None:
        if broken:
            raise ValueError("no database")

    results = await asyncio.gather(ask(app), ask(app), return_exceptions=True)
    assert [str(result) for result in results] == ["no database", "no database"]
    assert record == ["before", "started"]
    broken = False
    assert (await ask(app)).sent[0]["status"] == 200


async def test_a_request_that_gives_up_does_not_stop_the_start() -> None:
    """The others go on waiting for it."""
    record: list[str] = []
    app = make_app(record)
    gate = asyncio.Event()
    app.before_serving(gate.wait)
    first, second = (asyncio.create_task(ask(app)) for _ in range(2))
    await until(lambda: record)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert (await second).sent[0]["status"] == 200
    assert first.cancelled()
    assert record == ["before", "started", "request"]


def test_a_loop_that_is_closed_during_the_start() -> None:
    """Who still waits is told; the next loop starts the application again."""
    record: list[str] = []
    app = make_app(record)
    waiting = True

    @app.before_serving
    async def wait() -> None:
        if waiting:
            await asyncio.Event().wait()

    async def leave() -> asyncio.Task[Wire]:
        task = asyncio.create_task(ask(app))
        await until(lambda: "started" in record)
        return task

    assert asyncio.run(leave()).cancelled()
    assert record == ["before", "started"]
    record.clear()
    waiting = False
    asyncio.run(ask(app))  # type: ignore[arg-type]
    assert record == ["before", "started", "request", "after"]


async def test_middleware_that_others_put_around_it_stays() -> None:
    """Instrumentation replaces `build_middleware_stack`: what it returns is left in place."""
    record: list[str] = []
    app = make_app(record)
    build = app.build_middleware_stack

    def instrumented() -> Any:
        inner = build()

        async def outer(scope: Scope, receive: Receive, send: Send) -> None:
            record.append("outer")
            await inner(scope, receive, send)

        return outer

    app.build_middleware_stack = instrumented  # type: ignore[method-assign]
    await ask(app)
    await ask(app)
    assert record == ["outer", "before", "started", "request", "outer", "request"]


async def test_middleware_around_it_does_not_cost_the_state() -> None:
    """Where the host has started it, too."""

    @asynccontextmanager
    async def lifespan(app: Flask) -> AsyncIterator[dict[str, str]]:
        yield {"name": "ours"}

    app = make_app([], lifespan=lifespan)
    build = app.build_middleware_stack

    def instrumented() -> Any:
        inner = build()

        async def outer(scope: Scope, receive: Receive, send: Send) -> None:
            await inner(scope, receive, send)

        return outer

    app.build_middleware_stack = instrumented  # type: ignore[method-assign]
    async with app.lifespan():
        assert (await ask(app)).body == b'{"name":"ours"}'


async def test_an_application_with_nothing_to_start_does_nothing() -> None:
    """Its requests go to the dispatch itself."""
    app = Flask(__name__, static_folder=None)
    await ask(app)
    assert app.middleware_stack == app.dispatch.handle


async def test_a_test_client_without_a_lifespan_starts_nothing() -> None:
    """A test of one view need not connect to everything; with one, all is started."""
    record: list[str] = []
    app = make_app(record)
    assert (await app.test_client().get("/")).status_code == 200
    assert record == ["request"]
    async with app.test_client() as client:
        await client.get("/")
    assert record == ["request", "before", "started", "request", "after"]
