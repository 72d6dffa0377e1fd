"""WebSockets: the life of a request, and what an answer means where there are messages.

Before the handshake is accepted an answer, whoever gives it, refuses it: it is sent as the
response. After that no response can be sent, and the answer's status becomes a close code.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast

from starlette.websockets import WebSocketDisconnect
from werkzeug.exceptions import ServiceUnavailable

from asyncflask.concurrency import on_loop
from asyncflask.ctx import ConnectionContext, WebsocketContext
from asyncflask.life.calls import announce, call_function
from asyncflask.life.channel import Channel
from asyncflask.life.dispatch import Dispatch
from asyncflask.life.guard import refuse_origin

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send
    from werkzeug.exceptions import HTTPException

    from asyncflask.life.plan import Endpoint, Plan
    from asyncflask.life.routes import Found
    from asyncflask.messages.response import Response

#: Close codes (RFC 6455, 7.4.1 and its registry) for statuses; else 1008 for 4xx, 1011 for 5xx.
_CLOSE_CODES = {400: 1007, 413: 1009, 503: 1013}

#: Headers of a response that the handshake has its own of, or none.
_OF_RESPONSES = frozenset({"content-type", "content-length", "vary"})


def close_code(status: int) -> int:
    """Return what an HTTP status means for a WebSocket that is open: ``404 -> 1008``."""
    if status < 400:
        return 1000
    return _CLOSE_CODES.get(status) or (1011 if status >= 500 else 1008)


class Sockets(Dispatch):
    """Handles the WebSockets of one application, as its base handles the requests."""

    def follow(self, plan: Plan) -> None:
        """Go by the endpoints of ``plan``, from the next handshake on."""
        self._miss, self._foreign, self.plan = plan.websocket_miss, plan.websocket_foreign, plan

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one WebSocket, from the handshake to the last teardown function."""
        route, endpoint, params, error = self.router.refuse(scope) or self._find_open(scope)
        if endpoint is None:
            endpoint = self._miss if route is None else self._foreign
        # A handshake is a GET (RFC 6455, section 4.1); ASGI does not say so.
        scope.setdefault("method", "GET")
        scope.update(
            router=self.router, route=route, endpoint=endpoint.function, path_params=params
        )
        return self._go_in(scope, receive, send, endpoint, error)

    def _find_open(self, scope: Scope) -> Found:
        """Find the route; ours is not there for other sites' pages, nor at the end of serving."""
        found = self.router.find(scope)
        if found[1] is None:
            return found
        if self._app.draining.is_set():
            return None, None, {}, ServiceUnavailable("The server is shutting down.")
        return refuse_origin(scope, self._app.config["WEBSOCKET_ALLOWED_ORIGINS"]) or found

    async def _go_in(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        endpoint: Endpoint,
        error: HTTPException | None = None,
    ) -> None:
        context = WebsocketContext(self._app, scope, receive, send, endpoint, scope["path_params"])
        context.routing_exception = error
        if endpoint.inner is not None:  # middleware of blueprints comes first
            await self._run_elsewhere(context)
            return
        channel = Channel(self, context)
        try:
            await (self._run_elsewhere(context) if endpoint.elsewhere else self._run(context))
        finally:
            channel.end()

    async def save_session(self, context: WebsocketContext) -> list[tuple[bytes, bytes]]:
        """Save the session with the handshake, and return its headers for that."""
        context.sent = True
        if context._session is None:
            return []
        response = self._app.response_class()
        await self._save_session(context, response)
        return [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers
            if name.lower() not in _OF_RESPONSES
        ]

    # What is the same as for requests up to here.

    async def _recover(self, context: ConnectionContext, exc: BaseException) -> Any:
        if _is_interrupted(context, exc) or is_disconnect(exc):
            if context.answered:
                return None
            try:
                return await self._finalize(context, None)
            except BaseException as failure:
                exc = failure
        try:
            return await super()._recover(context, exc)
        except Exception:  # it is to reach the server, or the test
            if context.websocket.accepted:
                await self._close(context, 1011)
            raise

    async def _finalize(self, context: ConnectionContext, value: Any) -> Any:
        if value is not None:
            return await super()._finalize(context, value)
        context.answered = True
        response = await self._process(context, None)
        if context.finished.receivers:
            await announce(context, context.finished, response=response)
        return response

    async def _process(self, context: ConnectionContext, response: Any) -> Any:
        """Let the hooks see the response that refuses the handshake, or None where there is none.

        Other than after a request, they need not return it.
        """
        for function in context.after_functions or ():
            response = await call_function(context, function, response) or response
        for function in context.endpoint.after:
            response = await function(response) or response
        if response is not None and context._session is not None and not context.sent:
            await self._save_session(context, response)
        return response

    def _messages(self, context: ConnectionContext, response: Any) -> Any:
        return response

    async def _conclude(self, context: ConnectionContext, answer: Any) -> None:
        """Refuse the handshake with the answer, or close the connection; then the teardowns."""
        websocket = context.websocket
        if answer is not None and not websocket.accepted and websocket.close_code is None:
            context.send = _refusing(context.scope, context.send)
            await super()._conclude(context, answer)
            return
        try:
            code = 1000 if answer is None else close_code(answer.status_code)
            await self._close(context, code if context.error is None else 1011)
            if answer is not None:
                await answer.aclose()
        except BaseException as exc:
            self._tear_down_beside(context, exc)
            raise
        await self.tear_down(context, context.error)
        await self._back_on_loop(context)
        if context.reraise:
            raise cast(Exception, context.error)

    async def _close(self, context: ConnectionContext, code: int) -> None:
        if context.journey is not None:
            await on_loop
        await context.websocket._close(code)

    async def _deliver(self, context: ConnectionContext, response: Response) -> None:
        # A route of Starlette's has failed before it answered the handshake.
        if context.endpoint is self._foreign:
            context.send = _refusing(context.scope, context.send)
        await super()._deliver(context, response)


def _refusing(scope: Scope, send: Send) -> Send:
    """Return a ``send`` for the response that refuses a handshake.

    Where the server does not offer the extension "websocket.http.response", it sends its own 403.
    """
    extended = "websocket.http.response" in (scope.get("extensions") or {})

    async def refuse_with(message: Message) -> None:
        kind = message["type"].removeprefix("websocket.")
        with contextlib.suppress(OSError):  # the client has gone, and will not miss it
            if extended:
                await send({**message, "type": f"websocket.{kind}"})
            elif kind == "http.response.start":
                await send({"type": "websocket.close", "code": 1008, "reason": ""})

    return refuse_with


def _is_interrupted(context: ConnectionContext, exc: BaseException) -> bool:
    """Whether a cancellation is ours, and only ours: the client has gone."""
    if not (isinstance(context, WebsocketContext) and context.interrupted):
        return False
    context.interrupted = False
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    return task.uncancel() == 0 and isinstance(exc, asyncio.CancelledError)


def is_disconnect(exc: BaseException) -> bool:
    """Whether an exception, or each in a group, only tells that the connection has ended."""
    if isinstance(exc, BaseExceptionGroup):
        return exc.split(WebSocketDisconnect)[1] is None
    return isinstance(exc, WebSocketDisconnect)
