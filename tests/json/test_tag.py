"""Tagged JSON, beside Flask's."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask as RealFlask
from flask.json.tag import TaggedJSONSerializer as FlaskSerializer
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from asyncflask import Flask
from asyncflask.json import DefaultJSONProvider
from asyncflask.json.tag import JSONTag, TaggedJSONSerializer, TagTuple

ours = TaggedJSONSerializer()
flasks = FlaskSerializer()
the_flask = RealFlask(__name__)


def dumped_by_flask(value: Any) -> str:
    with the_flask.app_context():  # its settings for JSON come from there
        return flasks.dumps(value)


# Keys that look like tags are what the format has to take care of.
keys = st.sampled_from([" di", " t", " b", " m", " u", " d", " t__", "", "a"]) | st.text()
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
times = st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=5))))
tagged = st.binary() | st.uuids() | times | st.text().map(Markup)
values = st.recursive(
    plain | tagged,
    lambda children: (
        st.lists(children) | st.lists(children).map(tuple) | st.dictionaries(keys, children)
    ),
    max_leaves=20,
)


@settings(max_examples=100)
@given(values)
def test_it_writes_what_flask_writes(value: Any) -> None:
    """To the byte, for every type that has a tag."""
    assert ours.dumps(value) == dumped_by_flask(value)


@given(st.dictionaries(keys, st.none() | st.booleans() | st.integers() | st.text()))
def test_flat_dictionaries_are_flasks_too(value: dict[str, Any]) -> None:
    """They are written another way, as long as that makes no difference."""
    assert ours.dumps(value) == dumped_by_flask(value)
    assert ours.loads(dumped_by_flask(value)) == value


@pytest.mark.parametrize(
    "value",
    [{"\ud800": 1}, {"a": "\udfff"}, {"\u00e4": "\x7f\0/"}, {1: "b", 0: "a"}, {" t": 1}, {}],
)
def test_flat_dictionaries_with_odd_content_are_flasks(value: dict[Any, Any]) -> None:
    """Half pairs of surrogates, control characters, numbers as keys, and what looks like a tag."""
    assert ours.dumps(value) == dumped_by_flask(value)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        '{"a":1e400}',
        '{"a":1,"b":2,"a":3}',
        '{"\\u0020t":[1]}',
        '{ " t" : [1] }',
        '"\\ud800"',
        "123456789012345678901234567890",
    ],
)
def test_it_reads_all_that_the_standard_library_takes_for_json(text: str) -> None:
    """Tags with spaces around them and with escapes, and numbers that are not JSON's."""
    assert repr(ours.loads(text)) == repr(flasks.loads(text))


@pytest.mark.parametrize("text", ["", "{", "01", '"\x01"', "[1,]", "\ufeff1"])
def test_what_is_no_json_is_refused(text: str) -> None:
    """With the standard library's error."""
    with pytest.raises(json.JSONDecodeError):
        ours.loads(text)


@settings(max_examples=100)
@given(values)
def test_it_reads_what_flask_reads(value: Any) -> None:
    """The same values of the same types come back."""
    text = dumped_by_flask(value)
    assert repr(ours.loads(text)) == repr(flasks.loads(text))


@dataclass
class Point:
    """Something that has no tag."""

    x: int


@pytest.mark.parametrize(
    "value", [date(2024, 2, 29), Decimal("1.50"), Point(3), [float("inf")], {1: "a"}]
)
def test_types_without_a_tag_are_written_as_flask_does(value: Any) -> None:
    """Some lose their type: a date becomes text."""
    assert ours.dumps(value) == dumped_by_flask(value)


def test_other_types_are_refused() -> None:
    """The message names the type."""
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        ours.dumps({"a": object()})


def test_the_provider_of_the_application_has_no_say() -> None:
    """Sessions stay readable when it is changed."""
    app = Flask(__name__)
    app.json = DefaultJSONProvider(app)
    value = {"b": "ü", "a": date(2024, 2, 29)}
    with app.app_context():
        assert ours.dumps(value) == dumped_by_flask(value)


class TagOrderedDict(JSONTag):
    """The example of Flask's documentation."""

    __slots__ = ()
    key = " od"

    def check(self, value: Any) -> bool:
        return isinstance(value, OrderedDict)

    def to_json(self, value: Any) -> Any:
        return [[key, self.serializer.tag(item)] for key, item in value.items()]

    def to_python(self, value: Any) -> Any:
        return OrderedDict(value)


class TagInt(JSONTag):
    """A tag for a type that JSON has."""

    __slots__ = ()
    key = " i"

    def check(self, value: Any) -> bool:
        return type(value) is int

    def to_json(self, value: Any) -> Any:
        return hex(value)

    def to_python(self, value: Any) -> Any:
        return int(value, 16)


def test_further_types_can_be_registered() -> None:
    """In front of the tag for dictionaries, which would take it."""
    serializer = TaggedJSONSerializer()
    serializer.register(TagOrderedDict, index=0)
    value = OrderedDict(b=(1, 2), a=b"x")
    text = serializer.dumps({"it": value})
    assert text == '{"it":{" od":[["b",{" t":[1,2]}],["a",{" b":"eA=="}]]}}'
    again = serializer.loads(text)["it"]
    assert type(again) is OrderedDict
    assert again == value


def test_a_tag_may_be_for_a_type_that_json_has() -> None:
    """The short way past such types is closed then."""
    serializer = TaggedJSONSerializer()
    serializer.register(TagInt)
    assert serializer.dumps([17, "a"]) == '[{" i":"0x11"},"a"]'
    assert serializer.loads('[{" i":"0x11"},"a"]') == [17, "a"]


def test_a_subclass_has_its_own_tags() -> None:
    """In ``default_tags``."""

    class Own(TaggedJSONSerializer):
        default_tags = (TagInt, TagTuple)

    assert Own().dumps((1,)) == '{" t":[{" i":"0x1"}]}'


def test_a_key_is_registered_once() -> None:
    """Unless the second tag is to replace the first."""
    serializer = TaggedJSONSerializer()
    with pytest.raises(KeyError, match=r"' t' is registered already, by TagTuple.*force=True"):
        serializer.register(TagTuple)
    serializer.register(TagTuple, force=True)
    assert serializer.loads('{" t":[1]}') == (1,)


@pytest.mark.parametrize("method", ["check", "to_json", "to_python"])
def test_a_tag_has_to_say_what_it_does(method: str) -> None:
    """What is missing is named."""
    with pytest.raises(NotImplementedError, match=f"JSONTag has to define '{method}'"):
        getattr(JSONTag(ours), method)(1)


def test_types_come_back() -> None:
    """All of them at once, read by eye."""
    uuid = UUID("12345678123456781234567812345678")
    moment = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    value = {"t": (1, [b"\0"]), "m": Markup("<b>"), "u": uuid, "d": moment, "n": {" t": None}}
    assert ours.loads(ours.dumps(value)) == value
