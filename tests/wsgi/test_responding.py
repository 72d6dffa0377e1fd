"""An application behind ``app.wsgi_app``: with Werkzeug's test client and by hand."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import signal
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import flask
import pytest
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.test import Client, create_environ

from asyncflask import Flask, request, send_file, session, stream_with_context
from asyncflask.wsgi import exchange


def make_app() -> Flask:
    app = Flask("out", static_folder=None)
    app.secret_key = "a key"
    return app


def get(app: Flask, path: str = "/", **changes: Any) -> tuple[list[Any], Any]:
    """Call ``wsgi_app`` as a server does; return what it was told, and the body."""
    told: list[Any] = []
    environ = {**create_environ(path), **changes}
    body = app.wsgi_app(environ, lambda *args: told.append(args))
    return told, body


class TestRequests:
    def test_what_flask_answers(self) -> None:
        """The same requests, to a Flask application and to one of ours that is written alike."""

        def write(app: Any, request: Any) -> Any:
            @app.route("/<name>", methods=["GET", "POST", "PUT"])
            def hello(name: str) -> Any:
                seen = [name, request.method, request.path, request.script_root, request.host]
                more = [request.args.get("q"), request.get_data().decode(), request.remote_addr]
                return " ".join(map(str, seen + more)), 201, {"X-Seen": "yes"}

            return Client(validator(app.wsgi_app))

        theirs = write(flask.Flask("theirs"), flask.request)
        ours = write(make_app(), request)
        for path in ("/a?q=1", "/é%20x?q=ü", "/none/here"):
            for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
                one = theirs.open(path, method=method, buffered=True)
                other = ours.open(path, method=method, buffered=True)
                assert one.status == other.status, (path, method)
                if one.status_code == 201:
                    assert (one.data, one.headers["X-Seen"]) == (other.data, "yes")
        for data in (b"", b"abc", b"x" * 200_000):
            options: Any = {"buffered": True, "data": data, "base_url": "http://example.com/root"}
            assert theirs.put("/b", **options).data == ours.put("/b", **options).data

    def test_each_kind_of_function_in_its_place(self) -> None:
        """``def`` in the thread that waits, ``async def`` on the loop that all threads share."""
        app = make_app()
        here: list[Any] = []
        database = sqlite3.connect(":memory:")  # which other threads must not touch

        @app.before_request
        def before() -> None:
            here.append(threading.current_thread())

        @app.teardown_request
        def teardown(exc: BaseException | None) -> None:
            here.append(threading.current_thread())

        @app.get("/")
        def index() -> str:
            return str(database.execute("select 1").fetchone()[0])

        @app.get("/async")
        async def on_loop() -> str:
            return threading.current_thread().name

        client = Client(app.wsgi_app)
        assert client.get("/").text == "1"
        assert client.get("/async").text == "asyncflask-wsgi"
        assert set(here) == {threading.current_thread()}
        assert len(here) == 4
        database.close()

    def test_the_environ_is_the_servers(self) -> None:
        """With what middleware has put into it."""
        app = make_app()

        @app.get("/")
        def index() -> Any:
            assert request.environ["werkzeug.request"] is request._get_current_object()
            return {"user": request.environ["site.user"]}

        inner = app.wsgi_app

        def middleware(environ: Any, start_response: Any) -> Any:
            environ["site.user"] = "ada"
            return inner(environ, start_response)

        app.wsgi_app = middleware  # type: ignore[method-assign]
        assert Client(app.wsgi_app).get("/").get_json() == {"user": "ada"}

    def test_middleware_made_for_flask(self) -> None:
        """Werkzeug's for proxies."""
        app = make_app()

        @app.get("/<path:rest>")
        async def where(rest: str) -> Any:
            return [request.url, request.remote_addr, request.root_path]

        app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1, x_host=1)  # type: ignore[method-assign]
        forwarded = {
            "X-Forwarded-For": "192.0.2.1",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "shop.example",
            "X-Forwarded-Prefix": "/shop",
        }
        client = Client(app.wsgi_app)
        seen = client.get("/a/b", headers=forwarded).get_json()
        assert seen == ["https://shop.example/shop/a/b", "192.0.2.1", "/shop"]

    def test_other_middleware(self, tmp_path: Path) -> None:
        """Some that serves files itself, some that parts a site, some that checks PEP 3333."""
        (tmp_path / "tea.txt").write_text("tea")
        app = make_app()
        app.get("/url")(lambda: request.url)
        shared = SharedDataMiddleware(app.wsgi_app, {"/shared": str(tmp_path)})
        app.wsgi_app = LintMiddleware(shared)  # type: ignore[method-assign]
        client = Client(DispatcherMiddleware(NotFound(), {"/shop": app.wsgi_app}))
        assert client.get("/shop/url").text == "http://localhost/shop/url"
        with client.get("/shop/shared/tea.txt") as response:
            assert response.text == "tea"
        assert client.get("/url").status_code == 404

    def test_sessions_are_flasks(self) -> None:
        """Cookies go both ways."""
        app = make_app()

        @app.get("/")
        def count() -> str:
            session["n"] = session.get("n", 0) + 1
            return str(session["n"])

        client = Client(app.wsgi_app)
        assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]

    def test_websockets_are_refused(self) -> None:
        """With a sentence that says what they need."""
        response = Client(make_app().wsgi_app).get("/", headers={"Upgrade": "websocket"})
        assert response.status_code == 501
        assert "ASGI server" in response.text

    def test_a_wrong_length_is_refused(self) -> None:
        """Before anything is read."""
        told, _ = get(make_app(), CONTENT_LENGTH="many")
        assert told[0][0] == "400 BAD REQUEST"

    def test_a_chunked_body_whose_end_nobody_knows_is_refused(self) -> None:
        """The server has not decoded it, and to take it for an empty one would lose it."""
        app = make_app()
        chunked: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked"}
        assert get(app, **chunked)[0][0][0] == "411 LENGTH REQUIRED"
        for known in ({"wsgi.input_terminated": True}, {"CONTENT_LENGTH": "0"}):
            assert get(app, **chunked, **known)[0][0][0] == "404 NOT FOUND"  # let in

    def test_a_thread_with_a_loop_is_not_blocked(self) -> None:
        """It would wait for itself."""

        async def in_a_test() -> None:
            with pytest.raises(RuntimeError, match="where an event loop runs"):
                get(make_app())

        asyncio.run(in_a_test())

    def test_statuses_without_a_name(self) -> None:
        """WSGI wants one."""
        app = make_app()

        @app.get("/")
        def index() -> Any:
            return "odd", 299

        assert get(app)[0][0][0] == "299 UNKNOWN"


class TestBodies:
    def test_a_complete_body_is_one_piece(self) -> None:
        """A list, which servers know how to send at once."""
        app = make_app()

        @app.get("/")
        async def index() -> str:
            return "hello"

        @app.get("/none")
        async def none() -> Any:
            return "", 204

        assert get(app)[1] == [b"hello"]
        assert get(app, REQUEST_METHOD="HEAD")[1] == []
        assert get(app, "/none")[1] == []

    def test_a_stream_is_pulled_at_the_servers_pace(self) -> None:
        """One chunk ahead, no more."""
        app = make_app()
        made: list[int] = []

        @app.get("/")
        async def index() -> AsyncIterator[str]:
            for number in range(100):
                made.append(number)
                yield f"{number} "

        _, body = get(app)
        assert next(body) == b"0 "
        time.sleep(0.05)
        assert len(made) <= 3
        assert b"".join(body) == b"".join(b"%d " % number for number in range(1, 100))
        body.close()
        body.close()
        assert list(body) == []

    def test_nothing_is_lost_of_an_application_that_is_faster(self) -> None:
        """It may have ended before its first chunk is taken."""

        async def fast(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for chunk in (b"", b"a", b"", b"b"):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"c"})

        app = make_app()
        app.mount("/fast", fast)
        assert get(app, "/fast/", REQUEST_METHOD="HEAD")[1] == []
        for _ in range(50):
            assert b"".join(get(app, "/fast/")[1]) == b"abc"

    def test_a_client_that_goes_away_ends_a_stream(self) -> None:
        """``close()`` is how a server tells; the teardowns have run when it returns."""
        app = make_app()
        events: list[str] = []

        @app.get("/")
        def index() -> Any:
            def numbers() -> Iterator[str]:
                try:
                    while True:
                        yield f"{request.path} "
                finally:
                    events.append("closed")

            return stream_with_context(numbers())

        @app.teardown_request
        def teardown(exc: BaseException | None) -> None:
            events.append("teardown")

        _, body = get(app)
        assert next(body) == b"/ "
        body.close()
        assert events == ["closed", "teardown"]

    def test_uploads_are_read_as_they_are_asked_for(self) -> None:
        """A view that does not read them leaves them alone; one that does gets them in pieces."""
        app = make_app()

        class Upload(BytesIO):
            pieces = 0

            def read(self, size: int | None = -1) -> bytes:
                self.pieces += 1
                return super().read(size)

        @app.post("/unread")
        async def unread() -> str:
            return "no"

        @app.post("/read")
        async def read() -> Any:
            async def echo() -> AsyncIterator[bytes]:
                async for chunk in request.body:
                    yield b"%d " % len(chunk)

            return stream_with_context(echo())

        size = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "150000"}
        upload = Upload(b"x" * 200_000)
        assert get(app, "/unread", **size, **{"wsgi.input": upload})[1] == [b"no"]
        assert upload.pieces == 0
        body = get(app, "/read", **size, **{"wsgi.input": upload})[1]
        assert sum(map(int, b"".join(body).split())) == 150_000
        body.close()
        assert upload.tell() == 150_000

    def test_an_upload_that_stops_half_way(self) -> None:
        """The view hears that the client has gone."""
        app = make_app()

        @app.post("/")
        async def index() -> Any:
            return await request.get_data()

        upload = {"CONTENT_LENGTH": "9", "wsgi.input": BytesIO(b"half"), "REQUEST_METHOD": "POST"}
        assert get(app, **upload)[0][0][0] == "400 BAD REQUEST"

    def test_who_hears_that_an_upload_has_stopped_need_not_answer(self) -> None:
        """As a WSGI application that is mounted."""
        app = make_app()

        async def leaves(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                assert (await receive())["body"] == b"half"
                assert (await receive())["type"] == "http.disconnect"

        app.mount("/x", leaves)
        upload = {"CONTENT_LENGTH": "9", "wsgi.input": BytesIO(b"half"), "REQUEST_METHOD": "POST"}
        told, body = get(app, "/x/", **upload)
        assert (told[0][0], body) == ("400 BAD REQUEST", [])

    def test_who_gives_up_waiting_for_a_body_loses_none_of_it(self) -> None:
        """The read goes on in the thread, and its chunk is for the next who asks."""
        app = make_app()
        may_come = threading.Event()

        class Slow(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                may_come.wait(5)
                return super().read(size)

        @app.post("/")
        async def index() -> Any:
            receive = request.receive
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
            may_come.set()
            return (await receive())["body"]

        upload = {"CONTENT_LENGTH": "5", "wsgi.input": Slow(b"hello"), "REQUEST_METHOD": "POST"}
        assert get(app, **upload)[1] == [b"hello"]

    def test_files_go_through_the_servers_wrapper(self) -> None:
        """Those that the application only names."""
        app = make_app()
        app.add_route("/file", lambda request: FileResponse(__file__))

        class Wrapper:
            def __init__(self, file: Any, size: int) -> None:
                self.file = file

            def close(self) -> None:
                self.file.close()

        body = get(app, "/file", **{"wsgi.file_wrapper": Wrapper})[1]
        assert isinstance(body, Wrapper)
        assert body.file.read() == Path(__file__).read_bytes()
        body.close()
        client = Client(app.wsgi_app)
        assert client.get("/file", buffered=True).data == Path(__file__).read_bytes()
        assert client.head("/file").data == b""

    def test_our_own_large_files_go_that_way_too(self, tmp_path: Path) -> None:
        """A part of one is read piece by piece."""
        content = b"0123456789" * 50_000
        (tmp_path / "large.bin").write_bytes(content)
        app = Flask("files", static_folder=tmp_path, static_url_path="/static")
        wrapped: list[str] = []

        class Wrapper(FileWrapper):
            def __init__(self, file: Any, size: int) -> None:
                super().__init__(file, size)
                wrapped.append(file.name)

        client = Client(app.wsgi_app)
        options: Any = {"environ_base": {"wsgi.file_wrapper": Wrapper}, "buffered": True}
        response = client.get("/static/large.bin", **options)
        assert (response.data, response.content_length) == (content, 500_000)
        assert wrapped == [str(tmp_path / "large.bin")]
        part = client.get("/static/large.bin", headers={"Range": "bytes=1-200000"}, **options)
        assert part.data == content[1:200_001]
        assert client.head("/static/large.bin", **options).content_length == 500_000
        assert len(wrapped) == 1

    @pytest.mark.parametrize("when", ["after", "close", "teardown", "replaced"])
    def test_files_that_the_view_deletes_are_sent(self, when: str, tmp_path: Path) -> None:
        """As in Flask: they are open by then."""
        app = make_app()
        file = tmp_path / "report.bin"

        @app.get("/")
        async def index() -> Any:
            file.write_bytes(b"x" * 200_000)
            response = await send_file(file)
            if when == "close":
                response.call_on_close(file.unlink)
            return response

        @app.after_request
        async def after(response: Any) -> Any:
            if when in ("after", "replaced"):
                file.unlink()
            if when == "replaced":
                file.write_bytes(b"other")
            return response

        @app.teardown_request
        async def teardown(exc: BaseException | None) -> None:
            if when == "teardown":
                file.unlink()

        response = Client(app.wsgi_app).get("/", buffered=True)
        assert response.data == b"x" * 200_000
        assert file.exists() == (when == "replaced")

    def test_work_after_the_response_does_not_keep_the_client(self) -> None:
        """It keeps the thread, for a while."""
        app = make_app()
        done = threading.Event()
        may_end = threading.Event()

        def later() -> None:
            may_end.wait(5)
            done.set()

        app.add_route("/", lambda request: PlainTextResponse("x", background=BackgroundTask(later)))
        _, body = get(app)
        assert list(body) == [b"x"]
        assert not done.is_set()
        may_end.set()
        body.close()
        assert done.is_set()

    def test_an_application_that_does_not_end_is_left_to_another_thread(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The server gets its own back; what is left to do is done."""
        monkeypatch.setattr(exchange, "PATIENCE", 0.05)
        names: list[str] = []
        ended = threading.Event()

        async def stubborn(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.2)  # without a look at the client
            worker = scope["asyncflask.worker"]
            context = contextvars.copy_context()
            names.append(await worker.call(lambda: threading.current_thread().name, context))
            ended.set()
            await send({"type": "http.response.body", "body": b"y"})

        app = make_app()
        app.mount("/x", stubborn)
        _, body = get(app, "/x/")
        assert next(body) == b"x"
        body.close()
        assert not names
        assert ended.wait(5)
        assert names == ["wsgi-rest"]

    def test_the_server_is_interrupted(self) -> None:
        """Ctrl-C while it waits: the rest of the request runs in another thread."""
        app = make_app()
        ended = threading.Event()
        names: list[str] = []

        @app.get("/")
        async def index() -> str:
            await asyncio.sleep(0.3)
            return "too late"

        @app.teardown_request
        def teardown(exc: BaseException | None) -> None:
            names.append(threading.current_thread().name)
            ended.set()

        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            with pytest.raises(KeyboardInterrupt):
                get(app)
        finally:
            signal.signal(signal.SIGALRM, before)
        assert ended.wait(5)
        assert names == ["wsgi-rest"]

    def test_a_view_that_interrupts(self) -> None:
        """It does so in the server's thread, and the loop lives on."""
        app = make_app()

        @app.get("/<kind>")
        def index(kind: str) -> str:
            raise KeyboardInterrupt if kind == "key" else SystemExit

        with pytest.raises(KeyboardInterrupt):
            get(app, "/key")
        with pytest.raises(SystemExit):
            get(app, "/exit")

    def test_the_server_is_interrupted_in_a_stream(self) -> None:
        """It closes the body, as it has to, and is not held up."""
        app = make_app()

        @app.get("/")
        async def index() -> AsyncIterator[str]:
            yield "a"
            await asyncio.sleep(60)

        _, body = get(app)
        assert next(body) == b"a"
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            with pytest.raises(KeyboardInterrupt):
                next(body)
        finally:
            signal.signal(signal.SIGALRM, before)
        body.close()

    def test_a_server_that_takes_no_headers(self) -> None:
        """The body is closed: nobody else will do it."""
        app = make_app()
        closed = threading.Event()

        @app.get("/")
        async def index() -> AsyncIterator[str]:
            try:
                while True:
                    yield "x"
            finally:
                closed.set()

        def start_response(*args: Any) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            app.wsgi_app(create_environ(), start_response)
        assert closed.wait(5)

    def test_connection_headers_are_not_passed_on(self) -> None:
        """They are the server's."""
        app = make_app()

        @app.get("/")
        async def index() -> Any:
            return "x", {"Connection": "close", "X-Own": "1"}

        names = [name.lower() for name, _ in get(app)[0][0][1]]
        assert "connection" not in names
        assert "x-own" in names


class TestErrors:
    def failing(self) -> Flask:
        app = make_app()

        @app.get("/")
        async def index() -> str:
            raise ZeroDivisionError("a bug")

        @app.get("/stream")
        async def stream() -> AsyncIterator[str]:
            yield "a"
            raise ZeroDivisionError("a bug")

        return app

    def test_they_are_answered(self, caplog: pytest.LogCaptureFixture) -> None:
        """With the page that an ASGI server would get, and one record."""
        app = self.failing()
        app.logger.propagate = True
        assert Client(app.wsgi_app).get("/").status_code == 500
        assert [record.levelname for record in caplog.records] == ["ERROR"]

    @pytest.mark.parametrize("key", ["TESTING", "PROPAGATE_EXCEPTIONS"])
    def test_they_are_raised_where_that_is_wanted(self, key: str) -> None:
        """In tests, or for middleware that reports them."""
        app = self.failing()
        app.config[key] = True
        with pytest.raises(ZeroDivisionError):
            get(app)

    def test_the_page_of_debug_mode_is_shown(self) -> None:
        """The error is in the log."""
        app = self.failing()
        app.debug = True
        response = Client(app.wsgi_app).get(
            "/", headers={"Accept": "text/html"}, environ_base={"REMOTE_ADDR": "127.0.0.1"}
        )
        assert response.status_code == 500
        assert "a bug" in response.text

    def test_after_the_start_they_break_the_response(self) -> None:
        """The server sees that it is incomplete."""
        _, body = get(self.failing(), "/stream")
        assert next(body) == b"a"
        with pytest.raises((RuntimeError, ZeroDivisionError)):
            next(body)
        body.close()

    def test_an_exit_ends_no_loop(self) -> None:
        """It is raised to the server, in its thread."""
        app = make_app()

        @app.get("/")
        async def index() -> str:
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            get(app)

    def test_nonsense_is_told(self) -> None:
        """Messages of the ASGI protocol that are not due, or missing."""

        def answer(*messages: Any) -> Callable[..., Any]:
            async def nonsense(scope: Any, receive: Any, send: Any) -> None:
                for message in messages:
                    await send(message)

            return nonsense

        app = make_app()
        app.mount("/nothing", answer())
        app.mount("/early", answer({"type": "http.response.body", "body": b"x"}))
        with pytest.raises(RuntimeError, match="has returned before its response"):
            get(app, "/nothing/")
        with pytest.raises(RuntimeError, match=r"sent 'http.response.body' where it was not due"):
            get(app, "/early/")

    def test_a_cancellation_is_an_error_as_others(self) -> None:
        """It would end the server's worker; nobody but the application can have caused it."""
        app = make_app()

        @app.get("/")
        async def index() -> str:
            raise asyncio.CancelledError

        with pytest.raises(RuntimeError, match="was cancelled"):
            get(app)

    def test_a_response_is_as_long_as_it_says(self) -> None:
        """Else it is broken off: it would be read together with the next one."""

        def answer(length: bytes, *chunks: bytes) -> Callable[..., Any]:
            async def mounted(scope: Any, receive: Any, send: Any) -> None:
                headers = [(b"Content-Length", length)]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                for chunk in chunks:
                    more = chunk is not chunks[-1]
                    await send({"type": "http.response.body", "body": chunk, "more_body": more})

            return mounted

        app = make_app()
        app.mount("/fits", answer(b"3", b"ab", b"c"))
        app.mount("/short", answer(b"3", b"ab"))
        app.mount("/long", answer(b"2", b"ab", b"c"))
        assert b"".join(get(app, "/fits/")[1]) == b"abc"
        assert get(app, "/long/", REQUEST_METHOD="HEAD")[1] == []
        with pytest.raises(RuntimeError, match="shorter than its Content-Length"):
            get(app, "/short/")
        _, body = get(app, "/long/")
        assert next(body) == b"ab"
        with pytest.raises(RuntimeError, match="longer than its Content-Length"):
            next(body)
        body.close()

    def test_a_failure_after_the_response_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """The client has it."""
        app = make_app()

        async def answers_and_fails(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})
            raise ZeroDivisionError

        app.mount("/x", answers_and_fails)
        with caplog.at_level(logging.ERROR):
            assert get(app, "/x/")[1] == [b"x"]
        assert "GET /x/ has failed, and was answered" in caplog.text
