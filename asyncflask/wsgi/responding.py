"""An application served by a WSGI server (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from wsgiref.util import FileWrapper

from werkzeug.http import HTTP_STATUS_CODES

from asyncflask.concurrency import Worker, running_loop
from asyncflask.concurrency.pool import tell
from asyncflask.life.calls import WAITING_WORKER
from asyncflask.messages.response import has_body
from asyncflask.wsgi.exchange import Exchange, Piece
from asyncflask.wsgi.process import this_process
from asyncflask.wsgi.scope import CHUNK_SIZE, HOME, HOP_BY_HOP, Body, refuse, scope_of

if TYPE_CHECKING:
    import asyncio

    from starlette.types import ASGIApp

    from asyncflask.app import Flask

T = TypeVar("T")

#: Where a test's environ says that it wants what the application raises, as in debug mode.
PROPAGATE = "asyncflask.propagate"


def respond(
    app: Flask, environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """Answer a request of a WSGI server: what ``app.wsgi_app`` does.

    ``async def`` functions run on one event loop, in a thread that all requests of the process
    share; ``def`` functions run in the thread of the caller. The first request starts the
    application. Bodies are streamed both ways, at the pace of client and server.

    :param app: the application.
    :param environ: the request. ``request.environ`` is this dictionary.
    :param start_response: told of status and headers before this returns.
    :returns: the body, in one piece where it is complete.
    :raises RuntimeError: an event loop runs in this thread, which would be blocked.
    :raises Exception: what leaves the application: with ``TESTING`` or ``PROPAGATE_EXCEPTIONS``.
    """
    if running_loop() is not None:
        raise RuntimeError(
            "'wsgi_app' was called in a thread where an event loop runs, which it would block. "
            "ASGI servers serve the application itself; in 'async def' tests use app.test_client()."
        )
    refusal = refuse(environ)
    if refusal is not None:
        return refusal(environ, start_response)
    scope = scope_of(environ)
    outer = environ.get("asgi.scope", {})
    target: ASGIApp
    if outer.get("app") is app:  # an ASGI server's, on its way through what wraps `wsgi_app`
        target, loop, state = app.dispatch.handle, outer[HOME], outer.get("state", {})
        scope["app"] = app
    else:
        process = this_process()
        target, loop, state = app, process.loop, process.state_of(app)
    scope["state"] = state.copy()
    scope["asyncflask.self_start"] = False
    worker = scope[WAITING_WORKER] = Worker()
    propagate = app.testing or bool(app.config["PROPAGATE_EXCEPTIONS"]) or PROPAGATE in environ
    exchange = Exchange(target, scope, Body(environ), worker, propagate=propagate)
    waiting = _Waiting(exchange, worker, loop)
    return _answer(waiting, environ, start_response)


def _answer(
    waiting: _Waiting, environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    exchange = waiting.exchange
    piece = waiting.for_piece(exchange.start)
    bodiless = environ["REQUEST_METHOD"] == "HEAD" or not has_body(exchange.status)
    body: Iterable[bytes]
    if exchange.file is not None:
        body = environ.get("wsgi.file_wrapper", FileWrapper)(exchange.file, CHUNK_SIZE)
    elif piece.is_last:
        body = [piece.chunk] if piece.chunk else []
    else:
        body = _Stream(waiting, piece)
    if bodiless:
        _close(body)
        body = []
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in exchange.headers
        if name.lower() not in HOP_BY_HOP
    ]
    try:
        start_response(_status_line(exchange.status), headers)
    except BaseException:
        _close(body)
        raise
    # An application that goes on after its response holds up the thread, not the client.
    return body if exchange.over or isinstance(body, _Stream) else _Rest(waiting, body)


def _status_line(status: int) -> str:
    """``404 NOT FOUND``, as tests of Flask applications know it."""
    return f"{status} {HTTP_STATUS_CODES.get(status, 'Unknown').upper()}"


class _Waiting:
    """A thread that waits for an exchange, and runs its ``def`` functions meanwhile."""

    def __init__(self, exchange: Exchange, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self.exchange = exchange
        self._worker = worker
        self._loop = loop
        self._left = False

    def for_piece(self, read: Callable[[], Coroutine[Any, Any, Piece]]) -> Piece:
        """Return the next piece of the body, or raise what has gone wrong."""
        piece = self._wait(read)
        if self.exchange.failure is not None:
            raise self.exchange.failure
        return piece

    def for_end(self) -> None:
        """Return when all is over, or has been handed to another thread."""
        if not (self._left or self._wait(self.exchange.end)):
            self._leave()

    def _wait(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            return self._worker.wait(make, self._loop)
        except BaseException:  # Ctrl-C, say: nobody will take the response
            self._leave()
            raise

    def _leave(self) -> None:
        self._left = True
        tell(self._loop, self.exchange.go_on_without_client)


class _Stream(Iterator[bytes]):
    """The body of a response, as it comes."""

    def __init__(self, waiting: _Waiting, first: Piece) -> None:
        self._waiting = waiting
        self._first: Piece | None = first
        self._ended = False
        self._closed = False

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        piece, self._first = self._first, None
        if piece is None:
            piece = self._waiting.for_piece(self._waiting.exchange.read)
        self._ended = piece.is_last
        return piece.chunk

    def close(self) -> None:
        """The server has sent everything, or has lost its client."""
        if not self._closed:
            self._closed = True
            self._waiting.for_end()


class _Rest:
    """A complete body of an application that has not returned yet."""

    def __init__(self, waiting: _Waiting, body: Iterable[bytes]) -> None:
        self._waiting = waiting
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """The server has sent everything."""
        try:
            _close(self._body)
        finally:
            self._waiting.for_end()


def _close(body: object) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
