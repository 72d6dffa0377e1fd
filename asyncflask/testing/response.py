"""What the test clients return: httpx's response with Flask's names for its parts."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Literal, overload

from werkzeug.http import parse_options_header

from asyncflask.concurrency import ReadyBytes, ReadyStr
from asyncflask.testing._httpx import httpx


class TestResponse(httpx.Response):
    """The response to a test client's request.

    It is an ``httpx.Response`` (``status_code``, ``headers``, ``text``, ``content``, ``json()``,
    ``cookies``, ``history``, ``url``) with the names that Flask's tests use.
    """

    #: Not a test class, whatever pytest makes of the name.
    __test__ = False

    @property
    def data(self) -> bytes:
        """The body. A streamed one has to be read first: ``await response.aread()``."""
        return self.content

    @overload
    def get_data(self, as_text: Literal[False] = False) -> ReadyBytes: ...
    @overload
    def get_data(self, as_text: Literal[True]) -> ReadyStr: ...
    def get_data(self, as_text: bool = False) -> ReadyBytes | ReadyStr:
        """Return the body, decoded with ``as_text``. It may be awaited, as in Quart."""
        return ReadyStr(self.text) if as_text else ReadyBytes(self.content)

    def get_json(self, force: bool = False, silent: bool = False) -> Any:
        """Return the body parsed as JSON, or None when it is not announced as JSON.

        :param force: parse it whatever its content type.
        :param silent: return None when it is not valid.
        :raises ValueError: it is not valid JSON.
        """
        if not (force or self.is_json):
            return None
        try:
            return super().json()
        except ValueError:
            if silent:
                return None
            raise

    @property
    def json(self) -> JSONBody:
        """The body parsed as JSON: ``response.json()``, or as in Flask ``response.json["id"]``."""
        return JSONBody(self)

    @property
    def is_json(self) -> bool:
        """Whether the content type is ``application/json`` or ``application/*+json``."""
        mimetype = self.mimetype or ""
        return mimetype == "application/json" or (
            mimetype.startswith("application/") and mimetype.endswith("+json")
        )

    @property
    def status(self) -> str:
        """Code and reason as Werkzeug writes them, such as ``"404 NOT FOUND"``."""
        return f"{self.status_code} {self.reason_phrase}".upper()

    @property
    def content_type(self) -> str | None:
        """The ``Content-Type`` header, or None."""
        content_type: str | None = self.headers.get("content-type")
        return content_type

    @property
    def mimetype(self) -> str | None:
        """The content type without its parameters, in lower case, or None."""
        return parse_options_header(self.content_type)[0].lower() or None

    @property
    def content_length(self) -> int | None:
        """The ``Content-Length`` header in bytes, or None."""
        length = self.headers.get("content-length")
        return None if length is None else int(length)

    @property
    def location(self) -> str | None:
        """The ``Location`` header, or None."""
        location: str | None = self.headers.get("location")
        return location


class JSONBody:
    """The body of a response, parsed as JSON: a call gives the value, as in httpx.

    Used without a call it stands for the value of ``get_json()``, as Flask's ``response.json`` is
    one: in comparisons, look-ups and loops. What Python lets nobody notice (``is None``,
    ``isinstance``) needs the call.

    :param response: whose body.
    """

    def __init__(self, response: TestResponse) -> None:
        self._response = response

    def __call__(self, **kwargs: Any) -> Any:
        """Return the value, whatever the content type says.

        :param kwargs: for :func:`json.loads`.
        :raises ValueError: the body is not JSON.
        """
        return httpx.Response.json(self._response, **kwargs)

    def __await__(self) -> Generator[Any, None, Any]:
        """Give the value: Quart's way to write it."""
        return self._response.get_json()
        yield

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response.get_json(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._response.get_json()[key]

    def __contains__(self, item: object) -> bool:
        return item in self._response.get_json()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._response.get_json())

    def __len__(self) -> int:
        return len(self._response.get_json())

    def __bool__(self) -> bool:
        return bool(self._response.get_json())

    def __eq__(self, other: object) -> bool:
        return bool(self._response.get_json() == other)

    __hash__ = None  # type: ignore[assignment]  # as the lists and dictionaries it stands for

    def __repr__(self) -> str:
        return repr(self._response.get_json())
