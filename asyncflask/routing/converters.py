"""Converters: what a variable of a rule matches, and its value in Python and in a URL.

Classes written for Werkzeug's ``BaseConverter`` work: ``regex``, ``weight``, ``part_isolating``,
``to_python`` (raising ``ValidationError``) and ``to_url``. The built-in ones differ from Werkzeug's
in that numbers are ASCII digits of bounded length; they are subclasses of Werkzeug's, by which
extensions that describe an API tell what a variable is.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from werkzeug.routing import BaseConverter, ValidationError
from werkzeug.routing import converters as werkzeug

#: Longest number in digits. 640 is the least that ``sys.set_int_max_str_digits`` accepts, so that
#: ``int()`` of a matched text never raises.
MAX_DIGITS = 640

#: Longest run of digits in front of a decimal point: a longer one could become infinity.
MAX_FLOAT_DIGITS = 308

Parser = Callable[[str], Any]


def parser_of(converter: BaseConverter) -> Parser:
    """Return a function that checks a text and converts it, or raises ``ValidationError``.

    The built-in converters have a quick one in ``parser()``. A class that only inherits it may
    have changed ``regex`` or ``to_python``, so it gets the general one.
    """
    if "parser" in vars(type(converter)):
        return converter.parser()  # type: ignore[attr-defined, no-any-return]  # just checked
    return _regex_parser(converter)


def _regex_parser(converter: BaseConverter) -> Parser:
    fullmatch = re.compile(converter.regex).fullmatch
    to_python = converter.to_python

    def parse(text: str) -> Any:
        if fullmatch(text) is None:
            raise ValidationError
        return to_python(text)

    return parse


class UnicodeConverter(werkzeug.UnicodeConverter):
    """A text without slashes: ``<name>``, ``<string(length=2):lang>``.

    :param map: the map, as for every converter.
    :param minlength: least number of characters.
    :param maxlength: greatest number of characters, None for no limit.
    :param length: exact number of characters, in place of the other two.
    """

    def __init__(
        self,
        map: Any,
        minlength: int = 1,
        maxlength: int | None = None,
        length: int | None = None,
    ) -> None:
        super().__init__(map)
        self.minlength = int(minlength if length is None else length)
        upper = maxlength if length is None else length
        self.maxlength = None if upper is None else int(upper)
        bound = "" if self.maxlength is None else self.maxlength
        self.regex = f"[^/]{{{self.minlength},{bound}}}"

    def parser(self) -> Parser:
        """Return a function that only looks at the length: the text has no slashes already."""
        least, most = self.minlength, self.maxlength

        def parse_any_length(text: str) -> str:
            if not text:
                raise ValidationError
            return text

        def parse(text: str) -> str:
            if len(text) < least or (most is not None and len(text) > most):
                raise ValidationError
            return text

        return parse_any_length if (least, most) == (1, None) else parse


class AnyConverter(werkzeug.AnyConverter):
    """One of the texts listed: ``<any(about, help, "foo,bar"):page>``.

    :param map: the map.
    :param items: the texts.
    """

    def __init__(self, map: Any, *items: object) -> None:
        super().__init__(map)
        self.items = {str(item) for item in items}
        self.regex = f"(?:{'|'.join(re.escape(str(item)) for item in items)})"

    def parser(self) -> Parser:
        """Return a function that looks the text up."""
        items = self.items

        def parse(text: str) -> str:
            if text not in items:
                raise ValidationError
            return text

        return parse

    def to_url(self, value: Any) -> str:
        """Return ``value`` as text; ``ValueError`` names the allowed ones if it is none of them."""
        if str(value) in self.items:
            # Werkzeug's own class leaves spaces and the like as they are.
            return BaseConverter.to_url(self, value)
        valid = ", ".join(repr(item) for item in sorted(self.items))
        raise ValueError(f"{str(value)!r} is not one of {valid}.")


class PathConverter(werkzeug.PathConverter):
    """A text that may have slashes, but not as its first character: ``<path:page>/edit``."""


class NumberConverter(werkzeug.NumberConverter):
    """What ``int`` and ``float`` share.

    :param map: the map.
    :param fixed_digits: exact number of characters, filled with zeros; 0 for any number.
    :param min: least value.
    :param max: greatest value.
    :param signed: whether a minus sign may stand in front.
    """

    weight = 50
    num_convert: Callable[[Any], Any] = int

    def __init__(
        self,
        map: Any,
        fixed_digits: int = 0,
        min: float | None = None,
        max: float | None = None,
        signed: bool = False,
    ) -> None:
        super().__init__(map)
        self.fixed_digits = fixed_digits
        self.min = min  # type: ignore[assignment]  # a whole number for Werkzeug, which gives others
        self.max = max  # type: ignore[assignment]
        self.signed = signed
        if signed:
            self.regex = f"-?{self.regex}"

    def to_python(self, value: str) -> Any:
        """Return the number; ``ValidationError`` if it is out of bounds."""
        if self.fixed_digits and len(value) != self.fixed_digits:
            raise ValidationError
        number = self.num_convert(value)
        if (self.min is not None and number < self.min) or (
            self.max is not None and number > self.max
        ):
            raise ValidationError
        return number

    def to_url(self, value: Any) -> str:
        """Return the number as text, filled with zeros if its width is fixed."""
        return str(self.num_convert(value)).zfill(self.fixed_digits)


class IntegerConverter(NumberConverter, werkzeug.IntegerConverter):
    """A whole number of ASCII digits: ``<int:id>``, ``<int(min=1, signed=True):offset>``."""

    regex = f"[0-9]{{1,{MAX_DIGITS}}}"

    def parser(self) -> Parser:
        """Return a function that needs no regular expression, where there are no conditions."""
        if self.signed or self.fixed_digits or self.min is not None or self.max is not None:
            return _regex_parser(self)

        # PERF: three string methods instead of a regular expression (scenario: /users/<int:id>).
        def parse(text: str) -> int:
            if text.isdigit() and text.isascii() and len(text) <= MAX_DIGITS:
                return int(text)
            raise ValidationError

        return parse


class FloatConverter(NumberConverter, werkzeug.FloatConverter):
    """A number with a decimal point: ``<float:price>``, ``<float(signed=True):lat>``.

    :param map: the map.
    :param min: least value.
    :param max: greatest value.
    :param signed: whether a minus sign may stand in front.
    """

    regex = rf"[0-9]{{1,{MAX_FLOAT_DIGITS}}}\.[0-9]{{1,{MAX_DIGITS}}}"
    num_convert = float

    def __init__(
        self,
        map: Any,
        min: float | None = None,
        max: float | None = None,
        signed: bool = False,
    ) -> None:
        super().__init__(map, min=min, max=max, signed=signed)

    def to_url(self, value: Any) -> str:
        """Return the number with digits only: ``0.00001``, not ``1e-05``, which would not match."""
        text = super().to_url(value)
        if "e" not in text:
            return text
        digits = f"{Decimal(text):f}"
        return digits if "." in digits else f"{digits}.0"


class UUIDConverter(werkzeug.UUIDConverter):
    """A UUID in its usual form: ``<uuid:id>``."""

    regex = r"[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}"

    def to_python(self, value: str) -> uuid.UUID:
        """Return the ``uuid.UUID``."""
        return uuid.UUID(value)

    def to_url(self, value: uuid.UUID | str) -> str:
        """Return the usual form."""
        return str(value)


#: The converters of a new map.
DEFAULT_CONVERTERS: Mapping[str, type[BaseConverter]] = {
    "default": UnicodeConverter,
    "string": UnicodeConverter,
    "any": AnyConverter,
    "path": PathConverter,
    "int": IntegerConverter,
    "float": FloatConverter,
    "uuid": UUIDConverter,
}
