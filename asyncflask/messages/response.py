"""The response: Werkzeug's interface, with everything put off until somebody asks for it."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from functools import lru_cache
from http import HTTPStatus
from types import EllipsisType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from starlette.concurrency import iterate_in_threadpool
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_etags, remove_entity_headers
from werkzeug.sansio.http import is_resource_modified
from werkzeug.sansio.response import Response as SansIOResponse
from werkzeug.urls import iri_to_uri
from werkzeug.utils import get_content_type

import asyncflask.json as json
from asyncflask.concurrency import (
    Pending,
    ReadyBytes,
    ReadyStr,
    aclose_iterable,
    awaited,
    close_iterable,
    is_async_callable,
    resolve,
    running_loop,
)

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send
    from werkzeug.sansio.request import Request as SansIORequest

    from asyncflask.typing import HeadersValue

RawHeaders = list[tuple[bytes, bytes]]

#: Sent with every response that does not set it: browsers must not guess another content type.
NOSNIFF = (b"x-content-type-options", b"nosniff")

#: One range of bytes: from a place, or so many from the end (RFC 9110, section 14.1.2).
_RANGE = re.compile(r"bytes=\s*([0-9]{0,1000})\s*-\s*([0-9]{0,1000})\s*", re.IGNORECASE)

_BREAKS = re.compile(r"[\r\n]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# PERF: a union in `isinstance` would be made anew each time (scenarios: session, stream).
_COMPLETE = (str, bytes, bytearray)
_HERE = (bytes, list, tuple)
_BYTES = (bytes, bytearray, memoryview)

Chunks = Iterable[str] | Iterable[bytes] | AsyncIterable[str] | AsyncIterable[bytes]


@lru_cache(maxsize=256)
def _checked_type(content_type: str) -> str:
    if _BREAKS.search(content_type):
        raise ValueError(f"The content type {content_type!r} must not contain newlines.")
    return content_type


@lru_cache(maxsize=256)
def _full_content_type(mimetype: str) -> str:
    return _checked_type(get_content_type(mimetype, "utf-8"))


@lru_cache(maxsize=256)
def wire_name(name: str) -> bytes:
    """Return the name of a header as it is sent: ``"X-Room" -> b"x-room"``.

    :raises ValueError: it has other characters than names have, such as a line break.
    """
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a header (RFC 9110, section 5.1).")
    return name.lower().encode()


_current_config: Callable[[], Mapping[str, Any] | None] = lambda: None  # noqa: E731


def set_config_lookup(lookup: Callable[[], Mapping[str, Any] | None]) -> None:
    """Say where the configuration of the current application is found; the context does."""
    global _current_config
    _current_config = lookup


def has_body(status: int) -> bool:
    """Whether a response with this status may have a body (RFC 9110, section 6.4.1)."""
    return status >= 200 and status not in (204, 304)


class Response(SansIOResponse):
    """An HTTP response.

    :param response: the body: ``str``, ``bytes``, a list of them, or an iterable or async iterable
        that is streamed. Sync iterables are pulled in threads.
    :param status: ``200``, ``"200 OK"`` or an ``HTTPStatus``; the class's ``default_status`` else.
    :param headers: a mapping, pairs, or Werkzeug's ``Headers``. Line breaks are refused with a
        ``ValueError``: in values when they are set, in names when they are sent.
    :param mimetype: content type without its parameters; text types get ``charset=utf-8``.
    :param content_type: the whole content type, in place of ``mimetype``.
    :param direct_passthrough: accepted for Flask's code; bodies are never copied here.

    The attributes for single headers (``cache_control``, ``location``, ``vary``, ...) and
    ``set_cookie`` are Werkzeug's.
    """

    default_mimetype: str | None = "text/html"
    direct_passthrough = False
    #: The most seconds that sending may take; None: no limit; ``...``: RESPONSE_TIMEOUT counts.
    timeout: float | EllipsisType | None = ...
    #: Set the ``Content-Length`` where the whole body is known.
    automatically_set_content_length = True

    _headers: Headers | None = None
    _on_close: list[Callable[[], Any]] | None = None

    def __init__(
        self,
        response: str | bytes | bytearray | Chunks | None = None,
        status: int | str | HTTPStatus | None = None,
        headers: HeadersValue | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        # PERF: `Headers` is made at the first access only (scenarios: hooks, session).
        own = None
        if headers is not None:
            own = self._headers = headers if isinstance(headers, Headers) else Headers(headers)
        if content_type is not None:
            content_type = _checked_type(content_type)
        else:
            if mimetype is None and (own is None or "content-type" not in own):
                mimetype = self.default_mimetype
            if mimetype is not None:
                content_type = _full_content_type(mimetype)
        self._content_type = content_type
        if direct_passthrough:
            self.direct_passthrough = True
        if own is not None and content_type is not None:
            own["Content-Type"] = content_type
        if status is None:
            self._status_code = self.default_status
        else:
            self.status = status
        if response is None:
            self.response: bytes | Chunks = []
        elif isinstance(response, _COMPLETE):
            self.set_data(response)
        else:
            self.response = response

    # Werkzeug's attributes, made when asked for.

    @property
    def headers(self) -> Headers:
        """The headers, Werkzeug's ``Headers``."""
        headers = self._headers
        if headers is None:
            content_type = self._content_type
            headers = self._headers = Headers()
            if content_type is not None:
                # PERF: `add` would check it again (scenario: session).
                headers._list.append(("Content-Type", content_type))
            # Werkzeug's responses have the length of a `str` or `bytes` from the beginning.
            if self.automatically_set_content_length and isinstance(self.response, bytes):
                headers._list.append(("Content-Length", str(len(self.response))))
        return headers

    @headers.setter
    def headers(self, value: HeadersValue | Headers) -> None:
        self._headers = value if isinstance(value, Headers) else Headers(value)

    @property
    def status(self) -> str:
        """The status as text: ``"404 NOT FOUND"``."""
        try:
            return self._status
        except AttributeError:
            self._status = self._clean_status(self._status_code)[0]
            return self._status

    @status.setter
    def status(self, value: str | int | HTTPStatus) -> None:
        if value.__class__ is int:
            self._status_code = value
            self.__dict__.pop("_status", None)
        else:
            self._status, self._status_code = self._clean_status(value)
        if not 100 <= self._status_code <= 599:  # servers fail on others
            raise ValueError(
                f"{value!r} is no HTTP status. It is a number from 100 to 599, or that and a text "
                "as in '404 Not Found'."
            )

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]  # as Flask's
        """How long a cookie may be, in bytes, before it warns: ``MAX_COOKIE_SIZE``; 0 never."""
        config = _current_config()
        return SansIOResponse.max_cookie_size if config is None else config["MAX_COOKIE_SIZE"]

    # The body.

    @property
    def is_streamed(self) -> bool:
        """Whether the body is produced piece by piece while it is sent."""
        return not isinstance(self.response, _HERE)

    @property
    def is_sequence(self) -> bool:
        """Whether the whole body is here, so that it can be read more than once."""
        return not self.is_streamed

    def get_data(self, as_text: bool = False) -> Any:
        """Return the whole body; a streamed one is read into memory first.

        In ``async def`` code the result can also be awaited; for a streamed body it must be.

        :param as_text: decode the body as UTF-8.
        """
        in_def_code = running_loop() is None
        if not self.is_streamed or (in_def_code and not isinstance(self.response, AsyncIterable)):
            return _ready(self._join(), as_text)
        return resolve(lambda: self._read_all(as_text), loop=None, expression="response.get_data()")

    def set_data(self, value: str | bytes | bytearray) -> None:
        """Replace the body, and the ``Content-Length``."""
        self.response = value.encode() if isinstance(value, str) else bytes(value)
        if self._headers is not None and self.automatically_set_content_length:
            self._headers["Content-Length"] = str(len(self.response))

    @property
    def data(self) -> Any:
        """The whole body: :meth:`get_data` and :meth:`set_data`."""
        return self.get_data()

    @data.setter
    def data(self, value: str | bytes | bytearray) -> None:
        self.set_data(value)

    def _join(self) -> bytes:
        body = self.response
        if not isinstance(body, bytes):
            self.response = b"".join(self.iter_encoded())
            close_iterable(body)
        return cast(bytes, self.response)

    async def _read_all(self, as_text: bool) -> str | bytes:
        body = self.response
        self.response = b"".join([chunk async for chunk in self._iterate()])
        close_iterable(body)
        return self.response.decode() if as_text else self.response

    def iter_encoded(self) -> Iterator[bytes]:
        """Yield the pieces of the body as bytes: of the body that it has now, as Werkzeug's does.

        :raises RuntimeError: the body is an async iterable.
        """
        if isinstance(self.response, bytes):
            return iter((self.response,))
        if isinstance(self.response, AsyncIterable):
            raise RuntimeError(
                "The body of this response is an async iterable. Read it first, with "
                "'await response.get_data()'."
            )
        return map(encode_chunk, self.response)

    def calculate_content_length(self) -> int | None:
        """Return the number of bytes of a body that is here, else None."""
        return None if self.is_streamed else len(self._join())

    def get_json(self, force: bool = False, silent: bool = False) -> Any:
        """Parse the body as JSON; None where it is none.

        :param force: parse whatever the content type says.
        :param silent: return None instead of raising ``ValueError`` for malformed JSON.
        """
        if not (force or self.is_json):
            return None
        data = self.get_data()
        if isinstance(data, Pending):
            data.raise_misuse("was parsed as JSON")
        try:
            return json.loads(data)
        except ValueError:
            if silent:
                return None
            raise

    @property
    def json(self) -> Any:
        """The body parsed as JSON, see :meth:`get_json`."""
        return self.get_json()

    # Ends.

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        """Call ``func`` when the response was sent, or given up. ``async def`` works too."""
        if self._on_close is None:
            self._on_close = []
        self._on_close.append(func)
        return func

    def close(self) -> None:
        """Close the body if it can be closed, and call the :meth:`call_on_close` functions.

        :raises RuntimeError: one of them is ``async def``.
        """
        close_iterable(self.response)
        for func in self._on_close or ():
            if is_async_callable(func):
                raise RuntimeError(
                    f"{func!r} is to be called when this response is closed, and it is "
                    "'async def'. Write 'await response.aclose()'."
                )
            func()

    async def aclose(self) -> None:
        """:meth:`close` for ``async def`` code: closes async iterables and awaits."""
        try:
            await aclose_iterable(self.response)
        finally:
            await self.call_close_functions()

    async def call_close_functions(self) -> None:
        """Call the :meth:`call_on_close` functions, for a body that is closed by who sent it."""
        for func in self._on_close or ():
            await awaited(func())

    def freeze(self) -> None:
        """Make the response ready to be stored: whole body, content length, ETag."""
        body = self._join()
        self.headers["Content-Length"] = str(len(body))
        self.add_etag()

    # Conditional requests (RFC 9110, sections 13 and 14).

    def add_etag(self, overwrite: bool = False, weak: bool = False) -> None:
        """Set an ETag made from the body, unless there is one.

        :param overwrite: replace one that is there.
        """
        if overwrite or "etag" not in self.headers:
            self.set_etag(hashlib.sha1(self._join()).hexdigest(), weak)

    def make_conditional(
        self,
        request: SansIORequest,
        accept_ranges: bool | str = False,
        complete_length: int | None = None,
    ) -> Response:
        """Answer with 304, 206 or 412 where the request's conditions ask for it.

        Only for GET and HEAD. A body that has ``slice(start, stop)`` is cut by it, others as
        bytes.

        :param accept_ranges: whether ranges are served (or the unit's name); needs
            ``complete_length``, the body's length in bytes.
        :returns: this response.
        :raises RequestedRangeNotSatisfiable: the range lies outside, or it is not one (416).
        """
        if request.method not in ("GET", "HEAD"):
            return self
        get = request.headers.get
        conditions: dict[str, Any] = {
            "http_if_range": get("if-range"),
            "http_if_modified_since": get("if-modified-since"),
            "http_if_none_match": get("if-none-match"),
            "http_if_match": get("if-match"),
        }
        if accept_ranges:
            self.accept_ranges = "bytes" if accept_ranges is True else accept_ranges
        # PERF: Werkzeug reads our own dates before it sees that there is no condition (scenario:
        # static file).
        if not any(conditions.values()) and get("range") is None:
            return self
        conditions["etag"] = self.headers.get("etag")
        conditions["last_modified"] = self.headers.get("last-modified")
        try:
            # Before the range: a download must not go on with another version (RFC 9110, 13.2.2).
            if not is_resource_modified(**conditions):
                self.status_code = 412 if parse_etags(get("if-match")) else 304
                if self.status_code == 304:
                    self.headers.pop("Content-Length", None)
                    if not self.is_streamed:
                        self.response = b""
            elif accept_ranges:
                self._apply_range(get("range"), conditions, complete_length)
        except OverflowError:  # a date with a year that none has: no condition (RFC 9110, 13.1.3)
            pass
        return self

    def _apply_range(
        self,
        http_range: str | None,
        conditions: dict[str, Any],
        complete_length: int | None,
    ) -> None:
        if not complete_length or http_range is None:
            return
        if conditions["http_if_range"] is not None and is_resource_modified(
            http_range=http_range, ignore_if_range=False, **conditions
        ):
            return
        start, stop = _bounds_of(http_range, complete_length)
        self.content_length = stop - start
        self.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{complete_length}"
        self.status_code = 206
        cut = getattr(self.response, "slice", None)
        self.response = self._join()[start:stop] if cut is None else cut(start, stop)

    # What Werkzeug and Quart have besides.

    if not TYPE_CHECKING:  # pragma: no branch - a checker would ask for an await everywhere

        def __await__(self) -> Generator[Any, Any, Self]:
            """Give the response itself: ``await make_response(...)`` is how Quart writes it."""
            return self
            yield

    #: Whether :meth:`make_sequence` is called where a sequence is needed.
    implicit_sequence_conversion = True

    def make_sequence(self) -> None:
        """Read a streamed body into memory, so that it can be read more than once.

        :raises RuntimeError: the body is an async iterable: ``await response.get_data()`` does it.
        """
        self._join()

    @property
    def stream(self) -> ResponseStream:
        """The body as a file that is written to: what is written is added to it."""
        return ResponseStream(self)

    # Sending.

    def start_message(self, extra: RawHeaders | tuple[()] = ()) -> Message:
        """Return the ``http.response.start`` message, without a length.

        :param extra: headers that are added unless they are set.
        """
        if self._headers is not None or self._status_code == 304:
            raw = self._raw_headers(extra)
        elif self._content_type is None:
            raw = list(extra)
        else:
            raw = [(b"content-type", self._content_type.encode("latin-1")), *extra]
        return {"type": "http.response.start", "status": self._status_code, "headers": raw}

    def messages(self, method: str, extra: RawHeaders | tuple[()] = ()) -> tuple[Message, Message]:
        """Return the two messages of a response whose body is here.

        :param method: of the request; HEAD gets the headers of GET without the body.
        :param extra: headers that are added unless they are set.
        """
        start = self.start_message(extra)
        body = self.response
        if body.__class__ is not bytes:
            body = self._join()
        if not has_body(self._status_code):
            body = b""
        elif self.automatically_set_content_length and (
            self._headers is None or not any(n == b"content-length" for n, _ in start["headers"])
        ):
            start["headers"].append((b"content-length", b"%d" % len(body)))
        if method == "HEAD":
            body = b""
        return start, {"type": "http.response.body", "body": body}

    def _raw_headers(self, extra: RawHeaders | tuple[()]) -> RawHeaders:
        headers = self.headers
        if not has_body(self._status_code):
            headers = Headers(headers)
            if self._status_code == 304:
                remove_entity_headers(headers)
            headers.remove("Content-Length")
        raw: RawHeaders = []
        for name, value in headers:
            raw_name = wire_name(name)
            if raw_name in (b"location", b"content-location"):
                value = iri_to_uri(value)
            raw.append((raw_name, value.encode("latin-1", "replace")))
        for pair in extra:
            if not any(name == pair[0] for name, _ in raw):
                raw.append(pair)
        return raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response: it is an ASGI application, as Starlette's responses are."""
        try:
            if not self.is_streamed:
                for message in self.messages(scope["method"], [NOSNIFF]):
                    await send(message)
                return
            await send(self.start_message([NOSNIFF]))
            if scope["method"] != "HEAD" and has_body(self._status_code):
                async for chunk in self._iterate():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            await self.aclose()

    #: What :meth:`__call__` is unless a subclass sends in a way of its own.
    own_call: ClassVar[Callable[..., Any]] = __call__

    async def _iterate(self) -> AsyncIterator[bytes]:
        chunks: Any = self.response
        if not isinstance(chunks, AsyncIterable):
            chunks = iterate_in_threadpool(chunks)
        async for chunk in chunks:
            yield encode_chunk(chunk)


class ResponseStream(io.RawIOBase):
    """The body of a response as a file that is written to.

    :param response: whose body to write.
    """

    mode = "wb+"

    def __init__(self, response: Response) -> None:
        self._response = response

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, value: Any) -> int:
        """Add bytes to the body, and return how many."""
        self._parts().append(bytes(value))
        self._response.headers.pop("Content-Length", None)
        return len(value)

    def tell(self) -> int:
        """Return how many bytes the body has."""
        return sum(map(len, self._parts()))

    def _parts(self) -> list[bytes]:
        response = self._response
        if not isinstance(response.response, list):
            response.response = [response._join()]
        return cast("list[bytes]", response.response)


def _bounds_of(http_range: str, length: int) -> tuple[int, int]:
    """Return where a range begins and ends: ``"bytes=2-4", 10 -> (2, 5)``.

    :raises RequestedRangeNotSatisfiable: nowhere in the body.
    """
    match = _RANGE.fullmatch(http_range)
    first, last = (None, None) if match is None else match.groups()
    start, stop = 0, 0
    if first:
        start, stop = int(first), min(int(last) + 1, length) if last else length
    elif last:  # so many from the end; a shorter body is sent whole
        start, stop = max(length - int(last), 0), length
    if start >= stop:
        raise RequestedRangeNotSatisfiable(length)
    return start, stop


def encode_chunk(chunk: str | bytes | Any) -> bytes:
    """Return a piece of a streamed body as bytes.

    :raises TypeError: it is neither ``str`` nor ``bytes``.
    """
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, _BYTES):
        return bytes(chunk)
    if isinstance(chunk, Pending):
        chunk.raise_misuse("was streamed")
    raise TypeError(
        f"A streamed response yields str or bytes, but this one yielded {type(chunk).__name__}."
    )


def _ready(body: bytes, as_text: bool) -> str | bytes:
    """The body, in a form that ``async def`` code may also await."""
    if running_loop() is None:
        return body.decode() if as_text else body
    return ReadyStr(body.decode()) if as_text else ReadyBytes(body)
