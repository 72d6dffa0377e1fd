"""Blueprints: the same code run on Flask and here gives the same rules, URLs and responses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

import asyncflask
from asyncflask import Blueprint, Flask, SetupError
from asyncflask.blueprints import BlueprintSetupState
from asyncflask.testing import SyncClient

Module = ModuleType
Setup = Callable[[Any, Any], None]


def plain_view(f: Any, app: Any) -> None:
    """Prefix with a parameter, methods, defaults, an endpoint of its own."""
    bp = f.Blueprint("bp", __name__, url_prefix="/<lang>/shop/", url_defaults={"page": 1})

    @bp.route("/")
    def index(lang: str, page: int) -> str:
        return f"index {lang} {page} {f.url_for('.detail', lang=lang, id=3)}"

    @bp.route("/list/<int:page>", methods=["GET", "POST"], endpoint="list")
    def list_page(lang: str, page: int) -> str:
        return f"list {lang} {page} {f.request.blueprint} {f.request.endpoint}"

    @bp.get("/detail/<int:id>", defaults={"page": 9})
    def detail(lang: str, page: int, id: int) -> str:
        return f"detail {lang} {page} {id}"

    @bp.route("")
    def bare(lang: str, page: int) -> str:
        return "bare"

    app.register_blueprint(bp)


def several_registrations(f: Any, app: Any) -> None:
    """One blueprint under two names and prefixes, each with its own values."""
    bp = f.Blueprint("bp", __name__)

    @bp.route("/x")
    def x(kind: str) -> str:
        return f"{kind} {f.request.endpoint} {f.url_for('.x')} {f.request.blueprints}"

    @bp.before_request
    def before() -> None:
        f.g.names = [*f.g.get("names", []), "before"]

    @bp.after_request
    def after(response: Any) -> Any:
        response.headers["X-Hooks"] = str(f.g.names)
        return response

    app.register_blueprint(bp, url_prefix="/a", url_defaults={"kind": "first"})
    app.register_blueprint(bp, url_prefix="/b", url_defaults={"kind": "second"}, name="again")


def nested(f: Any, app: Any) -> None:  # noqa: C901 - a setup of many parts
    """Three deep: prefixes are joined, hooks and handlers apply from the outside in."""
    order: list[str] = []
    parent = f.Blueprint("parent", __name__, url_prefix="/parent")
    child = f.Blueprint("child", __name__, url_prefix="/child/")
    grandchild = f.Blueprint("grandchild", __name__)

    def add(bp: Any, name: str) -> None:
        bp.before_request(lambda: order.append(f"before {name}"))
        bp.url_value_preprocessor(lambda endpoint, values: order.append(f"values {name}"))
        bp.url_defaults(lambda endpoint, values: values.setdefault(name, endpoint))
        bp.context_processor(lambda: {name: name})

        @bp.after_request
        def after(response: Any) -> Any:
            response.headers["X-Order"] = " ".join(order)
            return response

        @bp.teardown_request
        def teardown(exc: BaseException | None) -> None:
            order.clear()

        @bp.route(f"/{name}")
        def view() -> str:
            url = f.url_for(f".{view.__name__}")
            return f"{f.request.endpoint} {f.request.blueprints} {url}"

        @bp.route(f"/{name}/error/<int:code>")
        def error(code: int) -> None:
            f.abort(code)

    for bp, name in ((app, "app"), (parent, "one"), (child, "two"), (grandchild, "three")):
        if bp is not app:
            add(bp, name)

    @parent.errorhandler(403)
    def handle_parent(error: Any) -> Any:
        return "parent handles", 403

    @child.errorhandler(404)
    def handle_child(error: Any) -> Any:
        return "child handles", 404

    @app.errorhandler(409)
    def handle_app(error: Any) -> Any:
        return "app handles", 409

    child.register_blueprint(grandchild, url_prefix="/deep")
    parent.register_blueprint(child)
    parent.register_blueprint(grandchild, name="direct")
    app.register_blueprint(parent)
    app.register_blueprint(child, url_prefix=None, subdomain=None, name="alone")


def app_wide(f: Any, app: Any) -> None:
    """Hooks and handlers that a blueprint gives to the whole application."""
    order: list[str] = []
    bp = f.Blueprint("bp", __name__)
    bp.before_app_request(lambda: order.append("before"))
    bp.app_url_value_preprocessor(lambda endpoint, values: order.append(f"values {endpoint}"))
    bp.app_url_defaults(lambda endpoint, values: values.setdefault("by", "bp"))
    bp.app_context_processor(lambda: {"word": "processed"})
    bp.teardown_app_request(lambda exc: order.clear())

    @bp.after_app_request
    def after(response: Any) -> Any:
        response.headers["X-Order"] = " ".join(order)
        return response

    @bp.app_errorhandler(404)
    def missing(error: Any) -> Any:
        return f"missing {f.request.path}", 404

    @bp.app_errorhandler(KeyError)
    def key_error(error: KeyError) -> str:
        return f"key {error}"

    @bp.app_template_filter()
    def shout(text: str) -> str:
        return text.upper()

    @bp.app_template_filter("whisper")
    def lower(text: str) -> str:
        return text.lower()

    @bp.app_template_test()
    def short(text: str) -> bool:
        return len(text) < 3

    @bp.app_template_global("twice")
    def double(number: int) -> int:
        return 2 * number

    bp.add_app_template_filter(lambda text: text[::-1], "backwards")
    bp.add_app_template_test(lambda text: text == "x", "x")
    bp.add_app_template_global(lambda: "hello", "greet")

    @app.route("/")
    def index() -> Any:
        return f.render_template_string(
            "{{ word|shout }} {{ 'ABC'|whisper }} {{ 'ab' is short }} {{ twice(4) }} "
            "{{ 'abc'|backwards }} {{ 'x' is x }} {{ greet() }} {{ url_for('index') }}"
        )

    @app.route("/key")
    def key() -> None:
        raise KeyError("k")

    app.register_blueprint(bp)
    app.register_blueprint(bp, name="again")


def endpoints_and_records(f: Any, app: Any) -> None:
    """Rules without a view yet, `endpoint()`, `record` and `record_once`."""
    bp = f.Blueprint("bp", __name__, url_prefix="/bp")
    bp.add_url_rule("/late", endpoint="late")
    bp.add_url_rule("/quiet", "quiet", lambda: "quiet", provide_automatic_options=False)

    @bp.endpoint("bp.late")
    def late() -> str:
        return "late"

    def note(state: Any) -> None:
        seen = state.app.extensions.setdefault("seen", [])
        seen.append((state.name, state.url_prefix, state.first_registration))

    bp.record(note)
    bp.record_once(note)
    bp.record_once(lambda state: state.add_url_rule("/made", "made", lambda: "made"))

    @app.route("/seen")
    def seen() -> str:
        return str(app.extensions["seen"])

    app.register_blueprint(bp)
    app.register_blueprint(bp, name="two", url_prefix="/two")


REQUESTS: dict[Setup, list[tuple[str, str]]] = {
    plain_view: [
        ("GET", "/en/shop/"),
        ("GET", "/en/shop"),
        ("POST", "/en/shop/list/3"),
        ("DELETE", "/en/shop/list/3"),
        ("OPTIONS", "/en/shop/list/3"),
        ("GET", "/en/shop/detail/4"),
        ("HEAD", "/en/shop/detail/4"),
        ("GET", "/en/shop/list/x"),
    ],
    several_registrations: [("GET", "/a/x"), ("GET", "/b/x"), ("GET", "/x")],
    nested: [
        ("GET", "/parent/one"),
        ("GET", "/parent/child/two"),
        ("GET", "/parent/child/deep/three"),
        ("GET", "/parent/three"),
        ("GET", "/child/two"),
        ("GET", "/child/deep/three"),
        *(
            ("GET", f"{path}/error/{code}")
            for path in ("/parent/one", "/parent/child/two", "/parent/child/deep/three")
            for code in (403, 404, 409)
        ),
    ],
    app_wide: [("GET", "/"), ("GET", "/missing"), ("GET", "/key")],
    endpoints_and_records: [
        ("GET", "/bp/late"),
        ("GET", "/two/quiet"),
        ("OPTIONS", "/two/quiet"),
        ("GET", "/bp/made"),
        ("GET", "/two/made"),
        ("GET", "/seen"),
    ],
}


def rules(app: Any) -> list[Any]:
    return sorted(
        (
            rule.rule,
            rule.endpoint,
            sorted(rule.methods),
            rule.subdomain or "",
            sorted(rule.arguments),
        )
        for rule in app.url_map.iter_rules()
    )


def both(setup: Setup, **options: Any) -> tuple[Flask, Any]:
    ours = Flask(__name__, static_folder=None, **options)
    theirs = flask.Flask(__name__, static_folder=None, **options)
    for module, app in ((asyncflask, ours), (flask, theirs)):
        app.secret_key = "a key"
        setup(module, app)
    return ours, theirs


def answer(client: FlaskClient | SyncClient, method: str, path: str, **kwargs: Any) -> list[Any]:
    if isinstance(client, FlaskClient):
        kwargs["buffered"] = True
    response: Any = client.open(path, method=method, **kwargs)
    headers = response.headers
    # Ours are paths only.
    location = headers.get("Location", "").removeprefix("http://localhost")
    allow = sorted(headers.get("Allow", "").split(", "))
    body = "" if response.status_code in (301, 308, 405) else response.text
    hooks = headers.get("X-Hooks"), headers.get("X-Order")
    return [response.status_code, body, allow, location, *hooks]


@pytest.mark.parametrize("setup", REQUESTS, ids=lambda setup: setup.__name__)
def test_the_same_code_gives_the_same_application(setup: Setup) -> None:
    """Rules, endpoints, methods, URLs and responses."""
    ours, theirs = both(setup)
    assert rules(ours) == rules(theirs)
    assert sorted(ours.blueprints) == sorted(theirs.blueprints)
    client, their_client = ours.sync_test_client(), theirs.test_client()
    for method, path in REQUESTS[setup]:
        expected = answer(their_client, method, path)
        assert answer(client, method, path) == expected, (method, path)


def test_subdomains_are_joined() -> None:
    """Of nested blueprints, the inner one first; a registration's option replaces the own one."""

    def setup(f: Any, app: Any) -> None:
        app.config["SERVER_NAME"] = "example.test"
        outer = f.Blueprint("outer", __name__, subdomain="outer")
        inner = f.Blueprint("inner", __name__, subdomain="inner")
        plain = f.Blueprint("plain", __name__)
        for bp in (outer, inner, plain):
            bp.add_url_rule("/", "index", lambda: f.request.endpoint)
        outer.register_blueprint(inner)
        outer.register_blueprint(plain)
        app.register_blueprint(outer)
        app.register_blueprint(inner, subdomain="other", name="alone")

    ours, theirs = both(setup, subdomain_matching=True)
    assert rules(ours) == rules(theirs)
    client, their_client = ours.sync_test_client(), theirs.test_client()
    for name in ("outer", "inner.outer", "other", ""):
        base = f"http://{name}.example.test".replace("//.", "//")
        expected = answer(their_client, "GET", "/", base_url=base)
        assert answer(client, "GET", "/", base_url=base)[0] == expected[0], name


def test_static_files_and_templates_of_its_own(tmp_path: Path) -> None:
    """Templates of the application come first; static files have an endpoint per registration."""
    for folder in ("templates", "bp/templates", "bp/files"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "templates/both.html").write_text("of the application")
    (tmp_path / "bp/templates/both.html").write_text("of the blueprint")
    (tmp_path / "bp/templates/own.html").write_text("own")
    (tmp_path / "bp/files/a.txt").write_text("a file")

    def setup(f: Any, app: Any) -> None:
        bp = f.Blueprint(
            "bp",
            __name__,
            root_path=str(tmp_path / "bp"),
            static_folder="files",
            template_folder="templates",
            url_prefix="/bp",
        )
        named = f.Blueprint(
            "named", __name__, root_path=str(tmp_path / "bp"), static_folder="files",
            static_url_path="/assets/",
        )  # fmt: skip

        @bp.route("/<name>")
        def show(name: str) -> Any:
            return f.render_template(name)

        bp.add_url_rule("/urls", "urls", lambda: f.url_for(".static", filename="a.txt"))
        app.register_blueprint(bp)
        app.register_blueprint(bp, name="again", url_prefix="/again")
        app.register_blueprint(named)

    ours, theirs = both(setup, root_path=str(tmp_path))
    assert rules(ours) == rules(theirs)
    client, their_client = ours.sync_test_client(), theirs.test_client()
    for path in (
        "/bp/both.html",
        "/bp/own.html",
        "/bp/urls",
        "/again/urls",
        "/bp/files/a.txt",
        "/again/files/a.txt",
        "/assets/a.txt",
        "/assets/missing.txt",
    ):
        expected = answer(their_client, "GET", path)
        got = answer(client, "GET", path)
        assert got[0] == expected[0]
        assert got[0] == 404 or got == expected
    bp = ours.blueprints["bp"]
    assert (bp.static_folder, bp.static_url_path) == (str(tmp_path / "bp/files"), "/files")
    assert bp.has_static_folder


@pytest.mark.parametrize(
    ("group", "expected"),
    [("unset", ["bp"]), (None, ["work"]), ("tools", ["tools"])],
)
def test_commands(group: str | None, expected: list[str]) -> None:
    """They stand in a group of the blueprint's name, of another, or in none."""
    for f in (flask, asyncflask):
        app: Any = f.Flask(__name__)
        kwargs: dict[str, Any] = {} if group == "unset" else {"cli_group": group}
        bp: Any = f.Blueprint("bp", __name__, **kwargs)
        bp.cli.command("work")(lambda: None)
        app.register_blueprint(bp)
        f.Flask(__name__).register_blueprint(f.Blueprint("none", __name__))
        assert sorted(app.cli.commands) == expected
    app.register_blueprint(bp, name="other", cli_group="registered")
    assert "registered" in app.cli.commands
    # Quart's way to say that nothing was said.
    by_default: Any = ...
    bp = asyncflask.Blueprint("quarts", __name__, cli_group=by_default)
    bp.cli.command("work")(lambda: None)
    app.register_blueprint(bp)
    assert "quarts" in app.cli.commands


def test_names() -> None:
    """A name is needed, has no dots and is free; endpoints and views have no dots."""
    with pytest.raises(ValueError, match="needs a name"):
        Blueprint("", __name__)
    with pytest.raises(ValueError, match=r"'a\.b' must not have a dot"):
        Blueprint("a.b", __name__)
    bp = Blueprint("bp", __name__)
    with pytest.raises(ValueError, match=r"endpoint name 'a\.b' must not have a dot"):
        bp.add_url_rule("/", "a.b", lambda: "")

    def view() -> str:
        return ""

    view.__name__ = "dotted.view"
    with pytest.raises(ValueError, match=r"view name 'dotted\.view' must not have a dot"):
        bp.add_url_rule("/", view_func=view)
    with pytest.raises(ValueError, match="on itself"):
        bp.register_blueprint(bp)
    app = Flask(__name__)
    app.register_blueprint(bp)
    with pytest.raises(ValueError, match=r"'bp' is taken by this blueprint.*'name='"):
        app.register_blueprint(bp)
    with pytest.raises(ValueError, match="'bp' is taken by another blueprint"):
        app.register_blueprint(Blueprint("bp", __name__))
    assert repr(bp) == "<Blueprint 'bp'>"
    assert list(app.iter_blueprints()) == [bp]


def test_a_rule_without_a_view_needs_an_endpoint() -> None:
    """The error names the rule."""
    bp = Blueprint("bp", __name__, url_prefix="/bp")
    bp.add_url_rule("/x")
    with pytest.raises(SetupError, match="'/bp/x' needs a view or an endpoint"):
        Flask(__name__).register_blueprint(bp)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("add_url_rule", ("/", "x", print)),
        ("endpoint", ("x",)),
        ("before_request", (print,)),
        ("after_request", (print,)),
        ("teardown_request", (print,)),
        ("context_processor", (print,)),
        ("url_value_preprocessor", (print,)),
        ("url_defaults", (print,)),
        ("register_error_handler", (404, print)),
        ("before_app_request", (print,)),
        ("after_app_request", (print,)),
        ("teardown_app_request", (print,)),
        ("app_context_processor", (print,)),
        ("app_url_value_preprocessor", (print,)),
        ("app_url_defaults", (print,)),
        ("app_errorhandler", (404,)),
        ("add_app_template_filter", (print,)),
        ("add_app_template_test", (print,)),
        ("add_app_template_global", (print,)),
        ("record", (print,)),
        ("record_once", (print,)),
        ("register_blueprint", (Blueprint("late", __name__),)),
    ],
)
def test_setup_after_the_registration_is_an_error(name: str, args: tuple[Any, ...]) -> None:
    """It would have no effect; the error names the call and the blueprint."""
    bp = Blueprint("bp", __name__)
    Flask(__name__).register_blueprint(bp)
    with pytest.raises(SetupError, match="on the blueprint 'bp' after it was registered"):
        getattr(bp, name)(*args)


@pytest.mark.parametrize(
    "name", ["app_template_filter", "app_template_test", "app_template_global"]
)
def test_template_decorators_may_have_brackets_and_a_name(name: str) -> None:
    """What is registered comes into the environment with the blueprint."""

    def shout(text: str) -> str:
        return text.upper()

    blueprint, app = Blueprint("bp", __name__), Flask(__name__)
    decorate = getattr(blueprint, name)
    assert decorate(shout) is decorate()(shout) is decorate("loud")(shout) is shout
    app.register_blueprint(blueprint)
    added = getattr(app.jinja_env, f"{name.removeprefix('app_template_')}s")
    assert added["shout"] is added["loud"] is shout


def test_app_errorhandler_checks_what_it_is_for() -> None:
    """Where it is written, not at the registration."""
    with pytest.raises(ValueError, match="is not a subclass of Exception"):
        Blueprint("bp", __name__).app_errorhandler(print)  # type: ignore[arg-type]


def test_a_setup_state_of_ones_own() -> None:
    """`make_setup_state` may return a subclass."""

    class State(BlueprintSetupState):
        def add_url_rule(self, rule: str, *args: Any, **kwargs: Any) -> None:
            super().add_url_rule(f"/v1{rule}", *args, **kwargs)

    class Versioned(Blueprint):
        def make_setup_state(
            self, app: Flask, options: Any, first_registration: bool = False
        ) -> State:
            return State(self, app, options, first_registration)

    app = Flask(__name__, static_folder=None)
    bp = Versioned("bp", __name__)
    bp.add_url_rule("/x", view_func=print)
    app.register_blueprint(bp)
    assert [rule.rule for rule in app.url_map.iter_rules()] == ["/v1/x"]


async def test_async_views_of_blueprints() -> None:
    """Everything above with `def`; hooks and views of the other kind work as well."""
    app = Flask(__name__, static_folder=None)
    bp = Blueprint("bp", __name__, url_prefix="/bp")
    app.add_url_rule("/", "index", lambda: "index")

    @bp.before_request
    async def before() -> None:
        asyncflask.g.word = "seen"

    @bp.get("/")
    async def index() -> str:
        return f"{asyncflask.g.word} {asyncflask.url_for('.index')} {asyncflask.url_for('index')}"

    app.register_blueprint(bp)
    assert (await app.test_client().get("/bp/")).text == "seen /bp/ /"
