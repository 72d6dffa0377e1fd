"""An httpx transport that calls an ASGI application instead of the network."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from asyncflask.life.lifespan_protocol import Lifespan
from asyncflask.testing._httpx import httpx
from asyncflask.testing.exchange import Exchange
from asyncflask.testing.response import TestResponse
from asyncflask.testing.scope import as_websocket, http_scope
from asyncflask.testing.websocket import WebsocketExchange

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope


class ASGITransport(httpx.AsyncBaseTransport):
    """Runs requests against an ASGI application, on the caller's loop, streamed both ways.

    The application runs in a task with a copy of the caller's context variables. Its response is
    here as soon as it starts; :class:`~asyncflask.testing.exchange.Exchange` says the rest. Used
    with ``async with``, it also runs the application's lifespan.

    :param app: the ASGI application.
    :param raise_app_exceptions: let the application's exceptions through as they are. Otherwise
        they are logged and answered as a server would.
    :param scope_base: laid over the scope of each request, such as
        ``{"client": ("203.0.113.7", 4711), "root_path": "/app", "http_version": "2"}``. A single
        request gets the same from httpx's ``extensions={"scope": {...}}``; another httpx
        extension, ``"target"``, replaces path and query by bytes that are taken as they are.
    :param disconnect_grace: seconds that an application may go on after its client has left.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        raise_app_exceptions: bool = True,
        scope_base: Mapping[str, Any] | None = None,
        disconnect_grace: float = 5.0,
    ) -> None:
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.scope_base = dict(scope_base or {})
        self.disconnect_grace = disconnect_grace
        self._lifespan: Lifespan | None = None
        self._state: dict[str, Any] = {}
        self._open: set[Exchange] = set()

    async def __aenter__(self) -> Self:
        self._state = {}
        lifespan = Lifespan(self.app, self._state)
        await lifespan.start()
        self._lifespan = lifespan
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx.Request) -> TestResponse:
        """Return the response of the application as soon as it has started."""
        body = cast("httpx.AsyncByteStream", request.stream)
        exchange = await self.open(request, body)
        return make_response(exchange, _ResponseStream(exchange, self))

    async def open(
        self,
        request: httpx.Request,
        body: AsyncIterable[bytes],
        scope_extra: Mapping[str, Any] | None = None,
    ) -> Exchange:
        """Begin the exchange for ``request`` with another ``body``, and wait for its response.

        :param scope_extra: more entries for the scope.
        """
        exchange = Exchange(
            self.app,
            {**self.make_scope(request), **(scope_extra or {})},
            b"".join(body) if isinstance(body, httpx.ByteStream) else body,
            raise_app_exceptions=self.raise_app_exceptions,
            grace=self.disconnect_grace,
        )
        await exchange.start()
        self._open.add(exchange)
        return exchange

    def make_websocket(
        self, request: httpx.Request, subprotocols: Sequence[str] = ()
    ) -> WebsocketExchange:
        """Return the exchange for the WebSocket whose handshake is ``request``."""
        scope = as_websocket(self.make_scope(request), subprotocols)
        return WebsocketExchange(self.app, request, scope, grace=self.disconnect_grace)

    async def close_exchange(self, exchange: Exchange) -> None:
        """End an exchange that :meth:`open` began."""
        self._open.discard(exchange)
        await exchange.aclose()

    async def aclose(self) -> None:
        """End the responses that are still open, then shut the application down."""
        for exchange in list(self._open):
            await self.close_exchange(exchange)
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.stop()

    def make_scope(self, request: httpx.Request) -> Scope:
        """Return the ASGI scope for ``request``."""
        target: bytes = request.extensions.get("target", request.url.raw_path)
        path, _, query = target.partition(b"?")
        scope = http_scope(
            request.method,
            request.url.scheme,
            (request.url.host, request.url.port),
            path,
            query,
            [(name.lower(), value) for name, value in request.headers.raw],
        )
        if self._lifespan is not None:
            scope["state"] = self._state.copy()
        scope["asyncflask.self_start"] = False  # without a lifespan nothing is to be run
        return {**scope, **self.scope_base, **request.extensions.get("scope", {})}


def make_response(
    exchange: Exchange, stream: httpx.AsyncByteStream | httpx.SyncByteStream
) -> TestResponse:
    """Return the response of ``exchange``, whose body comes from ``stream``."""
    return TestResponse(
        exchange.status,
        headers=exchange.headers,
        stream=stream,
        extensions={"http_version": b"HTTP/1.1"},
    )


class _ResponseStream(httpx.AsyncByteStream):
    def __init__(self, exchange: Exchange, transport: ASGITransport) -> None:
        self._exchange = exchange
        self._transport = transport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._exchange.read()) is not None:
            yield chunk

    async def aclose(self) -> None:
        await self._transport.close_exchange(self._exchange)
