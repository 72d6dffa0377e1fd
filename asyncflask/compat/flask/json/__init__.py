"""JSON as the current application does it; outside of one, as Flask does."""

from __future__ import annotations

from typing import IO, Any, AnyStr

from asyncflask.compat.flask.globals import current_app
from asyncflask.compat.flask.json.provider import DefaultJSONProvider, JSONProvider
from asyncflask.ctx import has_app_context
from asyncflask.json import jsonify as jsonify

_outside = DefaultJSONProvider(None)
_outside.sort_keys = False


def _provider() -> JSONProvider:
    return current_app.json if has_app_context() else _outside


def dumps(obj: Any, **kwargs: Any) -> str:
    """Serialise ``obj`` with the current application's provider."""
    return _provider().dumps(obj, **kwargs)


def dump(obj: Any, fp: IO[str], **kwargs: Any) -> None:
    """Serialise ``obj`` into a text file with the current application's provider."""
    _provider().dump(obj, fp, **kwargs)


def loads(s: str | bytes, **kwargs: Any) -> Any:
    """Read JSON with the current application's provider."""
    return _provider().loads(s, **kwargs)


def load(fp: IO[AnyStr], **kwargs: Any) -> Any:
    """Read JSON from a file with the current application's provider."""
    return _provider().load(fp, **kwargs)
