"""What the test clients return: httpx's response with Flask's names for its parts."""

from __future__ import annotations

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
            return self.json()
        except ValueError:
            if silent:
                return None
            raise

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
