"""The test clients together with a real application."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import flask
import pytest

from asyncflask import Flask, abort, g, request, session
from asyncflask.testing import SyncClient


def make_app(**config: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key", **config)

    @app.post("/async/upload")
    async def async_upload() -> dict[str, Any]:
        files = await request.files
        form = await request.form
        file = files["file"]
        return {"name": file.filename, "text": file.read().decode(), "title": form["title"]}

    @app.post("/def/upload")
    def def_upload() -> dict[str, Any]:
        file = request.files["file"]
        return {"name": file.filename, "text": file.read().decode(), "title": request.form["title"]}

    @app.post("/async/login")
    async def async_login() -> str:
        session["user"] = (await request.get_json())["user"]
        return "in"

    @app.post("/def/login")
    def def_login() -> str:
        session["user"] = request.get_json()["user"]
        return "in"

    @app.get("/async/user")
    async def async_user() -> str:
        return str(session.get("user"))

    @app.get("/def/user")
    def def_user() -> str:
        return str(session.get("user"))

    @app.get("/async/fail")
    async def async_fail() -> str:
        raise LookupError("in a view")

    @app.get("/def/fail")
    def def_fail() -> str:
        raise LookupError("in a view")

    @app.get("/missing")
    async def missing() -> str:
        abort(404)

    return app


@pytest.mark.parametrize("kind", ["async", "def"])
class TestBothClients:
    async def test_uploads(self, kind: str) -> None:
        """In Flask's form."""
        data = {"file": (io.BytesIO(b"content"), "name.txt"), "title": "ü"}
        response = await make_app().test_client().post(f"/{kind}/upload", data=data)
        assert response.json() == {"name": "name.txt", "text": "content", "title": "ü"}

    def test_uploads_in_def_tests(self, kind: str) -> None:
        """The same without ``await``."""
        data = {"file": (io.BytesIO(b"content"), "name.txt"), "title": "ü"}
        response = make_app().sync_test_client().post(f"/{kind}/upload", data=data)
        assert response.json() == {"name": "name.txt", "text": "content", "title": "ü"}

    async def test_sessions_are_kept(self, kind: str) -> None:
        """By the cookie."""
        client = make_app().test_client()
        assert (await client.get(f"/{kind}/user")).text == "None"
        await client.post(f"/{kind}/login", json={"user": "ada"})
        assert (await client.get(f"/{kind}/user")).text == "ada"
        assert client.get_cookie("session") is not None

    def test_sessions_are_kept_in_def_tests(self, kind: str) -> None:
        """The same without ``await``."""
        with make_app().sync_test_client() as client:
            client.post(f"/{kind}/login", json={"user": "ada"})
            assert client.get(f"/{kind}/user").text == "ada"

    async def test_an_error_in_a_view_reaches_the_test(self, kind: str) -> None:
        """Bare, with the view in its traceback."""
        with pytest.raises(LookupError, match="in a view") as caught:
            await make_app().test_client().get(f"/{kind}/fail")
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == f"{kind}_fail"

    def test_an_error_in_a_view_reaches_a_def_test(self, kind: str) -> None:
        """The same without ``await``."""
        with pytest.raises(LookupError, match="in a view") as caught:
            make_app().sync_test_client().get(f"/{kind}/fail")
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == f"{kind}_fail"

    async def test_without_testing_it_is_a_500(self, kind: str) -> None:
        """As in production."""
        app = make_app()
        app.testing = False
        assert (await app.test_client().get(f"/{kind}/fail")).status_code == 500


class TestAsync:
    async def test_http_errors_are_responses(self) -> None:
        """With ``TESTING`` too."""
        response = await make_app().test_client().get("/missing")
        assert (response.status, response.mimetype) == ("404 NOT FOUND", "text/html")

    async def test_async_with_runs_the_serving_hooks(self) -> None:
        """And without it they are not run."""
        app = make_app()
        events: list[str] = []

        @app.before_serving
        async def start() -> None:
            events.append("started")

        @app.after_serving
        def stop() -> None:
            events.append("stopped")

        async with app.test_client() as client:
            assert events == ["started"]
            await client.get("/missing")
        assert events == ["started", "stopped"]

    async def test_a_failure_at_start_is_raised(self) -> None:
        """Bare, and the test is not entered."""
        app = make_app()

        @app.before_serving
        def start() -> None:
            raise LookupError("no database")

        with pytest.raises(LookupError, match="no database"):
            async with app.test_client():
                raise AssertionError("not reached")

    @pytest.mark.parametrize("kind", ["async", "def"])
    async def test_leaving_a_stream_runs_the_teardowns(self, kind: str) -> None:
        """Before the block is left."""
        app = make_app()
        seen: list[str] = []

        @app.get("/async")
        async def async_stream() -> AsyncIterator[str]:
            while True:
                yield f"{g.word}\n"

        @app.get("/def")
        def def_stream() -> Iterator[str]:
            while True:
                yield f"{g.word}\n"

        @app.before_request
        def set_word() -> None:
            g.word = "hello"

        @app.teardown_request
        def teardown(exc: BaseException | None) -> None:
            seen.append(g.word)

        async with app.test_client().stream("GET", f"/{kind}") as response:
            lines = response.aiter_lines()
            assert [await anext(lines), await anext(lines)] == ["hello", "hello"]
            assert seen == []
        assert seen == ["hello"]

    async def test_the_tests_own_timeout_ends_a_view(self) -> None:
        """In asyncio's form and in anyio's, which cancels again and again."""
        app = make_app()

        @app.get("/")
        async def view() -> str:
            await asyncio.Event().wait()
            return ""

        client = app.test_client(disconnect_grace=0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await client.get("/")
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await client.get("/")


class TestSync:
    def test_a_view_uses_the_tests_connection(self) -> None:
        """A view, its hooks and its stream's teardown run in the thread of the test."""
        app = make_app()
        connection = sqlite3.connect(":memory:")
        connection.execute("create table notes (text)")
        threads: list[threading.Thread] = []

        @app.before_request
        def connect() -> None:
            threads.append(threading.current_thread())
            g.db = connection

        @app.post("/")
        def add() -> tuple[str, int]:
            threads.append(threading.current_thread())
            g.db.execute("insert into notes values (?)", [request.get_data(as_text=True)])
            return "", 201

        @app.teardown_request
        def disconnect(exc: BaseException | None) -> None:
            threads.append(threading.current_thread())
            g.db.commit()

        assert app.sync_test_client().post("/", data="hello").status_code == 201
        assert connection.execute("select text from notes").fetchall() == [("hello",)]
        assert threads == [threading.current_thread()] * 3
        connection.close()

    def test_a_stream_is_read_as_it_comes(self) -> None:
        """Its generator runs in a thread of its own."""
        app = make_app()
        seen: list[str] = []

        @app.get("/")
        def view() -> Iterator[str]:
            for number in range(1000):
                seen.append(f"made {number}")
                yield f"{number}\n"

        @app.teardown_request
        def teardown(exc: BaseException | None) -> None:
            seen.append("torn down")

        with app.sync_test_client().stream("GET", "/") as response:
            lines = response.iter_lines()
            assert [next(lines), next(lines)] == ["0", "1"]
        assert len(seen) < 10
        assert seen[-1] == "torn down"

    def test_an_async_view_may_have_def_hooks(self) -> None:
        """They run in the thread of the test as well."""
        app = make_app()

        @app.before_request
        def before() -> None:
            g.thread = threading.current_thread()

        @app.get("/")
        async def view() -> str:
            return "same" if g.thread is threading.main_thread() else "other"

        assert app.sync_test_client().get("/").text == "same"

    def test_a_view_may_use_another_client(self) -> None:
        """Of the same application, for instance."""
        app = make_app()

        @app.get("/inner")
        def inner() -> str:
            return "inner"

        @app.get("/outer")
        def outer() -> str:
            return f"outer {SyncClient(app).get('/inner').text}"

        assert app.sync_test_client().get("/outer").text == "outer inner"

    def test_an_error_in_mid_stream_reaches_the_test(self) -> None:
        """While it is read."""
        app = make_app()

        @app.get("/")
        def view() -> Iterator[str]:
            yield "first"
            raise LookupError("in mid-stream")

        with app.sync_test_client().stream("GET", "/") as response:
            chunks = response.iter_bytes()
            assert next(chunks) == b"first"
            with pytest.raises(LookupError, match="in mid-stream"):
                next(chunks)

    @pytest.mark.parametrize("kind", ["async", "def"])
    def test_a_client_that_goes_away_in_mid_upload(self, kind: str) -> None:
        """Runs the teardowns, and the test sees its own error."""
        app = make_app()
        seen: list[bool] = []

        @app.teardown_request
        def teardown(exc: BaseException | None) -> None:
            seen.append(True)

        def chunks() -> Iterator[bytes]:
            yield b'{"user": '
            raise ConnectionResetError("the cable was pulled")

        with pytest.raises(ConnectionResetError, match="the cable"):
            app.sync_test_client().post(
                f"/{kind}/login", content=chunks(), content_type="application/json"
            )
        assert seen == [True]


class TestRequestContext:
    ARGUMENTS: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
        (("/hello?name=ü&name=x",), {}),
        (("/hello",), {"query_string": {"name": ["a b", "ü"]}, "headers": {"X-One": "1"}}),
        (("/hello",), {"method": "POST", "data": {"a": "1", "b": ["2", "3"]}}),
        (("/hello",), {"method": "POST", "json": {"a": ["ü"]}}),
        (("/hello",), {"base_url": "https://example.org:8443/app"}),
        (("https://example.org/a/b?c=d",), {}),
        (("/",), {"method": "PUT", "data": b"raw", "content_type": "text/plain"}),
    )

    @pytest.mark.parametrize(("args", "kwargs"), ARGUMENTS)
    def test_the_request_is_the_one_flask_makes(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """For the arguments that both take."""
        theirs = flask.Flask("theirs")
        with theirs.test_request_context(*args, **kwargs) as their_context:
            wanted = self.facts(their_context.request)
        with make_app().test_request_context(*args, **kwargs):
            assert self.facts(request) == wanted

    def facts(self, request: Any) -> dict[str, Any]:
        return {
            "method": request.method,
            "url": request.url,
            "root_url": request.root_url,
            "root_path": request.root_path,
            "path": request.path,
            "host": request.host,
            "scheme": request.scheme,
            "args": request.args.to_dict(flat=False),
            "header": request.headers.get("X-One"),
            "mimetype": request.mimetype,
            "form": request.form.to_dict(flat=False),
            "json": request.get_json(silent=True),
            "remote_addr": request.remote_addr or "127.0.0.1",
        }
