"""What variables match, and their values in Python and in URLs."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import werkzeug.routing as werkzeug

from asyncflask.routing import (
    BaseConverter,
    BuildError,
    IntegerConverter,
    Map,
    Miss,
    Rule,
    ValidationError,
)

ID = "12345678-1234-5678-1234-567812345678"


def value_of(variable: str, text: str, **converters: type[BaseConverter]) -> Any:
    """Return the value that a variable has for a text, or "no match"."""
    url_map = Map([Rule(f"/{variable}", endpoint="x")], converters=converters)
    found = url_map.compile().match(f"/{text}", "GET")
    return "no match" if isinstance(found, Miss) else found[1]["v"]


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("<v>", "é x", "é x"),
        ("<v>", "", "no match"),
        ("<string(length=2):v>", "ab", "ab"),
        ("<string(length=2):v>", "abc", "no match"),
        ("<string(2, 3):v>", "a", "no match"),
        ("<string(maxlength=3):v>", "abc", "abc"),
        ("<string(maxlength=3):v>.x", "abcd.x", "no match"),
        ("<int:v>", "007", 7),
        ("<int:v>", "-7", "no match"),
        ("<int(signed=True):v>", "-7", -7),
        ("<int(min=3, max=5):v>", "2", "no match"),
        ("<int(min=3, max=5):v>", "3", 3),
        ("<int(min=3, max=5):v>", "6", "no match"),
        ("<int(fixed_digits=3):v>", "012", 12),
        ("<int(fixed_digits=3):v>", "12", "no match"),
        ("<float:v>", "1.5", 1.5),
        ("<float:v>", "1", "no match"),
        ("<float(signed=True, max=2.0):v>", "-1.5", -1.5),
        ("<float(max=2):v>", "2.5", "no match"),
        ("<uuid:v>", ID.upper().lower(), uuid.UUID(ID)),
        ("<uuid:v>", ID + "0", "no match"),
        ("<any(a, 'b,c', 3):v>", "b,c", "b,c"),
        ("<any(a, 'b,c', 3):v>", "3", "3"),
        ("<any(a, 'b,c', 3):v>", "d", "no match"),
        ("<any(a, b):v>.x", "b.x", "b"),
        ("<path:v>", "a/b//c", "a/b//c"),
        ("<path:v>", "/a", "no match"),
    ],
)
def test_each_converter_matches_its_texts(variable: str, text: str, value: Any) -> None:
    """A text that a converter does not take is no match."""
    assert value_of(variable, text) == value


@pytest.mark.parametrize("variable", ["<int:v>", "<int(signed=True):v>", "<int:v>.x", "<float:v>"])
@pytest.mark.parametrize(
    "text",
    ["5\n", "٣", "²", "1" * 5000, "nan", "inf", "1_0", " 1", "+1", "0x1", "1e5", "9" * 5000 + ".0"],
)
def test_hostile_numbers_are_no_match(variable: str, text: str) -> None:
    """Only ASCII digits of bounded length are numbers; nothing raises."""
    assert value_of(variable, text) == "no match"
    assert value_of(variable, f"{text}.x") == "no match" or text == "²"


@pytest.mark.parametrize("variable", ["<path:v>", "<uuid:v>", "<any(a):v>"])
@pytest.mark.parametrize("text", ["a\n", ID + "\n"])
def test_a_newline_at_the_end_is_no_match(variable: str, text: str) -> None:
    """There is no regular expression with "$" anywhere."""
    assert value_of(variable, text) == "no match"


class ListConverter(BaseConverter):
    """Written for Werkzeug: a regex, arguments and both directions."""

    regex = r"\w+(?:,\w+)*"
    part_isolating = True

    def __init__(self, map: Any, separator: str = ",", *, least: int = 1) -> None:
        super().__init__(map)
        self.separator = separator
        self.least = least

    def to_python(self, value: str) -> list[str]:
        """Split the text."""
        parts = value.split(self.separator)
        if len(parts) < self.least:
            raise ValidationError
        return parts

    def to_url(self, value: Any) -> str:
        """Join the texts."""
        if len(value) < self.least:
            raise ValidationError
        return self.separator.join(super(ListConverter, self).to_url(each) for each in value)


def test_converters_written_for_werkzeug_work() -> None:
    """Their regex, arguments, ``ValidationError`` and ``to_url`` are used."""
    url_map = Map(
        [
            Rule("/<list(least=2):names>", endpoint="many"),
            Rule("/<name>", endpoint="one"),
            Rule("/at/<list(least=2):names>", endpoint="at"),
        ],
        converters={"list": ListConverter},
    )
    matcher = url_map.compile()
    assert matcher.match("/a,b", "GET")[1] == {"names": ["a", "b"]}  # type: ignore[index]
    # A conversion that fails tries the next rule.
    assert matcher.match("/a", "GET")[1] == {"name": "a"}  # type: ignore[index]
    assert matcher.match("/at/a", "GET") == Miss()
    assert url_map.build("many", {"names": ["a", "b ü"]}) == "/a,b%20%C3%BC"
    with pytest.raises(BuildError, match="A converter of '/<list"):
        url_map.build("many", {"names": ["a"]})


def test_a_subclass_of_a_built_in_converter_keeps_its_changes() -> None:
    """The quick way of the built-in class is not taken for it."""

    class Even(IntegerConverter):
        def to_python(self, value: str) -> int:
            number: int = super().to_python(value)
            if number % 2:
                raise ValidationError
            return number

    assert value_of("<even:v>", "4", even=Even) == 4
    assert value_of("<even:v>", "5", even=Even) == "no match"
    assert value_of("<int:v>", "٣", int=werkzeug.IntegerConverter) == 3


@pytest.mark.parametrize(
    ("variable", "value", "url"),
    [
        ("<v>", "a b/ü", "/a%20b/%C3%BC"),
        ("<int(fixed_digits=3):v>", "7", "/007"),
        ("<float:v>", 5, "/5.0"),
        ("<float:v>", 1e-5, "/0.00001"),
        ("<float:v>", 1e20, "/100000000000000000000.0"),
        ("<uuid:v>", uuid.UUID(ID), f"/{ID}"),
        ("<any('a b', c):v>", "a b", "/a%20b"),
        ("<path:v>", "a/b", "/a/b"),
    ],
)
def test_values_become_texts_that_match_again(variable: str, value: Any, url: str) -> None:
    """Building is the other direction of matching."""
    assert Map([Rule(f"/{variable}", endpoint="x")]).build("x", {"v": value}) == url


def test_any_refuses_other_values_when_building() -> None:
    """The error names the allowed ones, as Werkzeug's does."""
    with pytest.raises(ValueError, match="'c' is not one of 'a', 'b'"):
        Map([Rule("/<any(a, b):v>", endpoint="x")]).build("x", {"v": "c"})
