"""What a client's `with` block keeps of its last request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import flask
import pytest

from asyncflask import (
    Flask,
    current_app,
    g,
    has_request_context,
    redirect,
    request,
    session,
    url_for,
)
from asyncflask.signals import request_started


@pytest.fixture
def app() -> Flask:
    app = Flask("kept", static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key")
    app.extensions["ended"] = []

    @app.teardown_request
    def end(_: object) -> None:
        app.extensions["ended"].append(request.path)

    @app.get("/def/<int:number>")
    def sync_view(number: int) -> str:
        g.number = number
        session["number"] = number
        return "done"

    @app.get("/async/<int:number>")
    async def async_view(number: int) -> str:
        return sync_view(number)

    @app.get("/redirect")
    def lead_on() -> Any:
        session["from"] = "here"
        return redirect(url_for("async_view", number=3))

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        g.number = 0
        for g.number in (1, 2):
            yield str(g.number)

    @app.get("/error")
    async def fail() -> str:
        raise LookupError("broken")

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
def test_the_sync_client_keeps_the_context(app: Flask, kind: str) -> None:
    """Of the last request, until the next one or the end; teardowns have run, once."""
    ended = app.extensions["ended"]
    assert not has_request_context()
    with app.sync_test_client() as client:
        assert not has_request_context()
        for number in (1, 2):
            client.get(f"/{kind}/{number}?a=b")
            assert (request.path, request.args["a"]) == (f"/{kind}/{number}", "b")
            assert (g.number, session["number"]) == (number, number)
            assert current_app == app
            assert request.view_args == {"number": number}
            assert url_for("lead_on") == "/redirect"
        assert ended == [f"/{kind}/1", f"/{kind}/2"]
        assert client.get("/nowhere").status_code == 404
        assert request.path == "/nowhere"
        assert "number" not in g
    assert not has_request_context()
    assert len(ended) == 3
    client.get("/def/1")
    assert not has_request_context()


def test_a_context_from_before_the_request_may_end_first(app: Flask) -> None:
    """What the client keeps is over, so it is in nobody's way; the client's end is later."""
    with app.sync_test_client() as client:
        with app.app_context() as context:
            client.get("/def/1")
            assert request.path == "/def/1"
        assert not has_request_context()
        with pytest.raises(RuntimeError, match="cannot be popped"):
            context.pop()
    assert app.extensions["ended"] == ["/def/1"]


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_the_async_client_keeps_the_context(app: Flask, kind: str) -> None:
    """In the task that has made the request."""
    async with app.test_client() as client:
        for number in (1, 2):
            await client.get(f"/{kind}/{number}")
            assert (request.path, g.number, session["number"]) == (
                f"/{kind}/{number}",
                number,
                number,
            )
        assert app.extensions["ended"] == [f"/{kind}/1", f"/{kind}/2"]
    assert not has_request_context()


def test_it_is_as_in_flask(app: Flask) -> None:
    """For a redirect the last request counts, and it has the cookie of the one before."""

    def observe(app: Any, make_client: Any, names: Any) -> list[Any]:
        seen: list[Any] = []
        with make_client() as client:
            client.get("/redirect", follow_redirects=True)
            seen += [names.request.path, dict(names.session), names.g.number]
            client.get("/redirect")
            seen += [names.request.path, dict(names.session), "number" in names.g]
        seen.append(names.has_request_context())
        return seen

    other = flask.Flask("kept", static_folder=None)
    other.secret_key = "a key"

    @other.get("/redirect")
    def lead_on() -> Any:
        flask.session["from"] = "here"
        return flask.redirect("/async/3")

    @other.get("/async/3")
    def view() -> str:
        flask.g.number = flask.session["number"] = 3
        return "done"

    import asyncflask

    ours = observe(app, app.sync_test_client, asyncflask)
    assert ours == observe(other, other.test_client, flask)


def test_a_stream_is_kept_while_it_is_read(app: Flask) -> None:
    """And after."""
    with app.sync_test_client() as client, client.stream("GET", "/stream") as response:
        assert request.path == "/stream"
        assert response.read() == b"12"
        assert g.number == 2
    assert not has_request_context()


def test_of_a_request_that_raises_nothing_is_kept(app: Flask) -> None:
    """Nor of the one before."""

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app.mount("/mounted", mounted)
    with app.sync_test_client() as client:
        client.get("/def/1")
        with pytest.raises(LookupError):
            client.get("/error")
        assert not has_request_context()
        client.get("/mounted/")  # of which nothing is known either
        assert not has_request_context()


def test_blocks_of_one_client_do_not_nest(app: Flask) -> None:
    """Those of two do: each has its own."""
    with app.sync_test_client() as client, app.sync_test_client() as other:
        client.get("/def/1")
        other.get("/def/2")
        assert g.number == 2
        with pytest.raises(RuntimeError, match="Cannot nest client invocations"), client:
            pass
    assert not has_request_context()


async def test_a_client_that_cannot_start_keeps_nothing() -> None:
    """And can try again."""
    app = Flask("broken", static_folder=None)
    failures = [LookupError("broken")]

    @app.before_serving
    async def start() -> None:
        if failures:
            raise failures.pop()

    client, sync_client = app.test_client(), app.sync_test_client()
    with pytest.raises(LookupError):
        async with client:
            pass
    async with client:
        pass

    def start_twice() -> None:
        failures.append(LookupError("broken"))
        with pytest.raises(LookupError), sync_client:
            pass
        with sync_client:
            pass

    await asyncio.to_thread(start_twice)


async def test_requests_in_other_tasks_disturb_nothing(app: Flask) -> None:
    """What they have kept is theirs."""
    async with app.test_client() as client:
        await client.get("/async/1")
        await asyncio.gather(client.get("/async/2"), client.get("/async/3"))
        assert request.path == "/async/1"


async def test_a_client_that_a_fixture_has_opened(app: Flask) -> None:
    """The block may end in another task than the requests were made in."""
    client = app.test_client()
    await client.__aenter__()

    async def ask() -> None:
        await client.get("/async/1")
        assert g.number == 1

    await asyncio.create_task(ask())
    await client.__aexit__()
    assert not has_request_context()


async def test_a_client_inside_of_the_application_is_another(app: Flask) -> None:
    """Its requests are not the test's."""

    @app.get("/asks")
    async def asks() -> str:
        async with app.test_client() as inner:
            return (await inner.get("/async/9")).text

    async with app.test_client() as client:
        await client.get("/asks")
        assert request.path == "/asks"
        assert "number" not in g


@pytest.fixture
def client(app: Flask) -> Iterator[Any]:
    with app.sync_test_client() as client:
        yield client


def test_with_a_client_of_a_fixture(client: Any) -> None:
    """The usual shape of Flask's tests."""
    client.get("/def/5")
    assert session["number"] == 5
    with pytest.raises(RuntimeError, match="changed after"):
        session["number"] = 6


def test_nobody_listens_after_the_block() -> None:
    """Else every request would announce itself for as long as the client is there."""
    app = Flask("shop")
    app.get("/")(lambda: "")
    before = len(request_started.receivers)
    with app.sync_test_client() as client:
        client.get("/")
        assert len(request_started.receivers) == before + 1
    assert len(request_started.receivers) == before
