"""What becomes of an exception: the nearest error handler, or the standard answer."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request as StarletteRequest
from starlette.websockets import WebSocket
from werkzeug.datastructures import Headers
from werkzeug.exceptions import (
    BadRequest,
    BadRequestKeyError,
    HTTPException,
    InternalServerError,
    default_exceptions,
)
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import RequestRedirect, RoutingException

from asyncflask.concurrency import is_async_callable
from asyncflask.ctx import current
from asyncflask.exceptions import WorkerPoolFullError
from asyncflask.life.calls import announce, call_function

if TYPE_CHECKING:
    from starlette.types import ExceptionHandler

    from asyncflask.app import Flask
    from asyncflask.ctx import ConnectionContext
    from asyncflask.messages.response import Response

PROBLEM_JSON = "application/problem+json"


def unwrap(exc: Exception) -> Exception:
    """Return the single member of an ``ExceptionGroup``, any depth; others as they are."""
    while isinstance(exc, ExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    return exc


def as_werkzeug(exc: Exception) -> Exception:
    """Turn Starlette's ``HTTPException`` into Werkzeug's with that code."""
    if not isinstance(exc, StarletteHTTPException):
        return exc
    cls = _class_for(exc.status_code)
    standard = HTTP_STATUS_CODES.get(exc.status_code)
    detail = exc.detail if exc.detail.lower() != (standard or "").lower() else None
    http_exc = cls(detail) if detail else cls()
    http_exc.__cause__ = exc
    if exc.headers:
        http_exc.get_headers = _with_headers(http_exc.get_headers, dict(exc.headers))  # type: ignore[method-assign]
    return http_exc


@functools.cache
def _class_for(code: int) -> type[HTTPException]:
    """Werkzeug's class for a code; one of ours, always the same, where there is none."""
    return default_exceptions.get(code) or type("HTTPException", (HTTPException,), {"code": code})


def as_starlette(exc: Exception) -> Exception:
    """Turn Werkzeug's ``HTTPException`` into what it was made from, or else into Starlette's.

    An error 500 becomes the exception that nobody handled, which Starlette gives to its handlers.
    """
    if not isinstance(exc, HTTPException):
        return exc
    unhandled: Exception | None = getattr(exc, "original_exception", None)
    if unhandled is not None:
        return unhandled
    cause = exc.__cause__
    if isinstance(cause, StarletteHTTPException) and cause.status_code == exc.code:
        return cause
    headers = Headers(exc.get_headers())
    headers.remove("Content-Type")  # of the page, which the handler replaces
    detail = exc.description or exc.name
    return StarletteHTTPException(exc.code or 500, detail, dict(headers))


def _with_headers(get_headers: Any, extra: dict[str, str]) -> Any:
    def get(*args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        names = {name.lower() for name in extra}
        kept = [pair for pair in get_headers(*args, **kwargs) if pair[0].lower() not in names]
        return [*kept, *extra.items()]

    return get


def from_starlette(handler: ExceptionHandler) -> Callable[[Exception], Any]:
    """Make an error handler of ours from one of Starlette's kind, ``handler(request, exc)``.

    Its exceptions are Starlette's, too: see :func:`as_starlette`.
    """

    def arguments(exc: Exception) -> tuple[Any, Exception]:
        context = cast("ConnectionContext", current.get().connection_context)
        cls: Any = WebSocket if context.scope["type"] == "websocket" else StarletteRequest
        return cls(context.scope, context.receive, context.send), as_starlette(exc)

    if is_async_callable(handler):

        async def async_handler(exc: Exception) -> Any:
            return await cast(Any, handler)(*arguments(exc))

        return async_handler
    return lambda exc: handler(*arguments(exc))


class Errors:
    """Handles the exceptions of one application's requests.

    :param app: the application.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app

    async def handle(self, context: ConnectionContext, exc: Exception) -> Any:
        """Return what answers an exception of a hook or a view: a return value like a view's.

        :raises Exception: nobody handles it; ``exc`` or what a handler raised.
        """
        original = unwrap(exc)
        exc = as_werkzeug(original)
        app = self._app
        if isinstance(exc, BadRequestKeyError) and (
            app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"]
        ):
            exc.show_exception = True
        if isinstance(exc, WorkerPoolFullError):
            raise exc  # handlers and hooks may need a worker too
        is_http = isinstance(exc, HTTPException) and not self._is_trapped(exc)
        if is_http and (exc.code is None or isinstance(exc, RoutingException)):  # type: ignore[attr-defined]
            return self.default_response(context, exc)  # type: ignore[arg-type]
        found = context.endpoint.handlers.find(exc, original)
        if found is not None:
            return await call_function(context, *found)
        if is_http:
            return self.default_response(context, exc)  # type: ignore[arg-type]
        raise exc

    def _is_trapped(self, exc: HTTPException) -> bool:
        """Whether ``exc`` is treated as a bug, for debugging."""
        config = self._app.config
        if config["TRAP_HTTP_EXCEPTIONS"]:
            return True
        trap = config["TRAP_BAD_REQUEST_ERRORS"]
        if trap is None and self._app.debug and isinstance(exc, BadRequestKeyError):
            return True
        return bool(trap) and isinstance(exc, BadRequest)

    async def handle_unexpected(self, context: ConnectionContext, exc: Exception) -> Any:
        """Return what answers an exception that nobody handled: a 500.

        It is signalled, logged once, and kept in ``context.error`` for the teardown functions.

        :raises Exception: ``exc`` itself where errors are to reach the caller (tests).
        """
        app = self._app
        context.error = exc
        if context.got_exception.receivers:
            await announce(context, context.got_exception, exception=exc)
        if app._propagates():
            page = app.debug_response(context, exc)
            if page is None:
                raise exc
            context.reraise = True
            return page
        app.log_exception((type(exc), exc, exc.__traceback__))
        error = InternalServerError(original_exception=exc)
        found = context.endpoint.handlers.find(error)
        if found is None:
            return self.default_response(context, error)
        try:
            return await call_function(context, *found)
        except Exception as failure:
            logging.getLogger("asyncflask").exception(
                "The error handler for %s failed", type(exc).__name__, exc_info=failure
            )
            return self.default_response(context, InternalServerError(original_exception=exc))

    async def handle_broken_stream(self, context: ConnectionContext, exc: Exception) -> None:
        """Deal with an error after the response has begun: no other answer can be sent.

        :raises Exception: ``exc``, where errors are to reach the caller.
        """
        app = self._app
        context.error = exc
        if context.got_exception.receivers:
            await announce(context, context.got_exception, exception=exc)
        if app._propagates():
            raise exc
        app.log_exception((type(exc), exc, exc.__traceback__))

    def default_response(self, context: ConnectionContext, exc: HTTPException) -> Response:
        """Answer an HTTP exception: a page, or RFC 9457 JSON where the client prefers it."""
        app = self._app
        if isinstance(exc, RequestRedirect):
            return app.redirect(exc.new_url, exc.code)
        if exc.response is not None:
            return app.make_response(exc.response)
        scope: Any = context.scope
        headers = Headers(exc.get_headers(None, scope))
        if not _prefers_json(context):
            response = app.response_class(exc.get_body(None, scope), headers=headers)
        else:
            headers.remove("Content-Type")
            problem = {
                "type": "about:blank",
                "title": exc.name,
                "status": exc.code,
                "detail": exc.description,
            }
            response = app.response_class(
                app.json.dumps(problem), headers=headers, content_type=PROBLEM_JSON
            )
        response.status_code = exc.code or 500
        return response


def _prefers_json(context: ConnectionContext) -> bool:
    accept = next((v for k, v in context.scope["headers"] if k == b"accept"), b"")
    if b"json" not in accept:  # browsers and tools that take anything get the page
        return False
    accepts = context.connection.accept_mimetypes
    json = max(accepts.quality(PROBLEM_JSON), accepts.quality("application/json"))
    return json > accepts["text/html"]
