"""One request, from the match to the last teardown function."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from typing import Any

import pytest
from starlette.responses import FileResponse, PlainTextResponse

from asyncflask import (
    Blueprint,
    Flask,
    Response,
    abort,
    after_this_request,
    current_app,
    g,
    request,
    session,
)
from asyncflask.concurrency import Worker
from asyncflask.json.provider import DefaultJSONProvider
from asyncflask.sessions import SecureCookieSession, SessionInterface
from asyncflask.signals import (
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from tests.wire import Wire, until

Record = list[str]


def make_app(**config: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(SECRET_KEY="a key", **config)
    return app


def add_hooks(app: Flask | Blueprint, record: Record, name: str, kind: str) -> None:
    """Register one hook of each sort, as `def` or `async def`."""

    def note(what: str) -> None:
        record.append(f"{what} {name}")

    def before() -> None:
        note("before")

    def after(response: Response) -> Response:
        note("after")
        return response

    def teardown(exc: BaseException | None) -> None:
        note("teardown")

    async def async_before() -> None:
        note("before")

    async def async_after(response: Response) -> Response:
        note("after")
        return response

    async def async_teardown(exc: BaseException | None) -> None:
        note("teardown")

    is_async = kind == "async def"
    app.before_request(async_before if is_async else before)
    app.after_request(async_after if is_async else after)
    app.teardown_request(async_teardown if is_async else teardown)


def add_view(app: Flask | Blueprint, record: Record, kind: str) -> None:
    def view() -> str:
        record.append("view")
        return "ok"

    async def async_view() -> str:
        record.append("view")
        return "ok"

    app.add_url_rule("/", "index", async_view if kind == "async def" else view)


@pytest.mark.parametrize("view_kind", ["def", "async def"])
@pytest.mark.parametrize("hook_kind", ["def", "async def"])
async def test_hooks_run_in_flasks_order_whatever_they_are(view_kind: str, hook_kind: str) -> None:
    """Before: the application's, then the blueprints' from the outside. After: the reverse."""
    record: Record = []
    app = make_app()
    outer = Blueprint("outer", __name__)
    inner = Blueprint("inner", __name__)
    add_hooks(app, record, "app", hook_kind)
    add_hooks(outer, record, "outer", hook_kind)
    add_hooks(inner, record, "inner", hook_kind)
    add_view(inner, record, view_kind)

    @app.teardown_appcontext
    def teardown(exc: BaseException | None) -> None:
        record.append("teardown context")

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    response = await app.test_client().get("/")
    assert response.text == "ok"
    assert record == [
        "before app",
        "before outer",
        "before inner",
        "view",
        "after inner",
        "after outer",
        "after app",
        "teardown inner",
        "teardown outer",
        "teardown app",
        "teardown context",
    ]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_before_function_that_returns_answers_the_request(kind: str) -> None:
    """The view and the other before functions are left out; after functions run."""
    record: Record = []
    app = make_app()

    if kind == "def":

        @app.before_request
        def answer() -> str:
            return "answered"

    else:

        @app.before_request
        async def async_answer() -> str:
            return "answered"

    add_hooks(app, record, "app", kind)
    add_view(app, record, kind)
    response = await app.test_client().get("/")
    assert response.text == "answered"
    assert record == ["after app", "teardown app"]


async def test_def_code_of_a_request_runs_in_one_thread() -> None:
    """Before, view, after and teardown: an sqlite connection on `g` can be used in all."""
    app = make_app()
    closed: list[int] = []

    @app.before_request
    def connect() -> None:
        g.db = sqlite3.connect(":memory:")
        g.db.execute("create table t (x)")

    @app.get("/")
    def index() -> dict[str, Any]:
        g.db.execute("insert into t values (1)")
        return {"rows": g.db.execute("select x from t").fetchall()}

    @app.after_request
    def count(response: Response) -> Response:
        response.headers["X-Count"] = str(g.db.execute("select count(*) from t").fetchone()[0])
        return response

    @app.teardown_request
    def close(exc: BaseException | None) -> None:
        g.db.execute("select 1")
        g.db.close()
        closed.append(threading.get_ident())

    responses = await asyncio.gather(*(app.test_client().get("/") for _ in range(50)))
    assert all(response.json() == {"rows": [[1]]} for response in responses)
    assert all(response.headers["x-count"] == "1" for response in responses)
    assert len(closed) == 50
    assert threading.get_ident() not in closed


async def test_an_async_hook_between_def_functions_runs_on_the_loop() -> None:
    """And the worker is the same before and after it."""
    app = make_app()
    loop_thread = threading.get_ident()
    seen: list[int] = []

    @app.before_request
    def first() -> None:
        seen.append(threading.get_ident())

    @app.before_request
    async def second() -> None:
        await asyncio.sleep(0)
        assert threading.get_ident() == loop_thread

    @app.get("/")
    def index() -> str:
        seen.append(threading.get_ident())
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"
    assert seen[0] == seen[1] != loop_thread


@pytest.mark.parametrize(("kind", "number"), [("def", 1), ("async def", 2)])
async def test_neighbouring_def_functions_share_a_hop(
    kind: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks, view and teardowns that are `def` are one job for one worker; an `async def` view
    makes two jobs of its `def` hooks, before it and after it.
    """
    app = make_app()
    for _ in range(5):
        add_hooks(app, [], "x", "def")
    add_view(app, [], kind)
    client = app.test_client()
    await client.get("/")
    hops: list[Any] = []
    submit = Worker.submit

    def counting(worker: Worker, job: Any) -> None:
        hops.append(job)
        submit(worker, job)

    monkeypatch.setattr(Worker, "submit", counting)
    await client.get("/")
    assert len(hops) == number


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_failing_teardown_does_not_hide_the_response_nor_the_others(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; every one of them runs."""
    record: Record = []
    app = make_app()
    add_hooks(app, record, "first", kind)

    if kind == "def":

        @app.teardown_request
        def fail(exc: BaseException | None) -> None:
            raise ValueError("in teardown")

    else:

        @app.teardown_request
        async def async_fail(exc: BaseException | None) -> None:
            raise ValueError("in teardown")

    add_view(app, record, kind)
    response = await app.test_client().get("/")
    assert (response.status_code, response.text) == (200, "ok")
    assert record[-1] == "teardown first"
    assert "in teardown" in caplog.text


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_teardown_gets_the_error_that_nobody_handled(kind: str) -> None:
    """And None where there was none, or it was handled."""
    app = make_app()
    given: list[BaseException | None] = []

    @app.teardown_request
    def teardown(exc: BaseException | None) -> None:
        given.append(exc)

    @app.errorhandler(KeyError)
    def handle(exc: KeyError) -> str:
        return "handled"

    errors: dict[str, Exception] = {"value": ValueError("x"), "key": KeyError("y")}

    def fail(name: str) -> str:
        raise errors[name]

    async def async_fail(name: str) -> str:
        raise errors[name]

    app.add_url_rule("/<name>", view_func=fail if kind == "def" else async_fail)
    client = app.test_client()
    assert (await client.get("/value")).status_code == 500
    assert (await client.get("/key")).text == "handled"
    assert given == [errors["value"], None]


async def test_hooks_see_a_request_without_a_match() -> None:
    """No match is not an error yet: a before function may answer."""
    app = make_app()
    seen: list[Any] = []

    @app.before_request
    async def before() -> str | None:
        seen.append((request.endpoint, type(request.routing_exception).__name__))
        return "instead" if request.path == "/answered" else None

    @app.after_request
    async def after(response: Response) -> Response:
        response.headers["X-After"] = "yes"
        return response

    client = app.test_client()
    response = await client.get("/nowhere")
    assert (response.status_code, response.headers["x-after"]) == (404, "yes")
    assert (await client.get("/answered")).text == "instead"
    assert seen == [(None, "NotFound"), (None, "NotFound")]


async def test_after_this_request_functions_come_first() -> None:
    """They get the response before the `after_request` functions do; `def` and `async def`."""
    app = make_app()

    @app.after_request
    async def last(response: Response) -> Response:
        response.set_data(response.get_data(as_text=True) + " last")
        return response

    @app.get("/<kind>")
    async def index(kind: str) -> str:
        @after_this_request
        def plain(response: Response) -> Response:
            response.set_data(response.get_data(as_text=True) + " def")
            return response

        @after_this_request
        async def on_loop(response: Response) -> Response:
            response.set_data(response.get_data(as_text=True) + " async")
            return response

        return "view"

    @app.get("/threaded")
    def threaded() -> str:
        @after_this_request
        def plain(response: Response) -> Response:
            response.set_data(response.get_data(as_text=True) + " def")
            return response

        return "view"

    client = app.test_client()
    assert (await client.get("/x")).text == "view def async last"
    assert (await client.get("/threaded")).text == "view def last"


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_two_thousand_requests_never_see_each_other(kind: str) -> None:
    """`g`, `request` and `session` belong to one request, in child and background tasks too."""
    app = make_app(WORKER_THREADS=8, WORKER_QUEUE_SIZE=4000)
    late: list[tuple[str, str]] = []

    async def child() -> str:
        await asyncio.sleep(0)
        return f"{g.name} {request.args['name']}"

    async def background(name: str) -> None:
        await asyncio.sleep(0.01)
        late.append((name, f"{g.name} {request.args['name']} {session['name']}"))

    if kind == "async def":

        @app.get("/")
        async def index() -> str:
            name = request.args["name"]
            g.name = session["name"] = name
            await asyncio.sleep(0.001)
            in_child = await asyncio.create_task(child())
            app.add_background_task(background, name)
            await asyncio.sleep(0)
            return f"{in_child} {g.name} {request.args['name']} {session['name']}"

    else:

        @app.get("/")
        def threaded_index() -> str:
            name = request.args["name"]
            g.name = session["name"] = name
            in_child = app.ensure_sync(child)()
            app.add_background_task(background, name)
            return f"{in_child} {g.name} {request.args['name']} {session['name']}"

    async def ask(name: str) -> None:
        response = await app.test_client().get("/", query_string={"name": name})
        assert response.text == " ".join([name] * 5)

    async with asyncio.timeout(60):
        await asyncio.gather(*(ask(f"n{number}") for number in range(2000)))
        await until(lambda: len(late) == 2000)
    assert all(seen == f"{name} {name} {name}" for name, seen in late)


async def test_a_cancelled_async_request_runs_its_teardowns() -> None:
    """The task leaves at once with the cancellation; teardowns run beside it, once."""
    record: Record = []
    app = make_app()
    add_hooks(app, record, "async", "async def")
    add_hooks(app, record, "def", "def")
    started = asyncio.Event()

    @app.get("/")
    async def index() -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: len(record) == 4)
    await asyncio.sleep(0.02)
    assert record == ["before async", "before def", "teardown def", "teardown async"]


async def test_a_cancelled_def_request_finishes_its_view_and_its_teardowns() -> None:
    """The worker goes on to the end; the result is dropped and the worker comes back."""
    record: Record = []
    app = make_app()
    add_hooks(app, record, "x", "def")
    gate = threading.Event()

    @app.get("/")
    def index() -> str:
        gate.wait(5)
        record.append("view")
        return "dropped"

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await until(lambda: record)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert record == ["before x"]
    gate.set()
    await until(lambda: app.pool.busy == 0)
    assert record == ["before x", "view", "after x", "teardown x"]


async def test_a_stream_of_a_cancelled_def_request_is_closed_unread() -> None:
    """Nobody is there to get it."""
    app = make_app()
    gate = threading.Event()
    record: Record = []
    add_hooks(app, record, "x", "def")

    class Stream:
        def __iter__(self) -> Any:
            record.append("iterated")
            return self

        def __next__(self) -> str:
            raise StopIteration

        def close(self) -> None:
            record.append("closed")

    @app.get("/")
    def index() -> Response:
        gate.wait(5)
        return Response(Stream())  # type: ignore[arg-type]

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await until(lambda: app.pool.busy)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await until(lambda: "teardown x" in record)
    assert record == ["before x", "after x", "closed", "teardown x"]


async def test_more_def_requests_than_threads_with_async_hooks_that_need_threads() -> None:
    """The deadlock of nested hops: requests that hold all workers wait for workers."""
    app = make_app(WORKER_THREADS=2, WORKER_QUEUE_TIMEOUT=20)

    @app.before_request
    def hold() -> None:
        g.thread = threading.get_ident()

    @app.before_request
    async def needs_a_thread() -> None:
        await asyncio.sleep(0.001)
        assert await app.run_sync(threading.get_ident) == g.thread

    @app.get("/")
    def index() -> str:
        async def back() -> int:
            await asyncio.sleep(0.001)
            return await app.run_sync(threading.get_ident)

        assert app.ensure_sync(back)() == threading.get_ident()
        return "ok"

    async with asyncio.timeout(20):
        responses = await asyncio.gather(*(app.test_client().get("/") for _ in range(30)))
    assert {response.text for response in responses} == {"ok"}


async def test_no_free_worker_is_a_503() -> None:
    """With `Retry-After`; `def` hooks that need a worker do not get in its way."""
    app = make_app(WORKER_THREADS=1, WORKER_QUEUE_SIZE=0)
    record: Record = []
    gate = threading.Event()
    add_hooks(app, record, "x", "def")

    @app.get("/slow")
    def slow() -> str:
        gate.wait(5)
        return "slow"

    @app.get("/other")
    async def other() -> str:
        return "other"

    client = app.test_client()
    first = asyncio.create_task(client.get("/slow"))
    await until(lambda: app.pool.busy)
    response = await app.test_client().get("/other")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert record.count("teardown x") == 1
    gate.set()
    assert (await first).text == "slow"


async def test_slow_def_streams_do_not_starve_def_views() -> None:
    """Streams are pulled in a pool of their own."""
    app = make_app(WORKER_THREADS=2, STREAM_THREADS=2)
    gate = threading.Event()

    @app.get("/stream")
    def stream() -> Response:
        def chunks() -> Any:
            yield "first"
            gate.wait(10)
            yield "last"

        return Response(chunks())

    @app.get("/view")
    def view() -> str:
        return "quick"

    streams = [asyncio.create_task(app.test_client().get("/stream")) for _ in range(6)]
    await until(lambda: app.stream_pool.busy == 2)
    async with asyncio.timeout(5):
        assert (await app.test_client().get("/view")).text == "quick"
    gate.set()
    assert {response.text for response in await asyncio.gather(*streams)} == {"firstlast"}


async def test_a_plain_request_makes_at_most_fifteen_calls_of_ours() -> None:
    """The budget of a whole `async def` request; a `def` chain with hooks has sixty."""
    app = make_app()

    @app.get("/plain/<int:number>")
    async def plain(number: int) -> str:
        return "ok"

    assert await count_calls(app, "/plain/5") <= 15
    chain = make_app()
    for _ in range(3):
        add_hooks(chain, [], "x", "def")
    add_view(chain, [], "def")
    assert await count_calls(chain, "/") <= 60


async def count_calls(app: Flask, path: str) -> int:
    """Count the Python functions of the package and of Starlette that a request enters."""
    import sys

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
    }
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("a GET view does not read the body")

    async def send(message: Any) -> None:
        sent.append(message)

    await app(dict(scope), receive, send)
    counted: set[Any] = set()
    calls = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        name = frame.f_globals.get("__name__", "")
        ours = name.split(".")[0] in ("asyncflask", "starlette", "werkzeug")
        # A coroutine that is resumed is a call event too: count each frame once.
        if event == "call" and ours and frame not in counted:
            counted.add(frame)
            calls += 1

    threading.setprofile_all_threads(profile) if sys.version_info >= (3, 12) else None
    sys.setprofile(profile)
    try:
        await app(dict(scope), receive, send)
    finally:
        sys.setprofile(None)
        threading.setprofile_all_threads(None) if sys.version_info >= (3, 12) else None  # type: ignore[arg-type]
    assert sent[-2]["status"] == 200
    return calls


async def test_the_scope_tells_others_what_was_matched() -> None:
    """Instrumentation reads `app`, `router`, `route`, `endpoint` and `path_params`."""
    app = make_app()
    scopes: list[Any] = []

    @app.get("/user/<name>")
    async def user(name: str) -> str:
        scopes.append(request.scope)
        return name

    await app.test_client().get("/user/ada")
    (scope,) = scopes
    assert scope["app"] is app
    assert scope["router"] is app.router
    assert scope["route"].path == "/user/<name>"
    assert scope["endpoint"] is user
    assert scope["path_params"] == {"name": "ada"}


async def test_the_context_is_gone_after_the_request() -> None:
    """In the task that served it."""
    app = make_app()

    @app.get("/")
    async def index() -> str:
        return current_app.name

    await app.test_client().get("/")
    with pytest.raises(RuntimeError, match="outside of an application context"):
        current_app.name  # noqa: B018
    with pytest.raises(RuntimeError, match="outside of a request"):
        request.path  # noqa: B018


async def test_an_after_function_that_returns_none_is_named() -> None:
    """It is the commonest mistake with them."""
    app = make_app(TESTING=True)

    @app.after_request
    async def forgets(response: Response) -> None:
        response.headers["X"] = "y"

    @app.get("/")
    async def index() -> str:
        return "ok"

    with pytest.raises(TypeError, match="'forgets' returned None"):
        await app.test_client().get("/")


async def test_a_500_whose_after_functions_fail_is_sent_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Both errors are logged."""
    app = make_app()

    @app.after_request
    async def fail(response: Response) -> Response:
        raise ValueError("in after")

    @app.get("/")
    async def index() -> str:
        return "ok"

    response = await app.test_client().get("/")
    assert response.status_code == 500
    assert caplog.text.count("ValueError: in after") >= 2


async def test_head_gives_the_headers_of_get() -> None:
    """Without the body, plain values and responses alike."""
    app = make_app()

    @app.get("/plain")
    async def plain() -> str:
        return "12345"

    @app.get("/response")
    async def response() -> Response:
        return Response("12345")

    client = app.test_client()
    for path in ("/plain", "/response"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == "5"


async def test_browsers_are_told_not_to_sniff() -> None:
    """Unless the setting says otherwise, or a view does."""
    app = make_app()

    @app.get("/")
    async def index() -> str:
        return "ok"

    @app.get("/own")
    async def own() -> tuple[str, dict[str, str]]:
        return "ok", {"X-Content-Type-Options": "mine"}

    client = app.test_client()
    assert (await client.get("/")).headers["x-content-type-options"] == "nosniff"
    assert (await client.get("/own")).headers.get_list("x-content-type-options") == ["mine"]
    plain = make_app(CONTENT_TYPE_NOSNIFF=False)
    plain.add_url_rule("/", view_func=index)
    assert "x-content-type-options" not in (await plain.test_client().get("/")).headers


async def test_the_request_object_is_the_same_all_along() -> None:
    """Hooks, view and error handlers share it."""
    app = make_app()
    seen: list[int] = []

    @app.before_request
    async def before() -> None:
        seen.append(id(request._get_current_object()))  # type: ignore[attr-defined]

    @app.get("/")
    async def index() -> str:
        seen.append(id(request._get_current_object()))  # type: ignore[attr-defined]
        abort(418)

    await app.test_client().get("/")
    assert len(set(seen)) == 1


async def test_the_innermost_callable_is_the_dispatch_itself() -> None:
    """Without middleware nothing stands between Starlette's `__call__` and it."""
    app = make_app()
    assert app.build_middleware_stack() == app.dispatch.handle


async def test_no_free_stream_thread_is_a_503() -> None:
    """Before anything was sent; the body that nobody pulls is closed."""
    app = make_app(STREAM_THREADS=1, WORKER_QUEUE_SIZE=0)
    gate = threading.Event()
    closed: list[str] = []

    @app.get("/")
    async def index() -> Response:
        def chunks() -> Any:
            yield "first"
            gate.wait(10)

        response = Response(chunks())
        response.call_on_close(lambda: closed.append("closed"))
        return response

    first = asyncio.create_task(app.test_client().get("/"))
    await until(lambda: app.stream_pool.busy)
    response = await app.test_client().get("/")
    assert (response.status_code, closed) == (503, ["closed"])
    assert response.headers["retry-after"] == "1"
    gate.set()
    assert (await first).text == "first"


async def test_a_teardown_that_is_cancelled_does_not_keep_the_others_from_running() -> None:
    """The task leaves at once; those that had not begun run beside it."""
    app = make_app()
    record: Record = []
    begun = asyncio.Event()

    @app.teardown_request
    def last(exc: BaseException | None) -> None:
        record.append("last")

    @app.teardown_request
    async def first(exc: BaseException | None) -> None:
        begun.set()
        await asyncio.Event().wait()

    @app.get("/")
    async def index() -> str:
        return "ok"

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: record)
    assert record == ["last"]


async def test_a_failing_receiver_of_a_teardown_signal_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The response is sent all the same."""
    app = make_app()

    def fail(sender: Flask, exc: BaseException | None) -> None:
        raise ValueError("in receiver")

    request_tearing_down.connect(fail, app)

    @app.get("/")
    async def index() -> str:
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"
    assert "in receiver" in caplog.text


async def test_a_session_opened_after_the_response_refuses_changes() -> None:
    """They would be lost: in streams and background tasks it can only be read."""
    app = make_app()
    caught: list[str] = []

    async def late() -> None:
        try:
            session["x"] = 1
        except RuntimeError as exc:
            caught.append(str(exc))

    @app.get("/")
    async def index() -> str:
        app.add_background_task(late)
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"
    await until(lambda: caught)
    assert "would be lost" in caught[0]


async def test_signals_are_sent_and_async_receivers_awaited() -> None:
    """At the start and the end of a request, with a response to see."""
    app = make_app()
    record: Record = []

    async def started(sender: Flask) -> None:
        await asyncio.sleep(0)
        record.append("started")

    def finished(sender: Flask, response: Response) -> None:
        record.append(f"finished {response.status_code}")

    request_started.connect(started, app)
    request_finished.connect(finished, app)

    @app.get("/")
    def index() -> str:
        record.append("view")
        return "ok"

    assert (await app.test_client().get("/")).text == "ok"
    assert record == ["started", "view", "finished 200"]


async def test_sessions_may_be_opened_and_saved_asynchronously() -> None:
    """Opened before the first hook, since that must be awaited; views of both kinds see it."""
    store: dict[str, Any] = {}

    class Interface(SessionInterface):
        async def open_session(self, app: Any, request: Any) -> Any:
            await asyncio.sleep(0)
            if request.path == "/none":
                return None
            return SecureCookieSession(store)

        async def save_session(self, app: Any, session: Any, response: Any) -> None:
            await asyncio.sleep(0)
            store.update(session)

    app = make_app()
    app.session_interface = Interface()

    @app.get("/<name>")
    def index(name: str) -> str:
        if name == "none":
            return type(session._get_current_object()).__name__  # type: ignore[attr-defined]
        session["name"] = name
        return "ok"

    client = app.test_client()
    assert (await client.get("/ada")).text == "ok"
    assert store == {"name": "ada"}
    assert (await client.get("/none")).text == "NullSession"


async def test_a_provider_that_makes_responses_its_own_way_is_asked() -> None:
    """Plain values take the short way only where it gives the same."""

    class Own(DefaultJSONProvider):
        mimetype = "application/vnd.own+json"

    class Wrapping(DefaultJSONProvider):
        def response(self, *args: Any, **kwargs: Any) -> Any:
            return super().response({"data": args[0]})

    for provider, content_type, body in (
        (Own, "application/vnd.own+json", {"x": 1}),
        (Wrapping, "application/json", {"data": {"x": 1}}),
    ):
        app = make_app()
        app.json = provider(app)

        @app.get("/")
        async def index() -> dict[str, int]:
            return {"x": 1}

        response = await app.test_client().get("/")
        assert response.headers["content-type"] == content_type
        assert response.json() == body


async def test_a_value_that_is_not_json_is_an_error_that_names_the_view() -> None:
    """Also on the short way."""
    app = make_app(TESTING=True)

    @app.get("/")
    async def index() -> dict[str, object]:
        return {"x": object()}

    with pytest.raises(TypeError, match="'index'"):
        await app.test_client().get("/")


@pytest.mark.parametrize("kind", ["plain", "response"])
async def test_the_answer_of_a_cancelled_def_request_is_dropped(kind: str) -> None:
    """Nothing is sent; the teardowns ran, and a response is closed."""
    app = make_app()
    record: Record = []
    gate = threading.Event()
    answer: Any = "plain"
    if kind == "response":
        answer = Response("made")
        answer.call_on_close(lambda: record.append("closed"))

    @app.teardown_request
    def teardown(exc: BaseException | None) -> None:
        record.append("teardown")

    @app.get("/")
    def index() -> Any:
        record.append("view")
        gate.wait(5)
        return answer

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await until(lambda: record)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await until(lambda: app.pool.busy == 0)
    closed = ["closed"] if kind == "response" else []
    await until(lambda: len(record) == 2 + len(closed))
    assert (record, wire.sent) == (["view", "teardown", *closed], [])


async def test_url_value_preprocessors_may_change_the_values() -> None:
    """Before the hooks; the application's, then the blueprint's."""
    app = make_app()
    blueprint = Blueprint("bp", __name__, url_prefix="/<lang>")

    @app.url_value_preprocessor
    def first(endpoint: str | None, values: dict[str, Any] | None) -> None:
        assert endpoint == "bp.index"

    @blueprint.url_value_preprocessor
    def second(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.lang = (values or {}).pop("lang")

    @blueprint.get("/")
    async def index() -> str:
        return str(g.lang)

    app.register_blueprint(blueprint)
    assert (await app.test_client().get("/de/")).text == "de"


async def test_an_after_this_request_function_that_returns_none_is_named() -> None:
    """As with `after_request`."""
    app = make_app(TESTING=True)

    @app.get("/")
    async def index() -> str:
        @after_this_request
        def forgets(response: Response) -> None:
            pass

        return "ok"

    with pytest.raises(TypeError, match="'forgets' returned None"):
        await app.test_client().get("/")


@pytest.mark.parametrize(
    "bad",
    [("x", {"Bad Name": "1"}), Response([1]), FileResponse("/does/not/exist")],  # type: ignore[arg-type]
    ids=["header name", "body", "starlette"],
)
async def test_a_response_that_cannot_be_sent_is_a_500(
    bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What is wrong with it shows before anything was sent, and is logged once."""
    app = make_app()
    record: Record = []
    add_hooks(app, record, "x", "async def")

    @app.get("/")
    async def index() -> Any:
        return bad

    response = await app.test_client().get("/")
    assert response.status_code == 500
    assert "Internal Server Error" in response.text
    assert record.count("teardown x") == 1
    assert len([r for r in caplog.records if r.exc_info]) == 1


async def test_errors_of_a_starlette_response_reach_the_test() -> None:
    """Once, and bare."""
    app = make_app(TESTING=True)

    @app.get("/")
    async def index() -> Any:
        return FileResponse("/does/not/exist")

    with pytest.raises(RuntimeError, match="does not exist"):
        await app.test_client().get("/")


async def test_a_receiver_of_a_teardown_signal_is_told_once() -> None:
    """Also when it is cancelled; the others are told beside."""
    app = make_app()
    record: Record = []
    begun = asyncio.Event()

    async def waits(sender: Flask, exc: BaseException | None) -> None:
        record.append("waits")
        begun.set()
        await asyncio.Event().wait()

    def other(sender: Flask, exc: BaseException | None) -> None:
        record.append("other")

    request_tearing_down.connect(waits, app)
    appcontext_tearing_down.connect(other, app)

    @app.get("/")
    async def index() -> str:
        return "ok"

    wire = Wire()
    task = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: len(record) == 2)
    assert record == ["waits", "other"]


async def test_call_on_close_functions_run_when_sending_fails() -> None:
    """Files are closed whatever happens."""
    app = make_app()
    record: Record = []

    @app.get("/")
    async def index() -> Response:
        response = Response("x")
        response.call_on_close(lambda: record.append("closed"))
        return response

    wire = Wire()

    async def fails(message: Any) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await app(wire.scope, wire.receive, fails)
    assert record == ["closed"]
    await app(wire.scope, wire.receive, wire.send)
    assert (wire.body, record) == (b"x", ["closed", "closed"])


async def test_url_value_preprocessors_may_be_async() -> None:
    """They run inline, and are awaited."""
    app = make_app()

    @app.url_value_preprocessor
    async def change(endpoint: str | None, values: dict[str, Any] | None) -> None:
        await asyncio.sleep(0)
        (values or {})["number"] += 1

    @app.get("/<int:number>")
    async def index(number: int) -> str:
        return str(number)

    assert (await app.test_client().get("/5")).text == "6"


@pytest.mark.parametrize("target", ["http://evil.example/admin/x", "HTTPS://a/admin/x"])
async def test_middleware_sees_the_path_that_the_router_sees(target: str) -> None:
    """A target in absolute form does not get around what middleware decides by the path."""

    class Gate:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope.get("path", "").startswith("/admin"):
                await PlainTextResponse("forbidden", 403)(scope, receive, send)
            else:
                await self.app(scope, receive, send)

    app = make_app()
    app.add_middleware(Gate)

    @app.get("/admin/x")
    async def admin() -> str:
        return "secret"

    @app.get("/x")
    async def free() -> str:
        return request.host

    async def ask(path: str) -> tuple[int, bytes]:
        wire = Wire(path)
        await app(wire.scope, wire.receive, wire.send)
        return wire.sent[0]["status"], wire.body

    assert await ask(target) == (403, b"forbidden")
    assert await ask("http://evil.example/x") == (200, b"evil.example")
    assert (await ask("a://b/admin/x"))[0] == 404
    async with app.test_client() as client:  # the lifespan passes through as well
        assert (await client.get("/x")).status_code == 200


async def test_errors_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the request's method and path."""
    app = make_app()

    @app.get("/broken")
    async def broken() -> str:
        raise ValueError("mine")

    with caplog.at_level(logging.ERROR):
        response = await app.test_client().get("/broken")
    assert response.status_code == 500
    assert "mine" not in response.text
    (record,) = caplog.records
    assert "/broken [GET]" in record.getMessage()
