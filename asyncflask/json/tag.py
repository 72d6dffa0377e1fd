"""JSON that keeps more types than JSON has, by tagging them: what session cookies are made of.

The format is Flask's, to the byte. It does not depend on the application's JSON provider, so that
changing the provider never ends the sessions that are out there.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from markupsafe import Markup
from werkzeug.http import http_date, parse_date

from asyncflask.json.provider import FlaskJSONProvider

#: Types that are JSON already; no tag of the standard ones asks for them.
_PLAIN: frozenset[type] = frozenset({str, int, float, bool, type(None)})

#: What msgspec writes as the standard library does, as long as all of it is ASCII.
_ALIKE: frozenset[type] = frozenset({str, int, bool, type(None)})
_TEXT: frozenset[type] = frozenset({str})

_decode_flat = msgspec.json.Decoder().decode
_encode_flat = msgspec.json.Encoder(order="sorted").encode

# PERF: an encoder made once halves the cost against `json.dumps` with options (scenario: session).
_encode = json.JSONEncoder(
    default=FlaskJSONProvider.default, sort_keys=True, separators=(",", ":")
).encode


class JSONTag:
    """Writes and reads one type. Subclass it, and :meth:`TaggedJSONSerializer.register` the class.

    :param serializer: the serializer the tag is registered with.
    """

    __slots__ = ("serializer",)

    #: Marks values of this type. Empty: the tag takes part in writing only.
    key = ""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer = serializer

    def check(self, value: Any) -> bool:
        """Return whether this tag is for ``value``."""
        raise NotImplementedError(f"{type(self).__name__} has to define 'check'.")

    def to_json(self, value: Any) -> Any:
        """Return ``value`` as something that JSON can carry, yet without the tag."""
        raise NotImplementedError(f"{type(self).__name__} has to define 'to_json'.")

    def to_python(self, value: Any) -> Any:
        """Return what :meth:`to_json` was given."""
        raise NotImplementedError(f"{type(self).__name__} has to define 'to_python'.")

    def tag(self, value: Any) -> Any:
        """Return ``value`` as JSON, with the tag around it."""
        return {self.key: self.to_json(value)}


class TagDict(JSONTag):
    """A dictionary whose only key looks like a tag: ``{" t": 1}`` is ``{" di": {" t__": 1}}``."""

    __slots__ = ()
    key = " di"

    def check(self, value: Any) -> bool:
        return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in self._tags

    @property
    def _tags(self) -> dict[str, JSONTag]:
        return self.serializer.tags

    def to_json(self, value: Any) -> Any:
        ((key, item),) = value.items()
        return {f"{key}__": self.serializer.tag(item)}

    def to_python(self, value: Any) -> Any:
        ((key, item),) = value.items()
        return {key[:-2]: item}


class PassDict(JSONTag):
    """Any other dictionary: JSON has those, but its values may want tags."""

    __slots__ = ()

    def check(self, value: Any) -> bool:
        return isinstance(value, dict)

    def to_json(self, value: Any) -> Any:
        return {key: self.serializer.tag(item) for key, item in value.items()}

    tag = to_json


class TagTuple(JSONTag):
    """``tuple``"""

    __slots__ = ()
    key = " t"

    def check(self, value: Any) -> bool:
        return isinstance(value, tuple)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    def to_python(self, value: Any) -> Any:
        return tuple(value)


class PassList(JSONTag):
    """``list``: JSON has it, but its items may want tags."""

    __slots__ = ()

    def check(self, value: Any) -> bool:
        return isinstance(value, list)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    tag = to_json


class TagBytes(JSONTag):
    """``bytes``, as base64."""

    __slots__ = ()
    key = " b"

    def check(self, value: Any) -> bool:
        return isinstance(value, bytes)

    def to_json(self, value: Any) -> Any:
        return b64encode(value).decode("ascii")

    def to_python(self, value: Any) -> Any:
        return b64decode(value)


class TagMarkup(JSONTag):
    """Everything with ``__html__``; it comes back as ``Markup``."""

    __slots__ = ()
    key = " m"

    def check(self, value: Any) -> bool:
        return callable(getattr(value, "__html__", None))

    def to_json(self, value: Any) -> Any:
        return str(value.__html__())

    def to_python(self, value: Any) -> Any:
        return Markup(value)


class TagUUID(JSONTag):
    """``UUID``"""

    __slots__ = ()
    key = " u"

    def check(self, value: Any) -> bool:
        return isinstance(value, UUID)

    def to_json(self, value: Any) -> Any:
        return value.hex

    def to_python(self, value: Any) -> Any:
        return UUID(value)


class TagDateTime(JSONTag):
    """``datetime``, to the second; it comes back in UTC."""

    __slots__ = ()
    key = " d"

    def check(self, value: Any) -> bool:
        return isinstance(value, datetime)

    def to_json(self, value: Any) -> Any:
        return http_date(value)

    def to_python(self, value: Any) -> Any:
        return parse_date(value)


class TaggedJSONSerializer:
    """Writes ``tuple``, ``bytes``, ``Markup``, ``UUID`` and ``datetime`` besides the plain types.

    :meth:`dumps` and :meth:`loads` are what itsdangerous expects of a serializer.
    """

    __slots__ = ("_decode", "_plain", "order", "tags")

    #: The tags that every serializer starts with, in the order in which they are asked.
    default_tags: ClassVar[Sequence[type[JSONTag]]] = [
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        TagDateTime,
    ]

    def __init__(self) -> None:
        self.tags: dict[str, JSONTag] = {}
        self.order: list[JSONTag] = []
        # PERF: `json.loads` would make a decoder each time (scenario: session).
        self._decode = json.JSONDecoder(object_hook=lambda value: self.untag(value)).decode
        for tag_class in self.default_tags:
            self.register(tag_class)
        # Own tags, of a subclass or registered later, may be for plain types too.
        standard = self.default_tags is TaggedJSONSerializer.default_tags
        self._plain: frozenset[type] = _PLAIN if standard else frozenset()

    def register(
        self, tag_class: type[JSONTag], force: bool = False, index: int | None = None
    ) -> None:
        """Add a tag.

        :param tag_class: its class.
        :param force: replace a tag with the same key.
        :param index: its place among the tags, which are asked in order; the last by default.
        :raises KeyError: there is a tag with this key.
        """
        tag = tag_class(self)
        if tag.key:
            if tag.key in self.tags and not force:
                raise KeyError(
                    f"The tag {tag.key!r} is registered already, by "
                    f"{type(self.tags[tag.key]).__name__}. Replace it with force=True."
                )
            self.tags[tag.key] = tag
        self.order.insert(len(self.order) if index is None else index, tag)
        self._plain = frozenset()

    def tag(self, value: Any) -> Any:
        """Return ``value`` with everything in it tagged that JSON does not have."""
        if type(value) in self._plain:
            return value
        for tag in self.order:
            if tag.check(value):
                return tag.tag(value)
        return value

    def untag(self, value: dict[str, Any]) -> Any:
        """Return what a dictionary stands for, if its only key is a tag."""
        if len(value) == 1:
            ((key, item),) = value.items()
            if key in self.tags:
                return self.tags[key].to_python(item)
        return value

    def dumps(self, value: Any) -> str:
        """Return ``value`` as compact JSON.

        :raises TypeError: it holds an object that there is no tag for.
        """
        flat = self._dumps_flat(value) if type(value) is dict and self._plain else None
        return _encode(self.tag(value)) if flat is None else flat

    def _dumps_flat(self, value: dict[Any, Any]) -> str | None:
        """Write a dictionary in which nothing needs a tag; None if something may.

        PERF: a tenth of the cost (scenario: session).
        """
        if not (
            _ALIKE.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value))
        ):
            return None
        try:
            text = _encode_flat(value)
        except ValueError:  # half of a surrogate pair
            return None
        # The only key may look like a tag, and so have to be tagged.
        return text.decode() if text.isascii() and not text.startswith(b'{" ') else None

    def loads(self, value: str | bytes) -> Any:
        """Return what :meth:`dumps` was given."""
        text = value if isinstance(value, str) else value.decode()
        # PERF: tags begin with a space, which could be escaped. Without both there are none: a
        # tenth of the cost (scenario: session).
        if self._plain and '" ' not in text and "\\" not in text:
            try:
                return _decode_flat(text)
            except ValueError:  # not JSON, or the standard library's: it decides
                pass
        return self._decode(text)
