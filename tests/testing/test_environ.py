"""Requests described in WSGI's terms, as tests for Flask do."""

from __future__ import annotations

import asyncio
import io
import sys
from io import BytesIO
from typing import Any

import flask
import flask.testing
import pytest
from werkzeug.test import EnvironBuilder as WerkzeugBuilder
from werkzeug.wrappers import Request

from asyncflask import Flask, request
from asyncflask.logging import default_handler, wsgi_errors_stream
from asyncflask.testing import EnvironBuilder


@pytest.fixture
def app() -> Flask:
    app = Flask("described", static_folder=None)

    @app.route("/", methods=["GET", "POST"], defaults={"path": ""})
    @app.route("/<path:path>", methods=["GET", "POST"])
    def show(path: str) -> dict[str, Any]:
        return {
            "method": request.method,
            "url": request.url,
            "root": request.root_path,
            "body": request.get_data(as_text=True),
            "form": request.form.to_dict(),
            "client": request.remote_addr,
            "kind": request.headers.get("X-Kind"),
            "user": request.environ.get("REMOTE_USER"),
        }

    return app


@pytest.mark.parametrize("config", [{}, {"SERVER_NAME": "example.org", "APPLICATION_ROOT": "/r"}])
@pytest.mark.parametrize(
    "arguments",
    [
        ("/x?a=b",),
        ("http://other.org:81/x",),
        ("/x", "http://base.org/root"),
        ("/x", None, "sub", "https"),
        ("/x", None, None, "https"),
    ],
)
def test_the_builder_is_flasks(config: dict[str, Any], arguments: Any) -> None:
    """With the application's defaults."""
    app, other = Flask("a", static_folder=None), flask.Flask("a", static_folder=None)
    app.config.update(config)
    other.config.update(config)
    ours = EnvironBuilder(app, *arguments, json={"a": 1}).get_environ()
    theirs = flask.testing.EnvironBuilder(other, *arguments, json={"a": 1}).get_environ()
    for key in (*(key for key in theirs if key.isupper()), "wsgi.url_scheme"):
        if key != "CONTENT_LENGTH":
            assert ours[key] == theirs[key], key
    assert ours["wsgi.input"].read() == b'{"a":1}'


async def test_a_path_may_lack_its_slash(app: Flask) -> None:
    """As in Flask."""
    answer = (await app.test_client().open(EnvironBuilder(app, "x?a=b"))).json()
    assert answer["url"] == "http://localhost/x?a=b"


def test_base_url_excludes_its_parts(app: Flask) -> None:
    """As for the clients."""
    with pytest.raises(TypeError, match="Pass base_url=, or subdomain="):
        EnvironBuilder(app, "/", "http://localhost", subdomain="a")


async def test_open_takes_what_describes_a_request(app: Flask) -> None:
    """A builder, an environ or a request of Werkzeug's, in both clients."""
    builder = EnvironBuilder(
        app, "/ü?a=ö", method="POST", data={"field": "ä"}, headers={"X-Kind": "test"}
    )
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    answer = (await client.open(builder)).json()
    assert answer["method"] == "POST"
    assert answer["url"] == "http://localhost/ü?a=ö"
    assert (answer["form"], answer["kind"]) == ({"field": "ä"}, "test")
    assert answer["client"] == "192.0.2.1"
    environ = WerkzeugBuilder(
        "/x", "https://example.org/root", environ_base={"REMOTE_ADDR": "192.0.2.2"}
    ).get_environ()
    for described in (environ, Request(environ)):
        answer = (await client.open(described)).json()
        assert answer["url"] == "https://example.org/root/x"
        assert (answer["root"], answer["client"]) == ("/root", "192.0.2.2")
        assert answer["body"] == ""
    del environ["HTTP_HOST"]
    assert (await client.open(environ)).json()["url"] == "https://example.org/root/x"
    sync_client = app.sync_test_client()

    def open_it() -> Any:
        with sync_client:
            assert sync_client.open("/x", method="POST").json()["method"] == "POST"
            return sync_client.open(builder).json()

    assert (await asyncio.to_thread(open_it))["kind"] == "test"


@pytest.mark.parametrize("make", ["client", "context"])
def test_parts_of_a_request_are_given_as_an_environ(app: Flask, make: str) -> None:
    """`environ_base` is overridden by the other arguments, `environ_overrides` overrides them."""
    options: Any = {
        "environ_base": {
            "REMOTE_ADDR": "192.0.2.1",
            "REMOTE_PORT": "81",
            "HTTP_X_KIND": "base",
            "HTTP_X_OTHER": "base",
            "REMOTE_USER": "ada",
        },
        "environ_overrides": {
            "HTTP_X_OTHER": "over",
            "SERVER_NAME": "server",
            "SERVER_PORT": "8080",
            "wsgi.url_scheme": "https",
        },
        "headers": {"X-Kind": "given"},
    }
    if make == "client":
        with app.sync_test_client() as client:
            client.get("/x", **options)
            check()
    else:
        with app.test_request_context("/x", **options):
            check()


def check() -> None:
    assert request.scope["client"] == ("192.0.2.1", 81)
    assert request.scope["server"] == ("server", 8080)
    assert request.headers.getlist("X-Kind") == ["given"]
    assert request.headers.getlist("X-Other") == ["over"]
    assert request.environ["REMOTE_USER"] == "ada"
    assert request.scheme == "https"


def test_a_body_that_the_view_has_not_read_can_be_read_afterwards() -> None:
    """As with Flask's client; after a whole upload, that is."""
    app = Flask("unread", static_folder=None)
    app.add_url_rule("/", view_func=lambda: "not read", methods=["POST"])
    with app.sync_test_client() as client:
        client.post("/?vodka=42", data={"gin": 43})
        assert request.form["gin"] == "43"
        assert request.args["vodka"] == "42"
        client.post("/", data={"file": (BytesIO(b"content"), "a.txt")})
        assert request.files["file"].read() == b"content"


def test_a_context_is_made_of_an_environ() -> None:
    """`app.request_context()` takes one, as Flask's; the view sees what Flask's sees."""

    def seen(app: Any, proxy: Any) -> Any:
        builder = WerkzeugBuilder(
            "/é/x?q=%20",
            "https://example.org:8443/roöt",
            method="POST",
            data=b"abc",
            content_type="text/plain",
            headers={"X-A": "é"},
            environ_base={"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "81"},
        )
        with app.request_context(builder.get_environ()):
            return [
                *(proxy.method, proxy.url, proxy.root_path, proxy.path, proxy.headers["X-A"]),
                *(proxy.mimetype, proxy.content_length, proxy.get_data(), proxy.remote_addr),
            ]

    ours, theirs = Flask("environ"), flask.Flask("environ")
    assert seen(ours, request) == seen(theirs, flask.request)


@pytest.mark.parametrize(("host", "status"), [("ąśź.com", 200), ("\x8a", 400)])
def test_a_host_in_an_environ_may_be_in_any_alphabet(host: str, status: int) -> None:
    """One that cannot be a host is refused, like one that a server has sent."""
    app = Flask("environ")
    app.add_url_rule("/", view_func=lambda: "hello", endpoint="index")
    environ = WerkzeugBuilder().get_environ()
    environ["HTTP_HOST"] = host
    del environ["wsgi.input"]
    with app.request_context(environ):
        assert app.full_dispatch_request().status_code == status


@pytest.mark.parametrize("make", ["client", "context"])
def test_the_log_can_be_caught(make: str) -> None:
    """`errors_stream` is where the logger writes during the request; Flask's."""
    app, stream = Flask("caught"), io.StringIO()
    app.logger.addHandler(default_handler)
    app.add_url_rule("/", view_func=lambda: app.logger.error("a line") or "", endpoint="index")
    if make == "client":
        app.sync_test_client().get("/", errors_stream=stream)
    else:
        with app.test_request_context("/", errors_stream=stream):
            app.logger.error("a line")
            assert request.environ["wsgi.errors"] is stream
    assert "ERROR in test_environ: a line" in stream.getvalue()
    assert wsgi_errors_stream._get_current_object() is sys.stderr  # type: ignore[attr-defined]
