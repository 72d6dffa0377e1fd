"""A request of which a test plays every step: Quart's ``client.request(...)``."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from asyncflask.testing._httpx import httpx
from asyncflask.testing.response import TestResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Scope


class HTTPConnection:
    """A request in progress. Made by :meth:`FlaskClient.connection
    <asyncflask.testing.client.FlaskClient.connection>`.

    ::

        async with client.connection("/upload", method="POST") as connection:
            await connection.send(b"one")
            await connection.send_complete()
            assert await connection.receive() == b"got one"
        response = await connection.as_response()

    The application runs from the begin of the block; leaving it waits for its end. An error in the
    block is the client going away. What the application raises is raised where the block ends.

    :param app: the ASGI application.
    :param scope: the scope it is called with.
    :param request: the request of which ``scope`` was made.
    :param done: called with the response when the block has ended.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        request: httpx.Request,
        done: Callable[[TestResponse], None],
    ) -> None:
        self.app = app
        self.scope = scope
        #: The status code, once the response has started.
        self.status_code: int | None = None
        #: The response's headers, once it has started.
        self.headers = httpx.Headers()
        #: What has been received of the body.
        self.response_data = bytearray()
        self._request = request
        self._done = done
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        #: Chunks of the body; None when the application has returned.
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        """Send a part of the request's body."""
        self._incoming.put_nowait({"type": "http.request", "body": data, "more_body": True})

    async def send_complete(self) -> None:
        """Say that the request's body is complete."""
        self._incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def receive(self) -> bytes:
        """Return the next chunk of the response; wait for it if need be.

        :raises EOFError: the application has returned, and there are no more.
        """
        chunk = await self._outgoing.get()
        if chunk is None:
            self._outgoing.put_nowait(None)
            raise EOFError("The response is complete: there is nothing more to receive.")
        self.response_data.extend(chunk)
        return chunk

    async def disconnect(self) -> None:
        """Let the client go away."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def as_response(self) -> TestResponse:
        """Return the response as far as it has been sent."""
        self._drain()
        return TestResponse(
            self.status_code or 500,
            headers=[
                # The content is here as it is: nothing is to be decoded.
                (name, value)
                for name, value in self.headers.raw
                if name.lower() not in (b"content-encoding", b"transfer-encoding")
            ],
            content=bytes(self.response_data),
            request=self._request,
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is not None:
            await self.disconnect()
        await self._task
        self._done(await self.as_response())

    async def _run(self) -> None:
        try:
            await self.app(self.scope, self._incoming.get, self._send)
        finally:
            self._outgoing.put_nowait(None)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status_code = message["status"]
            self.headers = httpx.Headers(message.get("headers", []))
        elif message.get("body"):
            self._outgoing.put_nowait(message["body"])

    def _drain(self) -> None:
        ended = False
        while not self._outgoing.empty():
            chunk = self._outgoing.get_nowait()
            ended = chunk is None
            self.response_data.extend(chunk or b"")
        if ended:
            self._outgoing.put_nowait(None)
