"""What becomes of an exception: the nearest error handler, or the standard answer."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request as StarletteRequest
from starlette.websockets import WebSocket
from werkzeug.datastructures import Headers
from werkzeug.exceptions import (
    BadRequestKeyError,
    HTTPException,
    InternalServerError,
    default_exceptions,
)
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import RoutingException

from asyncflask.concurrency import is_async_callable
from asyncflask.ctx import current
from asyncflask.exceptions import WorkerPoolFullError
from asyncflask.life.calls import announce, call_function
from asyncflask.life.problem import default_response

if TYPE_CHECKING:
    from starlette.types import ExceptionHandler

    from asyncflask.app import Flask
    from asyncflask.ctx import ConnectionContext


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
    made = made_from(exc)
    if made is not exc:
        return made
    headers = Headers(exc.get_headers())
    headers.remove("Content-Type")  # of the page, which the handler replaces
    detail = exc.description or exc.name
    return StarletteHTTPException(exc.code or 500, detail, dict(headers))


def made_from(exc: Exception) -> Exception:
    """Return the exception of Starlette's that :func:`as_werkzeug` has turned into ``exc``."""
    cause = exc.__cause__
    if not (isinstance(exc, HTTPException) and isinstance(cause, StarletteHTTPException)):
        return exc
    return cause if cause.status_code == exc.code else exc


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

    def prepare(self, exc: Exception) -> Exception:
        """Return what handlers are found for and given: Werkzeug's classes, no group of one.

        :raises WorkerPoolFullError: ``exc``, for handlers may need a worker too.
        """
        exc = as_werkzeug(unwrap(exc))
        if isinstance(exc, WorkerPoolFullError):
            raise exc
        if isinstance(exc, BadRequestKeyError) and (
            self._app.debug or self._app.config["TRAP_BAD_REQUEST_ERRORS"]
        ):
            exc.show_exception = True
        return exc

    def is_http(self, exc: Exception) -> TypeGuard[HTTPException]:
        """Whether ``exc`` has an answer of its own, and is not trapped for debugging."""
        return isinstance(exc, HTTPException) and not self._app.trap_http_exception(exc)

    async def handle(self, context: ConnectionContext, exc: Exception) -> Any:
        """Return what answers an exception of a hook or a view: a return value like a view's.

        :raises Exception: nobody handles it; ``exc`` or what a handler raised.
        """
        exc = self.prepare(exc)
        if self.is_http(exc):
            return await self.handle_http(context, exc)
        return await self.handle_other(context, exc)

    async def handle_http(self, context: ConnectionContext, exc: HTTPException) -> Any:
        """:meth:`handle` for an HTTP exception: without a handler it is the answer itself."""
        if exc.code is None or isinstance(exc, RoutingException):
            return exc
        found = context.endpoint.handlers.find(exc, made_from(exc))
        return exc if found is None else await call_function(context, *found)

    async def handle_other(self, context: ConnectionContext, exc: Exception) -> Any:
        """:meth:`handle` for an exception that has no answer of its own."""
        found = context.endpoint.handlers.find(exc, made_from(exc))
        if found is None:
            raise exc
        return await call_function(context, *found)

    async def handle_unexpected(self, context: ConnectionContext, exc: Exception) -> Any:
        """Return what answers an exception that nobody handled: a 500.

        It is signalled, logged once, and kept in ``context.error`` for the teardown functions.

        :raises Exception: ``exc`` itself where errors are to reach the caller (tests).
        """
        app = self._app
        await self._note(context, exc)
        if self._propagates():
            page = app.debug_response(context, exc)
            if page is None:
                raise exc
            context.reraise = True
            return page
        app.log_exception((type(exc), exc, exc.__traceback__))
        error = InternalServerError(original_exception=exc)
        found = context.endpoint.handlers.find(error)
        if found is None:
            return default_response(app, error)
        try:
            return await call_function(context, *found)
        except Exception as failure:
            logging.getLogger("asyncflask").exception(
                "The error handler for %s failed", type(exc).__name__, exc_info=failure
            )
            return default_response(app, InternalServerError(original_exception=exc))

    async def _note(self, context: ConnectionContext, exc: Exception) -> None:
        context.error = exc
        if context.got_exception.receivers:
            await announce(context, context.got_exception, exception=exc)

    def _propagates(self) -> bool:
        """Whether errors that nobody handles are raised to the server, or to the test."""
        app = self._app
        propagate = app.config["PROPAGATE_EXCEPTIONS"]
        return app.testing or app.debug if propagate is None else bool(propagate)

    async def handle_broken_stream(self, context: ConnectionContext, exc: Exception) -> None:
        """Deal with an error after the response has begun: no other answer can be sent.

        :raises Exception: ``exc``, where errors are to reach the caller.
        """
        await self._note(context, exc)
        if self._propagates():
            raise exc
        self._app.log_exception((type(exc), exc, exc.__traceback__))
