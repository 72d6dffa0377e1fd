"""ASGITransport: an ASGI application behind httpx."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from starlette.types import Receive, Scope, Send

from asyncflask.testing._httpx import httpx
from asyncflask.testing.transport import ASGITransport
from tests.testing.apps import START, client_for, echo


class TestScope:
    async def test_it_is_what_a_server_would_make_of_the_request(self) -> None:
        """Path decoded, raw path and query as sent, header names in lower case, host first."""
        async with httpx.AsyncClient(transport=ASGITransport(echo)) as client:
            response = await client.get(
                "https://example.com:8443/a%2Fb/%C3%BC?q=%20x", headers={"X-One": "1"}
            )
        scope = response.json()
        assert scope["type"] == "http"
        assert (scope["scheme"], scope["method"], scope["http_version"]) == ("https", "GET", "1.1")
        assert (scope["path"], scope["raw_path"]) == ("/a/b/ü", "/a%2Fb/%C3%BC")
        assert (scope["query_string"], scope["root_path"]) == ("q=%20x", "")
        assert scope["server"] == ["example.com", 8443]
        assert scope["client"] == ["127.0.0.1", 50000]
        assert scope["headers"][0] == ["host", "example.com:8443"]
        assert ["x-one", "1"] in scope["headers"]
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.3"}

    async def test_the_port_is_the_scheme_s_own_by_default(self) -> None:
        """``server`` always has a port."""
        async with httpx.AsyncClient(transport=ASGITransport(echo)) as client:
            assert (await client.get("http://a.test/")).json()["server"] == ["a.test", 80]
            assert (await client.get("https://a.test/")).json()["server"] == ["a.test", 443]

    async def test_entries_can_be_laid_over_it(self) -> None:
        """For all requests with ``scope_base``, for one with an httpx extension."""
        base = {"client": ("203.0.113.7", 4711), "root_path": "/app"}
        client = client_for(echo, scope_base=base)
        scope = (await client.get("/", extensions={"scope": {"http_version": "2"}})).json()
        assert scope["client"] == ["203.0.113.7", 4711]
        assert (scope["root_path"], scope["http_version"]) == ("/app", "2")

    async def test_a_target_is_taken_as_it_is(self) -> None:
        """httpx would resolve the dots; its ``target`` extension goes around that."""
        client = client_for(echo)
        scope = (await client.get("/", extensions={"target": b"/a/../%2e/b?q"})).json()
        assert (scope["raw_path"], scope["path"]) == ("/a/../%2e/b", "/a/.././b")
        assert scope["query_string"] == "q"


async def test_closing_the_client_closes_responses_that_were_left_open() -> None:
    """``send(stream=True)`` leaves it to the caller to close the response."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await receive()
            await send(START)
            seen.append((await receive())["type"])

    async with client_for(app) as client:
        await client.send(client.build_request("GET", "/"), stream=True)
        assert seen == []
    assert seen == ["http.disconnect"]


def test_it_needs_no_network_and_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything happens on the caller's loop."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("not needed")

    async def main() -> None:
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert (await client_for(echo).get("/")).status_code == 200

    asyncio.run(main())
