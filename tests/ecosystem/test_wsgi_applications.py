"""Sites of Flask and Django inside an application of ours, on a real server."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit
from wsgiref.validate import validator

import httpx
import pytest

from asyncflask import Flask
from asyncflask.wsgi import WSGIAdapter
from tests.ecosystem import django_site, flask_site
from tests.ecosystem.serving import serving
from tests.programs import wait_for

SITES = {"Django": django_site, "Flask": flask_site}


class Mounted:
    """A site on a server, below ``/old`` and ``/alt/ä``, checked with ``wsgiref.validate``."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.site: ModuleType = SITES[name]
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=10, trust_env=False)
        self.site.told.clear()

    def told(self, words: str) -> None:
        """Wait until one of its views has done this."""
        wait_for(lambda: words in self.site.told)

    def send(self, request: bytes) -> bytes:
        """Send bytes as they are, and return the whole answer."""
        address = urlsplit(self.url)
        with socket.create_connection((address.hostname, address.port), 10) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(10_000), b""))


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.neighbour(name, kind="WSGI application"))
        for name in SITES
    ]
)
def mounted(request: pytest.FixtureRequest) -> Iterator[Mounted]:
    app = Flask("new", static_folder=None)
    adapter = WSGIAdapter(validator(SITES[request.param].wsgi))
    app.mount("/old", adapter)
    app.mount("/alt/ä", adapter)
    with serving(app) as url:
        mounted = Mounted(request.param, url)
        yield mounted
        mounted.client.close()


@pytest.mark.parametrize("prefix", ["/old", "/alt/ä"])
def test_paths(mounted: Mounted, prefix: str) -> None:
    """The prefix is apart; what is not ASCII and what is encoded are text."""
    response = mounted.client.get(f"{prefix}/seen/%C3%A9%20%2B/%E2%82%AC?q=%C3%BC%26")
    assert response.status_code == 200, response.text
    seen = response.json()
    assert seen["rest"] == "é +/€"
    assert seen["path"] == "/seen/é +/€"
    assert seen["prefix"] == prefix
    assert seen["q"] == "ü&"
    assert httpx.URL(seen["url"]).path == f"{prefix}/seen/é +/€"
    assert httpx.URL(seen["link"]).path == f"{prefix}/size"
    assert mounted.client.get(f"{prefix}/none").status_code == 404


def test_uploads_are_streamed(mounted: Mounted) -> None:
    """The view reads the first piece while the second has yet to be sent."""

    def pieces() -> Iterator[bytes]:
        yield b"first" * 2000
        mounted.told("got first")
        yield b"second" * 100_000

    headers = {"Content-Length": "610000"}
    assert mounted.client.post("/old/size", content=pieces(), headers=headers).text == "610000"


def test_chunked_uploads(mounted: Mounted, request: pytest.FixtureRequest) -> None:
    """They have no length, but an end."""
    if mounted.name == "Django":
        reason = "chunked request bodies are empty, as on any WSGI server"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    assert mounted.client.post("/old/size", content=iter([b"x" * 70_000, b"y"])).text == "70001"


def test_forms(mounted: Mounted) -> None:
    """With files."""
    response = mounted.client.post(
        "/old/form", data={"a": "ü"}, files={"file": ("name", "é" * 100_000)}
    )
    assert response.text == "ü " + "é" * 100_000


def test_responses_are_streamed_until_the_client_goes_away(mounted: Mounted) -> None:
    """Then the generator of the view is closed."""
    with mounted.client.stream("GET", "/old/ticks") as response:
        assert next(response.iter_raw()).startswith(b"tick")
    mounted.told("closed")


def test_requests_run_at_once(mounted: Mounted) -> None:
    """Each endless one holds a thread of its own, and none the others."""
    everybody = threading.Barrier(4)

    def read_some() -> None:
        with mounted.client.stream("GET", "/old/ticks") as response:
            next(response.iter_raw())
            everybody.wait(10)

    with ThreadPoolExecutor(4) as threads:
        for result in [threads.submit(read_some) for _ in range(4)]:
            result.result()
    wait_for(lambda: mounted.site.told.count("closed") == 4)


def test_sessions(mounted: Mounted) -> None:
    """Cookies go both ways."""
    assert [mounted.client.get("/old/count").text for _ in range(3)] == ["1", "2", "3"]


def test_one_framing(mounted: Mounted) -> None:
    """Two lengths are refused, and headers with underscores, which mislead, are dropped."""
    start = b"POST /old/size HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    assert mounted.send(start + b"Content-Length: 2\r\n\r\nab").endswith(b"\r\n\r\n2")
    doubled = b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"
    assert mounted.send(start + doubled).startswith(b"HTTP/1.1 400 ")
    headers = {"X-User": "ada", "X_User": "root"}
    assert mounted.client.get("/old/seen/x", headers=headers).json()["user"] == "ada"
    assert mounted.client.get("/old/seen/x", headers={"X_User": "root"}).json()["user"] is None


def test_an_upload_that_stops_half_way(mounted: Mounted) -> None:
    """The view's reading fails, and the server goes on."""
    address: Any = urlsplit(mounted.url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(
            b"POST /old/size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n"
            + b"first" * 1000
        )
        mounted.told("got first")
    assert mounted.client.get("/old/count").text == "1"


def test_errors(mounted: Mounted, caplog: pytest.LogCaptureFixture) -> None:
    """One of the site is its own page; one in its stream is logged, and breaks it off."""
    logging.getLogger("new").propagate = True
    assert mounted.client.get("/old/error").status_code == 500
    with pytest.raises(httpx.RemoteProtocolError):
        mounted.client.get("/old/half")
    wait_for(lambda: "ZeroDivisionError" in caplog.text)
    assert mounted.client.get("/old/count").text == "1"
