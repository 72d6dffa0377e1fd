"""What an application and a blueprint share: decorators, folders, and their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.exceptions import HTTPException, NotFound

from asyncflask import Blueprint, Flask, SetupError, g, request, url_for
from asyncflask.registrar import ReadOnlyDict, Registrar


@pytest.fixture
def app() -> Flask:
    return Flask("shop", static_folder=None)


@pytest.fixture(params=[Flask, Blueprint], ids=["app", "blueprint"])
def registrar(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param is Flask:
        return Flask("shop", root_path=str(tmp_path))
    return Blueprint("bp", "shop", root_path=str(tmp_path))


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("owner", ["app", "blueprint"])
async def test_each_decorator(app: Flask, kind: str, owner: str) -> None:
    """For `def` and `async def`; each returns the function as it was."""
    it: Any = app if owner == "app" else Blueprint("bp", __name__)
    record: list[str] = []

    def as_kind(f: Callable[..., Any]) -> Callable[..., Any]:
        if kind == "def":
            return f

        async def on_loop(*args: Any) -> Any:
            return f(*args)

        return on_loop

    before = as_kind(lambda: record.append("before"))
    after = as_kind(lambda response: (record.append("after"), response)[1])
    teardown = as_kind(lambda exc: record.append("teardown"))
    handler = as_kind(lambda error: f"handled {error.code}")
    view = as_kind(lambda: "view")

    def defaults(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", "en")

    def preprocess(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.lang = (values or {}).pop("lang", None)

    async def failing() -> None:
        raise NotFound

    assert it.before_request(before) is before
    assert it.after_request(after) is after
    assert it.teardown_request(teardown) is teardown
    assert it.errorhandler(404)(handler) is handler
    assert it.url_defaults(defaults) is defaults
    assert it.url_value_preprocessor(preprocess) is preprocess
    assert it.context_processor(dict) is dict
    assert it.route("/<lang>/view", endpoint="view")(view) is view
    it.get("/failing")(failing)

    @it.get("/url")
    async def url() -> str:
        return f"{url_for('.view' if it is not app else 'view')} {request.endpoint}"

    if it is not app:
        app.register_blueprint(it)
    client = app.test_client()
    assert (await client.get("/de/view")).text == "view"
    assert record == ["before", "after", "teardown"]
    assert (await client.get("/failing")).text == "handled 404"
    prefix = "" if it is app else "bp."
    assert (await client.get("/url")).text == f"/en/view {prefix}url"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
async def test_a_decorator_per_method(app: Flask, method: str) -> None:
    """For that method only (and HEAD with GET); not together with `methods`."""

    @getattr(app, method)("/", strict_slashes=False)
    async def view() -> str:
        return request.method

    client = app.test_client()
    assert (await client.request(method.upper(), "/")).text == method.upper()
    other = "POST" if method != "post" else "GET"
    response = await client.request(other, "/")
    assert response.status_code == 405
    head = ["HEAD"] if method == "get" else []
    assert response.headers["Allow"].split(", ") == sorted([method.upper(), "OPTIONS", *head])
    with pytest.raises(TypeError, match=rf"'{method}\(\)' is for one method; use 'route\(\)'"):
        getattr(Flask("x", static_folder=None), method)("/", methods=["GET"])


def test_a_route_decorator_can_be_used_twice(app: Flask) -> None:
    """With its endpoint."""
    decorate = app.route("/x", endpoint="named")

    def view() -> str:
        return ""

    decorate(decorate(view))
    assert [rule.endpoint for rule in app.url_map.iter_rules()] == ["named", "named"]


@pytest.mark.parametrize("name", ["route", "get", "post"])
def test_a_route_decorator_without_its_rule(registrar: Any, name: str) -> None:
    """The view would not be registered; the error says what to write."""

    def view() -> str:
        return ""

    with pytest.raises(TypeError, match=r"A rule is missing for <function .*view.*Write '@app"):
        getattr(registrar, name)(view)


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        (99, ValueError, "99 is not the code of an HTTP error"),
        (KeyError("x"), TypeError, "is an instance, not a class"),
        (int, ValueError, "'int' is not a subclass of Exception"),
        ("404", ValueError, "'404' is not a subclass of Exception"),
        (KeyboardInterrupt, ValueError, "'KeyboardInterrupt' is not a subclass"),
    ],
)
def test_what_error_handlers_are_for_is_checked(
    registrar: Any, wanted: Any, error: type[Exception], message: str
) -> None:
    """Where it is written: also a decorator without brackets is found."""
    with pytest.raises(error, match=message):
        registrar.errorhandler(wanted)
    with pytest.raises(error, match=message):
        registrar.register_error_handler(wanted, print)
    with pytest.raises(ValueError, match="is not a subclass"):
        registrar.errorhandler(lambda exc: "x")


def test_error_handlers_are_kept_by_code_and_class(registrar: Any) -> None:
    """As in Flask's dictionary."""

    class Teapot(HTTPException):
        code = 418

    def handler(error: Exception) -> str:
        return ""

    theirs = flask.Flask("shop")
    for it in (registrar, theirs):
        for wanted in (404, NotFound, KeyError, Teapot, HTTPException):
            it.register_error_handler(wanted, handler)
    assert registrar.error_handler_spec[None] == theirs.error_handler_spec[None]


# Folders.


def test_resources(registrar: Any, tmp_path: Path) -> None:
    """Files below the root path, for reading."""
    (tmp_path / "a.txt").write_text("gr\u00fcn", encoding="utf-8")
    with registrar.open_resource("a.txt") as file:
        assert file.read() == "gr\u00fcn".encode()
    for mode in ("r", "rt"):
        with registrar.open_resource("a.txt", mode) as file:
            assert file.read() == "gr\u00fcn"
    with registrar.open_resource("a.txt", "r", encoding="latin-1") as file:
        assert file.read() == "gr\u00c3\u00bcn"
    with pytest.raises(ValueError, match="for reading: mode 'r', 'rt' or 'rb', not 'w'"):
        registrar.open_resource("a.txt", "w")


@pytest.mark.parametrize(
    ("folder", "url_path"),
    [
        (None, None),
        ("static", None),
        ("files/", None),
        (Path("some/files"), None),
        ("static", "/assets/"),
        ("static", "/"),
        ("", None),
        (None, "/x"),
    ],
)
def test_static_folders_as_in_flask(folder: Any, url_path: str | None, tmp_path: Path) -> None:
    """The folder is below the root path, its URL is its name unless another is set."""

    def seen(bp: Any) -> list[Any]:
        static = bp.static_folder
        return [bp.has_static_folder, static and static.rstrip("/"), bp.static_url_path]

    kwargs = {"static_folder": folder, "static_url_path": url_path, "root_path": str(tmp_path)}
    theirs = flask.Blueprint("bp", "shop", **kwargs)
    ours = Blueprint("bp", "shop", **kwargs)
    assert seen(ours) == seen(theirs)
    theirs.static_folder = ours.static_folder = "other"
    theirs.static_url_path = ours.static_url_path = None
    assert seen(ours) == seen(theirs)


def test_the_template_loader_is_made_at_the_first_use(tmp_path: Path) -> None:
    """And there is none without a folder."""
    bp = Blueprint("bp", "shop", template_folder="pages", root_path=str(tmp_path))
    assert bp.jinja_loader is bp.jinja_loader
    assert getattr(bp.jinja_loader, "searchpath", None) == [str(tmp_path / "pages")]
    assert Blueprint("bp", "shop").jinja_loader is None


def test_how_long_files_are_kept(app: Flask) -> None:
    """`SEND_FILE_MAX_AGE_DEFAULT` of the application at hand."""
    bp = Blueprint("bp", "shop")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 60
    with app.app_context():
        assert bp.get_send_file_max_age("x.css") == 60


def test_a_registrar_is_one_or_the_other() -> None:
    """On its own it registers nothing."""
    registrar = Registrar("shop", root_path="/")
    with pytest.raises(NotImplementedError):
        registrar.add_url_rule("/")
    with pytest.raises(NotImplementedError):
        registrar.before_request(print)


# The end of registration.


def test_flasks_dictionaries_are_honoured(app: Flask) -> None:
    """Extensions write them instead of calling the decorators."""
    record: list[str] = []
    app.add_url_rule("/", "index", lambda: "index")
    app.before_request_funcs.setdefault(None, []).append(lambda: record.append("before"))
    app.teardown_request_funcs[None].insert(0, lambda exc: record.append("teardown"))
    app.url_value_preprocessors[None].append(lambda endpoint, values: record.append("values"))
    app.error_handler_spec[None][404][NotFound] = lambda error: "handled"
    app.after_request_funcs[None] = [lambda response: record.append("after") or response]
    inner = app.view_functions["index"]
    app.view_functions["index"] = lambda: f"wrapped {inner()}"
    client = app.sync_test_client()
    assert client.get("/").text == "wrapped index"
    assert record == ["values", "before", "after", "teardown"]
    assert client.get("/missing").text == "handled"


@pytest.mark.parametrize(
    "name", [n for n in Flask._declarations if n != "teardown_appcontext_funcs"]
)
def test_flasks_dictionaries_are_read_only_after_the_start(app: Flask, name: str) -> None:
    """Changes say so; what is there can be read as before."""

    def hook(*args: Any) -> None:
        pass

    before = getattr(app, name)
    if name == "view_functions":
        before["view"] = hook
    elif name == "error_handler_spec":
        before[None][None][KeyError] = hook
    else:
        before[None].append(hook)
    app.freeze()
    after: Any = getattr(app, name)
    assert isinstance(after, ReadOnlyDict)
    assert list(after) == list(before)
    key = next(iter(after))
    for change in (
        lambda: after.__setitem__(key, 1),
        lambda: after.__delitem__(key),
        lambda: after.setdefault("new", []),
        lambda: after.update({"new": []}),
        lambda: after.pop(key),
        lambda: after.popitem(),
        lambda: after.clear(),
        lambda: after.__ior__({}),
    ):
        with pytest.raises(SetupError, match="has started, so its registrations cannot change"):
            change()
    if name == "view_functions":
        assert after["view"] is hook
        with pytest.raises(KeyError, match="missing"):
            after["missing"]
    elif name == "error_handler_spec":
        assert after[None][None] == {KeyError: hook}
        assert after["missing"][404] == {}
        with pytest.raises(SetupError):
            after[None][404][NotFound] = hook
    else:
        assert list(after[None]) == [hook]
        assert list(after["missing"]) == []
        for list_ in (after[None], after["missing"]):
            with pytest.raises(SetupError, match="Register views, hooks and handlers before"):
                list_.append(hook)


def test_the_list_of_context_teardowns_is_read_only_too(app: Flask) -> None:
    """It is no dictionary, but ends as they do."""
    app.teardown_appcontext_funcs.append(print)
    app.freeze()
    assert list(app.teardown_appcontext_funcs) == [print]
    with pytest.raises(SetupError, match="has started"):
        app.teardown_appcontext_funcs.append(print)
    with pytest.raises(SetupError, match="has started"):
        app.teardown_appcontext_funcs += [print]
