"""What goes wrong with rules and with building addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

from werkzeug.routing import BuildError as WerkzeugBuildError

if TYPE_CHECKING:
    from asyncflask.routing.rule import Rule


class RuleError(ValueError):
    """A URL rule cannot work as it is written.

    :param rule: the rule as written.
    :param problem: what is wrong and what to write instead.
    :param position: the index in the rule where the problem is, counted from 0.
    """

    def __init__(self, rule: object, problem: str, position: int | None = None) -> None:
        place = "" if position is None else f" (at position {position})"
        super().__init__(f"URL rule {rule!r}{place}: {problem}")
        self.rule = rule
        self.position = position


class UnknownConverterError(RuleError, LookupError):
    """A rule names a converter that the map does not have (Werkzeug: ``LookupError``)."""


class MethodsError(RuleError, TypeError):
    """The methods of a rule are not a list of strings (Flask: ``TypeError``)."""


class BuildError(WerkzeugBuildError):
    """No address can be built for an endpoint and its values.

    :param endpoint: the endpoint asked for.
    :param values: the values given.
    :param method: the method asked for, if any.
    :param rules: all rules of the map, to find out what was meant.
    :param refusals: for rules that were tried, what their converters said.
    """

    def __init__(
        self,
        endpoint: Any,
        values: Mapping[str, Any],
        method: str | None,
        rules: Iterable[Rule] = (),
        refusals: Iterable[str] = (),
    ) -> None:
        super().__init__(endpoint, values, method)
        self._rules = tuple(rules)
        self._refusals = tuple(refusals)

    @cached_property
    def suggested(self) -> Any:
        """The rule that was probably meant, or None: of this endpoint or of the nearest name."""
        same = [rule for rule in self._rules if rule.endpoint == self.endpoint]
        if same:
            return min(same, key=self._distance)
        names = {str(rule.endpoint): rule for rule in reversed(self._rules)}
        near = get_close_matches(str(self.endpoint), names, n=1, cutoff=0.4)
        return names[near[0]] if near else None

    def _distance(self, rule: Rule) -> tuple[bool, int]:
        wrong_method = bool(self.method) and rule.methods is not None
        wrong_method = wrong_method and self.method not in (rule.methods or ())
        return wrong_method, len(rule.required - set(self.values))

    def __str__(self) -> str:
        asked = f"Could not build a URL for endpoint {self.endpoint!r}"
        if self.method:
            asked += f" ({self.method})"
        if self.values:
            asked += f" with values {sorted(self.values)!r}"
        return f"{asked}. {self._hint()}".rstrip()

    def _hint(self) -> str:
        rule = self.suggested
        if rule is None:
            return "" if self._rules else "The map has no rules."
        if rule.endpoint != self.endpoint:
            return f"Did you mean {rule.endpoint!r} instead?"
        hints = []
        if self.method and rule.methods is not None and self.method not in rule.methods:
            hints.append(f"Did you mean to use methods {sorted(rule.methods)!r}?")
        missing = rule.required - set(self.values)
        if missing:
            hints.append(f"Did you forget to specify values {sorted(missing)!r}?")
        hints += [
            f"The value {name}={self.values[name]!r} is not allowed: {str(rule)!r} is the rule "
            f"for {name}={default!r} only."
            for name, default in (rule.defaults or {}).items()
            if name in self.values and self.values[name] != default
        ]
        hints += self._refusals
        return " ".join(hints)
