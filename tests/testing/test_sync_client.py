"""SyncClient: the test client for plain ``def`` tests."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import sqlite3
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from asyncflask import Flask
from asyncflask.concurrency import Worker, wait_for
from asyncflask.testing import SyncClient, TestResponse
from tests.testing.apps import Dressed, echo_app


@pytest.fixture(autouse=True, scope="module")
def no_thread_is_left() -> Iterator[None]:
    """These tests end with the threads they began with, once their garbage is collected."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before


async def in_worker(scope: Scope, function: Callable[[], Any]) -> Any:
    """Run a function as the framework runs a ``def`` view: in the worker that the scope brings."""
    worker: Worker = scope["asyncflask.worker"]
    return await worker.call(function, contextvars.copy_context())


class TestRequests:
    @pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "options", "trace"])
    def test_each_verb_has_its_method(self, verb: str) -> None:
        """And each takes all arguments, with or without ``with``."""
        with SyncClient(echo_app()) as client:
            response = getattr(client, verb)("/x", json={"a": 1}, query_string={"q": "1"})
        assert isinstance(response, TestResponse)
        seen = response.get_json()
        assert (seen["method"], seen["path"]) == (verb.upper(), "/x")
        assert (seen["query_string"], seen["body"]) == ("q=1", '{"a": 1}')
        assert getattr(SyncClient(echo_app()), verb)("/").json()["method"] == verb.upper()

    def test_head_has_no_body(self) -> None:
        """Only the headers come back."""
        response = SyncClient(echo_app()).head("/")
        assert (response.status_code, response.data) == (200, b"")

    def test_open_takes_the_method_as_an_argument(self) -> None:
        """As in Flask."""
        client = SyncClient(echo_app(), scope_base={"client": ("203.0.113.7", 1)})
        seen = client.open("/x", method="put", auth=("user", "pass")).json()
        assert seen["method"] == "PUT"
        assert ["authorization", "Basic dXNlcjpwYXNz"] in seen["headers"]
        assert seen["client"] == ["203.0.113.7", 1]

    def test_cookies_and_redirects_work(self) -> None:
        """As in the asynchronous client."""

        async def go(request: Request) -> Response:
            response = RedirectResponse("/landed", 303)
            response.set_cookie("a", "1")
            return response

        async def landed(request: Request) -> Response:
            return PlainTextResponse(f"{request.method} {request.headers.get('cookie')}")

        routes = [Route("/go", go, methods=["POST"]), Route("/landed", landed)]
        app = Dressed(Starlette(routes=routes))
        client = SyncClient(app)
        assert client.post("/go", follow_redirects=True).text == "GET a=1"
        assert client.get_cookie("a") is not None
        client = SyncClient(app, use_cookies=False)
        assert client.post("/go", follow_redirects=True).text == "GET None"

    def test_a_generator_is_streamed_from_the_callers_thread(self) -> None:
        """One chunk whenever the application asks."""
        variable = contextvars.ContextVar("variable", default="default")
        seen: list[tuple[int, str]] = []

        def chunks() -> Iterator[bytes]:
            for number in range(3):
                seen.append((threading.get_ident(), variable.get()))
                yield b"%d" % number

        async def echo(request: Request) -> Response:
            return PlainTextResponse(await request.body())

        variable.set("caller")
        app = Dressed(Starlette(routes=[Route("/", echo, methods=["POST"])]))
        assert SyncClient(app).post("/", content=chunks()).text == "012"
        assert seen == [(threading.get_ident(), "caller")] * 3

    def test_responses_are_streamed(self) -> None:
        """Chunk by chunk, as the application makes them."""
        go_on = threading.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one\n", "more_body": True})
            await asyncio.get_running_loop().run_in_executor(None, go_on.wait)
            await send({"type": "http.response.body", "body": b"two\n"})

        with SyncClient(Dressed(app)).stream("GET", "/") as response:
            assert response.status_code == 200
            lines = response.iter_lines()
            assert next(lines) == "one"
            go_on.set()
            assert next(lines) == "two"

    def test_closing_early_is_a_disconnect(self) -> None:
        """And the application has finished when the block is left."""
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            seen.append((await receive())["type"])

        with SyncClient(Dressed(app)).stream("GET", "/"):
            assert seen == []
        assert seen == ["http.disconnect"]

    def test_an_exception_arrives_bare_with_its_traceback(self) -> None:
        """As if the test had called the view."""
        error = LookupError("in a view")

        def view() -> None:
            raise error

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await in_worker(scope, view)

        with pytest.raises(LookupError) as caught:
            SyncClient(Dressed(app)).get("/")
        assert caught.value is error
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-1] == "view"

    def test_on_request_errors_are_answered_as_by_a_server(self) -> None:
        """``raise_app_exceptions=False``."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError("in a view")

        client = SyncClient(Dressed(app), raise_app_exceptions=False)
        assert client.get("/").status_code == 500


class TestThreads:
    def test_def_code_runs_in_the_waiting_thread(self) -> None:
        """So a connection that the test made can be used in the view."""
        connection = sqlite3.connect(":memory:")
        connection.execute("create table notes (text)")
        connection.execute("insert into notes values ('hello')")

        def view() -> str:
            assert threading.current_thread() is threading.main_thread()
            [(text,)] = connection.execute("select text from notes")
            return str(text)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            text = await in_worker(scope, view)
            await PlainTextResponse(text)(scope, receive, send)

        assert SyncClient(Dressed(app)).get("/").text == "hello"
        connection.close()

    def test_def_code_may_wait_for_the_loop(self) -> None:
        """``def`` -> ``async def`` -> ``def`` in one thread."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            loop = asyncio.get_running_loop()

            async def inner() -> int:
                ident: int = await in_worker(scope, threading.get_ident)
                return ident

            ident = await in_worker(scope, lambda: wait_for(inner, loop))
            await PlainTextResponse(str(ident))(scope, receive, send)

        assert SyncClient(Dressed(app)).get("/").text == str(threading.get_ident())

    def test_def_code_runs_while_a_response_is_read_and_closed(self) -> None:
        """Teardowns come after the last byte, or after the client has left."""
        seen: list[str] = []

        def note(what: str) -> None:
            assert threading.current_thread() is threading.main_thread()
            seen.append(what)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if scope["path"] == "/read":
                await send({"type": "http.response.body", "body": b"all"})
            else:
                await receive()
            await in_worker(scope, functools.partial(note, f"teardown of {scope['path']}"))

        client = SyncClient(Dressed(app))
        assert client.get("/read").text == "all"
        with client.stream("GET", "/closed"):
            pass
        client.send(client.build_request("GET", "/left open"), stream=True)
        client.close()
        assert seen == ["teardown of /read", "teardown of /closed", "teardown of /left open"]

    def test_context_variables_reach_the_application_and_stay_its_own(self) -> None:
        """A copy of the caller's."""
        variable = contextvars.ContextVar("variable", default="default")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            text = variable.get()
            variable.set("application")
            await PlainTextResponse(text)(scope, receive, send)

        variable.set("caller")
        assert SyncClient(Dressed(app)).get("/").text == "caller"
        assert variable.get() == "caller"

    def test_several_threads_may_share_a_client(self) -> None:
        """Each serves the ``def`` code of its own request."""
        barrier = threading.Barrier(4)
        seen: dict[str, int] = {}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            def view() -> int:
                barrier.wait(5)
                return threading.get_ident()

            ident = await in_worker(scope, view)
            await PlainTextResponse(str(ident))(scope, receive, send)

        client = SyncClient(Dressed(app))

        def test() -> None:
            seen[client.get("/").text] = threading.get_ident()

        threads = [threading.Thread(target=test) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {int(text): ident for text, ident in seen.items()} == {i: i for i in seen.values()}
        assert len(seen) == 4

    async def test_a_running_loop_is_a_clear_error(self) -> None:
        """That names what to use instead; nothing is started."""
        client = SyncClient(echo_app())
        threads = threading.active_count()
        with pytest.raises(RuntimeError, match=r"use app\.test_client\(\) and 'await'"):
            client.get("/")
        with pytest.raises(RuntimeError, match=r"use app\.test_client\(\)"), SyncClient(echo_app()):
            pass
        assert threading.active_count() == threads


class TestLife:
    def test_with_runs_the_lifespan(self) -> None:
        """On the loop that the requests use, with its state."""
        events: list[Any] = []

        @asynccontextmanager
        async def lifespan(app: Starlette) -> Any:
            events.append(asyncio.get_running_loop())
            yield {"answer": 42}
            events.append("stopped")

        async def view(request: Request) -> Response:
            assert asyncio.get_running_loop() is events[0]
            return PlainTextResponse(str(request.state.answer))

        app = Dressed(Starlette(routes=[Route("/", view)], lifespan=lifespan))
        with SyncClient(app) as client:
            assert client.get("/").text == "42"
            assert len(events) == 1
        assert events[1:] == ["stopped"]
        assert events[0].is_closed()

    def test_a_failure_at_startup_is_raised(self) -> None:
        """And the thread is gone."""
        threads = threading.active_count()

        @asynccontextmanager
        async def lifespan(app: Starlette) -> Any:
            raise LookupError("broken")
            yield

        with (
            pytest.raises(LookupError, match="broken"),
            SyncClient(Dressed(Starlette(lifespan=lifespan))),
        ):
            pass
        assert threading.active_count() == threads

    def test_the_thread_starts_with_the_first_request_and_ends_with_the_client(self) -> None:
        """``close()`` ends it."""
        gc.collect()  # the client of a test before this one may wait for it, with its thread
        threads = threading.active_count()
        client = SyncClient(echo_app())
        assert threading.active_count() == threads
        client.get("/")
        client.get("/")
        assert threading.active_count() == threads + 1
        client.close()
        assert threading.active_count() == threads
        with pytest.raises(RuntimeError, match="closed"):
            client.get("/")

    def test_responses_outlive_the_client(self) -> None:
        """One that was left open has ended with it; closing it again does nothing."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await receive()

        client = SyncClient(Dressed(app))
        response = client.send(client.build_request("GET", "/"), stream=True)
        client.close()
        threads = threading.active_count()
        assert response.read() == b""
        response.close()
        assert threading.active_count() == threads

    def test_a_client_that_failed_to_start_can_be_started_again(self) -> None:
        """Nothing is left of the first time."""
        failures = [LookupError("broken")]
        started: list[str] = []

        @asynccontextmanager
        async def lifespan(app: Starlette) -> Any:
            if failures:
                raise failures.pop()
            started.append("started")
            yield

        client = SyncClient(Dressed(Starlette(lifespan=lifespan)))
        with pytest.raises(LookupError), client:
            pass
        with client:
            assert started == ["started"]

    def test_a_client_is_used_before_and_after_its_block_too(self) -> None:
        """As Flask's. Each block is a lifespan; only `close()` is the end."""
        client = SyncClient(echo_app())
        for _ in range(2):
            assert client.get("/").status_code == 200
            with client:
                assert client.get("/").status_code == 200
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.get("/")

    def test_closing_a_client_that_was_not_used_starts_nothing(self) -> None:
        """Not even the thread."""
        threads = threading.active_count()
        SyncClient(echo_app()).close()
        assert threading.active_count() == threads

    def test_a_forgotten_client_ends_its_thread(self) -> None:
        """When it is garbage; a lifespan that still ran is cancelled, and the loop is closed."""
        threads = set(threading.enumerate())
        seen: list[Any] = []

        @asynccontextmanager
        async def lifespan(app: Starlette) -> Any:
            seen.append(asyncio.get_running_loop())
            try:
                yield
            finally:
                seen.append("ended")

        client = SyncClient(Dressed(Starlette(lifespan=lifespan))).__enter__()
        del client
        gc.collect()
        assert set(threading.enumerate()) <= threads
        assert seen[1:] == ["ended"]
        assert seen[0].is_closed()

    def test_a_client_may_be_forgotten_on_its_own_loop(self) -> None:
        """Garbage is collected in any thread, so in this one too; it cannot wait for itself."""
        threads = set(threading.enumerate())
        clients: list[SyncClient] = []

        def forget() -> None:
            clients.clear()
            gc.collect()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            asyncio.get_running_loop().call_later(0.01, forget)
            await PlainTextResponse("ok")(scope, receive, send)

        clients.append(SyncClient(Dressed(app)))
        assert clients[0].get("/").text == "ok"
        [thread] = set(threading.enumerate()) - threads
        thread.join(5)
        assert not thread.is_alive()
        assert clients == []


@pytest.mark.parametrize("kind", ["def", "async"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interruptions_reach_the_test(kind: str, error: type[BaseException]) -> None:
    """The client goes on to work: they do not stop its loop."""
    app = Flask(__name__)
    ended: list[Any] = []
    app.teardown_request(ended.append)

    def leave() -> str:
        raise error

    async def leave_async() -> str:
        raise error

    app.get("/leave")(leave if kind == "def" else leave_async)
    app.get("/")(lambda: "index")
    with app.sync_test_client() as client:
        with pytest.raises(error):
            client.get("/leave")
        assert client.get("/").text == "index"
    assert len(ended) == 2
