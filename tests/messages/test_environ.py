"""WSGI's description of a request, made of ASGI's."""

from __future__ import annotations

from typing import Any

import pytest

from asyncflask.messages.environ import environ_of, split_path


def scope(**changes: Any) -> dict[str, Any]:
    return {"type": "http", "method": "get", "path": "/", "headers": [], **changes}


def test_what_a_server_need_not_say() -> None:
    """PEP 3333 wants it all the same."""
    environ = environ_of(scope())
    assert environ["REQUEST_METHOD"] == "GET"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "80")
    assert (environ["SERVER_PROTOCOL"], environ["wsgi.url_scheme"]) == ("HTTP/1.1", "http")
    assert (environ["QUERY_STRING"], environ["SCRIPT_NAME"]) == ("", "")
    assert "REMOTE_ADDR" not in environ
    assert environ_of(scope(server=("/run/app", None)))["SERVER_PORT"] == "0"


def test_headers() -> None:
    """Several of a name are one; those with underscores would pass for others."""
    headers = [(b"x-a", b"1"), (b"x_a", b"2"), (b"x-a", b"\xe9"), (b"content-type", b"a/b")]
    environ = environ_of(scope(headers=headers))
    assert environ["HTTP_X_A"] == "1,\xe9"
    assert environ["CONTENT_TYPE"] == "a/b"
    assert "HTTP_CONTENT_TYPE" not in environ


def test_bytes_that_are_no_text_come_through() -> None:
    """As they were sent."""
    assert environ_of(scope(path="/\udcff"))["PATH_INFO"] == "/\xff"


@pytest.mark.parametrize(
    ("root_path", "path", "expected"),
    [
        ("", "/a", ("", "/a")),
        ("/shop/", "/shop/tea", ("/shop", "/tea")),
        ("/shop", "/shop", ("/shop", "/")),
        ("/shop", "/shopping", ("/shop", "/shopping")),
        ("/shop", "/shop/shop/x", ("/shop", "/shop/x")),
    ],
)
def test_a_path_is_split_at_its_prefix(
    root_path: str, path: str, expected: tuple[str, str]
) -> None:
    """Only at the end of a segment."""
    assert split_path(scope(root_path=root_path, path=path)) == expected
