"""The response: Werkzeug's interface, made and sent as late as possible."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any, cast

import flask
import pytest
from flask import Response as FlaskResponse
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from werkzeug.datastructures import ContentRange, Headers
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.sansio.request import Request as SansIORequest
from werkzeug.test import EnvironBuilder

from asyncflask import Flask, Response
from asyncflask.exceptions import MissingAwaitError
from asyncflask.testing import ASGITransport
from asyncflask.testing._httpx import httpx
from tests.wire import Wire

CONSTRUCTED: list[dict[str, Any]] = [
    {},
    {"response": "text"},
    {"response": "é"},
    {"response": b"bytes"},
    {"response": bytearray(b"bytes")},
    {"response": ["a", "b"]},
    {"response": ""},
    {"response": "x", "status": 201},
    {"response": "x", "status": "404 Not Here"},
    {"response": "x", "status": "404"},
    {"response": "x", "status": HTTPStatus.CREATED},
    {"response": "x", "headers": {"X-A": "1", "X-B": ["1", "2"]}},
    {"response": "x", "headers": [("X-A", "1"), ("X-A", "2")]},
    {"response": "x", "headers": {}},
    {"response": "x", "headers": {"Content-Type": "text/csv"}},
    {"response": "x", "headers": {"Content-Type": "text/csv"}, "mimetype": "text/plain"},
    {"response": "x", "headers": {"content-length": "99"}},
    {"response": "x", "mimetype": "text/plain"},
    {"response": "x", "mimetype": "application/json"},
    {"response": "x", "mimetype": "application/xml"},
    {"response": "x", "content_type": "text/plain; charset=latin-1"},
    {"response": "x", "content_type": "image/png", "mimetype": "text/plain"},
]


def both(**options: Any) -> tuple[Response, FlaskResponse]:
    return Response(**options), FlaskResponse(**options)


@pytest.mark.parametrize("options", CONSTRUCTED)
def test_it_is_made_as_werkzeugs(options: dict[str, Any]) -> None:
    """The same status, headers and body; side by side."""
    ours, theirs = both(**options)
    assert (ours.status, ours.status_code) == (theirs.status, theirs.status_code)
    assert ours.headers == theirs.headers
    assert ours.mimetype == theirs.mimetype
    assert ours.mimetype_params == theirs.mimetype_params
    assert ours.is_json == theirs.is_json
    assert ours.is_streamed == theirs.is_streamed
    assert ours.is_sequence == theirs.is_sequence
    assert ours.calculate_content_length() == theirs.calculate_content_length()
    assert b"".join(ours.iter_encoded()) == b"".join(theirs.iter_encoded())
    assert ours.data == theirs.data
    assert ours.get_data(as_text=True) == theirs.get_data(as_text=True)


def test_the_headers_given_are_the_headers() -> None:
    """A `Headers` object is not copied, as in Werkzeug; nor is an empty one."""
    for headers in (Headers(), Headers({"X-A": "1"})):
        assert Response("x", headers=headers).headers is headers
    response = Response("x")
    replaced = Headers({"X-B": "2"})
    response.headers = replaced
    assert response.headers is replaced
    response.headers = {"X-C": "3", "X-D": ["4", "5"]}
    assert list(response.headers) == [("X-C", "3"), ("X-D", "4"), ("X-D", "5")]
    assert response.start_message()["headers"][0] == (b"x-c", b"3")


def test_a_subclass_changes_the_defaults() -> None:
    """`default_mimetype`, `default_status` and the automatic length are the class's."""

    class Data(Response):
        default_mimetype = None
        default_status = 202
        automatically_set_content_length = False

    response = Data("x")
    assert response.status_code == 202
    assert list(response.headers) == []
    start, _ = Data("x").messages("GET")
    assert start["headers"] == []
    response.headers["X-A"] = "1"
    assert response.messages("GET")[0]["headers"] == [(b"x-a", b"1")]


def test_the_status_can_be_set_in_any_form() -> None:
    """As a number, as text, as `HTTPStatus`; number and text go together."""
    ours, theirs = both(response="x")
    for status in (404, "201 Made", HTTPStatus.GONE, "299"):
        ours.status = theirs.status = status  # type: ignore[assignment]
        assert (ours.status, ours.status_code) == (theirs.status, theirs.status_code)
        assert ours.status == theirs.status
    ours.status_code = 204
    assert ours.status == "204 NO CONTENT"
    for wrong in ("", object()):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            ours.status = wrong  # type: ignore[assignment]


def test_a_header_of_its_own_for_each_attribute() -> None:
    """Werkzeug's attributes work: cache control, vary, location, allow, and the others."""
    ours, theirs = both(response="x")
    for response in (ours, theirs):
        response.cache_control.max_age = 5
        response.vary.add("Cookie")
        response.location = "/é"
        response.allow.update(["GET"])
        response.mimetype = "text/plain"
        response.content_language.add("de")
        response.set_cookie("a", "1", max_age=5, secure=True, samesite="Lax", path="/p")
        response.delete_cookie("b", domain="example.com")
    assert ours.headers == theirs.headers


def test_line_breaks_in_headers_are_refused() -> None:
    """In values when they are set, in names when they are sent."""
    with pytest.raises(ValueError, match="newline"):
        Response("x", headers={"X-A": "1\r\nX-B: 2"})
    for options in ({"content_type": "a/b\r\nX-B: 2"}, {"mimetype": "text/a\nX-B: 2"}):
        with pytest.raises(ValueError, match="newline"):
            Response("x", **options)
    response = Response("x")
    with pytest.raises(ValueError, match="newline"):
        response.headers["X-A"] = "1\n2"
    response.headers["X-A\r\nX-B"] = "1"
    with pytest.raises(ValueError, match="no name for a header"):
        response.messages("GET")


@pytest.mark.parametrize("value", ["a\0b", "a\x01", "a\x7f"])
async def test_control_characters_in_a_header_are_an_error_that_is_answered(value: str) -> None:
    """Servers refuse to send them and drop the connection; tabs and other letters are fine."""
    app = Flask("headers", static_folder=None)

    @app.get("/<kind>")
    async def view(kind: str) -> Any:
        return "", {"X-Sent": value if kind == "bad" else "a\té €"}

    client = app.test_client()
    assert (await client.get("/bad")).status_code == 500
    assert (await client.get("/good")).headers["X-Sent"] == "a\té ?"


def test_headers_are_latin_1_and_addresses_are_uris() -> None:
    """What latin-1 does not have is replaced; an IRI in `Location` is quoted."""
    response = Response("x", 302, {"X-A": "é€", "Location": "/é?q=ü#ö", "Content-Location": "/ä"})
    headers = dict(response.start_message()["headers"])
    assert headers[b"x-a"] == b"\xe9?"
    assert headers[b"location"] == b"/%C3%A9?q=%C3%BC#%C3%B6"
    assert headers[b"content-location"] == b"/%C3%A4"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 201, 404, 500, 100, 199, 204, 304])
@pytest.mark.parametrize("headers", [None, {"X-A": "1", "Expires": "0"}])
def test_bodies_and_lengths_are_sent_as_werkzeug_does(
    method: str, status: int, headers: Any
) -> None:
    """HEAD has the headers of GET; 1xx, 204 and 304 have no body and no length."""
    ours, theirs = both(response="body", status=status, headers=headers)
    start, body = ours.messages(method)
    chunks, _, wsgi_headers = theirs.get_wsgi_response(EnvironBuilder(method=method).get_environ())
    assert start["status"] == status
    expected = {(k.lower(), v) for k, v in wsgi_headers}
    assert {(k.decode(), v.decode()) for k, v in start["headers"]} == expected
    assert body["body"] == b"".join(chunks)


def test_extra_headers_are_added_unless_set() -> None:
    """`nosniff`, for one."""
    extra = [(b"x-content-type-options", b"nosniff")]
    plain, own = Response("x"), Response("x", headers={"X-Content-Type-Options": "other"})
    assert extra[0] in plain.start_message(extra)["headers"]
    assert dict(own.start_message(extra)["headers"])[b"x-content-type-options"] == b"other"
    bare = Response("x")
    bare._content_type = None
    assert bare.start_message(extra)["headers"] == extra


# The body.


def test_setting_the_body_sets_its_length() -> None:
    """`set_data` and `data`, with text or bytes; as Werkzeug, once the headers are there."""
    ours, theirs = both(response="x")
    assert ours.headers["Content-Length"] == theirs.headers["Content-Length"] == "1"
    for body in ("é", b"abc", bytearray(b"1234")):
        for response in (ours, theirs):
            response.set_data(body)  # type: ignore[arg-type]
        assert ours.headers == theirs.headers
        assert ours.data == theirs.data
    ours.data = "late"
    assert (ours.content_length, ours.data) == (4, b"late")


class Body:
    """An iterable body that knows whether it was closed."""

    def __init__(self, *chunks: Any) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


def test_a_streamed_body_is_read_into_memory_in_def_code() -> None:
    """And closed, as its file is not needed any more."""
    body = Body("é", b"x")
    response = Response(body)  # type: ignore[arg-type]
    assert response.is_streamed
    assert response.calculate_content_length() is None
    assert response.get_data(as_text=True) == "éx"
    assert body.closed == 1
    assert not response.is_streamed
    assert response.calculate_content_length() == 3


async def chunks(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


async def test_in_async_code_the_body_can_be_awaited() -> None:
    """A complete one may be, a streamed one must be."""
    for value in ("é", ["", "é"], "é".encode()):
        response = Response(value)
        assert response.data == "é".encode()
        assert await response.data == "é".encode()
        assert await response.get_data(as_text=True) == response.get_data(as_text=True) == "é"
    body = Body("é", b"x")
    for streamed in (body, chunks("é", b"x"), iter(["éx"])):
        response = Response(streamed)  # type: ignore[arg-type]
        with pytest.raises(MissingAwaitError, match=r"await response\.get_data\(\)"):
            len(response.get_data())
        assert await response.get_data(as_text=True) == "éx"
        assert await response.get_data() == "éx".encode()
        assert response.get_data() == "éx".encode()
    assert body.closed == 1


def test_an_async_body_in_def_code_is_read_where_that_needs_no_loop() -> None:
    """Otherwise an error says what to do."""
    assert Response(chunks("a", "b")).get_data() == b"ab"

    class Never:
        def __await__(self) -> Any:
            yield

    async def slow() -> AsyncIterator[str]:
        await Never()
        yield "never"

    with pytest.raises(RuntimeError, match="needs an event loop"):
        Response(slow()).get_data()
    for use in (Response.freeze, Response.add_etag):
        with pytest.raises(RuntimeError, match=r"await response\.get_data\(\)"):
            use(Response(chunks("a")))


async def test_only_text_and_bytes_can_be_sent() -> None:
    """Buffers count as bytes; anything else is refused, a forgotten `await` by name."""
    assert await Response(iter([bytearray(b"a"), memoryview(b"b")])).get_data() == b"ab"  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="yielded int"):
        await Response(iter([1])).get_data()  # type: ignore[arg-type]
    pending = Response(chunks("x")).get_data()
    with pytest.raises(MissingAwaitError, match="was streamed"):
        await Response(iter([pending])).get_data()


async def test_json() -> None:
    """By content type, or forced; malformed JSON raises unless silenced, as in Werkzeug."""
    response = Response('{"a": 1}', mimetype="application/json")
    assert response.json == response.get_json() == {"a": 1}
    assert Response('{"a": 1}').json is None
    assert Response('{"a": 1}').get_json(force=True) == {"a": 1}
    malformed = Response("{", mimetype="application/json")
    assert malformed.get_json(silent=True) is None
    with pytest.raises(ValueError, match=r"."):
        malformed.get_json()
    streamed = Response(iter(["1"]), mimetype="application/json")
    with pytest.raises(MissingAwaitError, match=r"await response\.get_data\(\)"):
        streamed.get_json()
    assert await streamed.get_data() == b"1"
    assert streamed.json == 1


# Ends.


def test_close_closes_the_body_and_calls_the_functions() -> None:
    """In order; `async def` functions need `aclose`."""
    record: list[str] = []
    body = Body()
    response = Response(body)  # type: ignore[arg-type]
    response.call_on_close(lambda: record.append("first"))
    assert response.call_on_close(record.clear) == record.clear
    response.call_on_close(lambda: record.append("last"))
    response.close()
    assert (body.closed, record) == (1, ["last"])
    Response("nothing to close").close()

    async def close() -> None:
        record.append("async")

    response.call_on_close(close)
    with pytest.raises(RuntimeError, match=r"await response\.aclose\(\)"):
        response.close()


async def test_aclose_awaits() -> None:
    """Async generators and `async def` functions."""
    record: list[str] = []

    async def generate() -> AsyncIterator[str]:
        try:
            yield "x"
        finally:
            record.append("generator")

    response = Response(generate())
    await anext(response.response)  # type: ignore[arg-type]

    @response.call_on_close
    async def close() -> None:
        record.append("async def")

    response.call_on_close(lambda: record.append("def"))
    await response.aclose()
    assert record == ["generator", "async def", "def"]
    await Response("nothing to close").aclose()


def test_freeze_and_add_etag() -> None:
    """As Werkzeug's: the same tag; one that is there stays unless it is to be overwritten."""
    for body in ("x", ["a", "b"], iter(["a", "b"])):
        copy = list(body) if not isinstance(body, str) else body
        ours, theirs = Response(copy), FlaskResponse(copy)
        ours.freeze()
        theirs.freeze()
        assert ours.headers == theirs.headers
    ours, theirs = both(response="x")
    for response in (ours, theirs):
        response.set_etag("mine")
        response.add_etag()
        assert response.get_etag() == ("mine", False)
        response.add_etag(overwrite=True, weak=True)
    assert ours.get_etag() == theirs.get_etag()


# Conditional requests.

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
LATER = "Tue, 02 Jan 2024 00:00:00 GMT"
EARLIER = "Sun, 31 Dec 2023 00:00:00 GMT"
CONDITIONS: list[dict[str, str]] = [
    {},
    {"If-None-Match": '"tag"'},
    {"If-None-Match": 'W/"tag"'},
    {"If-None-Match": '"other"'},
    {"If-None-Match": "*"},
    {"If-Match": '"tag"'},
    {"If-Match": '"other"'},
    {"If-Modified-Since": DATE},
    {"If-Modified-Since": LATER},
    {"If-Modified-Since": EARLIER},
    {"If-None-Match": '"other"', "If-Modified-Since": LATER},
    {"Range": "bytes=0-2"},
    {"Range": "bytes=3-"},
    {"Range": "bytes=-4"},
    {"Range": "bytes=2-100"},
    {"Range": "bytes=100-"},
    {"Range": "bytes=5-2"},
    {"Range": "bytes=0-1,3-4"},
    {"Range": "nonsense"},
    {"Range": "bytes=0-2", "If-Range": '"tag"'},
    {"Range": "bytes=0-2", "If-Range": '"other"'},
    {"Range": "bytes=0-2", "If-Range": DATE},
    {"Range": "bytes=0-2", "If-Range": EARLIER},
    {"Range": "bytes=0-2", "If-None-Match": '"other"'},
]


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"If-Match": '"tag"'}, 206),
        ({"If-Match": '"other"'}, 412),
        ({"If-None-Match": '"tag"'}, 304),
        ({"If-None-Match": '"other"'}, 206),
        ({"If-Modified-Since": LATER}, 304),
        ({"If-Modified-Since": EARLIER}, 206),
    ],
    ids=str,
)
def test_other_conditions_come_before_the_range(conditions: dict[str, str], status: int) -> None:
    """So a download does not go on with another version (RFC 9110, 13.2.2); Werkzeug's does."""
    headers = Headers({"Range": "bytes=2-4", **conditions})
    request = SansIORequest("GET", "http", None, "", "/", b"", headers, None)
    response = Response("0123456789")
    response.set_etag("tag")
    response.headers["Last-Modified"] = DATE
    response.make_conditional(request, True, complete_length=10)
    assert response.status_code == status


def ranged(body: bytes, http_range: str) -> tuple[int, bytes, str | None]:
    """What is answered to a range: status, body and `Content-Range`."""
    request = SansIORequest("GET", "http", None, "", "/", b"", Headers({"Range": http_range}), None)
    response = Response(body)
    try:
        response.make_conditional(request, True, complete_length=len(body))
    except RequestedRangeNotSatisfiable as exc:
        return 416, b"", f"bytes */{exc.length}"
    return response.status_code, response.get_data(), response.headers.get("Content-Range")


numbers = st.one_of(st.integers(0, 30), st.integers(min_value=0))


@given(st.binary(min_size=1, max_size=20), numbers, st.one_of(st.none(), numbers))
def test_any_range_from_a_place_is_cut(body: bytes, first: int, last: int | None) -> None:
    """RFC 9110, section 14.1.2: the last byte counts, and is the end's where it lies beyond."""
    answer = ranged(body, f"bytes={first}-{'' if last is None else last}")
    end = len(body) if last is None else min(last + 1, len(body))
    if first >= len(body) or (last is not None and last < first):
        assert answer == (416, b"", f"bytes */{len(body)}")
    else:
        assert answer == (206, body[first:end], f"bytes {first}-{end - 1}/{len(body)}")


@given(st.binary(min_size=1, max_size=20), numbers)
def test_any_range_at_the_end_is_cut(body: bytes, length: int) -> None:
    """All of the body where it is shorter; none at all cannot be satisfied."""
    status, cut, _ = ranged(body, f"bytes=-{length}")
    if length == 0:
        assert status == 416
    else:
        assert (status, cut) == (206, body[-length:])


@given(st.text(alphabet="bytes=-, 0123456789;x\xe9\u0661", max_size=40))
def test_any_other_range_is_refused_or_ignored(text: str) -> None:
    """Never an error, and never something that is not in the body."""
    for http_range in (text, f"bytes={text}"):
        status, cut, _ = ranged(b"0123456789", http_range)
        assert status in (206, 416)
        assert cut in b"0123456789"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("conditions", CONDITIONS)
@pytest.mark.parametrize("accept_ranges", [True, "bytes", False])
def test_conditions_are_answered_as_werkzeug_does(
    method: str, conditions: dict[str, str], accept_ranges: Any
) -> None:
    """304, 412, 206 with one range, 416; `If-Range` by tag and by date; side by side."""

    def ask(response: Any, request: Any) -> Any:
        response.set_etag("tag")
        response.headers["Last-Modified"] = DATE
        response.headers["Date"] = LATER
        try:
            response.make_conditional(request, accept_ranges, complete_length=10)
        except RequestedRangeNotSatisfiable as exc:
            return exc.code, exc.length
        return response

    builder = EnvironBuilder(method=method, headers=conditions)
    environ = builder.get_environ()
    request = SansIORequest(
        method, "http", ("localhost", 80), "", "/", b"", Headers(conditions), "127.0.0.1"
    )
    ours, theirs = both(response="0123456789")
    mine, expected = ask(ours, request), ask(theirs, environ)
    if isinstance(expected, tuple):
        assert mine == expected
        return
    assert ours.status_code == theirs.status_code
    start, body = ours.messages(method)
    chunks, _, wsgi_headers = theirs.get_wsgi_response(environ)
    sent = {(k.decode(), v.decode()) for k, v in start["headers"]}
    wanted = {(k.lower(), v) for k, v in wsgi_headers}
    # Werkzeug does not say so where a range was not asked for; RFC 9110, section 14.3, would.
    assert sent - {("accept-ranges", "bytes")} == wanted - {("accept-ranges", "bytes")}
    assert body["body"] == b"".join(chunks)


async def test_a_304_has_no_body_left() -> None:
    """Functions that run after it find none, as in Quart; one that is streamed stays, unread."""
    response = Response("0123456789")
    response.add_etag()
    headers = Headers({"If-None-Match": response.get_etag()[0]})
    request = SansIORequest("GET", "http", None, "", "/", b"", headers, None)
    response.content_length = 10
    response.make_conditional(request)
    assert (response.status_code, response.get_data()) == (304, b"")
    assert "Content-Length" not in response.headers
    streamed = Response(iter(["0123456789"]))
    streamed.set_etag(headers["If-None-Match"])
    streamed.make_conditional(request)
    assert (streamed.status_code, await streamed.get_data()) == (304, b"0123456789")


def test_make_conditional_gives_the_response_back() -> None:
    """It sets no date: ASGI servers do, and two of them would be one too many."""
    request = SansIORequest("GET", "http", None, "", "/", b"", Headers(), None)
    response = Response("x")
    assert response.make_conditional(request) is response
    assert "Date" not in response.headers
    unknown = Response(iter(["x"]))
    assert unknown.make_conditional(request, True) is unknown
    assert unknown.headers["Accept-Ranges"] == "bytes"


def test_a_body_that_can_be_cut_is_not_read() -> None:
    """Files are: only the range is."""

    class File(Body):
        def slice(self, start: int, stop: int) -> list[str]:
            return [f"{start} to {stop}"]

    request = SansIORequest(
        "GET", "http", None, "", "/", b"", Headers({"Range": "bytes=2-4"}), None
    )
    response = Response(File("0123456789"))  # type: ignore[arg-type]
    response.make_conditional(request, True, 10)
    assert response.data == b"2 to 5"
    assert isinstance(response.content_range, ContentRange)
    assert str(response.content_range) == "bytes 2-4/10"


# As an ASGI application.


async def ask_asgi(app: Any, method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_it_is_a_response_for_starlette(method: str) -> None:
    """Returned by a route's function, or mounted; complete and streamed."""
    closed: list[str] = []

    async def complete(request: Any) -> Any:
        response = Response("body", 201, {"X-A": "1"})
        response.call_on_close(lambda: closed.append("complete"))
        return response

    async def streamed(request: Any) -> Any:
        response = Response(iter(["b", b"ody"]))
        response.call_on_close(lambda: closed.append("streamed"))
        return response

    async def async_streamed(request: Any) -> Any:
        return Response(chunks("b", b"ody"))

    starlette = Starlette(
        routes=[
            Route("/complete", complete),
            Route("/streamed", streamed),
            Route("/async", async_streamed),
            Mount("/mounted", Response("body")),
        ]
    )
    body = "body" if method == "GET" else ""
    response = await ask_asgi(starlette, method, "/complete")
    assert (response.status_code, response.headers["x-a"]) == (201, "1")
    assert (response.headers["content-length"], response.text) == ("4", body)
    assert response.headers["x-content-type-options"] == "nosniff"
    for path in ("/streamed", "/async"):
        response = await ask_asgi(starlette, method, path)
        assert response.text == body
        assert "content-length" not in response.headers
    assert (await ask_asgi(starlette, method, "/mounted/x")).text == body
    assert closed == ["complete", "streamed"]


async def test_a_streamed_204_is_not_read() -> None:
    """It has no body, whatever was given."""
    wire = Wire()
    await Response(chunks("x"), 204)(wire.scope, wire.receive, wire.send)
    assert wire.body == b""
    assert wire.is_complete


def test_a_file_can_be_the_body() -> None:
    """Any binary file: it is iterable, and closed."""
    file = io.BytesIO(b"a\nb")
    assert Response(file).data == b"a\nb"
    assert file.closed


@pytest.mark.parametrize("status", [0, 99, 600, "1000", "99999 Odd", "weird"])
def test_a_status_that_http_does_not_have_is_refused(status: Any) -> None:
    """Servers fail on them, one by ending."""
    with pytest.raises(ValueError, match="from 100 to 599"):
        Response(status=status)


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Range"])
def test_a_date_that_cannot_be_is_no_condition(name: str) -> None:
    """A year past all calendars must not be the server's error."""
    headers = Headers({name: "Mon, 01 Jan 99999999999 00:00:00 GMT", "Range": "bytes=0-0"})
    request = SansIORequest("GET", "http", None, "", "/", b"", headers, None)
    response = Response("xy", headers={"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"})
    response.make_conditional(request)
    assert (response.status_code, response.data) == (200, b"xy")


async def test_a_response_can_be_awaited() -> None:
    """Quart's code awaits what makes one; it is itself."""
    response: Any = Response("x")
    assert await response is response


def test_a_body_can_be_written_like_a_file() -> None:
    """As Werkzeug's; the length that was known is so no more."""
    for cls in (Response, FlaskResponse):
        response = cls("first", headers={"X": "y"})
        assert response.stream.writable() if cls is Response else True
        assert response.stream.write(b" second") == 7
        response.stream.writelines([b" third", b" fourth"])
        assert response.stream.tell() == 25
        assert response.get_data() == b"first second third fourth"
        assert response.stream.mode == "wb+"


def test_a_streamed_body_can_be_made_a_sequence() -> None:
    """It is read once, and closed."""
    body = Body("a", "b")
    response = Response(cast(Any, body))
    response.make_sequence()
    assert response.is_sequence
    assert body.closed == 1
    assert response.get_data() == response.get_data() == b"ab"


@pytest.mark.parametrize("make", [flask.Flask, Flask])
def test_the_longest_cookie_is_configured(make: Any) -> None:
    """In an application's context; elsewhere it is Werkzeug's."""
    response_class = Response if make is Flask else FlaskResponse
    assert response_class().max_cookie_size == 4093
    app = make(__name__)
    app.config["MAX_COOKIE_SIZE"] = 100
    with app.app_context():
        response = response_class()
        assert response.max_cookie_size == 100
        with pytest.warns(UserWarning, match="cookie is too large"):
            response.set_cookie("name", "value" * 100)
