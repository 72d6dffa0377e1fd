"""Requests made by hand: a scripted server's end, and an application with its defaults only."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from asyncflask.config import DEFAULT_CONFIG
from asyncflask.json.provider import DefaultJSONProvider
from asyncflask.messages.request import Request


class Wire:
    """The server's end of one request: hands out its messages in order, then waits for more."""

    def __init__(self, messages: Iterable[dict[str, Any]]) -> None:
        self.messages = deque(messages)
        self.calls = 0
        self._more = asyncio.Event()
        self._inside = False

    async def __call__(self) -> dict[str, Any]:
        assert not self._inside, "receive() was called while it was being called"
        self.calls += 1
        self._inside = True
        try:
            while not self.messages:
                self._more.clear()
                await self._more.wait()
            return self.messages.popleft()
        finally:
            self._inside = False

    def send(self, chunk: bytes, *, more: bool = True) -> None:
        """Let another part arrive."""
        self.messages.append({"type": "http.request", "body": chunk, "more_body": more})
        self._more.set()

    def leave(self) -> None:
        """Let the client go away."""
        self.messages.append({"type": "http.disconnect"})
        self._more.set()


@dataclass
class App:
    """As much of an application as a request needs."""

    config: dict[str, Any] = field(default_factory=lambda: dict(DEFAULT_CONFIG))
    json: Any = field(default_factory=lambda: DefaultJSONProvider(None))
    debug: bool = False


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def make_wire() -> Callable[..., Wire]:
    def make(*chunks: bytes, more: bool = False) -> Wire:
        """Make a wire with these parts; with ``more`` the last is not the end of the body."""
        wire = Wire([])
        for index, chunk in enumerate(chunks):
            wire.send(chunk, more=more or index < len(chunks) - 1)
        return wire

    return make


@pytest.fixture
def make_request(app: App, make_wire: Callable[..., Wire]) -> Callable[..., Request]:
    def make(
        *chunks: bytes,
        method: str = "POST",
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
        wire: Wire | None = None,
        scope: dict[str, Any] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        request_class: type[Request] = Request,
    ) -> Request:
        all_headers = {"Host": "example.org"} | (headers or {})
        if content_type is not None:
            all_headers["Content-Type"] = content_type
        return request_class(
            {
                "type": "http",
                "method": method,
                "path": "/",
                "headers": [
                    (k.lower().encode("latin-1"), v.encode("latin-1"))
                    for k, v in all_headers.items()
                ],
                **(scope or {}),
            },
            wire or make_wire(*chunks or (b"",)),
            app=app,
            loop=loop,
        )

    return make
