"""The router: which endpoint a request is for.

Rules are compiled into one table. Starlette's own routes can stand among them: a ``Mount`` takes
part in the table as a literal prefix, a ``Host`` is tried before the rules, any other after them,
in order.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast
from urllib.parse import quote, urlsplit

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Host, Match, Mount, NoMatchFound
from starlette.routing import Router as StarletteRouter
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import BuildError, RequestRedirect

from asyncflask.life.guard import HostGuard, host_of, refuse_path
from asyncflask.life.plan import build_endpoint
from asyncflask.life.target import to_origin_form
from asyncflask.routing import Miss, Rule
from asyncflask.routing.redirects import SAFE

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from asyncflask.app import Flask
    from asyncflask.ctx import ConnectionContext
    from asyncflask.life.plan import Endpoint, Plan
    from asyncflask.routing import Matcher

#: Where an answer of the router is kept in the scope for routes that ask for it again.
_ANSWER = "asyncflask.found"


#: The router's answer: the route, its endpoint where it is ours, the parameters, and why there is
#: no route where there is none. PERF: a plain tuple, made once per request (scenario: plain text).
Found = tuple["BaseRoute | None", "Endpoint | None", dict[str, Any], "HTTPException | None"]


class RuleRoute(BaseRoute):
    """A rule of ours, as a Starlette route.

    :param rule: the rule.
    :param router: the router it stands in.
    """

    #: What happens in a request; set when the application starts.
    prepared: Endpoint | None = None
    prepared_options: Endpoint | None = None

    def __init__(self, rule: Rule, router: Router) -> None:
        self.rule = rule
        self.path = rule.rule
        self.name = rule.endpoint
        self.methods = rule.methods
        self._router = router

    @property
    def endpoint(self) -> Any:
        """The view, as other tools expect it of a route."""
        return self._router.flask.view_functions.get(self.name)

    @property
    def include_in_schema(self) -> bool:
        """Whether API descriptions should show it; Starlette's attribute."""
        return not self.rule.build_only

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether this is the route of ``scope``; the router's answer is kept there."""
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        # Applications can be mounted in each other: the scope is the same, the router is not.
        key = (self._router, scope["path"], scope.get("root_path"), scope.get("method"))
        kept = scope.get(_ANSWER)
        if kept is None or kept[0] != key:
            kept = scope[_ANSWER] = (key, self._router.find(scope))
        found: Found = kept[1]
        if found[0] is not self:
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self.endpoint, "path_params": found[2]}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request for this rule."""
        await self._router.flask.dispatch.handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Build the path for the endpoint ``name``, as Starlette's ``url_path_for``."""
        if name != self.name:
            raise NoMatchFound(name, path_params)
        try:
            url = urlsplit(
                self._router.flask.url_map.build(name, path_params, append_unknown=False)
            )
        except BuildError:
            raise NoMatchFound(name, path_params) from None
        protocol: Literal["http", "websocket"] = "websocket" if self.rule.websocket else "http"
        return URLPath(path=url.path, protocol=protocol, host=url.netloc)

    def __repr__(self) -> str:
        return f"<RuleRoute {self.path!r} -> {self.name!r}>"


class _ByMethod(NamedTuple):
    """What is found for a rule whose endpoint depends on the method."""

    route: RuleRoute
    endpoints: dict[str, Endpoint]


class Router(StarletteRouter):
    """Starlette's router with our matching.

    :param flask: the application; its ``url_map`` holds the rules.
    """

    def __init__(self, flask: Flask, lifespan: Any) -> None:
        super().__init__(lifespan=lifespan)
        self._flask = weakref.ref(flask)  # no cycle: an application is freed at once, as in Flask
        self._matcher: Matcher | None = None
        self._uses_hosts = False
        self._look_up: Callable[[str, str, str, bool], Any] | None = None
        self._hosts: tuple[BaseRoute, ...] = ()
        self._foreign: tuple[BaseRoute, ...] = ()
        #: What is found for whole paths, by method: the rules without variables.
        self._whole: dict[str, dict[str, tuple[RuleRoute, Endpoint]]] = {}
        self._refuse_host: Callable[[Scope], Found | None] = HostGuard(None).refuse

    @property
    def flask(self) -> Flask:
        """The application, which owns this."""
        return cast("Flask", self._flask())

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request that was given to the router itself."""
        await self.flask.dispatch.handle(scope, receive, send)

    def add_rule(self, rule: Rule) -> None:
        """Add a rule; its route stands in ``routes`` at this place."""
        route = RuleRoute(rule, self)
        rule.target = route
        self.routes.append(route)
        self._matcher = self._look_up = None
        self._whole = {}

    def compile(self) -> Matcher:
        """Compile rules and mounts into the table that requests are matched with."""
        url_map = self.flask.url_map
        for rule in url_map.iter_rules():
            if rule.target is None:  # added to the map itself: `app.url_map.add(Rule(...))`
                self.add_rule(rule)
        foreign = [route for route in self.routes if not isinstance(route, RuleRoute)]
        by_host = url_map.host_matching or self.flask.subdomain_matching
        # Where hosts are matched each rule is for one of them, while a mount is for all.
        mounts = [
            route
            for route in foreign
            if isinstance(route, Mount) and "{" not in route.path and not by_host
        ]
        self._matcher = matcher = url_map.compile(map(_mount_rule, mounts), uses_hosts=by_host)
        self._uses_hosts = matcher.uses_hosts
        # A route for a host is more specific than a rule for all hosts.
        self._hosts = tuple(route for route in foreign if isinstance(route, Host))
        self._look_up = None if self._uses_hosts or self._hosts else matcher.find
        self._foreign = tuple(route for route in foreign if route not in (*mounts, *self._hosts))
        return matcher

    def in_matching_order(self) -> list[BaseRoute]:
        """Return the routes so that of those that fit a request, the first is the one it takes."""
        rules = self.compile().in_order()
        build_only = (rule for rule in self.flask.url_map.iter_rules() if rule.build_only)
        compiled = (rule.target for rule in rules)
        return [*self._hosts, *compiled, *self._foreign, *(r.target for r in build_only)]

    def freeze(self, plan: Plan) -> None:
        """Compile the table and give every route its endpoint; once more where they change."""
        self.compile()
        self._refuse_host = HostGuard(self.flask.config["TRUSTED_HOSTS"]).refuse
        for route in self.routes:
            if isinstance(route, RuleRoute):
                route.prepared = plan.endpoint_of(route.rule)
                on_loop = {} if route.rule.websocket else plan.endpoints_on_loop(route.name)
                route.rule.target = _ByMethod(route, on_loop) if on_loop else route
                if route.rule.provide_automatic_options:
                    route.prepared_options = plan.options_for(route.prepared)
        self._find_beforehand()

    def _find_beforehand(self) -> None:
        """Find what does not depend on the request: the rules without variables."""
        for route in self.routes:
            if isinstance(route, RuleRoute) and "<" not in route.path and not self._uses_hosts:
                for method in route.methods or ():
                    scope = {"type": "http", "method": method, "path": route.path, "headers": []}
                    found, endpoint, params, _ = self.find(scope)
                    if isinstance(found, RuleRoute) and endpoint is not None and not params:
                        self._whole.setdefault(route.path, {})[method] = found, endpoint

    def refuse(self, scope: Scope) -> Found | None:
        """Refuse a request or handshake that no view should see."""
        return self._refuse_host(scope) or refuse_path(scope)

    def answer(self, scope: Scope) -> Found:
        """Refuse a request, or find its route.

        PERF: the usual cases here, with nothing asked twice; a path of a rule without variables is
        known to be fine (scenarios: plain text, `int` in the path).
        """
        refused = self._refuse_host(scope)
        if refused is not None:
            return refused
        if self._look_up is not None and not scope.get("root_path"):
            path: str = scope["path"]
            method: str = scope["method"]
            by_method = self._whole.get(path)
            if by_method is not None and method in by_method:
                route, endpoint = by_method[method]
                return route, endpoint, {}, None
            if path.isascii() and path.isprintable() and method != "OPTIONS":
                found = self._look_up("", path, method, False)
                if found.__class__ is tuple:
                    rule, params = found
                    route = rule.target
                    if route.__class__ is RuleRoute:
                        return route, route.prepared, params, None
        return refuse_path(scope) or self.find(scope)

    def match(self, context: ConnectionContext) -> None:
        """Find the route for a context that was made by hand, and tell the context."""
        scope = context.scope
        route, endpoint, params, error = self.refuse(scope) or self.find(scope)
        if endpoint is None and error is None:
            name = getattr(route, "name", "")
            view = self.flask.view_functions.get(name)
            if view is not None:  # the application has not started: there is no plan yet
                kind: Any = "websocket" if context.scope["type"] == "websocket" else "request"
                endpoint = build_endpoint(self.flask, name, view, kind)
        if endpoint is not None:
            context.endpoint = endpoint
        context.params = params
        context.routing_exception = error
        context.scope.update(route=route, endpoint=context.endpoint.function, path_params=params)

    def find(self, scope: Scope) -> Found:
        """Find the route in any case: below a prefix, by host, for OPTIONS, WebSockets, mounts.

        The path is matched without ``root_path``, and the whole of it.
        """
        path: str = scope["path"]
        root: str = scope.get("root_path", "").rstrip("/")
        if not path.startswith(root) or path[len(root) : len(root) + 1] not in ("", "/"):
            return self._find_in_origin_form(scope) or (None, None, {}, NotFound())
        matcher = self._matcher or self.compile()
        for route in self._hosts:
            if route.matches(scope)[0] is Match.FULL:
                return route, None, scope.get("path_params", {}), None
        method = scope.get("method", "GET")
        domain = self._domain(scope) if self._uses_hosts else ""
        if domain == "<invalid>":
            return None, None, {}, NotFound()
        found = matcher.match(
            path[len(root) :] or "/", method, domain, scope["type"] == "websocket"
        )
        if isinstance(found, Miss):
            return self._find_in_origin_form(scope) or self._find_foreign(scope, found)
        rule, params = found
        route, by_method = rule.target, None
        if isinstance(route, _ByMethod):
            route, by_method = route
        if not isinstance(route, RuleRoute):
            return route, None, scope.get("path_params", {}), None
        if method == "OPTIONS" and rule.provide_automatic_options:
            return route, route.prepared_options, params, None
        if by_method is not None and method in by_method:
            return route, by_method[method], params, None
        return route, route.prepared, params, None

    def _find_foreign(self, scope: Scope, miss: Miss) -> Found:
        partial = None
        for route in self._foreign:
            match, _ = route.matches(scope)
            if match is Match.FULL:
                partial = route
                break
            if match is Match.PARTIAL and partial is None:
                partial = route
        if partial is None:
            return None, None, {}, _routing_error(scope, miss)
        return partial, None, scope.get("path_params", {}), None

    def _find_in_origin_form(self, scope: Scope) -> Found | None:
        """Find the route for ``GET http://host/path``; such a target fits no rule as it is."""
        if not to_origin_form(scope):
            return None
        return self.refuse(scope) or self.find(scope)

    def allowed_methods(self, scope: Scope) -> list[str]:
        """Return the methods that the path of a request may be asked with."""
        matcher = self._matcher or self.compile()
        root = scope.get("root_path", "").rstrip("/")
        domain = self._domain(scope) if matcher.uses_hosts else ""
        return sorted(matcher.allowed_methods(scope["path"][len(root) :] or "/", domain))

    def _domain(self, scope: Scope) -> str:
        """Return what rules with a host or a subdomain are matched with."""
        flask = self.flask
        server_name = flask.config["SERVER_NAME"] if flask.subdomain_matching else None
        return flask.url_map.domain_part(host_of(scope), scope.get("scheme", "http"), server_name)


def _routing_error(scope: Scope, miss: Miss) -> HTTPException:
    if miss.redirect is not None:
        return _redirect(scope, miss.redirect, miss)
    if miss.allowed:
        return MethodNotAllowed(valid_methods=sorted(miss.allowed))
    if miss.websocket_mismatch:
        return BadRequest("This address speaks another protocol (WebSocket or HTTP).")
    return NotFound()


def _redirect(scope: Scope, location: str, miss: Miss) -> RequestRedirect:
    """The redirect to another address: a path, so that it holds behind any proxy."""
    if "://" not in location and not location.startswith("//"):
        location = quote(scope.get("root_path", "").rstrip("/"), safe=SAFE) + location
        if miss.domain is not None:
            location = f"{scope.get('scheme', 'http')}://{miss.domain}{location}"
    query = scope.get("query_string", b"").decode("latin-1")
    if query:
        location = f"{location}{'&' if '?' in location else '?'}{query}"
    return RequestRedirect(location)


def _mount_rule(mount: Mount) -> Rule:
    rule = Rule(mount.path or "/", endpoint="", prefix=True)
    rule.target = mount
    return rule
