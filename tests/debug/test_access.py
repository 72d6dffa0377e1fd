"""Who may see the debug page."""

from __future__ import annotations

from typing import Any

import pytest

from asyncflask.debug import is_loopback, may_show


def scope(client: Any, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "client": client, "headers": list(headers)}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host",
    [b"localhost", b"LocalHost:5000", b"127.0.0.1:5000", b"127.9.9.9", b"[::1]", b"[::1]:5000"],
)
def test_shown_to_this_machine(address: str, host: bytes) -> None:
    """A client on this machine that asks for this machine may see the page."""
    assert may_show(scope((address, 5123), (b"host", host)))


def test_shown_for_a_subdomain_of_localhost() -> None:
    """Subdomains can be tried out: names below ``localhost`` are this machine's."""
    assert may_show(scope(("127.0.0.1", 1), (b"host", b"blog.localhost:5000")))


@pytest.mark.parametrize("address", ["192.168.1.5", "::ffff:10.0.0.1", "2001:db8::1", "testclient"])
def test_not_shown_to_another_machine(address: str) -> None:
    """Another machine does not see the page, whatever Host it sends."""
    assert not may_show(scope((address, 5123), (b"host", b"localhost")))


@pytest.mark.parametrize(
    "host",
    [
        b"example.org",
        b"127.0.0.1.example.org",
        b"localhost.example.org",
        b"localhost:5000:1",
        b"[::1",
        b"[fe80::1]",
        b"localhost@example.org",
        b"localhost\n",
        b"",
    ],
)
def test_not_shown_for_another_host(host: bytes) -> None:
    """A web page that has its own name resolved to this machine does not see the page."""
    assert not may_show(scope(("127.0.0.1", 5123), (b"host", host)))


def test_not_shown_without_exactly_one_host() -> None:
    """No Host, or two of them, is no evidence."""
    assert not may_show(scope(("127.0.0.1", 1)))
    assert not may_show(scope(("127.0.0.1", 1), (b"host", b"localhost"), (b"host", b"localhost")))


def test_not_shown_over_a_unix_socket() -> None:
    """A request without a client address may come from anywhere."""
    assert not may_show(scope(None, (b"host", b"localhost")))
    assert not may_show({"type": "http"})


@pytest.mark.parametrize(
    "header", [b"x-forwarded-for", b"x-forwarded-host", b"forwarded", b"via", b"x-real-ip"]
)
def test_not_shown_through_a_proxy(header: bytes) -> None:
    """A proxy on this machine speaks for clients elsewhere."""
    headers = [(b"host", b"localhost"), (header, b"anything")]
    assert not may_show(scope(("127.0.0.1", 1), *headers))


def test_addresses_that_only_this_machine_reaches() -> None:
    """Loopback addresses and ``localhost`` are; others and "all addresses" are not."""
    assert all(map(is_loopback, ["127.0.0.1", "127.0.1.1", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.1", "example.org", ""]))
