"""What becomes of a view's return value."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import flask
import msgspec
import pydantic
import pytest
from starlette.background import BackgroundTask
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.routing import Router as StarletteRouter
from werkzeug.datastructures import Headers
from werkzeug.exceptions import NotFound
from werkzeug.sansio.response import Response as SansIOResponse
from werkzeug.wrappers import Response as WerkzeugResponse

from asyncflask import Flask, Response, make_response, request, session
from asyncflask.exceptions import MissingAwaitError
from asyncflask.life.coerce import AsgiResponse


def app_returning(make: Any, kind: str = "async def", **config: Any) -> Flask:
    """An application whose view `/` returns what `make()` returns."""
    app = Flask(__name__, static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key", **config)

    def index() -> Any:
        return make()

    async def async_index() -> Any:
        return make()

    app.add_url_rule("/", "index", index if kind == "def" else async_index, methods=["GET", "POST"])
    return app


async def ask(app: Flask, method: str = "GET", **options: Any) -> Any:
    return await app.test_client().open("/", method=method, **options)


# Side by side with Flask.

BODIES: list[Any] = ["text é", "", b"bytes", bytearray(b"array"), {"a": 1}, [1, 2], {}, []]
STATUSES: list[Any] = [201, "201 Made", "404", HTTPStatus.ACCEPTED]
HEADERS: list[Any] = [
    {"X-A": "1"},
    {"X-A": ["1", "2"]},
    [("X-A", "1"), ("X-A", "2")],
    (("X-A", "1"),),
    Headers({"X-A": "1"}),
    {"Content-Type": "text/csv"},
    {},
]


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("form", ["body", "status", "headers", "both"])
async def test_plain_values_and_tuples_are_what_they_are_in_flask(
    kind: str, hooked: bool, form: str
) -> None:
    """Bodies, `(body, status)`, `(body, headers)` and all three, whether hooks look or not."""
    current: list[Any] = [None]

    def make() -> Any:
        return copy.deepcopy(current[0])  # a Headers object becomes the response's own

    ours = app_returning(make, kind)
    theirs = flask.Flask(__name__, static_folder=None)
    theirs.add_url_rule("/", "index", make)
    if hooked:
        ours.after_request(lambda response: response)
    client, flask_client = ours.test_client(), theirs.test_client()
    for body in BODIES:
        for status in STATUSES if form in ("status", "both") else [200]:
            for headers in HEADERS if form in ("headers", "both") else [{}]:
                current[0] = {
                    "body": body,
                    "status": (body, status),
                    "headers": (body, headers),
                    "both": (body, status, headers),
                }[form]
                response, expected = await client.get("/"), flask_client.get("/")
                assert response.status_code == expected.status_code
                if isinstance(body, dict | list):
                    assert response.json() == json.loads(expected.data)
                else:
                    assert response.content == expected.data
                wanted = sorted((k.lower(), v) for k, v in expected.headers)
                names = {"x-content-type-options", "content-length"}
                sent = sorted(p for p in response.headers.multi_items() if p[0] not in names)
                assert sent == [pair for pair in wanted if pair[0] not in names]
                assert int(response.headers["content-length"]) == len(response.content)


# JSON.


@dataclasses.dataclass
class Point:
    x: int


class Struct(msgspec.Struct):
    x: int


class Model(pydantic.BaseModel):
    x: int


@attrs.define
class Attrs:
    x: int


class CallableModel(pydantic.BaseModel):
    x: int

    def __call__(self) -> None: ...


@pytest.mark.parametrize("value", [Point(1), Struct(1), Model(x=1), Attrs(1), CallableModel(x=1)])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_objects_with_fields_become_json(value: Any, kind: str) -> None:
    """Dataclasses, Structs, attrs classes and pydantic's models."""
    response = await ask(app_returning(lambda: (value, 201), kind))
    assert (response.status_code, response.json()) == (201, {"x": 1})
    assert response.headers["content-type"] == "application/json"


# Streams.


async def agenerate() -> AsyncIterator[str]:
    yield "a"
    yield "b"


def generate() -> Iterator[bytes]:
    yield b"a"
    yield b"b"


class Chunks:
    """Only iterable: no iterator, no JSON."""

    def __iter__(self) -> Iterator[str]:
        return iter("ab")


class AsyncChunks:
    def __aiter__(self) -> AsyncIterator[str]:
        return agenerate()


@pytest.mark.parametrize("make", [generate, agenerate, lambda: iter("ab"), Chunks, AsyncChunks])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_iterables_are_streamed(make: Any, kind: str) -> None:
    """Generators and iterators of either sort, and objects that give one."""
    response = await ask(app_returning(lambda: (make(), 201, {"X-A": "1"}), kind))
    assert (response.status_code, response.text, response.headers["x-a"]) == (201, "ab", "1")
    assert "content-length" not in response.headers


# Responses.


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_responses_pass(kind: str) -> None:
    """With status and headers of the tuple laid over them."""
    app = app_returning(
        lambda: (Response("x", headers={"X-A": "1", "X-B": "1"}), 201, {"X-A": "2"}), kind
    )
    response = await ask(app)
    assert (response.status_code, response.text) == (201, "x")
    assert (response.headers["x-a"], response.headers["x-b"]) == ("2", "1")


@pytest.mark.parametrize("body", ["text", ["te", "xt"], iter(["te", "xt"])])
async def test_werkzeugs_responses_pass(body: Any) -> None:
    """Complete or streamed; they are closed."""
    closed: list[str] = []

    def make() -> Any:
        response = WerkzeugResponse(body, 201, {"X-A": "1"}, mimetype="text/csv")
        response.call_on_close(lambda: closed.append("closed"))
        return response

    response = await ask(app_returning(make))
    assert (response.status_code, response.text, response.headers["x-a"]) == (201, "text", "1")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert closed == ["closed"]


async def test_a_response_without_a_content_type_stays_without() -> None:
    """Werkzeug's, after somebody has removed it."""

    def make() -> Any:
        response = WerkzeugResponse("x")
        del response.headers["Content-Type"]
        return response

    assert "content-type" not in (await ask(app_returning(make))).headers


async def test_a_response_that_is_only_headers() -> None:
    """Werkzeug's without a body."""
    response = await ask(app_returning(lambda: SansIOResponse(201, {"X-A": "1"})))
    assert (response.status_code, response.text, response.headers["x-a"]) == (201, "", "1")


async def test_an_http_error_may_be_returned() -> None:
    """It answers as itself, and no handler is asked; as in Flask."""
    app = app_returning(lambda: NotFound("not here"))
    app.register_error_handler(404, lambda exc: "handled")
    response = await ask(app)
    assert response.status_code == 404
    assert "not here" in response.text


class Special(Response):
    """An application's own class."""


@pytest.mark.parametrize(
    "make", [lambda: Response("x"), lambda: WerkzeugResponse("x"), lambda: "x", generate]
)
async def test_the_applications_class_is_what_hooks_get(make: Any) -> None:
    """Whatever the view returned; `async def` functions called on close are awaited."""
    app = app_returning(make)
    app.response_class = Special
    seen: list[Any] = []
    closed: list[str] = []

    @app.after_request
    async def after(response: Response) -> Response:
        seen.append(type(response))
        return response

    @app.get("/closing")
    async def closing() -> Response:
        response = Response("x")

        @response.call_on_close
        async def close() -> None:
            closed.append("closed")

        return response

    assert (await ask(app)).text in ("x", "ab")
    assert (await app.test_client().get("/closing")).text == "x"
    assert seen == [Special, Special]
    assert closed == ["closed"]


async def test_a_def_decorator_around_an_async_view() -> None:
    """The view is `def` then and returns a coroutine, which is awaited on the loop."""
    app = Flask(__name__, static_folder=None)

    async def view() -> str:
        return await request.get_data(as_text=True)

    @app.post("/")
    def decorated() -> Any:
        return view()

    assert (await ask(app, "POST", data="body")).text == "body"


# Starlette's responses and ASGI applications.


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/plain"), (b"vary", b"Accept"), (b"X-Frame-Options", b"A")]
    await send({"type": "http.response.start", "status": 203, "headers": headers})
    await send({"type": "http.response.body", "body": b"as", "more_body": True})
    await send({"type": "http.response.body", "body": b"gi"})


class Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await asgi(scope, receive, send)

    async def method(self, scope: Any, receive: Any, send: Any) -> None:
        await asgi(scope, receive, send)


@pytest.mark.parametrize(
    "app",
    [asgi, Asgi(), Asgi().method, functools.partial(asgi)],
    ids=["function", "object", "method", "partial"],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_any_asgi_application_may_be_returned(app: Any, kind: str) -> None:
    """It answers in place of the view."""
    response = await ask(app_returning(lambda: app, kind))
    assert (response.status_code, response.text) == (203, "asgi")
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_hooks_see_and_change_starlettes_responses() -> None:
    """Status and headers; cookies and the session are added, what is set is replaced."""

    def make() -> Any:
        response = JSONResponse({"a": 1}, 202, headers={"X-A": "1", "X-B": "1", "X-C": "1"})
        response.set_cookie("own", "1")
        return response

    app = app_returning(make)

    @app.after_request
    async def after(response: Response) -> Response:
        assert isinstance(response, AsgiResponse)
        assert response.is_streamed
        assert response.status_code == 202
        assert response.headers["X-A"] == "1"
        response.headers["X-A"] = "2"
        response.headers["X-New"] = "1"
        response.headers["Content-Type"] = response.headers["Content-Type"]
        del response.headers["X-B"]
        response.status_code = 299
        response.set_cookie("mine", "2")
        session["user"] = "ada"
        return response

    response = await ask(app)
    assert (response.status_code, response.json()) == (299, {"a": 1})
    assert response.headers.get_list("x-a") == ["2"]
    assert response.headers.get_list("content-type") == ["application/json"]
    assert response.headers.get_list("content-length") == [str(len(response.content))]
    assert response.headers["x-new"] == response.headers["x-c"] == "1"
    assert "x-b" not in response.headers
    assert response.headers["vary"] == "Cookie"
    cookies = response.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["own", "mine", "session"]


async def test_hooks_change_what_they_cannot_see() -> None:
    """An application's own headers are known when it sends them: what was set takes their place."""
    app = app_returning(lambda: asgi)

    @app.after_request
    async def after(response: Response) -> Response:
        assert (response.status_code, list(response.headers)[:-1]) == (200, [])
        response.headers["X-Frame-Options"] = "DENY"
        response.vary.add("Cookie")
        return response

    response = await ask(app)
    assert response.status_code == 203
    assert response.headers.get_list("x-frame-options") == ["DENY"]
    assert response.headers.get_list("vary") == ["Accept", "Cookie"]


async def test_a_tuple_around_a_starlette_response() -> None:
    """Status and headers are the tuple's; `nosniff` can be turned off."""
    app = app_returning(
        lambda: (PlainTextResponse("x"), 201, {"X-A": "1"}), CONTENT_TYPE_NOSNIFF=False
    )
    response = await ask(app)
    assert (response.status_code, response.text, response.headers["x-a"]) == (201, "x", "1")
    assert "x-content-type-options" not in response.headers


async def test_a_response_class_of_its_own_leaves_asgi_responses_alone() -> None:
    """`make_response()` in a view, then the view's return: the same object."""
    app = app_returning(lambda: make_response(PlainTextResponse("x"), 201))
    app.response_class = Special
    response = await ask(app)
    assert (response.status_code, response.text) == (201, "x")


async def test_starlettes_kinds_of_responses(tmp_path: Path) -> None:
    """Streams, redirects, files with ranges; background tasks run after the response."""
    record: list[str] = []
    file = tmp_path / "file.txt"
    file.write_text("0123456789")
    kinds: dict[str, Any] = {
        "stream": lambda: StreamingResponse(agenerate()),
        "redirect": lambda: RedirectResponse("/é"),
        "file": lambda: FileResponse(file, stat_result=file.stat()),
        "background": lambda: StarletteResponse(
            "x", background=BackgroundTask(record.append, "ran")
        ),
        "router": lambda: StarletteRouter(
            [Route("/router", lambda request: PlainTextResponse("in"))]
        ),
    }
    app = Flask(__name__, static_folder=None)
    app.config.update(TESTING=True)

    @app.get("/<kind>")
    async def index(kind: str) -> Any:
        return kinds[kind]()

    @app.after_request
    async def after(response: Response) -> Response:
        response.headers["X-After"] = "1"
        return response

    client = app.test_client()
    assert (await client.get("/stream")).text == "ab"
    redirect = await client.get("/redirect")
    assert (redirect.status_code, redirect.headers["location"]) == (307, "/%C3%A9")
    assert (await client.get("/file")).text == "0123456789"
    part = await client.get("/file", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.text, part.headers["x-after"]) == (206, "234", "1")
    assert part.headers.get_list("content-length") == ["3"]
    assert (await client.get("/background")).text == "x"
    assert record == ["ran"]
    assert (await client.get("/router")).text == "in"
    head = await client.head("/file")
    assert (head.text, head.headers["content-length"]) == ("", "10")


# Mistakes.


class Pair(NamedTuple):
    status: str
    headers: int


async def coroutine() -> str:
    return "never"


class Task:
    def __await__(self) -> Any:
        yield


def wsgi(environ: Any, start_response: Any) -> Any: ...


MISTAKES: list[tuple[Any, str]] = [
    (lambda: None, "The view 'index' .* returned None"),
    (lambda: (None, 204), "The view 'index' .* returned None"),
    (lambda: 5, "The view 'index' .* returned 5; it was a int"),
    (object, "The view 'index' .* returned a value of type object"),
    (lambda: {"a": object()}, r"\['a'\]"),
    (lambda: (1, 2, 3, 4), "The view 'index' .* returned a tuple of 4"),
    (lambda: ("x",), "The view 'index' .* returned a tuple of 1"),
    (lambda: (), "The view 'index' .* returned a tuple of 0"),
    (Task, "The view 'index' .* returned a Task that was not awaited"),
    (lambda: wsgi, "The view 'index' .* returned the callable .*wsgi"),
    (lambda: flask.Flask("other"), "no ASGI application"),
]


@pytest.mark.parametrize(("make", "message"), MISTAKES)
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_other_values_are_refused_and_the_view_is_named(
    make: Any, message: str, kind: str
) -> None:
    """With what may be returned instead."""
    with pytest.raises(TypeError, match=message):
        await ask(app_returning(make, kind))


async def test_a_forgotten_await_is_named() -> None:
    """A coroutine, an accessor's result, and one inside JSON."""
    with pytest.raises(TypeError, match="returned a coroutine that was not awaited"):
        await ask(app_returning(coroutine))
    with pytest.raises(MissingAwaitError, match=r"await request\.get_json"):
        await ask(app_returning(lambda: request.get_json()), "POST", json={})
    with pytest.raises(MissingAwaitError, match="was put into JSON"):
        await ask(app_returning(lambda: {"a": request.form}), "POST", data={"a": "1"})


async def test_outside_of_a_request_there_is_no_view_to_name() -> None:
    """`make_response` can be called there too."""
    app = app_returning(str)
    with pytest.raises(TypeError, match=r"make_response\(\) was given what no view may return"):
        app.make_response(None)
    async with app.app_context():
        with pytest.raises(TypeError, match=r"make_response\(\)"):
            app.make_response(None)


async def test_a_view_that_returns_none_is_named_with_its_place() -> None:
    """The file and the line say where to look."""
    app = Flask(__name__, static_folder=None)
    app.testing = True

    @app.get("/")
    async def forgetful() -> None:
        pass

    with pytest.raises(TypeError, match=r"'forgetful' \(.*test_coerce\.py:\d+\) returned None"):
        await app.test_client().get("/")


@pytest.mark.parametrize("value", [("a", 1000), ({"a": 1}, 42)])
async def test_a_status_that_http_does_not_have_is_refused(value: Any) -> None:
    """A server would fail on it, or send it."""
    app = Flask(__name__, static_folder=None)
    app.testing = True

    @app.get("/")
    async def index() -> Any:
        return value

    with pytest.raises(ValueError, match="from 100 to 599"):
        await app.test_client().get("/")
