"""What becomes of an exception."""

from __future__ import annotations

import logging
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from werkzeug.exceptions import BadRequest, Conflict, HTTPException, MethodNotAllowed, NotFound

from asyncflask import Blueprint, Flask, Response, abort, request
from asyncflask.life.errors import as_werkzeug, unwrap
from asyncflask.signals import got_request_exception
from tests.wire import Wire


def make_app(**config: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(config)
    return app


def raise_in_view(app: Flask | Blueprint, exc: BaseException, kind: str = "async def") -> None:
    def view() -> str:
        raise exc

    async def async_view() -> str:
        raise exc

    app.add_url_rule("/", "index", view if kind == "def" else async_view)


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("handler_kind", ["def", "async def"])
async def test_handlers_are_found_by_code_and_by_class(kind: str, handler_kind: str) -> None:
    """Of either kind, for views of either kind."""
    app = make_app()

    def plain(exc: Exception) -> tuple[str, int]:
        return f"handled {type(exc).__name__}", 499

    async def on_loop(exc: Exception) -> tuple[str, int]:
        return plain(exc)

    handler = plain if handler_kind == "def" else on_loop
    app.register_error_handler(404, handler)
    app.register_error_handler(LookupError, handler)
    raise_in_view(app, KeyError("x"), kind)
    client = app.test_client()
    response = await client.get("/")
    assert (response.status_code, response.text) == (499, "handled KeyError")
    assert (await client.get("/nowhere")).text == "handled NotFound"


class Special(Conflict):
    """A subclass of an HTTP exception, with its code."""


HANDLERS: list[Any] = [409, Conflict, Special, HTTPException, Exception, ValueError, 500]
RAISED: list[Any] = [Special, Conflict, BadRequest, ValueError, UnicodeError, ZeroDivisionError]


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize(
    "registered", [HANDLERS[:n] for n in range(1, len(HANDLERS) + 1)] + [[h] for h in HANDLERS]
)
async def test_the_same_handler_is_chosen_as_in_flask(raised: Any, registered: list[Any]) -> None:
    """By code before by class, the most specific class first; side by side with Flask."""

    def exc() -> Exception:
        return UnicodeError("x") if raised is UnicodeError else raised()

    ours, theirs = make_app(), flask.Flask(__name__)
    for app in (ours, theirs):
        for number, what in enumerate(registered):
            app.register_error_handler(what, lambda e, number=number: (f"handler {number}", 400))
    raise_in_view(ours, exc())
    raise_in_view(theirs, exc(), "def")  # type: ignore[arg-type]
    expected = theirs.test_client().get("/")
    response = await ours.test_client().get("/")
    assert response.status_code == expected.status_code
    if expected.text.startswith("handler"):
        assert response.text == expected.text


async def test_the_blueprints_handler_is_nearer_than_the_applications() -> None:
    """And holds for its own views only."""
    app = make_app()
    blueprint = Blueprint("bp", __name__, url_prefix="/bp")

    @blueprint.errorhandler(KeyError)
    async def nearer(exc: KeyError) -> str:
        return "blueprint"

    @app.errorhandler(KeyError)
    async def farther(exc: KeyError) -> str:
        return "application"

    raise_in_view(blueprint, KeyError())
    raise_in_view(app, KeyError())
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert (await client.get("/bp/")).text == "blueprint"
    assert (await client.get("/")).text == "application"


async def test_errors_of_hooks_are_handled_too() -> None:
    """Before functions as well as views."""
    app = make_app()

    @app.before_request
    async def fail() -> None:
        raise KeyError

    @app.errorhandler(KeyError)
    async def handle(exc: KeyError) -> str:
        return "handled"

    assert (await app.test_client().get("/")).text == "handled"


async def test_an_unhandled_error_is_a_plain_500_logged_once_and_signalled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client learns nothing of it."""
    app = make_app()
    raise_in_view(app, ValueError("a secret"))
    signalled: list[Exception] = []

    async def receiver(sender: Flask, exception: Exception) -> None:
        signalled.append(exception)

    got_request_exception.connect(receiver, app)
    with caplog.at_level(logging.ERROR):
        response = await app.test_client().get("/")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Internal Server Error" in response.text
    assert [str(exc) for exc in signalled] == ["a secret"]
    assert len(caplog.records) == 1


async def test_the_handler_for_500_gets_the_original_exception() -> None:
    """As `original_exception`."""
    app = make_app()
    raise_in_view(app, ValueError("mine"))

    @app.errorhandler(500)
    async def handle(exc: Any) -> tuple[str, int]:
        return str(exc.original_exception), 500

    assert (await app.test_client().get("/")).text == "mine"


async def test_a_handler_for_500_that_fails_gives_the_plain_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Both errors are in the log."""
    app = make_app()
    raise_in_view(app, ValueError("first"))

    @app.errorhandler(500)
    async def handle(exc: Any) -> str:
        raise KeyError("second")

    response = await app.test_client().get("/")
    assert response.status_code == 500
    assert "first" in caplog.text
    assert "second" in caplog.text


@pytest.mark.parametrize("setting", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_errors_reach_the_test(setting: str, kind: str) -> None:
    """Bare: the very exception object, in no group."""
    app = make_app(**{setting: True})
    error = ValueError("mine")
    raise_in_view(app, error, kind)
    with pytest.raises(ValueError, match="mine") as caught:
        await app.test_client().get("/")
    assert caught.value is error


async def test_propagation_can_be_turned_off_in_tests() -> None:
    """`PROPAGATE_EXCEPTIONS = False` beats TESTING."""
    app = make_app(TESTING=True, PROPAGATE_EXCEPTIONS=False)
    raise_in_view(app, ValueError())
    assert (await app.test_client().get("/")).status_code == 500


async def test_an_exception_group_with_one_member_is_that_member() -> None:
    """Task groups wrap what fails in them."""
    app = make_app()
    raise_in_view(app, ExceptionGroup("outer", [ExceptionGroup("inner", [NotFound()])]))
    assert (await app.test_client().get("/")).status_code == 404
    both = ExceptionGroup("two", [KeyError(), ValueError()])
    assert unwrap(both) is both


async def test_starlettes_http_exception_is_handled_as_werkzeugs() -> None:
    """With its detail and its headers, in our views and in mounted applications."""

    async def fails(starlette_request: StarletteRequest) -> None:
        raise StarletteHTTPException(409, "because", headers={"X-Why": "so"})

    app = make_app()
    raise_in_view(app, StarletteHTTPException(409, "because", headers={"X-Why": "so"}))
    app.router.routes.append(Route("/route", fails))
    app.router.routes.append(Mount("/mounted", routes=[Route("/x", fails)]))
    client = app.test_client()
    for path in ("/", "/route", "/mounted/x"):
        response = await client.get(path)
        assert (response.status_code, response.headers["x-why"]) == (409, "so")
        assert "because" in response.text

    handled = make_app()
    raise_in_view(handled, StarletteHTTPException(404))

    @handled.errorhandler(404)
    async def handle(exc: NotFound) -> tuple[str, int]:
        return f"handled {exc.description}", 404

    assert (await handled.test_client().get("/")).text == f"handled {NotFound.description}"


async def test_a_code_that_werkzeug_does_not_know_keeps_its_code() -> None:
    """Such as 499."""
    app = make_app()
    raise_in_view(app, StarletteHTTPException(499, "gone"))
    response = await app.test_client().get("/")
    assert response.status_code == 499
    assert "gone" in response.text


async def test_starlettes_handlers_get_request_and_error() -> None:
    """`add_exception_handler`: `(request, exc)`, of either kind, answering with its responses."""
    app = make_app()

    async def on_key_error(req: StarletteRequest, exc: Exception) -> JSONResponse:
        return JSONResponse({"path": req.url.path}, status_code=418)

    def on_not_found(req: StarletteRequest, exc: Exception) -> JSONResponse:
        return JSONResponse({"missing": req.url.path}, status_code=404)

    app.add_exception_handler(KeyError, on_key_error)  # type: ignore[arg-type]
    app.add_exception_handler(404, on_not_found)  # type: ignore[arg-type]
    raise_in_view(app, KeyError())
    client = app.test_client()
    response = await client.get("/")
    assert (response.status_code, response.json()) == (418, {"path": "/"})
    response = await client.get("/nowhere")
    assert (response.status_code, response.json()) == (404, {"missing": "/nowhere"})


async def test_a_code_that_werkzeug_does_not_know_has_one_class() -> None:
    """A new one for each exception would never be forgotten."""
    first, second = (as_werkzeug(StarletteHTTPException(499)) for _ in range(2))
    assert type(first) is type(second)


@pytest.mark.parametrize("starlettes", [True, False])
async def test_starlettes_exception_has_handlers_of_its_own(starlettes: bool) -> None:
    """Of either kind. They come before Werkzeug's classes, after the code, and get the original."""
    app = make_app()
    error = StarletteHTTPException(409, "because")
    raise_in_view(app, error)
    given: list[Exception] = []

    async def keep(exc: Exception) -> str:
        given.append(exc)
        return "handled"

    async def starlettes_keep(req: StarletteRequest, exc: Exception) -> PlainTextResponse:
        return PlainTextResponse(await keep(exc))

    async def never(exc: Exception) -> str:
        raise AssertionError(exc)

    if starlettes:
        app.add_exception_handler(StarletteHTTPException, starlettes_keep)
    else:
        app.register_error_handler(StarletteHTTPException, keep)
    for code_or_class in (HTTPException, Exception, 404):
        app.register_error_handler(code_or_class, never)
    assert (await app.test_client().get("/")).text == "handled"
    assert given == [error]


async def test_a_handler_for_the_code_comes_before_starlettes_class() -> None:
    """As in Starlette."""
    app = make_app()
    raise_in_view(app, StarletteHTTPException(409, "because"))

    async def answer(exc: Exception) -> str:
        return type(exc).__name__

    app.register_error_handler(StarletteHTTPException, answer)
    app.register_error_handler(409, answer)
    assert (await app.test_client().get("/")).text == "Conflict"


@pytest.mark.parametrize(
    ("error", "code", "detail", "headers"),
    [
        (
            StarletteHTTPException(404, "original", {"X-Why": "so"}),
            404,
            "original",
            {"X-Why": "so"},
        ),
        (NotFound("lost"), 404, "lost", {}),
        (MethodNotAllowed(["GET"], "no"), 405, "no", {"Allow": "GET"}),
    ],
)
async def test_starlettes_handlers_get_starlettes_exceptions(
    error: Exception, code: int, detail: str, headers: dict[str, str]
) -> None:
    """The original, or one that is made from Werkzeug's: they read `detail` and `headers`."""
    app = make_app()
    raise_in_view(app, error)

    def handle(req: StarletteRequest, exc: Exception) -> JSONResponse:
        assert isinstance(exc, StarletteHTTPException)
        return JSONResponse([exc.status_code, exc.detail, exc.headers])

    app.add_exception_handler(code, handle)
    assert (await app.test_client().get("/")).json() == [code, detail, headers]


async def test_starlettes_handler_for_500_gets_the_error_itself() -> None:
    """As from Starlette."""
    app = make_app()
    error = KeyError("x")
    raise_in_view(app, error)
    given: list[Exception] = []

    def handle(req: StarletteRequest, exc: Exception) -> JSONResponse:
        given.append(exc)
        return JSONResponse({}, status_code=500)

    app.add_exception_handler(500, handle)
    assert (await app.test_client().get("/")).status_code == 500
    assert given == [error]


async def test_clients_that_prefer_json_get_a_problem_document() -> None:
    """RFC 9457; browsers and clients that take anything get the page."""
    app = make_app()
    client = app.test_client()
    response = await client.get("/nowhere", headers={"Accept": "application/json"})
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": NotFound.description,
    }
    for accept in (
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "*/*",
        "text/html, application/json;q=0.5",
    ):
        page = await client.get("/nowhere", headers={"Accept": accept})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<h1>Not Found</h1>" in page.text


async def test_a_response_can_be_raised() -> None:
    """`abort(response)`, with hooks applied."""
    app = make_app()

    @app.get("/")
    async def index() -> str:
        abort(Response("teapot", 418))

    response = await app.test_client().get("/")
    assert (response.status_code, response.text) == (418, "teapot")


async def test_a_405_says_what_is_allowed() -> None:
    """In `Allow`, automatic methods included."""
    app = make_app()

    @app.post("/")
    async def index() -> str:
        return "ok"

    response = await app.test_client().get("/")
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"OPTIONS", "POST"}


async def test_missing_form_keys_are_400_and_named_in_debug() -> None:
    """As Flask does: the key is shown in debug mode only."""
    for debug in (False, True):
        app = make_app(DEBUG=debug)

        @app.get("/")
        async def index() -> str:
            return request.args["missing"]

        @app.errorhandler(400)
        async def handle(exc: Any) -> tuple[str, int]:
            return exc.description, 400

        response = await app.test_client().get("/")
        assert response.status_code == 400
        assert ("missing" in response.text) is debug


@pytest.mark.parametrize(
    ("setting", "exc"),
    [("TRAP_HTTP_EXCEPTIONS", NotFound()), ("TRAP_BAD_REQUEST_ERRORS", BadRequest())],
)
async def test_http_errors_can_be_trapped_for_debugging(setting: str, exc: Exception) -> None:
    """They are then treated as bugs."""
    app = make_app(TESTING=True, **{setting: True})
    raise_in_view(app, exc)
    with pytest.raises(type(exc)):
        await app.test_client().get("/")


async def test_debug_mode_explains_an_error_to_this_machine_only() -> None:
    """A page with the traceback; then the error goes on to the server, which logs it."""
    app = make_app(DEBUG=True)
    raise_in_view(app, ValueError("mine"))
    for client_address, host, shown in (
        (("127.0.0.1", 1), b"localhost:5000", True),
        (("192.0.2.1", 1), b"localhost:5000", False),
        (("127.0.0.1", 1), b"evil.example", False),
    ):
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        for accept, kind in ((b"text/html", b"text/html"), (b"text/plain", b"text/plain")):
            sent.clear()
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/",
                "client": client_address,
                "headers": [(b"host", host), (b"accept", accept)],
                "query_string": b"",
            }
            with pytest.raises(ValueError, match="mine"):
                await app(scope, receive, send)
            assert bool(sent) is shown
            if shown:
                assert dict(sent[0]["headers"])[b"content-type"].startswith(kind)
                assert b"mine" in sent[1]["body"]
                assert b"test_errors.py" in sent[1]["body"]


async def test_debug_mode_explains_errors_of_mounted_applications_too() -> None:
    """And passes them on to the server."""
    app = make_app(DEBUG=True)

    async def fails(starlette_request: StarletteRequest) -> None:
        raise ValueError("mine")

    app.mount("/mounted", Starlette(routes=[Route("/x", fails)]).router)
    with pytest.raises(ValueError, match="mine"):
        await app.test_client().get("/mounted/x")


async def test_an_error_of_a_mounted_application_that_has_begun_goes_to_the_server() -> None:
    """No other answer can be sent any more."""
    app = make_app()

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("mine")

    app.mount("/mounted", fails)
    wire = Wire("/mounted/x")
    with pytest.raises(ValueError, match="mine"):
        await app(wire.scope, wire.receive, wire.send)
    assert [message["type"] for message in wire.sent] == ["http.response.start"]
