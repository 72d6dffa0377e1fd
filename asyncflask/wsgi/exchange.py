"""One request to an ASGI application on behalf of a thread that waits for the response."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import IO, TYPE_CHECKING, NamedTuple

from asyncflask.concurrency import Worker
from asyncflask.messages.response import has_body
from asyncflask.wsgi.framing import Framing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

    from asyncflask.wsgi.scope import Body

#: Seconds a thread waits for an application that goes on after its response, or its client.
PATIENCE = 5.0

_log = logging.getLogger("asyncflask")


class Piece(NamedTuple):
    """A part of a response's body."""

    chunk: bytes
    #: Whether nothing follows.
    is_last: bool


class Exchange:
    """Plays the ASGI server for one request. All but the constructor runs on the event loop.

    The application runs at most one chunk ahead of the WSGI server that takes its response. It is
    never cancelled: when the client has gone, ``receive`` and ``send`` say so.

    :param app: the ASGI application.
    :param scope: the scope it is called with.
    :param body: the request body, read in the thread that waits.
    :param worker: lets code run in that thread.
    :param propagate: what the application raises after a complete response is a failure, too, as
        a test wants it. It is only logged otherwise.
    """

    def __init__(
        self, app: ASGIApp, scope: Scope, body: Body, worker: Worker, *, propagate: bool
    ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        #: The file that is the response, where the application has just named it.
        self.file: IO[bytes] | None = None
        self.complete = False
        #: Whether the application has returned.
        self.over = False
        #: What the application has raised, when it is time to raise it to the WSGI server.
        self.failure: BaseException | None = None
        self._app = app
        self._scope = scope
        self._body = body
        self._worker = worker
        self._pull: asyncio.Task[bytes] | None = None
        self._received = False
        self._cut_off = False
        self._chunk: bytes | None = None
        self._error: BaseException | None = None
        self._propagate = propagate
        self._left = False
        self._alone = False
        self._waiters: set[asyncio.Future[None]] = set()

    async def start(self) -> Piece:
        """Call the application, and return the first piece of its response; see :meth:`read`."""
        self._context = contextvars.copy_context()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._wake)
        return await self.read()

    async def read(self) -> Piece:
        """Return the next piece of the response, or an empty one where ``failure`` says why.

        Nothing is raised here: an exit would end the loop.
        """
        while self._chunk is None and not (self.complete or self.over):
            await self._change()
        chunk, self._chunk = self._chunk or b"", None
        if self.complete:
            self.failure = self._error if self._propagate else None
        elif chunk:
            self._wake()
        else:
            self.failure = self._error or RuntimeError(
                f"The application has returned before its response to {self._scope['method']} "
                f"{self._scope['path']} was complete."
            )
        return Piece(chunk, self.complete)

    async def end(self) -> bool:
        """Wait until the application has returned; without its whole response the client has gone.

        :returns: whether all is over, in the time that a thread can be held up.
        """
        complete = self.complete
        if not complete:
            self.leave()
        await asyncio.wait({self._task}, timeout=PATIENCE)
        return complete and self.over

    def go_on_without_client(self) -> None:
        """The client, or just the thread, has gone: another thread runs what is left of it."""
        if not self.complete:
            self.leave()
        self._worker.start("wsgi-rest")
        if self.over:
            self._stop_worker()
        self._alone = True

    def _stop_worker(self) -> None:
        # A little later: what the application has left may need it, too.
        asyncio.get_running_loop().call_later(PATIENCE, self._worker.stop)

    def leave(self) -> None:
        """The client has gone."""
        self._left = True
        self._wake()

    # What the application sees.

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
            if self._cut_off and not self.status:  # who hears of that need not answer
                self.status, self.headers = 400, [(b"Content-Type", b"text/plain")]
                self.complete = True
        except BaseException as exc:  # raised out of a task, some would stop the loop
            self._fail(exc)
        finally:
            self.over = True
            if self._alone:
                self._stop_worker()

    def _fail(self, exc: BaseException) -> None:
        if isinstance(exc, asyncio.CancelledError):  # raised in a thread, it would end the server
            self._error = RuntimeError("The request was cancelled, by no client.")
            self._error.__cause__ = exc
        else:
            self._error = exc
        if self._left:
            _log.debug("The application has failed without a client", exc_info=exc)
        elif self.complete and not self._propagate:
            method, path = self._scope["method"], self._scope["path"]
            _log.error("%s %s has failed, and was answered", method, path, exc_info=exc)

    async def _receive(self) -> Message:
        if not (self._received or self._cut_off):
            try:
                chunk = b"" if self._body.is_complete else await self._read_body()
            except Exception as exc:
                # To be answered all the same: the server will see if anybody is there.
                _log.debug("A request body could not be read: %s", exc)
                self._cut_off = True
            else:
                self._received = self._body.is_complete
                return {"type": "http.request", "body": chunk, "more_body": not self._received}
        while not (self._left or self._cut_off or self.complete):
            await self._change()
        return {"type": "http.disconnect"}

    async def _read_body(self) -> bytes:
        if self._pull is None and self.over and not self._alone:
            # Somebody has kept the request. The thread has gone on, and does not serve the worker.
            return await asyncio.to_thread(self._body.read)
        if self._pull is None:
            # In a task of its own: who gives up receive() loses no chunk.
            self._pull = asyncio.create_task(self._worker.call(self._body.read, self._context))
        await asyncio.wait({self._pull})
        pull, self._pull = self._pull, None
        return pull.result()

    async def _send(self, message: Message) -> None:
        if self._left:
            raise OSError("The client has gone")
        kind = message["type"]
        if kind == "http.response.start" and not self.status:
            headers = list(message.get("headers", ()))
            bodiless = self._scope["method"] == "HEAD" or not has_body(message["status"])
            self._framing = Framing(headers, bodiless=bodiless)
            self.status, self.headers = message["status"], headers
        elif kind == "http.response.body" and self.status and not self.complete:
            chunk, more = message.get("body", b""), message.get("more_body", False)
            self._framing.count(chunk, is_last=not more)
            await self._pass_on(chunk, more)
        elif kind == "http.response.pathsend" and self.status and not self.complete:
            self._open(message["path"])
            self.complete = True
        else:
            raise RuntimeError(f"The application has sent {kind!r} where it was not due.")
        self._wake()

    def _open(self, path: str) -> None:
        # Here, for the application may delete the file when it has been sent.
        self.file = open(path, "rb")  # noqa: SIM115 - the server closes it

    async def _pass_on(self, chunk: bytes, more: bool) -> None:
        while self._chunk is not None and not self._left:
            await self._change()
        self._chunk = chunk or None
        self.complete = not more

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
