"""Bodies that are sent piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from asyncflask import (
    Blueprint,
    Flask,
    Response,
    SetupError,
    g,
    request,
    session,
    stream_with_context,
)
from asyncflask.signals import got_request_exception
from tests.wire import Wire, until


def make_app(**config: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(SECRET_KEY="a key", **config)
    return app


def chunks_of(kind: str, record: list[str]) -> Any:
    """A generator that uses the request, of either kind, and notes when it is closed."""

    def sync() -> Iterator[str]:
        try:
            for number in range(3):
                yield f"{request.args['name']}{g.number}{number} "
        finally:
            record.append("closed")

    async def asynchronous() -> AsyncIterator[str]:
        try:
            for number in range(3):
                await asyncio.sleep(0)
                yield f"{request.args['name']}{g.number}{number} "
        finally:
            record.append("closed")

    return sync() if kind == "def" else asynchronous()


@pytest.mark.parametrize("view", ["def", "async def"])
@pytest.mark.parametrize("generator", ["def", "async def"])
async def test_the_context_is_set_until_the_last_byte(view: str, generator: str) -> None:
    """`request`, `session` and `g` work in the generator; teardowns come after it."""
    record: list[str] = []
    app = make_app()

    @app.teardown_request
    def teardown(exc: BaseException | None) -> None:
        record.append("teardown")

    def index() -> Any:
        g.number = session["n"] = 7
        return chunks_of(generator, record)

    async def async_index() -> Any:
        return index()

    app.add_url_rule("/", view_func=index if view == "def" else async_index, endpoint="index")
    response = await app.test_client().get("/?name=x")
    assert response.text == "x70 x71 x72 "
    assert "content-length" not in response.headers
    assert "session=" in response.headers["set-cookie"]
    assert record == ["closed", "teardown"]


async def test_sync_generators_are_pulled_off_the_loop() -> None:
    """In one thread from the first item to the last."""
    app = make_app()
    idents: list[int] = []

    @app.get("/")
    async def index() -> Any:
        def chunks() -> Iterator[bytes]:
            for _ in range(5):
                idents.append(threading.get_ident())
                yield b"x"

        return chunks()

    assert (await app.test_client().get("/")).text == "xxxxx"
    assert len(set(idents)) == 1
    assert threading.get_ident() not in idents
    await until(lambda: app.stream_pool.busy == 0)


async def test_the_client_sets_the_pace() -> None:
    """A generator is asked for the next item when the last one was taken."""
    app = make_app()
    produced = 0
    gate = asyncio.Event()

    @app.get("/")
    async def index() -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            nonlocal produced
            for _ in range(10):
                produced += 1
                yield b"x" * 1000

        return chunks()

    wire = Wire()

    async def slow_send(message: Any) -> None:
        if message.get("body"):
            await gate.wait()
        wire.sent.append(message)

    task = asyncio.create_task(app(wire.scope, wire.receive, slow_send))
    await asyncio.sleep(0.02)
    assert produced == 1
    gate.set()
    await task
    assert produced == 10
    assert len(wire.body) == 10_000


async def test_memory_is_flat_for_any_length() -> None:
    """64 MiB pass through without staying."""
    app = make_app()

    @app.get("/")
    async def index() -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(1024):
                yield bytes(65536)

        return chunks()

    sent = 0

    async def send(message: Any) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    wire = Wire()
    tracemalloc.start()
    try:
        await app(wire.scope, wire.receive, send)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == 64 * 1024 * 1024
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("generator", ["def", "async def"])
async def test_a_client_that_goes_away_ends_the_stream(generator: str) -> None:
    """The generator is closed and the teardowns run, with no error for anybody."""
    app = make_app()
    record: list[Any] = []
    threads: list[threading.Event] = []

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        record.append(("teardown", exc))

    @app.get("/")
    async def index() -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x"
                    await asyncio.sleep(0.001)
            finally:
                record.append("closed")

        def sync_chunks() -> Iterator[bytes]:
            try:
                while True:
                    yield b"x"
                    threading.Event().wait(0.001)
            finally:
                record.append("closed")

        return chunks() if generator == "async def" else sync_chunks()

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await until(lambda: len(wire.sent) > 3)
    wire.gone.set()
    async with asyncio.timeout(5):
        await task
    assert record == ["closed", ("teardown", None)]
    assert not wire.is_complete
    assert threads == []


@pytest.mark.parametrize("generator", ["def", "async def"])
async def test_a_cancelled_stream_is_closed_and_torn_down(generator: str) -> None:
    """The cancellation goes on to whoever waits."""
    app = make_app()
    record: list[Any] = []

    @app.teardown_request
    def teardown(exc: BaseException | None) -> None:
        record.append(type(exc))

    @app.get("/")
    async def index() -> Any:
        return endless(generator, record)

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await until(lambda: len(wire.sent) > 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: len(record) == 2)
    assert record == ["closed", asyncio.CancelledError]
    await until(lambda: app.stream_pool.busy == 0)


def endless(kind: str, record: list[Any]) -> Any:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.001)
        finally:
            record.append("closed")

    def sync_chunks() -> Iterator[bytes]:
        try:
            while True:
                yield b"x"
                threading.Event().wait(0.001)
        finally:
            record.append("closed")

    return chunks() if kind == "async def" else sync_chunks()


@pytest.mark.parametrize("generator", ["def", "async def"])
async def test_an_error_in_a_stream_ends_it_without_its_final_message(
    generator: str, caplog: pytest.LogCaptureFixture
) -> None:
    """So that the client sees it is incomplete. It is logged once, signalled, and torn down."""
    app = make_app()
    errors: list[Any] = []
    given: list[Any] = []

    def receiver(sender: Flask, exception: Exception) -> None:
        errors.append(exception)

    got_request_exception.connect(receiver, app)

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        given.append(exc)

    @app.get("/")
    async def index() -> Any:
        def chunks() -> Iterator[str]:
            yield "first"
            raise ValueError("mine")

        async def async_chunks() -> AsyncIterator[str]:
            yield "first"
            raise ValueError("mine")

        return chunks() if generator == "def" else async_chunks()

    wire = Wire()
    await app(wire.scope, wire.receive, wire.send)
    assert wire.body == b"first"
    assert not wire.is_complete
    assert [str(error) for error in errors] == ["mine"]
    assert given == errors
    assert len([r for r in caplog.records if r.exc_info]) == 1


async def test_an_error_in_a_stream_reaches_the_test() -> None:
    """With TESTING set, while the response is read."""
    app = make_app(TESTING=True)

    @app.get("/")
    async def index() -> Any:
        async def chunks() -> AsyncIterator[str]:
            yield "first"
            raise ValueError("mine")

        return chunks()

    with pytest.raises(ValueError, match="mine"):
        await app.test_client().get("/")


async def test_head_closes_a_generator_that_never_ran() -> None:
    """None of its code runs; its resources are freed."""
    app = make_app()
    record: list[str] = []

    class Chunks:
        def __aiter__(self) -> Any:
            record.append("iterated")
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            record.append("closed")

    @app.get("/")
    async def index() -> Any:
        return Response(Chunks())

    wire = Wire(method="HEAD")
    await app(wire.scope, wire.receive, wire.send)
    assert wire.body == b""
    assert wire.is_complete
    assert record == ["closed"]


async def test_a_chunk_that_is_neither_text_nor_bytes_is_refused() -> None:
    """With an error that says so."""
    app = make_app(TESTING=True)

    @app.get("/")
    async def index() -> Any:
        def chunks() -> Iterator[Any]:
            yield 1

        return chunks()

    with pytest.raises(TypeError, match="yielded int"):
        await app.test_client().get("/")


async def test_a_request_body_can_be_echoed_while_it_arrives() -> None:
    """The watch for a client that goes away does not take the body from the view."""
    app = make_app()

    @app.post("/")
    async def index() -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in request.body:
                yield chunk.upper()

        return chunks()

    wire = Wire(method="POST", body=[b"one", b"two", b"three"])
    await app(wire.scope, wire.receive, wire.send)
    assert wire.body == b"ONETWOTHREE"
    assert wire.is_complete


async def test_stream_with_context_is_not_needed_but_works() -> None:
    """As in Flask, as a call and as a decorator."""
    app = make_app()

    @app.get("/call")
    async def call() -> Any:
        async def chunks() -> AsyncIterator[str]:
            yield request.path

        return stream_with_context(chunks())

    @app.get("/decorator")
    def decorator() -> Any:
        @stream_with_context
        def chunks() -> Iterator[str]:
            yield request.path

        return chunks()

    client = app.test_client()
    assert (await client.get("/call")).text == "/call"
    assert (await client.get("/decorator")).text == "/decorator"


async def test_call_on_close_functions_run_when_the_stream_ends() -> None:
    """`def` and `async def`."""
    app = make_app()
    record: list[str] = []

    @app.get("/")
    async def index() -> Any:
        response = Response(iter(["x"]))

        @response.call_on_close
        def closed() -> None:
            record.append("def")

        @response.call_on_close
        async def async_closed() -> None:
            record.append("async def")

        return response

    assert (await app.test_client().get("/")).text == "x"
    assert record == ["def", "async def"]


async def test_streams_leave_nothing_behind() -> None:
    """No task, no thread that is lent, no context."""
    app = make_app()

    @app.get("/")
    async def index() -> Any:
        return iter(["x", "y"])

    before = len(asyncio.all_tasks())
    for _ in range(5):
        assert (await app.test_client().get("/")).text == "xy"
    await asyncio.sleep(0)
    gc.collect()
    assert len(asyncio.all_tasks()) == before
    await until(lambda: app.stream_pool.busy == 0)


async def test_a_stream_whose_start_cannot_be_sent_is_closed_unread() -> None:
    """None of its code runs; nobody who wants to hear of the error is left out."""
    app = make_app()
    record: list[str] = []

    class Chunks:
        def __iter__(self) -> Iterator[str]:
            record.append("iterated")
            return iter("x")

        def close(self) -> None:
            record.append("closed")

    @app.get("/")
    async def index() -> Any:
        return Response(Chunks())  # type: ignore[arg-type]

    async def send(message: Any) -> None:
        raise OSError("broken pipe")

    wire = Wire()
    with contextlib.suppress(OSError):
        await app(wire.scope, wire.receive, send)
    assert set(record) == {"closed"}


async def test_a_server_that_cannot_tell_of_a_disconnect_does_not_end_the_stream() -> None:
    """An error of `receive` is not the client going away; an iterable need not be closable."""
    app = make_app()

    class Chunks:
        number = 0

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            await asyncio.sleep(0)
            self.number += 1
            if self.number > 5:
                raise StopAsyncIteration
            return b"x"

    @app.get("/")
    async def index() -> Any:
        return Response(Chunks())

    async def receive() -> Any:
        raise OSError("no more of this")

    wire = Wire()
    await app(wire.scope, receive, wire.send)
    assert wire.body == b"xxxxx"
    assert wire.is_complete


@pytest.mark.parametrize("at_the_end", [False, True])
async def test_a_server_that_says_the_client_is_gone_ends_the_stream_quietly(
    caplog: pytest.LogCaptureFixture, at_the_end: bool
) -> None:
    """Some raise OSError from `send`, for a chunk or for the last message."""
    app = make_app()
    record: list[Any] = []

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        record.append(exc)

    async def short() -> AsyncIterator[bytes]:
        yield b"all"
        record.append("closed")

    @app.get("/")
    async def index() -> Any:
        return short() if at_the_end else endless("async def", record)

    wire = Wire()

    async def send(message: Any) -> None:
        is_last = len(wire.sent) > 1 and not message["more_body"]
        if is_last if at_the_end else len(wire.sent) > 3:
            raise OSError("gone")
        await wire.send(message)

    await app(wire.scope, wire.receive, send)
    assert record == ["closed", None]
    assert not caplog.records


async def test_a_cancelled_stream_does_not_wait_for_its_thread() -> None:
    """The task leaves at once; closed once, in its thread, and then torn down."""
    app = make_app()
    record: list[Any] = []
    gate = threading.Event()
    begun = threading.Event()

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        record.append("teardown")

    class Body:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> bytes:
            begun.set()
            gate.wait(10)
            return b"x"

        def close(self) -> None:
            record.append(("closed", threading.current_thread() is threading.main_thread()))

    @app.get("/")
    async def index() -> Any:
        return Response(Body())  # type: ignore[arg-type]

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await until(begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert record == []
    gate.set()
    await until(lambda: len(record) == 2)
    assert record == [("closed", False), "teardown"]


async def test_a_body_that_cannot_be_closed_after_a_cancellation_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The teardowns run all the same."""
    app = make_app()
    record: list[Any] = []

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        record.append("teardown")

    class Body:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            await asyncio.sleep(0.001)
            return b"x"

        async def aclose(self) -> None:
            raise ValueError("in aclose")

    @app.get("/")
    async def index() -> Any:
        return Response(Body())

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await until(lambda: len(wire.sent) > 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: record)
    assert "in aclose" in caplog.text


# Leaving: the client and something else, in every order.

TURNS = range(6)  # of the loop, between one and the other


async def take_turns(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def leave(wire: Wire, how: str, turns: int) -> None:
    """Wait until the client has gone and some turns more, and leave in a way of its own."""
    try:
        await wire.gone.wait()
        await take_turns(turns)
    except asyncio.CancelledError:
        if how == "goes on":
            return
        if how == "breaks":
            raise ValueError("while it was cancelled") from None
        raise
    if how == "fails":
        raise ValueError("mine")


class LeavingBody:
    """A body that ends as its client leaves."""

    def __init__(self, wire: Wire, how: str, turns: int, record: list[str]) -> None:
        self.wire, self.how, self.turns, self.record = wire, how, turns, record
        self.items = 0

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        self.items += 1
        if self.items == 2 and self.how != "server says so":
            await leave(self.wire, self.how, self.turns)
            if self.how == "ends":
                raise StopAsyncIteration
        return b"x"

    async def aclose(self) -> None:
        await take_turns(6)
        self.record.append("closed")


def leaving_app(wire: Wire, how: str, turns: int, record: list[str]) -> Any:
    """What handles a stream that leaves ``how``, ``turns`` after its client."""
    app = make_app()

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        await take_turns(6)
        record.append("torn down")

    @app.get("/")
    async def index() -> Any:
        return Response(LeavingBody(wire, how, turns, record))

    async def send(message: Any) -> None:
        await wire.send(message)
        if message.get("body") and how == "server says so":
            await leave(wire, how, turns)
            raise OSError("gone")

    return app(wire.scope, wire.receive, send)


WAYS = ["ends", "fails", "more", "goes on", "breaks", "server says so"]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("turns", TURNS)
async def test_a_client_that_leaves_as_a_stream_does_cancels_nothing_else(
    how: str, turns: int
) -> None:
    """The body is closed and the request torn down in peace, and the task left as it was."""
    wire = Wire()
    record: list[str] = []
    task = asyncio.create_task(leaving_app(wire, how, turns, record))
    await until(lambda: wire.body)
    await take_turns(6)
    wire.gone.set()
    await asyncio.wait_for(asyncio.wait({task}), 5)
    assert not task.cancelled()
    assert task.exception() is None
    assert record == ["closed", "torn down"]
    assert task.cancelling() == 0


@pytest.mark.parametrize("how", ["ends", "fails", "more", "server says so"])
@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("later", [-1, *TURNS])
async def test_another_cancellation_is_never_taken_for_the_clients(
    how: str, turns: int, later: int
) -> None:
    """Before the client leaves, in the same moment, or after it."""
    wire = Wire()
    record: list[str] = []
    task = asyncio.create_task(leaving_app(wire, how, turns, record))
    await until(lambda: wire.body)
    await take_turns(6)
    if later >= 0:
        wire.gone.set()
        await take_turns(later)
    assert task.cancel()
    wire.gone.set()
    await asyncio.wait_for(asyncio.wait({task}), 5)
    assert task.cancelled()
    await until(lambda: "torn down" in record)


@pytest.mark.parametrize("how", ["ends", "fails", "goes on", "breaks"])
@pytest.mark.parametrize("turns", TURNS)
async def test_a_client_that_leaves_as_a_view_does_cancels_nothing_else(
    how: str, turns: int
) -> None:
    """With `on_disconnect="cancel"`: hooks and teardown functions run in peace."""
    app = make_app()
    wire = Wire()
    record: list[str] = []

    @app.after_request
    async def after(response: Response) -> Response:
        await take_turns(6)
        record.append("after")
        return response

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        await take_turns(6)
        record.append("torn down")

    @app.get("/", on_disconnect="cancel")
    async def index() -> str:
        record.append("view")
        await leave(wire, how, turns)
        return "ok"

    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))  # type: ignore[arg-type]
    await until(lambda: record)
    await take_turns(6)
    wire.gone.set()
    await asyncio.wait_for(asyncio.wait({task}), 5)
    assert not task.cancelled()
    assert task.exception() is None
    assert record == ["view", "after", "torn down"]
    assert task.cancelling() == 0


@pytest.mark.parametrize("kind", ["stream", "view"])
async def test_a_cancellation_from_before_does_not_change_whose_this_one_is(kind: str) -> None:
    """The task had been cancelled, and went on: that is counted, but past."""
    wire = Wire()
    app = make_app()
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        yield "x"
        await asyncio.sleep(60)

    async def index() -> Any:
        begun.set()
        if kind == "view":
            await asyncio.sleep(60)
        return endless()

    on_disconnect: Any = "cancel" if kind == "view" else "finish"
    app.add_url_rule("/", view_func=index, on_disconnect=on_disconnect)

    async def server() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        await app(wire.scope, wire.receive, wire.send)  # type: ignore[arg-type]
        return task.cancelling()

    task = asyncio.create_task(server())
    await until(lambda: begun.is_set() and (wire.body or kind == "view"))
    wire.gone.set()
    assert await asyncio.wait_for(task, 5) == 1


# Time.


def slow_chunks(kind: str, record: list[str], gate: threading.Event) -> Any:
    """A generator of either kind that has a first piece, and then takes its time."""

    async def asynchronous() -> AsyncIterator[str]:
        try:
            yield "first "
            await asyncio.sleep(5)
        finally:
            record.append("closed")

    def sync() -> Iterator[str]:
        try:
            yield "first "
            gate.wait(5)
            yield "second"
        finally:
            record.append("closed")

    return sync() if kind == "def" else asynchronous()


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("where", ["config", "response"])
async def test_a_stream_that_takes_too_long_is_cut_off(
    kind: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its final message, so the client can tell; it is closed and torn down."""
    record: list[str] = []
    gate = threading.Event()
    app = make_app(RESPONSE_TIMEOUT=0.05 if where == "config" else None)

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        record.append(f"teardown {isinstance(exc, TimeoutError)}")

    @app.get("/")
    async def index() -> Any:
        response = Response(slow_chunks(kind, record, gate))
        if where == "response":
            response.timeout = 0.05
        return response

    wire = Wire("/")
    await asyncio.wait_for(app(wire.scope, wire.receive, wire.send), 3)
    assert wire.body == b"first "
    assert not wire.is_complete
    gate.set()
    await until(lambda: len(record) == 2)
    assert record == ["closed", "teardown True"]
    assert "GET /: sending took longer than 0.05 seconds" in caplog.text


async def test_one_response_may_take_as_long_as_it_likes() -> None:
    """`response.timeout = None` stands against RESPONSE_TIMEOUT, also in another class."""

    class Own(Response):
        pass

    app = make_app(RESPONSE_TIMEOUT=0.01)
    app.response_class = Own

    @app.get("/")
    async def index() -> Any:
        async def chunks() -> AsyncIterator[str]:
            await asyncio.sleep(0.05)
            yield "late"

        response = Response(chunks())
        response.timeout = None
        return response

    assert (await app.test_client().get("/")).text == "late"


@pytest.mark.parametrize("kind", ["text", "response", "timeout of its own"])
async def test_a_client_that_takes_nothing_is_given_up(kind: str) -> None:
    """For a complete body, too: the server's buffer may be full."""
    record: list[str] = []
    app = make_app(RESPONSE_TIMEOUT=None if kind == "timeout of its own" else 0.02)

    @app.get("/")
    async def index() -> Any:
        response = Response("body")
        if kind == "timeout of its own":
            response.timeout = 0.02
        return "body" if kind == "text" else response

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        record.append("teardown")

    async def stuck(message: Any) -> None:
        await asyncio.Event().wait()

    wire = Wire("/")
    await asyncio.wait_for(app(wire.scope, wire.receive, stuck), 3)
    assert record == ["teardown"]


async def test_a_timeout_of_the_servers_is_an_error_as_any_other() -> None:
    """A `TimeoutError` that `send` raises is not taken for ours."""
    app = make_app(RESPONSE_TIMEOUT=5, PROPAGATE_EXCEPTIONS=True)

    @app.get("/")
    async def index() -> Any:
        return Response("body")

    async def send(message: Any) -> None:
        raise TimeoutError("of the server")

    wire = Wire("/")
    with pytest.raises(TimeoutError, match="of the server"):
        await app(wire.scope, wire.receive, send)


# Views that are cancelled when the client leaves.


@pytest.mark.parametrize("on_disconnect", ["cancel", "finish"])
@pytest.mark.parametrize("hook", ["def", "async def"])
async def test_a_view_is_cancelled_or_finishes_when_the_client_leaves(
    on_disconnect: Any, hook: str
) -> None:
    """`on_disconnect` says which; hooks and teardown functions run in both cases."""
    app = make_app()
    record: list[str] = []

    def teardown(exc: BaseException | None) -> None:
        record.append(f"teardown {exc}")

    async def async_teardown(exc: BaseException | None) -> None:
        record.append(f"teardown {exc}")

    app.teardown_request(teardown if hook == "def" else async_teardown)

    @app.after_request
    async def after(response: Response) -> Response:
        record.append(f"after {response.status_code}")
        return response

    @app.get("/", on_disconnect=on_disconnect)
    async def index() -> str:
        record.append("view")
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            record.append("cancelled")
            raise
        record.append("finished")
        return "ok"

    wire = Wire("/")
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))  # type: ignore[arg-type]
    await until(lambda: record)
    wire.gone.set()
    await task
    expected = {"cancel": ["cancelled", "after 400"], "finish": ["finished", "after 200"]}
    assert record == ["view", *expected[on_disconnect], "teardown None"]
    assert task.cancelling() == 0


async def test_a_view_may_go_on_in_spite_of_its_cancellation() -> None:
    """It has cleaned up, say, and returns; the rest of the request does not notice."""
    app = make_app()
    record: list[str] = []

    @app.get("/", on_disconnect="cancel")
    async def index() -> str:
        record.append("view")
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            record.append("cleaned up")
        return "ok"

    wire = Wire("/")
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))  # type: ignore[arg-type]
    await until(lambda: record)
    wire.gone.set()
    await task
    assert record == ["view", "cleaned up"]
    assert wire.sent[0]["status"] == 200
    assert task.cancelling() == 0


async def test_a_server_that_cancels_is_not_taken_for_a_client_that_leaves() -> None:
    """The task is cancelled as ever."""
    app = make_app()
    record: list[str] = []

    @app.get("/", on_disconnect="cancel")
    async def index() -> str:
        record.append("view")
        await asyncio.sleep(5)
        return "ok"

    wire = Wire("/")
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))  # type: ignore[arg-type]
    await until(lambda: record)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_view_that_may_be_cancelled_reads_a_large_body_late() -> None:
    """Watching the client throws nothing away; the route stays one for other tools."""
    app = make_app()

    @app.post("/", on_disconnect="cancel")
    async def index() -> str:
        await asyncio.sleep(0.02)
        return str(len(await request.get_data()))

    wire = Wire("/", "POST", [b"x" * 50_000] * 4)
    await app(wire.scope, wire.receive, wire.send)
    assert wire.body == b"200000"
    assert wire.scope["endpoint"] is index


async def test_a_def_view_cannot_be_cancelled() -> None:
    """The mistake is told at start; so is a value that does not exist, at once."""
    app = make_app()

    @app.get("/", on_disconnect="cancel")
    def index() -> str:
        return "ok"

    with pytest.raises(SetupError, match="'index' has a rule with on_disconnect='cancel'"):
        app.freeze()

    with pytest.raises(ValueError, match="'finish' or 'cancel', not 'stop'"):
        make_app().add_url_rule("/", "x", on_disconnect="stop")  # type: ignore[arg-type]


async def test_a_blueprints_view_can_be_cancelled_too() -> None:
    """The option goes the way of the others."""
    app = make_app()
    bp = Blueprint("bp", __name__)

    @bp.get("/", on_disconnect="cancel")
    async def index() -> str:
        return "ok"

    app.register_blueprint(bp)
    (rule,) = app.url_map.iter_rules()
    assert rule.on_disconnect == rule.empty().on_disconnect == "cancel"
    assert (await app.test_client().get("/")).text == "ok"
