"""Requests and responses that are Werkzeug's, too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import Any

import flask
import pytest
import werkzeug
from werkzeug.test import EnvironBuilder, run_wsgi_app

import asyncflask
from asyncflask.compat.flask import Flask, Request, Response, json
from asyncflask.compat.flask import request as current_request
from asyncflask.compat.flask.testing import FlaskClient as SyncClient
from asyncflask.testing import FlaskClient

REQUESTS = pytest.mark.parametrize("cls", [flask.Request, Request], ids=["flask", "asyncflask"])
RESPONSES = pytest.mark.parametrize("cls", [flask.Response, Response], ids=["flask", "asyncflask"])


def environ(**options: Any) -> dict[str, Any]:
    """The environ of a POST."""
    return EnvironBuilder("/a?b=1", method="POST", **options).get_environ()


@REQUESTS
def test_a_request_is_made_of_an_environ(cls: Any) -> None:
    """As Werkzeug's: with its form, its environ, and in it if it is to be."""
    made = environ(data={"c": "d", "f": (BytesIO(b"text"), "x.txt")})
    request = cls(made)
    assert isinstance(request, werkzeug.Request)
    assert (request.path, request.args["b"], request.form["c"]) == ("/a", "1", "d")
    assert request.files["f"].read() == b"text"
    assert request.values["b"] == "1"
    assert request.environ["werkzeug.request"] is request
    assert request.json_module.dumps({}) == "{}"
    request.close()
    untouched = environ()
    cls(untouched, populate_request=False)
    assert "werkzeug.request" not in untouched


@REQUESTS
def test_a_request_is_made_of_what_a_builder_takes(cls: Any) -> None:
    """``from_values``, and reading it by Werkzeug's private method."""
    request = cls.from_values("/x", method="POST", data={"a": "b"})
    request._load_form_data()
    assert request.form["a"] == "b"
    request = cls.from_values("/x", method="POST", data=b"text")
    assert request.get_data() == b"text"
    with cls.from_values("/x") as request:
        assert request.get_data() == b""


@pytest.mark.parametrize("path", ["/input", "/stream"])
async def test_the_environ_has_the_body(path: str) -> None:
    """``wsgi.input`` is the stream of the request, in ``def`` code."""
    app = Flask("shop")

    @app.post("/input")
    def environs() -> Any:
        return current_request.environ["wsgi.input"].read()

    @app.post("/stream")
    def requests() -> Any:
        return current_request.stream.read()

    response = await FlaskClient(app).post(path, content=b"x" * 100_000)
    assert response.content == b"x" * 100_000


@RESPONSES
def test_a_body_is_a_list_of_bytes(cls: Any) -> None:
    """Extensions look into ``response.response``."""
    response = cls("täxt")
    assert response.response == [b"t\xc3\xa4xt"]
    assert response.headers["Content-Length"] == "5"
    assert response.get_data() == b"t\xc3\xa4xt"
    response.data = b"other"
    assert (response.response, response.content_length) == ([b"other"], 5)
    pieces = cls([b"a", "b"])
    assert (pieces.data, b"".join(pieces.iter_encoded())) == (b"ab", b"ab")
    assert isinstance(response, werkzeug.Response)
    response.automatically_set_content_length = False
    response.set_data("longer")
    assert response.headers["Content-Length"] == "5"


@RESPONSES
def test_a_response_is_a_wsgi_application(cls: Any) -> None:
    """It is called with an environ."""
    body, status, headers = run_wsgi_app(cls("text", 201, {"X-A": "b"}), environ())
    assert (b"".join(body), status, headers["X-A"]) == (b"text", "201 CREATED", "b")


async def test_a_response_is_an_asgi_application() -> None:
    """It is called with a scope."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Response("text")({"type": "http", "method": "GET"}, None, send)
    assert sent[0]["status"] == 200
    assert sent[1]["body"] == b"text"


@RESPONSES
def test_other_responses_become_one_of_the_class(cls: Any) -> None:
    """Werkzeug's, and what a WSGI application answers."""
    closed: list[int] = []
    foreign = werkzeug.Response("text", 202, {"X-A": "b"})
    foreign.call_on_close(lambda: closed.append(1))
    response = cls.force_type(foreign)
    assert type(response) is cls
    assert (response.data, response.status_code, response.headers["X-A"]) == (b"text", 202, "b")
    response.close()
    assert closed == [1]
    assert cls.force_type(response) is response
    assert cls.force_type(werkzeug.exceptions.NotFound(), environ()).status_code == 404
    with pytest.raises(TypeError):
        cls.force_type(werkzeug.exceptions.NotFound())


def test_a_response_of_the_core_becomes_one_of_the_class() -> None:
    """An application may use both sets of names."""
    app = Flask("shop")
    app.get("/")(lambda: asyncflask.Response("text", 202))
    response = app.test_client().get("/")
    assert (response.text, response.status_code) == ("text", 202)
    assert Response.force_type(asyncflask.Response("text")).data == b"text"


async def pieces() -> AsyncIterator[str]:
    """A body that is streamed."""
    yield "a"
    yield "b"


@pytest.mark.parametrize("as_text", [True, False])
async def test_a_streamed_body_is_a_list_once_it_was_read(as_text: bool) -> None:
    """Whichever way it was read."""
    response = Response(pieces())
    assert await response.get_data(as_text=as_text) == ("ab" if as_text else b"ab")
    assert response.response == [b"ab"]


async def test_streamed_responses_are_sent_by_the_framework() -> None:
    """Their class has a ``__call__`` of its own, which is not in the way."""
    app = Flask("shop")
    app.get("/")(lambda: Response(pieces()))
    assert (await FlaskClient(app).get("/")).text == "ab"


@pytest.mark.parametrize("body", ["def", "async"])
async def test_a_stream_can_be_wrapped_by_a_hook(body: str) -> None:
    """Pieces are taken from the body that the response had, on the loop if they come from there."""
    app = Flask("shop")

    def in_def() -> Iterator[str]:
        yield "a"
        yield "b"

    app.get("/")(lambda: Response(in_def() if body == "def" else pieces()))

    @app.after_request
    def shout(response: Response) -> Response:
        response.response = (chunk.upper() for chunk in response.iter_encoded())
        return response

    assert (await FlaskClient(app).get("/")).text == "AB"


class Pieces:
    """An async iterable that cannot be closed."""

    def __init__(self) -> None:
        self._left = ["b", "a"]

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> str:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


async def test_any_async_iterable_can_be_pulled() -> None:
    """Also one without ``aclose``."""
    app = Flask("shop")
    app.get("/")(lambda: b"".join(Response(Pieces()).iter_encoded()))
    assert (await FlaskClient(app).get("/")).text == "ab"


def test_the_module_for_json_is_the_namespaces() -> None:
    """It has Werkzeug's name."""
    assert Request.json_module is Response.json_module is json


def test_after_request_functions_see_werkzeugs_response() -> None:
    """With all that Werkzeug's can do."""
    app = Flask("shop")
    app.get("/")(lambda: "text")

    @app.after_request
    def shout(response: Response) -> Response:
        response.set_data(b"".join(response.response).upper())  # type: ignore[arg-type]
        assert dict(response.get_wsgi_headers({"wsgi.url_scheme": "http"}))["Content-Length"] == "4"
        return response

    client: SyncClient = app.test_client()
    assert client.get("/").text == "TEXT"
