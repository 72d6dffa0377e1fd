"""Server-sent events: their format, and how they are sent."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from asyncflask import Flask, Response, ServerSentEvent, current_app, g, request, stream_events
from tests.wire import Wire, until


@dataclass
class Note:
    text: str


def make_app(events: Any, *, keep_alive: float | None = 15, kind: str = "async def") -> Flask:
    """An application that sends what the function ``events`` yields."""
    app = Flask(__name__, static_folder=None)

    def index() -> Any:
        return stream_events(events(), keep_alive=keep_alive)

    async def async_index() -> Any:
        return index()

    app.add_url_rule("/", "index", index if kind == "def" else async_index)
    return app


@asynccontextmanager
async def open_stream(app: Flask) -> AsyncIterator[Wire]:
    """A request whose client leaves in the end."""
    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))  # type: ignore[arg-type]
    yield wire
    wire.gone.set()
    await asyncio.wait_for(task, 5)


# The format.


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ServerSentEvent("hello"), "data: hello\n\n"),
        (ServerSentEvent("a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent("a\u2028b\x0bc"), "data: a\u2028b\x0bc\n\n"),
        (ServerSentEvent(""), "data: \n\n"),
        (ServerSentEvent(" x: y"), "data:  x: y\n\n"),
        (ServerSentEvent({"n": 1}), 'data: {"n":1}\n\n'),
        (ServerSentEvent(Note("hi")), 'data: {"text":"hi"}\n\n'),
        (ServerSentEvent("é"), "data: é\n\n"),
        (ServerSentEvent("x", event="pin", id=7), "id: 7\nevent: pin\ndata: x\n\n"),
        (ServerSentEvent(event="ping"), "event: ping\ndata: \n\n"),
        (ServerSentEvent(id=""), "id: \n\n"),
        (ServerSentEvent(retry=500), "retry: 500\n\n"),
        (ServerSentEvent(comment="still\nhere"), ": still\n: here\n\n"),
    ],
)
def test_an_event_is_written(event: ServerSentEvent, expected: str) -> None:
    """As the HTML standard says; a name without data gets empty data, or browsers drop it."""
    with Flask(__name__).app_context():
        assert event.encode() == expected.encode()


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\r\ndata: evil", "a\0b"])
def test_no_field_can_be_smuggled_in(field: str, text: str) -> None:
    """A line break in a name or an id is an error."""
    with pytest.raises(ValueError, match=f"The {field} of a server-sent event is one line"):
        ServerSentEvent("x", **{field: text})  # type: ignore[arg-type]


@pytest.mark.parametrize("retry", [-1, 0.5, "1"])
def test_the_time_to_retry_is_a_number_of_milliseconds(retry: Any) -> None:
    """A whole one."""
    with pytest.raises(ValueError, match="milliseconds"):
        ServerSentEvent(retry=retry)


# The response.


@pytest.mark.parametrize("view", ["def", "async def"])
@pytest.mark.parametrize("generator", ["def", "async def"])
async def test_events_are_streamed(view: str, generator: str) -> None:
    """From generators of both kinds, with the request's context; plain values are data."""
    record: list[str] = []

    def sync() -> Iterator[Any]:
        try:
            yield f"{request.path} {g.get('number')}"
            assert threading.current_thread() is not threading.main_thread()
            yield ServerSentEvent({"n": 2}, id=2)
            yield [3]
        finally:
            record.append("closed")

    async def asynchronous() -> AsyncIterator[Any]:
        try:
            yield f"{request.path} {g.get('number')}"
            await asyncio.sleep(0)
            yield ServerSentEvent({"n": 2}, id=2)
            yield [3]
        finally:
            record.append("closed")

    app = make_app(sync if generator == "def" else asynchronous, kind=view)

    @app.before_request
    async def before() -> None:
        g.number = 7

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        record.append("teardown")

    response = await app.test_client().get("/")
    assert response.text == 'data: / 7\n\nid: 2\ndata: {"n":2}\n\ndata: [3]\n\n'
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-cache, no-transform"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert record == ["closed", "teardown"]
    await until(lambda: app.stream_pool.busy == 0)


async def test_a_generator_goes_on_when_its_event_was_sent() -> None:
    """Not before: nothing is made ahead, and a slow client sets the pace."""
    record: list[int] = []

    async def events() -> AsyncIterator[int]:
        for number in range(3):
            record.append(number)
            yield number

    app = make_app(events)
    wire = Wire()
    gate = asyncio.Event()

    async def slow_send(message: Any) -> None:
        if message.get("body"):
            await gate.wait()
        wire.sent.append(message)

    task = asyncio.create_task(app(wire.scope, wire.receive, slow_send))  # type: ignore[arg-type]
    await asyncio.sleep(0.02)
    assert record == [0]
    gate.set()
    await task
    assert record == [0, 1, 2]


@pytest.mark.parametrize("generator", ["def", "async def"])
async def test_silence_is_filled_with_comments(generator: str) -> None:
    """The generator does not notice: what it waits for goes on."""
    gate = threading.Event()

    def sync() -> Iterator[str]:
        gate.wait(5)
        yield "late"

    async def asynchronous() -> AsyncIterator[str]:
        await until(gate.is_set)
        yield "late"

    app = make_app(sync if generator == "def" else asynchronous, keep_alive=0.01)
    async with open_stream(app) as wire:
        await until(lambda: wire.body.count(b":\n\n") >= 3)
        assert b"late" not in wire.body
        gate.set()
        await until(lambda: wire.is_complete)
    assert wire.body.replace(b":\n\n", b"") == b"data: late\n\n"


async def test_keeping_alive_can_be_left_out() -> None:
    """With None; a time that is none is a mistake."""
    gate = asyncio.Event()

    async def events() -> AsyncIterator[str]:
        await gate.wait()
        yield "late"

    app = make_app(events, keep_alive=None)
    async with open_stream(app) as wire:
        await asyncio.sleep(0.02)
        gate.set()
        await until(lambda: wire.is_complete)
    assert wire.body == b"data: late\n\n"
    with app.app_context(), pytest.raises(ValueError, match="keep_alive"):
        stream_events([], keep_alive=0)


def test_a_generator_function_has_to_be_called() -> None:
    """That is told before the response has begun."""

    async def events() -> AsyncIterator[int]:
        yield 1

    with make_app(events).app_context(), pytest.raises(TypeError, match="Call a generator"):
        stream_events(events)  # type: ignore[arg-type]


@pytest.mark.parametrize("generator", ["def", "async def"])
@pytest.mark.parametrize("reason", ["shutdown", "the client leaves"])
async def test_an_endless_stream_ends(generator: str, reason: str) -> None:
    """At shutdown with its final message; the generator is closed and the teardowns run."""
    record: list[str] = []
    gate = threading.Event()

    def sync() -> Iterator[int]:
        try:
            while True:
                yield 1
                gate.wait(0.02)
        finally:
            record.append("closed")

    async def asynchronous() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # cleaning up may take its time
            record.append("closed")

    app = make_app(sync if generator == "def" else asynchronous)

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        record.append(f"teardown {exc}")

    await app.startup()
    async with open_stream(app) as wire:
        await until(lambda: wire.body)
        if reason == "shutdown":
            app.draining.set()
            await until(lambda: wire.is_complete)
    assert wire.is_complete == (reason == "shutdown")
    assert record == ["closed", "teardown None"]
    await app.shutdown()


async def test_a_generator_may_say_goodbye_at_shutdown() -> None:
    """It is cancelled at its `await`, and may still yield; to nobody if the client has gone."""
    record: list[str] = []

    async def events() -> AsyncIterator[str]:
        yield "first"
        record.append("waiting")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield "goodbye"
            record.append("said")

    app = make_app(events)
    await app.startup()
    async with open_stream(app) as wire:
        await until(lambda: record)
        app.draining.set()
        await until(lambda: wire.is_complete)
    assert wire.body == b"data: first\n\ndata: goodbye\n\n"
    assert record == ["waiting", "said"]
    await app.shutdown()
    record.clear()
    async with open_stream(app) as wire:
        await until(lambda: record)
    assert wire.body == b"data: first\n\n"
    assert record == ["waiting"]


async def test_a_generator_runs_in_one_task() -> None:
    """So a timeout, a task group or a context variable may span its events."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    async def events() -> AsyncIterator[int]:
        try:
            async with asyncio.timeout(0.03):
                for number in range(1, 100):
                    assert variable.get() == number - 1
                    variable.set(number)
                    yield 1
                    await asyncio.sleep(0.01)
        except TimeoutError:
            yield 2

    response = await make_app(events, keep_alive=0.001).test_client().get("/")
    assert response.text.startswith("data: 1\n\n")
    assert response.text.endswith("data: 2\n\n")


async def test_an_error_cuts_the_stream_off(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, as an error of the request, and the client sees no proper end."""

    async def events() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    app = make_app(events)
    wire = Wire()
    await app(wire.scope, wire.receive, wire.send)
    assert wire.body == b"data: 1\n\n"
    assert not wire.is_complete
    assert caplog.text.count("ValueError: broken") == 1


async def test_an_error_while_the_generator_is_closed_reaches_the_server() -> None:
    """As that of any other stream, although nobody listens any more."""

    async def events() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise ValueError("cannot clean up")

    with pytest.raises(ValueError, match="cannot clean up"):
        async with open_stream(make_app(events)) as wire:
            await until(lambda: wire.body)


async def test_a_stream_that_ends_before_it_begins_gives_its_thread_back() -> None:
    """The server cannot even send the start."""
    record: list[str] = []

    class Body:
        def __iter__(self) -> Any:
            raise AssertionError("begun")

        def close(self) -> None:
            record.append("closed")

    app = make_app(Body)

    async def send(message: Any) -> None:
        raise ValueError("no")

    wire = Wire()
    await app(wire.scope, wire.receive, send)
    await until(lambda: app.stream_pool.busy == 0)
    assert record == ["closed"]


async def test_any_async_iterable_will_do() -> None:
    """It is closed if it can be, awaiting or not."""
    record: list[str] = []

    class Ticks:
        left = 2

        def __aiter__(self) -> AsyncIterator[int]:
            return self

        async def __anext__(self) -> int:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return self.left

    class ClosableTicks(Ticks):
        def close(self) -> None:
            record.append("closed")

    for kind in (Ticks, ClosableTicks):
        assert (await make_app(kind).test_client().get("/")).text == "data: 1\n\ndata: 0\n\n"
    assert record == ["closed"]


async def test_head_and_a_stream_that_is_not_sent_close_the_generator() -> None:
    """It has not begun then."""
    record: list[str] = []

    class Never:
        def __aiter__(self) -> Any:
            raise AssertionError("begun")

        async def aclose(self) -> None:
            record.append("closed")

    app = make_app(Never)
    response = await app.test_client().head("/")
    assert response.headers["Content-Type"] == "text/event-stream"
    assert record == ["closed"]


async def test_the_response_is_one_of_the_applications() -> None:
    """Of its `response_class`; hooks may read all of it, or change its headers."""

    class Own(Response):
        pass

    app = make_app(lambda: iter(["a", "b"]))
    app.response_class = Own

    @app.after_request
    async def after(response: Response) -> Response:
        assert type(response) is Own
        assert response.timeout is None
        assert await response.get_data() == b"data: a\n\ndata: b\n\n"
        return response

    assert (await app.test_client().get("/")).text == "data: a\n\ndata: b\n\n"
    await until(lambda: app.stream_pool.busy == 0)


async def test_no_free_stream_thread_is_a_503() -> None:
    """A sync generator takes its thread before anything is sent."""
    app = make_app(lambda: iter(["a"]))
    app.config.update(STREAM_THREADS=0, WORKER_QUEUE_SIZE=0)
    assert (await app.test_client().get("/")).status_code == 503


async def test_compression_does_not_hold_events_back() -> None:
    """Starlette's GZipMiddleware leaves them as they are."""
    gate = asyncio.Event()

    async def events() -> AsyncIterator[str]:
        yield "x" * 1000
        await gate.wait()

    app = make_app(events)
    app.user_middleware.append(Middleware(GZipMiddleware, minimum_size=10))
    wire = Wire()
    wire.scope["headers"].append((b"accept-encoding", b"gzip"))  # type: ignore[attr-defined]
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))  # type: ignore[arg-type]
    await until(lambda: wire.body)
    assert wire.body.startswith(b"data: xxx")
    gate.set()
    await task


async def test_its_body_can_be_iterated_to_the_end() -> None:
    """By hand: after the last event there is no other."""
    with Flask(__name__).app_context():
        body: Any = stream_events(iter(["a"])).response
    assert [event async for event in body] == [b"data: a\n\n"]
    assert [event async for event in body] == []


def test_it_needs_an_application() -> None:
    """Whose response class and shutdown it knows."""
    with pytest.raises(RuntimeError, match="current_app"):
        stream_events([])
    with Flask(__name__).app_context():
        assert current_app


async def test_a_close_that_is_cancelled_leaves_nothing_waiting_for_the_shutdown() -> None:
    """What would end the events then ends with them, whoever sees it."""
    app = Flask(__name__, static_folder=None)

    async def events() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)

    before = asyncio.all_tasks()
    async with app.app_context():
        chunks: Any = stream_events(events()).response
    assert await anext(chunks) == b"data: first\n\n"
    waiting = asyncio.create_task(anext(chunks))
    await asyncio.sleep(0)
    waiting.cancel()
    closing = asyncio.create_task(chunks.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({waiting, closing})
    assert closing.cancelled()
    await until(lambda: asyncio.all_tasks() == before)
