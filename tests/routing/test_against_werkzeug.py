"""Random maps and paths, side by side with Werkzeug.

Left out on purpose, since the design differs there: conversions that fail (the next rule is
tried), numbers that are not ASCII or very long, and two different converters of one weight in one
place (Werkzeug's order then depends on the order of registration of other rules).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug import routing as werkzeug
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from asyncflask.routing import Map, Rule

VARIABLES = ("<{}>", "<int:{}>", "<{}>.x", "x<{}>", "<{}>.<int:{}b>")
PLACES = st.sampled_from(("a", "b", "1", *VARIABLES))
METHODS = st.sampled_from((None, ["GET"], ["POST"], ["PUT", "DELETE"]))
TEXTS = st.sampled_from(("a", "b", "1", "007", "x1", "q.x", "q.7", "edit", "", "é", "a\n"))


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the arguments of a rule."""
    places = draw(st.lists(PLACES, max_size=3))
    if draw(st.integers(0, 3)) == 0:
        places.append(draw(st.sampled_from(("<path:{}>", "<path:{}>/edit"))))
        loose, slash = None, ""
    else:
        loose, slash = draw(st.sampled_from((None, False))), draw(st.sampled_from(("", "/")))
    texts = [text.format(f"v{place}", f"v{place}") for place, text in enumerate(places)]
    string = "/" + "/".join(texts) + (slash if places else "")
    websocket = draw(st.integers(0, 7)) == 0
    return {
        "string": string,
        "methods": None if websocket else draw(METHODS),
        "strict_slashes": loose,
        "merge_slashes": draw(st.sampled_from((None, None, False))),
        "websocket": websocket,
    }


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Draw a path, some with slashes too many."""
    return "/" + "/".join(draw(st.lists(TEXTS, max_size=5)))


def answer(adapter: Any, path: str, method: str, websocket: bool) -> Any:
    """Return what an adapter answers, in comparable form."""
    try:
        return adapter.match(path, method, websocket=websocket)
    except werkzeug.RequestRedirect as redirect:
        return "redirect", redirect.new_url, redirect.code
    except MethodNotAllowed as error:
        return 405, sorted(error.valid_methods or ())
    except HTTPException as error:
        return type(error)


def loose_branch(arguments: dict[str, Any]) -> bool:
    """Return whether these are the arguments of a rule "/a/" that is not strict."""
    return arguments["strict_slashes"] is False and arguments["string"].endswith("/")


def is_error(found: Any) -> bool:
    """Return whether an answer is neither a rule nor a redirect."""
    return isinstance(found, type) or found[0] == 405


def both(arguments: list[dict[str, Any]], **options: Any) -> tuple[Any, Any]:
    """Return adapters of an equal map of ours and of Werkzeug's."""
    ours = Map(**options)
    theirs = werkzeug.Map(**options)
    for number, each in enumerate(arguments):
        given = {name: value for name, value in each.items() if name != "string"}
        given.setdefault("endpoint", number)
        ours.add(Rule(each["string"], **given))
        theirs.add(werkzeug.Rule(each["string"], **given))
    return ours.bind("example.com", "/app"), theirs.bind("example.com", "/app")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(rules(), min_size=1, max_size=12),
    st.lists(paths(), min_size=6, max_size=12),
    st.sampled_from(("GET", "POST", "DELETE")),
    st.booleans(),
    st.booleans(),
)
def test_matches_as_werkzeug(
    arguments: list[dict[str, Any]],
    requested: list[str],
    method: str,
    websocket: bool,
    merge_slashes: bool,
) -> None:
    """Any path gives the same rule and values, redirect, 405 or 404 as in Werkzeug."""
    ours, theirs = both(arguments, merge_slashes=merge_slashes)
    for path in requested:
        expected = answer(theirs, path, method, websocket)
        got = answer(ours, path, method, websocket)
        if any(loose_branch(each) for each in arguments) and is_error(got):
            # Such a rule answers the path without its slash with 405 too, not with 404.
            assert is_error(expected)
            continue
        assert got == expected, (path, arguments)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(rules(), min_size=1, max_size=5),
    st.lists(st.sampled_from(("", "x", "1")), min_size=1, max_size=4),
    st.dictionaries(
        st.sampled_from(("v0", "v1", "v2", "v3", "q")),
        st.one_of(st.integers(0, 20), st.sampled_from(("a", "b c", "é/%", None, ["1", "2"]))),
    ),
    st.sampled_from((None, "GET", "POST")),
    st.booleans(),
)
def test_builds_as_werkzeug(
    arguments: list[dict[str, Any]],
    endpoints: list[str],
    values: dict[str, Any],
    method: str | None,
    external: bool,
) -> None:
    """Any values give the same URL, or an error, as in Werkzeug."""
    named = [
        {**each, "endpoint": endpoints[number % len(endpoints)]}
        for number, each in enumerate(arguments)
    ]
    for endpoint in set(endpoints):
        results: list[Any] = []
        for adapter in both(named):
            try:
                results.append(adapter.build(endpoint, values, method, external))
            except werkzeug.BuildError:
                results.append("no URL")
            except (TypeError, ValueError) as error:  # the converter's own
                results.append(type(error))
        assert results[0] == results[1]


@settings(max_examples=150, deadline=None)
@given(
    st.text(min_size=1).filter(lambda text: "/" not in text),
    st.integers(0, 10**30),
    st.floats(0, 1e20),
    st.uuids(),
    st.from_regex(r"[^/\n][^\n]*", fullmatch=True),
)
def test_what_is_built_matches_again(
    text: str, number: int, real: float, identity: Any, path: str
) -> None:
    """The path built for values, decoded, gives them back."""
    url_map = Map(
        [
            Rule("/s/<text>/<int:number>.<uuid:identity>", endpoint="short"),
            Rule("/f/<float:real>/<path:path>", endpoint="long"),
        ]
    )
    matcher = url_map.compile()
    short = {"text": text, "number": number, "identity": identity}
    assert matcher.match(unquote(url_map.build("short", short)), "GET")[1] == short  # type: ignore[index]
    long = {"real": real, "path": path}
    assert matcher.match(unquote(url_map.build("long", long)), "GET")[1] == long  # type: ignore[index]


SITE: list[dict[str, Any]] = [
    {"string": "/page/", "endpoint": "page", "defaults": {"page": 1}},
    {"string": "/page/<int:page>", "endpoint": "page"},
    {"string": "/user/<int:id>/", "endpoint": "user", "methods": ["GET", "POST"]},
    {"string": "/u/<int:id>", "endpoint": "user", "alias": True, "methods": ["GET"]},
    {"string": "/old/<name>", "endpoint": "old", "redirect_to": "new/<name>"},
    {
        "string": "/older/<name>",
        "endpoint": "older",
        "redirect_to": lambda adapter, name: f"new/{name}",
    },
    {"string": "/new/<name>", "endpoint": "new"},
    {"string": "/wiki/<path:page>/", "endpoint": "wiki", "methods": ["GET"]},
    {"string": "/sub/<v>", "endpoint": "sub", "subdomain": "api"},
    {"string": "/sub/<v>", "endpoint": "var", "subdomain": "<lang>-x"},
    {"string": "/loose", "endpoint": "loose", "strict_slashes": False, "methods": ["POST"]},
    {"string": "/only", "endpoint": "only", "build_only": True},
]
SITE_PATHS = [
    "/page",
    "/page/",
    "/page/1",
    "/page/2",
    "/page//1",
    "/user/5",
    "/user/5/",
    "/user//5",
    "/u/5",
    "/u/x",
    "/old/a%20b",
    "/old/ü",
    "/older/x",
    "/new/x/",
    "/wiki/a/b",
    "/wiki/a/b/",
    "/wiki/a//b",
    "/wiki//a",
    "/sub/1",
    "/loose",
    "/loose/",
    "/only",
    "/",
    "//page/1",
    "/wiki/a/b//",
]


@pytest.mark.parametrize("subdomain", [None, "api", "de-x", "other"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_site_answers_as_werkzeug(subdomain: str | None, method: str) -> None:
    """Defaults, aliases, redirects and subdomains lead to the same place."""
    ours = Map([Rule(**each) for each in SITE]).bind("x.com", "/app", subdomain)
    theirs = werkzeug.Map([werkzeug.Rule(**each) for each in SITE]).bind("x.com", "/app", subdomain)
    for path in SITE_PATHS:
        got, expected = (answer(each, path, method, False) for each in (ours, theirs))
        # Two redirects in a row are one here.
        if got != expected and not is_error(expected) and expected[0] == "redirect":
            further = expected[1].partition("/app")[2]
            expected = answer(theirs, further, method, False)
        assert got == expected, path


def test_extensions_find_variables_by_werkzeugs_private_names() -> None:
    """Those that describe an API, with OpenAPI, read them."""
    path = "/teas/<int:number>/<name>"
    ours, theirs = Rule(path, endpoint="tea"), werkzeug.Rule(path, endpoint="tea")
    Map([ours])
    werkzeug.Map([theirs])
    assert [name for is_dynamic, name in ours._trace if is_dynamic] == ["number", "name"]
    assert "".join(text for _, text in ours._trace) == "".join(text for _, text in theirs._trace)
    assert set(ours._converters) == set(theirs._converters)


def test_converters_are_subclasses_of_werkzeugs() -> None:
    """Extensions that describe an API tell by that what a variable is."""
    theirs = werkzeug.Map().converters
    for name, converter in Map().converters.items():
        assert issubclass(converter, theirs[name])
