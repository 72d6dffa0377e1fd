"""The matcher: from a method and a path to a rule and its values.

One dictionary per route shape. A path without variables is found whole; for any other, the shapes
with as many segments are asked in order, most specific first, each with the path's segments at
the shape's literal places as the key. The cost does not depend on the number of rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug.routing import ValidationError

from asyncflask.routing.builder import Piece
from asyncflask.routing.converters import Parser
from asyncflask.routing.pattern import LITERAL, REST, Segment, other_slash, segments_of
from asyncflask.routing.redirects import Finish, Miss, finish_of, redirect_to_path
from asyncflask.routing.rule import Rule

if TYPE_CHECKING:
    from asyncflask.routing.map import Map

T = TypeVar("T")

Found = tuple[Rule, dict[str, Any]]

#: Values of further segments: the place, the name and the parser of each.
More = tuple[tuple[int, str | None, Parser], ...]

#: PERF: plain tuples, taken apart in the loop (scenario: /users/<int:id>): the rule, its methods,
#: whether it is for WebSockets, and what is left to do; for a pattern with variables, the place,
#: name and parser of its first value and the other values before that.
Static = tuple[Rule, frozenset[str] | None, bool, Finish | None]
Candidate = tuple[
    Rule, frozenset[str] | None, bool, int, str | None, Parser, More | None, Finish | None
]
#: How to make the key, the candidates by key, and the place of a final segment or 0.
Shape = tuple[Callable[[Sequence[str]], Any], dict[Any, tuple[Candidate, ...]], int]

NOT_FOUND = Miss()


class Matcher:
    """An immutable table of rules. ``Map.compile`` makes it.

    :param map: the map, for its settings.
    :param rules: the rules in order of registration.
    :param uses_hosts: match the subdomain though no rule has one: others are not found then.
    """

    def __init__(self, map: Map, rules: Iterable[Rule], *, uses_hosts: bool = False) -> None:
        rules = [rule for rule in rules if not rule.build_only]
        self._map = map
        self._rules = rules
        #: Whether any rule is for a certain host or subdomain; if not, ``match`` ignores the host.
        self.uses_hosts = (
            uses_hosts or map.host_matching or any(rule.domain_pieces for rule in rules)
        )
        table = _Table(self.uses_hosts)
        for rule in rules:
            table.add(map, rule)
        self._static = table.static()
        # PERF: a list by number of segments, and one for all greater numbers, which only patterns
        # with a final segment can match (scenario: /users/<int:id>).
        self._shapes = [table.shapes(count) for count in range(table.longest + 1)]
        self._deep = table.shapes(None)
        self._limit = len(self._shapes)

    def match(
        self, path: str, method: str, host: str = "", websocket: bool = False
    ) -> Found | Miss:
        """Find the rule for a path.

        :param path: the decoded path, from the root of the application.
        :param method: the method in upper case; ``GET`` for a WebSocket handshake.
        :param host: where ``uses_hosts``: the host as ``Map.domain_part`` gives it.
        :param websocket: whether it is a WebSocket handshake.
        :returns: the rule and its values, else a ``Miss`` with what to answer.
        """
        domain = ""
        if self.uses_hosts:
            domain = host.lower()
            if "/" in domain or path[:1] not in ("", "/"):
                return NOT_FOUND  # it would move the border between the host and the path
        return self.find(domain, path, method, websocket) or self.explain(
            domain, path, method, websocket
        )

    # PERF: one function, tuples taken apart, the first value unrolled (scenario: /users/<int:id>
    # among 2,000 rules takes about a microsecond).
    def find(  # noqa: C901
        self, domain: str, path: str, method: str, websocket: bool
    ) -> Found | Miss | None:
        """Do the first half of ``match``: None where nothing is found.

        :param domain: the host, lower case; empty where ``uses_hosts`` is not set.
        """
        whole = domain + path if domain else path
        bucket = self._static.get(whole)
        if bucket is not None:
            for rule, methods, for_ws, finish in bucket:
                if (methods is None or method in methods) and for_ws is websocket:
                    return (rule, {}) if finish is None else finish(domain, path, method, {})
        if path[:1] != "/":
            return None
        segments = whole.split("/")
        count = len(segments)
        shapes = self._shapes[count] if count < self._limit else self._deep
        for key_of, buckets, final in shapes:
            candidates = buckets.get(key_of(segments))
            if candidates is None:
                continue
            values = _join_rest(segments, final) if final else segments
            for rule, methods, for_ws, place, name, parse, more, finish in candidates:
                if (methods is not None and method not in methods) or for_ws is not websocket:
                    continue
                try:
                    value = parse(values[place])
                    params = value if name is None else {name: value}
                    if more is not None:
                        _parse_more(more, values, params)
                except ValidationError:
                    continue
                return (rule, params) if finish is None else finish(domain, path, method, params)
        return None

    def explain(self, domain: str, path: str, method: str, websocket: bool) -> Miss:
        """Do the second half of ``match``, the slow one: say why nothing was found."""
        merged = re.sub("/{2,}", "/", path)
        if merged != path and self._map.merge_slashes:
            found = self.find(domain, merged, method, websocket)
            if isinstance(found, Miss):
                return found
            if found is not None and found[0].merge_slashes:
                return redirect_to_path(merged)
        else:
            merged = path
        allowed: set[str] = set()
        mismatch = False
        for rule in (rule for each in {path, merged} for rule in self._every(domain, each)):
            if rule.methods is not None and method not in rule.methods:
                allowed |= rule.methods
            elif rule.websocket is not websocket:
                mismatch = True
        if not allowed and not mismatch:
            return NOT_FOUND
        return Miss(allowed=frozenset(allowed), websocket_mismatch=mismatch)

    def allowed_methods(self, path: str, host: str = "") -> frozenset[str]:
        """Return the methods that the rules for a path name, whatever the method.

        :param path: the decoded path, from the root of the application.
        :param host: as for ``match``.
        """
        domain = host.lower() if self.uses_hosts else ""
        methods = (rule.methods for rule in self._every(domain, path) if not rule.websocket)
        return frozenset().union(*(names for names in methods if names is not None))

    def in_order(self) -> list[Rule]:
        """Return the rules so that of those that fit a path, the first is the one that is taken.

        Rules that no path fits both of stay in order of registration.
        """
        table = _Table(self.uses_hosts)
        patterns = {rule: table.segments(rule, rule.path_pieces, False) for rule in self._rules}
        ordered: dict[Rule, None] = {}

        def add(rule: Rule) -> None:
            own = patterns[rule]
            for other, segments in patterns.items():
                if other not in ordered and _beats(segments, own):
                    add(other)
            ordered[rule] = None

        for rule in self._rules:
            if rule not in ordered:
                add(rule)
        return list(ordered)

    def _every(self, domain: str, path: str) -> Iterator[Rule]:
        """Yield all rules that match a path itself, whatever their methods."""
        whole = domain + path
        for rule, *_, finish in self._static.get(whole, ()):
            if finish is None or not finish.slash_missing:
                yield rule
        if path[:1] != "/":
            return
        segments = whole.split("/")
        count = len(segments)
        shapes = self._shapes[count] if count < self._limit else self._deep
        for key_of, buckets, final in shapes:
            values = _join_rest(segments, final) if final else segments
            for candidate in buckets.get(key_of(segments), ()):
                finish = candidate[-1]
                if (finish is None or not finish.slash_missing) and _parses(candidate, values):
                    yield candidate[0]


def _beats(first: Sequence[Segment], second: Sequence[Segment]) -> bool:
    """Whether there are paths that fit both patterns, which go to the first."""
    if [segment.rank for segment in first] >= [segment.rank for segment in second]:
        return False
    for one, other in zip(first, second, strict=False):
        if one.final or other.final:
            return True
        if one.text is not None and other.text is not None and one.text != other.text:
            return False
    # A mount also takes its own path, without a slash.
    shorter = first[:-1] if first[-1].rank == REST else first
    return len(second) in (len(first), len(shorter))


def _join_rest(segments: Sequence[str], final: int) -> list[str]:
    return [*segments[:final], "/".join(segments[final:])]


def _parse_more(more: More, values: Sequence[str], params: dict[str, Any]) -> None:
    for place, name, parse in more:
        value = parse(values[place])
        if name is None:
            params.update(value)
        else:
            params[name] = value


def _parses(candidate: Candidate, values: Sequence[str]) -> bool:
    _, _, _, place, _, parse, more, _ = candidate
    try:
        parse(values[place])
        _parse_more(more or (), values, {})
    except ValidationError:
        return False
    return True


class _Table:
    """Patterns by shape, while a matcher is made."""

    def __init__(self, uses_hosts: bool) -> None:
        self._uses_hosts = uses_hosts
        self._statics: dict[str, list[tuple[bool, Static]]] = {}
        self._buckets: dict[
            tuple[tuple[tuple[Any, ...], ...], bool],
            dict[Any, list[tuple[bool, Candidate]]],
        ] = {}
        #: The greatest number of segments of a pattern.
        self.longest = 0

    def add(self, map: Map, rule: Rule) -> None:
        """Add the pattern of a rule, and the one with the other slash where that matters."""
        self._put(rule, rule.path_pieces, finish_of(map, rule), other=False)
        strict = rule.strict_slashes or rule.prefix
        if rule.is_branch or not strict:
            finish = finish_of(map, rule, slash_missing=bool(strict))
            self._put(rule, other_slash(rule.path_pieces), finish, other=True)

    def _put(self, rule: Rule, pieces: Sequence[Piece], finish: Finish | None, other: bool) -> None:
        segments = self.segments(rule, pieces, other)
        methods = None if rule.methods is None else frozenset(rule.methods)
        for websocket in (False, True) if rule.prefix else (rule.websocket,):
            if all(segment.text is not None for segment in segments):
                whole = "/".join(str(segment.text) for segment in segments)
                static = rule, methods, websocket, finish
                self._statics.setdefault(whole, []).append((other, static))
            else:
                first, *more = [
                    (place, *segment.field)
                    for place, segment in enumerate(segments)
                    if segment.field is not None
                ]
                candidate = rule, methods, websocket, *first, tuple(more) or None, finish
                self._shape(segments).setdefault(self._key(segments), []).append((other, candidate))

    def segments(self, rule: Rule, pieces: Sequence[Piece], other: bool) -> list[Segment]:
        """Return the segments of a pattern of ``rule``: its domain, then its path."""
        segments = [self._domain(rule), *list(segments_of(pieces))[1:]]
        if rule.prefix and not other:
            segments[-1] = Segment(REST, field=("path", str), final=True)
        return segments

    def _domain(self, rule: Rule) -> Segment:
        if self._uses_hosts and rule.prefix and not rule.domain_pieces:
            return Segment(REST, field=(None, _no_values))  # a mount without a host is for any
        (segment,) = segments_of(rule.domain_pieces)
        return segment

    def _shape(self, segments: Sequence[Segment]) -> dict[Any, list[tuple[bool, Candidate]]]:
        final = segments[-1].final
        self.longest = max(self.longest, len(segments))
        return self._buckets.setdefault((tuple(s.rank for s in segments), final), {})

    def _places(self, ranks: Sequence[tuple[Any, ...]]) -> list[int]:
        """Return the places of the literals that make the key; the first is always ""."""
        start = 0 if self._uses_hosts else 1
        return [place for place in range(start, len(ranks)) if ranks[place] == LITERAL]

    def _key(self, segments: Sequence[Segment]) -> Any:
        texts = [segments[place].text for place in self._places([s.rank for s in segments])]
        return texts[0] if len(texts) == 1 else tuple(texts)

    def static(self) -> dict[str, tuple[Static, ...]]:
        """Return the patterns without variables by path, in order."""
        return {path: _in_order(found) for path, found in self._statics.items()}

    def shapes(self, count: int | None) -> tuple[Shape, ...]:
        """Return the shapes that a path of ``count`` segments can have, most specific first.

        :param count: the number of segments, None for more than any pattern has.
        """
        return tuple(
            (
                _key_maker(self._places(ranks)),
                {key: _in_order(found) for key, found in buckets.items()},
                len(ranks) - 1 if final else 0,
            )
            for (ranks, final), buckets in sorted(self._buckets.items(), key=itemgetter(0))
            if (final and (count is None or len(ranks) <= count))
            or (not final and len(ranks) == count)
        )


def _in_order(found: list[tuple[bool, T]]) -> tuple[T, ...]:
    """Return the patterns of one key: a rule's own pattern before one with the other slash."""
    return tuple(pattern for _, pattern in sorted(found, key=itemgetter(0)))


def _key_maker(places: Sequence[int]) -> Callable[[Sequence[str]], Any]:
    return itemgetter(*places) if places else _no_key


def _no_values(host: str) -> dict[str, Any]:
    return {}


def _no_key(segments: Sequence[str]) -> tuple[()]:
    return ()
