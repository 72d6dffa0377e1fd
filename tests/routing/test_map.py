"""The map, building URLs, and the adapter with Werkzeug's interface."""

from __future__ import annotations

from typing import Any

import pytest
import werkzeug.routing as werkzeug
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import MethodNotAllowed, NotFound

from asyncflask.routing import BuildError, Map, Rule


@pytest.fixture
def url_map() -> Map:
    """A map with rules of all kinds."""
    return Map(
        [
            Rule("/", endpoint="index"),
            Rule("/users/<int:id>", endpoint="user", methods=["GET"]),
            Rule("/users/<int:id>/edit", endpoint="edit", methods=["POST"]),
            Rule("/page/", endpoint="page", defaults={"page": 1}),
            Rule("/page/<int:page>", endpoint="page"),
            Rule("/en/<slug>", endpoint="post", defaults={"lang": "en"}),
            Rule("/<lang>/<slug>", endpoint="post"),
            Rule("/ws", endpoint="ws", websocket=True),
            Rule("/", endpoint="api", subdomain="api"),
            Rule("/only", endpoint="only", build_only=True),
            Rule("/fixed/<v>/x", endpoint="fixed", defaults={"v": "a b"}),
            Rule("/branch/", endpoint="branch"),
        ]
    )


class TestBuilding:
    """``Map.build``."""

    @pytest.mark.parametrize(
        ("endpoint", "values", "url"),
        [
            ("index", None, "/"),
            ("user", {"id": 5}, "/users/5"),
            ("user", {"id": 5, "q": "a b&ü", "n": None}, "/users/5?q=a+b%26%C3%BC"),
            ("user", {"id": 5, "q": ["x", None, "y"], "n": []}, "/users/5?q=x&q=y"),
            ("user", MultiDict([("id", 5), ("q", "x"), ("q", "y")]), "/users/5?q=x&q=y"),
            ("edit", {"id": 5}, "/users/5/edit"),
            ("page", {}, "/page/"),
            ("page", {"page": 1}, "/page/"),
            ("page", {"page": 2}, "/page/2"),
            ("post", {"lang": "en", "slug": "x"}, "/en/x"),
            ("post", {"lang": "de", "slug": "x"}, "/de/x"),
            ("only", {}, "/only"),
            ("fixed", {}, "/fixed/a%20b/x"),
            ("index", {"n": []}, "/"),
        ],
    )
    def test_paths(self, url_map: Map, endpoint: str, values: Any, url: str) -> None:
        """The rule that suits the values is chosen; others become the query."""
        assert url_map.build(endpoint, values) == url

    def test_where_the_application_is(self, url_map: Map) -> None:
        """Below a script name, on a host, with a scheme."""
        assert url_map.build("user", {"id": 5}, script_name="/m/") == "/m/users/5"
        external: dict[str, Any] = {"host": "x.com", "force_external": True}
        assert url_map.build("index", **external) == "http://x.com/"
        assert url_map.build("index", **external, scheme="wss") == "https://x.com/"
        assert url_map.build("index", **external, url_scheme="https") == "https://x.com/"
        assert url_map.build("index", **external, url_scheme="") == "//x.com/"
        assert url_map.build("ws", host="x.com") == "ws://x.com/ws"
        assert url_map.build("ws", host="x.com", scheme="https") == "wss://x.com/ws"
        assert url_map.build("ws") == "/ws"

    def test_subdomains(self, url_map: Map) -> None:
        """A URL on another subdomain is absolute."""
        assert url_map.build("api", host="x.com") == "http://api.x.com/"
        assert url_map.build("api", host="x.com", subdomain="api") == "/"
        assert url_map.build("index", host="x.com", subdomain="api") == "http://x.com/"

    def test_hosts(self) -> None:
        """Of several hosts the one of the request, else the first."""
        url_map = Map(
            [
                Rule("/", endpoint="a", host="one.com"),
                Rule("/", endpoint="a", host="two.com"),
                Rule("/<v>", endpoint="b", host="<sub>.com"),
                Rule("/", endpoint="none"),
            ],
            host_matching=True,
        )
        assert url_map.build("a", host="two.com") == "/"
        assert url_map.build("a", host="other.com") == "http://one.com/"
        assert url_map.build("b", {"sub": "x", "v": 1}, host="two.com") == "http://x.com/1"
        assert url_map.build("none", host="two.com") == "/"

    def test_methods_choose_among_the_rules(self) -> None:
        """Without a method those with GET come first."""
        url_map = Map(
            [
                Rule("/post", endpoint="a", methods=["POST"]),
                Rule("/get", endpoint="a", methods=["GET"]),
            ]
        )
        assert url_map.build("a") == "/get"
        assert url_map.build("a", method="POST") == "/post"

    def test_the_query_can_be_sorted_or_left_out(self) -> None:
        """By name, or by a key of the pair."""
        values = {"b": 1, "a": 2}
        rule = Rule("/", endpoint="a")
        assert Map([rule.empty()]).build("a", values) == "/?b=1&a=2"
        assert Map([rule.empty()]).build("a", values, append_unknown=False) == "/"
        assert Map([rule.empty()], sort_parameters=True).build("a", values) == "/?a=2&b=1"
        by_value = Map([rule.empty()], sort_parameters=True, sort_key=lambda pair: pair[1])
        assert by_value.build("a", values) == "/?b=1&a=2"

    @pytest.mark.parametrize(
        ("endpoint", "values", "method", "message"),
        [
            ("usr", {}, None, "Did you mean 'user' instead?"),
            ("user", {}, None, "Did you forget to specify values ['id']?"),
            ("user", {"id": 1}, "PUT", "(PUT) with values ['id']. Did you mean to use methods"),
            ("fixed", {"v": "c"}, None, "The value v='c' is not allowed: '/fixed/<v>/x' is the"),
            ("zzzzzzzzzz", {}, None, "Could not build a URL for endpoint 'zzzzzzzzzz'."),
        ],
    )
    def test_errors_say_what_to_do(
        self, url_map: Map, endpoint: str, values: Any, method: str | None, message: str
    ) -> None:
        """They suggest the nearest endpoint and name methods and values."""
        with pytest.raises(werkzeug.BuildError) as caught:
            url_map.build(endpoint, values, method=method)
        assert message in str(caught.value)
        assert (caught.value.endpoint, caught.value.method) == (endpoint, method)

    def test_the_rule_nearest_to_what_was_asked_is_suggested(self) -> None:
        """With the method, then with the fewest missing values."""
        near = Rule("/b/<x>", endpoint="a")
        url_map = Map([Rule("/a/<x>/<y>", endpoint="a"), near])
        with pytest.raises(BuildError) as caught:
            url_map.build("a")
        assert caught.value.suggested is near

    def test_an_empty_map_says_so(self) -> None:
        """There is nothing to suggest."""
        with pytest.raises(BuildError, match="The map has no rules"):
            Map().build("a")

    def test_an_absolute_url_needs_a_host(self, url_map: Map) -> None:
        """The error says what to set."""
        with pytest.raises(BuildError, match="Set SERVER_NAME"):
            url_map.build("index", force_external=True)


class TestMap:
    """Adding rules and asking for them."""

    def test_rules_are_listed(self, url_map: Map) -> None:
        """All in order of registration, or those of an endpoint."""
        assert [rule.endpoint for rule in url_map.iter_rules()][:3] == ["index", "user", "edit"]
        assert [str(rule) for rule in url_map.iter_rules("user")] == ["/users/<int:id>"]
        with pytest.raises(KeyError):
            url_map.iter_rules("nothing")
        assert url_map.is_endpoint_expecting("post", "lang", "slug")
        assert not url_map.is_endpoint_expecting("user", "lang")
        assert repr(url_map) == "<Map of 12 rules>"
        assert repr(next(url_map.iter_rules("user"))) == (
            "<Rule '/users/<int:id>' (GET, HEAD) -> user>"
        )
        assert repr(Rule("/a", endpoint="a")) == "<Rule '/a' -> a>"
        assert Rule("/a").is_leaf
        assert Rule("/a/").is_branch

    def test_rules_can_be_added_after_a_match(self, url_map: Map) -> None:
        """The table is made anew."""
        adapter = url_map.bind("x.com")
        assert not adapter.test("/new")
        url_map.add(Rule("/new", endpoint="new"))
        url_map.update()
        assert adapter.test("/new")

    def test_werkzeug_rules_and_factories_can_be_added(self) -> None:
        """They are copied to rules of ours."""
        url_map = Map(
            [
                werkzeug.Rule("/w/<int:v>", endpoint="w", methods=["GET"]),
                werkzeug.Submount("/sub", [Rule("/<v>", endpoint="s")]),
                werkzeug.EndpointPrefix("p.", [werkzeug.Rule("/p", endpoint="e")]),
                werkzeug.Subdomain("api", [Rule("/d", endpoint="d")]),
            ]
        )
        assert {(rule.endpoint, str(rule)) for rule in url_map.iter_rules()} == {
            ("w", "/w/<int:v>"),
            ("s", "/sub/<v>"),
            ("p.e", "/p"),
            ("d", "/d"),
        }
        assert all(type(rule) is Rule for rule in url_map.iter_rules())
        adapter = url_map.bind("x.com")
        assert adapter.match("/w/5") == ("w", {"v": 5})
        assert adapter.match("/sub/x") == ("s", {"v": "x"})
        assert adapter.build("d") == "http://api.x.com/d"


class TestAdapter:
    """``Map.bind``."""

    def test_it_raises_what_werkzeug_raises(self, url_map: Map) -> None:
        """404, 405, redirects with the query, and the wrong protocol."""
        adapter = url_map.bind("X.com", "/app", query_args={"a": ["1", "2"]})
        assert adapter.match() == ("index", {})
        assert adapter.match("/users/5", return_rule=True)[0].methods == {"GET", "HEAD"}
        with pytest.raises(NotFound):
            adapter.match("/nothing/here/at/all")
        with pytest.raises(MethodNotAllowed) as not_allowed:
            adapter.match("/users/5/edit", "put")
        assert not_allowed.value.valid_methods == ["POST"]
        with pytest.raises(werkzeug.WebsocketMismatch):
            adapter.match("/ws")
        assert url_map.bind("x.com", url_scheme="ws").match("/ws") == ("ws", {})
        for query, url in ((None, "?a=1&a=2"), ("b=3", "?b=3"), ({}, "")):
            with pytest.raises(werkzeug.RequestRedirect) as redirect:
                adapter.match("/branch", query_args=query)
            assert redirect.value.new_url == f"http://x.com/app/branch/{url}"
            assert redirect.value.code == 308

    def test_it_says_what_would_match(self, url_map: Map) -> None:
        """And with which methods."""
        adapter = url_map.bind("x.com", None, path_info=None)
        assert adapter.test("/branch")
        assert not adapter.test("/users/x/edit")
        assert not adapter.test("/users/5/edit")
        assert adapter.test("/users/5/edit", "POST")
        assert adapter.allowed_methods("/users/5/edit") == ["POST"]
        assert adapter.allowed_methods() == []

    def test_it_knows_its_host(self, url_map: Map) -> None:
        """With or without subdomains."""
        assert url_map.bind("x.com", subdomain="api").get_host(None) == "api.x.com"
        assert url_map.bind("x.com").get_host("api") == "api.x.com"
        assert url_map.bind("x.com").get_host(None) == "x.com"
        hosts = Map(host_matching=True)
        assert hosts.bind("x.com").get_host(None) == "x.com"
        assert hosts.bind("x.com").get_host("y.com") == "y.com"
        with pytest.raises(RuntimeError, match="takes no subdomain"):
            hosts.bind("x.com", subdomain="a")

    def test_redirects_to_another_host_stay_absolute(self) -> None:
        """A query in the target is kept."""
        url_map = Map([Rule("/a", redirect_to="https://y.com/?b=1"), Rule("/b", redirect_to="c")])
        adapter = url_map.bind("x.com", "/app/")
        for path, url in (
            ("/a", "https://y.com/?b=1&q=2"),
            ("/b", "http://x.com/app/c?q=2"),
        ):
            with pytest.raises(werkzeug.RequestRedirect) as redirect:
                adapter.match(path, query_args="q=2")
            assert redirect.value.new_url == url
