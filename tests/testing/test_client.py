"""FlaskClient: httpx's asynchronous client with Flask's arguments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from werkzeug.datastructures import Authorization

from asyncflask import Flask
from asyncflask.testing import FlaskClient, TestResponse
from asyncflask.testing._httpx import httpx
from tests.testing.apps import Dressed, echo_app


class TestRequests:
    @pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "options", "trace"])
    async def test_each_verb_has_its_method(self, verb: str) -> None:
        """And each takes all arguments."""
        client = FlaskClient(echo_app())
        response = await getattr(client, verb)("/x", json={"a": 1}, query_string={"q": "1"})
        assert isinstance(response, TestResponse)
        seen = response.get_json()
        assert (seen["method"], seen["path"]) == (verb.upper(), "/x")
        assert (seen["query_string"], seen["body"]) == ("q=1", '{"a": 1}')

    async def test_head_has_no_body(self) -> None:
        """Only the headers come back."""
        response = await FlaskClient(echo_app()).head("/")
        assert (response.status_code, response.data) == (200, b"")

    async def test_open_takes_the_method_as_an_argument(self) -> None:
        """As in Flask."""
        client = FlaskClient(echo_app())
        assert (await client.open("/x", method="put")).json()["method"] == "PUT"
        assert (await client.open()).json()["method"] == "GET"

    async def test_httpxs_arguments_work_beside_flasks(self) -> None:
        """``params``, ``content``, ``headers``, ``extensions``."""
        seen = (
            await FlaskClient(echo_app()).post(
                httpx.URL("/x"),
                params={"a": "1"},
                content="text",
                headers=httpx.Headers([("X-One", "1"), ("X-One", "2")]),
                extensions={"scope": {"http_version": "2"}},
            )
        ).json()
        assert (seen["path"], seen["query_string"], seen["body"]) == ("/x", "a=1", "text")
        assert seen["http_version"] == "2"
        assert [value for name, value in seen["headers"] if name == "x-one"] == ["1", "2"]

    async def test_bodies_and_their_headers_arrive(self) -> None:
        """Forms, uploads, bytes, and nothing."""
        client = FlaskClient(echo_app())
        form = (await client.post("/", data={"a": "ü"})).json()
        assert form["body"] == "a=%C3%BC"
        assert ["content-type", "application/x-www-form-urlencoded"] in form["headers"]
        assert ["content-length", "8"] in form["headers"]
        pairs = (await client.post("/", data=[("a", "1"), ("a", "2")])).json()
        assert pairs["body"] == "a=1&a=2"

        upload = (await client.post("/", data={"f": (BytesIO(b"content"), "name.txt")})).json()
        assert 'name="f"; filename="name.txt"' in upload["body"]
        assert dict(upload["headers"])["content-type"].startswith("multipart/form-data; boundary=")

        raw = (await client.post("/", data=b"raw", content_type="text/x")).json()
        assert raw["body"] == "raw"
        assert ["content-type", "text/x"] in raw["headers"]

        nothing = (await client.post("/")).json()
        assert ["content-length", "0"] in nothing["headers"]

    async def test_headers_that_are_not_ascii_arrive_as_latin_1(self) -> None:
        """httpx alone would refuse them."""
        seen = (await FlaskClient(echo_app()).get("/", headers={"X-Name": "zwölf"})).json()
        assert ["x-name", "zwölf"] in seen["headers"]

    @pytest.mark.parametrize("argument", ["data", "content"])
    async def test_an_async_iterable_is_streamed(self, argument: str) -> None:
        """Without a length."""

        async def chunks() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        seen = (await FlaskClient(echo_app()).post("/", **{argument: chunks()})).json()
        assert seen["body"] == "ab"
        assert ["transfer-encoding", "chunked"] in seen["headers"]

    async def test_the_length_is_that_of_the_content(self) -> None:
        """None where it comes in parts."""

        async def pieces() -> AsyncIterator[bytes]:
            yield b"text"

        for content, length in ((b"text", ["4"]), (pieces(), []), (None, ["0"])):
            response = await FlaskClient(echo_app()).post("/", content=content)
            sent = [value for name, value in response.json()["headers"] if name == "content-length"]
            assert sent == length

    async def test_two_bodies_are_refused(self) -> None:
        """Which one is meant?"""
        with pytest.raises(TypeError, match="content=, or Flask's data="):
            await FlaskClient(echo_app()).post("/", content=b"a", json=1)

    async def test_auth_takes_a_pair_an_authorization_or_httpxs(self) -> None:
        """For one request, or for all."""

        async def sent(client: FlaskClient, **kwargs: Any) -> str:
            headers: dict[str, str] = dict((await client.get("/", **kwargs)).json()["headers"])
            return headers["authorization"]

        client = FlaskClient(echo_app())
        assert await sent(client, auth=("user", "pass")) == "Basic dXNlcjpwYXNz"
        assert await sent(client, auth=Authorization("bearer", token="abc")) == "Bearer abc"
        assert await sent(FlaskClient(echo_app(), auth=("user", "pass"))) == "Basic dXNlcjpwYXNz"

    async def test_the_scope_can_be_laid_over(self) -> None:
        """For one request, or for all."""
        client = FlaskClient(echo_app(), scope_base={"client": ("203.0.113.7", 1)})
        assert (await client.get("/")).json()["client"] == ["203.0.113.7", 1]
        own = await client.get("/", scope_base={"client": ("203.0.113.8", 2)})
        assert own.json()["client"] == ["203.0.113.8", 2]

    async def test_exceptions_pass_through_unless_told_otherwise(self) -> None:
        """``raise_app_exceptions=False`` gives a server's answer."""

        async def fail(scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError("in the application")

        with pytest.raises(LookupError, match="in the application"):
            await FlaskClient(Dressed(fail)).get("/")
        client = FlaskClient(Dressed(fail), raise_app_exceptions=False)
        assert (await client.get("/")).status_code == 500

    async def test_responses_are_streamed(self) -> None:
        """With all the arguments of other requests."""
        go_on = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one\n", "more_body": True})
            await go_on.wait()
            await send({"type": "http.response.body", "body": scope["query_string"]})

        client = FlaskClient(Dressed(app))
        async with client.stream("GET", "/", query_string={"q": "1"}) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "one"
            go_on.set()
            assert await anext(lines) == "q=1"

    async def test_redirects_are_followed_on_request(self) -> None:
        """``history`` has the responses on the way."""

        async def landed(request: Request) -> Response:
            return PlainTextResponse(request.url.path)

        routes = [
            Route("/old", lambda _: RedirectResponse("/new", 302), methods=["POST"]),
            Route("/new", landed),
        ]
        client = FlaskClient(Dressed(Starlette(routes=routes)))
        response = await client.post("/old", data={"a": "1"})
        assert (response.status, response.location) == ("302 FOUND", "/new")
        response = await client.post("/old", data={"a": "1"}, follow_redirects=True)
        assert (response.status_code, response.text) == (200, "/new")
        assert [r.status_code for r in response.history] == [302]
        assert response.url.path == "/new"

    async def test_it_runs_the_lifespan(self) -> None:
        """With ``async with``."""
        events: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for _ in range(2):
                kind = (await receive())["type"]
                events.append(kind)
                await send({"type": f"{kind}.complete"})

        async with FlaskClient(Dressed(app)):
            assert events == ["lifespan.startup"]
        assert events == ["lifespan.startup", "lifespan.shutdown"]


def test_the_async_client_in_a_def_test_says_which_to_use() -> None:
    """It is the first mistake of whoever moves Flask's tests."""
    client = Flask(__name__).test_client()
    with pytest.raises(TypeError, match=r"sync_test_client\(\)"), client:  # type: ignore[attr-defined]
        pass
