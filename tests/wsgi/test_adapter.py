"""WSGI applications inside: with Flask, by hand, and with every fault that PEP 3333 knows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.validate import validator

import flask
import httpx
import pytest
from starlette.applications import Starlette
from werkzeug.test import Client

from asyncflask import Flask
from asyncflask.testing import SyncClient
from asyncflask.wsgi import WSGIAdapter
from asyncflask.wsgi.framing import FramingError
from tests.wire import Wire, until


def ok(start_response: Any, *headers: tuple[str, str], status: str = "200 OK") -> Any:
    return start_response(status, [("Content-Type", "text/plain"), *headers])


def mounted(wsgi_app: Any, **options: Any) -> Flask:
    app = Flask("host", static_folder=None)
    app.mount("/legacy", WSGIAdapter(wsgi_app, **options))
    return app


async def call(wsgi_app: Any, wire: Wire | None = None, **scope: Any) -> Wire:
    """Call an adapter as a server does."""
    wire = wire or Wire()
    wire.scope.update(scope)
    await WSGIAdapter(wsgi_app)(wire.scope, wire.receive, wire.send)
    return wire


class TestRequests:
    def test_what_a_flask_application_sees(self) -> None:
        """The prefix is apart, text is text, and PEP 3333 is kept."""
        old = flask.Flask("old")

        @old.route("/<name>", methods=["GET", "POST"])
        def view(name: str) -> Any:
            request = flask.request
            seen = [name, request.script_root, request.path, request.url, request.method]
            return [*seen, request.args.get("q"), request.stream.read(4).decode()]

        with mounted(validator(old.wsgi_app)).sync_test_client() as client:
            seen = client.post("/legacy/é%20%2B?q=ü", data="body").get_json()
            assert seen[:3] == ["é +", "/legacy", "/é +"]
            assert seen[3] == "http://localhost/legacy/é%20+?q=ü"
            assert seen[4:] == ["POST", "ü", "body"]
            assert client.head("/legacy/x").data == b""
            assert client.get("/legacy/no/such").status_code == 404

    async def test_the_environ(self) -> None:
        """Bytes as Latin-1; headers that would pass for others are left out."""
        seen: dict[str, Any] = {}

        def app(environ: Any, start_response: Any) -> Any:
            seen.update(environ)
            ok(start_response)
            return [b""]

        headers = [
            (b"host", b"localhost"),
            (b"x-user", b"1"),
            (b"x_user", b"admin"),
            (b"x-user", b"2"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
            (b"content-type", b"a/b"),
        ]
        await call(
            app,
            path="/ü/é/x",
            raw_path=b"/%C3%BC/%C3%A9%2Fx",
            root_path="/ü",
            query_string=b"q=1",
            headers=headers,
            server=("example.com", 8443),
            client=("192.0.2.1", 4711),
            scheme="https",
            http_version="2",
        )
        assert seen["SCRIPT_NAME"] == "/ü".encode().decode("latin-1")
        assert seen["PATH_INFO"] == "/é/x".encode().decode("latin-1")
        assert seen["RAW_URI"] == seen["REQUEST_URI"] == "/%C3%BC/%C3%A9%2Fx?q=1"
        assert (seen["HTTP_X_USER"], seen["HTTP_COOKIE"]) == ("1,2", "a=1; b=2")
        assert (seen["CONTENT_TYPE"], seen["QUERY_STRING"]) == ("a/b", "q=1")
        assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("example.com", "8443")
        assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("192.0.2.1", "4711")
        assert (seen["wsgi.url_scheme"], seen["SERVER_PROTOCOL"]) == ("https", "HTTP/2")
        assert seen["wsgi.input_terminated"] is True

    async def test_one_framing(self) -> None:
        """A chunked body has no length, and a length is one number."""
        seen: dict[str, Any] = {}

        def app(environ: Any, start_response: Any) -> Any:
            seen.update(environ)
            ok(start_response)
            return [b""]

        length, chunked = (b"content-length", b"5"), (b"transfer-encoding", b"chunked")
        await call(app, headers=[length, chunked])
        assert "CONTENT_LENGTH" not in seen
        for wrong in ([length, length], [(b"content-length", b"-5")], [(b"content-length", b"")]):
            wire = await call(app, headers=wrong)
            assert wire.sent[0]["status"] == 400
        await call(app, headers=[length])
        assert seen["CONTENT_LENGTH"] == "5"

    async def test_bodies_are_streamed_both_ways(self) -> None:
        """The application answers what it has read while the rest has yet to come."""
        incoming: asyncio.Queue[Any] = asyncio.Queue()
        sent: list[Any] = []

        def echo(environ: Any, start_response: Any) -> Iterator[bytes]:
            ok(start_response)
            for line in environ["wsgi.input"]:
                yield line.upper()

        async def send(message: Any) -> None:
            sent.append(message)

        wire = Wire(method="POST")
        task = asyncio.create_task(WSGIAdapter(echo)(wire.scope, incoming.get, send))
        for line in (b"one\n", b"two\n", b"three\n"):
            incoming.put_nowait({"type": "http.request", "body": line, "more_body": True})
            await until(lambda line=line: sent and sent[-1].get("body") == line.upper())
        incoming.put_nowait({"type": "http.request", "body": b"", "more_body": True})
        incoming.put_nowait({"type": "http.request"})
        await task
        assert sent[-1] == {"type": "http.response.body"}

    async def test_the_whole_file_interface(self) -> None:
        """``read`` in every way, lines, and the end again and again."""
        results: list[Any] = []

        def app(environ: Any, start_response: Any) -> Any:
            stream = environ["wsgi.input"]
            results.append([stream.read(2), stream.readline(), stream.readline(3)])
            results.append([stream.readlines(), stream.read(), stream.read(5)])
            ok(start_response)
            return []

        await call(app, Wire(method="POST", body=[b"abc", b"d\nef", b"ghi\nj\n", b"k"]))
        assert results == [[b"ab", b"cd\n", b"efg"], [[b"hi\n", b"j\n", b"k"], b"", b""]]

    def test_requests_run_at_once(self) -> None:
        """Up to the number of threads, its own ones or the host's."""
        together = threading.Barrier(3)

        def app(environ: Any, start_response: Any) -> Any:
            together.wait(5)
            ok(start_response)
            return [threading.current_thread().name.encode()]

        async def visit(host: Any) -> set[str]:
            transport = httpx.ASGITransport(host)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                answers = await asyncio.gather(*(client.get("/legacy/") for _ in range(3)))
            return {answer.text[:9] for answer in answers}

        starlette = Starlette()
        starlette.mount("/legacy", WSGIAdapter(app))
        assert asyncio.run(visit(starlette)) == {"wsgi-1", "wsgi-2", "wsgi-3"}
        assert asyncio.run(visit(mounted(app))) == {"host-work"}
        own = asyncio.run(visit(mounted(app, threads=3)))
        assert own == {"wsgi-1", "wsgi-2", "wsgi-3"}

    def test_a_thread_that_waits_takes_the_response(self) -> None:
        """So the application runs in another, with the client for ``def`` tests and under WSGI."""

        def app(environ: Any, start_response: Any) -> Any:
            ok(start_response)
            for _ in range(50):
                yield b"chunk"

        host = mounted(app)
        assert host.sync_test_client().get("/legacy/").text == "chunk" * 50
        assert Client(host.wsgi_app).get("/legacy/").text == "chunk" * 50

    @pytest.mark.parametrize("inside", [True, False])
    async def test_who_finds_no_thread_in_time_gets_a_503(self, inside: bool) -> None:
        """In a host of ours and in any other alike."""
        entered, gate = threading.Event(), threading.Event()

        def slow(environ: Any, start_response: Any) -> Any:
            entered.set()
            gate.wait()
            ok(start_response)
            return [b"done"]

        adapter = WSGIAdapter(slow, threads=1)
        adapter._pool.queue_timeout = 0.01
        app: Any = adapter
        if inside:
            app = Flask("host", static_folder=None)
            app.mount("/", adapter)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            first = asyncio.create_task(client.get("/"))
            await asyncio.to_thread(entered.wait)
            second = await client.get("/")
            assert (second.status_code, second.headers["Retry-After"]) == (503, "1")
            assert "All worker threads are busy" in second.text
            gate.set()
            assert (await first).text == "done"

    async def test_websockets_are_refused_and_a_lifespan_is_answered(self) -> None:
        """So that any host can mount it."""
        adapter = WSGIAdapter(lambda environ, start_response: [])
        messages: list[Any] = []

        async def receive() -> Any:
            return {}

        async def send(message: Any) -> None:
            messages.append(message["type"])

        await adapter({"type": "websocket"}, receive, send)
        await adapter({"type": "lifespan"}, receive, send)
        assert messages == [
            "websocket.close",
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]


class TestResponses:
    @pytest.mark.parametrize("kind", [list, tuple])
    async def test_one_piece_gets_its_length(self, kind: Any) -> None:
        """And is sent at once."""

        def app(environ: Any, start_response: Any) -> Any:
            ok(start_response)
            return kind([b"hello"])

        wire = await call(app)
        assert wire.sent[0]["headers"] == [
            (b"content-type", b"text/plain"),
            (b"content-length", b"5"),
        ]
        assert wire.sent[1:] == [{"type": "http.response.body", "body": b"hello"}]
        wire = await call(app, method="HEAD")
        assert wire.sent[0]["headers"] == [(b"content-type", b"text/plain")]
        assert wire.body == b""

    async def test_headers_that_are_the_servers_business(self) -> None:
        """They are dropped; a length of the application's own stays."""

        def app(environ: Any, start_response: Any) -> Any:
            ok(start_response, ("Connection", "close"), ("Content-Length", "1"))
            return [b"x"]

        wire = await call(app)
        names = [name for name, _ in wire.sent[0]["headers"]]
        assert names == [b"content-type", b"content-length"]

    async def test_streams_generators_and_write(self) -> None:
        """Empty pieces do not count; ``write`` works as well."""
        closed: list[str] = []

        def generator(environ: Any, start_response: Any) -> Iterator[bytes]:
            try:
                ok(start_response)
                yield b""
                yield b"a"
                yield b"b"
            finally:
                closed.append("generator")

        def imperative(environ: Any, start_response: Any) -> Any:
            write = ok(start_response)
            write(b"a")
            return [b"b"]

        for app in (generator, imperative):
            wire = await call(app)
            assert (wire.body, wire.is_complete) == (b"ab", True)
        wire = await call(generator, method="HEAD")
        assert (wire.body, wire.sent[0]["status"]) == (b"", 200)
        assert closed == ["generator", "generator"]

    async def test_no_body_where_none_may_be(self) -> None:
        """Whatever the application says."""

        def app(environ: Any, start_response: Any) -> Any:
            start_response("304 Not Modified", [])
            return [b"x"]

        def stream(environ: Any, start_response: Any) -> Any:
            start_response("304 Not Modified", [])
            return iter([b"x", b"y"])

        assert (await call(app)).sent[0]["headers"] == []
        assert (await call(app)).body == (await call(stream)).body == b""

    async def test_files(self) -> None:
        """The wrapper reads them in large pieces, and closes them."""
        files = [BytesIO(b"x" * 100_000), iter([b"abc"])]

        class Readable:
            def __init__(self) -> None:
                self.pieces = [b"abc", b""]

            def read(self, size: int) -> bytes:
                return self.pieces.pop(0)

        files[1] = Readable()  # type: ignore[call-overload]
        for file, size in zip(files, (100_000, 3), strict=True):

            def app(environ: Any, start_response: Any, file: Any = file) -> Any:
                ok(start_response)
                return environ["wsgi.file_wrapper"](file, 8192)

            wire = await call(app)
            assert len(wire.body) == size
        assert files[0].closed  # type: ignore[attr-defined]

    async def test_a_client_that_goes_away(self) -> None:
        """The application is closed, in its thread, and its thread is free again."""
        closed = threading.Event()

        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            try:
                ok(start_response)
                while True:
                    yield b"x"
                    time.sleep(0.01)
            finally:
                closed.set()

        wire = Wire()
        task = asyncio.create_task(call(app, wire))
        await until(lambda: len(wire.sent) > 3)
        wire.gone.set()
        await task
        assert closed.is_set()
        assert not wire.is_complete

    async def test_a_server_that_says_it_when_sending(self) -> None:
        """An ``OSError`` is the client's leaving, too."""

        def app(environ: Any, start_response: Any) -> Any:
            ok(start_response)
            return iter([b"x"] * 10)

        class Broken(Wire):
            async def send(self, message: Any) -> None:
                await super().send(message)
                if len(self.sent) == 3:
                    raise ConnectionResetError

        assert len((await call(app, Broken())).sent) == 3

    async def test_a_request_that_is_cancelled(self) -> None:
        """The task leaves at once; the application hears of it when it goes on."""
        begun, may_go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            try:
                begun.set()
                may_go_on.wait(5)
                ok(start_response)
                yield b"x"
            finally:
                ended.set()

        wire = Wire()
        task = asyncio.create_task(call(app, wire))
        await until(begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_go_on.set()
        await until(ended.is_set)
        assert wire.sent == []

    async def test_an_upload_that_stops_half_way(self) -> None:
        """It is not taken for a whole one."""
        seen: list[Any] = []

        def app(environ: Any, start_response: Any) -> Any:
            try:
                environ["wsgi.input"].read()
            except OSError as exc:
                seen.append(exc)
            ok(start_response)
            return [b"x"]

        class Half(Wire):
            async def receive(self) -> Any:
                if not self._body:
                    return {"type": "http.disconnect"}
                return {"type": "http.request", "body": self._body.pop(), "more_body": True}

        await call(app, Half(method="POST", body=[b"half"]))
        assert len(seen) == 1

    async def test_flask_takes_that_for_a_mistake_of_the_client(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is no failure of the application, so nothing is logged."""
        app = flask.Flask("legacy")
        app.add_url_rule("/", "index", lambda: flask.request.get_data(), methods=["POST"])
        seen: list[int] = []

        @app.after_request
        def note(response: flask.Response) -> flask.Response:
            seen.append(response.status_code)
            return response

        class Half(Wire):
            async def receive(self) -> Any:
                return {"type": "http.disconnect"}

        await call(app, Half(method="POST"))
        assert (seen, caplog.text) == ([400], "")


def second(environ: Any, start_response: Any) -> Any:
    ok(start_response)
    ok(start_response)


def never(environ: Any, start_response: Any) -> Any:
    return [b"x"]


def never_and_nothing(environ: Any, start_response: Any) -> Any:
    return iter([])


def text(environ: Any, start_response: Any) -> Any:
    ok(start_response)
    return ["text"]


def no_status(environ: Any, start_response: Any) -> Any:
    ok(start_response, status="fine")


def split_header(environ: Any, start_response: Any) -> Any:
    ok(start_response, ("X-A", "b\r\nSet-Cookie: c=d"))


def wrong_name(environ: Any, start_response: Any) -> Any:
    ok(start_response, ("X A", "b"))


def exits(environ: Any, start_response: Any) -> Any:
    raise SystemExit(3)


def nothing(environ: Any, start_response: Any) -> Any:
    ok(start_response)


def interim(environ: Any, start_response: Any) -> Any:
    ok(start_response, status="100 Continue")


def two_lengths(environ: Any, start_response: Any) -> Any:
    ok(start_response, ("Content-Length", "1"), ("content-length", "2"))
    return [b"x"]


def no_length(environ: Any, start_response: Any) -> Any:
    ok(start_response, ("Content-Length", "+1"))
    return iter([b"x"])


def too_short(environ: Any, start_response: Any) -> Any:
    ok(start_response, ("Content-Length", "2"))
    return [b"x"]


def too_long(environ: Any, start_response: Any) -> Any:
    ok(start_response, ("Content-Length", "0"))
    return [b"x"]


class TestFaults:
    @pytest.mark.parametrize(
        ("app", "message"),
        [
            (second, "second time"),
            (never, "not called start_response"),
            (never_and_nothing, "not called start_response"),
            (text, "given str where bytes"),
            (no_status, "not a status"),
            (split_header, "cannot be sent"),
            (wrong_name, "cannot be sent"),
            (exits, "SystemExit"),
            (nothing, "NoneType"),
            (interim, "not a status"),
            (two_lengths, "not one number"),
            (no_length, "not one number"),
            (too_short, "shorter than its Content-Length"),
            (too_long, "longer than its Content-Length"),
        ],
    )
    def test_they_are_a_500_and_in_the_log(
        self, app: Callable[..., Any], message: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nothing has been sent, so the host can answer; the next request is served."""
        host = mounted(app)
        host.logger.propagate = True
        client = SyncClient(host, raise_app_exceptions=False)
        assert client.get("/legacy/").status_code == 500
        assert message in caplog.text
        assert client.get("/other").status_code == 404

    @pytest.mark.parametrize(("length", "sent"), [("5", [b"ab", b"c"]), ("2", [b"ab"])])
    async def test_a_stream_is_as_long_as_it_says(self, length: str, sent: list[bytes]) -> None:
        """Else it is broken off, and nothing goes out that would be taken for the next response."""

        def app(environ: Any, start_response: Any) -> Any:
            ok(start_response, ("Content-Length", length))
            return iter([b"ab", b"c"])

        wire = Wire()
        with pytest.raises(FramingError):
            await call(app, wire)
        assert [message["body"] for message in wire.sent[1:]] == sent
        assert not wire.is_complete
        assert (await call(app, Wire(method="HEAD"))).is_complete

    async def test_start_response_again_with_the_error(self) -> None:
        """It replaces what was not sent; once that was sent, the error breaks the response off."""
        import sys

        def replaces(environ: Any, start_response: Any) -> Any:
            ok(start_response)
            try:
                raise ValueError("a bug")
            except ValueError:
                start_response("503 Busy", [], sys.exc_info())
            return [b"sorry"]

        def too_late(environ: Any, start_response: Any) -> Iterator[bytes]:
            ok(start_response)
            yield b"x"
            try:
                raise ValueError("a bug")
            except ValueError:
                start_response("503 Busy", [], sys.exc_info())

        assert (await call(replaces)).sent[0]["status"] == 503
        wire = Wire()
        with pytest.raises(ValueError, match="a bug"):
            await call(too_late, wire)
        assert (wire.sent[0]["status"], wire.is_complete) == (200, False)
