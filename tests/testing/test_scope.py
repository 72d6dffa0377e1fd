"""Requests made by hand: Flask's arguments, compared with what Flask makes of them."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import flask
import pytest
from flask.testing import EnvironBuilder
from werkzeug.datastructures import Authorization, FileStorage, Headers, MultiDict
from werkzeug.formparser import parse_form_data

from asyncflask.testing import FlaskClient
from asyncflask.testing.scope import make_scope, wire_request
from tests.testing.apps import Dressed, echo, echo_app

#: Arguments that mean the same in Flask.
ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (("/",), {}),
    (("",), {}),
    (("/a b/ü",), {}),
    (("/a%20b/%C3%BC%2F",), {}),
    (("/path?q=1&q=ü%20",), {}),
    (("?q=1",), {}),
    (("x",), {}),
    (("/",), {"query_string": "a=1&b=ü"}),
    (("/",), {"query_string": {"a": "1", "b": ["x y", "ü"], "none": None}}),
    (("/",), {"query_string": MultiDict([("a", "1"), ("a", "2")])}),
    (("https://example.com:8443/a?b=c",), {}),
    (("//example.com/a",), {}),
    (("/",), {"base_url": "https://example.com/app"}),
    (("/x",), {"base_url": "https://bücher.example/ü/"}),
    (("/",), {"subdomain": "api"}),
    (("/",), {"subdomain": "api", "url_scheme": "https"}),
    (("https://example.com/",), {"subdomain": "api", "url_scheme": "http"}),
    (("/",), {"method": "put"}),
    (("/",), {"headers": {"X-One": "1", "X-Two": "zwölf"}}),
    (("/",), {"headers": [("X-One", "1"), ("X-One", "2")]}),
    (("/",), {"headers": Headers([("Content-Type", "text/x"), ("Content-Length", "7")])}),
    (("/",), {"auth": ("user", "pass")}),
    (("/",), {"auth": Authorization("bearer", token="abc")}),
    (("/",), {"method": "POST", "data": "tëxt"}),
    (("/",), {"method": "POST", "data": b"bytes", "content_type": "text/plain"}),
    (("/",), {"method": "POST", "data": "<a/>", "mimetype": "text/xml"}),
    (("/",), {"method": "POST", "data": {"a": "1", "b": ["x", "y"], "n": 2, "t": True}}),
    (("/",), {"method": "POST", "data": MultiDict([("a", "1"), ("a", "ü")])}),
    (("/",), {"method": "POST", "json": {"a": [1, None, "ü"]}}),
    (("/",), {"method": "POST", "json": [], "content_type": "application/vnd.api+json"}),
]


@pytest.fixture(
    params=[{}, {"SERVER_NAME": "example.org:5000", "APPLICATION_ROOT": "/app"}],
    ids=["default config", "own config"],
)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


def flask_environ(config: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    app = flask.Flask(__name__)
    app.config.update(config, PREFERRED_URL_SCHEME="http")
    app.json.sort_keys = False
    app.json.ensure_ascii = True
    builder = EnvironBuilder(app, *args, **kwargs)
    try:
        return builder.get_environ()
    finally:
        builder.close()


def environ_headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in {"CONTENT_TYPE", "CONTENT_LENGTH"}
    }
    return dict(sorted(headers.items()))


def scope_headers(scope: dict[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1")
        headers[key] = ", ".join(filter(None, [headers.get(key), value.decode("latin-1")]))
    return dict(sorted(headers.items()))


def wsgi(text: str) -> str:
    return text.encode("latin-1").decode()


@pytest.mark.parametrize(("args", "kwargs"), ARGUMENTS)
def test_a_scope_says_what_flasks_environ_says(
    config: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Method, URL, headers and body, for the arguments that both take."""
    environ = flask_environ(config, *args, **kwargs)
    scope, body = make_scope(Dressed(echo, **config), *args, **kwargs)
    assert scope["method"] == environ["REQUEST_METHOD"].upper()
    assert scope["scheme"] == environ["wsgi.url_scheme"]
    assert scope["root_path"] == wsgi(environ["SCRIPT_NAME"])
    # A path has a slash in front: for WSGI, Werkzeug's request adds it.
    path = "/" + wsgi(environ["PATH_INFO"]).removeprefix("/")
    assert scope["path"] == scope["root_path"] + path
    assert scope["raw_path"].isascii()
    assert scope["server"] == (environ["SERVER_NAME"], int(environ["SERVER_PORT"]))
    assert unquote(scope["query_string"].decode()) == unquote(wsgi(environ["QUERY_STRING"]))
    assert body == environ["wsgi.input"].read()
    assert scope_headers(scope) == environ_headers(environ)


def test_the_query_is_quoted_as_a_client_would() -> None:
    """Flask's environ keeps what is not ASCII as bytes; over the wire it is quoted."""
    scope, _ = make_scope(Dressed(echo), "/?q=ü&r=%20 x", method="get")
    assert scope["query_string"] == b"q=%C3%BC&r=%20%20x"
    assert scope["method"] == "GET"


def test_a_url_that_needs_no_words_is_http_on_localhost() -> None:
    """Whatever the configuration lacks."""
    assert wire_request(Dressed(echo), "/x").url == "http://localhost/x"
    assert wire_request(Dressed(echo), "/x?a=b").url == "http://localhost/x?a=b"
    app = Dressed(echo, PREFERRED_URL_SCHEME="https", SERVER_NAME=None, APPLICATION_ROOT="/")
    assert wire_request(app, "/x").url == "https://localhost/x"


def test_root_path_takes_the_place_of_the_configured_root() -> None:
    """As it does in Quart."""
    scope, _ = make_scope(Dressed(echo, APPLICATION_ROOT="/app"), "/x", root_path="/mount ü/")
    assert (scope["root_path"], scope["path"]) == ("/mount ü", "/mount ü/x")
    assert scope["raw_path"] == b"/mount%20%C3%BC/x"


def test_entries_can_be_laid_over_the_scope() -> None:
    """Such as the client's address."""
    scope, _ = make_scope(Dressed(echo), scope_base={"client": ("203.0.113.7", 1), "x": 1})
    assert (scope["client"], scope["x"]) == (("203.0.113.7", 1), 1)


def test_a_host_header_is_kept() -> None:
    """To test what the application does with a strange one."""
    scope, _ = make_scope(Dressed(echo), headers={"Host": "other"})
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"other"]
    assert scope["server"] == ("localhost", 80)


def test_arguments_that_exclude_each_other_are_refused() -> None:
    """With the names of both."""
    app = Dressed(echo)
    with pytest.raises(TypeError, match="base_url=, or subdomain="):
        make_scope(app, base_url="http://a", subdomain="b")
    for other in ({"data": b""}, {"form": {}}, {"files": {}}):
        with pytest.raises(TypeError, match="json=, or data="):
            make_scope(app, json=1, **other)
    with pytest.raises(ValueError, match="Query string is defined in the path"):
        make_scope(app, "/?a=b", query_string="c=d")


def test_none_as_json_is_no_body() -> None:
    """As in Flask and httpx."""
    scope, body = make_scope(Dressed(echo), method="POST", json=None)
    assert body == b""
    assert b"content-type" not in dict(scope["headers"])


def parse(wire: tuple[Any, bytes]) -> tuple[dict[str, list[str]], dict[str, list[tuple[Any, ...]]]]:
    """Return the fields and the files of a form, as Werkzeug reads them."""
    scope, body = wire
    headers = scope_headers(scope)
    assert headers["content-length"] == str(len(body))
    environ = {
        "wsgi.input": BytesIO(body),
        "CONTENT_TYPE": headers["content-type"],
        "CONTENT_LENGTH": headers["content-length"],
        "REQUEST_METHOD": "POST",
    }
    _, form, files = parse_form_data(environ)
    uploads: dict[str, list[tuple[Any, ...]]] = {}
    for name, file in files.items(multi=True):
        uploads.setdefault(name, []).append((file.filename, file.read(), file.content_type))
        file.close()
    return dict(form.lists()), uploads


def test_files_among_the_data_make_it_multipart(tmp_path: Path) -> None:
    """Flask's form: ``(file, filename[, content type])``, ``FileStorage`` or an open file."""
    path = tmp_path / "page.html"
    path.write_bytes(b"<p>")
    fields, files = parse(
        make_scope(
            Dressed(echo),
            method="POST",
            data={
                "text": ["a", "ü"],
                "pair": (BytesIO(b"1"), "note.txt"),
                "triple": (BytesIO(b"2"), "x.bin", "image/x-one"),
                "several": [(BytesIO(b"3"), "3.txt"), (BytesIO(b"4"), "4.txt")],
                "storage": FileStorage(BytesIO(b"5"), "ü.txt"),
                "open": path.open("rb"),
                "path": (str(path), "named.html"),
            },
        )
    )
    assert fields == {"text": ["a", "ü"]}
    assert files == {
        "pair": [("note.txt", b"1", "text/plain")],
        "triple": [("x.bin", b"2", "image/x-one")],
        "several": [("3.txt", b"3", "text/plain"), ("4.txt", b"4", "text/plain")],
        "storage": [("ü.txt", b"5", "text/plain")],
        "open": [(str(path), b"<p>", "text/html")],
        "path": [("named.html", b"<p>", "text/html")],
    }


def test_data_can_be_sent_as_multipart_without_files() -> None:
    """By naming the content type."""
    wire = make_scope(
        Dressed(echo), method="POST", data={"a": "1"}, content_type="multipart/form-data"
    )
    assert parse(wire) == ({"a": ["1"]}, {})


def test_files_takes_httpxs_forms_and_flasks(tmp_path: Path) -> None:
    """``(filename, content[, content type])`` or the other way round, or just content."""
    path = tmp_path / "page.html"
    path.write_bytes(b"<p>")
    files = {
        "httpx": ("note.txt", b"1"),
        "httpx_text": ("note.txt", "zwölf", "text/x-one"),
        "httpx_file": ("note.txt", BytesIO(b"2")),
        "flask": (BytesIO(b"3"), "note.txt"),
        "bare": b"4",
        "several": [b"5", ("six.txt", b"6")],
        "open": path.open("rb"),
        "storage": FileStorage(BytesIO(b"7"), "seven.txt"),
    }
    _, seen = parse(make_scope(Dressed(echo), method="POST", files=files))
    assert seen == {
        "httpx": [("note.txt", b"1", "text/plain")],
        "httpx_text": [("note.txt", "zwölf".encode(), "text/x-one")],
        "httpx_file": [("note.txt", b"2", "text/plain")],
        "flask": [("note.txt", b"3", "text/plain")],
        "bare": [("upload", b"4", "application/octet-stream")],
        "several": [
            ("upload", b"5", "application/octet-stream"),
            ("six.txt", b"6", "text/plain"),
        ],
        "open": [("page.html", b"<p>", "text/html")],
        "storage": [("seven.txt", b"7", "text/plain")],
    }


def test_data_form_and_files_are_merged() -> None:
    """``form`` is Quart's name for fields; pairs are httpx's form for several of a name."""
    fields, files = parse(
        make_scope(
            Dressed(echo),
            method="POST",
            data=MultiDict([("a", "1"), ("a", "2")]),
            form={"a": "3", "b": ["4"]},
            files=[("f", ("x", b"1")), ("f", ("y", b"2"))],
        )
    )
    assert fields == {"a": ["1", "2", "3"], "b": ["4"]}
    assert [name for name, *_ in files["f"]] == ["x", "y"]


def test_a_form_alone_is_urlencoded() -> None:
    """Like ``data``."""
    _, body = make_scope(Dressed(echo), method="POST", form={"a": "ü", "b": ["1", "2"]})
    assert body == b"a=%C3%BC&b=1&b=2"


def test_a_file_can_be_the_body() -> None:
    """A large one too: it is read whole."""
    large = b"x" * 600_000
    assert make_scope(Dressed(echo), method="POST", data=BytesIO(large))[1] == large
    wire = make_scope(Dressed(echo), method="POST", data={"f": (BytesIO(large), "x")})
    assert parse(wire)[1]["f"][0][1] == large


def test_files_are_closed() -> None:
    """As Flask's client does, so that ``open()`` in an argument leaves nothing behind."""
    file = BytesIO(b"x")
    make_scope(Dressed(echo), method="POST", data={"f": (file, "x")})
    assert file.closed


def test_json_is_made_by_the_application() -> None:
    """With its provider, so that custom types work."""

    class Provider:
        def dumps(self, obj: Any) -> str:
            return json.dumps([obj])

    app = Dressed(echo)
    app.json = Provider()
    assert make_scope(app, method="POST", json="x")[1] == b'["x"]'


def test_the_arguments_may_be_quarts() -> None:
    """And the first ones are in Flask's order."""
    app = echo_app()
    scope, _ = make_scope(app, "/x", scheme="https", http_version="2")
    assert (scope["scheme"], scope["http_version"]) == ("https", "2")
    scope, _ = make_scope(app, "/x", "http://example.org/root")
    assert (scope["root_path"], dict(scope["headers"])[b"host"]) == ("/root", b"example.org")
    scope, _ = make_scope(app, "/x", None, "sub", "https")
    assert (scope["scheme"], dict(scope["headers"])[b"host"]) == ("https", b"sub.localhost")


async def test_a_client_takes_them_too() -> None:
    """For one request."""
    client = FlaskClient(echo_app())
    seen = (await client.get("/", scheme="https", http_version="2")).json()
    assert (seen["scheme"], seen["http_version"]) == ("https", "2")
