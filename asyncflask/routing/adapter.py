"""A map bound to a host, with the interface of Werkzeug's ``MapAdapter``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect, WebsocketMismatch

from asyncflask.routing.builder import encode_query
from asyncflask.routing.redirects import Miss

if TYPE_CHECKING:
    from asyncflask.routing.map import Map


class MapAdapter:
    """Matches and builds for one host. ``Map.bind`` makes it; see there for the parameters."""

    def __init__(
        self,
        map: Map,
        server_name: str,
        script_name: str,
        subdomain: str,
        url_scheme: str,
        path_info: str,
        default_method: str,
        query_args: Mapping[str, Any] | str | None = None,
    ) -> None:
        self.map = map
        self.server_name = server_name
        self.script_name = script_name if script_name.endswith("/") else script_name + "/"
        self.subdomain = subdomain
        self.url_scheme = url_scheme
        self.path_info = path_info
        self.default_method = default_method
        self.query_args = query_args
        self.websocket = url_scheme in ("ws", "wss")

    def match(
        self,
        path_info: str | None = None,
        method: str | None = None,
        return_rule: bool = False,
        query_args: Mapping[str, Any] | str | None = None,
        websocket: bool | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Return the endpoint (or the rule) for a path, and the values.

        Each parameter that is None is the adapter's own.

        :raises NotFound: no rule matches.
        :raises MethodNotAllowed: rules match with other methods: ``valid_methods``.
        :raises RequestRedirect: the address is another one: ``new_url``.
        :raises WebsocketMismatch: the rule is for a WebSocket and this is none, or the reverse.
        """
        found = self.map.compile().match(
            self._path(path_info),
            (method or self.default_method).upper(),
            self._domain(),
            self.websocket if websocket is None else websocket,
        )
        if not isinstance(found, Miss):
            rule, values = found
            return (rule if return_rule else rule.endpoint), values
        if found.redirect is not None:
            raise self._redirect(found, self.query_args if query_args is None else query_args)
        if found.allowed:
            raise MethodNotAllowed(valid_methods=sorted(found.allowed))
        if found.websocket_mismatch:
            raise WebsocketMismatch
        raise NotFound

    def _redirect(self, miss: Miss, query_args: Mapping[str, Any] | str | None) -> RequestRedirect:
        url = miss.redirect or ""
        if url.startswith("/") and not url.startswith("//"):
            path = self.script_name + url[1:]
            scheme = self.url_scheme or "http"
            url = f"{scheme}://{self.get_host(miss.domain)}{path}"
        if query_args:
            query = query_args if isinstance(query_args, str) else encode_query(query_args)
            url += ("&" if "?" in url else "?") + query
        return RequestRedirect(url)

    def get_host(self, domain_part: str | None) -> str:
        """Return the whole host for a subdomain, or with host matching for a host.

        :param domain_part: the subdomain or host, None for the adapter's own.
        """
        if self.map.host_matching:
            return domain_part or self.server_name
        subdomain = self.subdomain if domain_part is None else domain_part
        return f"{subdomain}.{self.server_name}" if subdomain else self.server_name

    def test(self, path_info: str | None = None, method: str | None = None) -> bool:
        """Return whether a path matches or redirects."""
        try:
            self.match(path_info, method)
        except RequestRedirect:
            return True
        except HTTPException:
            return False
        return True

    def allowed_methods(self, path_info: str | None = None) -> list[str]:
        """Return the methods that the rules for a path name."""
        path, domain = self._path(path_info), self._domain()
        return sorted(self.map.compile().allowed_methods(path, domain))

    def _path(self, path_info: str | None) -> str:
        path = self.path_info if path_info is None else path_info
        return f"/{path.lstrip('/')}" if path else ""

    def _domain(self) -> str:
        return self.server_name if self.map.host_matching else self.subdomain

    def build(
        self,
        endpoint: Any,
        values: Mapping[str, Any] | None = None,
        method: str | None = None,
        force_external: bool = False,
        append_unknown: bool = True,
        url_scheme: str | None = None,
    ) -> str:
        """Build the URL of an endpoint; see ``Map.build``.

        :raises BuildError: no rule can be built; the message says why and what to do.
        """
        return self.map.build(
            endpoint,
            values,
            method=method,
            host=self.server_name,
            scheme=self.url_scheme,
            subdomain=self.subdomain,
            script_name=self.script_name,
            force_external=force_external,
            append_unknown=append_unknown,
            url_scheme=url_scheme,
        )
