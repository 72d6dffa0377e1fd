"""One request to an ASGI application and its response, both of them streams."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from asyncflask.concurrency import aclose_iterable, finish
from asyncflask.testing._httpx import httpx

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

#: How many chunks of the response wait for the reader before ``send`` makes the application wait.
BUFFERED_CHUNKS = 1

_log = logging.getLogger("asyncflask.testing")


class Exchange:
    """Plays the server for one request: calls the application and hands its response out.

    Response chunks pass through a buffer of one, so an application runs at most one chunk ahead
    of its reader. The request body is pulled when the application asks for it. A client that goes
    away (the response is closed early, the upload fails, or the waiting task is cancelled) is
    ``http.disconnect`` to the application, which then has ``grace`` seconds to return before it
    is cancelled. Every way out awaits the application. As under uvicorn, ``send`` does nothing
    once the client has left.

    :param app: the ASGI application.
    :param scope: the scope it is called with.
    :param body: the request body, whole or in chunks.
    :param raise_app_exceptions: hand the application's exceptions to the caller. Otherwise they
        are logged and answered as a server would: with a plain 500, or a broken stream.
    :param grace: seconds between the client's leaving and the application's cancellation.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        body: bytes | AsyncIterable[bytes],
        *,
        raise_app_exceptions: bool,
        grace: float,
    ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._app = app
        self._scope = scope
        self._raise_app_exceptions = raise_app_exceptions
        self._grace = grace
        self._upload = _Upload(body, self._wake)
        self._upload_error: BaseException | None = None
        self._interruption: BaseException | None = None
        self._chunks: deque[bytes] = deque()
        self._length: int | None = None
        self._complete = False
        self._left = False
        self._told = False
        self._waiters: set[asyncio.Future[None]] = set()

    async def start(self) -> None:
        """Call the application and wait until its response starts.

        :raises Exception: what the application or the request body raised before that.
        """
        self._task = asyncio.create_task(self._call())
        self._task.add_done_callback(self._wake)
        await self._wait_for(lambda: bool(self.status))
        if not self.status:
            await self._finish(self._grace)
            self._tell_failure()

    async def read(self) -> bytes | None:
        """Return the next chunk of the response; None once the application has returned.

        :raises Exception: what the application raised after the start of the response.
        """
        await self._wait_for(lambda: bool(self._chunks))
        if self._chunks:
            chunk = self._chunks.popleft()
            self._wake()
            return chunk
        self._tell_failure()
        return None

    async def aclose(self) -> None:
        """End the exchange: the client goes away unless it has the whole response.

        :raises Exception: what the application raised and nobody has seen yet. Errors that only
            tell of the client's leaving (``OSError``, Starlette's ``ClientDisconnect``) are not.
        :raises RuntimeError: the application did not return in time and was cancelled.
        """
        if not self._complete:
            self._leave()
        returned = await self._finish(self._grace if self._left else None)
        self._tell_failure()
        if not returned:
            raise RuntimeError(
                f"The application was still busy with {self._name} {self._grace:g} s after the "
                "client had gone, and was cancelled. Streams have to end at http.disconnect."
            )

    # What the application sees

    async def _call(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
            if not (self.status or self._left):
                raise RuntimeError(f"The application returned without a response to {self._name}")
        except (KeyboardInterrupt, SystemExit) as exc:
            # Raised out of a task it would stop the loop. It is for the caller.
            self._interruption = exc
        except Exception:
            if self._raise_app_exceptions:
                raise
            _log.exception("The application failed at %s", self._name)
            if not self.status:
                self.status = 500
                self.headers = [(b"content-type", b"text/plain; charset=utf-8")]
                self._chunks.append(b"Internal Server Error")
                self._complete = True

    async def _receive(self) -> Message:
        if self._task.done():
            # A test reads what the application has left.
            return self._upload.rest() or {"type": "http.disconnect"}
        while not (self._left or self._complete):
            try:
                message = self._upload.next_message()
            except BaseException as exc:
                self._upload_error = exc
                self._leave()
                break
            if message is not None:
                return message
            await self._change()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._left:
            # An endless stream that never looks up must not keep the loop to itself.
            await asyncio.sleep(0)
            return
        due = "http.response.body" if self.status else "http.response.start"
        if self._complete or message["type"] != due:
            due = "nothing" if self._complete else repr(due)
            raise RuntimeError(f"The application sent {message['type']!r} where {due} was due")
        if not self.status:
            self._start_response(message)
        else:
            await self._pass_on(message.get("body", b""), message.get("more_body", False))
        self._wake()

    def _start_response(self, message: Message) -> None:
        self.status = message["status"]
        self.headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        if self._scope["method"] != "HEAD" and self.status not in (204, 304):
            for name, value in self.headers:
                if name.lower() == b"content-length":
                    self._length = int(value)

    async def _pass_on(self, chunk: bytes, more: bool) -> None:
        if self._length is not None:
            self._length -= len(chunk)
            if self._length < 0 or (self._length and not more):
                raise RuntimeError(
                    f"The body of {self._name} is {abs(self._length)} bytes too "
                    f"{'short' if self._length > 0 else 'long'} for its Content-Length"
                )
        if chunk and self._scope["method"] != "HEAD":
            while len(self._chunks) >= BUFFERED_CHUNKS and not self._left:
                await self._change()
            self._chunks.append(chunk)
        self._complete = not more

    # Waiting and leaving

    async def _change(self) -> None:
        """Wait until something has happened."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self, _: object = None) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds or the application has returned."""
        try:
            while not (condition() or self._task.done()):
                await self._change()
        except asyncio.CancelledError:
            self._told = True  # nothing may take the place of the cancellation
            self._leave()
            await self._finish(self._grace)
            raise

    def _leave(self) -> None:
        self._left = True
        self._wake()

    async def _finish(self, grace: float | None) -> bool:
        try:
            return await finish(self._task, grace)
        finally:
            await self._upload.aclose()

    def _tell_failure(self) -> None:
        """Raise what went wrong, unless that was done before."""
        told, self._told = self._told, True
        if told:
            return
        failure = self._interruption or self._upload_error
        if failure is not None:
            raise failure
        error = None if self._task.cancelled() else self._task.exception()
        if error is not None:
            if not (self._left and isinstance(error, (OSError, ClientDisconnect))):
                raise error
        elif not (self._left or self._complete):
            raise httpx.RemoteProtocolError(
                f"The application gave up {self._name} before its response was complete"
            )

    @property
    def _name(self) -> str:
        return f"{self._scope['method']} {self._scope['path']}"


class _Upload:
    """The request body. Whoever is cancelled while it waits for a chunk does not lose it."""

    def __init__(self, body: bytes | AsyncIterable[bytes], wake: Callable[[object], None]) -> None:
        self._whole = body if isinstance(body, bytes) else None
        self._chunks = None if isinstance(body, bytes) else aiter(body)
        self._context = contextvars.copy_context()
        self._pull: asyncio.Task[bytes | None] | None = None
        self._wake = wake

    def rest(self) -> Message | None:
        """Return what is left of a body that was whole from the start, or None."""
        return None if self._whole is None else self.next_message()

    def next_message(self) -> Message | None:
        """Return the next message if it is here; else see to it that it comes.

        :raises BaseException: what the iterable raised.
        """
        if self._whole is not None:
            body, self._whole = self._whole, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._pull is not None and self._pull.done():
            chunk, self._pull = self._pull.result(), None
            if chunk is None:
                self._chunks = None
            return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}
        if self._pull is None and self._chunks is not None:
            # In a task of its own: who gives up receive() must not take the upload down with it.
            self._pull = asyncio.create_task(_next(self._chunks), context=self._context)
            self._pull.add_done_callback(self._wake)
        return None

    async def aclose(self) -> None:
        """Stop pulling, and let the iterable clean up."""
        if self._pull is not None:
            self._pull.cancel()
            await asyncio.gather(self._pull, return_exceptions=True)
        await aclose_iterable(self._chunks)


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)
