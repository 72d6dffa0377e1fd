"""Sends a body piece by piece, at the client's pace, and notices when the client goes away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from werkzeug.exceptions import ClientDisconnected

from asyncflask.concurrency import OpenedIterator, ThreadedIterator
from asyncflask.ctx import current
from asyncflask.files import FileBody
from asyncflask.messages.response import _encode

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

    from asyncflask.concurrency import WorkerPool
    from asyncflask.ctx import ConnectionContext
    from asyncflask.life.calls import AsyncFunction
    from asyncflask.messages.response import Response

_log = logging.getLogger("asyncflask")


class _ClientWatch:
    """Cancels the task that streams, or another, when the client goes away."""

    def __init__(self, context: ConnectionContext, *, discard_body: bool = True) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self.gone = False
        self._watcher = asyncio.create_task(context.disconnected(discard=discard_body))
        self._watcher.add_done_callback(self._notice)

    def _notice(self, watcher: asyncio.Task[Any]) -> None:
        if not watcher.cancelled() and watcher.exception() is None:
            self.gone = True
            self._task.cancel()

    def stop(self) -> None:
        self._watcher.remove_done_callback(self._notice)
        self._watcher.cancel()

    def explains(self) -> bool:
        """Whether a cancellation came from here, and only from here."""
        return self.gone and self._task.uncancel() == 0


def cancel_on_disconnect(view: AsyncFunction) -> AsyncFunction:
    """Make a view that is cancelled when the client goes away.

    It raises ``ClientDisconnected`` then, so hooks and teardown functions run as after any error.
    """

    @wraps(view)
    async def watched(**params: Any) -> Any:
        context = cast("ConnectionContext", current.get().request_context)
        watch = _ClientWatch(context, discard_body=False)
        try:
            value = await view(**params)
        except asyncio.CancelledError:
            if watch.explains():
                raise ClientDisconnected from None
            raise
        finally:
            watch.stop()
        watch.explains()  # the view may have gone on in spite of it
        return value

    return watched


class TooSlowError(TimeoutError):
    """A response could not be sent in the time it may take."""


async def in_time(
    context: ConnectionContext, seconds: float | None, sending: Coroutine[Any, Any, None]
) -> None:
    """Await the sending of a response, unless it takes too long.

    :param seconds: the most it may take, or None.
    :raises TooSlowError: it does. The client sees that the response is incomplete.
    """
    if seconds is None:
        await sending
        return
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            await sending
    except TimeoutError:
        if not timer.expired():
            raise
        method, path = context.scope["method"], context.scope["path"]
        _log.warning("%s %s: sending took longer than %g seconds", method, path, seconds)
        raise TooSlowError from None


class Sender:
    """The server's ``send``, which knows whether the response has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self._send(message)


class Stream:
    """A streamed body on its way out. It is closed once, where it was pulled.

    :param response: whose body to send.
    :param pool: where a sync body gets its thread.
    """

    def __init__(self, response: Response, pool: WorkerPool) -> None:
        self.response = response
        self._pool = pool
        self._chunks: AsyncIterator[Any] | None = None

    def path_for(self, scope: Scope) -> str | None:
        """The path of the file that the body is, where the server sends files by their path.

        That is ASGI's extension ``http.response.pathsend``.
        """
        body = self.response.response
        offered = "http.response.pathsend" in (scope.get("extensions") or {})
        # What is called when all is sent may delete the file, and the server sends it later.
        if offered and isinstance(body, FileBody) and not self.response._on_close:
            return body.current_path()
        return None

    async def open(self) -> None:
        """Begin with the body; a sync one takes its thread here.

        :raises WorkerPoolFullError: no thread of the pool came free in time.
        """
        body: Any = self.response.response
        chunks: AsyncIterator[Any]
        if isinstance(body, AsyncIterable):
            chunks = aiter(body)
        else:
            chunks = ThreadedIterator(body, self._pool)
        if isinstance(chunks, OpenedIterator):
            await chunks.open()
        self._chunks = chunks

    async def send(self, context: ConnectionContext, start: Message, send: Sender) -> None:
        """Send the whole response. A client that goes away ends it quietly.

        :param start: the message with status and headers.
        :raises Exception: what the body raises. The final message is not sent then, so the client
            sees that the response is incomplete.
        """
        chunks = cast("AsyncIterator[Any]", self._chunks)
        watch = _ClientWatch(context)

        async def put(body: bytes, more: bool) -> None:
            try:
                await send({"type": "http.response.body", "body": body, "more_body": more})
            except OSError as exc:  # how some servers say it
                raise _ClientGoneError from exc

        try:
            await send(start)
            async for chunk in chunks:
                await put(_encode(chunk), True)
            watch.stop()
            await put(b"", False)
        except _ClientGoneError:
            pass
        except asyncio.CancelledError:
            if not watch.explains():
                raise
        finally:
            watch.stop()

    async def aclose(self) -> None:
        """Close the body and call the response's ``call_on_close`` functions."""
        if self._chunks is None:
            await self.response.aclose()
            return
        close = getattr(self._chunks, "aclose", None)
        try:
            if close is not None:
                await close()
        finally:
            await self.response.call_close_functions()


class _ClientGoneError(Exception):
    """The server could not send: the client has gone."""
