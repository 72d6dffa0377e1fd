"""What is left to do after a match: defaults, and the redirects to the one right address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

if TYPE_CHECKING:
    from asyncflask.routing.map import Map
    from asyncflask.routing.rule import Rule

#: Characters that stay as they are in a path (https://url.spec.whatwg.org/#url-path-segment-string).
SAFE = "!$&'()*+,/:;=@"

_PLACEHOLDER = re.compile("<([^>]+)>")
_ABSOLUTE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Miss:
    """No rule is to be called for a request; what to answer instead.

    With nothing set it is a 404.
    """

    #: The methods of the rules that match otherwise; not empty means 405.
    allowed: frozenset[str] = frozenset()
    #: Where to redirect: a quoted path from the root of the application, or an absolute URL where
    #: ``redirect_to`` gives one. It has no query of the request.
    redirect: str | None = None
    #: A rule matches, but a WebSocket one for an HTTP request or the other way round.
    websocket_mismatch: bool = False
    #: The host or subdomain to redirect to, where it is not that of the request.
    domain: str | None = None


def redirect_to_path(path: str) -> Miss:
    """Return the redirect to a decoded path, which never leads to another host."""
    return Miss(redirect=quote("/" + path.lstrip("/"), safe=SAFE, errors="replace"))


class Finish:
    """Completes a match of a rule that does not simply match.

    :param map: the map, for its settings.
    :param rule: the rule.
    :param canonical: the rules of the same endpoint that its URLs may have to be redirected to.
    :param slash_missing: whether only the slash at the end is missing.
    """

    __slots__ = ("_canonical", "_map", "_rule", "slash_missing")

    def __init__(
        self, map: Map, rule: Rule, canonical: Sequence[Rule], slash_missing: bool
    ) -> None:
        self._map = map
        self._rule = rule
        self._canonical = canonical
        self.slash_missing = slash_missing

    def __call__(
        self, domain: str, path: str, method: str, values: dict[str, Any]
    ) -> tuple[Rule, dict[str, Any]] | Miss:
        """Return the rule with its values, or the redirect."""
        if self.slash_missing:
            return redirect_to_path(path + "/")
        rule = self._rule
        values.update(rule.defaults or {})
        for better in self._canonical:
            if self._map.redirect_defaults and better.suitable_for(values, method):
                built = better.build(values, append_unknown=False)
                if built is not None:
                    other = built[0] if built[0] != domain else None
                    return Miss(redirect=built[1], domain=other)
        if rule.redirect_to is None:
            return rule, values
        return Miss(redirect=self._target(domain, values))

    def _target(self, domain: str, values: dict[str, Any]) -> str:
        target = self._rule.redirect_to
        if callable(target):
            if self._map.host_matching:
                adapter = self._map.bind(domain)
            else:
                adapter = self._map.bind("localhost", subdomain=domain)
            return urljoin("/", target(adapter, **values))
        assert target is not None  # the caller has looked
        filled = _PLACEHOLDER.sub(lambda match: self._to_url(match[1], values), target)
        # Only the rule's author may lead to another host, never a value.
        return filled if _ABSOLUTE.match(target) else "/" + filled.lstrip("/")

    def _to_url(self, name: str, values: dict[str, Any]) -> str:
        converter = self._rule.converters.get(name)
        return quote(str(values[name])) if converter is None else converter.to_url(values[name])


def placeholders(redirect_to: object) -> list[str]:
    """Return the names of the variables in a ``redirect_to`` text."""
    return _PLACEHOLDER.findall(redirect_to) if isinstance(redirect_to, str) else []


def finish_of(map: Map, rule: Rule, slash_missing: bool = False) -> Finish | None:
    """Return what is left to do after a match of ``rule``, or None if that is nothing.

    :param slash_missing: the pattern that matched is the rule's without its last slash.
    """
    same = map.rules_of(rule.endpoint)
    if rule.alias:
        canonical = [other for other in same if not other.alias]
    else:
        better = same[: same.index(rule)] if rule in same else []
        canonical = [other for other in better if other.provides_defaults_for(rule)]
    if slash_missing or rule.defaults or canonical or rule.redirect_to is not None:
        return Finish(map, rule, canonical, slash_missing)
    return None
