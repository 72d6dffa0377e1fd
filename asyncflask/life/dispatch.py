"""What stands innermost: one request, from the match to the last teardown function."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from asyncflask.concurrency import Journey, is_async_callable, keep_going, on_loop
from asyncflask.ctx import ConnectionContext, RequestContext, current
from asyncflask.exceptions import WorkerPoolFullError
from asyncflask.json.provider import JSONProvider
from asyncflask.life.calls import AsyncFunction, announce, call_function, make_journey, settle
from asyncflask.life.coerce import make_response
from asyncflask.life.errors import Errors
from asyncflask.life.problem import default_response
from asyncflask.life.streaming import Sender, Stream, TooSlowError, in_time
from asyncflask.life.teardown import name_of, receivers, run_all
from asyncflask.messages.response import NOSNIFF, RawHeaders, Response, has_body
from asyncflask.sessions import header_writer
from asyncflask.signals import (
    LifeSignal,
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
)

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import Message, Receive, Scope, Send

    from asyncflask.app import Flask
    from asyncflask.life.plan import Endpoint, Plan
    from asyncflask.life.routes import Router
    from asyncflask.life.sockets import Sockets

_log = logging.getLogger("asyncflask")

#: Where the scope has the middleware of blueprints that a request has yet to pass.
_LAYERS = "asyncflask.layers"

_FEW = 1024
#: PERF: the lengths of small bodies, as headers (scenario: plain text).
_LENGTHS = [(b"content-length", b"%d" % size) for size in range(_FEW)]

#: A plain value on its way out: its two messages.
Plain = tuple["Message", "Message"]


def _asgi_3(function: Any) -> Any:
    """Say to asgiref, which middleware asks, that this is ASGI 3 though no coroutine function."""
    function._asgi_single_callable = True
    return function


class Dispatch:
    """Handles the requests of one application.

    :param app: the application.
    :param router: says which endpoint a request is for.
    :param plan: the endpoints.
    """

    #: What handles the WebSockets.
    sockets: Sockets

    def __init__(self, app: Flask, router: Router, plan: Plan) -> None:
        self._app = app
        self.router = router
        self._answer = router.answer
        self.follow(plan)
        self._errors = Errors(app)
        self._extra: RawHeaders = [NOSNIFF] if app.config["CONTENT_TYPE_NOSNIFF"] else []
        self._html: RawHeaders = [(b"content-type", b"text/html; charset=utf-8"), *self._extra]
        self._json = self._json_headers()
        self._opens_session = plan.opens_session_first
        self._saves_all = app.session_interface.each_request
        self._session_headers = header_writer(app.session_interface)
        self._timeout: float | None = app.config["RESPONSE_TIMEOUT"]
        self._awaits_make_response = is_async_callable(app.make_response)

    def follow(self, plan: Plan) -> None:
        """Go by the endpoints of ``plan``, from the next request on."""
        self._miss, self._foreign, self.plan = plan.miss, plan.foreign, plan

    def _json_headers(self) -> RawHeaders | None:
        """The headers of a value sent as JSON, unless the provider makes responses its own way."""
        provider = type(self._app.json)
        if provider.response is not JSONProvider.response:
            return None
        mimetype = getattr(provider, "mimetype", JSONProvider.mimetype)
        return [(b"content-type", mimetype.encode()), *self._extra]

    @_asgi_3
    def handle(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one ASGI connection: HTTP, WebSocket or lifespan. The innermost ASGI callable.

        PERF: a plain function that returns the coroutine; the whole way of a request without hooks
        is one coroutine (scenario: plain text).
        """
        if scope["type"] != "http":
            return self._other(scope, receive, send)
        route, endpoint, params, error = self._answer(scope)
        if endpoint is None:
            endpoint = self._miss if route is None else self._foreign
        context = RequestContext(self._app, scope, receive, send, endpoint, params)
        if error is not None:
            context.routing_exception = error
        scope["router"] = self.router
        scope["route"] = route
        scope["endpoint"] = endpoint.function
        scope["path_params"] = params
        return self._run_elsewhere(context) if endpoint.elsewhere else self._run(context)

    async def go_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on inwards from the middleware of a blueprint: to the next one's, or to the view."""
        endpoint, layers = scope[_LAYERS]
        if layers:
            scope = {**scope, _LAYERS: (endpoint, layers[1:])}
            await layers[0](scope, receive, send)
        else:
            await self._go_in(scope, receive, send, endpoint)

    async def _go_in(self, scope: Scope, receive: Receive, send: Send, endpoint: Endpoint) -> None:
        context = RequestContext(self._app, scope, receive, send, endpoint, scope["path_params"])
        await (self._run_elsewhere(context) if endpoint.elsewhere else self._run(context))

    async def _run_elsewhere(self, context: ConnectionContext) -> None:
        """Run a request on a journey, for its ``def`` functions, or let another app do it."""
        inner = context.endpoint.inner
        if inner is not None:
            context.scope[_LAYERS] = (inner, context.endpoint.layers)
            await self.go_on(context.scope, context.receive, context.send)
            return
        token = current.set(context)
        try:
            if context.endpoint is self._foreign:
                await self._hand_over(context)
            else:
                keep = context.endpoint.keep_worker
                context.journey = make_journey(context, self._run(context), keep=keep)
                await context.journey
        finally:
            current.reset(token)

    async def _run(self, context: ConnectionContext) -> None:
        """The life of a request: hooks, view, response, teardowns, and sending it.

        On a journey it changes place as its functions need it.
        """
        endpoint = context.endpoint
        token = None if endpoint.elsewhere else current.set(context)
        value: Any = None
        answer: Any = None
        try:
            try:
                if endpoint.prelude or LifeSignal.heard:
                    value = await self._run_before(context)
                if value is None:
                    value = await endpoint.view(**context.params)
                if endpoint.direct and not (
                    context.after_functions is not None
                    or (context._session is not None and self._session_headers is None)
                    or LifeSignal.heard
                ):
                    answer = self._plain(context, value)
                if answer is None:
                    answer = self._messages(context, await self._finalize(context, value))
            except BaseException as exc:
                await self._conclude(context, await self._recover(context, exc))
                return
            if (
                endpoint.has_end
                or answer.__class__ is not tuple
                or (context._request is not None and context.holds_files)
                or LifeSignal.heard
            ):
                await self._conclude(context, answer)
            else:
                context.sent = True
                start, body = answer
                await context.send(start)
                await context.send(body)
        finally:
            if token is not None:
                current.reset(token)
            if LifeSignal.heard and appcontext_popped.receivers:
                await announce(context, appcontext_popped)

    def _run_before(self, context: ConnectionContext) -> Awaitable[Any]:
        """Run what comes before the view; what it returns, unless None, answers the request."""
        if self._opens_session or LifeSignal.heard:
            return self._begin_and_preprocess(context)
        return self._preprocess(context)

    async def _begin_and_preprocess(self, context: ConnectionContext) -> Any:
        if LifeSignal.heard:
            LifeSignal.look_again()
        if appcontext_pushed.receivers:
            await announce(context, appcontext_pushed)
        await self._begin(context)
        return await self._preprocess(context)

    async def _begin(self, context: ConnectionContext) -> None:
        if self._opens_session:
            await context.open_session()
        if context.started.receivers:
            await announce(context, context.started)

    async def _preprocess(self, context: ConnectionContext) -> Any:
        endpoint = context.endpoint
        for preprocess in endpoint.preprocessors:
            await settle(context, preprocess(endpoint.name, context.params))
        for function in endpoint.before:
            value = await function()
            if value is not None:
                return value
        return None

    async def _recover(self, context: ConnectionContext, exc: BaseException) -> Response | Plain:
        """Answer an error. Handlers are asked for those of hooks and views, as in Flask.

        :raises BaseException: a cancellation, or an error that is to reach the server or the test;
            the teardown functions have run then, or will.
        """
        try:
            if isinstance(exc, Exception) and not context.answered:
                try:
                    value = await self._errors.handle(context, exc)
                    return self._messages(context, await self._finalize(context, value))
                except Exception as unhandled:
                    exc = unhandled
            if isinstance(exc, WorkerPoolFullError):
                return default_response(self._app, exc)
            if isinstance(exc, Exception) and exc is not context.error:
                return self._messages(context, await self._answer_unexpected(context, exc))
            raise exc
        except Exception as unanswered:
            await self.tear_down(context, unanswered)
            raise
        except BaseException as left:
            # The task leaves at once; what has to be done is done beside it.
            if context.journey is not None:
                await on_loop
            self._tear_down_beside(context, left)
            raise

    async def _answer_unexpected(self, context: ConnectionContext, exc: Exception) -> Response:
        value = await self._errors.handle_unexpected(context, exc)
        try:
            return await self._finalize(context, value)
        except Exception:
            _log.exception("The response to an error could not be finished")
            return make_response(self._app, value)

    def _finalize(self, context: ConnectionContext, value: Any) -> Awaitable[Response]:
        """Make the response, let the hooks see it, save the session.

        PERF: where the response is awaited nowhere and nothing listens, this is what
        :meth:`_process` is (scenario: hooks).
        """
        context.answered = True
        response: Any = self._app.make_response(value)
        if self._awaits_make_response or context.finished.receivers:
            return self._settle_and_process(context, response)
        return self._process(context, response)

    async def _settle_and_process(self, context: ConnectionContext, response: Any) -> Any:
        if self._awaits_make_response:
            response = await settle(context, response)
        response = await self._process(context, response)
        if context.finished.receivers:
            await announce(context, context.finished, response=response)
        return response

    async def _process(self, context: ConnectionContext, response: Any) -> Any:
        for function in context.after_functions or ():
            response = await call_function(context, function, response)
            if response is None:
                raise _returned_none(function)
        for function in context.endpoint.after:
            response = await function(response)
            if response is None:
                raise _returned_none(function)
        if context._session is not None or self._saves_all:
            await self._save_session(context, response)
        return response

    def _messages(self, context: ConnectionContext, response: Response) -> Response | Plain:
        """Return the messages of a complete response, or the response where it is more than that.

        What is wrong with its headers is wrong here, where it can still be answered.
        """
        if not response.is_streamed:
            messages = response.messages(context.scope["method"], self._extra)
            if response._on_close is None and self._timeout is None and response.timeout is ...:
                return messages
        return response

    def _plain(self, context: ConnectionContext, value: Any) -> Plain | None:
        """Encode a value that nobody waits to see as a response, if it is of the plain kinds."""
        kind = value.__class__
        headers = self._html
        if kind is str:
            body = value.encode()
        elif (kind is dict or kind is list) and self._json is not None:
            try:
                body = self._app.json.dumps_bytes(value)
            except TypeError:
                return None  # the slow way has an error that names the view
            headers = self._json
        elif kind is bytes:
            body = value
        else:
            return None
        size = len(body)
        length = _LENGTHS[size] if size < _FEW else (b"content-length", b"%d" % size)
        if context.scope["method"] == "HEAD":
            body = b""
        headers = [*headers, length]
        if self._session_headers is not None and context._session is not None:
            context.answered = True
            headers += self._session_headers(self._app, context._session)
        return (
            {"type": "http.response.start", "status": 200, "headers": headers},
            {"type": "http.response.body", "body": body},
        )

    async def _save_session(self, context: ConnectionContext, response: Response) -> None:
        app, session = self._app, context._session
        interface = app.session_interface
        if session is None:  # nothing has used the one that was opened
            session = context.opened_session
            if session is None:  # the request has failed before
                return
            session.accessed = False
        if interface.is_null_session(session):
            return
        save = interface.in_its_place(app, interface.save_session)
        await settle(context, save(app, session, response))

    # Out.

    async def _conclude(self, context: ConnectionContext, answer: Response | Plain) -> None:
        """Run the teardowns and send: a streamed response is torn down after its last byte."""
        if isinstance(answer, tuple):
            await self.tear_down(context, context.error)
            if await self._back_on_loop(context):
                for message in answer:
                    await context.send(message)
        else:
            await self._deliver(context, answer)
        if context.reraise:
            raise cast(Exception, context.error)

    async def _back_on_loop(self, context: ConnectionContext) -> bool:
        """Give the worker back, for a slow client holds no thread; say if anybody waits still."""
        context.sent = True
        journey = context.journey
        if journey is None:
            return True
        await on_loop
        journey.release()
        return not journey.abandoned

    def _deliver(self, context: ConnectionContext, response: Response) -> Awaitable[None]:
        if response.is_streamed:
            return self._deliver_stream(context, response)
        return self._deliver_complete(context, response)

    async def _deliver_complete(self, context: ConnectionContext, response: Response) -> None:
        await self.tear_down(context, context.error)
        if await self._back_on_loop(context):
            with suppress(TooSlowError):
                sending = self._send_complete(context, response)
                await in_time(context, response, sending)
        else:
            await response.aclose()

    async def _deliver_stream(self, context: ConnectionContext, response: Response) -> None:
        before = error = context.error
        stream = Stream(response, self._app.stream_pool)
        try:
            if await self._back_on_loop(context):  # else nobody is there to get it
                sending = self._send_streamed(context, stream)
                await in_time(context, response, sending)
        except (asyncio.CancelledError, TooSlowError) as exc:
            # What runs in a thread just now is closed when it is done; the task leaves at once.
            keep_going(self._end_beside(context, stream, exc))
            if isinstance(exc, TooSlowError):
                return
            raise
        except Exception as exc:
            error = exc
        try:
            await stream.aclose()
            if error is not None and error is context.error and error is not before:
                raise error  # dealt with: it is to reach the server or the test
            if error is not before:
                await self._errors.handle_broken_stream(context, cast(Exception, error))
        finally:
            await self.tear_down(context, error)

    async def _end_beside(
        self, context: ConnectionContext, stream: Stream, exc: BaseException
    ) -> None:
        try:
            await stream.aclose()
        except Exception:
            _log.exception("The body of a cancelled response could not be closed")
        self._tear_down_beside(context, exc)

    async def _send_complete(self, context: ConnectionContext, response: Response) -> None:
        try:
            for message in response.messages(context.scope["method"], self._extra):
                await context.send(message)
        finally:
            if response._on_close is not None:
                await response.aclose()

    async def _send_streamed(self, context: ConnectionContext, stream: Stream) -> None:
        response = stream.response
        send = Sender(context.send)
        try:
            if type(response).__call__ is not type(response).own_call:
                await response(context.scope, context.receive, send)
                return
            start = response.start_message(self._extra)
            if context.scope["method"] == "HEAD" or not has_body(response.status_code):
                await send(start)
                await send({"type": "http.response.body"})
                return
            path = stream.path_for(context.scope)
            if path is not None:
                await send(start)
                await send({"type": "http.response.pathsend", "path": path})
                return
            await stream.open()
            await stream.send(context, start, send)
        except Exception as exc:
            if send.started:
                raise
            await self._send_complete(context, await self._answer_error(context, exc))

    # The end.

    async def tear_down(
        self,
        context: ConnectionContext,
        exc: BaseException | None,
        left: Iterator[AsyncFunction] | None = None,
    ) -> None:
        """Run the teardown functions, all of them, each exactly once in a request.

        :param left: those that are left to run; all by default.
        """
        if left is None:
            left = self._teardown_steps(context)
            if exc is not None and self._app.should_ignore_error(exc):
                exc = None
        if context.journey is not None:
            context.journey.urgent = True
        try:
            await run_all(left, exc)
        except asyncio.CancelledError:
            self._tear_down_beside(context, exc, left)  # those that have not begun
            raise
        if context._request is not None and context.holds_files:
            context.request.close()

    def _teardown_steps(self, context: ConnectionContext) -> Iterator[AsyncFunction]:
        """The teardown functions, and the receivers of the signals, in Flask's order."""
        yield from context.endpoint.teardown_request
        if context.tearing_down.receivers:
            yield from receivers(context, context.tearing_down)
        yield from context.endpoint.teardown_appcontext
        if appcontext_tearing_down.receivers:
            yield from receivers(context, appcontext_tearing_down)

    def _tear_down_beside(
        self,
        context: ConnectionContext,
        exc: BaseException | None,
        left: Iterator[AsyncFunction] | None = None,
    ) -> None:
        """Run the teardowns in a task of their own, for a request whose task has to leave."""
        context.journey = make_journey(context, self.tear_down(context, exc, left), keep=True)
        keep_going(_finish_journey(context.journey))

    # What is not ours.

    async def _hand_over(self, context: ConnectionContext) -> None:
        """Hand a request to a Starlette route; its HTTP errors are answered as ours are."""
        send = Sender(context.send)
        route: BaseRoute = context.scope["route"]
        scope = self._app._mounted.enter(route, context.scope)
        try:
            await route.handle(scope, context.receive, send)
        except Exception as exc:
            if send.started:
                raise
            await self._deliver(context, await self._answer_error(context, exc))
            if context.reraise:
                raise

    async def _answer_error(self, context: ConnectionContext, exc: Exception) -> Response:
        if isinstance(exc, WorkerPoolFullError):
            return default_response(self._app, exc)
        try:
            value = await self._errors.handle(context, exc)
        except Exception as unhandled:
            value = await self._errors.handle_unexpected(context, unhandled)
        return make_response(self._app, value)

    def _other(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self.router.lifespan(scope, receive, send)
        return self.sockets.handle(scope, receive, send)


async def _finish_journey(journey: Journey[None]) -> None:
    await journey


def _returned_none(function: Any) -> TypeError:
    return TypeError(
        f"The after_request function {name_of(function)!r} returned None, and not a response."
    )
