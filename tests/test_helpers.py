"""Functions for views, beside Flask's."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask
import flask.helpers
import pytest
from flask.sansio.scaffold import find_package
from markupsafe import Markup
from werkzeug.exceptions import BadRequest, HTTPException, ImATeapot, NotFound
from werkzeug.routing import BuildError
from werkzeug.wrappers import Response as WerkzeugResponse

import asyncflask.sync
from asyncflask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    g,
    get_flashed_messages,
    helpers,
    make_push_promise,
    make_response,
    message_flashed,
    redirect,
    render_template_string,
    request,
    run_sync,
    session,
    stream_with_context,
    url_for,
)
from asyncflask.ctx import current
from asyncflask.exceptions import MissingAwaitError
from tests.wire import Wire


def make_app(**config: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key", **config)
    return app


def view(**_: Any) -> str:
    return "viewed"


def add_rules(app: Any, blueprint_class: Any) -> Any:
    """Register the same rules on an application of ours or of Flask's."""
    app.add_url_rule("/", endpoint="index", view_func=view)
    app.add_url_rule("/user/<name>", endpoint="user", view_func=view)
    app.add_url_rule("/post/<int:id>", endpoint="post", view_func=view)
    app.add_url_rule("/item", endpoint="item", view_func=view)
    app.add_url_rule("/item/new", endpoint="item", view_func=view, methods=["POST"])
    app.add_url_rule("/<lang>/page", endpoint="page", view_func=view)
    app.add_url_rule("/", endpoint="sub", view_func=view, subdomain="sub")
    outer = blueprint_class("outer", __name__, url_prefix="/outer")
    outer.add_url_rule("/", endpoint="index", view_func=view)
    outer.add_url_rule("/<lang>/page", endpoint="page", view_func=view)
    inner = blueprint_class("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/", endpoint="index", view_func=view)
    inner.add_url_rule("/<lang>/<name>", endpoint="page", view_func=view)
    inner.url_defaults(lambda endpoint, values: values.setdefault("name", "by-inner"))
    outer.url_defaults(lambda endpoint, values: values.setdefault("lang", "by-outer"))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    return app


def outcome(function: Callable[[], Any]) -> Any:
    """What a call gives, or what kind of error it raises."""
    try:
        return function()
    except BuildError:
        return BuildError
    except (RuntimeError, ValueError) as error:
        return type(error)


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("index", {}),
    ("index", {"page": 2, "tag": ["a", "b & c"], "none": None}),
    ("index", {"_anchor": "top"}),
    ("index", {"_anchor": "über / <uns> #1"}),
    ("index", {"_external": True, "q": "ü"}),
    ("index", {"_scheme": "https"}),
    ("index", {"_scheme": "https", "_external": True}),
    ("index", {"_scheme": "https", "_external": False}),
    ("index", {"_scheme": "", "_external": True}),
    ("index", {"_external": False}),
    ("user", {"name": "a/b ü"}),
    ("user", {}),
    ("post", {"id": 7, "more": True}),
    ("post", {"id": "x"}),
    ("item", {}),
    ("item", {"_method": "POST"}),
    ("item", {"_method": "PUT"}),
    ("nothing", {}),
    (".index", {}),
    (".page", {"lang": "de", "name": "x"}),
    ("page", {"lang": "de"}),
    ("outer.page", {}),
    ("outer.inner.page", {}),
    ("outer.inner.page", {"lang": "de"}),
    ("outer.inner.index", {"_external": True}),
    (".nothing", {}),
    ("sub", {}),
    ("sub", {"_external": True}),
]

REQUESTS: list[dict[str, Any]] = [
    {"path": "/", "base_url": "http://localhost/"},
    {"path": "/user/ada", "base_url": "https://example.com:8443/"},
    {"path": "/outer/", "base_url": "http://example.com/below/it"},
    {"path": "/outer/inner/", "base_url": "https://sub.example.com/"},
    {"path": "/missing", "base_url": "http://example.com/"},
]


class TestURLs:
    @pytest.mark.parametrize("server_name", [None, "example.com", "EXAMPLE.com:443"])
    @pytest.mark.parametrize("made", REQUESTS, ids=lambda made: made["base_url"] + made["path"])
    @pytest.mark.parametrize("subdomain_matching", [False, True])
    @pytest.mark.filterwarnings("ignore:Current server name")  # Flask's, for hosts elsewhere
    def test_in_a_request_they_are_flasks(
        self, made: dict[str, Any], server_name: str | None, subdomain_matching: bool
    ) -> None:
        """Paths, queries, anchors, absolute URLs, relative endpoints and errors."""
        options = {"static_folder": None, "subdomain_matching": subdomain_matching}
        app = add_rules(Flask(__name__, **options), Blueprint)
        other = add_rules(flask.Flask(__name__, **options), flask.Blueprint)
        app.config["SERVER_NAME"] = other.config["SERVER_NAME"] = server_name
        for endpoint, values in CALLS:
            with other.test_request_context(**made):
                theirs = outcome(lambda: flask.url_for(endpoint, **values))  # noqa: B023
            with app.test_request_context(**made):
                ours = outcome(lambda: url_for(endpoint, **values))  # noqa: B023
            assert ours == theirs, (endpoint, values)

    @pytest.mark.parametrize("server_name", [None, "Example.com", "example.com:8080"])
    @pytest.mark.parametrize("root", ["/", "/below/"])
    def test_outside_of_requests_they_are_flasks(self, server_name: str | None, root: str) -> None:
        """Absolute, from the configuration."""
        app = add_rules(make_app(), Blueprint)
        other = add_rules(flask.Flask(__name__, static_folder=None), flask.Blueprint)
        for one in (app, other):
            one.config["SERVER_NAME"] = server_name
            one.config["APPLICATION_ROOT"] = root
            one.config["PREFERRED_URL_SCHEME"] = "https"
        for endpoint, values in CALLS:
            with other.app_context():
                theirs = outcome(lambda: flask.url_for(endpoint, **values))  # noqa: B023
            with app.app_context():
                ours = outcome(lambda: url_for(endpoint, **values))  # noqa: B023
            assert ours == theirs, (endpoint, values)
            assert outcome(lambda: app.url_for(endpoint, **values)) == theirs  # noqa: B023

    def test_hosts_are_matched_as_in_flask(self) -> None:
        """A rule of this host makes a path, one of another an absolute URL."""
        apps: list[Any] = [
            Flask(__name__, static_folder=None, host_matching=True),
            flask.Flask(__name__, static_folder=None, host_matching=True),
        ]
        for app in apps:
            app.config["SERVER_NAME"] = "example.org"
            app.add_url_rule("/", endpoint="here", view_func=view, host="one.test")
            app.add_url_rule("/", endpoint="there", view_func=view, host="<name>.two.test")
        ours, theirs = apps
        for endpoint, values in [("here", {}), ("there", {"name": "a"}), ("there", {})]:
            with theirs.test_request_context(base_url="http://one.test/"):
                expected = outcome(lambda: flask.url_for(endpoint, **values))  # noqa: B023
            with ours.test_request_context(base_url="http://one.test/"):
                assert outcome(lambda: url_for(endpoint, **values)) == expected  # noqa: B023

    def test_without_a_server_name_the_error_says_what_to_set(self) -> None:
        """Outside of requests nothing else knows the host."""
        app = add_rules(make_app(), Blueprint)
        with app.app_context(), pytest.raises(RuntimeError, match="without 'SERVER_NAME'"):
            url_for("index")

    def test_an_error_names_what_is_nearest(self) -> None:
        """A wrong endpoint the right one, a missing value its name."""
        app = add_rules(make_app(), Blueprint)
        with app.test_request_context():
            with pytest.raises(BuildError, match=r"'usr'.*Did you mean 'user'"):
                url_for("usr")
            with pytest.raises(BuildError, match=r"specify values \['name'\]"):
                url_for("user")

    def test_a_scheme_needs_an_absolute_url(self) -> None:
        """Otherwise a URL would silently be less secure than was asked for."""
        app = add_rules(make_app(), Blueprint)
        with app.test_request_context(), pytest.raises(ValueError, match="'_scheme' is for absol"):
            url_for("index", _scheme="https", _external=False)

    def test_values_may_have_any_name(self) -> None:
        """`app` is the name of a parameter inside."""
        app = add_rules(make_app(), Blueprint)
        with app.test_request_context():
            assert url_for("index", app=1, values=2) == "/?app=1&values=2"

    async def test_below_a_mount_they_carry_its_prefix(self) -> None:
        """Quoted; and the outer application's URLs are its own affair."""
        inner, outer = make_app(), make_app(SERVER_NAME="example.com")

        @inner.get("/page")
        async def page() -> list[str]:
            return [url_for("page"), url_for("page", _external=True), outer.url_for("outside")]

        outer.add_url_rule("/outside", endpoint="outside", view_func=view)
        outer.mount("/in", inner)
        outer.mount("/é b", inner)
        for prefix in ("/in", "/%C3%A9%20b"):
            response = await outer.test_client().get(f"http://example.com{prefix}/page")
            assert response.json() == [
                f"{prefix}/page",
                f"http://example.com{prefix}/page",
                "http://example.com/outside",
            ]

    def test_a_host_that_is_not_trusted_gets_into_no_url(self) -> None:
        """Error pages can still link to paths."""
        app = add_rules(make_app(TRUSTED_HOSTS=["example.com"]), Blueprint)
        with app.test_request_context(base_url="http://evil.test/"):
            assert url_for("index") == "/"
            with pytest.raises(BadRequest, match="no Host"):
                url_for("index", _external=True)
        with app.test_request_context(base_url="http://example.com/"):
            assert url_for("index", _external=True) == "http://example.com/"

    @pytest.mark.parametrize("host", ["", "a:99999", "a,b"])
    async def test_a_host_of_which_no_url_can_be_made_is_the_clients_mistake(
        self, host: str
    ) -> None:
        """No error of the application: its views may build paths all the same."""
        app = make_app()

        @app.get("/absolute")
        async def absolute() -> str:
            return url_for("absolute", _external=True)

        @app.get("/path")
        async def path() -> str:
            return url_for("path")

        client = app.test_client()
        assert (await client.get("/absolute", headers={"Host": host})).status_code == 400
        assert (await client.get("/path", headers={"Host": host})).text == "/path"

    def test_handlers_may_answer_for_a_url_that_cannot_be_built(self) -> None:
        """The first answer counts; with none, the last error is raised."""
        app = add_rules(make_app(), Blueprint)
        seen: list[Any] = []

        def knows_nothing(error: Exception, endpoint: str, values: dict[str, Any]) -> Any:
            seen.append((endpoint, values))

        def fails(error: Exception, endpoint: str, values: dict[str, Any]) -> Any:
            raise BuildError("another", {}, None)

        def knows_wiki(error: Exception, endpoint: str, values: dict[str, Any]) -> Any:
            return f"https://wiki.test/{values['name']}" if endpoint == "wiki" else None

        app.url_build_error_handlers += [knows_nothing, fails, knows_wiki]
        with app.test_request_context():
            assert url_for("wiki", name="x", _anchor="a") == "https://wiki.test/x"
            assert seen == [
                (
                    "wiki",
                    {
                        "name": "x",
                        "_anchor": "a",
                        "_method": None,
                        "_scheme": None,
                        "_external": False,
                    },
                )
            ]
            with pytest.raises(BuildError, match="another"):
                url_for("nothing")

    def test_defaults_may_come_from_the_application(self) -> None:
        """For all endpoints, before those of blueprints."""
        app = add_rules(make_app(), Blueprint)

        @app.url_defaults
        def add_language(endpoint: str, values: dict[str, Any]) -> None:
            if app.url_map.is_endpoint_expecting(endpoint, "lang"):
                values.setdefault("lang", "by-app")

        with app.test_request_context():
            assert url_for("page") == "/by-app/page"
            assert url_for("outer.inner.page") == "/outer/inner/by-app/by-inner"

    @pytest.mark.parametrize(
        ("endpoint", "names"),
        [(None, ()), ("index", ()), ("a.index", ("a",)), ("a.b.index", ("a.b", "a"))],
    )
    def test_blueprints_of_an_endpoint(self, endpoint: str | None, names: Any) -> None:
        """The innermost first."""
        assert helpers.blueprint_names(endpoint) == names


class TestResponses:
    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("text",),
            ("text", 201),
            ("text", {"X-A": "1"}),
            ("text", 201, {"X-A": "1"}),
            (("text", 201),),
            ({"a": 1}, 201),
            (b"bytes", "404 Not here"),
        ],
    )
    def test_make_response_takes_what_views_return(self, arguments: tuple[Any, ...]) -> None:
        """As Flask's does."""
        with make_app().test_request_context():
            ours = make_response(*arguments)
        with flask.Flask(__name__).test_request_context():
            theirs = flask.make_response(*arguments)
        assert ours.status == theirs.status
        assert ours.headers.get("X-A") == theirs.headers.get("X-A")
        assert ours.data.strip().replace(b" ", b"") == theirs.data.strip().replace(b" ", b"")

    async def test_make_response_tells_a_forgotten_await(self) -> None:
        """With what to write."""
        app = make_app()

        @app.get("/")
        async def index() -> Any:
            return make_response(render_template_string("x"))

        with pytest.raises(MissingAwaitError, match=r"await render_template_string\(\.\.\.\)"):
            await app.test_client().get("/")

    @pytest.mark.parametrize("location", ["/x", "https://example.com/?a=1&b=2", "/ü", '/"><b>'])
    def test_redirect_is_flasks(self, location: str) -> None:
        """With a page for those that do not follow by themselves."""
        with make_app().test_request_context():
            ours = redirect(location, 303)
        with flask.Flask(__name__).test_request_context():
            theirs = flask.redirect(location, 303)
        assert ours.status_code == theirs.status_code == 303
        assert ours.data == theirs.data
        assert ours.headers["Location"] == theirs.headers["Location"]
        assert type(ours) is Response

    def test_redirect_without_an_application(self) -> None:
        """The class can be given then."""
        assert type(redirect("/x")) is Response
        assert type(redirect("/x", Response=WerkzeugResponse)) is WerkzeugResponse

    async def test_redirect_refuses_line_breaks(self) -> None:
        """Nothing a client sends becomes a header of its own."""
        app = make_app()

        @app.get("/")
        async def index() -> Response:
            return redirect(request.args["to"])

        with pytest.raises(ValueError, match="newline"):
            await app.test_client().get("/?to=/x%0d%0aSet-Cookie:%20a=b")

    async def test_abort_ends_the_request(self) -> None:
        """With a code, a description, or a response."""
        app = make_app()

        @app.get("/<how>")
        async def index(how: str) -> str:
            if how == "code":
                abort(404, "not here")
            abort(Response("as it is", 418))

        client = app.test_client()
        response = await client.get("/code")
        assert response.status_code == 404
        assert "not here" in response.text
        response = await client.get("/response")
        assert (response.status_code, response.text) == (418, "as it is")

    def test_abort_asks_the_application(self) -> None:
        """Which may know more codes; outside of one there are Werkzeug's."""
        app = make_app()
        app.aborter.mapping[799] = ImATeapot
        with app.app_context(), pytest.raises(ImATeapot):
            abort(799)
        with pytest.raises(NotFound):
            abort(404)
        with pytest.raises(LookupError):
            abort(799)
        with pytest.raises(HTTPException) as caught:
            abort(Response("x"))
        assert caught.value.response is not None


class TestFlashes:
    @pytest.mark.parametrize("kind", ["def", "async def"])
    async def test_messages_wait_for_the_next_page(self, kind: str) -> None:
        """And are shown once, there as often as it asks."""
        app = make_app()

        def set_view() -> str:
            flash("one")
            flash(Markup("<b>two</b>"), "error")
            return "set"

        async def async_set_view() -> str:
            return set_view()

        @app.get("/show")
        async def show() -> list[Any]:
            return [
                get_flashed_messages(),
                get_flashed_messages(with_categories=True),
                get_flashed_messages(category_filter=["error"]),
                get_flashed_messages(True, ["message"]),
            ]

        app.add_url_rule("/", "set", set_view if kind == "def" else async_set_view)
        client = app.test_client()
        await client.get("/")
        assert (await client.get("/show")).json() == [
            ["one", "<b>two</b>"],
            [["message", "one"], ["error", "<b>two</b>"]],
            ["<b>two</b>"],
            [["message", "one"]],
        ]
        assert (await client.get("/show")).json() == [[], [], [], []]

    def test_the_session_is_flasks(self) -> None:
        """A message that one application flashes is shown by the other."""
        app, other = make_app(), flask.Flask(__name__)
        other.secret_key = "a key"
        with app.test_request_context():
            flash("a", "info")
            flash("b")
            ours = dict(session)
        with other.test_request_context():
            flask.flash("a", "info")
            flask.flash("b")
            assert dict(flask.session) == ours

    def test_a_receiver_hears_of_messages(self) -> None:
        """`def`, or `async def` where the message is flashed in `def` code."""
        app = make_app()
        heard: list[Any] = []

        def receiver(sender: Flask, message: str, category: str) -> None:
            heard.append((sender is app, message, category))

        async def async_receiver(sender: Flask, message: str, category: str) -> None:
            await asyncio.sleep(0)
            heard.append(message)

        app.add_url_rule("/", view_func=lambda: str(flash("a", "info")), endpoint="index")
        with (
            message_flashed.connected_to(receiver, app),
            message_flashed.connected_to(async_receiver, app),
        ):
            app.sync_test_client().get("/")
        assert sorted(heard, key=str) == [(True, "a", "info"), "a"]

    async def test_an_async_receiver_is_told_by_the_await(self) -> None:
        """In `async def` code, as in Quart; without the `await` a warning names the line."""
        app = make_app()
        heard: list[Any] = []

        def receiver(sender: Flask, message: str, category: str) -> None:
            heard.append(message)

        async def async_receiver(sender: Flask, message: str, category: str) -> None:
            await asyncio.sleep(0)
            heard.append((sender is app, message, category))

        async with app.test_request_context():
            with (
                message_flashed.connected_to(receiver, app),
                message_flashed.connected_to(async_receiver, app),
            ):
                await flash("a", "info")  # type: ignore[func-returns-value]
                assert sorted(heard, key=str) == [(True, "a", "info"), "a"]
                with pytest.warns(RuntimeWarning, match=r"flash\(...\) was never awaited"):
                    flash("b")
            assert [message for _, message in session["_flashes"]] == ["a", "b"]


class TestStreams:
    """What `stream_with_context` gives keeps the context, and leaves the consumer's alone."""

    def test_a_generator(self) -> None:
        """Consumed after the context was left."""
        app = make_app()
        record: list[str] = []

        def pieces() -> Iterator[str]:
            try:
                yield request.args["name"]
                yield f"{g.number}"
            finally:
                record.append(f"closed {current_app.name}")

        with app.test_request_context("/?name=x"):
            g.number = 7
            stream = stream_with_context(pieces())
        assert next(stream) == "x"
        assert current.get(None) is None
        assert list(stream) == ["7"]
        assert record == [f"closed {app.name}"]

    async def test_an_async_generator(self) -> None:
        """The same; in another task, too."""
        app = make_app()
        record: list[str] = []

        async def pieces() -> AsyncIterator[str]:
            try:
                yield request.args["name"]
                await asyncio.sleep(0)
                yield f"{g.number}"
            finally:
                record.append(f"closed {current_app.name}")

        async with app.test_request_context("/?name=x"):
            g.number = 7
            stream = stream_with_context(pieces())

        async def consume() -> list[str]:
            found = []
            async for piece in stream:
                assert current.get(None) is None
                found.append(piece)
            return found

        assert await asyncio.create_task(consume()) == ["x", "7"]
        assert record == [f"closed {app.name}"]

    async def test_as_a_decorator(self) -> None:
        """The context is taken when the function is called."""
        app = make_app()

        @stream_with_context
        def pieces(end: str) -> Iterator[str]:
            """A docstring."""
            yield request.args["name"]
            yield end

        @stream_with_context
        async def async_pieces(end: str) -> AsyncIterator[str]:
            yield request.args["name"]
            yield end

        async with app.test_request_context("/?name=x"):
            stream = pieces("y")
            async_stream = async_pieces(end="y")
        assert "".join(stream) == "xy"
        assert [piece async for piece in async_stream] == ["x", "y"]
        assert pieces.__doc__ == "A docstring."

    async def test_closing_closes_the_generator_within_the_context(self) -> None:
        """Its `finally` blocks may use the request."""
        app = make_app()
        record: list[str] = []

        def pieces() -> Iterator[str]:
            try:
                yield "one"
                yield "two"
            finally:
                record.append(request.path)

        async def async_pieces() -> AsyncIterator[str]:
            try:
                yield "one"
                yield "two"
            finally:
                record.append(request.path)

        async with app.test_request_context("/a"):
            stream: Any = stream_with_context(pieces())
            async_stream: Any = stream_with_context(async_pieces())
        assert next(stream) == "one"
        stream.close()
        assert await anext(async_stream) == "one"
        await async_stream.aclose()
        assert record == ["/a", "/a"]
        assert list(stream) == []

    async def test_iterators_that_cannot_be_closed(self) -> None:
        """Closing does nothing then."""
        app = make_app()

        class Numbers:
            def __aiter__(self) -> Numbers:
                return self

            async def __anext__(self) -> str:
                raise StopAsyncIteration

        async with app.test_request_context():
            stream: Any = stream_with_context(["a", "b"])
            async_stream: Any = stream_with_context(Numbers())
        stream.close()
        assert list(stream) == ["a", "b"]
        await async_stream.aclose()
        assert [piece async for piece in async_stream] == []

    @pytest.mark.parametrize("kind", ["def", "async def"])
    async def test_a_view_may_return_it(self, kind: str) -> None:
        """As in Flask, where it is needed; it is closed when the client has it all."""
        app = make_app()
        record: list[str] = []

        def index() -> Any:
            @stream_with_context
            def pieces() -> Iterator[str]:
                try:
                    yield "Hello "
                    yield request.args["name"]
                finally:
                    record.append("closed")

            return pieces()

        async def async_index() -> Any:
            return index()

        app.add_url_rule("/", "index", index if kind == "def" else async_index)
        assert (await app.test_client().get("/?name=ada")).text == "Hello ada"
        assert record == ["closed"]

    async def test_it_needs_a_request(self) -> None:
        """An application's context is not enough."""
        app = make_app()
        with pytest.raises(RuntimeError, match="when a request context is active"):
            stream_with_context(iter(["x"]))
        with app.app_context(), pytest.raises(RuntimeError, match="when a request context"):
            stream_with_context(iter(["x"]))

    async def test_it_takes_generators_and_functions_only(self) -> None:
        """A coroutine is neither."""

        async def not_a_generator() -> str:
            return "x"

        coroutine: Any = not_a_generator()
        with (
            make_app().test_request_context(),
            pytest.raises(TypeError, match=r"takes a generator, .* not 'coroutine'"),
        ):
            stream_with_context(coroutine)
        coroutine.close()


class TestEnvironment:
    @pytest.mark.parametrize("value", [None, "", "0", "1", "no", "False", "yes", "x"])
    def test_flags_are_read_as_flask_does(
        self, value: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Under our name, or under Flask's."""
        for prefix in ("FLASK", "ASYNCFLASK"):
            for name in ("DEBUG", "SKIP_DOTENV"):
                monkeypatch.delenv(f"FLASK_{name}", raising=False)
                monkeypatch.delenv(f"ASYNCFLASK_{name}", raising=False)
                if value is not None:
                    monkeypatch.setenv(f"{prefix}_{name}", value)
            ours = (helpers.get_debug_flag(), helpers.get_load_dotenv(False))
            if prefix == "FLASK":
                theirs = (flask.helpers.get_debug_flag(), flask.helpers.get_load_dotenv(False))
            assert ours == theirs

    def test_our_name_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where both are set."""
        monkeypatch.setenv("FLASK_DEBUG", "1")
        monkeypatch.setenv("ASYNCFLASK_DEBUG", "0")
        assert helpers.get_debug_flag() is False

    @pytest.mark.parametrize(("value", "age"), [(None, None), (60, 60), (timedelta(hours=1), 3600)])
    def test_max_age_of_files(self, value: Any, age: int | None) -> None:
        """In seconds, or as a `timedelta`."""
        assert helpers.send_file_max_age({"SEND_FILE_MAX_AGE_DEFAULT": value}) == age


class TestFolders:
    @pytest.fixture
    def tree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Modules and packages that can be imported, and some that are installed."""
        files = ["one_module.py", "pack/__init__.py", "pack/sub/__init__.py", "pack/part.py"]
        for file in [*files, "space/portion/__init__.py", "space/portion/part.py"]:
            path = tmp_path / "source" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for number, place in enumerate(["lib/python3.13/site-packages", "Lib/site-packages", "x"]):
            site = tmp_path / f"env{number}" / place
            site /= "" if "site-packages" in place else "site-packages"
            site.mkdir(parents=True)
            (site / f"installed{number}.py").touch()
            monkeypatch.syspath_prepend(site)
        monkeypatch.syspath_prepend(tmp_path / "source")
        return tmp_path

    NAMES = (
        "one_module",
        "pack",
        "pack.part",
        "pack.sub",
        "space.portion",
        "space.portion.part",
        "installed0",
        "installed1",
        "installed2",
        "no_such_module",
        "no_such.module",
        "click",
        "json",
    )

    @pytest.mark.parametrize("name", [*NAMES, "__main__"])
    def test_the_instance_folder_is_flasks(self, name: str, tree: Path) -> None:
        """Beside the package, or below the prefix it is installed in."""
        prefix, package = find_package(name)
        root = flask.helpers.get_root_path(name)
        expected = (
            os.path.join(package, "instance")
            if prefix is None
            else os.path.join(prefix, "var", f"{name}-instance")
        )
        assert helpers.find_instance_path(name, root) == expected

    @pytest.mark.parametrize("name", [*NAMES, "__main__", "tests", "not a name", ""])
    def test_the_root_path_is_flasks(self, name: str, tree: Path) -> None:
        """Whether the module was imported already or not."""
        assert outcome(lambda: helpers.get_root_path(name)) == outcome(
            lambda: flask.helpers.get_root_path(name)
        )

    @pytest.mark.parametrize("name", ["space", "sys"])
    def test_what_has_no_folder_needs_a_root_path(self, name: str, tree: Path) -> None:
        """A namespace package, a module that is built in."""
        with pytest.raises(RuntimeError, match=r"Pass 'root_path'"):
            helpers.get_root_path(name)

    def test_a_namespace_package_itself(self, tree: Path) -> None:
        """Its first folder counts."""
        expected = os.path.join(find_package("space")[1], "instance")
        assert helpers.find_instance_path("space", os.getcwd()) == expected

    def test_below_the_systems_prefix(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As Flask has it."""
        monkeypatch.setattr(sys, "prefix", str(tree))
        expected = os.path.join(tree, "var", "one_module-instance")
        assert helpers.find_instance_path("one_module", str(tree / "source")) == expected


def test_nothing_of_a_stream_stays() -> None:
    """A context that was kept for a stream goes with it."""
    app = make_app()
    with app.test_request_context():
        stream = stream_with_context(iter(["x"]))
    assert list(stream) == ["x"]
    del stream
    gc.collect()
    assert current.get(None) is None


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_pushes_are_promised_where_the_server_offers_it(kind: str) -> None:
    """With the headers that the client will want for them; otherwise nothing is sent."""
    app = make_app()

    def page() -> str:
        asyncflask.sync.make_push_promise("/style.css")
        return "page"

    async def async_page() -> str:
        await make_push_promise("/style.css")
        return "page"

    app.get("/")(page if kind == "def" else async_page)
    for offered in ({"http.response.push": {}}, {}, None):
        wire = Wire("/")
        headers: Any = [(b"accept", b"text/css"), (b"cookie", b"a=b")]
        wire.scope.update(headers=headers, extensions=offered)
        await app(wire.scope, wire.receive, wire.send)
        pushes = [each for each in wire.sent if each["type"] == "http.response.push"]
        expected = {
            "type": "http.response.push",
            "path": "/style.css",
            "headers": [(b"accept", b"text/css")],
        }
        assert pushes == ([expected] if offered else [])
    with pytest.raises(RuntimeError, match="outside of a request"):
        make_push_promise("/style.css")


async def test_flash_may_be_awaited() -> None:
    """As Quart's code does; it need not be."""
    app = make_app()
    async with app.test_request_context():
        await flash("first")  # type: ignore[func-returns-value]
        flash("second")
        assert get_flashed_messages() == ["first", "second"]


def test_flashed_messages_need_a_session() -> None:
    """Outside of a request it says so, in an application context too."""
    app = Flask("shop", static_folder=None)
    with pytest.raises(RuntimeError, match="'session' was used outside of a request"):
        get_flashed_messages()
    with app.app_context(), pytest.raises(RuntimeError, match="outside of a request"):
        get_flashed_messages()


async def test_run_sync_runs_a_function_in_a_thread() -> None:
    """In a worker of the application where there is one, with its context."""

    @run_sync
    def where(value: int) -> tuple[int, int, str | None]:
        return value, threading.get_ident(), current_app.name if current_app else None

    here = threading.get_ident()
    app = make_app()
    async with app.app_context():
        value, thread, name = await where(5)
        assert (value, name) == (5, app.name)
        assert thread != here
        assert app.pool.threads == 1
    value, thread, name = await where(6)
    assert (value, name) == (6, None)
    assert thread != here
    app.close_pools()
