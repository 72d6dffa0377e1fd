"""The steps of a request as methods of the application, which subclasses may replace.

An application that replaces none of them goes the short way of ``Dispatch``. One that does is
dispatched by :class:`SteppedDispatch`, which calls the application for each step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import urljoin

from werkzeug.exceptions import BadRequest, BadRequestKeyError, HTTPException
from werkzeug.routing import RequestRedirect

from asyncflask.concurrency import Pending, running_loop
from asyncflask.ctx import ConnectionContext, RequestContext, current, has_request_context
from asyncflask.exceptions import FormDataRoutingRedirect, WorkerPoolFullError
from asyncflask.lazy import lazy
from asyncflask.life.calls import (
    AsyncFunction,
    announce,
    call_function,
    run_part,
    run_part_here,
    settle,
)
from asyncflask.life.dispatch import Dispatch
from asyncflask.life.teardown import receivers, run_all
from asyncflask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
)

if TYPE_CHECKING:
    from asyncflask.config import Config
    from asyncflask.life.plan import Plan
    from asyncflask.life.routes import Router
    from asyncflask.messages.connection import Connection
    from asyncflask.messages.request import BaseRequest
    from asyncflask.messages.response import Response


class Steps:
    """The steps of a request. A base of the application; names and order are Flask's.

    A subclass may replace each by an ``async def`` method, which runs on the event loop, or by a
    ``def`` method, which runs in a worker thread. To call one: in ``async def`` code its result is
    awaited, in ``def`` code it is there. Quart's argument ``request_context`` is taken where Flask
    has no other in its place; it is the current context in any case.
    """

    config: Config

    if TYPE_CHECKING:

        @property
        def debug(self) -> bool: ...

        @property
        def dispatch(self) -> Dispatch: ...

        def request_context(self, scope: BaseRequest) -> RequestContext: ...

    def handle_request(self, request: BaseRequest) -> Any:
        """Answer a request: everything but the teardown. The outermost step; Quart's.

        Outside of the request it is handled in a context of its own, torn down at the end.

        :returns: the response.
        """
        if has_request_context():
            return self._take("handle_request", request)
        return self._handle_alone(request)

    async def _handle_alone(self, request: BaseRequest) -> Any:
        async with self.request_context(request):
            return await self._take("handle_request", request)

    def full_dispatch_request(self, request_context: RequestContext | None = None) -> Any:
        """Run hooks, view and error handlers and finish the response.

        :returns: the response.
        :raises Exception: what nobody has handled; :meth:`handle_exception` answers it.
        """
        return self._take("full_dispatch_request")

    def preprocess_request(self, request_context: RequestContext | None = None) -> Any:
        """Run the ``url_value_preprocessor`` and ``before_request`` functions.

        :returns: None, or the first function's value that is not: it answers the request.
        """
        return self._take("preprocess_request")

    def dispatch_request(self, request_context: RequestContext | None = None) -> Any:
        """Call the view.

        :returns: what it returns.
        :raises HTTPException: no rule matched.
        """
        return self._take("dispatch_request")

    def finalize_request(self, rv: Any, from_error_handler: bool = False) -> Any:
        """Make a response of a return value, and let :meth:`process_response` work on it.

        :param rv: what a view or an error handler has returned.
        :param from_error_handler: log what goes wrong in the hooks, and go on without them.
        :returns: the response.
        """
        return self._take("finalize_request", rv, from_error_handler)

    def process_response(
        self, response: Response, request_context: RequestContext | None = None
    ) -> Any:
        """Run the ``after_request`` functions and save the session.

        :returns: the response, the given one or another.
        """
        return self._take("process_response", response)

    def handle_user_exception(self, e: Exception) -> Any:
        """Let the error handlers answer an exception of a hook or a view.

        :returns: what the handler returns. HTTP errors go to :meth:`handle_http_exception`.
        :raises Exception: ``e``, where nobody handles it.
        """
        return self._take("handle_user_exception", e)

    def handle_http_exception(self, e: HTTPException) -> Any:
        """Let the error handlers answer an HTTP error.

        :returns: what the handler returns; ``e`` itself, which is a response too, without one.
        """
        return self._take("handle_http_exception", e)

    def handle_exception(self, e: Exception) -> Any:
        """Answer an exception that nobody has handled: signal it, log it, return the 500.

        :returns: the response.
        :raises Exception: ``e``, where errors are to reach the server or the test.
        """
        return self._take("handle_exception", e)

    def do_teardown_request(self, exc: BaseException | None = None) -> Any:
        """Run the ``teardown_request`` functions.

        :param exc: the error that ended the request.
        """
        return self._take("do_teardown_request", exc)

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> Any:
        """Run the ``teardown_appcontext`` functions.

        :param exc: the error that ended the request.
        """
        return self._take("do_teardown_appcontext", exc)

    def raise_routing_exception(self, request: Connection) -> NoReturn:
        """Raise why no rule matched, the 404, 405 or redirect.

        :raises HTTPException: ``request.routing_exception``.
        :raises FormDataRoutingRedirect: in debug mode, if the redirect would lose the body.
        """
        exc = cast(HTTPException, request.routing_exception)
        if (
            self.debug
            and isinstance(exc, RequestRedirect)
            and exc.code not in (307, 308)
            and request.method not in ("GET", "HEAD", "OPTIONS")
        ):
            new_url = urljoin(request.root_url, exc.new_url)
            raise FormDataRoutingRedirect(request.method, request.url, new_url)
        raise exc

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP error is treated as a bug, so that it can be found.

        See ``TRAP_HTTP_EXCEPTIONS`` and ``TRAP_BAD_REQUEST_ERRORS``.
        """
        if self.config["TRAP_HTTP_EXCEPTIONS"]:
            return True
        trap = self.config["TRAP_BAD_REQUEST_ERRORS"]
        if trap is None and self.debug and isinstance(e, BadRequestKeyError):
            return True
        return bool(trap) and isinstance(e, BadRequest)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Whether the teardown functions are told of no error although there was one."""
        return False

    def _take(self, name: str, *args: Any) -> Any:
        """Take a step as the framework does, for whichever code asks."""
        context = current.get().connection_context
        place = self._place_of(name, context)
        if context is None or place is None:
            kind = "WebSocket" if "websocket" in name else "request"
            raise RuntimeError(f"'{name}' is a step of a {kind}, and there is none here.")
        steps, step = place
        make = partial(getattr(steps, step), context, *args)
        if running_loop() is None:
            return run_part_here(context, make)
        return Pending(partial(run_part, context, make), f"app.{name}(...)")

    def _place_of(self, name: str, context: ConnectionContext | None) -> tuple[Any, str] | None:
        """Return what takes a step in ``context``, and the name it has there."""
        return None if context is None else (self._steps, name)

    @lazy
    def _steps(self) -> SteppedDispatch:
        dispatch = self.dispatch
        if isinstance(dispatch, SteppedDispatch):
            return dispatch
        return SteppedDispatch(cast(Any, self), dispatch.router, dispatch.plan)


#: What makes the difference between ``Dispatch`` and :class:`SteppedDispatch`, where replaced.
_STEPS = (
    "handle_request",
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
    "finalize_request",
    "process_response",
    "handle_user_exception",
    "handle_http_exception",
    "handle_exception",
    "do_teardown_request",
    "do_teardown_appcontext",
)


def replaced_steps(app: Steps) -> dict[str, Callable[..., Any]]:
    """Return the steps that an application has replaced, in its class or in itself."""
    return {name: getattr(app, name) for name in _STEPS if is_replaced(app, name, Steps)}


def is_replaced(app: object, name: str, base: type) -> bool:
    """Whether an application has a method of its own, in its class or in itself."""
    return name in app.__dict__ or getattr(type(app), name) is not getattr(base, name)


class SteppedDispatch(Dispatch):
    """Handles the requests of an application that replaces some of the steps.

    Each step is the application's own where it has one, else the coroutine of that name here.
    """

    def __init__(self, app: Any, router: Router, plan: Plan) -> None:
        super().__init__(app, router, plan)
        self._replaced = replaced_steps(app)

    async def take(self, context: ConnectionContext, name: str, *args: Any) -> Any:
        """Take a step in its place."""
        method = self._replaced.get(name)
        if method is not None:
            return await call_function(context, method, *args)
        return await getattr(self, name)(context, *args)

    async def _run(self, context: ConnectionContext) -> None:
        token = None if context.endpoint.elsewhere else current.set(context)
        try:
            try:
                if appcontext_pushed.receivers:
                    await announce(context, appcontext_pushed)
                response = await self.take(context, "handle_request", context.connection)
                answer = self._messages(context, response)
            except BaseException as exc:
                answer = await self._recover_step(context, exc)
            await self._conclude(context, answer)
        finally:
            if token is not None:
                current.reset(token)
            if appcontext_popped.receivers:
                await announce(context, appcontext_popped)

    async def _recover_step(self, context: ConnectionContext, exc: BaseException) -> Any:
        context.answered = True  # the error handlers were asked
        return await self._recover(context, exc)

    # The steps.

    async def handle_request(self, context: ConnectionContext, _request: Connection) -> Any:
        """Answer a request; what nobody handles goes to ``handle_exception``."""
        try:
            return await self.take(context, "full_dispatch_request")
        except WorkerPoolFullError:
            raise
        except Exception as exc:
            context.error = exc
            return await self.take(context, "handle_exception", exc)

    async def full_dispatch_request(self, context: ConnectionContext) -> Any:
        """Run hooks, view and error handlers."""
        try:
            await self._begin(context)
            value = await self.take(context, "preprocess_request")
            if value is None:
                value = await self.take(context, "dispatch_request")
        except Exception as exc:
            value = await self.take(context, "handle_user_exception", exc)
        return await self.take(context, "finalize_request", value)

    async def preprocess_request(self, context: ConnectionContext) -> Any:
        """Run what comes before the view."""
        return await self._preprocess(context)

    async def dispatch_request(self, context: ConnectionContext) -> Any:
        """Call the view, or raise why there is none."""
        return await context.endpoint.view(**context.params)

    async def finalize_request(
        self, context: ConnectionContext, value: Any, from_error_handler: bool = False
    ) -> Any:
        """Make the response and let the hooks see it."""
        response = await settle(context, self._app.make_response(value))
        try:
            response = await self.take(context, "process_response", response)
            if context.finished.receivers:
                await announce(context, context.finished, response=response)
        except Exception:
            if not from_error_handler:
                raise
            self._app.logger.exception("The response to an error could not be finished")
        return response

    async def process_response(self, context: ConnectionContext, response: Response) -> Any:
        """Run the hooks after the view and save the session."""
        return await self._process(context, response)

    async def handle_user_exception(self, context: ConnectionContext, exc: Exception) -> Any:
        """Ask the error handlers."""
        exc = self._errors.prepare(exc)
        if self._errors.is_http(exc):
            return await self.take(context, "handle_http_exception", exc)
        return await self._errors.handle_other(context, exc)

    async def handle_http_exception(self, context: ConnectionContext, exc: HTTPException) -> Any:
        """Ask the error handlers for an HTTP error."""
        return await self._errors.handle_http(context, exc)

    async def handle_exception(self, context: ConnectionContext, exc: Exception) -> Any:
        """Answer what nobody has handled."""
        value = await self._errors.handle_unexpected(context, exc)
        return await self.take(context, "finalize_request", value, True)

    # The end.

    def _teardown_steps(self, context: ConnectionContext) -> Iterator[AsyncFunction]:
        for name in ("do_teardown_request", "do_teardown_appcontext"):
            if name in self._replaced:
                yield partial(self._tear_down, context, name)
            else:
                yield from self._own_teardowns(context, name)

    async def _tear_down(
        self, context: ConnectionContext, name: str, exc: BaseException | None
    ) -> None:
        await self.take(context, name, exc)

    def _own_teardowns(self, context: ConnectionContext, name: str) -> Iterator[AsyncFunction]:
        if name == "do_teardown_request":
            yield from context.endpoint.teardown_request
            yield from receivers(context, context.tearing_down)
        else:
            yield from context.endpoint.teardown_appcontext
            yield from receivers(context, appcontext_tearing_down)

    async def do_teardown_request(
        self, context: ConnectionContext, exc: BaseException | None
    ) -> None:
        """Run the ``teardown_request`` functions."""
        await run_all(self._own_teardowns(context, "do_teardown_request"), exc)

    async def do_teardown_appcontext(
        self, context: ConnectionContext, exc: BaseException | None
    ) -> None:
        """Run the ``teardown_appcontext`` functions."""
        await run_all(self._own_teardowns(context, "do_teardown_appcontext"), exc)
