"""Building URLs: the path, the host and the query of a rule for given values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from werkzeug.datastructures import MultiDict, iter_multi_items
from werkzeug.routing import BaseConverter, ValidationError

from asyncflask.routing.redirects import SAFE

if TYPE_CHECKING:
    from asyncflask.routing.rule import Rule

#: A literal text, or the name of a variable with its converter.
Piece = str | tuple[str, BaseConverter]

#: Characters that stay as they are in a query (https://url.spec.whatwg.org/#percent-encoded-bytes).
_QUERY_SAFE = "!$'()*,/:;?@"


class Builder:
    """Builds the URLs of one rule; made once.

    :param rule: the rule, in a map.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._domain = self._prepare(rule.domain_pieces)
        self._path = self._prepare(rule.path_pieces)

    def _prepare(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Return the pieces with the literals quoted and the defaults put in."""
        defaults = self._rule.defaults or {}
        prepared: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, str):
                prepared.append(quote(piece, safe=SAFE))
            elif piece[0] in defaults:
                prepared.append(piece[1].to_url(defaults[piece[0]]))
            else:
                prepared.append(piece)
        return prepared

    def build(self, values: Mapping[str, Any], append_unknown: bool) -> tuple[str, str] | None:
        """Return the domain part and the path with the query, or None: see ``Rule.build``."""
        try:
            domain = _fill(self._domain, values) if self._domain else ""
            path = _fill(self._path, values)
        except ValidationError:
            return None
        if append_unknown:
            path += self._query(values)
        return domain, path

    def _query(self, values: Mapping[str, Any]) -> str:
        rule = self._rule
        if rule.arguments.issuperset(values):
            return ""
        unknown = {name: value for name, value in values.items() if name not in rule.arguments}
        query = encode_query(unknown, sort=rule.map.sort_parameters, key=rule.map.sort_key)
        return f"?{query}" if query else ""


def _fill(pieces: Iterable[Piece], values: Mapping[str, Any]) -> str:
    return "".join(
        [piece if isinstance(piece, str) else piece[1].to_url(values[piece[0]]) for piece in pieces]
    )


def given_values(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values to build with: None means not given; of a ``MultiDict`` the lists."""
    if isinstance(values, MultiDict):
        lists = {name: values.getlist(name) for name in values}
        return {name: item[0] if len(item) == 1 else item for name, item in lists.items() if item}
    return {name: value for name, value in (values or {}).items() if value is not None}


def encode_query(
    values: Mapping[str, Any], *, sort: bool = False, key: Callable[[Any], Any] | None = None
) -> str:
    """Return a query string; lists repeat and None is left out.

    :param values: the values, or a ``MultiDict``.
    :param sort: whether to sort the pairs of name and value.
    :param key: the key to sort by.
    """
    items = [(name, value) for name, value in iter_multi_items(values) if value is not None]
    return urlencode(sorted(items, key=key) if sort else items, safe=_QUERY_SAFE)
