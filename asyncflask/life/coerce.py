"""What becomes of a view's return value: a response."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from numbers import Number
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import Response as StarletteResponse
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.sansio.response import Response as SansIOResponse

from asyncflask.concurrency import Pending, Ready, is_async_callable
from asyncflask.ctx import current, current_connection
from asyncflask.life.problem import default_response
from asyncflask.messages.response import RawHeaders, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from asyncflask.app import Flask

# PERF: a union in `isinstance` would be made anew each time (scenarios: session, stream).
_COMPLETE = (str, bytes, bytearray)
_ITERABLES = (AsyncIterable, Iterator)
_BODIES = (str, AsyncGeneratorType, GeneratorType)

_EXPECTED = (
    "A view returns a str, bytes, a value for JSON (dict, list, dataclass, ...), a response, an "
    "iterable or async iterable of str or bytes, an ASGI application, or a tuple "
    "(body, status), (body, headers) or (body, status, headers)."
)


def make_response(app: Flask, value: Any) -> Response:
    """Turn what a view returned into a response of the application's class.

    :raises TypeError: the value is none of the kinds that views may return.
    """
    cls = app.response_class
    if value.__class__ in _BODIES:  # PERF: no keywords, no questions (scenarios: hooks, stream)
        return cls(value)
    status = headers = None
    if isinstance(value, tuple):
        value, status, headers = _take_apart(value)
    if isinstance(value, _COMPLETE):
        # Status and headers go to the class, which may treat them its own way.
        return cls(value, status=status, headers=headers)
    if value.__class__ is dict or value.__class__ is list:
        response = _from_json(app, value)
    else:
        response = value if isinstance(value, (cls, AsgiResponse)) else _from_body(app, value)
    if headers:
        response.headers.update(headers)
    if status is not None:
        response.status = status
    return response


def _take_apart(value: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    if len(value) == 3:
        return value
    if len(value) == 2:
        if isinstance(value[1], Headers | Mapping | tuple | list):
            return value[0], None, value[1]
        return value[0], value[1], None
    raise TypeError(
        f"{_returner()} returned a tuple of {len(value)}. A tuple must have the form (body, "
        "status), (body, headers) or (body, status, headers)."
    )


def _returner() -> str:
    """Name the view that is at work, for messages."""
    connection = current_connection()
    if connection is None:
        return "make_response() was given what no view may return: it"
    endpoint = connection.endpoint
    name = endpoint.name or getattr(endpoint.function, "__name__", "?")
    code = getattr(inspect.unwrap(cast(Any, endpoint.function)), "__code__", None)
    where = "" if code is None else f" ({code.co_filename}:{code.co_firstlineno})"
    return f"The view {name!r}{where}"


def _from_body(app: Flask, body: Any) -> Response:
    if body is None:
        raise TypeError(
            f"{_returner()} returned None, or ended without a return statement. {_EXPECTED}"
        )
    if isinstance(body, Pending):
        body.raise_misuse("was returned by a view")
    if isinstance(body, HTTPException):
        return default_response(app, body)
    if isinstance(body, SansIOResponse):
        return _from_werkzeug(app.response_class, body)
    if isinstance(body, _ITERABLES) and not callable(body) and not hasattr(body, "__await__"):
        return app.response_class(cast(Any, body))
    if is_async_callable(body):
        return AsgiResponse(body, nosniff=app.config["CONTENT_TYPE_NOSNIFF"])
    if inspect.isawaitable(body) and not isinstance(body, Ready):
        if inspect.iscoroutine(body):
            body.close()
        raise TypeError(
            f"{_returner()} returned a {type(body).__name__} that was not awaited. Write "
            "'return await ...'."
        )
    if isinstance(body, Number):  # JSON, but hardly meant: Flask takes it for a mistake as well
        raise TypeError(
            f"{_returner()} returned {body!r}; it was a {type(body).__name__}. {_EXPECTED}"
        )
    return _from_json(app, body)


def _from_json(app: Flask, body: Any) -> Response:
    try:
        return app.json.response(body)
    except TypeError as exc:
        if isinstance(body, Iterable) and not isinstance(body, Mapping | list):
            return app.response_class(cast(Any, body))
        if callable(body):
            force_type = getattr(app.response_class, "force_type", None)
            if force_type is not None:  # a class of Werkzeug's kind: it calls the application
                return cast(Response, force_type(body, current.get().request.environ))
            raise TypeError(
                f"{_returner()} returned the callable {body!r}, which is no ASGI application. A "
                "WSGI application has to be wrapped to be one, with asyncflask.wsgi.WSGIAdapter."
            ) from None
        raise TypeError(
            f"{_returner()} returned a value of type {type(body).__name__}, which is no response: "
            f"{exc}. "
            f"{_EXPECTED}"
        ) from exc


def _from_werkzeug(cls: type[Response], foreign: SansIOResponse) -> Response:
    """A response of Werkzeug's, or of another class of ours."""
    body = getattr(foreign, "response", b"")
    if isinstance(body, list | tuple) and not isinstance(foreign, Response):
        body = b"".join(cast(Any, foreign).iter_encoded())
    response = cls(body, status=foreign.status)
    response.headers = foreign.headers
    response.timeout = getattr(foreign, "timeout", ...)
    close = getattr(foreign, "aclose", None) or getattr(foreign, "close", None)
    if close is not None:
        response.call_on_close(close)
    return response


class AsgiResponse(Response):
    """Stands for a Starlette response or an ASGI application that a view returned.

    It is sent by that application. ``status_code`` and ``headers`` are the application's where they
    are known before (Starlette's responses), and what hooks change or add in them is sent.
    """

    automatically_set_content_length = False

    def __init__(self, app: ASGIApp, *, nosniff: bool = False) -> None:
        super().__init__()
        self._app = app
        self._known: RawHeaders = []
        if isinstance(app, StarletteResponse):
            self.status_code = app.status_code
            self._known = list(app.raw_headers)
        self._known_status = self._status_code
        self.headers = Headers(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._known]
        )
        if nosniff:
            self.headers.setdefault("X-Content-Type-Options", "nosniff")

    @property
    def is_streamed(self) -> bool:
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = self._change(message)
            await send(message)

        await self._app(scope, receive, send_changed)

    def _change(self, message: Message) -> Message:
        status = self._status_code if self._status_code != self._known_status else message["status"]
        now = self._raw_headers(())
        added = [pair for pair in now if pair not in self._known]
        removed = [pair for pair in self._known if pair not in now]
        # What hooks set takes the place of what the application sends; these can stand beside it.
        replaced = {name for name, _ in added} - {b"set-cookie", b"vary"}
        kept = [
            (name, value)
            for name, value in message.get("headers", ())
            if (name, value) not in removed and name.lower() not in replaced
        ]
        return {**message, "status": status, "headers": [*kept, *added]}
