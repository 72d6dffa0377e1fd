"""The asynchronous test client: httpx's, on the caller's event loop, with Flask's arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, Unpack, cast

from asyncflask.concurrency import awaited
from asyncflask.ctx import within
from asyncflask.testing._httpx import httpx
from asyncflask.testing.base import (
    ClientBase,
    RequestOptions,
    SendOptions,
    check_opened,
    to_httpx_auth,
)
from asyncflask.testing.connection import HTTPConnection
from asyncflask.testing.environ import environ_of, request_options
from asyncflask.testing.websocket import WebsocketConnection

if TYPE_CHECKING:
    from asyncflask.sessions import SessionMixin
    from asyncflask.testing.response import TestResponse


class FlaskClient(ClientBase, httpx.AsyncClient):
    """Makes requests to an application without a server, in ``async def`` tests.

    ::

        async with app.test_client() as client:
            response = await client.post("/notes", json={"text": "hello"})
            assert response.status_code == 201

    ``async with`` runs the application's lifespan; without it requests work and no lifespan is
    run. Within the block ``request``, ``session``, ``g`` and ``current_app`` are those of the last
    request, once it has ended, until the next one.

    It is an ``httpx.AsyncClient``; requests may be described with Flask's arguments
    (:func:`~asyncflask.testing.scope.wire_request`) or with httpx's. Responses are
    :class:`~asyncflask.testing.response.TestResponse`.

    :param application: the application under test.
    :param use_cookies: keep cookies from one request to the next.
    :param raise_app_exceptions: let exceptions that leave the application through to the test.
    :param scope_base: laid over the ASGI scope of each request, such as
        ``{"client": ("203.0.113.7", 4711)}``.
    :param disconnect_grace: seconds that the application may go on after its client has left.
    :param options: other options of ``httpx.AsyncClient``: ``base_url``, ``headers``,
        ``follow_redirects``, ...
    """

    def __enter__(self) -> NoReturn:
        """Refuse ``with``: this client is for ``async with``."""
        raise TypeError(
            "app.test_client() is for 'async def' tests: write 'async with'. In plain 'def' tests "
            "use app.sync_test_client()."
        )

    def __exit__(self, *exc_info: object) -> None:
        """There is nothing to leave; see :meth:`__enter__`."""

    async def __aenter__(self) -> Self:
        self._kept.begin()
        try:
            await self._asgi.__aenter__()
        except BaseException:
            self._kept.end()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        # Not httpx's: this client may be used, and entered, again.
        self._kept.end()
        await self._asgi.aclose()

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request, as ``httpx.AsyncClient.send``."""
        self._kept.release()
        response = await super().send(request, **options)
        self._kept.push()
        return response

    async def request(
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
        response = await self.send(
            request, auth=to_httpx_auth(auth), follow_redirects=follow_redirects
        )
        return cast("TestResponse", response)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: httpx.URL | str = "/",
        *,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
        **options: Unpack[RequestOptions],
    ) -> AsyncIterator[TestResponse]:
        """Make a request and read its response as it comes.

        ::

            async with client.stream("GET", "/log") as response:
                async for line in response.aiter_lines():
                    ...

        Leaving the block early is the client going away.
        """
        request = self.build_request(method, url, **options)
        response = await self.send(
            request, auth=to_httpx_auth(auth), follow_redirects=follow_redirects, stream=True
        )
        try:
            yield cast("TestResponse", response)
        finally:
            await response.aclose()

    def connection(
        self, path: str = "/", *, method: str = "GET", **options: Unpack[RequestOptions]
    ) -> HTTPConnection:
        """Begin a request of which the test plays every step; in Quart this is ``request``.

        :param options: as for :meth:`build_request`, without a body.
        """
        request = self.build_request(method, path, **options)
        scope = self._asgi.make_scope(request)
        if not request.content:
            # What follows is not known yet.
            scope["headers"] = [(k, v) for k, v in scope["headers"] if k != b"content-length"]

        def done(response: TestResponse) -> None:
            self.cookies.extract_cookies(response)
            self._kept.push()

        self._kept.release()
        return HTTPConnection(self.application, scope, request, done)

    @asynccontextmanager
    async def session_transaction(
        self, path: str = "/", *, method: str = "GET", **options: Unpack[RequestOptions]
    ) -> AsyncIterator[SessionMixin]:
        """Open the session that the next request will find, and save it at the end of the block.

        ::

            async with client.session_transaction() as session:
                session["user"] = 7

        :param options: what describes the request for which the session is opened and saved.
        :raises TypeError: the client keeps no cookies.
        :raises RuntimeError: there is no session, because no secret key is set.
        """
        request = self._session_request(method, path, options)
        app, context = cast(Any, self.application), self._context_for(request)
        with within(context):
            session = await awaited(app.session_interface.open_session(app, context.request))
        yield check_opened(session)
        if app.session_interface.is_null_session(session):
            return
        response = app.response_class()
        with within(context):
            await awaited(app.session_interface.save_session(app, session, response))
        self._keep_session(response.headers, request)

    def websocket(
        self,
        path: str,
        *,
        scheme: str = "ws",
        subprotocols: Sequence[str] | None = None,
        **options: Any,
    ) -> WebsocketConnection:
        """Open a WebSocket: ``async with client.websocket("/ws") as ws:``.

        Opening a block sends the handshake, with the client's cookies. A refusal is told by the
        first use of the socket, or by the end of the block, as ``WebsocketResponseError``.

        :param scheme: ``wss`` for one over TLS.
        :param subprotocols: what the client offers.
        :param options: ``headers``, ``query_string``, ``root_path``, ``subdomain``, ``base_url``,
            ``scope_base`` and the others of :meth:`build_request`.
        """
        return WebsocketConnection(
            self.application,
            lambda: self._make_websocket(path, scheme, subprotocols or (), options),
            self._keep_cookies,
        )

    async def open(
        self, path: Any = "/", *, method: str = "GET", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a request, as Flask's ``client.open``; ``get``, ``post`` and so on call it.

        :param path: as for :meth:`request`; or an ``EnvironBuilder``, an environ or a request of
            Werkzeug's, which describe it all.
        """
        environ = environ_of(path)
        if environ is None:
            return await self.request(method, path, **options)
        return await self.request(**{**request_options(environ), **options})

    async def get(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a GET request."""
        return await self.open(url, method="GET", **options)

    async def post(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a POST request."""
        return await self.open(url, method="POST", **options)

    async def put(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a PUT request."""
        return await self.open(url, method="PUT", **options)

    async def patch(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a PATCH request."""
        return await self.open(url, method="PATCH", **options)

    async def delete(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a DELETE request."""
        return await self.open(url, method="DELETE", **options)

    async def head(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a HEAD request."""
        return await self.open(url, method="HEAD", **options)

    async def options(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make an OPTIONS request."""
        return await self.open(url, method="OPTIONS", **options)

    async def trace(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a TRACE request."""
        return await self.open(url, method="TRACE", **options)
