"""How long a response says it is, and how long it is."""

from __future__ import annotations

from collections.abc import Iterable


class FramingError(RuntimeError):
    """A response is not as long as its ``Content-Length`` says.

    It would be read together with the next one on its connection, and servers let it through.
    """


class Framing:
    """Counts the body of a response (RFC 9112, section 6.3).

    :param headers: of the response; names and values are bytes.
    :param bodiless: whether it has no body, whatever its length says: ``HEAD``, 204, 304.
    :raises FramingError: there are several lengths, or it is no number.
    """

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], *, bodiless: bool) -> None:
        lengths = [value for name, value in headers if name.lower() == b"content-length"]
        if len(lengths) > 1 or not all(value.isdigit() for value in lengths):
            raise FramingError(f"The response's Content-Length is not one number: {lengths!r}.")
        #: How many bytes are to come; None where nothing tells.
        self._left = int(lengths[0]) if lengths and not bodiless else None

    def count(self, chunk: bytes, *, is_last: bool) -> None:
        """Take note of a piece, before it is sent.

        :raises FramingError: it is too much; or it is the last, and too little.
        """
        if self._left is None:
            return
        self._left -= len(chunk)
        if self._left < 0 or (is_last and self._left):
            than = "longer" if self._left < 0 else "shorter"
            raise FramingError(f"The response's body is {than} than its Content-Length says.")
