"""The request: a connection with a body.

``BaseRequest`` holds what reads the same in all code. What needs the body is an awaitable in
``async def`` code and a value in ``def`` code: one class at run time, ``Request``, that a type
checker sees as ``Request`` for the former and as ``SyncRequest`` for the latter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from io import BufferedReader, BytesIO
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from werkzeug.datastructures import CombinedMultiDict, ImmutableMultiDict, MultiDict
from werkzeug.datastructures import FileStorage as BaseFileStorage
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from asyncflask.concurrency import Pending, ReadyBytes, awaited, resolve, running_loop
from asyncflask.lazy import lazy
from asyncflask.messages.body import Body, BodyFile, check_def_code, no_body
from asyncflask.messages.connection import Application, Connection, any_application
from asyncflask.messages.forms import (
    FORM_TYPES,
    Files,
    Form,
    FormLimits,
    FormReader,
    ReadyCombinedMultiDict,
)

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

T = TypeVar("T")

_unset: Any = object()


def always() -> bool:
    """Say that the body is needed."""
    return True


class _Limit:
    """A limit that is the configuration's until a request is given its own.

    :param key: of the configuration.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def __get__(self, request: BaseRequest | None, owner: type) -> int | None:
        if request is None:  # asked of the class, by a tool
            return None
        limit: int | None = request.app.config[self._key]
        return limit

    if TYPE_CHECKING:
        # The instance's attribute takes the value: there is no `__set__` at run time.
        def __set__(self, request: BaseRequest, value: int | None) -> None: ...


class BaseRequest(Connection):
    """What a request offers to ``def`` and ``async def`` code alike.

    Making one stores its four parameters.

    :param scope: the ASGI scope. Its ``route`` and ``path_params`` say what was matched.
    :param receive: the ASGI ``receive``; only :attr:`body` calls it.
    :param app: the application, for its configuration and its JSON provider; that of whichever
        context is active where none is given.
    :param loop: the event loop that serves the request; None for one made by hand.
    """

    #: What reads the form, from the moment somebody asks for it. Whoever ends the request calls
    #: :meth:`close` when it holds files.
    form_reader: FormReader | None = None

    _body: Body | None = None
    _max_content_length: int | None = _unset
    _cached_data: bytes | None = None
    #: As in Flask: what ``get_json()`` gave with ``silent=False`` and with ``silent=True``.
    _cached_json: tuple[Any, Any] = (_unset, _unset)

    def __init__(
        self,
        scope: Scope,
        receive: Receive = no_body,
        app: Application = any_application,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.app = app
        self.loop = loop

    # --- The body

    @property
    def max_content_length(self) -> int | None:
        """The most bytes the body may have, or None; set it before the body is read.

        By default ``MAX_CONTENT_LENGTH``. A larger body raises ``RequestEntityTooLarge`` (413).
        """
        limit = self._max_content_length
        return self.app.config["MAX_CONTENT_LENGTH"] if limit is _unset else limit

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value
        if self._body is not None:
            self._body.limit = value

    #: The most bytes over all fields of a form; by default ``MAX_FORM_MEMORY_SIZE``.
    max_form_memory_size = _Limit("MAX_FORM_MEMORY_SIZE")
    #: The most fields and files of a form; by default ``MAX_FORM_PARTS``.
    max_form_parts = _Limit("MAX_FORM_PARTS")

    @property
    def body(self) -> Body:
        """The body: ``await request.body``, or ``async for chunk in request.body``."""
        body = self._body
        if body is None:
            limit, config = self._max_content_length, self.app.config
            if limit is _unset:
                limit = config["MAX_CONTENT_LENGTH"]
            length, timeout = self._content[2], config["BODY_TIMEOUT"]
            body = self._body = Body(self.receive, limit, length, timeout, self.loop)
        return body

    @property
    def stream(self) -> IO[bytes]:
        """The body as a binary file, for ``def`` code.

        :raises RuntimeError: an event loop runs here, which reading would block.
        """
        check_def_code()
        return self._stream

    @lazy
    def _stream(self) -> IO[bytes]:
        if self.body.whole is not None:
            return BytesIO(self.body.whole)
        return BufferedReader(BodyFile(self.body, self.loop))

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """Answer for ``get_json()`` where there is no JSON; what this returns, it returns.

        :param e: what is wrong with the text; None when the content type is not JSON's.
        :raises BadRequest: by default; with the details where the application is in debug mode.
        :raises UnsupportedMediaType: by default, without ``e``.
        """
        if e is None:
            raise UnsupportedMediaType(
                "Did not attempt to load JSON data because the request Content-Type was not "
                "'application/json'."
            )
        if self.app.debug:
            raise BadRequest(f"Failed to decode JSON object: {e}") from e
        raise BadRequest("The request body is not valid JSON.") from e

    def close(self) -> None:
        """Close the files that were uploaded."""
        if self.form_reader is not None:
            self.form_reader.close()

    def _ask(
        self,
        make: Callable[[], Coroutine[Any, Any, T]],
        expression: str,
        needs_body: Callable[[], bool] = always,
    ) -> Awaitable[T]:
        """Answer an accessor as the one rule says; only a body to be read needs the loop."""
        loop = self.loop
        if loop is not None and loop is running_loop():  # PERF: the usual case (scenario: form)
            return Pending(make, expression, 3)
        if not needs_body() or self.body.whole is not None:
            loop = None
        # What 'def' code gets is the value itself, typed for it in SyncRequest.
        return cast("Awaitable[T]", resolve(make, loop=loop, expression=expression))

    def _is_form(self) -> bool:
        return self.mimetype in FORM_TYPES

    def _form_reader(self) -> FormReader:
        if self.form_reader is None:
            config = self.app.config
            limits = FormLimits(
                self.max_form_memory_size,
                self.max_form_parts,
                config["MAX_FORM_FILES"],
                config["MAX_FORM_PART_HEADERS"],
                config["MAX_FORM_PART_HEADER_SIZE"],
                config["FORM_SPOOL_SIZE"],
            )
            mimetype, parameters, _ = self._content
            self.form_reader = FormReader(self.body, mimetype, parameters, limits, self.app.debug)
        return self.form_reader

    async def _read_form(self) -> Form:
        return (await self._form_reader().read())[0]

    async def _read_files(self) -> Files:
        return (await self._form_reader().read())[1]

    async def _read_values(self) -> ReadyCombinedMultiDict[str, str]:
        # A form in a GET is left out: caches and logs do not see it (as in Flask).
        sources = [MultiDict(self.args)]
        if self.method not in {"GET", "HEAD"}:
            sources.append(await self._read_form())
        return ReadyCombinedMultiDict(sources)

    async def _read_data(self, cache: bool = True, parse_form_data: bool = True) -> bytes:
        if self._cached_data is not None:
            return self._cached_data
        if parse_form_data and self._content[0] in FORM_TYPES:
            await self._form_reader().read()
            return b""
        if self.form_reader is not None and self.body.streamed:
            return b""
        data = self.body.read_now()
        if not isinstance(data, bytes):
            data = await data
        if cache:
            self._cached_data = data
        return data

    async def _read_text(self, cache: bool, parse_form_data: bool) -> str:
        return (await self._read_data(cache, parse_form_data)).decode(errors="replace")

    async def _read_json(
        self, force: bool = False, silent: bool = False, cache: bool = True
    ) -> Any:
        if cache and self._cached_json[silent] is not _unset:
            return self._cached_json[silent]
        # PERF: the usual type is known without a property (scenario: JSON echo).
        if not (force or self._content[0] == "application/json" or self.is_json):
            return None if silent else await self._without_json(None)
        data = self.body.read_now(self.app.config["MAX_JSON_LENGTH"])
        if not isinstance(data, bytes):
            data = await data
        try:
            value = self._load_json(data)
        except ValueError as exc:
            value = None if silent else await self._without_json(exc)
            if cache:
                normal, silenced = self._cached_json
                self._cached_json = (normal, value) if silent else (value, silenced)
        else:
            if cache:
                self._cached_json = (value, value)
        return value

    async def _without_json(self, e: ValueError | None) -> Any:
        return await awaited(self.on_json_loading_failed(e))


class Request(BaseRequest):
    """The request that is being handled.

    In ``async def`` code ``form``, ``files``, ``values``, ``data``, ``json``, ``get_json()`` and
    ``get_data()`` are awaited; in ``def`` code they are plain values.
    """

    @property
    def form(self) -> Awaitable[Form]:
        """The fields of the form; empty when the body is no form.

        :raises BadRequest: the form is malformed.
        :raises RequestEntityTooLarge: it passes one of the limits.
        """
        reader = self.form_reader
        if reader is not None and reader.form is not None:
            return reader.form
        return self._ask(self._read_form, "request.form", self._is_form)

    @property
    def files(self) -> Awaitable[Files]:
        """The files of the form, as :class:`~asyncflask.messages.forms.FileStorage`.

        :raises BadRequest: the form is malformed.
        :raises RequestEntityTooLarge: it passes one of the limits.
        """
        reader = self.form_reader
        if reader is not None and reader.files is not None:
            return reader.files
        return self._ask(self._read_files, "request.files", self._is_form)

    @property
    def values(self) -> Awaitable[ReadyCombinedMultiDict[str, str]]:
        """:attr:`args` and then, unless this is a GET or HEAD, :attr:`form`, as one mapping."""
        return self._ask(self._read_values, "request.values", self._is_form)

    @property
    def data(self) -> Awaitable[bytes]:
        """The body as bytes; empty when it is a form."""
        if self._cached_data is not None:
            return ReadyBytes(self._cached_data)
        return self._ask(self._read_data, "request.data")

    @property
    def json(self) -> Awaitable[Any]:
        """What :meth:`get_json` gives."""
        return self._ask(self._read_json, "request.json")

    def get_json(
        self, force: bool = False, silent: bool = False, cache: bool = True
    ) -> Awaitable[Any]:
        """Return the body read as JSON.

        :param force: whatever the content type is.
        :param silent: give None instead of calling :meth:`on_json_loading_failed`.
        :param cache: give the same object at each call.
        :raises UnsupportedMediaType: the content type is not JSON's.
        :raises BadRequest: the body is not JSON.
        :raises RequestEntityTooLarge: the body is larger than ``MAX_JSON_LENGTH``.
        """
        read = partial(self._read_json, force, silent, cache)
        return self._ask(read, "request.get_json()", lambda: force or self.is_json)

    @overload
    def get_data(
        self, cache: bool = ..., as_text: Literal[False] = ..., parse_form_data: bool = ...
    ) -> Awaitable[bytes]: ...

    @overload
    def get_data(
        self, cache: bool = ..., *, as_text: Literal[True], parse_form_data: bool = ...
    ) -> Awaitable[str]: ...

    def get_data(
        self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
    ) -> Awaitable[bytes] | Awaitable[str]:
        """Return the body.

        The bytes of a urlencoded form can be had after it was parsed; those of a multipart form
        cannot, and come out empty, unless this was called first.

        :param cache: make :attr:`data` give these bytes even if they are a form.
        :param as_text: decode it as UTF-8; what is not comes out as U+FFFD.
        :param parse_form_data: read it as a form if it is one, and then return nothing.
        """
        if as_text:
            text = partial(self._read_text, cache, parse_form_data)
            return self._ask(text, "request.get_data(as_text=True)")
        return self._ask(partial(self._read_data, cache, parse_form_data), "request.get_data()")


if TYPE_CHECKING:

    class SyncRequest(BaseRequest):
        """:class:`Request` as ``def`` code sees it."""

        @property
        def form(self) -> ImmutableMultiDict[str, str]: ...
        @property
        def files(self) -> ImmutableMultiDict[str, BaseFileStorage]: ...
        @property
        def values(self) -> CombinedMultiDict[str, str]: ...
        @property
        def data(self) -> bytes: ...
        @property
        def json(self) -> Any: ...
        def get_json(
            self, force: bool = False, silent: bool = False, cache: bool = True
        ) -> Any: ...
        @overload
        def get_data(
            self, cache: bool = ..., as_text: Literal[False] = ..., parse_form_data: bool = ...
        ) -> bytes: ...
        @overload
        def get_data(
            self, cache: bool = ..., *, as_text: Literal[True], parse_form_data: bool = ...
        ) -> str: ...
        def get_data(
            self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
        ) -> bytes | str: ...

else:
    SyncRequest = Request
