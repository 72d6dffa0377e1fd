"""Sends a body piece by piece, at the client's pace, and notices when the client goes away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from functools import wraps
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Self, cast

from werkzeug.exceptions import ClientDisconnected

from asyncflask.concurrency import (
    OpenedIterator,
    PiecewiseIterator,
    ThreadedIterator,
    aclose_iterable,
)
from asyncflask.ctx import current
from asyncflask.files import FileBody
from asyncflask.messages.response import encode_chunk

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

    from asyncflask.concurrency import WorkerPool
    from asyncflask.ctx import ConnectionContext
    from asyncflask.life.calls import AsyncFunction
    from asyncflask.messages.response import Response

_log = logging.getLogger("asyncflask")


class _ClientWatch:
    """Cancels the block of code it is around, ``with`` this, when the client goes away.

    That cancellation, and no other, ends here: the code after the block goes on, and neither meets
    it later nor finds it in the task's count.
    """

    def __init__(self, context: ConnectionContext, *, discard_body: bool = True) -> None:
        self._context = context
        self._discard_body = discard_body
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._watching = True
        self.gone = False
        # PERF: a block that never waits could not be cancelled, and gets no watcher (scenario:
        # stream).
        self._start = task.get_loop().call_soon(self._watch)
        return self

    def _watch(self) -> None:
        disconnected = self._context.disconnected(discard=self._discard_body)
        self._watcher = asyncio.create_task(disconnected)
        self._watcher.add_done_callback(self._notice)

    def _notice(self, watcher: asyncio.Task[Any]) -> None:
        has_gone = not watcher.cancelled() and watcher.exception() is None
        # The watcher may have ended just before it was stopped, and this call was due already. The
        # task has left the block then, and would be cancelled wherever it is now.
        if has_gone and self._watching:
            self.gone = True
            self._task.cancel()

    def stop(self) -> None:
        """Let the rest of the block not be cancelled any more."""
        self._watching = False
        self._start.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self.stop()
        if not self.gone:
            return False
        # The block was waiting when it was cancelled, so it has heard of it, whatever it made of
        # that. If somebody else has cancelled the task as well, the error is theirs.
        is_ours = self._task.uncancel() <= self._cancelling
        return is_ours and kind is not None and issubclass(kind, asyncio.CancelledError)


def cancel_on_disconnect(view: AsyncFunction) -> AsyncFunction:
    """Make a view that is cancelled when the client goes away.

    It raises ``ClientDisconnected`` then, so hooks and teardown functions run as after any error.
    """

    @wraps(view)
    async def watched(**params: Any) -> Any:
        context = cast("ConnectionContext", current.get().request_context)
        with _ClientWatch(context, discard_body=False):
            return await view(**params)
        raise ClientDisconnected

    return watched


class TooSlowError(TimeoutError):
    """A response could not be sent in the time it may take."""


def in_time(
    context: ConnectionContext, response: Response, sending: Coroutine[Any, Any, None]
) -> Coroutine[Any, Any, None]:
    """Return what awaits the sending of a response, unless it takes longer than it may.

    :raises TooSlowError: it does. The client sees that the response is incomplete.
    """
    seconds: Any = response.timeout
    if seconds is ...:
        seconds = context.app.config["RESPONSE_TIMEOUT"]
    return sending if seconds is None else _within(seconds, context, sending)


async def _within(
    seconds: float, context: ConnectionContext, sending: Coroutine[Any, Any, None]
) -> None:
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
        self.server_send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self.server_send(message)


class Stream:
    """A streamed body on its way out. It is closed once, where it was pulled.

    :param response: whose body to send.
    :param pool: where a sync body gets its thread, and a file one for each piece.
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
        """Begin with the body; a sync one takes its thread here, if it needs one to the end.

        :raises WorkerPoolFullError: no thread of the pool came free in time.
        """
        body: Any = self.response.response
        chunks: AsyncIterator[Any]
        if body.__class__ is AsyncGeneratorType or isinstance(body, AsyncIterable):
            chunks = aiter(body)
        elif isinstance(body, FileBody) and body.length is not None:
            chunks = PiecewiseIterator(body, self._pool)
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
        # PERF: no call of ours per chunk, and no `suppress()` (scenario: stream).
        put = send.server_send
        with _ClientWatch(context) as watch:
            await send(start)
            async for chunk in chunks:
                if watch.gone:  # the body has been cancelled, and goes on
                    break
                body = chunk if chunk.__class__ is bytes else encode_chunk(chunk)
                try:
                    await put({"type": "http.response.body", "body": body, "more_body": True})
                except OSError:  # how some servers say that the client has gone
                    return
            watch.stop()
            try:  # noqa: SIM105 - see above
                await put({"type": "http.response.body", "body": b"", "more_body": False})
            except OSError:
                pass

    async def aclose(self) -> None:
        """Close the body and call the response's ``call_on_close`` functions."""
        if self._chunks is None:
            await self.response.aclose()
            return
        try:
            await aclose_iterable(self._chunks)
        finally:
            if self.response._on_close is not None:
                await self.response.call_close_functions()
