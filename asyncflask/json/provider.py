"""JSON providers: how one application writes and reads JSON.

``DefaultJSONProvider`` is fast (msgspec) and follows today's conventions; ``FlaskJSONProvider``
follows Flask's: ``app.json = FlaskJSONProvider(app)``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import weakref
from collections.abc import Callable, Iterable
from datetime import date, time
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, AnyStr, NoReturn, Protocol
from uuid import UUID

import msgspec
from werkzeug.datastructures import MultiDict
from werkzeug.http import http_date

if TYPE_CHECKING:
    from asyncflask.messages.response import Response

    class JSONApp(Protocol):
        """What a provider has to know of its application."""

        @property
        def debug(self) -> bool: ...

        @property
        def response_class(self) -> type[Response]: ...


class JSONProvider:
    """The base of all providers: subclass it and write :meth:`dumps` and :meth:`loads`.

    :param app: the application, kept as a weak reference in ``_app``. None makes a provider that
        does everything except :meth:`response`.
    """

    #: The content type of :meth:`response`.
    mimetype = "application/json"

    def __init__(self, app: JSONApp | None) -> None:
        if app is not None:
            self._app: JSONApp = weakref.proxy(app)

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return ``obj`` as JSON.

        :param kwargs: for the library underneath.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define 'dumps'.")

    def dumps_bytes(self, obj: Any) -> bytes:
        """Return ``obj`` as the body of a JSON response, which views' return values become too."""
        return self.dumps(obj).encode()

    def dump(self, obj: Any, fp: IO[str], **kwargs: Any) -> None:
        """Write ``obj`` as JSON into a text file, which should be UTF-8."""
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value of a JSON text.

        :param s: the text, or its bytes in UTF-8.
        :param kwargs: for the library underneath.
        :raises ValueError: it is not JSON.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define 'loads'.")

    def load(self, fp: IO[AnyStr], **kwargs: Any) -> Any:
        """Return the value of a JSON file, open as text or as bytes."""
        return self.loads(fp.read(), **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Make a response of JSON; :func:`asyncflask.jsonify` calls this.

        :param args: the value; several are sent as a list, none as ``null``.
        :param kwargs: in place of ``args``: the members of an object.
        :raises TypeError: both were given.
        """
        body = self.dumps_bytes(self._prepare_response_obj(args, kwargs))
        return self._app.response_class(body, mimetype=self.mimetype)

    def _prepare_response_obj(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and kwargs:
            raise TypeError("A JSON response is made of args or kwargs, not of both.")
        if len(args) == 1:
            return args[0]
        return args or kwargs or None


class _NotJSONError(TypeError):
    """``obj`` cannot be written as JSON."""

    def __init__(self, obj: Any) -> None:
        hint = ", an 'await' is missing" if hasattr(type(obj), "__await__") else ""
        super().__init__(f"Object of type {type(obj).__name__} is not JSON serializable{hint}")
        self.obj = obj


def _refuse(obj: Any) -> NoReturn:
    if hasattr(type(obj), "raise_misuse"):  # a result of ours that was not awaited
        obj.raise_misuse("was put into JSON")
    raise _NotJSONError(obj)


def _default(obj: Any) -> Any:
    """Turn what msgspec does not know into what it knows."""
    if obj is None or isinstance(obj, bool):  # as a key only
        return json.dumps(obj)
    if hasattr(obj, "__html__"):
        return str(obj.__html__())
    # Subclasses of the plain types, ``numpy.float64`` for one.
    for plain in (str, int, float):
        if isinstance(obj, plain):
            return plain(obj)
    if isinstance(obj, bytes):
        return bytes(obj)
    if isinstance(obj, date | time):
        return obj.isoformat()
    if isinstance(obj, Decimal):
        return str(obj)
    if hasattr(type(obj), "model_dump"):  # a pydantic model
        return obj.model_dump(mode="json")
    _refuse(obj)


def _flask_default(obj: Any) -> Any:
    """Turn what the standard library does not know into what it knows, as Flask does."""
    if isinstance(obj, date):
        return http_date(obj)
    if isinstance(obj, Decimal | UUID):
        return str(obj)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return dataclasses.asdict(obj)
    if hasattr(obj, "__html__"):
        return str(obj.__html__())
    _refuse(obj)


#: What needs no second look when the written JSON is checked.
_PLAIN = frozenset({str, int, bool, type(None)})
#: How a MultiDict begins: an object whose first value is a list.
_MULTI_DICT = re.compile(rb'\{"(?:[^"\\]|\\.)*":\[')
_decode = msgspec.json.Decoder().decode
_BYTE_ORDER_MARK = "\ufeff".encode()


class DefaultJSONProvider(JSONProvider):
    """JSON by msgspec: fast, and as the readers of an API expect it today.

    Written are, besides the plain types: dates and times (ISO 8601), ``Decimal`` and ``UUID``
    (strings), enums (their values), dataclasses, attrs classes, ``msgspec.Struct``, pydantic's
    models, sets (lists), ``bytes`` (base64), Werkzeug's ``MultiDict`` (first values) and objects
    with ``__html__``. Keys keep their order, text stays UTF-8.

    ``NaN`` and the infinities are refused both ways, they are not JSON (RFC 8259, section 6).
    """

    #: Called for an object that cannot be written; returns one that can, or raises ``TypeError``.
    default: Callable[[Any], Any] = staticmethod(_default)
    #: Sort the keys of objects.
    sort_keys = False
    #: Write other characters than ASCII as escapes.
    ensure_ascii = False
    #: Leave out spaces and line breaks in responses. None: outside of debug mode only.
    compact: bool | None = True

    def __init__(self, app: JSONApp | None) -> None:
        super().__init__(app)
        # The attribute is read at each call: it may be replaced on the instance, as in Flask.
        self._encode = msgspec.json.Encoder(enc_hook=lambda obj: self.default(obj)).encode

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return ``obj`` as JSON.

        :param kwargs: those of :func:`json.dumps`; with any, the standard library does the work.
        :raises TypeError: it holds an object that is not JSON.
        :raises ValueError: it holds ``NaN`` or an infinity, contains itself or is too deep.
        """
        if kwargs or self.sort_keys or self.ensure_ascii:
            return self._dumps_standard(obj, kwargs)
        return self._dumps_fast(obj).decode()

    def dumps_bytes(self, obj: Any) -> bytes:
        """Return ``obj`` as the body of a JSON response. Raises what :meth:`dumps` does."""
        if self.compact is not True or self.sort_keys or self.ensure_ascii:
            options = {} if _is_compact(self) else {"indent": 2}
            return self._dumps_standard(obj, options).encode()
        return self._dumps_fast(obj)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value of a JSON text.

        :param s: the text, or its bytes in UTF-8; a byte order mark is passed over.
        :param kwargs: those of :func:`json.loads`; with any, the standard library does the work.
        :raises ValueError: it is not JSON, or nested too deeply.
        """
        if isinstance(s, bytes) and s.startswith(_BYTE_ORDER_MARK):
            s = s[len(_BYTE_ORDER_MARK) :]
        try:
            if kwargs:
                return json.loads(s, **{"parse_constant": _refuse_constant, **kwargs})
            return _decode(s)
        except RecursionError:
            raise ValueError("JSON is nested too deeply") from None

    def _dumps_fast(self, obj: Any) -> bytes:
        try:
            encoded = self._encode(obj)
        except (TypeError, RecursionError) as error:
            _raise_explained(error, obj)
        # msgspec writes NaN as null, and a MultiDict as lists of its values. Each is looked for
        # only where the result can have come from one. PERF: ``find`` is faster than ``in``
        # on bytes (scenarios: JSON, JSON echo).
        find = encoded.find
        if find(b"null") >= 0 and self._holds(obj, _is_not_a_number):
            return self._dumps_standard(obj, {}).encode()
        if find(b'":["') >= 0 and _MULTI_DICT.search(encoded) and self._holds(obj, _is_multi_dict):
            return self._dumps_standard(obj, {}).encode()
        return encoded

    def _holds(self, obj: Any, is_wanted: Callable[[Any], bool]) -> bool:
        """Whether a value that ``is_wanted`` stands somewhere in ``obj``."""
        groups: list[Iterable[Any]] = [[obj]]
        for group in groups:
            if _PLAIN.issuperset(map(type, group)):
                continue
            for value in group:
                kind = value.__class__
                if kind in _PLAIN:
                    continue
                if kind is dict:
                    groups.append(value.values())
                elif kind is list or kind is tuple:
                    groups.append(value)
                elif is_wanted(value):
                    return True
                elif kind is not float and not isinstance(value, MultiDict):
                    groups.append([msgspec.to_builtins(value, enc_hook=self.default)])
        return False

    def _dumps_standard(self, obj: Any, options: dict[str, Any]) -> str:
        defaults: dict[str, Any] = {
            "default": lambda obj: msgspec.to_builtins(obj, enc_hook=self.default),
            "ensure_ascii": self.ensure_ascii,
            "sort_keys": self.sort_keys,
            "allow_nan": False,
            "separators": (",", ":") if options.get("indent") is None else (",", ": "),
        }
        try:
            return json.dumps(obj, **{**defaults, **options})
        except (TypeError, ValueError, RecursionError) as error:
            _raise_explained(error, obj)


class FlaskJSONProvider(JSONProvider):
    """JSON exactly as Flask's default provider does it, by the standard library.

    Dates are HTTP dates, keys are sorted, text is ASCII, ``NaN`` passes; responses are indented in
    debug mode and end with a line break. The attributes are Flask's.
    """

    #: Called for an object that cannot be written; returns one that can, or raises ``TypeError``.
    default: Callable[[Any], Any] = staticmethod(_flask_default)
    #: Write other characters than ASCII as escapes.
    ensure_ascii = True
    #: Sort the keys of objects.
    sort_keys = True
    #: Leave out spaces and line breaks in responses. None: outside of debug mode only.
    compact: bool | None = None

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return ``obj`` as JSON.

        :param kwargs: those of :func:`json.dumps`.
        :raises TypeError: it holds an object that is not JSON.
        """
        options: dict[str, Any] = {
            "default": self.default,
            "ensure_ascii": self.ensure_ascii,
            "sort_keys": self.sort_keys,
            **kwargs,
        }
        try:
            return _encoder(**options).encode(obj)
        except TypeError:  # an option that is not hashable, or not the encoder's; or a wrong object
            return json.dumps(obj, **options)

    def dumps_bytes(self, obj: Any) -> bytes:
        """Return ``obj`` as the body of a JSON response."""
        options: dict[str, Any] = {"separators": (",", ":")} if _is_compact(self) else {"indent": 2}
        return f"{self.dumps(obj, **options)}\n".encode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value of a JSON text, by :func:`json.loads`."""
        return json.loads(s, **kwargs)


@functools.lru_cache(maxsize=32)
def _encoder(**options: Any) -> json.JSONEncoder:
    """Return an encoder with these options. PERF: it is made once (scenario: Flask's JSON)."""
    return json.JSONEncoder(**options)


def _is_compact(provider: DefaultJSONProvider | FlaskJSONProvider) -> bool:
    if provider.compact is None:
        return not provider._app.debug
    return provider.compact


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _raise_explained(error: Exception, obj: Any) -> NoReturn:
    """Raise the error for the user, who is told where in ``obj`` the value stands."""
    if isinstance(error, RecursionError):
        raise ValueError("The object contains itself or is nested too deeply for JSON") from error
    if isinstance(error, _NotJSONError):
        culprit = error.obj
        raise TypeError(f"{error}{_place_of(lambda value: value is culprit, obj)}") from error
    if place := _place_of(_is_not_a_number, obj):
        raise ValueError(f"{error}{place}") from error
    raise error


def _is_not_a_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _is_multi_dict(value: Any) -> bool:
    return isinstance(value, MultiDict)


def _place_of(is_wanted: Callable[[Any], bool], obj: Any) -> str:
    """Return where in ``obj`` the first value wanted stands: `` (at ['users'][3])``, or nothing."""
    nodes = [("", obj)]
    seen: set[int] = set()
    for path, value in nodes:
        if path and is_wanted(value):
            return f" (at {path})"
        if isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            nodes += [(f"{path}[{key!r}]", child) for key, child in items]
    return ""
