"""An ASGI connection played by hand, for tests of what a client cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


class Wire:
    """An ASGI connection played by hand: what was sent, and a client that can go away."""

    def __init__(
        self, path: str = "/", method: str = "GET", body: list[bytes] | None = None
    ) -> None:
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(b"host", b"localhost")],
            "query_string": b"",
        }
        self.sent: list[Any] = []
        self.gone = asyncio.Event()
        self._body = [b""] if body is None else list(body)
        if body:
            length = sum(map(len, body))
            self.scope["headers"].append((b"content-length", b"%d" % length))  # type: ignore[attr-defined]

    async def receive(self) -> Any:
        if self._body:
            chunk = self._body.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._body)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        await asyncio.sleep(0)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False)
