"""JSON providers: the default is Flask's."""

from __future__ import annotations

from asyncflask.json.provider import FlaskJSONProvider
from asyncflask.json.provider import JSONProvider as JSONProvider
from asyncflask.json.provider import _flask_default as _default


class DefaultJSONProvider(FlaskJSONProvider):
    """JSON exactly as Flask's default provider does it."""


__all__ = ["DefaultJSONProvider", "JSONProvider", "_default"]
