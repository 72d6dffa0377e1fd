"""The synchronous test client: for plain ``def`` tests, with an event loop in the background."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from asyncflask.concurrency import LoopThread, Worker, awaited, running_loop
from asyncflask.ctx import within
from asyncflask.life.calls import WAITING_WORKER
from asyncflask.testing._httpx import httpx
from asyncflask.testing.base import (
    ClientBase,
    RequestOptions,
    SendOptions,
    check_opened,
    to_httpx_auth,
)
from asyncflask.testing.environ import environ_of, request_options
from asyncflask.testing.transport import make_response
from asyncflask.testing.websocket import SyncWebsocketConnection

if TYPE_CHECKING:
    from asyncflask.sessions import SessionMixin
    from asyncflask.testing.exchange import Exchange
    from asyncflask.testing.response import TestResponse
    from asyncflask.testing.transport import ASGITransport

T = TypeVar("T")


class SyncClient(ClientBase, httpx.Client):
    """Makes requests to an application without a server, in plain ``def`` tests.

    ::

        with app.sync_test_client() as client:
            assert client.get("/").text == "hello"

    Everything is as in :class:`~asyncflask.testing.client.FlaskClient`, without ``await``: ``with``
    runs the application's lifespan, and without it requests work too. The client owns a thread
    with an event loop from its first request to its end. The application's ``def`` functions run
    in the thread that waits for the response, so a view can use what the test has made (an
    in-memory SQLite connection).

    The parameters are those of :class:`~asyncflask.testing.client.FlaskClient`, and the options
    those of ``httpx.Client``.
    """

    def _make_transport(self, asgi: ASGITransport) -> httpx.BaseTransport:
        self._sync = _SyncTransport(asgi)
        return self._sync

    def __enter__(self) -> Self:
        self._kept.begin()
        try:
            self._sync.start()
        except BaseException:
            self._kept.end()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        # Not httpx's: this client may be used, and entered, again.
        self._kept.end()
        self._sync.close()

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request, as ``httpx.Client.send``."""
        self._kept.release()
        response = super().send(request, **options)
        self._kept.push()
        return response

    def request(
        self,
        method: str,
        url: httpx.URL | str = "/",
        *,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
        **options: Unpack[RequestOptions],
    ) -> TestResponse:
        """Make a request and return its response, read to the end.

        :param auth: user and password for Basic, Werkzeug's ``Authorization``, or httpx's.
        :param follow_redirects: the responses on the way are in ``response.history``.
        :param options: as for :meth:`build_request`.
        :raises Exception: what left the application.
        """
        request = self.build_request(method, url, **options)
        response = self.send(request, auth=to_httpx_auth(auth), follow_redirects=follow_redirects)
        return cast("TestResponse", response)

    @contextmanager
    def stream(
        self,
        method: str,
        url: httpx.URL | str = "/",
        *,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
        **options: Unpack[RequestOptions],
    ) -> Iterator[TestResponse]:
        """Make a request and read its response as it comes.

        ::

            with client.stream("GET", "/log") as response:
                for line in response.iter_lines():
                    ...

        Leaving the block early is the client going away.
        """
        request = self.build_request(method, url, **options)
        response = self.send(
            request, auth=to_httpx_auth(auth), follow_redirects=follow_redirects, stream=True
        )
        try:
            yield cast("TestResponse", response)
        finally:
            response.close()

    @contextmanager
    def session_transaction(
        self, path: str = "/", *, method: str = "GET", **options: Unpack[RequestOptions]
    ) -> Iterator[SessionMixin]:
        """Open the session that the next request will find, and save it at the end of the block.

        ::

            with client.session_transaction() as session:
                session["user"] = 7

        An interface's ``def`` methods run here, its ``async def`` methods on the client's loop.

        :param options: what describes the request for which the session is opened and saved.
        :raises TypeError: the client keeps no cookies.
        :raises RuntimeError: there is no session, because no secret key is set.
        """
        request = self._session_request(method, path, options)
        app, context = cast(Any, self.application), self._context_for(request)
        with within(context):
            session = self._settle(app.session_interface.open_session(app, context.request))
        yield check_opened(session)
        if app.session_interface.is_null_session(session):
            return
        response = app.response_class()
        with within(context):
            self._settle(app.session_interface.save_session(app, session, response))
        self._keep_session(response.headers, request)

    def _settle(self, result: Any) -> Any:
        return self._sync.wait(lambda: awaited(result)) if inspect.isawaitable(result) else result

    def websocket(
        self,
        path: str,
        *,
        scheme: str = "ws",
        subprotocols: Sequence[str] | None = None,
        **options: Any,
    ) -> SyncWebsocketConnection:
        """Open a WebSocket: ``with client.websocket("/ws") as ws:``.

        Opening a block sends the handshake, with the client's cookies. A refusal is told by the
        first use of the socket, or by the end of the block, as ``WebsocketResponseError``.

        :param scheme: ``wss`` for one over TLS.
        :param subprotocols: what the client offers.
        :param options: ``headers``, ``query_string``, ``root_path``, ``subdomain``, ``base_url``,
            ``scope_base`` and the others of :meth:`build_request`.
        """
        return SyncWebsocketConnection(
            self.application,
            lambda: self._make_websocket(path, scheme, subprotocols or (), options),
            self._keep_cookies,
            self._sync.wait,
        )

    def open(
        self, path: Any = "/", *, method: str = "GET", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a request, as Flask's ``client.open``; ``get``, ``post`` and so on call it.

        :param path: as for :meth:`request`; or an ``EnvironBuilder``, an environ or a request of
            Werkzeug's, which describe it all.
        """
        environ = environ_of(path)
        if environ is None:
            return self.request(method, path, **options)
        return self.request(**{**request_options(environ), **options})

    def get(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a GET request."""
        return self.open(url, method="GET", **options)

    def post(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a POST request."""
        return self.open(url, method="POST", **options)

    def put(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a PUT request."""
        return self.open(url, method="PUT", **options)

    def patch(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a PATCH request."""
        return self.open(url, method="PATCH", **options)

    def delete(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a DELETE request."""
        return self.open(url, method="DELETE", **options)

    def head(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a HEAD request."""
        return self.open(url, method="HEAD", **options)

    def options(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make an OPTIONS request."""
        return self.open(url, method="OPTIONS", **options)

    def trace(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a TRACE request."""
        return self.open(url, method="TRACE", **options)


class _SyncTransport(httpx.BaseTransport):
    """Lets threads wait for an :class:`ASGITransport` on the loop of a thread of its own."""

    def __init__(self, asgi: ASGITransport) -> None:
        self._asgi = asgi
        self._thread = LoopThread("sync-test-client")
        self._open: set[_SyncResponseStream] = set()

    def start(self) -> None:
        """Start the application.

        :raises Exception: it cannot; the thread has ended then.
        """
        try:
            self.wait(self._asgi.__aenter__)
        except BaseException:
            self._thread.stop()
            raise

    def handle_request(self, request: httpx.Request) -> TestResponse:
        """Return the response of the application as soon as it has started."""
        worker = Worker()
        body = request.stream
        if not isinstance(body, httpx.AsyncByteStream):
            body = _LentUpload(body, worker)
        exchange = self.wait(
            # The application's `def` functions run in this thread, which waits anyway.
            lambda: self._asgi.open(request, body, {WAITING_WORKER: worker}),
            worker,
        )
        stream = _SyncResponseStream(exchange, self, worker)
        self._open.add(stream)
        return make_response(exchange, stream)

    def close_stream(self, stream: _SyncResponseStream) -> None:
        """End the exchange behind ``stream``."""
        self._open.remove(stream)
        self.wait(lambda: self._asgi.close_exchange(stream.exchange), stream.worker)

    def close(self) -> None:
        """End the responses that are still open, shut the application down, end the thread."""
        try:
            for stream in list(self._open):
                stream.close()
            if self._thread.started:
                self.wait(self._asgi.aclose)
        finally:
            self._thread.stop()

    def wait(self, make: Callable[[], Coroutine[Any, Any, T]], worker: Worker | None = None) -> T:
        """Run ``make()`` on the loop; this thread serves ``worker`` meanwhile."""
        if running_loop() is not None:
            raise RuntimeError(
                "The synchronous test client was used in a thread where an event loop runs, which "
                "it would block. In 'async def' tests use app.test_client() and 'await'."
            )
        interruptions: list[BaseException] = []

        async def run() -> T | None:
            try:
                return await make()
            except (KeyboardInterrupt, SystemExit) as exc:
                interruptions.append(exc)  # raised out of a task it would stop the loop
                return None

        result = (worker or Worker()).wait(run, self._thread.loop)
        if interruptions:
            raise interruptions[0]
        return cast(T, result)


class _SyncResponseStream(httpx.SyncByteStream):
    def __init__(self, exchange: Exchange, transport: _SyncTransport, worker: Worker) -> None:
        self.exchange = exchange
        self.worker = worker
        self._transport: _SyncTransport | None = transport

    def __iter__(self) -> Iterator[bytes]:
        while self._transport is not None:
            chunk = self._transport.wait(self.exchange.read, self.worker)
            if chunk is None:
                break
            yield chunk

    def close(self) -> None:
        # Forgets the transport, so that a response which is kept keeps no thread alive.
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close_stream(self)


class _LentUpload(httpx.AsyncByteStream):
    """A synchronous request body, iterated in the thread that waits for the response."""

    def __init__(self, chunks: httpx.SyncByteStream, worker: Worker) -> None:
        self._chunks = iter(chunks)
        self._worker = worker
        self._context = copy_context()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        def pull() -> bytes | None:
            return next(self._chunks, None)

        while (chunk := await self._worker.call(pull, self._context)) is not None:
            yield chunk
