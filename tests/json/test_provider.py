"""The JSON providers: ours, and the one that does what Flask does."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import gc
import io
import json
import math
import uuid
import weakref
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any, TypedDict

import attrs
import flask
import flask.json.provider
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

import asyncflask.json
from asyncflask.concurrency import Pending, ReadyBytes, ReadyStr
from asyncflask.exceptions import MissingAwaitError
from asyncflask.json import DefaultJSONProvider, FlaskJSONProvider, JSONProvider


class FakeResponse:
    """A response that keeps what it was made of."""

    def __init__(self, body: bytes | str, mimetype: str) -> None:
        self.body = body if isinstance(body, bytes) else body.encode()
        self.mimetype = mimetype


class App:
    """What a provider asks of an application."""

    debug = False
    response_class: Any = FakeResponse


@pytest.fixture
def provider() -> DefaultJSONProvider:
    return DefaultJSONProvider(None)


@dataclasses.dataclass
class Point:
    x: int
    y: Any


@attrs.define
class Line:
    start: Point


class Shape(msgspec.Struct):
    name: str
    origin: Point


class Row(TypedDict):
    id: int


class Model(pydantic.BaseModel):
    id: int
    day: date


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Measure(float):
    pass


class Moment(datetime):
    pass


class Money(decimal.Decimal):
    pass


class Rendered:
    def __html__(self) -> str:
        return "<b>bold</b>"


SIMPLE = [
    ({"b": 1, "a": [True, None, 1.5]}, '{"b":1,"a":[true,null,1.5]}'),
    ("Zoë", '"Zoë"'),
    (2**200, str(2**200)),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05Z"'),
    (datetime(2026, 1, 2, 3, 4, 5), '"2026-01-02T03:04:05"'),
    (Moment(2026, 1, 2), '"2026-01-02T00:00:00"'),
    (date(2026, 1, 2), '"2026-01-02"'),
    (time(3, 4), '"03:04:00"'),
    (timedelta(seconds=90), '"PT90S"'),
    (decimal.Decimal("1.10"), '"1.10"'),
    (Money("2.50"), '"2.50"'),
    (uuid.UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
    (Color.RED, '"red"'),
    (Level.HIGH, "3"),
    ((1, 2), "[1,2]"),
    ({1}, "[1]"),
    (b"ab", '"YWI="'),
    (ReadyBytes(b"ab"), '"YWI="'),
    (ReadyStr("here"), '"here"'),
    (Point(1, [Point(2, None)]), '{"x":1,"y":[{"x":2,"y":null}]}'),
    (Line(Point(1, 2)), '{"start":{"x":1,"y":2}}'),
    (Shape("o", Point(1, 2)), '{"name":"o","origin":{"x":1,"y":2}}'),
    (Row(id=1), '{"id":1}'),
    (Model(id=1, day=date(2026, 1, 2)), '{"id":1,"day":"2026-01-02"}'),
    (Rendered(), '"<b>bold</b>"'),
    (Markup("<i>"), '"<i>"'),
    (Text("plain"), '"plain"'),
    (Number(4), "4"),
    (Measure(0.5), "0.5"),
    ({uuid.UUID(int=1): 1}, '{"00000000-0000-0000-0000-000000000001":1}'),
    ({True: 1, None: 2, 3: 4, 0.5: 6}, '{"true":1,"null":2,"3":4,"0.5":6}'),
    (MultiDict([("a", "1"), ("a", "2")]), '{"a":"1"}'),
    (MultiDict([("a", 1), ("b", "x")]), '{"a":1,"b":"x"}'),
    ({"args": ImmutableMultiDict([("a", "1")]), "tags": ["x"]}, '{"args":{"a":"1"},"tags":["x"]}'),
]


@pytest.mark.parametrize(("obj", "expected"), SIMPLE)
def test_values_are_written(provider: DefaultJSONProvider, obj: Any, expected: str) -> None:
    """Each kind of value has one form, in text and in bytes."""
    assert provider.dumps(obj) == expected
    assert provider.dumps_bytes(obj) == expected.encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: st.lists(children)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_writing_and_reading_agree_with_the_standard_library(value: Any) -> None:
    """What is written can be read, here and by the standard library, and the other way round."""
    provider = DefaultJSONProvider(None)
    text = provider.dumps(value)
    assert json.loads(text) == value
    assert provider.loads(text) == value
    assert provider.loads(text.encode()) == value
    assert provider.loads(json.dumps(value)) == value
    assert json.loads(provider.dumps(value, indent=1)) == value


# What is refused


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, Measure("nan")])
@pytest.mark.parametrize("options", [{}, {"indent": 2}])
def test_what_is_not_a_number_is_refused(
    provider: DefaultJSONProvider, number: float, options: dict[str, Any]
) -> None:
    """NaN and the infinities have no form in JSON; the error says where they are."""
    place = r"\(at \['rows'\]\[1\]\['price'\]\)"
    with pytest.raises(ValueError, match=place):
        provider.dumps({"rows": [{"price": 1.0}, {"price": number}]}, **options)
    with pytest.raises(ValueError, match="not JSON compliant"):
        provider.dumps(number, **options)


@pytest.mark.parametrize("holder", [Point(1, math.nan), (math.nan,), {"a": Point(0, (math.inf,))}])
def test_what_is_not_a_number_is_found_in_objects(
    provider: DefaultJSONProvider, holder: Any
) -> None:
    """Objects are looked into as well."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        provider.dumps(holder)


def test_null_and_lists_of_text_are_not_taken_for_something_odd(
    provider: DefaultJSONProvider,
) -> None:
    """A result that had to be looked at twice is the same."""
    rows = [{"id": 1, "note": None, "size": 1.5, "tags": ["a", None], "at": Point(1, None)}]
    assert json.loads(provider.dumps(rows)) == [
        {"id": 1, "note": None, "size": 1.5, "tags": ["a", None], "at": {"x": 1, "y": None}}
    ]


@pytest.mark.parametrize("options", [{}, {"sort_keys": True}])
def test_an_object_that_is_not_json_is_named(
    provider: DefaultJSONProvider, options: dict[str, Any]
) -> None:
    """The error names the type and the place."""
    with pytest.raises(TypeError, match=r"type object is not JSON serializable \(at \['a'\]\[0\]"):
        provider.dumps({"a": [{"b": object()}]}, **options)
    with pytest.raises(TypeError, match=r"type object is not JSON serializable$"):
        provider.dumps(object(), **options)
    with pytest.raises(TypeError, match=r"type type is not JSON serializable$"):
        provider.dumps(Point, **options)


def test_a_key_that_is_not_json_is_told(provider: DefaultJSONProvider) -> None:
    """Keys are text, numbers or what has a textual form."""
    with pytest.raises(TypeError, match="type tuple is not JSON"):
        provider.dumps({(1, 2): 3})


def test_an_object_that_contains_itself_is_refused(provider: DefaultJSONProvider) -> None:
    """Neither way of writing hangs or overflows."""
    loop: list[Any] = []
    loop.append(loop)
    for options in ({}, {"indent": 1}):
        with pytest.raises(ValueError, match=r"contains itself|Circular"):
            provider.dumps(loop, **options)


def test_a_coroutine_is_refused_with_a_hint(provider: DefaultJSONProvider) -> None:
    """What has to be awaited cannot be JSON."""

    async def load() -> int:
        return 1

    coroutine = load()
    with pytest.raises(TypeError, match=r"type coroutine .* an 'await' is missing"):
        provider.dumps({"count": coroutine})
    coroutine.close()


def test_a_result_of_ours_that_was_not_awaited_says_so(provider: DefaultJSONProvider) -> None:
    """The error names the line and what to write."""

    async def read() -> int:
        return 1

    pending = Pending(read, "request.get_json()")
    with pytest.raises(MissingAwaitError, match=r"write: await request.get_json\(\)"):
        provider.dumps([pending])


def test_text_that_is_not_unicode_is_refused(provider: DefaultJSONProvider) -> None:
    """A lone surrogate cannot be UTF-8."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        provider.dumps_bytes("\ud800")


# Reading


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[1,]",
        "{'a': 1}",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "01",
        "1 2",
        "nul",
    ],
)
def test_what_is_not_json_is_refused(provider: DefaultJSONProvider, text: str) -> None:
    """Every malformed text is a ValueError."""
    with pytest.raises(ValueError, match=r"malformed|truncated|out of range|decode"):
        provider.loads(text)


@pytest.mark.parametrize("body", [b'"\xff"', b"\xff", "{}".encode("utf-16")])
def test_bytes_that_are_not_utf_8_are_refused(provider: DefaultJSONProvider, body: bytes) -> None:
    """JSON between systems is UTF-8 (RFC 8259, section 8.1)."""
    with pytest.raises(ValueError, match=r"malformed|truncated|out of range|decode"):
        provider.loads(body)


def test_a_byte_order_mark_is_passed_over(provider: DefaultJSONProvider) -> None:
    """Some editors write one."""
    assert provider.loads("\ufeff[1]".encode()) == [1]


@pytest.mark.parametrize("options", [{}, {"parse_int": int}])
def test_nesting_is_bounded(provider: DefaultJSONProvider, options: dict[str, Any]) -> None:
    """A text that is nested very deeply is a ValueError, not a crash."""
    with pytest.raises(ValueError, match="nested too deeply"):
        provider.loads("[" * 200_000 + "]" * 200_000, **options)


def test_reading_takes_the_options_of_the_standard_library(provider: DefaultJSONProvider) -> None:
    """Any keyword argument is one of ``json.loads``; NaN is refused all the same."""
    assert provider.loads("[1.10]", parse_float=decimal.Decimal) == [decimal.Decimal("1.10")]
    with pytest.raises(ValueError, match="NaN is not JSON"):
        provider.loads("[NaN]", parse_float=float)


def test_big_integers_keep_every_digit(provider: DefaultJSONProvider) -> None:
    """Integers are not limited to 64 bits."""
    assert provider.loads(str(2**200)) == 2**200


# Options of our provider


def test_keyword_arguments_are_those_of_the_standard_library(provider: DefaultJSONProvider) -> None:
    """With options the standard library writes, with our defaults."""
    obj = {"b": "é", "a": date(2026, 1, 2)}
    assert provider.dumps(obj, sort_keys=True) == '{"a":"2026-01-02","b":"é"}'
    assert provider.dumps([1], indent=1) == "[\n 1\n]"
    assert provider.dumps([object()], default=lambda _: "o") == '["o"]'


def test_attributes_are_flasks(provider: DefaultJSONProvider) -> None:
    """What Flask's provider can be told by attributes, ours can be told too."""
    provider.sort_keys = True
    assert provider.dumps({"b": 1, "a": 2}) == '{"a":2,"b":1}'
    assert provider.dumps_bytes({"b": 1, "a": 2}) == b'{"a":2,"b":1}'
    provider.sort_keys = False
    provider.ensure_ascii = True
    assert provider.dumps_bytes("é") == b'"\\u00e9"'
    provider.ensure_ascii = False
    provider.compact = False
    assert provider.dumps_bytes({"a": 1}) == b'{\n  "a": 1\n}'
    assert provider.dumps({"a": 1}) == '{"a":1}'


def test_compact_none_follows_debug_mode() -> None:
    """As in Flask, None means compact outside of debug mode."""
    app = App()
    provider = DefaultJSONProvider(app)
    provider.compact = None
    assert provider.dumps_bytes([1]) == b"[1]"
    app.debug = True
    assert provider.dumps_bytes([1]) == b"[\n  1\n]"


def test_default_may_be_replaced(provider: DefaultJSONProvider) -> None:
    """A function set on the instance is asked about unknown objects."""
    provider.default = lambda obj: ["object", None]
    assert provider.dumps(object()) == '["object",null]'


def test_default_may_be_overridden() -> None:
    """A method of a subclass is asked, and may ask the original."""

    class Provider(DefaultJSONProvider):
        @staticmethod
        def default(obj: Any) -> Any:
            if isinstance(obj, complex):
                return [obj.real, obj.imag]
            return DefaultJSONProvider.default(obj)

    assert Provider(None).dumps([1 + 2j, Rendered()]) == '[[1.0,2.0],"<b>bold</b>"]'


# The base, files and responses


def test_the_base_asks_for_its_methods() -> None:
    """A provider has to write dumps and loads; the rest follows from them."""
    with pytest.raises(NotImplementedError, match="JSONProvider has to define 'dumps'"):
        JSONProvider(None).dumps(1)
    with pytest.raises(NotImplementedError, match="JSONProvider has to define 'loads'"):
        JSONProvider(None).loads("1")

    class Standard(JSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return json.dumps(obj, **kwargs)

        def loads(self, s: str | bytes, **kwargs: Any) -> Any:
            return json.loads(s, **kwargs)

    app = App()
    provider = Standard(app)
    file = io.StringIO()
    provider.dump({"a": "é"}, file, sort_keys=True)
    file.seek(0)
    assert file.getvalue() == '{"a": "\\u00e9"}'
    assert provider.load(file) == {"a": "é"}
    assert provider.load(io.BytesIO(b"[1]")) == [1]
    assert provider.dumps_bytes({"a": "é"}) == b'{"a": "\\u00e9"}'
    assert response_of(provider, [1]) == (b"[1]", "application/json")


def response_of(provider: JSONProvider, *args: Any, **kwargs: Any) -> tuple[bytes, str]:
    response: Any = provider.response(*args, **kwargs)
    return response.body, response.mimetype


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1,), {}), ((1, 2), {}), ((), {"a": 1}), (([],), {})]
)
def test_a_response_takes_what_flasks_takes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """One argument is the value, several are a list, keywords an object; no line break is added."""
    app = App()
    flask_app = flask.Flask("shop")
    expected = flask_app.json.response(*args, **kwargs)
    body, mimetype = response_of(DefaultJSONProvider(app), *args, **kwargs)
    assert body + b"\n" == expected.data
    assert mimetype == expected.mimetype == "application/json"


def test_a_response_is_made_of_arguments_or_keywords() -> None:
    """Both at once have no meaning."""
    app = App()
    with pytest.raises(TypeError, match="not of both"):
        DefaultJSONProvider(app).response(1, a=2)


def test_the_mimetype_may_be_changed() -> None:
    """The attribute is the content type of responses."""
    app = App()
    provider = DefaultJSONProvider(app)
    provider.mimetype = "application/vnd.shop+json"
    assert response_of(provider) == (b"null", "application/vnd.shop+json")


@pytest.mark.parametrize("kind", [DefaultJSONProvider, FlaskJSONProvider])
def test_a_provider_does_not_keep_its_application_alive(kind: type[JSONProvider]) -> None:
    """The application owns the provider, not the other way round."""
    app = App()
    provider = kind(app)
    reference = weakref.ref(app)
    del app
    gc.collect()
    assert reference() is None
    with pytest.raises(ReferenceError):
        provider.response(1)


# Flask's behaviour


FLASK_VALUES = [
    {"b": 1, "a": [None, True, "é"]},
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    date(2026, 1, 2),
    decimal.Decimal("1.10"),
    uuid.UUID(int=7),
    Point(1, [Point(2, 3)]),
    Rendered(),
    Markup("<i>"),
    math.nan,
    (1, 2),
    MultiDict([("a", "1"), ("a", "2")]),
    {},
]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("value", FLASK_VALUES)
def test_the_flask_provider_writes_what_flask_writes(value: Any, debug: bool) -> None:
    """Text and responses are the same, byte for byte."""
    flask_app = flask.Flask("shop")
    flask_app.debug = debug
    app = App()
    app.debug = debug
    ours = FlaskJSONProvider(app)
    assert ours.dumps(value) == flask_app.json.dumps(value)
    assert ours.dumps(value, indent=3) == flask_app.json.dumps(value, indent=3)
    response = flask_app.json.response(value)
    assert response_of(ours, value) == (response.data, response.mimetype)


@pytest.mark.parametrize("attribute", ["ensure_ascii", "sort_keys", "compact"])
def test_the_flask_provider_has_flasks_attributes(attribute: str) -> None:
    """The attributes have the same defaults and the same effect."""
    app, flask_app = App(), flask.Flask("shop")
    ours, theirs = FlaskJSONProvider(app), flask_app.json
    assert isinstance(theirs, flask.json.provider.DefaultJSONProvider)
    assert getattr(ours, attribute) == getattr(theirs, attribute)
    setattr(ours, attribute, False)
    setattr(theirs, attribute, False)
    value = {"b": "é", "a": 1}
    assert response_of(ours, value)[0] == theirs.response(value).data


@pytest.mark.parametrize("value", [object(), {1}, b"x"])
def test_the_flask_provider_refuses_what_flask_refuses(value: Any) -> None:
    """The errors say the same."""
    with pytest.raises(TypeError) as theirs:
        flask.Flask("shop").json.dumps(value)
    with pytest.raises(TypeError) as ours:
        FlaskJSONProvider(None).dumps(value)
    assert str(ours.value) == str(theirs.value)


def test_the_flask_provider_reads_what_flask_reads() -> None:
    """NaN and the encodings of the standard library pass."""
    provider = FlaskJSONProvider(None)
    assert math.isnan(provider.loads("NaN"))
    assert provider.loads("[1]".encode("utf-16")) == [1]
    assert provider.loads("[1.5]", parse_float=str) == ["1.5"]


# The functions of the module


@pytest.fixture
def current() -> Iterator[SimpleNamespace]:
    """A place that says which provider is the current application's."""
    before = asyncflask.json._lookup
    place = SimpleNamespace(provider=None)
    asyncflask.json.set_provider_lookup(lambda: place.provider)
    yield place
    asyncflask.json.set_provider_lookup(before)


def test_the_functions_use_the_current_provider(current: SimpleNamespace) -> None:
    """Inside an application its provider does the work."""
    app = App()
    current.provider = FlaskJSONProvider(app)
    file = io.StringIO()
    asyncflask.json.dump(date(2026, 1, 2), file)
    assert file.getvalue() == '"Fri, 02 Jan 2026 00:00:00 GMT"'
    assert asyncflask.json.dumps({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'
    assert math.isnan(asyncflask.json.loads("NaN"))
    assert math.isnan(asyncflask.json.load(io.BytesIO(b"NaN")))
    response: Any = asyncflask.json.jsonify(a=1)
    assert response.body == b'{"a":1}\n'


def test_the_functions_work_without_an_application(current: SimpleNamespace) -> None:
    """Outside of one, the default provider does the work; only a response needs an application."""
    file = io.StringIO()
    asyncflask.json.dump([1], file)
    assert file.getvalue() == asyncflask.json.dumps([1]) == "[1]"
    assert asyncflask.json.loads(b"[1]") == [1]
    assert asyncflask.json.load(io.StringIO("[1]")) == [1]
    with pytest.raises(RuntimeError, match=r"use 'with app.app_context\(\):'"):
        asyncflask.json.jsonify(1)
    with pytest.raises(RuntimeError):
        flask.jsonify(1)


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**64), 10**300])
def test_integers_of_any_size_go_both_ways(number: int) -> None:
    """What can be read can be written."""
    provider = DefaultJSONProvider(None)
    assert provider.loads(provider.dumps_bytes({"n": number})) == {"n": number}
