"""The map: all rules of an application, matched by a compiled table and built by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.routing import BaseConverter
from werkzeug.routing import Rule as WerkzeugRule

from asyncflask.routing.adapter import MapAdapter
from asyncflask.routing.builder import given_values
from asyncflask.routing.converters import DEFAULT_CONVERTERS
from asyncflask.routing.errors import BuildError
from asyncflask.routing.matcher import Matcher
from asyncflask.routing.rule import Rule

if TYPE_CHECKING:
    from werkzeug.routing import RuleFactory


class Map:
    """The rules of an application and their settings. It is ``app.url_map``.

    :param rules: rules, or Werkzeug's rule factories.
    :param default_subdomain: the subdomain of rules that name none.
    :param strict_slashes: see ``Rule``; for rules that do not say.
    :param merge_slashes: whether ``/a//b`` redirects to ``/a/b`` if that matches.
    :param redirect_defaults: whether ``/page/1`` redirects to ``/page/`` if that is a rule with
        this default, and an alias to its canonical rule.
    :param converters: further converters by name.
    :param sort_parameters: whether the query of built URLs is sorted.
    :param sort_key: the key for that, of a pair of name and value.
    :param host_matching: whether rules are for whole hosts (``host=``) in place of subdomains.
    """

    def __init__(
        self,
        rules: Iterable[Rule | RuleFactory] | None = None,
        default_subdomain: str = "",
        strict_slashes: bool = True,
        merge_slashes: bool = True,
        redirect_defaults: bool = True,
        converters: Mapping[str, type[BaseConverter]] | None = None,
        sort_parameters: bool = False,
        sort_key: Callable[[tuple[str, Any]], Any] | None = None,
        host_matching: bool = False,
    ) -> None:
        self.default_subdomain = default_subdomain
        self.strict_slashes = strict_slashes
        self.merge_slashes = merge_slashes
        self.redirect_defaults = redirect_defaults
        self.sort_parameters = sort_parameters
        self.sort_key = sort_key
        self.host_matching = host_matching
        self.converters: dict[str, type[BaseConverter]] = {
            **DEFAULT_CONVERTERS,
            **(converters or {}),
        }
        self._rules: list[Rule] = []
        self._rules_by_endpoint: dict[Any, list[Rule]] = {}
        self._matcher: Matcher | None = None
        for rule in rules or ():
            self.add(rule)

    def add(self, rule: Rule | RuleFactory) -> None:
        """Add a rule, a Werkzeug rule (a copy), or the rules of a Werkzeug rule factory.

        :raises RuleError: the rule does not work; the map stays as it was.
        """
        factory: Any = rule
        for made in list(factory.get_rules(self)):
            self._add(_ours(made) if isinstance(made, WerkzeugRule) else made)

    def _add(self, rule: Rule) -> None:
        rule.bind(self)
        self._rules.append(rule)
        same = self._rules_by_endpoint.setdefault(rule.endpoint, [])
        same.append(rule)
        same.sort(key=Rule.build_compare_key)
        self._matcher = None

    def iter_rules(self, endpoint: Any = None) -> Iterator[Rule]:
        """Iterate over the rules in order of registration, or over those of an endpoint.

        :raises KeyError: there is no such endpoint.
        """
        if endpoint is None:
            return iter(self._rules)
        return iter(self._rules_by_endpoint[endpoint])

    def rules_of(self, endpoint: Any) -> list[Rule]:
        """Return the rules of an endpoint in the order in which building tries them."""
        return self._rules_by_endpoint.get(endpoint, [])

    def is_endpoint_expecting(self, endpoint: Any, *arguments: str) -> bool:
        """Return whether a rule of the endpoint has all these values.

        :raises KeyError: there is no such endpoint.
        """
        return any(rule.arguments.issuperset(arguments) for rule in self.iter_rules(endpoint))

    def update(self) -> None:
        """Do nothing: the map is always in order. Werkzeug's maps have it."""

    def compile(self, extra: Iterable[Rule] = (), *, uses_hosts: bool = False) -> Matcher:
        """Return the table to match with.

        :param extra: further rules for the table only, such as mounts.
        :param uses_hosts: see ``Matcher``.
        """
        extra = list(extra)
        if extra or uses_hosts:
            for rule in extra:
                rule.bind(self)
            return Matcher(self, [*self._rules, *extra], uses_hosts=uses_hosts)
        if self._matcher is None:
            self._matcher = Matcher(self, self._rules)
        return self._matcher

    def domain_part(self, host: str, scheme: str = "http", server_name: str | None = None) -> str:
        """Return what ``Matcher.match`` wants as host.

        With host matching that is the host, without the scheme's own port. Otherwise it is the
        subdomain below ``server_name``, or ``<invalid>``, which matches no rule.

        :param host: the ``Host`` header.
        :param scheme: the scheme of the request.
        :param server_name: the host that subdomains are below; None for the default subdomain.
        """
        host = _without_port(host, scheme)
        if self.host_matching:
            return host
        if server_name is None:
            return self.default_subdomain
        server_name = _without_port(server_name, scheme)
        if host == server_name:
            return ""
        subdomain = host.removesuffix("." + server_name)
        return subdomain if subdomain != host else "<invalid>"

    def bind(
        self,
        server_name: str,
        script_name: str | None = "/",
        subdomain: str | None = None,
        url_scheme: str = "http",
        default_method: str = "GET",
        path_info: str | None = "/",
        query_args: Mapping[str, Any] | str | None = None,
    ) -> MapAdapter:
        """Return an adapter with Werkzeug's interface for one host.

        :param server_name: the host, without the subdomain.
        :param script_name: the path below which the application is.
        :param subdomain: the subdomain, None for the default.
        :param url_scheme: the scheme; ``ws`` and ``wss`` match WebSocket rules.
        :param default_method: the method if ``match`` is not given one.
        :param path_info: the path if ``match`` is not given one.
        :param query_args: the query that redirects carry.
        :raises RuntimeError: a subdomain was given, but the map matches hosts.
        """
        if self.host_matching and subdomain is not None:
            raise RuntimeError(
                "This map matches whole hosts, so bind() takes no subdomain. Leave it out, or "
                "make the map without host_matching=True."
            )
        return MapAdapter(
            self,
            server_name.lower(),
            script_name or "/",
            self.default_subdomain if subdomain is None else subdomain,
            url_scheme,
            path_info or "/",
            default_method,
            query_args,
        )

    def build(
        self,
        endpoint: Any,
        values: Mapping[str, Any] | None = None,
        *,
        method: str | None = None,
        host: str = "",
        scheme: str = "http",
        subdomain: str | None = None,
        script_name: str = "/",
        force_external: bool = False,
        append_unknown: bool = True,
        url_scheme: str | None = None,
    ) -> str:
        """Build the URL of an endpoint: a path, or an absolute URL where it must be.

        :param endpoint: the endpoint.
        :param values: the values of its variables; further ones become the query, lists repeat,
            None is left out.
        :param method: only rules with this method; None: those with GET first.
        :param host: the host of the request, without the subdomain.
        :param scheme: the scheme of the request.
        :param subdomain: the subdomain of the request, None for the default.
        :param script_name: the path below which the application is.
        :param force_external: always build an absolute URL; it needs ``host``.
        :param append_unknown: False to leave further values out.
        :param url_scheme: the scheme of an absolute URL, if not the request's; "" for none.
        :raises BuildError: no rule can be built; the message says why and what to do.
        """
        given = given_values(values)
        rule, domain, path = self._choose(endpoint, given, method, append_unknown, host)
        path = f"{script_name.rstrip('/')}/{path.lstrip('/')}"
        here = self.default_subdomain if subdomain is None else subdomain
        same = domain in ("", host) if self.host_matching else domain == here
        if same and not force_external and not rule.websocket:
            return path
        if self.host_matching:
            target = domain or host
        else:
            target = f"{domain}.{host}" if domain and host else host
        if not target:
            if not force_external:
                return path
            refusal = "An absolute URL needs a host, and there is none. Set SERVER_NAME."
            raise BuildError(endpoint, given, method, self._rules, [refusal])
        scheme = scheme if url_scheme is None else url_scheme
        return f"{_scheme_prefix(scheme, rule.websocket)}//{target}{path}"

    def _choose(
        self,
        endpoint: Any,
        values: Mapping[str, Any],
        method: str | None,
        append_unknown: bool,
        host: str,
    ) -> tuple[Rule, str, str]:
        """Return the best rule with its domain part and path; with host matching that of ``host``.

        Without a method, the rules with GET come first.
        """
        rules = self.rules_of(endpoint)
        found: list[tuple[Rule, str, str]] = []
        for wanted in ("GET", None) if method is None else (method,):
            for rule in rules:
                if rule.suitable_for(values, wanted):
                    built = rule.build(values, append_unknown)
                    if built is None:
                        continue
                    if not self.host_matching or built[0] == host:
                        return rule, *built
                    found.append((rule, *built))
            if found:
                return found[0]
        refusals = [
            f"A converter of {rule.rule!r} refused a value."
            for rule in rules
            if rule.suitable_for(values, method)
        ]
        raise BuildError(endpoint, values, method, self._rules, refusals)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._rules)} rules>"


def _ours(rule: WerkzeugRule) -> Rule:
    """Return a Werkzeug rule as one of ours."""
    return Rule(
        rule.rule,
        defaults=rule.defaults,
        subdomain=rule.subdomain,
        methods=rule.methods,
        build_only=rule.build_only,
        endpoint=rule.endpoint,
        strict_slashes=rule.strict_slashes,
        merge_slashes=rule.merge_slashes,
        redirect_to=rule.redirect_to,
        alias=rule.alias,
        host=rule.host,
        websocket=rule.websocket,
    )


def _without_port(host: str, scheme: str) -> str:
    """Return a host in lower case without the port that its scheme has anyway."""
    port = ":443" if scheme in ("https", "wss") else ":80"
    return host.lower().removesuffix(port)


def _scheme_prefix(scheme: str, websocket: bool) -> str:
    """Return ``https:`` and the like, or nothing for a URL relative to the scheme."""
    secure = scheme in ("https", "wss")
    if websocket:
        return "wss:" if secure else "ws:"
    if not scheme:
        return ""
    return "https:" if secure else "http:"
