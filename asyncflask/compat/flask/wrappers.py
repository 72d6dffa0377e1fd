"""The request and the response: the framework's and Werkzeug's wrappers in one."""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

from werkzeug import wrappers
from werkzeug.exceptions import HTTPException
from werkzeug.sansio.response import Response as SansIOResponse
from werkzeug.test import run_wsgi_app

from asyncflask.compat.flask import json
from asyncflask.compat.flask.globals import current_app
from asyncflask.concurrency import Pending, Ready, ReadyBytes, ReadyStr, running_loop
from asyncflask.config import DEFAULT_CONFIG
from asyncflask.lazy import lazy
from asyncflask.messages import request as core_request
from asyncflask.messages import response as core_response
from asyncflask.messages.body import no_body
from asyncflask.messages.connection import Application, any_application
from asyncflask.messages.forms import FORM_TYPES
from asyncflask.wsgi.scope import Body, scope_of

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Message, Receive, Scope

    from asyncflask.routing import Rule

#: The most bytes of JSON that are read ahead where no limit is set: the core's own limit.
_MOST_JSON = DEFAULT_CONFIG["MAX_CONTENT_LENGTH"]

_unfinished: Any = object()


class ReadyDict(Ready, dict[str, Any]):
    """A JSON object that can be awaited."""


class ReadyList(Ready, list[Any]):
    """A JSON array that can be awaited."""


class ReadyFloat(Ready, float):
    """A JSON number that can be awaited."""


class ReadyInt(Ready, int):
    """A whole JSON number that can be awaited."""


class ReadyNone(Pending[None]):
    """``None``, which can be awaited: it is false and equals None, all else has to await it.

    So ``request.get_json(silent=True) or {}`` is fine in ``async def`` code.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        self._used = True
        return False

    def __eq__(self, other: object) -> bool:
        self._used = True
        return other is None

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = Pending.__hash__


class Request(core_request.Request, wrappers.Request):  # type: ignore[misc]  # two kinds of form
    """The request that is being handled; it is Werkzeug's ``Request``, too.

    In ``def`` code everything is as in Flask. In ``async def`` code ``form``, ``files``, ``values``
    and ``data`` are values where the body has been read, which is done before an ``async def`` view
    for forms and for JSON; they can be awaited as well. ``json`` and ``get_json()`` are then, too,
    unless it is ``true`` or ``false``. What is wrong with such a body is raised where it is used.
    All else is awaited.

    :param scope: an ASGI scope, or a WSGI environ (PEP 3333), whose ``wsgi.input`` is the body.
    :param receive: the ASGI ``receive``; unused where ``scope`` is an environ.
    :param app: the application; by default that of whichever context is active.
    :param loop: the event loop that serves the request; None for one made by hand.
    :param populate_request: put the request into its environ.
    """

    json_module: Any = json
    #: What was wrong with the body when it was read ahead.
    _failure: HTTPException | None = None

    @property
    def url_rule(self) -> Rule | None:
        """The rule that was matched, or None; it can be set, as Werkzeug's attribute."""
        return super().url_rule

    @url_rule.setter
    def url_rule(self, rule: Rule | None) -> None:
        self.scope["route"] = None if rule is None else SimpleNamespace(path=rule.rule, rule=rule)

    def __init__(
        self,
        scope: Scope | dict[str, Any],
        receive: Receive = no_body,
        app: Application = any_application,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        populate_request: bool = True,
    ) -> None:
        if "wsgi.version" in scope:
            environ = cast("dict[str, Any]", scope)
            scope, receive = scope_of(environ), _receive_from(Body(environ))
            if populate_request:
                environ["werkzeug.request"] = self
        super().__init__(scope, receive, app, loop)

    @lazy
    def environ(self) -> dict[str, Any]:
        """The request as a WSGI environ; ``wsgi.input`` is the body, for ``def`` code."""
        environ = super().environ
        environ.setdefault("wsgi.input", io.BufferedReader(_Input(self)))
        return environ

    def _ask(
        self,
        make: Callable[[], Coroutine[Any, Any, Any]],
        expression: str,
        needs_body: Callable[[], bool] = core_request.always,
    ) -> Awaitable[Any]:
        """Answer with a value where nothing has to be waited for, which can be awaited as well."""
        if running_loop() is not None and not (needs_body() and self._body_is_missing()):
            value = _finished(make())
            if value is None:
                return ReadyNone(make, expression)
            ready = _ready(value)
            if ready is not None:
                return cast("Awaitable[Any]", ready)
        return super()._ask(make, expression, needs_body)

    def _body_is_missing(self) -> bool:
        reader, body = self.form_reader, self._body
        has_form = reader is not None and reader.form is not None
        is_read = has_form or (body is not None and body.whole is not None)
        return not is_read and self._failure is None

    async def read_ahead(self) -> None:
        """Read a body that is a form or JSON, within the limits for these.

        Where no limit is set, JSON of more than 16 MiB is refused: whoever asks for a page could
        fill the memory otherwise, before any hook has a look at the request.
        """
        if self._failure is not None or self.body.streamed:
            return
        try:
            if self.mimetype in FORM_TYPES:
                await self._form_reader().read()
            elif self.is_json:
                await self.body.read(self._json_limit())
        except HTTPException as exc:
            self._failure = exc

    def _json_limit(self) -> int | None:
        limit: int | None = self.app.config["MAX_JSON_LENGTH"]
        return _MOST_JSON if limit is None and self.body.limit is None else limit

    async def _read_json(self, *args: Any) -> Any:
        if self._failure is not None and self.is_json:
            raise self._failure
        return await super()._read_json(*args)

    def _load_form_data(self) -> None:
        """Read the form, for subclasses that have done so by this method of Werkzeug's."""
        assert self.form is not None


_READY_KINDS: dict[type, Callable[[Any], Any]] = {
    bytes: ReadyBytes,
    str: ReadyStr,
    int: ReadyInt,
    float: ReadyFloat,
    dict: ReadyDict,
    list: ReadyList,
}


def _ready(value: Any) -> Any:
    """Return a value that can be awaited; None where it is not there, or its kind has no such."""
    if isinstance(value, Ready):
        return value
    ready = _READY_KINDS.get(type(value))
    return None if ready is None else ready(value)


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine, or ``_unfinished`` where it has something to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()  # an error handler that is `async def`, say: it has to be awaited
    return _unfinished


def _receive_from(body: Body) -> Receive:
    async def receive() -> Message:
        chunk = b"" if body.is_complete else body.read()
        return {"type": "http.request", "body": chunk, "more_body": not body.is_complete}

    return receive


class _Input(io.RawIOBase):
    """``wsgi.input`` of a request that did not come from a WSGI server."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._request.stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class Response(core_response.Response, wrappers.Response):  # type: ignore[misc]  # as above
    """A response; it is Werkzeug's ``Response``, too, and both a WSGI and an ASGI application.

    The parameters are those of :class:`asyncflask.Response`, which are Werkzeug's. A body that is
    here is a list of ``bytes`` in ``response``, as there.
    """

    default_mimetype: str | None = "text/html"
    autocorrect_location_header = False
    json_module: Any = json

    def set_data(self, value: str | bytes | bytearray) -> None:
        """Replace the body, and the ``Content-Length``."""
        data = value.encode() if isinstance(value, str) else bytes(value)
        self.response = [data]
        if self.automatically_set_content_length:
            self.headers["Content-Length"] = str(len(data))

    def _join(self) -> bytes:
        body = self.response
        if isinstance(body, list) and len(body) == 1 and isinstance(body[0], bytes):
            return body[0]
        data = super()._join()
        self.response = [data]
        return data

    def iter_encoded(self) -> Iterator[bytes]:
        """Yield the pieces of the body as bytes; an async iterable is pulled from the loop."""
        if isinstance(self.response, AsyncIterable):
            return _pull(self.response)
        return super().iter_encoded()

    async def _read_all(self, as_text: bool) -> str | bytes:
        data = await super()._read_all(False)
        self.response = [cast(bytes, data)]
        return data.decode() if as_text and isinstance(data, bytes) else data

    def __call__(self, *args: Any) -> Any:
        """Send the response: ``(environ, start_response)``, or ``(scope, receive, send)``."""
        if len(args) == 2:
            return wrappers.Response.__call__(self, *args)
        return core_response.Response.__call__(self, *args)

    own_call = __call__

    @classmethod
    def force_type(cls, response: Any, environ: dict[str, Any] | None = None) -> Self:
        """Make a response of this class of another response, or of a WSGI application.

        :param environ: what a WSGI application is called with.
        :raises TypeError: it is an application, and there is no environ.
        """
        if isinstance(response, cls):
            return response
        if isinstance(response, SansIOResponse):
            made = cls(getattr(response, "response", None), status=response.status)
            made.headers = response.headers
            made.call_on_close(getattr(response, "close", None) or (lambda: None))
            return made
        if environ is None:
            raise TypeError(
                f"{response!r} is no response. To call it as a WSGI application an environ is "
                "needed."
            )
        body, status, headers = run_wsgi_app(response, environ)
        return cls(body, status, headers)


def _pull(pieces: AsyncIterable[str] | AsyncIterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of an async iterable, for ``def`` code; the thread waits for each."""
    iterator = aiter(pieces)
    wait = current_app.wait
    try:
        while True:
            yield core_response.encode_chunk(wait(anext(iterator)))
    except StopAsyncIteration:
        pass
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            wait(close())
