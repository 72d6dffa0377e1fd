"""JSON as the current application does it; outside of one, with the default provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, AnyStr

from asyncflask.json.provider import DefaultJSONProvider as DefaultJSONProvider
from asyncflask.json.provider import FlaskJSONProvider as FlaskJSONProvider
from asyncflask.json.provider import JSONProvider as JSONProvider

if TYPE_CHECKING:
    from asyncflask.messages.response import Response

_default_provider = DefaultJSONProvider(None)
_lookup: Callable[[], JSONProvider | None] = lambda: None  # noqa: E731 - a slot, filled below


def set_provider_lookup(lookup: Callable[[], JSONProvider | None]) -> None:
    """Say where the current application's provider is found.

    The context module does so when it is imported; it stands on a higher floor than this one.

    :param lookup: returns the current application's provider, None outside of an application.
    """
    global _lookup
    _lookup = lookup


def dumps(obj: Any, **kwargs: Any) -> str:
    """Serialise ``obj`` with the current application's :meth:`JSONProvider.dumps`."""
    return (_lookup() or _default_provider).dumps(obj, **kwargs)


def dump(obj: Any, fp: IO[str], **kwargs: Any) -> None:
    """Serialise ``obj`` into a text file with the current application's provider."""
    (_lookup() or _default_provider).dump(obj, fp, **kwargs)


def loads(s: str | bytes, **kwargs: Any) -> Any:
    """Read JSON with the current application's :meth:`JSONProvider.loads`."""
    return (_lookup() or _default_provider).loads(s, **kwargs)


def load(fp: IO[AnyStr], **kwargs: Any) -> Any:
    """Read JSON from a file with the current application's provider."""
    return (_lookup() or _default_provider).load(fp, **kwargs)


def jsonify(*args: Any, **kwargs: Any) -> Response:
    """Make a JSON response with the current application's :meth:`JSONProvider.response`.

    :param args: the value; several are sent as a list.
    :param kwargs: in place of ``args``: the members of an object.
    :raises RuntimeError: there is no current application.
    """
    provider = _lookup()
    if provider is None:
        raise RuntimeError(
            "'jsonify' was used outside of an application. It works while a request is handled; "
            "in a test or a script, use 'with app.app_context():'."
        )
    return provider.response(*args, **kwargs)
