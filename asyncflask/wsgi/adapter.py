"""A WSGI application (PEP 3333) as an ASGI one."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, HTTPException

from asyncflask.concurrency import WorkerPool
from asyncflask.exceptions import WorkerPoolFullError
from asyncflask.life.workers import Workers
from asyncflask.messages.environ import environ_of
from asyncflask.wsgi.calling import Call, FileWrapper
from asyncflask.wsgi.input import Input

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

WSGIApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WSGIAdapter:
    """Runs a WSGI application inside an ASGI one.

    ::

        app.mount("/legacy", WSGIAdapter(flask_app))

    Each request has a worker thread from its first to its last byte. Bodies are streamed both
    ways, never more than a chunk ahead of who reads. What the application raises is raised here,
    for the host to log and to answer with a 500; or, once the response has begun, to break it off.

    :param app: the WSGI application.
    :param threads: how many of its requests run at once, in threads of its own. By default it
        uses ``app.pool`` of the application that it is mounted in, and 40 threads elsewhere.
    """

    def __init__(self, app: WSGIApp, *, threads: int | None = None) -> None:
        self.app = app
        self._shares = threads is None
        self._pool = WorkerPool(threads or 40, name="wsgi")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection; WebSockets are refused.

        :raises Exception: what the application raises, or does wrong.
        """
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})  # before it is accepted: 403
        elif not _is_framed_once(scope):
            await _refuse(send, BadRequest("The Content-Length is not one number."))
        else:
            await self._run(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Input(receive)
        call = Call(self.app, _environ(scope, body), body, send, asyncio.get_running_loop())
        host = scope.get("app")
        pool = host.pool if self._shares and isinstance(host, Workers) else self._pool
        # Never the thread that waits for this request: it has to take the response.
        try:
            worker = await pool.acquire()
        except WorkerPoolFullError as error:
            await _refuse(send, error)
            return

        def job() -> None:
            try:
                call.run()
            finally:
                pool.release(worker)

        try:
            await worker.call(job, contextvars.copy_context())
        finally:
            body.stop()
        if call.error is not None:
            raise call.error


def _is_framed_once(scope: Scope) -> bool:
    """Whether there is at most one ``Content-Length``, a number (RFC 9112, section 6.3)."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return not lengths or (len(lengths) == 1 and lengths[0].isdigit())


async def _refuse(send: Send, error: HTTPException) -> None:
    body = error.get_body().encode()
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in (*error.get_headers(), ("Content-Length", str(len(body))))
    ]
    await send({"type": "http.response.start", "status": error.code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _environ(scope: Scope, body: Input) -> dict[str, Any]:
    environ = environ_of(scope)
    if "HTTP_TRANSFER_ENCODING" in environ:
        environ.pop("CONTENT_LENGTH", None)
    raw: bytes | None = scope.get("raw_path")
    if raw is not None:
        query = environ["QUERY_STRING"]
        target = raw.partition(b"?")[0].decode("latin-1") + (f"?{query}" if query else "")
        environ["REQUEST_URI"] = environ["RAW_URI"] = target
    environ.update(
        {
            "wsgi.input": body.file,
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,  # there may be others
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            "asgi.scope": scope,
        }
    )
    return environ
