"""Which rule a path finds, and what a path that finds none is answered."""

from __future__ import annotations

import itertools
import time
import timeit
from functools import partial
from typing import Any

import pytest
import werkzeug.routing as werkzeug
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncflask.routing import Map, Matcher, Miss, Rule


def table(*rules: str | Rule, **options: Any) -> Matcher:
    """Return a matcher; a rule that is given as text has itself as endpoint."""
    made = [Rule(rule, endpoint=rule) if isinstance(rule, str) else rule for rule in rules]
    return Map(made, **options).compile()


def found(matcher: Matcher, path: str, method: str = "GET", **options: Any) -> Any:
    """Return the endpoint for a path, or the miss."""
    answer = matcher.match(path, method, **options)
    return answer if isinstance(answer, Miss) else answer[0].endpoint


SPECIFIC_FIRST = [
    "/a/b",
    "/a/x<v>",
    "/a/<v>.<int:w>",
    "/a/<int:v>",
    "/a/<v>",
    "/a/<path:v>",
    "/<int:v>/b",
    "/<v>/b",
    "/<v>/<w>",
    "/<path:v>/edit",
    "/<path:v>",
]


@pytest.mark.parametrize("rotation", range(len(SPECIFIC_FIRST)))
def test_the_most_specific_rule_wins_whatever_the_order(rotation: int) -> None:
    """Place by place: literals before variables, mixed ones first, then by converter."""
    order = SPECIFIC_FIRST[rotation:] + SPECIFIC_FIRST[:rotation]
    for rules in (order, order[::-1]):
        matcher = table(*rules)
        assert found(matcher, "/a/b") == "/a/b"
        assert found(matcher, "/a/xyz") == "/a/x<v>"
        assert found(matcher, "/a/y.5") == "/a/<v>.<int:w>"
        assert found(matcher, "/a/5") == "/a/<int:v>"
        assert found(matcher, "/a/y") == "/a/<v>"
        assert found(matcher, "/a/y/z") == "/a/<path:v>"
        assert found(matcher, "/5/b") == "/<int:v>/b"
        assert found(matcher, "/c/b") == "/<v>/b"
        assert found(matcher, "/c/d") == "/<v>/<w>"
        assert found(matcher, "/c/d/edit") == "/<path:v>/edit"
        assert found(matcher, "/c/d/e/f") == "/<path:v>"


def test_equal_rules_are_tried_in_the_order_of_registration() -> None:
    """The first one that matches wins."""
    matcher = table("/<string(length=2):v>", "/<w>", "/<uuid:u>")
    assert found(matcher, "/ab") == "/<string(length=2):v>"
    assert found(matcher, "/abc") == "/<w>"


def test_another_method_tries_the_next_rule() -> None:
    """And where none fits, the miss names the methods of all that match."""
    matcher = table(
        Rule("/a", endpoint="get", methods=["GET"]),
        Rule("/a", endpoint="post", methods=["POST"]),
        Rule("/<v>", endpoint="put", methods=["PUT"]),
        Rule("/<int:v>", endpoint="patch", methods=["PATCH"]),
        Rule("/<v>/<int:w>", endpoint="two", methods=["GET"]),
    )
    assert found(matcher, "/a", "HEAD") == "get"
    assert found(matcher, "/a", "POST") == "post"
    assert found(matcher, "/a", "PUT") == "put"
    assert found(matcher, "/a", "DELETE") == Miss(frozenset({"GET", "HEAD", "POST", "PUT"}))
    assert found(matcher, "/7", "DELETE") == Miss(frozenset({"PUT", "PATCH"}))
    # A value that does not convert is not found, whatever the method.
    assert found(matcher, "/a/b", "DELETE") == Miss()
    assert matcher.allowed_methods("/a") == {"GET", "HEAD", "POST", "PUT"}
    assert matcher.allowed_methods("/a/b") == frozenset()


def test_websocket_rules_match_handshakes_only() -> None:
    """The miss says when it is only the protocol that differs."""
    matcher = table(
        Rule("/both", endpoint="http", methods=["GET"]),
        Rule("/both", endpoint="ws", websocket=True),
        Rule("/ws/<v>", endpoint="only", websocket=True),
    )
    assert found(matcher, "/both") == "http"
    assert found(matcher, "/both", websocket=True) == "ws"
    assert found(matcher, "/ws/1", websocket=True) == "only"
    assert found(matcher, "/ws/1") == Miss(websocket_mismatch=True)
    assert matcher.allowed_methods("/both") == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["*", "a", "a/b", "//b", "x/5", "/\n", "/a\n", "/b/5\n", "/b/"])
def test_other_paths_are_not_found(path: str) -> None:
    """A path starts with a slash, and all of it counts."""
    matcher = table(
        Rule("/a", endpoint="a", methods=["GET"]),
        Rule("/b/<int:v>", endpoint="b", methods=["GET"]),
        Rule("/<int:v>", endpoint="c", methods=["GET"]),
    )
    for method in ("GET", "OPTIONS"):
        assert found(matcher, path, method) == Miss()


ANY_TEXT = st.text(st.characters(exclude_categories=()))


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY_TEXT, max_size=4).map("/".join), ANY_TEXT, ANY_TEXT)
def test_no_request_raises(path: str, method: str, host: str) -> None:
    """Whatever the path, the method and the host are, undecodable or not, there is an answer."""
    rules = ("/", "/<v>/", "/<int:v>/<w>", "/<v>.<w>/<path:x>/", "/a/<uuid:v>", "/a/<float:v>")
    hosted = [Rule(rule, endpoint=rule, host="<h>") for rule in rules]
    for matcher in (table(*rules), table(*hosted, host_matching=True)):
        for each in (path, "/" + path, f"/a/{path}/", "//" + path):
            assert isinstance(matcher.match(each, method, host), (Miss, tuple))
            assert isinstance(matcher.allowed_methods(each, host), frozenset)


def test_defaults_join_the_values() -> None:
    """The values of a match are the caller's own."""
    matcher = table(Rule("/a", endpoint="a", defaults={"page": 1}))
    for _ in range(2):
        _, values = matcher.match("/a", "GET")  # type: ignore[misc]
        assert values == {"page": 1}
        values["page"] = 2


class TestSlashes:
    """A slash at the end that is missing or too much, and slashes that are repeated."""

    def test_a_missing_slash_redirects_if_the_method_fits(self) -> None:
        """The redirect keeps the method and is quoted."""
        matcher = table(
            Rule("/ä/<v>/", endpoint="a", methods=["GET"]),
            Rule("/b/", endpoint="b", methods=["GET"]),
            "/w/<path:p>/",
        )
        assert found(matcher, "/ä/b c") == Miss(redirect="/%C3%A4/b%20c/")
        assert found(matcher, "/ä/b", "POST") == Miss()
        assert found(matcher, "/b") == Miss(redirect="/b/")
        assert found(matcher, "/b", "POST") == Miss()
        assert found(matcher, "/w/a/b") == Miss(redirect="/w/a/b/")
        assert found(matcher, "/w/a/b/") == "/w/<path:p>/"
        assert found(matcher, "") == Miss()

    def test_a_slash_too_much_is_not_found(self) -> None:
        """As in Flask."""
        assert found(table("/a"), "/a/") == Miss()

    def test_rules_that_are_not_strict_match_both(self) -> None:
        """Also behind variables, and the root."""
        matcher = table("/a", "/b/", "/c/<v>", "/d/<v>/", "/", strict_slashes=False)
        for path, endpoint in {
            "/a/": "/a",
            "/b": "/b/",
            "/c/1/": "/c/<v>",
            "/d/1": "/d/<v>/",
            "": "/",
        }.items():
            assert found(matcher, path) == endpoint

    def test_a_rule_itself_comes_before_one_with_the_other_slash(self) -> None:
        """Whatever the order of registration."""
        rules = [Rule("/<v>/", endpoint="slash"), Rule("/<v>", endpoint="none")]
        for order in (rules, rules[::-1]):
            matcher = table(*(rule.empty() for rule in order))
            assert found(matcher, "/a") == "none"
            assert found(matcher, "/a/") == "slash"

    def test_repeated_slashes_are_merged_by_a_redirect(self) -> None:
        """If the merged path matches; a path converter keeps its own."""
        matcher = table(
            Rule("/a/b", endpoint="a", methods=["GET"]),
            "/b/",
            "/w/<path:p>",
            Rule("/k/b", endpoint="k", merge_slashes=False),
        )
        assert found(matcher, "//a///b") == Miss(redirect="/a/b")
        assert found(matcher, "//b") == Miss(redirect="/b/")
        assert found(matcher, "/a//b", "POST") == Miss(frozenset({"GET", "HEAD"}))
        assert found(matcher, "/w/x//y") == "/w/<path:p>"
        assert found(matcher, "/w//x") == Miss(redirect="/w/x")
        assert found(matcher, "/k//b") == Miss()
        assert found(matcher, "/z//b") == Miss()
        assert found(table("/a/b", merge_slashes=False), "/a//b") == Miss()
        assert found(table("/a//b"), "/a/b") == "/a//b"

    def test_a_redirect_never_leads_to_another_host(self) -> None:
        """Even if a converter takes a path that starts with two slashes."""

        class Anything(werkzeug.BaseConverter):
            regex = ".*?"
            part_isolating = False

        matcher = table("/<anything:v>/", converters={"anything": Anything})
        assert found(matcher, "//evil.example") == Miss(redirect="/evil.example/")


class TestRedirects:
    """The one right address of a page."""

    def test_the_default_value_redirects_to_the_rule_without_it(self) -> None:
        """Unless the map says otherwise."""
        rules = [
            Rule("/page/", endpoint="page", defaults={"page": 1}),
            Rule("/page/<int:page>", endpoint="page"),
        ]
        matcher = table(*(rule.empty() for rule in rules))
        assert found(matcher, "/page/1") == Miss(redirect="/page/")
        assert found(matcher, "/page/2") == "page"
        assert found(matcher, "/page/") == "page"
        kept = table(*rules, redirect_defaults=False)
        assert found(kept, "/page/1") == "page"

    def test_an_alias_redirects_to_the_canonical_rule(self) -> None:
        """An alias without one is served itself."""
        matcher = table(
            Rule("/users/<int:v>", endpoint="user"),
            Rule("/u/<int:v>", endpoint="user", alias=True),
            Rule("/alone", endpoint="alone", alias=True),
        )
        assert found(matcher, "/u/7") == Miss(redirect="/users/7")
        assert found(matcher, "/alone") == "alone"

    def test_a_canonical_rule_that_refuses_the_value_is_none(self) -> None:
        """Then the alias is served itself."""

        class Never(werkzeug.BaseConverter):
            def to_url(self, value: Any) -> str:
                raise werkzeug.ValidationError

        rules = [
            Rule("/a/<never:v>", endpoint="a"),
            Rule("/b/<v>", endpoint="a", alias=True),
        ]
        assert found(table(*rules, converters={"never": Never}), "/b/1") == "a"

    def test_redirect_to_is_a_text_with_variables(self) -> None:
        """Defaults can stand in it; only its author can lead to another host."""
        matcher = table(
            Rule("/old/<int:v>", redirect_to="new/<v>/<w>", defaults={"w": "ü"}),
            Rule("/any/<path:v>", redirect_to="<v>"),
            Rule("/out/<v>", redirect_to="https://example.com/<v>"),
        )
        assert found(matcher, "/old/7") == Miss(redirect="/new/7/%C3%BC")
        assert found(matcher, "/any/http://evil.example") == Miss(redirect="/http://evil.example")
        assert found(matcher, "/out/a b") == Miss(redirect="https://example.com/a%20b")

    def test_redirect_to_is_a_function_of_an_adapter_and_the_values(self) -> None:
        """The adapter builds other URLs."""

        def target(adapter: Any, v: int) -> str:
            url: str = adapter.build("new", {"v": v + 1})
            return url

        rules = [
            Rule("/new/<int:v>", endpoint="new", host="a.com"),
            Rule("/old/<int:v>", redirect_to=target, host="a.com"),
        ]
        assert found(table(*(rule.empty() for rule in rules)), "/old/1") == Miss(redirect="/new/2")
        matcher = table(*rules, host_matching=True)
        assert found(matcher, "/old/1", host="a.com") == Miss(redirect="/new/2")


class TestMounts:
    """Rules with a literal prefix that take everything below it."""

    def test_a_mount_takes_everything_below_its_prefix(self) -> None:
        """Any method and both protocols; the prefix alone redirects to its slash."""
        matcher = table(Rule("/m", endpoint="m", prefix=True), "/<a>/<b>")
        for method, websocket in itertools.product(("GET", "PUT"), (False, True)):
            answer = matcher.match("/m/a//b", method, websocket=websocket)
            assert answer[1] == {"path": "a//b"}  # type: ignore[index]
        assert matcher.match("/m/", "GET")[1] == {"path": ""}  # type: ignore[index]
        assert found(matcher, "/m/x") == "m"
        assert found(matcher, "/m") == Miss(redirect="/m/")
        assert found(matcher, "/mx") == Miss()

    def test_a_rule_below_the_prefix_wins(self) -> None:
        """A literal one or one with variables; of mounts the longest prefix."""
        matcher = table(
            Rule("/", endpoint="root", prefix=True),
            Rule("/m", endpoint="m", prefix=True),
            Rule("/m/n", endpoint="n", prefix=True),
            "/m/lit",
            "/m/<int:v>",
        )
        assert found(matcher, "/m/lit") == "/m/lit"
        assert found(matcher, "/m/5") == "/m/<int:v>"
        assert found(matcher, "/m/x") == "m"
        assert found(matcher, "/m/n/x") == "n"
        assert found(matcher, "/x/y/z/1/2/3") == "root"
        assert found(matcher, "/") == "root"

    def test_mounts_can_be_given_for_the_table_only(self) -> None:
        """They take no part in building."""
        url_map = Map([Rule("/a", endpoint="a")])
        matcher = url_map.compile([Rule("/m", endpoint="", prefix=True)])
        assert found(matcher, "/m/x") == ""
        assert found(matcher, "/a") == "a"
        assert [str(rule) for rule in url_map.iter_rules()] == ["/a"]


class TestHosts:
    """Rules for hosts and subdomains."""

    def test_rules_for_hosts_match_there_only(self) -> None:
        """Literal hosts come before variable ones, whose values join the others."""
        matcher = table(
            Rule("/<v>", endpoint="any", host="<sub>.example.com"),
            Rule("/<v>", endpoint="www", host="WWW.example.com"),
            Rule("/", endpoint="port", host="example.com:8080"),
            Rule("/", endpoint="nowhere"),
            Rule("/m", endpoint="m", prefix=True),
            host_matching=True,
        )
        assert matcher.uses_hosts
        assert found(matcher, "/x", host="www.Example.com") == "www"
        rule, values = matcher.match("/x", "GET", "api.example.com")  # type: ignore[misc]
        assert (rule.endpoint, values) == ("any", {"sub": "api", "v": "x"})
        assert found(matcher, "/", host="example.com:8080") == "port"
        assert found(matcher, "/", host="example.com") == Miss()
        assert found(matcher, "/m/x", host="other.example") == "m"

    def test_a_host_with_a_slash_or_a_path_without_one_is_not_found(self) -> None:
        """They would move the border between host and path."""
        matcher = table(Rule("/a/<v>", endpoint="a", host="h"), host_matching=True)
        assert found(matcher, "/b", host="h/a") == Miss()
        assert found(matcher, "x", host="h") == Miss()
        assert found(matcher, "/a/b", host="h") == "a"

    def test_subdomains_and_their_redirects(self) -> None:
        """A redirect says if the canonical address is on another subdomain."""
        matcher = table(
            Rule("/", endpoint="i"),
            Rule("/", endpoint="a", subdomain="api"),
            Rule("/x", endpoint="x", subdomain="<lang>"),
            Rule("/y", endpoint="i", alias=True, subdomain="api"),
            Rule("/z", endpoint="z", subdomain="api", methods=["PUT"]),
        )
        assert found(matcher, "/") == "i"
        assert found(matcher, "/", host="api") == "a"
        assert matcher.match("/x", "GET", "de")[1] == {"lang": "de"}  # type: ignore[index]
        assert found(matcher, "/y", host="api") == Miss(redirect="/", domain="")
        assert matcher.allowed_methods("/z", "api") == {"PUT"}

    def test_without_hosts_the_host_is_ignored(self) -> None:
        """It costs nothing."""
        matcher = table("/a")
        assert not matcher.uses_hosts
        assert found(matcher, "/a", host="whatever") == "/a"

    @pytest.mark.parametrize(
        ("host", "scheme", "server", "domain"),
        [
            ("api.Example.com", "http", "example.com", "api"),
            ("example.com:80", "http", "example.com", ""),
            ("a.b.example.com:443", "https", "example.com:443", "a.b"),
            ("example.com:80", "https", "example.com", "<invalid>"),
            ("evilexample.com", "http", "example.com", "<invalid>"),
            ("anything", "http", None, "www"),
        ],
    )
    def test_the_subdomain_of_a_host(
        self, host: str, scheme: str, server: str | None, domain: str
    ) -> None:
        """What is in front of the server's name; the scheme's own port does not count."""
        assert Map(default_subdomain="www").domain_part(host, scheme, server) == domain

    def test_with_host_matching_the_domain_part_is_the_host(self) -> None:
        """With its port, if that is not the scheme's own."""
        url_map = Map(host_matching=True)
        assert url_map.domain_part("Example.com:8080") == "example.com:8080"
        assert url_map.domain_part("example.com:443", "wss") == "example.com"


def test_a_match_costs_the_same_among_2000_rules_as_among_10() -> None:
    """The last rule of a REST shape, measured in turns in one run."""
    calls: dict[int, Any] = {}
    best: dict[int, float] = {}
    for count in (10, 2000):
        shapes = ("/api/r{}/", "/api/r{}/<int:v>", "/api/r{}/<int:v>/items", "/r{}/<int:v>/<w>")
        rules = [shapes[number % 4].format(number // 4) for number in range(count)]
        matcher = table(*rules, f"/api/r{count}/<int:v>")
        assert found(matcher, f"/api/r{count}/5") == f"/api/r{count}/<int:v>"
        calls[count] = partial(matcher.match, f"/api/r{count}/5", "GET")
    for _ in range(60):
        for count, call in calls.items():
            best[count] = min(best.get(count, 1.0), timeit.timeit(call, number=200))
    assert best[2000] < 1.3 * best[10]


def test_a_hostile_path_for_several_variables_costs_nothing() -> None:
    """Past a length it does not match; the ways to share it out grow with a power of that."""
    map_ = Map([Rule("/p/<path:a>/x/<path:b>/y/<path:c>/z", endpoint="e")])
    match = map_.compile().match
    assert isinstance(match("/p/1/x/2/y/3/z", "GET"), tuple)
    hostile = "/p/" + "a/x/" * 2000 + "a/y/" * 2000
    started = time.perf_counter()
    assert not isinstance(match(hostile, "GET"), tuple)
    assert time.perf_counter() - started < 0.5
