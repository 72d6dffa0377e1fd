"""Lifespan: the start and the shutdown of an application under test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from asyncflask import Flask, request
from asyncflask.testing import TestApp
from tests.testing.apps import client_for, other_tasks


async def test_it_is_run_by_async_with_and_its_state_reaches_requests() -> None:
    """Each request has a shallow copy."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        events.append("started")
        yield {"shared": [], "own": 0}
        events.append("stopped")

    async def view(request: Request) -> PlainTextResponse:
        request.state.own += 1
        request.state.shared.append(request.state.own)
        return PlainTextResponse(repr(request.state.shared))

    app = Starlette(routes=[Route("/", view)], lifespan=lifespan)
    async with client_for(app) as client:
        assert events == ["started"]
        assert (await client.get("/")).text == "[1]"
        assert (await client.get("/")).text == "[1, 1]"
        assert events == ["started"]
    assert events == ["started", "stopped"]


async def test_without_async_with_there_is_none() -> None:
    """Requests work, and have no ``state``."""
    types: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        types.append(scope["type"])
        assert "state" not in scope
        await PlainTextResponse("ok")(scope, receive, send)

    client = client_for(app)
    assert (await client.get("/")).text == "ok"
    await client.aclose()
    assert types == ["http"]


async def test_an_application_without_lifespan_may_just_return() -> None:
    """``if scope["type"] != "http": return`` is all it needs."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await PlainTextResponse("ok")(scope, receive, send)

    async with client_for(app) as client:
        assert (await client.get("/")).text == "ok"


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
async def test_what_it_raises_is_raised_with_a_note(stage: str) -> None:
    """The original exception, and where it came from."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if stage == "startup":
            raise LookupError("broken") from KeyError("the cause")
        yield
        raise LookupError("broken") from KeyError("the cause")

    entered = []
    with pytest.raises(LookupError, match="broken") as caught:
        async with client_for(Starlette(lifespan=lifespan)):
            entered.append(True)
    assert caught.value.__notes__ == [f"The application raised this in its lifespan, at {stage}."]
    assert isinstance(caught.value.__cause__, KeyError)
    assert entered == ([] if stage == "startup" else [True])
    assert other_tasks() == set()


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
async def test_a_failure_that_is_only_reported_is_raised(stage: str) -> None:
    """With the application's message."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            failed = message["type"] == f"lifespan.{stage}"
            answer = f"{message['type']}.{'failed' if failed else 'complete'}"
            await send({"type": answer, "message": "no database"})
            if failed:
                return

    with pytest.raises(RuntimeError, match=f"failed at {stage}: no database"):
        async with client_for(app):
            pass


async def test_one_that_dies_in_between_is_noticed_at_the_end() -> None:
    """Its error is raised when the client is closed."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise LookupError("died")

    with pytest.raises(LookupError, match="died"):
        async with client_for(app):
            await asyncio.sleep(0)


async def test_cancelling_the_start_cancels_the_application() -> None:
    """A startup that hangs can be given up."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), client_for(app):
            pass
    assert seen == ["cancelled"]


async def test_one_that_does_not_return_after_shutdown_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Servers do not wait for it either."""
    monkeypatch.setattr("asyncflask.life.lifespan_protocol.GRACE", 0.01)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})

    async with client_for(app):
        pass
    assert other_tasks() == set()


async def test_an_application_is_started_and_shut_down_around_a_test() -> None:
    """As with Quart's `test_app`."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Flask) -> AsyncIterator[dict[str, Any]]:
        events.append("started")
        yield {"pool": "a pool"}
        events.append("ended")

    app = Flask("lived", static_folder=None, lifespan=lifespan)

    @app.get("/")
    async def index() -> str:
        return str(request.scope["state"]["pool"])

    async with app.test_app() as test_app:
        assert events == ["started"]
        assert (await test_app.test_client().get("/")).text == "a pool"
    assert events == ["started", "ended"]


async def test_a_start_that_takes_too_long_is_an_error() -> None:
    """Instead of a test that hangs."""
    app = Flask("slow", static_folder=None)

    @app.before_serving
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await TestApp(app, startup_timeout=0.01).startup()
