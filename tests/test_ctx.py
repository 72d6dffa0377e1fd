"""Contexts: what is current, where, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from werkzeug.exceptions import MethodNotAllowed, NotFound

from asyncflask import (
    Blueprint,
    Flask,
    Response,
    after_this_request,
    after_this_websocket,
    app_ctx,
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    copy_current_app_context,
    copy_current_request_context,
    copy_current_websocket_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    has_websocket_context,
    json,
    request,
    request_ctx,
    request_tearing_down,
    session,
    url_for,
    websocket,
    websocket_ctx,
)
from asyncflask.ctx import AppContext, ConnectionContext, RequestContext, WebsocketContext, current
from asyncflask.sessions import SecureCookieSession, SecureCookieSessionInterface


@pytest.fixture
def app() -> Flask:
    app = Flask("shop", static_folder=None)
    app.secret_key = "a key"

    @app.get("/item/<int:number>", endpoint="item")
    async def item(number: int) -> str:
        return f"item {number}"

    return app


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Each test leaves no context behind."""
    yield
    assert current.get(None) is None


def in_thread(work: Callable[[], Any]) -> Any:
    """Call `work` in a thread that was given no context."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as exc:
            results.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    return results[0]


# Pushing and popping.


def test_has_context_functions(app: Flask) -> None:
    """A request context is an application context too."""
    assert (has_app_context(), has_request_context()) == (False, False)
    with app.app_context():
        assert (has_app_context(), has_request_context()) == (True, False)
    with app.test_request_context():
        assert (has_app_context(), has_request_context()) == (True, True)
        with app.app_context():
            assert (has_app_context(), has_request_context()) == (True, True)
    assert (has_app_context(), has_request_context()) == (False, False)


@pytest.mark.parametrize("make", [Flask.app_context, Flask.test_request_context])
def test_push_and_pop_by_hand(app: Flask, make: Callable[[Flask], AppContext]) -> None:
    """As `with` does."""
    context = make(app)
    context.push()
    assert app_ctx._get_current_object() is context  # type: ignore[attr-defined]
    assert current_app.name == "shop"
    context.pop()
    assert not has_app_context()


@pytest.mark.parametrize("make", [Flask.app_context, Flask.test_request_context])
async def test_async_with(app: Flask, make: Callable[[Flask], AppContext]) -> None:
    """In `async def` code; what is awaited within sees the context, and so do tasks."""

    async def name() -> str:
        return current_app.name

    async with make(app) as context:
        assert context.loop is asyncio.get_running_loop()
        assert await name() == await asyncio.create_task(name()) == "shop"
    assert not has_app_context()


def test_contexts_are_popped_in_reverse_order(app: Flask) -> None:
    """Another order is an error that says so, and changes nothing."""
    outer, inner = app.app_context(), app.test_request_context("/x")
    outer.push()
    inner.push()
    with pytest.raises(RuntimeError, match="reverse order") as caught:
        outer.pop()
    assert str(caught.value).startswith("<AppContext of 'shop'> cannot be popped")
    inner.pop()
    outer.pop()
    with pytest.raises(RuntimeError, match="'/x' of 'shop'> cannot be popped"):
        inner.pop()


async def test_apop_checks_the_order_too(app: Flask) -> None:
    """As `pop` does."""
    context = app.app_context()
    with pytest.raises(RuntimeError, match="not the current context"):
        await context.apop()


def test_a_context_can_be_pushed_twice(app: Flask) -> None:
    """It ends with the last pop: then the teardown functions run."""
    record: list[str] = []
    app.teardown_appcontext(lambda exc: record.append("teardown"))
    context = app.app_context()
    with context:
        with context:
            g.x = 1
        assert record == []
        assert g.x == 1
    assert record == ["teardown"]


async def test_a_context_can_be_pushed_twice_in_async_code(app: Flask) -> None:
    """As in `def` code."""
    record: list[str] = []
    app.teardown_appcontext(lambda exc: record.append("teardown"))
    context = app.test_request_context()
    async with context:
        async with context:
            pass
        assert record == []
    assert record == ["teardown"]


def test_an_app_context_within_a_request(app: Flask) -> None:
    """The request stays visible, `g` is its own, and the outer one comes back."""
    with app.test_request_context("/item/3"):
        g.name = "outer"
        session["user"] = "ann"
        with app.app_context() as inner:
            assert request.path == "/item/3"
            assert inner.request is request._get_current_object()  # type: ignore[attr-defined]
            assert session["user"] == inner.session["user"] == "ann"
            assert request_ctx._get_current_object() is inner.request_context  # type: ignore[attr-defined]
            assert "name" not in g
            g.name = "inner"
        assert g.name == "outer"


def test_a_context_of_another_application_hides_the_request(app: Flask) -> None:
    """It belongs to that one alone."""
    other = Flask("other", static_folder=None)
    with app.test_request_context(), other.app_context() as inner:
        assert current_app.name == "other"
        assert not has_request_context()
        with pytest.raises(RuntimeError, match="'request' was used outside of a request"):
            _ = inner.request
        with pytest.raises(RuntimeError, match="'session' was used outside of a request"):
            _ = inner.session


def test_a_context_pushed_again_elsewhere_forgets_the_request(app: Flask) -> None:
    """What is visible is decided by where it is pushed."""
    context = app.app_context()
    with app.test_request_context(), context:
        assert has_request_context()
    with context:
        assert not has_request_context()


def test_signals_of_pushing_and_popping(app: Flask) -> None:
    """Sent from the application, once each time."""
    record: list[str] = []

    def pushed(sender: Flask, **_: Any) -> None:
        record.append(f"pushed {current_app.name}")

    def popped(sender: Flask, **_: Any) -> None:
        record.append(f"popped {sender.name} {has_app_context()}")

    with appcontext_pushed.connected_to(pushed, app), appcontext_popped.connected_to(popped, app):
        with app.app_context():
            record.append("in")
        with app.test_request_context():
            record.append("in request")
    assert record == [
        "pushed shop",
        "in",
        "popped shop False",
        "pushed shop",
        "in request",
        "popped shop False",
    ]


# Teardown.


@pytest.mark.parametrize("error", [None, ValueError("x")])
def test_teardown_functions_get_the_exception(app: Flask, error: Exception | None) -> None:
    """Of a `with` block, each function exactly once: the request's, then the context's."""
    seen: list[Any] = []
    part = Blueprint("part", __name__)
    part.add_url_rule("/part", "view", lambda: "")
    part.teardown_request(lambda exc: seen.append(("blueprint", exc)))
    app.register_blueprint(part)
    app.teardown_request(lambda exc: seen.append(("request", exc)))

    @app.teardown_appcontext
    async def teardown(exc: BaseException | None) -> None:
        seen.append(("context", exc))

    def leave() -> None:
        if error is not None:
            raise error

    def run(context: AppContext) -> None:
        seen.clear()
        with contextlib.suppress(ValueError), context:
            leave()

    run(app.test_request_context("/part"))
    assert seen == [("blueprint", error), ("request", error), ("context", error)]
    run(app.test_request_context("/"))
    assert seen == [("request", error), ("context", error)]
    run(app.app_context())
    assert seen == [("context", error)]


async def test_teardown_functions_of_async_with(app: Flask) -> None:
    """`async def` ones are awaited on this loop, `def` ones run in a worker."""
    seen: list[Any] = []

    @app.teardown_request
    async def on_loop(exc: BaseException | None) -> None:
        seen.append((exc, threading.current_thread() is threading.main_thread(), request.path))

    @app.teardown_appcontext
    def in_worker(exc: BaseException | None) -> None:
        seen.append((exc, threading.current_thread() is threading.main_thread(), request.path))

    error = ValueError("x")
    with pytest.raises(ValueError, match="x"):
        async with app.test_request_context("/a"):
            raise error
    assert seen == [(error, True, "/a"), (error, False, "/a")]


async def test_a_with_block_on_a_loop_cannot_await_teardowns(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what to write; the other functions run, and the context is left."""
    record: list[str] = []
    app.teardown_appcontext(lambda exc: record.append("ran"))

    @app.teardown_appcontext
    async def teardown(exc: BaseException | None) -> None:
        record.append("never")

    with app.app_context():
        pass
    assert record == ["ran"]
    assert "Use 'async with'." in caplog.text


def test_teardown_signals(app: Flask) -> None:
    """The request's, then the context's, with the exception."""
    seen: list[Any] = []

    def note(sender: Flask, exc: BaseException | None) -> None:
        seen.append(exc)

    with appcontext_tearing_down.connected_to(note, app):
        with app.app_context():
            pass
        with request_tearing_down.connected_to(note, app), app.test_request_context():
            pass
    assert seen == [None, None, None]


# A request made by hand.


@pytest.mark.parametrize("started", [False, True])
def test_a_test_request_context_is_matched(app: Flask, started: bool) -> None:
    """With the rules, before the application has started as after it."""
    app.add_url_rule("/old", redirect_to="/new", endpoint="old")
    if started:
        app.freeze()
    with app.test_request_context("/item/3?x=1", method="HEAD") as context:
        assert (request.endpoint, request.view_args) == ("item", {"number": 3})
        assert str(request.url_rule) == "/item/<int:number>"
        assert request.routing_exception is None
        assert context.endpoint.name == "item"
    with app.test_request_context("/nowhere"):
        assert (request.endpoint, request.view_args, request.url_rule) == (None, None, None)
        assert isinstance(request.routing_exception, NotFound)
    with app.test_request_context("/item/3", method="POST"):
        assert request.endpoint is None
        assert isinstance(request.routing_exception, MethodNotAllowed)
    with app.test_request_context("/item/3", method="OPTIONS"):
        assert request.endpoint == "item"
        assert app.make_default_options_response().allow.to_header() == "GET, HEAD, OPTIONS"


def test_test_request_context_as_in_flask(app: Flask) -> None:
    """The same arguments give the same request."""
    theirs = flask.Flask("shop", static_folder=None)
    theirs.add_url_rule("/item/<int:number>", "item", lambda number: "")
    arguments: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        (("/item/3?x=1&x=2",), {}),
        (("/item/3",), {"method": "POST", "data": {"a": "1"}}),
        (("/item/3",), {"method": "POST", "json": {"a": 1}}),
        (("/",), {"base_url": "https://example.com/app"}),
        (("/",), {"headers": {"X-Name": "value"}, "query_string": {"q": "é"}}),
    ]

    def seen(request: Any) -> list[Any]:
        return [
            request.method,
            request.path,
            request.full_path,
            request.url,
            request.root_path,
            request.args.to_dict(flat=False),
            request.form.to_dict(),
            request.get_json(silent=True),
            request.mimetype,
            request.headers.get("X-Name"),
            request.endpoint,
            request.view_args,
            type(request.routing_exception),
        ]

    for args, kwargs in arguments:
        with theirs.test_request_context(*args, **kwargs):
            expected = seen(flask.request)
        with app.test_request_context(*args, **kwargs):
            assert seen(request) == expected


def test_a_request_context_of_a_scope_has_nothing_to_receive(app: Flask) -> None:
    """Unless it is given what to receive from."""
    scope = {"type": "http", "method": "GET", "path": "/item/1", "headers": []}
    with app.request_context(scope) as context:
        assert isinstance(context, RequestContext)
        assert request.view_args == {"number": 1}
        assert (scope["app"], scope["path_params"]) == (app, {"number": 1})
        with pytest.raises(RuntimeError, match="has nothing more to receive"):
            asyncio.run(context.receive())  # type: ignore[arg-type]
        assert asyncio.run(context.send({"type": "x"})) is None  # type: ignore[arg-type, func-returns-value]


def test_the_session_is_opened_at_the_first_access(app: Flask) -> None:
    """Not before, and once."""
    opened: list[str] = []

    class Interface(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> SecureCookieSession | None:
            opened.append(request.path)
            return super().open_session(app, request)

    app.session_interface = Interface()
    with app.test_request_context("/x"):
        assert opened == []
        session["a"] = 1
        assert session["a"] == 1
        assert opened == ["/x"]


def test_without_a_secret_key_the_session_is_a_null_session(app: Flask) -> None:
    """It can be read, and writing says what is missing."""
    app.secret_key = None
    with app.test_request_context():
        assert "user" not in session
        with pytest.raises(RuntimeError, match="secret"):
            session["user"] = "ann"


class AsyncInterface(SecureCookieSessionInterface):
    """Opens sessions asynchronously: one, none, or with an error."""

    async def open_session(self, app: Any, request: Any) -> Any:
        if request.path == "/fails":
            raise OSError("no store")
        return SecureCookieSession({"a": 1}) if request.path == "/" else None


def test_a_session_that_is_opened_asynchronously_is_there_in_a_made_up_request(app: Flask) -> None:
    """In plain code it is opened at the first access."""
    app.session_interface = AsyncInterface()
    with app.test_request_context():
        assert session["a"] == 1
    with app.test_request_context("/null"), pytest.raises(RuntimeError, match="secret"):
        session["a"] = 2


async def test_async_with_opens_such_a_session(app: Flask) -> None:
    """With `with` in `async def` code it cannot be opened, and the error says what to write."""
    app.session_interface = AsyncInterface()
    async with app.test_request_context():
        assert session["a"] == 1
        assert [await copy_current_request_context(read)()] == [1]
    async with app.test_request_context("/null"):
        assert not session
    with app.test_request_context(), pytest.raises(RuntimeError, match=r"asynchronously.*async"):
        _ = session["a"]
    with pytest.raises(OSError, match="no store"):
        async with app.test_request_context("/fails"):
            pass
    assert not has_app_context()


async def read() -> Any:
    return session["a"]


def test_context_names(app: Flask) -> None:
    """For logs and debuggers."""
    with app.test_request_context("/x", method="POST") as context:
        assert repr(context) == "<RequestContext POST '/x' of 'shop'>"
    assert repr(app.app_context()) == "<AppContext of 'shop'>"


def test_json_uses_the_applications_provider(app: Flask) -> None:
    """In a context; a default one outside."""
    app.json.sort_keys = True  # type: ignore[attr-defined]
    assert json.dumps({"b": 1, "a": 2}).startswith('{"b"')
    with app.app_context():
        assert json.dumps({"b": 1, "a": 2}).startswith('{"a"')


# What is put off or carried on.


async def test_after_this_request(app: Flask) -> None:
    """Decorates functions in a view; also from within an application context."""

    @app.get("/")
    async def index() -> str:
        @after_this_request
        def mark(response: Response) -> Response:
            response.headers["X-First"] = "1"
            return response

        async with app.app_context():

            @after_this_request
            async def mark_again(response: Response) -> Response:
                response.headers["X-Second"] = response.headers["X-First"] + "2"
                return response

        return mark.__name__

    response = await app.test_client().get("/")
    assert (response.text, response.headers["X-Second"]) == ("mark", "12")


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("after_this_request", after_this_request),
        ("copy_current_request_context", copy_current_request_context),
    ],
)
def test_outside_of_a_request_they_say_so(
    app: Flask, name: str, function: Callable[[Any], Any]
) -> None:
    """With and without an application context."""
    message = f"'{name}' can only be used while a request is handled."
    with pytest.raises(RuntimeError, match=message):
        function(print)
    with app.app_context(), pytest.raises(RuntimeError, match=message):
        function(print)


async def test_copied_context_in_threads_and_tasks(app: Flask) -> None:
    """The same request and session, a `g` of its own at each call; of the function's kind."""
    tasks: list[asyncio.Task[Any]] = []

    @app.get("/copy")
    async def index() -> dict[str, Any]:
        g.x = 1
        session["user"] = "ann"
        here = request._get_current_object()  # type: ignore[attr-defined]

        @copy_current_request_context
        def work(word: str) -> list[Any]:
            """Works."""
            same = request._get_current_object() is here  # type: ignore[attr-defined]
            fresh = "x" not in g
            g.x = 2
            return [word, same, fresh, session["user"]]

        @copy_current_request_context
        async def work_on_loop(word: str) -> list[Any]:
            return work.__wrapped__(word)  # type: ignore[attr-defined, no-any-return]

        assert work.__doc__ == "Works."
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(work_on_loop("task"))
        tasks.append(task)
        return {
            "thread": await loop.run_in_executor(None, work, "thread"),
            "twice": await asyncio.to_thread(work, "twice"),
            "task": await task,
            "here": g.x,
        }

    response = await app.test_client().get("/copy")
    assert response.json() == {
        "thread": ["thread", True, True, "ann"],
        "twice": ["twice", True, True, "ann"],
        "task": ["task", True, True, "ann"],
        "here": 1,
    }


async def test_a_copied_context_outlives_its_request(app: Flask) -> None:
    """A task goes on after the response; its teardowns run at its end."""
    go_on = asyncio.Event()
    record: list[str] = []
    tasks: list[asyncio.Task[None]] = []
    app.teardown_request(lambda exc: record.append(f"teardown {request.path}"))

    @app.get("/late")
    async def index() -> str:
        @copy_current_request_context
        async def late() -> None:
            await go_on.wait()
            record.append(f"late {request.path}")

        tasks.append(asyncio.create_task(late()))
        return "ok"

    await app.test_client().get("/late")
    assert record == ["teardown /late"]
    go_on.set()
    await tasks[0]
    assert record == ["teardown /late", "late /late", "teardown /late"]


async def test_the_end_of_a_copy_leaves_the_uploads_open(app: Flask) -> None:
    """They are the request's, which goes on."""

    @app.post("/")
    async def upload() -> bytes:
        file = (await request.files)["file"]

        @copy_current_request_context
        def peek() -> bytes:
            return file.stream.read(2)

        first = await asyncio.to_thread(peek)
        return first + b"|" + await asyncio.to_thread(file.stream.read)

    response = await app.test_client().post("/", files={"file": ("a.txt", b"abcdef")})
    assert response.content == b"ab|cdef"


def test_a_copy_by_hand(app: Flask) -> None:
    """`copy()`: the same request, whose routing it knows; another context."""
    with app.test_request_context("/nowhere") as context:
        assert isinstance(context, RequestContext)
        early = context.copy()
        assert context.copy() is not context
        assert isinstance(request.routing_exception, NotFound)
        late = context.copy()
        g.x = 1

    def look(copy: RequestContext) -> list[Any]:
        with copy:
            return [request.path, type(request.routing_exception), "x" in g]

    for copy in (early, late):
        assert in_thread(lambda copy=copy: look(copy)) == ["/nowhere", NotFound, False]  # type: ignore[misc]
    assert late.request is context.request


def test_the_copied_context_has_the_loop(app: Flask) -> None:
    """Of the request, so that `def` code elsewhere can read its body."""

    async def main() -> None:
        async with app.test_request_context() as context:
            assert isinstance(context, RequestContext)
            assert context.copy().loop is asyncio.get_running_loop()

    asyncio.run(main())


async def test_a_copied_context_shares_request_and_session_that_is_opened_later() -> None:
    """A change that the copy makes is saved with the response."""
    app = Flask(__name__, static_folder=None)
    app.secret_key = "a key"

    @app.post("/")
    async def index() -> str:
        @copy_current_request_context
        async def in_copy() -> Any:
            session["by"] = "the copy"
            return await request.get_json()

        assert await asyncio.create_task(in_copy()) == await request.get_json()  # type: ignore[arg-type]
        return str(session["by"])

    response = await app.test_client().post("/", json={"a": 1})
    assert response.text == "the copy"
    assert "session=" in response.headers["set-cookie"]


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_requests_push_and_pop_their_context(app: Flask, kind: str) -> None:
    """The signals of contexts are sent for them, too: tests set `g` in a receiver."""
    record: list[str] = []

    def pushed(sender: Flask) -> None:
        g.user = "Ada"
        record.append("pushed")

    async def popped(sender: Flask) -> None:
        record.append("popped")

    def index() -> str:
        record.append("view")
        return str(g.user)

    async def async_index() -> str:
        return index()

    app.get("/signals")(index if kind == "def" else async_index)
    client = app.test_client()
    with appcontext_pushed.connected_to(pushed, app), appcontext_popped.connected_to(popped, app):
        assert (await client.get("/signals")).text == "Ada"
        assert record == ["pushed", "view", "popped"]
    app = Flask(__name__)
    app.preprocess_request = lambda: str(g.user)  # type: ignore[method-assign]
    record.clear()
    with appcontext_pushed.connected_to(pushed, app), appcontext_popped.connected_to(popped, app):
        assert (await app.test_client().get("/")).text == "Ada"
    assert record == ["pushed", "popped"]


async def test_code_elsewhere_can_share_the_context(app: Flask) -> None:
    """With the same `g`, and without another teardown."""
    ended: list[str] = []
    app.teardown_appcontext(lambda exc: ended.append("teardown"))

    async with app.app_context():
        g.value = 5

        @copy_current_app_context
        def in_def() -> Any:
            return g.value, current_app.name

        @copy_current_app_context
        async def in_async() -> Any:
            await asyncio.sleep(0)
            g.value += 1
            return g.value

    assert ended == ["teardown"]
    assert in_thread(in_def) == (5, app.name)
    assert await asyncio.create_task(in_async()) == 6
    assert not has_app_context()
    assert ended == ["teardown"]
    with pytest.raises(RuntimeError, match="copy_current_app_context"):
        copy_current_app_context(in_def)


def test_a_request_can_be_matched_again(app: Flask) -> None:
    """After a change of what it asks for."""
    app.add_url_rule("/again/<int:number>", endpoint="again", view_func=lambda number: "x")
    with app.test_request_context("/nowhere") as context:
        assert request.endpoint is None
        context.scope["path"] = "/again/5"
        context.match_request()
        assert (request.endpoint, request.view_args) == ("again", {"number": 5})
        assert context.routing_exception is None


async def test_a_request_has_a_context_of_its_own(app: Flask) -> None:
    """A context can be made of it, with its body."""
    async with app.test_request_context("/", method="POST", data=b"body"):
        made = request._get_current_object()  # type: ignore[attr-defined]
    async with app.request_context(made):
        assert await request.get_data() == b"body"


def test_the_url_adapter_is_asked_for_once(app: Flask) -> None:
    """It builds and matches like Werkzeug's; an application may return another."""
    app.add_url_rule("/part/<int:number>", endpoint="part", view_func=lambda number: "x")
    calls: list[Any] = []
    original = app.create_url_adapter

    def create(request: Any) -> Any:
        calls.append(request)
        return original(request)

    app.create_url_adapter = create  # type: ignore[method-assign]
    with app.test_request_context("/part/5?a=1", base_url="https://example.test/root") as context:
        assert url_for("part", number=1) == "/root/part/1"
        assert url_for("part", number=1, _external=True) == "https://example.test/root/part/1"
        assert context.url_adapter is not None
        assert context.url_adapter.match() == ("part", {"number": 5})
        assert context.url_adapter.allowed_methods() == ["GET", "HEAD", "OPTIONS"]
        with app.app_context() as inner:
            assert inner.url_adapter is context.url_adapter
    assert len(calls) == 1
    with app.app_context() as outside:
        assert outside.url_adapter is None
        app.config["SERVER_NAME"] = "example.org"
        assert url_for("part", number=1) == "http://example.org/part/1"
    assert calls[1:] == [None, None]


def test_a_request_for_another_application_can_be_matched(app: Flask) -> None:
    """It has no endpoint of ours."""
    app.mount("/other", Starlette())
    with app.test_request_context("/other/path") as context:
        assert request.endpoint is None
        assert context.routing_exception is None


def test_the_context_of_a_websocket_is_no_requests(app: Flask) -> None:
    """What stands in it sees the WebSocket; the names of the other kind say what to use."""
    app.add_websocket("/ws", "ws", lambda: None)
    assert not has_websocket_context()
    with app.test_websocket_context("/ws") as context:
        assert has_websocket_context()
        assert not has_request_context()
        assert websocket_ctx._get_current_object() is context
        with app.app_context() as inner:
            assert inner.websocket is websocket._get_current_object()
            assert inner.websocket_context is context
            assert inner.session is context.session
            assert inner.g is not context.g
            assert inner.request_context is None
        with pytest.raises(RuntimeError, match="there it is called 'websocket'"):
            request.path  # noqa: B018
        with pytest.raises(RuntimeError, match="outside of a request"):
            request_ctx.push()
    with app.test_request_context("/"):
        assert not has_websocket_context()
        with pytest.raises(RuntimeError, match="there it is called 'request'"):
            websocket.path  # noqa: B018
        with pytest.raises(RuntimeError, match="outside of a WebSocket"):
            websocket_ctx.push()
    with app.app_context():
        for proxy, name in ((websocket, "websocket"), (request, "request"), (session, "session")):
            with pytest.raises(RuntimeError, match=f"'{name}' was used outside"):
                proxy.get("x")  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="outside of a WebSocket"):
        websocket.path  # noqa: B018
    assert repr(websocket) == "<websocket outside of its context>"
    for function in (after_this_websocket, copy_current_websocket_context):
        with pytest.raises(RuntimeError, match="only be used while a WebSocket is handled"):
            function(lambda: None)


async def test_a_copied_context_of_a_websocket(app: Flask) -> None:
    """It has the same WebSocket and session, wherever it runs, and teardowns of its own."""
    torn: list[Any] = []
    app.teardown_websocket(torn.append)

    @app.websocket("/ws")
    async def view() -> None:
        session["user"] = "ada"
        await websocket.accept()

        @copy_current_websocket_context
        async def work() -> None:
            await websocket.send(f"{session['user']} {getattr(g, 'own', None)}")

        g.own = 1
        task = asyncio.get_running_loop().create_task(work(), context=contextvars.Context())
        await task

    async with app.test_client().websocket("/ws") as ws:
        assert await ws.receive() == "ada None"
    assert torn == [None, None]


def test_a_connection_is_one_of_two_kinds(app: Flask) -> None:
    """The base of both contexts says neither which, nor when its client has gone."""
    with app.test_request_context("/") as context:
        base = ConnectionContext(
            app, context.scope, context.receive, context.send, context.endpoint, {}
        )
        with pytest.raises(NotImplementedError):
            base.connection  # noqa: B018
        with pytest.raises(NotImplementedError):
            base.disconnected().send(None)
        assert not base.holds_files
        assert context.connection is context.request
    assert issubclass(WebsocketContext, ConnectionContext)


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_context_entered_within_itself_is_torn_down_once(kind: str) -> None:
    """`with app_ctx:` in a view, as for a callback that runs later; Flask counts, too."""
    ended: list[str] = []
    app = Flask(__name__, static_folder=None)
    app.teardown_request(lambda exc: ended.append("request"))
    app.teardown_appcontext(lambda exc: ended.append("app"))

    def index() -> str:
        with app_ctx, request_ctx:
            return f"{request.path} {ended}"

    async def async_index() -> str:
        async with app_ctx, request_ctx:
            return f"{request.path} {ended}"

    app.add_url_rule("/", view_func=index if kind == "def" else async_index, endpoint="index")
    assert app.sync_test_client().get("/").text == "/ []"
    assert ended == ["request", "app"]
