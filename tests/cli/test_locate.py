"""Finding the application."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import flask.cli
import pytest

from asyncflask import Flask
from asyncflask.cli import (
    AppImportError,
    NoAppException,
    find_app,
    find_app_by_string,
    find_best_app,
    locate_app,
    prepare_import,
)
from asyncflask.cli.locate import search_directory

APP = "from asyncflask import Flask\napp = Flask('the app')\n"
FACTORY = """
from asyncflask import Flask

def create_app(name="made", *, debug=False):
    app = Flask(name)
    app.debug = debug
    return app
"""

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a file in the current directory; what is imported from it is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(name: str, source: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        return file

    yield write
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize(
    "path", ["shop", "shop:app", "shop.py", "./shop.py", "shop.py:app", "shop: app "]
)
def test_module_and_file(write: Write, path: str) -> None:
    """A module or a file names its application, with or without the variable."""
    write("shop.py", APP)
    assert find_app(path).name == "the app"


def test_file_elsewhere(write: Write, tmp_path: Path) -> None:
    """A file's directory is where its own imports are found."""
    write("elsewhere/prices.py", "price = 3\n")
    file = write("elsewhere/priced.py", APP + "import prices\n")
    assert find_app(str(file)).name == "the app"
    assert search_directory(f"{file}:app") == str(file.parent)
    write("shop.py", "1 / 0")
    assert search_directory("shop:app") == search_directory(None) == str(tmp_path)
    with pytest.raises(NoAppException, match=r"no module 'shpo\.sub'"):
        search_directory("shpo.sub:app")


def test_from_within_a_package(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the package that is the current directory is imported as a part of it."""
    write("stall/__init__.py", "")
    file = write("stall/app.py", APP + "from . import prices\n")
    write("stall/prices.py", "")
    monkeypatch.chdir(file.parent)
    assert find_app() is find_app("app") is sys.modules["stall.app"].app
    # Other modules are found as ever.
    assert find_app("asyncflask:Flask('x')").name == "x"


def test_functions_of_flask(write: Write) -> None:
    """Flask's functions are there under their names, and agree with Flask's on paths."""
    write("stand.py", FACTORY)
    assert prepare_import("stand.py") == "stand"
    found = locate_app("stand", None)
    assert found is not None
    assert found.name == "made"
    assert find_best_app(sys.modules["stand"]).name == "made"
    assert find_app_by_string(sys.modules["stand"], " create_app('x') ").name == "x"
    assert locate_app("nowhere", None, raise_if_not_found=False) is None
    with pytest.raises(NoAppException, match="There is no module 'nowhere'"):
        locate_app("nowhere", None)


@pytest.mark.parametrize(
    "path",
    ["test", "test.py", "a/test", "test/__init__.py", "test/__init__", "p/q", "a.b", "t.txt"],
)
def test_paths_become_names_as_in_flask(write: Write, path: str) -> None:
    """A path gives the module name and the search path that Flask gives."""
    write("p/__init__.py", "")
    before = list(sys.path)
    ours = prepare_import(path), sys.path[0]
    sys.path[:] = before
    assert ours == (flask.cli.prepare_import(path), sys.path[0])


def test_file_in_a_package(write: Write) -> None:
    """A file inside of packages is imported as a part of them."""
    write("store/__init__.py", "")
    write("store/web/__init__.py", "from store.web.site import app\n")
    write("store/web/site.py", APP)
    assert find_app("store/web/site.py") is sys.modules["store.web.site"].app
    assert find_app("store/web/__init__.py") is find_app("store.web")


@pytest.mark.parametrize(
    "source",
    [
        "from asyncflask import Flask\napplication = Flask('the app')\n",
        "from asyncflask import Flask\nshop = alias = Flask('the app')\napp = 'not this'\n",
        FACTORY.replace('"made"', '"the app"'),
        FACTORY.replace('"made"', '"the app"').replace("create_app", "make_app"),
        FACTORY.replace('"made"', '"the app"').replace("def create_app", "async def create_app"),
        APP + "other = Flask('other')\n",
    ],
)
def test_usual_names(write: Write, source: str) -> None:
    """Without a variable, the usual names are tried, and the only application there is."""
    write("usual.py", source)
    assert find_app("usual").name == "the app"


@pytest.mark.parametrize(
    ("expression", "name", "debug"),
    [
        ("create_app", "made", False),
        ("create_app()", "made", False),
        ("create_app('test', debug=True)", "test", True),
        ("partial", "partial", False),
    ],
)
def test_factory(write: Write, expression: str, name: str, debug: bool) -> None:
    """A factory is called, with literal arguments; any callable will do."""
    write(
        "factory.py",
        f"{FACTORY}\nimport functools\npartial = functools.partial(create_app, 'partial')",
    )
    app = find_app(f"factory:{expression}")
    assert (app.name, app.debug) == (name, debug)


@pytest.mark.parametrize("name", ["asgi.py", "wsgi.py", "app.py", "main.py", "app/__init__.py"])
def test_found_by_itself(write: Write, name: str) -> None:
    """Without a word, the usual files in the current directory are looked at."""
    write(name, APP)
    assert isinstance(find_app(), Flask)


def test_the_next_file_is_tried(write: Write) -> None:
    """A file of the usual name that has no application does not stop the search."""
    write("wsgi.py", "")
    write("main.py", APP)
    assert find_app().name == "the app"


def test_nothing_found(write: Write, tmp_path: Path) -> None:
    """The message says what was looked for, where, and what to do."""
    with pytest.raises(NoAppException) as caught:
        find_app()
    assert caught.value.message == (
        f"No application was found: looked for asgi.py, wsgi.py, app.py, main.py in {tmp_path}. "
        "Name it with the option --app or the environment variable ASYNCFLASK_APP."
    )
    write("app.py", "app = 1\n")
    with pytest.raises(
        NoAppException, match=r"Module 'app' has no application.* Its 'app' is a int"
    ):
        find_app()


def test_a_broken_file_stops_the_search(write: Write) -> None:
    """A file of the usual name that fails is told, not skipped."""
    write("app.py", "1 / 0\n")
    write("main.py", APP)
    with pytest.raises(AppImportError, match="ZeroDivisionError"):
        find_app()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("shpo", r"There is no module 'shpo': looked in /.* Did you mean 'shop'\?$"),
        ("shop.sub", r"There is no module 'shop.sub'"),
        ("zzz", r"There is no module 'zzz': .* installed packages\.$"),
        ("shpo.py", r"There is no file '/.*/shpo.py'\. Did you mean 'shop.py'\?"),
        ("nowhere/shop.py", r"There is no file '/.*/nowhere/shop.py'\.$"),
        ("shop:ap", r"Module 'shop' has no 'ap'\. Did you mean 'app'"),
        ("shop:number", r"shop:number is a int, not an asyncflask.Flask\."),
        ("shop:wrong", r"shop:wrong gave a str, not an asyncflask.Flask\."),
        ("shop:later", r"shop:later gave a NoneType, not an asyncflask.Flask\."),
        ("shop:app.name", r"'app.name' is not a name, nor a call of one with literal arguments"),
        ("shop:create(x)", r"'create\(x\)' is not a name"),
        ("shop:create(", r"'create\(' is not a name"),
        ("shop:create(**{})", r"'create\(\*\*\{\}\)' is not a name"),
        ("shop:a.b()", r"'a.b\(\)' is not a name"),
        (
            "shop:create()",
            r"The factory shop:create\(\) cannot be called .* missing a required "
            r"argument: 'name'\. It takes \(name\); .* --app \"shop:create\('test'\)\"\.",
        ),
    ],
)
def test_mistakes(write: Write, path: str, message: str) -> None:
    """Each mistake is told with what was looked for, where, and the nearest names."""
    write(
        "shop.py",
        APP
        + "number = 1\ndef create(name): ...\ndef wrong(): return 'x'\nasync def later(): ...\n",
    )
    with pytest.raises(NoAppException, match=message) as caught:
        find_app(path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("path", [None, "app", "app:app", "app:create", "app:create()"])
def test_flasks_own_application(write: Write, path: str | None) -> None:
    """Whoever comes from Flask is told of the flag, or of the other import."""
    write(
        "app.py",
        "import flask\nclass Site(flask.Flask): ...\n"
        "def create(): return Site(__name__)\napp = create()\n",
    )
    with pytest.raises(NoAppException, match=r" a app\.Site.*asyncflask --flask-extensions"):
        find_app(path)


def test_several_applications(write: Write) -> None:
    """Where there are several, one has to be named."""
    write("two.py", APP.replace("app =", "first =") + "second = Flask('second')\n")
    with pytest.raises(
        NoAppException, match=r"several applications: first, second.* --app two:first"
    ):
        find_app("two")


def test_application_of_another_framework(write: Write) -> None:
    """An ``app`` of another kind is named."""
    write("foreign.py", "from starlette.applications import Starlette\napp = Starlette()\n")
    with pytest.raises(NoAppException, match=r"Its 'app' is a starlette.applications.Starlette\.$"):
        find_app("foreign")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import not_there\n", "No module named 'not_there'"),
        ("def f(:\n", "SyntaxError"),
        ("def f():\n    return 1 / 0\nf()\n", "in f"),
    ],
)
def test_module_that_fails(write: Write, source: str, error: str) -> None:
    """The traceback begins in the module: what led to its import is left out."""
    file = write("failing.py", source)
    with pytest.raises(AppImportError) as caught:
        find_app("failing")
    message = caught.value.message
    assert message.startswith("This was raised while importing 'failing':\n\n")
    assert error in message
    assert str(file) in message
    assert "locate.py" not in message
    assert "importlib" not in message
    assert caught.value.exit_code == 1


def test_factory_that_fails(write: Write) -> None:
    """So does that of a factory; a TypeError inside of it is not taken for a wrong call."""
    write("failing_factory.py", "def create_app():\n    len(1)\n")
    with pytest.raises(
        AppImportError, match=r"(?s)looking for the application in 'failing_factory'.*len"
    ) as caught:
        find_app("failing_factory")
    assert "TypeError" in caught.value.message


def test_run_is_ignored_on_import(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """A module that calls ``app.run()`` at its end is imported without starting a server."""
    write("running.py", APP + "app.run()\n")
    assert find_app("running").name == "the app"
    assert "app.run() is ignored" in capsys.readouterr().err
