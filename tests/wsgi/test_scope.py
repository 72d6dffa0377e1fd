"""ASGI's description of a request, made of WSGI's."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder

from asyncflask.wsgi.scope import Body, refuse, scope_of


def environ(*args: Any, **changes: Any) -> dict[str, Any]:
    made = EnvironBuilder(*args).get_environ()
    for key in ("REQUEST_URI", "RAW_URI"):
        del made[key]
    return {**made, **changes}


class TestScope:
    def test_a_request_line_and_its_peers(self) -> None:
        """All that ASGI has a place for."""
        made = environ("/a/b?q=1", REMOTE_ADDR="192.0.2.1", REMOTE_PORT="4711", HTTP_X_Y="z")
        scope = scope_of(made)
        assert scope["type"] == "http"
        assert (scope["method"], scope["scheme"], scope["http_version"]) == ("GET", "http", "1.1")
        assert (scope["path"], scope["raw_path"], scope["root_path"]) == ("/a/b", b"/a/b", "")
        assert scope["query_string"] == b"q=1"
        assert (scope["server"], scope["client"]) == (("localhost", 80), ("192.0.2.1", 4711))
        assert scope["headers"] == [(b"host", b"localhost"), (b"x-y", b"z")]
        assert scope["wsgi.environ"] is made

    def test_what_a_server_does_not_know(self) -> None:
        """A Unix socket has no address and no port; a version may be missing."""
        made = environ("/", SERVER_NAME="/run/app", SERVER_PORT="", SERVER_PROTOCOL="")
        made.pop("REMOTE_ADDR", None)
        scope = scope_of(made)
        assert (scope["server"], scope["client"]) == (("/run/app", None), None)
        assert scope["http_version"] == "1.1"
        assert scope_of(environ(REMOTE_ADDR="192.0.2.1", REMOTE_PORT="?"))["client"][1] == 0
        assert scope_of(environ(SERVER_PROTOCOL="HTTP/2"))["http_version"] == "2"

    def test_paths_are_utf_8_below_their_prefix(self) -> None:
        """WSGI shows their bytes as Latin-1."""
        latin = "/é".encode().decode("latin-1")
        scope = scope_of(environ(SCRIPT_NAME=latin, PATH_INFO="/ü x".encode().decode("latin-1")))
        assert (scope["root_path"], scope["path"]) == ("/é", "/é/ü x")
        assert scope["raw_path"] == b"/%C3%A9/%C3%BC%20x"
        assert scope_of(environ(PATH_INFO="/\xff"))["path"] == "/\udcff"

    def test_a_path_without_its_first_slash_gets_it(self) -> None:
        """Below its prefix, too."""
        assert scope_of(environ(PATH_INFO="a"))["path"] == "/a"
        assert scope_of(environ(PATH_INFO="a", SCRIPT_NAME="/p"))["path"] == "/p/a"
        assert scope_of(environ(PATH_INFO="", SCRIPT_NAME="/p"))["path"] == "/p"

    @pytest.mark.parametrize("key", ["RAW_URI", "REQUEST_URI"])
    def test_the_path_as_it_was_sent(self, key: str) -> None:
        """Where the server tells, and middleware has not changed it."""
        plain = {"PATH_INFO": "/a/b", key: "/a%2Fb?q=/"}
        assert scope_of(environ(**plain))["raw_path"] == b"/a%2Fb"
        assert scope_of(environ(**plain, SCRIPT_NAME="/p"))["raw_path"] == b"/p/a%2Fb"
        other = {**plain, "PATH_INFO": "/other"}
        assert scope_of(environ(**other))["raw_path"] == b"/other"

    def test_one_framing(self) -> None:
        """A chunked body has no length; what passes for a content header is none."""
        made = environ(
            CONTENT_LENGTH="3",
            CONTENT_TYPE="",
            HTTP_CONTENT_LENGTH="4",
            HTTP_CONTENT_TYPE="a/b",
            HTTP_TRANSFER_ENCODING="chunked",
        )
        headers = scope_of(made)["headers"]
        assert headers == [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]
        del made["HTTP_TRANSFER_ENCODING"]
        assert scope_of(made)["headers"] == [(b"host", b"localhost"), (b"content-length", b"3")]


class TestRefusals:
    def test_what_is_refused(self) -> None:
        """WebSockets, and a length that is none."""
        assert refuse(environ()) is None
        assert refuse(environ(CONTENT_LENGTH="3")) is None
        upgrade = refuse(environ(HTTP_UPGRADE="WebSocket"))
        assert upgrade is not None
        assert upgrade.code == 501
        for wrong in ("-1", "+1", "1_0", "a", "1,1", "\u0661"):
            length = refuse(environ(CONTENT_LENGTH=wrong))
            assert length is not None
            assert length.code == 400


class TestBody:
    def test_a_length(self) -> None:
        """No more than that is read of the connection."""
        body = Body({"wsgi.input": BytesIO(b"abc, and the next request"), "CONTENT_LENGTH": "3"})
        assert not body.is_complete
        assert body.read() == b"abc"
        assert body.is_complete

    def test_no_length(self) -> None:
        """Then there is no body."""
        assert Body({"wsgi.input": BytesIO(b"the next request")}).is_complete

    @pytest.mark.parametrize("more", [{}, {"CONTENT_LENGTH": "1", "HTTP_TRANSFER_ENCODING": "x"}])
    def test_an_input_that_ends(self, more: dict[str, str]) -> None:
        """Where the server promises that, chunked bodies are read to their end."""
        body = Body({"wsgi.input": BytesIO(b"abc"), "wsgi.input_terminated": True, **more})
        assert body.read() == b"abc"
        assert not body.is_complete
        assert body.read() == b""
        assert body.is_complete

    def test_a_body_that_stops_half_way(self) -> None:
        """It is not taken for a whole one."""
        body = Body({"wsgi.input": BytesIO(b"ab"), "CONTENT_LENGTH": "3"})
        assert body.read() == b"ab"
        with pytest.raises(OSError, match="has ended before"):
            body.read()
