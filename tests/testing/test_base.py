"""What both clients share: the base URL, and cookies in Flask's form."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from asyncflask import Flask, request
from asyncflask.testing import FlaskClient, SyncClient
from tests.testing.apps import Dressed, echo_app


async def test_an_unknown_argument_is_named() -> None:
    """Not as one of a function inside."""
    client: Any = FlaskClient(echo_app())
    with pytest.raises(TypeError, match="A request of the test client takes no argument 'jsn'"):
        await client.post("/x", jsn={})


class TestBaseUrl:
    async def test_it_comes_from_the_configuration(self) -> None:
        """As it is when the request is made."""
        app = echo_app()
        client = FlaskClient(app)
        assert str((await client.get("/x")).url) == "http://localhost/x"
        app.config.update(
            SERVER_NAME="example.org:5000", PREFERRED_URL_SCHEME="https", APPLICATION_ROOT="/app"
        )
        response = await client.get("/x")
        assert str(response.url) == "https://example.org:5000/app/x"
        seen = response.json()
        assert (seen["root_path"], seen["path"]) == ("/app", "/app/x")

    async def test_the_client_can_have_its_own(self) -> None:
        """Before or after it is made."""
        client = FlaskClient(echo_app(), base_url="https://example.com/root")
        seen = (await client.get("/x")).json()
        assert (seen["scheme"], seen["root_path"], seen["path"]) == ("https", "/root", "/root/x")
        client.base_url = "http://other"
        assert (await client.get("/x")).json()["server"] == ["other", 80]

    async def test_a_request_can_have_its_own(self) -> None:
        """By an absolute URL, ``base_url``, ``subdomain`` or ``url_scheme``."""
        client = FlaskClient(echo_app(), base_url="https://example.com")
        assert str((await client.get("http://a.test/x?q=1")).url) == "http://a.test/x?q=1"
        assert str((await client.get("/x", base_url="http://b.test/r")).url) == "http://b.test/r/x"
        assert str((await client.get("/x", subdomain="api")).url) == "http://api.localhost/x"
        assert str((await client.get("/x", url_scheme="https")).url) == "https://localhost/x"

    async def test_root_path_may_be_set_in_the_scope(self) -> None:
        """For the client; the URL's own root goes first."""
        client = FlaskClient(echo_app(), scope_base={"root_path": "/proxy"})
        assert (await client.get("/x")).json()["root_path"] == "/proxy"
        assert (await client.get("/x", root_path="/ü")).json()["root_path"] == "/ü"

    async def test_the_root_path_stays_when_a_redirect_is_followed(self) -> None:
        """The second request is below the same root."""

        async def go(scope: Scope, receive: Receive, send: Send) -> None:
            text = f"{scope['root_path']} {scope['path']}"
            answer: Any = PlainTextResponse(text)
            if scope["path"] == "/app/a":
                answer = RedirectResponse("/app/b")
            await answer(scope, receive, send)

        client = FlaskClient(Dressed(go, APPLICATION_ROOT="/app"), follow_redirects=True)
        assert (await client.get("/a")).text == "/app /app/b"


def cookie_app() -> Starlette:
    """``/set`` sets cookies from its query, anything else answers with the cookies it gets."""

    async def set_cookies(request: Request) -> Response:
        response = PlainTextResponse("set")
        options = dict(request.query_params)
        response.set_cookie(options.pop("key"), options.pop("value"), **options)
        return response

    async def show(request: Request) -> Response:
        return PlainTextResponse(request.headers.get("cookie", ""))

    return Starlette(routes=[Route("/set", set_cookies), Route("/{path:path}", show)])


class TestCookies:
    async def test_they_are_kept_between_requests(self) -> None:
        """And deleted when the application says so."""
        client = FlaskClient(Dressed(cookie_app()))
        await client.get("/set?key=a&value=1")
        assert (await client.get("/")).text == "a=1"
        await client.get("/set?key=a&value=&max_age=0")
        assert (await client.get("/")).text == ""

    async def test_they_can_be_turned_off(self) -> None:
        """Then the cookie methods say how to turn them on."""
        client = FlaskClient(Dressed(cookie_app()), use_cookies=False)
        response = await client.get("/set?key=a&value=1")
        assert "a=1" in response.headers["set-cookie"]
        assert (await client.get("/")).text == ""
        for call in (client.set_cookie, client.get_cookie, client.delete_cookie):
            with pytest.raises(RuntimeError, match="use_cookies=True"):
                call("a")

    async def test_secure_ones_are_sent_over_http_too(self) -> None:
        """As by Flask's client: tests ask there with the configuration that is for https."""
        client = FlaskClient(Dressed(cookie_app()), cookies={"b": "2"}, follow_redirects=True)
        client.set_cookie("a", "1", secure=True)
        cookie = client.get_cookie("a")
        assert cookie is not None
        assert cookie.secure
        for scheme in ("http", "https"):
            text = (await client.get("/", url_scheme=scheme)).text
            assert set(text.split("; ")) == {"a=1", "b=2"}

    async def test_the_jar_can_be_looked_at(self) -> None:
        """By Quart's name for it, as the application."""
        client = FlaskClient(Dressed(cookie_app()))
        client.set_cookie("a", "1")
        assert client.cookie_jar is not None
        assert [cookie.name for cookie in client.cookie_jar] == ["a"]
        assert FlaskClient(Dressed(cookie_app()), use_cookies=False).cookie_jar is None
        assert client.app is client.application

    async def test_set_get_and_delete(self) -> None:
        """In Flask's form; the domain is the application's own unless it is given."""
        client = FlaskClient(Dressed(cookie_app(), SERVER_NAME="example.org:5000"))
        assert client.get_cookie("a") is None
        client.set_cookie("a", "1, 2; ü", httponly=True, samesite="Lax", max_age=60)
        cookie = client.get_cookie("a")
        assert cookie is not None
        assert (cookie.key, cookie.decoded_value) == ("a", "1, 2; ü")
        assert cookie.value in (await client.get("/")).text
        assert (cookie.domain, cookie.path, cookie.origin_only) == ("example.org", "/", True)
        assert (cookie.secure, cookie.http_only, cookie.same_site) == (False, True, "Lax")
        assert cookie.expires is not None
        assert timedelta(0) < cookie.expires - datetime.now(UTC) <= timedelta(seconds=61)
        client.delete_cookie("a")
        client.delete_cookie("a")
        assert client.get_cookie("a") is None
        assert (await client.get("/")).text == ""

    async def test_path_and_domain_are_respected(self) -> None:
        """Which requests get a cookie, and which cookie is meant."""
        client = FlaskClient(Dressed(cookie_app()))
        client.set_cookie("a", "1", path="/sub")
        client.set_cookie("b", "2", domain="www.example.org")
        client.set_cookie("c", "3", domain=".example.org", origin_only=False)
        assert (await client.get("/")).text == ""
        assert (await client.get("/sub/x")).text == "a=1"
        sent = (await client.get("http://www.example.org/")).text
        assert set(sent.split("; ")) == {"b=2", "c=3"}
        assert (await client.get("http://example.org/")).text == "c=3"
        assert client.get_cookie("a") is None
        assert client.get_cookie("a", path="/sub") is not None
        wide = client.get_cookie("c", domain="example.org")
        assert wide is not None
        assert (wide.domain, wide.origin_only) == ("example.org", False)
        client.delete_cookie("b", domain="www.example.org")
        assert (await client.get("http://www.example.org/")).text == "c=3"

    async def test_a_cookie_of_the_application_is_found(self) -> None:
        """One that was set for ``localhost``, without a lifetime."""
        client = FlaskClient(Dressed(cookie_app()))
        await client.get("/set?key=a&value=1")
        cookie = client.get_cookie("a")
        assert cookie is not None
        assert (cookie.value, cookie.domain, cookie.expires) == ("1", "localhost", None)

    async def test_cookies_may_be_given_to_start_with(self) -> None:
        """An option of httpx."""
        client = FlaskClient(Dressed(cookie_app()), cookies={"a": "1"})
        assert (await client.get("/")).text == "a=1"


def test_a_client_sends_what_flasks_sends() -> None:
    """No `Accept` that the test has not given: views choose by it. Side by side."""

    def seen(app: Any, proxy: Any, make_client: Any) -> list[Any]:
        app.add_url_rule("/", view_func=lambda: dict(proxy.headers), endpoint="index")
        client = make_client()
        return [client.get("/", headers=headers).get_json() for headers in ({}, {"Accept": "a/b"})]

    ours, theirs = Flask("headers"), flask.Flask("headers")
    expected = seen(theirs, flask.request, theirs.test_client)
    assert seen(ours, request, ours.sync_test_client) == expected


def test_headers_of_a_client_are_sent_with_every_request() -> None:
    """They stand for its own."""
    app = Flask("headers")
    app.add_url_rule("/", view_func=lambda: dict(request.headers), endpoint="index")
    client = app.sync_test_client(headers={"User-Agent": "mine", "Accept": "a/b"})
    headers = client.get("/").get_json()
    assert (headers["User-Agent"], headers["Accept"]) == ("mine", "a/b")


async def test_open_stands_behind_every_method() -> None:
    """A subclass that replaces it sees all requests, as in Flask and Quart."""
    asked: list[tuple[str, str]] = []

    class Sync(SyncClient):
        def open(self, path: Any = "/", *, method: str = "GET", **options: Any) -> Any:
            asked.append((method, path))
            return super().open(path, method=method, **options)

    class Async(FlaskClient):
        async def open(self, path: Any = "/", *, method: str = "GET", **options: Any) -> Any:
            asked.append((method, path))
            return await super().open(path, method=method, **options)

    app = Flask("open")
    app.test_client_class, app.sync_test_client_class = Async, Sync
    methods = ["get", "post", "put", "patch", "delete", "head", "options", "trace"]
    expected = [(method.upper(), "/x") for method in methods]
    for method in methods:
        await getattr(app.test_client(), method)("/x")
    assert asked == expected
    asked.clear()

    def ask() -> None:
        for method in methods:
            getattr(app.sync_test_client(), method)("/x")

    await asyncio.to_thread(ask)
    assert asked == expected
