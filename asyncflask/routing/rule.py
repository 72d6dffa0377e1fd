"""A rule: the pattern of a URL, the endpoint it leads to, and its conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from werkzeug.routing import BaseConverter

from asyncflask.routing.builder import Builder, Piece
from asyncflask.routing.errors import MethodsError, RuleError, UnknownConverterError
from asyncflask.routing.redirects import placeholders
from asyncflask.routing.syntax import Variable, parse_rule

if TYPE_CHECKING:
    from asyncflask.routing.map import Map


class Rule:
    """A URL rule in Flask's syntax.

    :param string: the pattern, starting with a slash: ``/users/<int:id>``.
    :param defaults: values for the endpoint that the URL does not carry.
    :param subdomain: the subdomain it is for; may have variables. None: the map's default.
    :param methods: HTTP methods, None for any. HEAD is added to GET.
    :param build_only: only for building URLs, never matched.
    :param endpoint: what it leads to, usually a string.
    :param strict_slashes: whether ``/a`` redirects to ``/a/`` (and ``/a/`` is not found for a
        rule ``/a``); otherwise both match. None: the map's setting.
    :param merge_slashes: whether repeated slashes in a path are merged. None: the map's setting.
    :param redirect_to: where to redirect instead of matching: a text with variables in ``<>``,
        or a function that gets a ``MapAdapter`` and the values and returns the target.
    :param alias: redirect to the canonical rule of the same endpoint and values.
    :param host: the whole host it is for, where the map matches hosts; may have variables.
    :param websocket: matches WebSocket handshakes only.
    :param prefix: a mount: matches its literal path, a slash and anything after it, which becomes
        the value ``path``.
    :raises RuleError: it cannot work as written; the message says where and what to do.
    """

    #: Set by the framework: answer OPTIONS without a view.
    provide_automatic_options: bool = False
    #: Set by the framework: what becomes of the view when the client leaves.
    on_disconnect: str = "finish"
    #: A slot for the framework: what a match leads to.
    target: Any = None
    map: Map

    def __init__(
        self,
        string: str,
        *,
        defaults: Mapping[str, Any] | None = None,
        subdomain: str | None = None,
        methods: Iterable[str] | None = None,
        build_only: bool = False,
        endpoint: Any = None,
        strict_slashes: bool | None = None,
        merge_slashes: bool | None = None,
        redirect_to: str | Callable[..., str] | None = None,
        alias: bool = False,
        host: str | None = None,
        websocket: bool = False,
        prefix: bool = False,
    ) -> None:
        self.rule = _checked(string, prefix)
        self.endpoint = endpoint
        self.defaults = defaults
        self.methods = _method_set(string, methods, websocket)
        self.subdomain = subdomain
        self.host = host
        self.build_only = build_only
        self.strict_slashes = strict_slashes
        self.merge_slashes = merge_slashes
        self.redirect_to = redirect_to
        self.alias = alias
        self.websocket = websocket
        self.prefix = prefix
        variables = {token.name for token in parse_rule(self.rule) if isinstance(token, Variable)}
        #: The names of all its values: variables and defaults.
        self.arguments = variables | {str(name) for name in defaults or ()}
        #: The names of the values that building a URL needs.
        self.required = self.arguments - set(defaults or ())
        #: The converters of its variables by name, once it is in a map.
        self.converters: dict[str, BaseConverter] = {}
        #: The host or subdomain, and the path, in pieces, once it is in a map.
        self.domain_pieces: list[Piece] = []
        self.path_pieces: list[Piece] = []
        self._bound = False
        self._builder: Builder | None = None

    @property
    def is_branch(self) -> bool:
        """Whether it ends with a slash."""
        return self.rule.endswith("/")

    @property
    def is_leaf(self) -> bool:
        """Whether it does not end with a slash."""
        return not self.is_branch

    @property
    def _converters(self) -> dict[str, BaseConverter]:
        # Werkzeug's name, and the next one: extensions that describe an API look there.
        return self.converters

    @property
    def _trace(self) -> list[tuple[bool, str]]:
        return [
            (False, "|"),
            *(
                (True, token.name) if isinstance(token, Variable) else (False, token)
                for token in parse_rule(self.rule)
            ),
        ]

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that make an equal rule."""
        return {
            "defaults": dict(self.defaults) if self.defaults else None,
            "subdomain": self.subdomain,
            "methods": self.methods,
            "build_only": self.build_only,
            "endpoint": self.endpoint,
            "strict_slashes": self.strict_slashes,
            "merge_slashes": self.merge_slashes,
            "redirect_to": self.redirect_to,
            "alias": self.alias,
            "host": self.host,
            "websocket": self.websocket,
            "prefix": self.prefix,
        }

    def empty(self) -> Rule:
        """Return an equal rule that is in no map. Werkzeug's rule factories use it."""
        copy = type(self)(self.rule, **self.options())
        copy.provide_automatic_options = self.provide_automatic_options
        copy.on_disconnect = self.on_disconnect
        copy.target = self.target
        return copy

    def get_rules(self, map: Map) -> Iterator[Rule]:
        """Yield the rule itself: a rule is the simplest of Werkzeug's rule factories."""
        yield self

    def bind(self, map: Map) -> None:
        """Take the settings and converters of a map. ``Map.add`` calls it.

        :raises RuntimeError: the rule is in a map already.
        :raises RuleError: its converters or its host do not work.
        """
        if self._bound:
            raise RuntimeError(f"{self!r} is in a map already. Add rule.empty(), a copy of it.")
        if self.strict_slashes is None:
            self.strict_slashes = map.strict_slashes
        if self.merge_slashes is None:
            self.merge_slashes = map.merge_slashes
        if self.subdomain is None:
            self.subdomain = map.default_subdomain
        self.map = map
        self.converters = {}
        domain = (self.host if map.host_matching else self.subdomain) or ""
        self.domain_pieces = self._bind_domain(domain)
        self.path_pieces = self._pieces(self.rule)
        self.arguments |= set(self.converters)
        self.required = self.arguments - set(self.defaults or ())
        for name in placeholders(self.redirect_to):
            if name not in self.arguments:
                raise RuleError(
                    self.rule,
                    f"redirect_to has <{name}>, but the rule does not. "
                    f"Its values: {sorted(self.arguments)!r}.",
                )
        self._bound = True

    def _bind_domain(self, domain: str) -> list[Piece]:
        pieces = [
            piece.lower() if isinstance(piece, str) else piece for piece in self._pieces(domain)
        ]
        for piece in pieces:
            if "/" in piece if isinstance(piece, str) else not piece[1].part_isolating:
                raise RuleError(
                    domain,
                    f"the host or subdomain of {self.rule!r} cannot have slashes. "
                    "Use converters that match no slash there.",
                )
        return pieces

    def _pieces(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        for token in parse_rule(text):
            if isinstance(token, str):
                pieces.append(re.sub("/{2,}", "/", token) if self.merge_slashes else token)
                continue
            if token.name in self.converters:
                raise RuleError(
                    self.rule,
                    f"the variable {token.name!r} stands in its host and in its path; rename one.",
                    token.position,
                )
            self.converters[token.name] = self._converter(text, token)
            pieces.append((token.name, self.converters[token.name]))
        return pieces

    def _converter(self, text: str, token: Variable) -> BaseConverter:
        known = self.map.converters
        if token.converter not in known:
            near = get_close_matches(token.converter, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}."
            raise UnknownConverterError(
                text,
                f"there is no converter {token.converter!r}. {hint} "
                "Add your own with app.url_map.converters[...] before the rule.",
                token.position,
            )
        try:
            make: Callable[..., BaseConverter] = known[token.converter]
            converter = make(self.map, *token.args, **token.kwargs)
            re.compile(converter.regex)
        except (TypeError, ValueError, re.error) as error:
            raise RuleError(
                text,
                f"the converter {token.converter!r} does not work with its arguments: {error}.",
                token.position,
            ) from error
        return converter

    @property
    def builder(self) -> Builder:
        """What builds URLs for it, made at first use."""
        if self._builder is None:
            self._builder = Builder(self)
        return self._builder

    def build(
        self, values: Mapping[str, Any], append_unknown: bool = True
    ) -> tuple[str, str] | None:
        """Return its domain part and its path for ``values``, or None if a converter refuses one.

        :param values: the values; names that it does not have become the query.
        :param append_unknown: False to leave those out.
        """
        return self.builder.build(values, append_unknown)

    def suitable_for(self, values: Mapping[str, Any], method: str | None = None) -> bool:
        """Return whether it has the method and can be built from ``values``.

        A value with a default may be missing, or be equal to it.
        """
        if method is not None and self.methods is not None and method not in self.methods:
            return False
        if not self.required.issubset(values):
            return False
        if not self.defaults:
            return True
        return all(values.get(name, default) == default for name, default in self.defaults.items())

    def provides_defaults_for(self, rule: Rule) -> bool:
        """Return whether it is a shorter form of ``rule`` for the values in its defaults."""
        return bool(
            self.defaults
            and not self.build_only
            and self.endpoint == rule.endpoint
            and self.arguments == rule.arguments
            and (self.rule, self.host, self.subdomain) != (rule.rule, rule.host, rule.subdomain)
        )

    def build_compare_key(self) -> tuple[bool, int, int]:
        """Return the key that orders the rules of an endpoint for building."""
        return self.alias, -len(self.arguments), -len(self.defaults or ())

    def __str__(self) -> str:
        return self.rule

    def __repr__(self) -> str:
        methods = f" ({', '.join(sorted(self.methods))})" if self.methods is not None else ""
        return f"<{type(self).__name__} {self.rule!r}{methods} -> {self.endpoint}>"


def _checked(string: str, prefix: bool) -> str:
    if not isinstance(string, str):
        raise RuleError(string, "it must be a string such as '/users/<int:id>'.")
    if prefix:
        if "<" in string:
            raise RuleError(string, "a prefix cannot have variables.", string.index("<"))
        string = string.rstrip("/") + "/"
    if not string:
        raise RuleError(string, "it is empty. Write '/' for the root.")
    if not string.startswith("/"):
        raise RuleError(string, f"it must start with a slash. Write {'/' + string!r}.", 0)
    return string


def _method_set(rule: str, methods: Iterable[str] | None, websocket: bool) -> set[str] | None:
    if methods is None:
        return None
    if isinstance(methods, str):
        raise MethodsError(rule, f"methods must be a list of strings. Write [{methods!r}].")
    upper = {method.upper() for method in methods}
    if "GET" in upper:
        upper.add("HEAD")
    if websocket and upper - {"GET", "HEAD", "OPTIONS"}:
        raise MethodsError(rule, "a WebSocket rule has no methods but GET. Leave methods out.")
    return upper
