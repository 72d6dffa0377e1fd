"""Exchange: one request and its response, streamed both ways on the caller's loop."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
import traceback
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from asyncflask.testing._httpx import httpx
from tests.testing.apps import START, body, client_for, echo, other_tasks


class TestRequestBody:
    async def test_a_whole_body_is_one_message(self) -> None:
        """Bytes arrive as the last message, and the next one is the disconnect."""
        messages: list[Message] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            messages.append(await receive())
            await send(START)
            await send(body(b"ok"))
            messages.append(await receive())

        assert (await client_for(app).post("/", content=b"whole")).text == "ok"
        assert messages == [
            {"type": "http.request", "body": b"whole", "more_body": False},
            {"type": "http.disconnect"},
        ]

    async def test_a_request_without_body_has_an_empty_message(self) -> None:
        """As servers do it."""
        assert (await client_for(echo).get("/")).json()["body"] == ""

    async def test_a_streamed_body_is_pulled_when_the_application_asks(self) -> None:
        """Each chunk is made only once the application waits for it, and may depend on it."""
        asked: list[int] = []
        made: list[int] = []

        async def chunks() -> AsyncIterator[bytes]:
            for number in range(3):
                assert len(asked) == number + 1
                made.append(number)
                yield b"%d" % number

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            received = []
            while True:
                asked.append(1)
                message = await receive()
                received.append((message["body"], message["more_body"]))
                if not message["more_body"]:
                    break
            await PlainTextResponse(repr(received))(scope, receive, send)

        response = await client_for(app).post("/", content=chunks())
        expected = [(b"0", True), (b"1", True), (b"2", True), (b"", False)]
        assert response.text == repr(expected)
        assert made == [0, 1, 2]

    async def test_the_response_may_start_before_the_body_has_ended(self) -> None:
        """Both directions are streams: here each chunk sent depends on the one received."""
        said: asyncio.Queue[bytes | None] = asyncio.Queue()

        async def chunks() -> AsyncIterator[bytes]:
            while (chunk := await said.get()) is not None:
                yield chunk

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            while (message := await receive())["more_body"]:
                await send(body(message["body"].upper(), more=True))
            await send(body())

        async with client_for(app).stream("POST", "/", content=chunks()) as response:
            echoes = response.aiter_raw()
            said.put_nowait(b"hello")
            assert await anext(echoes) == b"HELLO"
            said.put_nowait(b"world")
            assert await anext(echoes) == b"WORLD"
            said.put_nowait(None)
            assert [chunk async for chunk in echoes] == []

    async def test_giving_up_a_receive_does_not_lose_a_chunk(self) -> None:
        """As with a server: a cancelled ``receive()`` (Starlette polls so) takes nothing along."""
        go_on = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            await go_on.wait()
            yield b"late"

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
            go_on.set()
            text = (await receive())["body"] + (await receive())["body"]
            await PlainTextResponse(text)(scope, receive, send)

        assert (await client_for(app).post("/", content=chunks())).text == "late"

    async def test_an_upload_that_fails_is_a_client_that_goes_away(self) -> None:
        """The application sees the disconnect and finishes; the caller sees its own error."""
        seen: list[str] = []

        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            raise LookupError("no more")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for _ in range(3):
                seen.append((await receive())["type"])
            await send(START)  # nobody hears it
            await asyncio.sleep(0)
            seen.append("finished")

        with pytest.raises(LookupError, match="no more"):
            await client_for(app).post("/", content=chunks())
        assert seen == ["http.request", "http.disconnect", "http.disconnect", "finished"]

    async def test_an_upload_that_fails_after_the_response_began_fails_the_reading(self) -> None:
        """The error comes once what had been sent is read."""

        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            raise LookupError("no more")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send(body(b"hello", more=True))
            await receive()
            assert (await receive())["type"] == "http.disconnect"

        async with client_for(app).stream("POST", "/", content=chunks()) as response:
            chunks_read = response.aiter_raw()
            assert await anext(chunks_read) == b"hello"
            with pytest.raises(LookupError):
                await anext(chunks_read)

    async def test_a_body_that_nobody_reads_is_closed(self) -> None:
        """A generator that waits for more when the exchange ends gets to its ``finally``."""
        closed = []

        class Chunks(httpx.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                try:
                    yield b"first"
                    await asyncio.Event().wait()
                finally:
                    closed.append(True)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
            await PlainTextResponse("enough")(scope, receive, send)

        request = httpx.Request("POST", "http://localhost/", stream=Chunks())
        assert (await client_for(app).send(request)).text == "enough"
        assert closed == [True]

    async def test_any_async_iterable_will_do(self) -> None:
        """It need not be a generator, so it need not have ``aclose()``."""

        class Chunks(httpx.AsyncByteStream):
            def __init__(self) -> None:
                self.left = [b"b", b"a"]

            def __aiter__(self) -> AsyncIterator[bytes]:
                return self

            async def __anext__(self) -> bytes:
                return self.left.pop()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse((await receive())["body"])(scope, receive, send)

        request = httpx.Request("POST", "http://localhost/", stream=Chunks())
        assert (await client_for(app).send(request)).text == "a"

    async def test_the_body_is_made_in_the_callers_context(self) -> None:
        """Context variables that the application sets are none of the upload's."""
        variable = contextvars.ContextVar("variable", default="default")
        seen = []

        async def chunks() -> AsyncIterator[bytes]:
            seen.append(variable.get())
            yield b""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            variable.set("application")
            await receive()
            await PlainTextResponse("ok")(scope, receive, send)

        variable.set("caller")
        await client_for(app).post("/", content=chunks())
        assert seen == ["caller"]


class TestResponse:
    async def test_it_is_here_as_soon_as_it_starts(self) -> None:
        """Status and headers do not wait for the body."""
        go_on = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"x-tag", b"a"), (b"X-Tag", b"b")]
            await send({"type": "http.response.start", "status": 201, "headers": headers})
            await go_on.wait()
            await send(body(b"done"))

        async with client_for(app).stream("GET", "/") as response:
            assert response.status_code == 201
            assert response.headers.get_list("x-tag") == ["a", "b"]
            assert response.http_version == "HTTP/1.1"
            go_on.set()
            assert await response.aread() == b"done"

    async def test_an_application_runs_at_most_a_chunk_ahead_of_its_reader(self) -> None:
        """``send`` waits while a chunk waits to be read."""
        sent: list[int] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            for number in range(5):
                await send(body(b"%d" % number, more=True))
                sent.append(number)
            await send(body())

        async with client_for(app).stream("GET", "/") as response:
            chunks = response.aiter_raw()
            for number in range(5):
                for _ in range(10):
                    await asyncio.sleep(0)
                assert sent == list(range(number + 1))
                assert await anext(chunks) == b"%d" % number

    async def test_an_empty_chunk_is_not_handed_out(self) -> None:
        """So a reader never mistakes it for the end."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send(body(b"", more=True))
            await send(body(b"a", more=True))
            await send(body())

        async with client_for(app).stream("GET", "/") as response:
            assert [chunk async for chunk in response.aiter_raw()] == [b"a"]

    async def test_head_has_no_body(self) -> None:
        """What the application sends is dropped, as servers do; the header stays."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"content-length", b"5")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send(body(b"hello", more=True))
            await send(body())

        response = await client_for(app).head("/")
        assert (response.content, response.headers["content-length"]) == (b"", "5")

    async def test_reading_to_the_end_waits_for_the_application(self) -> None:
        """So what it does after its last byte (background tasks) is done when the test goes on."""
        done = []

        async def work() -> None:
            await asyncio.sleep(0.01)
            done.append(True)

        app = Starlette(
            routes=[
                Route("/", lambda _: PlainTextResponse("ok", background=BackgroundTask(work))),
            ]
        )
        assert (await client_for(app).get("/")).text == "ok"
        assert done == [True]

    async def test_leaving_a_complete_response_unread_waits_for_the_application_too(self) -> None:
        """A client that got everything has not gone away, so there is no limit."""
        done = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("ok")(scope, receive, send)
            await asyncio.sleep(0.05)
            done.append((await receive())["type"])

        async with client_for(app, disconnect_grace=0.01).stream("GET", "/"):
            await asyncio.sleep(0.01)
        assert done == ["http.disconnect"]

    async def test_starlette_streams_work(self) -> None:
        """A streaming response of Starlette's listens for the disconnect beside its stream."""

        async def numbers() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"%d" % number

        app = Starlette(routes=[Route("/", lambda _: StreamingResponse(numbers()))])
        assert (await client_for(app).get("/")).text == "012"

    async def test_requests_run_side_by_side(self) -> None:
        """One client, many requests at once."""
        barrier = asyncio.Barrier(20)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await barrier.wait()
            await PlainTextResponse(scope["path"])(scope, receive, send)

        client = client_for(app)
        responses = await asyncio.gather(*(client.get(f"/{n}") for n in range(20)))
        assert [response.text for response in responses] == [f"/{n}" for n in range(20)]

    async def test_the_application_has_the_callers_context_variables(self) -> None:
        """A copy: what the application changes stays its own."""
        variable = contextvars.ContextVar("variable", default="default")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            text = variable.get()
            variable.set("application")
            await PlainTextResponse(text)(scope, receive, send)

        variable.set("caller")
        assert (await client_for(app).get("/")).text == "caller"
        assert variable.get() == "caller"


class TestLeaving:
    async def test_closing_early_is_a_disconnect_and_lets_the_application_finish(self) -> None:
        """The application is waited for, so that its cleanup is done when the test goes on."""
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send(START)
            await send(body(b"first", more=True))
            seen.append((await receive())["type"])
            await send(body(b"nobody hears this", more=True))
            await asyncio.sleep(0.01)
            seen.append("finished")

        async with client_for(app).stream("GET", "/") as response:
            assert await anext(response.aiter_raw()) == b"first"
        assert seen == ["http.disconnect", "finished"]

    async def test_an_application_that_waits_in_send_is_woken(self) -> None:
        """Nobody will read the chunk for which it wants room."""
        ended = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            for _ in range(10):
                await send(body(b"chunk", more=True))
            ended.append(True)

        async with client_for(app).stream("GET", "/"):
            await asyncio.sleep(0.01)
            assert not ended
        assert ended == [True]

    async def test_an_endless_stream_ends(self) -> None:
        """Starlette's stream hears of the disconnect, even though it never waits itself."""
        numbers = itertools.count()

        async def endless() -> AsyncIterator[bytes]:
            for number in numbers:
                yield b"%d" % number

        app = Starlette(routes=[Route("/", lambda _: StreamingResponse(endless()))])
        async with client_for(app).stream("GET", "/") as response:
            assert await anext(response.aiter_raw()) == b"0"
        assert next(numbers) < 10

    async def test_an_application_that_never_ends_is_cancelled_and_told_about(self) -> None:
        """After the grace period; a test that hangs would say less."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await asyncio.Event().wait()

        with pytest.raises(RuntimeError, match=r"still busy with GET /x 0\.01 s after"):
            async with client_for(app, disconnect_grace=0.01).stream("GET", "/x"):
                pass
        assert other_tasks() == set()

    async def test_an_error_after_the_disconnect_is_raised_on_closing(self) -> None:
        """Cleanup code that fails is not hidden."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send(START)
            await receive()
            raise LookupError("in cleanup")

        with pytest.raises(LookupError, match="in cleanup"):
            async with client_for(app).stream("GET", "/"):
                pass

    @pytest.mark.parametrize("error", [ClientDisconnect(), OSError("gone")])
    async def test_errors_that_tell_of_the_disconnect_are_not_raised(
        self, error: Exception
    ) -> None:
        """The test knows that the client has left: it closed the response."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send(START)
            await receive()
            raise error

        async with client_for(app).stream("GET", "/"):
            pass

    @pytest.mark.parametrize("started", [False, True], ids=["before the start", "while reading"])
    async def test_cancelling_the_caller_is_a_disconnect(self, started: bool) -> None:
        """The application finishes, and only then the caller is gone."""
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            if started:
                await send(START)
                await send(body(b"first", more=True))
            seen.append("waiting")
            seen.append((await receive())["type"])

        task = asyncio.create_task(client_for(app).get("/"))
        await asyncio.sleep(0.01)
        assert seen == ["waiting"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["waiting", "http.disconnect"]

    @pytest.mark.parametrize("started", [False, True], ids=["before the start", "while reading"])
    async def test_a_timeout_ends_an_application_that_does_not_listen(self, started: bool) -> None:
        """It is cancelled after the grace period; an error of its end has no one to go to."""
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if started:
                await send(START)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise LookupError("dropped") from None

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await client_for(app, disconnect_grace=0.01).get("/")
        assert seen == ["cancelled"]
        assert other_tasks() == set()

    async def test_a_second_cancellation_does_not_wait_for_the_grace_period(self) -> None:
        """And still nothing is left behind."""
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append("called")
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("cancelled")

        task = asyncio.create_task(client_for(app, disconnect_grace=60).get("/"))
        for _ in range(2):
            await asyncio.sleep(0.01)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["called", "cancelled"]


class TestErrors:
    async def test_an_exception_arrives_bare_with_its_traceback(self) -> None:
        """Not in a group, and with the line that raised it."""
        error = LookupError("in the application")

        def fail() -> None:
            raise error

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            fail()

        with pytest.raises(LookupError) as caught:
            await client_for(app).get("/")
        assert caught.value is error
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-2:] == ["app", "fail"]

    async def test_an_exception_after_the_start_is_raised_while_reading(self) -> None:
        """Once what was sent before it is read; and once only."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send(body(b"first", more=True))
            raise LookupError("in mid-stream")

        async with client_for(app).stream("GET", "/") as response:
            assert response.status_code == 200
            chunks = response.aiter_raw()
            assert await anext(chunks) == b"first"
            with pytest.raises(LookupError, match="in mid-stream"):
                await anext(chunks)

        with pytest.raises(LookupError, match="in mid-stream"):
            await client_for(app).get("/")

    async def test_an_exception_after_the_last_byte_is_raised_too(self) -> None:
        """A server would only log it."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("ok")(scope, receive, send)
            raise LookupError("in a background task")

        with pytest.raises(LookupError, match="in a background task"):
            await client_for(app).get("/")

    async def test_on_request_errors_are_answered_as_by_a_server(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """``raise_app_exceptions=False``: a plain 500, and the log has the traceback."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError("in the application")

        with caplog.at_level(logging.ERROR):
            response = await client_for(app, raise_app_exceptions=False).get("/x")
        assert (response.status_code, response.text) == (500, "Internal Server Error")
        [record] = [r for r in caplog.records if r.name == "asyncflask.testing"]
        assert record.getMessage() == "The application failed at GET /x"
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], LookupError)

    async def test_on_request_an_error_in_mid_stream_breaks_the_stream(self) -> None:
        """As it would over the wire."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            raise LookupError("in mid-stream")

        with pytest.raises(httpx.RemoteProtocolError, match="before its response was complete"):
            await client_for(app, raise_app_exceptions=False).get("/")

    async def test_no_response_at_all_is_an_error(self) -> None:
        """It names the request."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            pass

        with pytest.raises(RuntimeError, match="without a response to GET /x"):
            await client_for(app).get("/x")

    async def test_half_a_response_is_an_error(self) -> None:
        """The application returned, or its task was cancelled, before the last chunk."""

        async def half(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send(body(b"half", more=True))

        async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
            raise asyncio.CancelledError

        for app in (half, cancelled):
            with pytest.raises(httpx.RemoteProtocolError, match="gave up GET /x before"):
                await client_for(app).get("/x")

    @pytest.mark.parametrize(
        ("messages", "complaint"),
        [
            ([body(b"x")], "sent 'http.response.body' where 'http.response.start' was due"),
            ([START, START], "sent 'http.response.start' where 'http.response.body' was due"),
            ([START, body(), body()], "sent 'http.response.body' where nothing was due"),
        ],
    )
    async def test_messages_out_of_order_are_errors(
        self, messages: list[Message], complaint: str
    ) -> None:
        """They are raised in the application, at the ``send`` that is wrong."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for message in messages:
                await send(message)

        with pytest.raises(RuntimeError, match=complaint):
            await client_for(app).get("/")

    @pytest.mark.parametrize(
        ("chunks", "complaint"),
        [
            ([b"123456"], "1 bytes too long"),
            ([b"123", b"4567"], "2 bytes too long"),
            ([b"123"], "2 bytes too short"),
        ],
    )
    async def test_a_wrong_content_length_is_an_error(
        self, chunks: list[bytes], complaint: str
    ) -> None:
        """Servers refuse it too, and clients would hang or cut the body off."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"x-other", b"1"), (b"Content-Length", b"5")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for chunk in chunks:
                await send(body(chunk, more=chunk is not chunks[-1]))

        with pytest.raises(RuntimeError, match=f"The body of GET /x is {complaint}"):
            await client_for(app).get("/x")

    @pytest.mark.parametrize("status", [204, 304])
    async def test_a_response_without_body_may_tell_a_length(self, status: int) -> None:
        """A 304 has the headers of the 200 it stands for."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"content-length", b"5")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send(body())

        assert (await client_for(app).get("/")).status_code == status
