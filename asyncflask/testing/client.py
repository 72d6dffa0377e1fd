"""The asynchronous test client: httpx's, on the caller's event loop, with Flask's arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Unpack, cast

from asyncflask.testing._httpx import httpx
from asyncflask.testing.base import ClientBase, RequestOptions, SendOptions, to_httpx_auth
from asyncflask.testing.websocket import WebsocketConnection

if TYPE_CHECKING:
    from asyncflask.testing.response import TestResponse


class FlaskClient(ClientBase, httpx.AsyncClient):
    """Makes requests to an application without a server, in ``async def`` tests.

    ::

        async with app.test_client() as client:
            response = await client.post("/notes", json={"text": "hello"})
            assert response.status_code == 201

    ``async with`` runs the application's lifespan; without it requests work and no lifespan is
    run. It is an ``httpx.AsyncClient``; requests may be described with Flask's arguments
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
        self, path: str = "/", *, method: str = "GET", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a request, as Flask's ``client.open``."""
        return await self.request(method, path, **options)

    async def get(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a GET request."""
        return await self.request("GET", url, **options)

    async def post(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a POST request."""
        return await self.request("POST", url, **options)

    async def put(self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]) -> TestResponse:
        """Make a PUT request."""
        return await self.request("PUT", url, **options)

    async def patch(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a PATCH request."""
        return await self.request("PATCH", url, **options)

    async def delete(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a DELETE request."""
        return await self.request("DELETE", url, **options)

    async def head(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a HEAD request."""
        return await self.request("HEAD", url, **options)

    async def options(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make an OPTIONS request."""
        return await self.request("OPTIONS", url, **options)

    async def trace(
        self, url: httpx.URL | str = "/", **options: Unpack[SendOptions]
    ) -> TestResponse:
        """Make a TRACE request."""
        return await self.request("TRACE", url, **options)
