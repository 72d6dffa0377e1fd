"""The steps of a request: methods of the application that subclasses replace, as in Flask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import flask
import pytest
from werkzeug.exceptions import Forbidden, HTTPException, NotFound

from asyncflask import Flask, MissingAwaitError, Response, g, got_request_exception, request
from asyncflask.life.dispatch import Dispatch
from asyncflask.life.steps import _STEPS as STEPS
from asyncflask.life.steps import SteppedDispatch
from asyncflask.signals import request_finished
from tests.wire import until


def in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def add_views(app: Any, kind: str, record: list[str]) -> None:  # noqa: C901  # many small ones
    """Give a Flask application, ours or the real one, views and hooks that leave a trace."""

    def register(decorate: Callable[..., Any], function: Callable[..., Any]) -> None:
        if kind == "async":

            async def function_async(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs)

            function_async.__name__ = function.__name__
            decorate(function_async)
        else:
            decorate(function)

    def before() -> str | None:
        record.append("before")
        return "early" if "early" in record_request(app).args else None

    def after(response: Any) -> Any:
        record.append("after")
        return response

    def teardown(exc: BaseException | None) -> None:
        record.append(f"teardown {exc!r}")

    def teardown_app(exc: BaseException | None) -> None:
        record.append(f"teardown app {exc!r}")

    def index() -> str:
        record.append("view")
        return "index"

    def fail() -> str:
        raise KeyError("view")

    def deny() -> str:
        raise Forbidden

    def lost() -> str:
        raise ValueError("lost")

    def handled(exc: Exception) -> tuple[str, int]:
        record.append("handler")
        return "handled", 400

    register(app.before_request, before)
    register(app.after_request, after)
    register(app.teardown_request, teardown)
    register(app.teardown_appcontext, teardown_app)
    register(app.route("/"), index)
    register(app.route("/fail"), fail)
    register(app.route("/deny"), deny)
    register(app.route("/lost"), lost)
    register(app.errorhandler(KeyError), handled)


def record_request(app: Any) -> Any:
    return request if isinstance(app, Flask) else flask.request


PATHS = ["/", "/?early", "/fail", "/deny", "/lost", "/nowhere"]

#: Those that Flask has.
FLASKS_STEPS = [name for name in STEPS if hasattr(flask.Flask, name)]


def replace(app: Any, name: str, kind: str, record: list[str]) -> None:
    """Let ``app`` call the step of its class by way of a method of its own."""
    original = getattr(app, name)

    def step(*args: Any, **kwargs: Any) -> Any:
        record.append(f"<{name}")
        try:
            return original(*args, **kwargs)
        finally:
            record.append(f"{name}>")

    async def step_async(*args: Any, **kwargs: Any) -> Any:
        record.append(f"<{name}")
        try:
            result = original(*args, **kwargs)
            return await result if hasattr(result, "__await__") else result
        finally:
            record.append(f"{name}>")

    setattr(app, name, step_async if kind == "async" else step)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", FLASKS_STEPS)
@pytest.mark.parametrize("kind", ["def", "async"])
@pytest.mark.parametrize("views", ["def", "async"])
def test_each_step_can_be_replaced_as_in_flask(name: str, kind: str, views: str, path: str) -> None:
    """Called at the same point, with the class's own step behind it, by any kind of method."""
    outcomes = []
    for make in (flask.Flask, Flask):
        record: list[str] = []
        app: Any = make("quiet", static_folder=None)
        app.logger.disabled = True
        ours = make is Flask
        add_views(app, views if ours else "def", record)
        replace(app, name, kind if ours else "def", record)
        client = app.sync_test_client() if ours else app.test_client()
        response = client.get(path)
        outcomes.append((response.status_code, response.text, record))
    assert outcomes[0] == outcomes[1]


def test_an_application_that_replaces_nothing_goes_the_short_way() -> None:
    """It pays nothing for the steps."""

    class Subclass(Flask):
        def trap_http_exception(self, e: Exception) -> bool:
            return False

    assert type(Subclass(__name__).dispatch) is Dispatch


def test_a_subclass_sees_what_its_steps_make() -> None:
    """In `def` methods the results are there, as in Flask."""

    class Custom(Flask):
        def preprocess_request(self, request_context: Any = None) -> Any:
            g.before = super().preprocess_request()
            return g.before

        def dispatch_request(self, request_context: Any = None) -> Any:
            return f"[{super().dispatch_request()}]"

        def process_response(self, response: Any, request_context: Any = None) -> Any:
            response = super().process_response(response)
            response.headers["X-Thread"] = str(threading.get_ident())
            response.headers["X-Before"] = str(g.before)
            return response

    app = Custom(__name__)
    add_views(app, "async", [])
    assert type(app.dispatch) is SteppedDispatch
    client = app.sync_test_client()
    response = client.get("/")
    assert response.text == "[index]"
    assert response.headers["X-Thread"] == str(threading.get_ident())
    assert client.get("/?early").headers["X-Before"] == "early"


async def test_an_async_step_may_take_another_in_a_task_of_its_own() -> None:
    """Hooks that are `def` run in a worker there, too."""

    class Custom(Flask):
        async def preprocess_request(self, request_context: Any = None) -> Any:
            return await asyncio.wait_for(self._before(), 5)

        async def _before(self) -> Any:
            return await super().preprocess_request()

    app = Custom(__name__)
    seen: list[bool] = []

    @app.before_request
    def before() -> None:
        seen.append(in_loop())

    @app.after_request
    async def after(response: Response) -> Response:
        seen.append(in_loop())
        return response

    @app.get("/")
    def index() -> str:
        seen.append(in_loop())
        return "index"

    assert (await app.test_client().get("/")).text == "index"
    assert seen == [False, False, True]


async def test_the_outermost_step_can_be_replaced() -> None:
    """It sees the request, and the response to whatever has happened."""

    class Custom(Flask):
        async def handle_request(self, request: Any) -> Any:
            response = await super().handle_request(request)
            response.headers["X-Path"] = request.path
            return response

    app = Custom("quiet")
    app.logger.disabled = True
    add_views(app, "async", [])
    client = app.test_client()
    for path, status in [("/", 200), ("/lost", 500), ("/nowhere", 404)]:
        response = await client.get(path)
        assert (response.status_code, response.headers["X-Path"]) == (status, path)


async def test_an_error_in_a_replaced_step_is_answered_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, as an error of a view is; the teardown functions run."""

    class Custom(Flask):
        async def handle_request(self, request: Any) -> Any:
            raise LookupError("outermost")

    app = Custom(__name__)
    record: list[str] = []
    add_views(app, "async", record)
    assert (await app.test_client().get("/")).status_code == 500
    assert [entry.exc_info[1].args for entry in caplog.records if entry.exc_info] == [  # type: ignore[union-attr]
        ("outermost",)
    ]
    assert record == [
        "after",
        "teardown LookupError('outermost')",
        "teardown app LookupError('outermost')",
    ]


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_errors_leave_an_application_under_test_once(kind: str) -> None:
    """Bare, and signalled once, whichever step is replaced."""
    app = Flask(__name__)
    app.testing = True
    add_views(app, kind, [])
    replace(app, "handle_exception", kind, [])
    seen: list[Any] = []

    def receive(sender: Any, exception: Exception) -> None:
        seen.append(exception)

    with got_request_exception.connected_to(receive, app), pytest.raises(ValueError, match="lost"):
        await app.test_client().get("/lost")
    assert [str(each) for each in seen] == ["lost"]


def test_a_replaced_handler_of_exceptions_decides() -> None:
    """What it returns is the response, whatever has been set for tests."""

    class Custom(Flask):
        def handle_exception(self, e: Exception) -> Any:
            return self.make_response((f"sorry: {e}", 503))

        def handle_http_exception(self, e: HTTPException) -> Any:
            answer = super().handle_http_exception(e)
            assert answer is e
            return answer

    app = Custom(__name__)
    app.testing = True
    add_views(app, "def", [])
    client = app.sync_test_client()
    response = client.get("/lost")
    assert (response.status_code, response.text) == (503, "sorry: lost")
    assert client.get("/deny").status_code == 403
    problem = client.get("/nowhere", headers={"Accept": "application/json"})
    assert problem.content_type == "application/problem+json"


def test_errors_can_be_hidden_from_teardown_functions() -> None:
    """`should_ignore_error` says which."""

    class Custom(Flask):
        def should_ignore_error(self, error: BaseException | None) -> bool:
            return isinstance(error, ValueError)

    app = Custom("quiet")
    app.logger.disabled = True
    record: list[str] = []
    add_views(app, "async", record)
    assert app.sync_test_client().get("/lost").status_code == 500
    assert record[-2:] == ["teardown None", "teardown app None"]


@pytest.mark.parametrize("make", [flask.Flask, Flask])
def test_trapping_can_be_replaced(make: Any) -> None:
    """A trapped error is none that answers itself."""

    class Custom(make):  # type: ignore[misc]
        def trap_http_exception(self, e: Exception) -> bool:
            return isinstance(e, NotFound)

    app = Custom(__name__)
    app.testing = True
    client = app.sync_test_client() if make is Flask else app.test_client()
    with pytest.raises(NotFound):
        client.get("/nowhere")


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_a_stream_is_torn_down_by_replaced_steps_after_its_end(kind: str) -> None:
    """And a signal's receivers are part of the step that it belongs to."""
    app = Flask(__name__)
    record: list[str] = []
    replace(app, "do_teardown_request", kind, record)

    @app.get("/")
    async def index() -> Any:
        async def stream() -> Any:
            yield "first"
            record.append("last")

        return stream()

    assert (await app.test_client().get("/")).text == "first"
    assert record == ["last", "<do_teardown_request", "do_teardown_request>"]


async def test_make_response_can_be_an_async_method() -> None:
    """It is awaited for each response."""

    class Custom(Flask):
        async def make_response(self, rv: Any) -> Any:  # type: ignore[override]
            await asyncio.sleep(0)
            return super().make_response(f"<{rv}>")

    for kind in ("def", "async"):
        app = Custom(__name__)
        add_views(app, kind, [])
        assert (await app.test_client().get("/")).text == "<index>"
        replace(app, "process_response", kind, [])


@pytest.mark.parametrize("make", [flask.Flask, Flask])
def test_a_failing_hook_does_not_hide_the_500(make: Any) -> None:
    """It is logged; the response goes out without it. Other errors of hooks are errors."""

    class Custom(make):  # type: ignore[misc]
        def handle_exception(self, e: Exception) -> Any:
            return super().handle_exception(e)

    app = Custom("quiet", static_folder=None)
    app.logger.disabled = True
    add_views(app, "def", [])

    @app.after_request
    def fail(response: Any) -> Any:
        raise OverflowError("after")

    client = app.sync_test_client() if make is Flask else app.test_client()
    assert client.get("/lost").status_code == 500
    assert client.get("/").status_code == 500
    with app.test_request_context("/"):
        assert app.finalize_request("x", from_error_handler=True).status_code == 200
        with pytest.raises(OverflowError):
            app.finalize_request("x")


async def test_no_free_worker_is_a_503_that_no_step_sees() -> None:
    """Its handlers might need a worker, too."""
    app = Flask(__name__)
    app.config.update(WORKER_THREADS=1, WORKER_QUEUE_SIZE=0)
    record: list[str] = []
    replace(app, "handle_exception", "async", record)
    gate = threading.Event()

    @app.get("/")
    def index() -> str:
        gate.wait(5)
        return "index"

    async with app.test_client() as client:
        first = asyncio.create_task(client.get("/"))
        await until(lambda: app.pool.busy)
        assert (await client.get("/")).status_code == 503
        gate.set()
        assert (await first).text == "index"
    assert record == []


async def test_receivers_and_signals_see_replaced_steps() -> None:
    """The signals are sent at the same points."""
    app = Flask(__name__)
    record: list[str] = []
    replace(app, "process_response", "async", record)
    app.get("/")(lambda: "index")

    async def finished(sender: Any, response: Response) -> None:
        record.append(f"finished {response.status_code}")

    with request_finished.connected_to(finished, app):
        await app.test_client().get("/")
    assert record == ["<process_response", "process_response>", "finished 200"]


# Steps that are taken by hand.


@pytest.mark.parametrize("kind", ["def", "async"])
@pytest.mark.parametrize("make", [flask.Flask, Flask])
def test_steps_can_be_taken_in_a_context_that_was_made(make: Any, kind: str) -> None:
    """As tests do; no loop runs, and `def` functions run in this thread."""
    app = make(__name__, static_folder=None)
    record: list[str] = []
    add_views(app, kind if make is Flask else "def", record)
    with app.test_request_context("/"):
        record_request(app)
        assert app.preprocess_request() is None
        assert app.dispatch_request() == "index"
        response = app.process_response(app.make_response("made"))
        assert response.get_data(as_text=True) == "made"
        assert app.full_dispatch_request().status_code == 200
        assert app.finalize_request(("final", 201)).status_code == 201
        assert app.handle_user_exception(KeyError("x")) == ("handled", 400)
        assert isinstance(app.handle_user_exception(Forbidden()), Forbidden)
    assert record.count("view") == 2
    assert record[-2:] == ["teardown None", "teardown app None"]
    with app.test_request_context("/nowhere"), pytest.raises(NotFound):
        app.dispatch_request()


async def test_steps_have_to_be_awaited_in_async_code() -> None:
    """An error says so at the line that forgets it."""
    app = Flask(__name__)
    add_views(app, "def", [])
    async with app.test_request_context("/"):
        assert await app.dispatch_request() == "index"
        with pytest.raises(MissingAwaitError, match=r"app\.dispatch_request"):
            assert app.dispatch_request() == "index"


def test_steps_need_a_request() -> None:
    """The message names the step."""
    app = Flask(__name__)
    with app.app_context(), pytest.raises(RuntimeError, match="preprocess_request"):
        app.preprocess_request()


def test_a_step_by_hand_may_wait_and_fail() -> None:
    """An `async def` hook that really waits gets a loop; its error is the step's."""
    app = Flask(__name__)

    @app.before_request
    async def wait() -> None:
        g.where = in_loop()
        await asyncio.sleep(0)

    @app.before_request
    def look() -> str:
        return f"{g.where} {in_loop()}"

    @app.get("/")
    async def index() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(5)
        raise ValueError("index")

    with app.test_request_context("/"):
        assert app.preprocess_request() == "True False"
        with pytest.raises(ValueError, match="index"):
            app.dispatch_request()


@pytest.mark.parametrize("failing", [False, True])
async def test_a_request_made_by_hand_can_be_handled(failing: bool) -> None:
    """It gets a context, which ends with it."""
    app = Flask("quiet")
    app.logger.disabled = True
    record: list[str] = []
    add_views(app, "def", record)
    async with app.test_request_context("/lost" if failing else "/"):
        made = request._get_current_object()  # type: ignore[attr-defined]
    record.clear()
    response = await app.handle_request(made)
    assert response.status_code == (500 if failing else 200)
    assert [each for each in record if "teardown" in each] == [
        "teardown None", "teardown app None"
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_what_is_no_exception_leaves_at_once(kind: str) -> None:
    """`KeyboardInterrupt` and the like; the teardown functions run."""

    class Leaving(BaseException):
        pass

    app = Flask(__name__)
    record: list[str] = []
    add_views(app, kind, record)

    def leave() -> str:
        raise Leaving

    async def leave_async() -> str:
        raise Leaving

    app.get("/leave")(leave if kind == "def" else leave_async)
    with pytest.raises(Leaving):
        await app.test_client().get("/leave")
    await until(lambda: "teardown app Leaving()" in record)


@pytest.mark.parametrize("make", [flask.Flask, Flask])
@pytest.mark.parametrize(("code", "explains"), [(301, True), (307, False)])
def test_a_redirect_that_loses_the_body_explains_itself_in_debug_mode(
    make: Any, code: int, explains: bool
) -> None:
    """Browsers repeat only a 307 or 308 with the body. A GET is redirected in any case."""
    app = make(__name__, static_folder=None)
    app.debug = app.testing = True
    app.url_map.redirect_defaults = True

    @app.route("/new", methods=["GET", "POST"])
    def new() -> str:
        return "new"

    @app.before_request
    def redirect() -> None:
        exc = record_request(app).routing_exception
        if exc is not None:
            exc.code = code

    app.add_url_rule("/old", "old", redirect_to="/new", methods=["GET", "POST"])
    client = app.sync_test_client() if make is Flask else app.test_client()
    assert client.get("/old").status_code == code
    if explains:
        with pytest.raises(AssertionError, match=r"(?s)/old.*/new"):
            client.post("/old", data={"name": "value"})
    else:
        assert client.post("/old", data={"name": "value"}).status_code == code
