"""What is refused before any view sees it."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest

from asyncflask import Flask, request
from asyncflask.life.guard import HostGuard, refuse_path
from tests.wire import Wire


def scope_of(path: str = "/", *hosts: bytes, raw_path: bytes | None = None) -> dict[str, Any]:
    scope: dict[str, Any] = {"path": path, "headers": [(b"host", host) for host in hosts]}
    if raw_path is not None:
        scope["raw_path"] = raw_path
    return scope


def is_refused(scope: dict[str, Any]) -> bool:
    answer = HostGuard(None).refuse(scope) or refuse_path(scope)
    assert answer is None or isinstance(answer[3], BadRequest)
    return answer is not None


async def test_a_refused_request_is_a_400_with_the_reason() -> None:
    """No view runs; hooks see the error."""
    app = Flask(__name__, static_folder=None)
    seen: list[Any] = []

    @app.before_request
    async def before() -> None:
        seen.append(type(request.routing_exception))

    @app.get("/")
    async def index() -> str:
        raise AssertionError

    wire = Wire()
    wire.scope["headers"] = [(b"host", b"a"), (b"host", b"b")]
    await app(wire.scope, wire.receive, wire.send)
    assert wire.sent[0]["status"] == 400
    assert b"more than one Host header" in wire.body
    assert seen == [BadRequest]


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"a.example:8000", b"127.0.0.1:80", b"[::1]", b"[::1]:5000", b"a_b", b"", b"x:"],
)
def test_hosts_that_pass(host: bytes) -> None:
    """Names, addresses, IPv6 in brackets, with and without a port; an empty one too."""
    assert not is_refused(scope_of("/", host))


@pytest.mark.parametrize(
    "host",
    [
        b"a b",
        b"a/b",
        b"user@a",
        b"a:b",
        b"::1",
        b"[::1",
        b"[x]",
        b"a\\b",
        b"a?b",
        b"a#b",
        b"\xe9",
        b"a:123456",
        b"a\n",
    ],
)
def test_hosts_that_are_refused(host: bytes) -> None:
    """What could be read as something else than a host."""
    assert is_refused(scope_of("/", host))


def test_one_host_header_or_none() -> None:
    """HTTP/1.0 has none; two are refused even when they are the same."""
    assert not is_refused(scope_of("/"))
    assert is_refused(scope_of("/", b"a", b"a"))


@pytest.mark.parametrize("path", ["/a\0b", "/a\r", "/a\n", "/é\n", "/\ud800", "/a\udcff"])
def test_paths_that_are_refused(path: str) -> None:
    """NUL, line breaks, and what is not Unicode text."""
    assert is_refused(scope_of(path))


def test_a_path_that_was_not_utf_8_is_refused() -> None:
    """Servers replace what they cannot decode; U+FFFD itself may be sent."""
    assert is_refused(scope_of("/\ufffd", raw_path=b"/%FF"))
    assert is_refused(scope_of("/\ufffd\ufffd", raw_path=b"/%EF%BF%BD%FF"))
    assert is_refused(scope_of("/\ufffd"))
    assert not is_refused(scope_of("/\ufffd", raw_path=b"/%ef%bf%bd"))
    assert not is_refused(scope_of("/\ufffd", raw_path="/\ufffd".encode()))


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\ufffd")))
def test_any_other_path_passes(path: str) -> None:
    """Whatever the script, and with control characters that do no harm."""
    assert not is_refused(scope_of("/" + path, b"localhost"))


@settings(max_examples=50)
@given(st.ip_addresses(v=6), st.none() | st.integers(0, 65535))
def test_any_ipv6_host_passes(address: Any, port: int | None) -> None:
    """In brackets, as it has to be sent."""
    host = f"[{address}]" if port is None else f"[{address}]:{port}"
    assert not is_refused(scope_of("/", host.encode()))


@pytest.mark.parametrize("make", [flask.Flask, Flask])
def test_only_trusted_hosts_are_served(make: Any) -> None:
    """With `TRUSTED_HOSTS` set any other is a 400, before a view runs."""
    app = make(__name__, static_folder=None)
    app.config["TRUSTED_HOSTS"] = ["example.test", ".other.test"]
    app.add_url_rule("/", view_func=lambda: "ok")
    client = app.sync_test_client() if make is Flask else app.test_client()
    for host, status in [("example.test", 200), ("a.other.test", 200), ("bad.test", 400)]:
        assert client.get("/", base_url=f"http://{host}").status_code == status
    assert client.get("/nowhere", base_url="http://bad.test").status_code == 400


async def test_a_trusted_host_may_be_malformed_no_more_than_others() -> None:
    """The other checks hold as well, and a request without a host is not trusted."""
    app = Flask(__name__)
    app.config["TRUSTED_HOSTS"] = ["example.test"]
    app.freeze()
    assert app.router.refuse(scope_of("/", b"example.test")) is None
    for hosts in [(), (b"example.test", b"example.test"), (b"example.test/",)]:
        refused = app.router.refuse(scope_of("/", *hosts))
        assert refused is not None
        assert refused[3].code == 400


async def test_a_flood_of_hosts_is_not_remembered() -> None:
    """Those that were found to be fine are kept, a thousand; others are fine all the same."""
    guard = HostGuard(None)
    for number in range(1100):
        assert guard.refuse(scope_of("/", b"host%d.test" % number)) is None
    assert len(guard._fine) == 1000
    assert guard.refuse(scope_of("/", b"host1099.test")) is None
    assert guard.refuse(scope_of("/", b"host1099.test/")) is not None
    assert guard.refuse(scope_of("/", b"a" * 300)) is None
    assert HostGuard(None).refuse(scope_of("/")) is None
