"""What only an application registers, and until when."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import flask
import pytest
from werkzeug.routing import Rule as WerkzeugRule

from asyncflask import Blueprint, Flask, SetupError, request
from asyncflask.declarations import Declarations
from asyncflask.routing import Rule


@pytest.fixture
def app() -> Flask:
    return Flask("shop", static_folder=None)


def rule_of(app: Any, endpoint: str = "view") -> Any:
    return next(app.url_map.iter_rules(endpoint))


# Rules.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"methods": ["post", "Get"]},
        {"methods": ("PUT",)},
        {"methods": {"OPTIONS"}},
        {"methods": []},
        {"provide_automatic_options": False},
        {"methods": ["OPTIONS"], "provide_automatic_options": False},
        {"defaults": {"x": 1}},
        {"strict_slashes": False},
        {"merge_slashes": False},
        {"build_only": True},
        {"alias": True},
        {"redirect_to": "/other"},
        {"subdomain": "api"},
        {"endpoint": "view"},
    ],
    ids=str,
)
@pytest.mark.parametrize("attributes", [{}, {"methods": ["DELETE"]}, {"required_methods": ["put"]}])
def test_options_of_rules_as_in_flask(options: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Also those that a view carries as attributes."""

    def view() -> str:
        return "x"

    for name, value in attributes.items():
        setattr(view, name, [value.upper() for value in value])
    rules = []
    for app in (flask.Flask("shop"), Flask("shop")):
        app.route("/view/", **options)(view)
        rules.append(rule_of(app))
    theirs, ours = rules
    for name in (
        "rule", "endpoint", "methods", "defaults", "strict_slashes", "merge_slashes",
        "build_only", "alias", "redirect_to", "subdomain", "provide_automatic_options", "arguments",
    ):  # fmt: skip
        assert (getattr(ours, name) or None) == (getattr(theirs, name) or None), name


@pytest.mark.parametrize("automatic", [True, False])
async def test_a_view_may_say_whether_options_is_automatic(app: Flask, automatic: bool) -> None:
    """By its attribute, as in Flask; the config says it for all others."""

    async def view() -> str:
        return request.method

    view.provide_automatic_options = automatic  # type: ignore[attr-defined]
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = not automatic
    app.add_url_rule("/", view_func=view, methods=["GET"])

    async def other() -> str:
        return ""

    app.add_url_rule("/other", view_func=other)
    client = app.test_client()
    status = [(await client.options(path)).status_code for path in ("/", "/other")]
    assert status == ([200, 405] if automatic else [405, 200])


async def test_options_can_be_answered_by_the_view(app: Flask) -> None:
    """When it names the method."""

    @app.route("/", methods=["OPTIONS", "GET"])
    async def view() -> str:
        return f"my {request.method}"

    assert (await app.test_client().options("/")).text == "my OPTIONS"


@pytest.mark.parametrize("owner", ["route", "view"])
def test_methods_as_a_string(app: Flask, owner: str) -> None:
    """A common slip; the error says what to write."""

    def view() -> str:
        return ""

    options = {}
    if owner == "view":
        view.methods = "POST"  # type: ignore[attr-defined]
    else:
        options = {"methods": "POST"}
    with pytest.raises(
        TypeError, match=r"'/x' has methods='POST'\. Write a list: methods=\['POST'\]"
    ):
        app.route("/x", **options)(view)


def test_a_duplicate_endpoint_names_both_views(app: Flask) -> None:
    """And leaves the application as it was."""

    def view() -> str:
        return ""

    def other() -> str:
        return ""

    other.__name__ = "view"
    app.get("/")(view)
    with pytest.raises(SetupError) as caught:
        app.get("/other")(other)
    message = str(caught.value)
    assert message.startswith("The endpoint 'view' has a view already: ")
    for f in (view, other):
        assert f"{f.__qualname__} ({__file__}:{f.__code__.co_firstlineno})" in message
    assert [rule.rule for rule in app.url_map.iter_rules()] == ["/"]
    assert app.view_functions["view"] is view
    with pytest.raises(SetupError, match=r"functools\.partial.*would replace it"):
        app.add_url_rule("/x", "view", functools.partial(other))


def test_one_view_may_have_several_rules(app: Flask) -> None:
    """Also a bound method, which is a new object each time."""

    class Pages:
        def show(self) -> str:
            return ""

    pages = Pages()
    app.add_url_rule("/a", "show", pages.show)
    app.add_url_rule("/b", "show", pages.show)
    app.add_url_rule("/c", "show")
    assert [rule.rule for rule in app.url_map.iter_rules("show")] == ["/a", "/b", "/c"]


def test_a_bad_rule_leaves_nothing_behind(app: Flask) -> None:
    """Neither rule nor view; the error names the rule and the place in it."""
    for rule, message in {
        "x": "must start with a slash",
        "/<int:x": "'<' has no '>'",
        "/<nope:x>": "there is no converter 'nope'",
        "/<x>/<x>": "stands in it twice",
    }.items():
        with pytest.raises(Exception, match=message) as caught:
            app.add_url_rule(rule, "x", lambda: "")
        assert rule in str(caught.value)
    assert list(app.url_map.iter_rules()) == []
    assert app.view_functions == {}


def test_endpoints_need_a_name(app: Flask) -> None:
    """A view's, or one that is given."""
    with pytest.raises(SetupError, match="'/x' needs a view or an endpoint"):
        app.add_url_rule("/x")
    with pytest.raises(SetupError, match="has no __name__: give the rule an 'endpoint'"):
        app.add_url_rule("/x", view_func=functools.partial(print))
    app.add_url_rule("/x", "x", functools.partial(print))


async def test_views_that_are_added_apart(app: Flask) -> None:
    """With `endpoint()`, for rules of the application and of the map, ours or Werkzeug's."""
    app.add_url_rule("/a", endpoint="view")
    app.url_map.add(Rule("/b", endpoint="view"))
    app.url_map.add(WerkzeugRule("/c/<int:number>", endpoint="view"))

    @app.endpoint("view")
    async def view(number: int = 0) -> str:
        return f"{request.endpoint} {number}"

    client = app.test_client()
    texts = [(await client.get(path)).text for path in ("/a", "/b", "/c/3")]
    assert texts == ["view 0", "view 0", "view 3"]


async def test_a_rule_whose_view_never_came(app: Flask) -> None:
    """The request fails; the error names the endpoint and says how to add a view."""
    app.testing = True
    app.add_url_rule("/a", endpoint="view")
    with pytest.raises(SetupError, match=r"endpoint 'view', but it has no view.*@app\.endpoint"):
        await app.test_client().get("/a")


# Templates, shell.


def test_additions_to_templates(app: Flask) -> None:
    """Under the function's name, or another; by decorator and by call."""

    @app.template_filter()
    def shout(text: str) -> str:
        return text.upper()

    @app.template_test("tiny")
    def is_tiny(text: str) -> bool:
        return len(text) < 2

    @app.template_global("twice")
    def double(number: int) -> int:
        return 2 * number

    app.add_template_filter(lambda text: text[::-1], "backwards")
    app.add_template_test(is_tiny)
    app.add_template_global(double)
    template = app.jinja_env.from_string(
        "{{ 'a'|shout }} {{ 'a' is tiny }} {{ twice(2) }} {{ 'ab'|backwards }} "
        "{{ 'ab' is is_tiny }} {{ double(1) }}"
    )
    assert template.render() == "A True 4 ba False 2"


@pytest.mark.parametrize("name", ["template_filter", "template_test", "template_global"])
def test_template_decorators_may_have_brackets_and_a_name(app: Flask, name: str) -> None:
    """As those of routes have; each returns the function."""

    def shout(text: str) -> str:
        return text.upper()

    decorate = getattr(app, name)
    assert decorate(shout) is decorate()(shout) is decorate("loud")(shout) is shout
    added = getattr(app.jinja_env, f"{name.removeprefix('template_')}s")
    assert added["shout"] is added["loud"] is shout


def test_names_for_the_shell(app: Flask) -> None:
    """The application, `g`, and what processors add."""
    app.shell_context_processor(lambda: {"answer": 42})
    names = app.make_shell_context()
    assert sorted(names) == ["answer", "app", "g"]
    assert (names["app"], names["answer"]) == (app, 42)


# Serving.


async def test_serving_hooks(app: Flask) -> None:
    """At start and at shutdown, `def` and `async def`, within the context."""
    record: list[str] = []

    @app.before_serving
    async def start() -> None:
        record.append("before")

    @app.before_serving
    def start_too() -> None:
        record.append("before too")

    @app.after_serving
    async def stop() -> None:
        record.append("after")

    @app.while_serving
    async def whole() -> AsyncIterator[None]:
        record.append("enter")
        yield
        record.append("leave")

    async with app.test_client():
        assert record == ["before", "before too", "enter"]
    assert record[3:] == ["leave", "after"]


# After the start.


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application."""


async def starlette_view(request: Any) -> Any:
    """A view of Starlette's kind."""


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("add_url_rule", ("/", "x", print)),
        ("endpoint", ("x",)),
        ("before_request", (print,)),
        ("after_request", (print,)),
        ("teardown_request", (print,)),
        ("teardown_appcontext", (print,)),
        ("context_processor", (print,)),
        ("url_value_preprocessor", (print,)),
        ("url_defaults", (print,)),
        ("register_error_handler", (404, print)),
        ("register_blueprint", (Blueprint("bp", __name__),)),
        ("template_filter", ()),
        ("template_test", ()),
        ("template_global", ()),
        ("add_template_filter", (print,)),
        ("add_template_test", (print,)),
        ("add_template_global", (print,)),
        ("shell_context_processor", (print,)),
        ("before_serving", (print,)),
        ("after_serving", (print,)),
        ("while_serving", (print,)),
        ("add_middleware", (print,)),
        ("add_exception_handler", (404, starlette_view)),
        ("mount", ("/x", asgi)),
        ("host", ("example.com", asgi)),
        ("add_route", ("/x", starlette_view)),
    ],
)
async def test_registration_after_the_start_is_an_error(
    app: Flask, name: str, args: tuple[Any, ...]
) -> None:
    """It would have no effect; the error names the call and the application."""
    await app.test_client().get("/")
    expected = rf"'{name}' was called on the application 'shop' after it has started"
    with pytest.raises(SetupError, match=expected):
        getattr(app, name)(*args)


@pytest.mark.parametrize("name", ["route", "get", "post", "put", "patch", "delete", "errorhandler"])
def test_decorators_after_the_start_are_an_error(app: Flask, name: str) -> None:
    """At the latest when they are applied."""
    app.freeze()
    argument: Any = 404 if name == "errorhandler" else "/x"
    with pytest.raises(SetupError, match="after it has started"):
        getattr(app, name)(argument)(print)


def test_declarations_are_an_applications() -> None:
    """They leave to it when it starts, and its routes."""
    declarations = Declarations("shop", root_path="/")
    with pytest.raises(NotImplementedError):
        declarations.teardown_appcontext(print)
    with pytest.raises(NotImplementedError):
        declarations._add_route(Rule("/", endpoint="x"))


def test_two_views_of_one_decorator_get_a_hint() -> None:
    """Without functools.wraps they have one name, and one place in the code."""
    app = Flask(__name__)

    def bare(f: Any) -> Any:
        def w() -> Any:
            return f()

        return w

    app.get("/a")(bare(lambda: "a"))
    with pytest.raises(SetupError, match=r"functools\.wraps"):
        app.get("/b")(bare(lambda: "b"))
