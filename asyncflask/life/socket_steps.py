"""The steps of a WebSocket as methods of the application, which subclasses may replace.

They are the steps of a request, under the names that Quart has for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from asyncflask.lazy import lazy
from asyncflask.life.calls import announce
from asyncflask.life.sockets import Sockets, is_disconnect
from asyncflask.life.steps import SteppedDispatch, Steps, is_replaced

if TYPE_CHECKING:
    from asyncflask.ctx import ConnectionContext, WebsocketContext
    from asyncflask.life.plan import Plan
    from asyncflask.life.routes import Router
    from asyncflask.messages.response import Response
    from asyncflask.messages.websocket import BaseWebsocket

#: The steps, and which of a request's they are.
_STEPS = {
    "handle_websocket": "handle_request",
    "full_dispatch_websocket": "full_dispatch_request",
    "preprocess_websocket": "preprocess_request",
    "dispatch_websocket": "dispatch_request",
    "finalize_websocket": "finalize_request",
    "postprocess_websocket": "process_response",
    "handle_websocket_exception": "handle_exception",
    "do_teardown_websocket": "do_teardown_request",
}

#: Steps of a request that are a WebSocket's too.
_SHARED_STEPS = ("handle_user_exception", "handle_http_exception", "do_teardown_appcontext")


class SocketSteps(Steps):
    """The steps of a request and of a WebSocket. A base of the application.

    What :class:`Steps` says holds for these too; ``websocket_context``, Quart's argument, is the
    current context in any case.
    """

    def handle_websocket(self, websocket: BaseWebsocket) -> Any:
        """Handle a WebSocket: everything but the teardown. The outermost step.

        :returns: the response that refuses the handshake, or None.
        """
        return self._take("handle_websocket", websocket)

    def full_dispatch_websocket(self, websocket_context: WebsocketContext | None = None) -> Any:
        """Run hooks, view and error handlers.

        :returns: the response that refuses the handshake, or None.
        :raises Exception: what nobody has handled, for :meth:`handle_websocket_exception`.
        """
        return self._take("full_dispatch_websocket")

    def preprocess_websocket(self, websocket_context: WebsocketContext | None = None) -> Any:
        """Run the ``url_value_preprocessor`` and ``before_websocket`` functions.

        :returns: None, or the first function's value that is not: it refuses the handshake.
        """
        return self._take("preprocess_websocket")

    def dispatch_websocket(self, websocket_context: WebsocketContext | None = None) -> Any:
        """Call the view.

        :returns: what it returns.
        :raises HTTPException: no rule matched.
        """
        return self._take("dispatch_websocket")

    def finalize_websocket(
        self,
        result: Any,
        websocket_context: WebsocketContext | None = None,
        from_error_handler: bool = False,
    ) -> Any:
        """Make a response of a value that is not None; :meth:`postprocess_websocket` sees it.

        :param result: what a view or an error handler has returned.
        :param from_error_handler: log what goes wrong in the hooks, and go on without them.
        :returns: the response, or None.
        """
        return self._take("finalize_websocket", result, from_error_handler)

    def postprocess_websocket(
        self, response: Response | None, websocket_context: WebsocketContext | None = None
    ) -> Any:
        """Run the ``after_websocket`` functions, and save the session with a refusal.

        :returns: the response, the given one or another, or None.
        """
        return self._take("postprocess_websocket", response)

    def handle_websocket_exception(self, error: Exception) -> Any:
        """Answer an exception that nobody has handled: signal it, log it, return the 500.

        :returns: the response.
        :raises Exception: ``error``, where errors are to reach the server or the test.
        """
        return self._take("handle_websocket_exception", error)

    def do_teardown_websocket(
        self,
        exc: BaseException | None = None,
        websocket_context: WebsocketContext | None = None,
    ) -> Any:
        """Run the ``teardown_websocket`` functions.

        :param exc: the error that ended it.
        """
        return self._take("do_teardown_websocket", exc)

    def _place_of(self, name: str, context: ConnectionContext | None) -> tuple[Any, str] | None:
        if context is None or context.websocket_context is None:
            return None if name in _STEPS else super()._place_of(name, context)
        if name in _STEPS:
            return self._socket_steps, _STEPS[name]
        return (self._socket_steps, name) if name in _SHARED_STEPS else None

    @lazy
    def _socket_steps(self) -> SteppedSockets:
        sockets = self.dispatch.sockets
        if isinstance(sockets, SteppedSockets):
            return sockets
        return SteppedSockets(cast(Any, self), sockets.router, sockets.plan)


def replaced_socket_steps(app: SocketSteps) -> dict[str, Callable[..., Any]]:
    """Return the steps of a WebSocket that an application has replaced, by a request's names."""
    own = {
        step: getattr(app, name)
        for name, step in _STEPS.items()
        if is_replaced(app, name, SocketSteps)
    }
    shared = {
        name: getattr(app, name) for name in _SHARED_STEPS if is_replaced(app, name, SocketSteps)
    }
    return own | shared


class SteppedSockets(SteppedDispatch, Sockets):
    """Handles the WebSockets of an application that replaces some of the steps."""

    def __init__(self, app: Any, router: Router, plan: Plan) -> None:
        super().__init__(app, router, plan)
        self._replaced = replaced_socket_steps(app)

    async def take(self, context: ConnectionContext, name: str, *args: Any) -> Any:
        """Take a step in its place; the client's end is no error that anybody handles."""
        if name == "handle_user_exception" and is_disconnect(args[0]):
            return None
        return await super().take(context, name, *args)

    async def _recover_step(self, context: Any, exc: BaseException) -> Any:
        if context.interrupted and not context.answered:
            return await self._recover(context, exc)
        return await super()._recover_step(context, exc)

    async def finalize_request(
        self, context: ConnectionContext, value: Any, from_error_handler: bool = False
    ) -> Any:
        """Let the hooks see what there is."""
        context.answered = True
        if value is not None:
            return await super().finalize_request(context, value, from_error_handler)
        response = await self.take(context, "process_response", None)
        if context.finished.receivers:
            await announce(context, context.finished, response=response)
        return response
