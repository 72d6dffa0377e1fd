"""``import flask`` after ``asyncflask.compat.install()``: each in a process of its own."""

from __future__ import annotations

import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path

import flask
import pytest

from asyncflask import compat
from asyncflask.compat.finder import ModuleFinder, VersionFinder
from tests.programs import REPOSITORY


def run(code: str, *options: str) -> str:
    """Run code in another interpreter, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    return done.stdout + done.stderr


def modules_of_flask() -> list[str]:
    """The modules that Flask has, with those in a folder that is no package."""
    root = Path(flask.__file__).parent
    names = [module.name for module in pkgutil.walk_packages([str(root)], "flask.")]
    names += [f"flask.sansio.{path.stem}" for path in (root / "sansio").glob("*.py")]
    return [name for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules_of_flask())
def test_each_module_of_flask_has_its_own_here(name: str) -> None:
    """What Flask's module defines, the module of that name in the namespace has."""
    theirs = vars(importlib.import_module(name))
    ours = importlib.import_module(name.replace("flask", compat.NAMESPACE, 1))
    public = {
        key
        for key, value in theirs.items()
        if not key.startswith("_") and getattr(value, "__module__", None) == name
    }
    missing = {key for key in public if not hasattr(ours, key)}
    # What only Flask's own annotations use.
    assert {key for key in missing if not (key in ("F", "T") or key.startswith("T_"))} <= {
        "attach_enctype_error_multidict",
        "explain_template_loading_attempts",
        "show_server_banner",
    }


def test_the_namespace_has_the_names_of_flask() -> None:
    """Everything that ``from flask import ...`` gives."""
    names = {name for name in vars(flask) if not name.startswith("_")} - {"annotations", "t"}
    namespace = importlib.import_module(compat.NAMESPACE)
    assert {name for name in names if not hasattr(namespace, name)} <= {
        "blueprints", "config", "ctx", "debughelpers", "globals", "helpers", "sansio", "sessions",
        "signals", "templating", "wrappers", "app", "provider", "tag",
    }  # fmt: skip


def test_flask_is_the_namespace_whatever_its_modules_are_called() -> None:
    """There is one module, by both names, and its classes are the same."""
    assert "True True True" in run(
        "import asyncflask.compat; asyncflask.compat.install(); asyncflask.compat.install();"
        "import flask.json.provider, flask.testing;"
        "import asyncflask.compat.flask as ours;"
        "print(flask is ours, flask.json.provider is ours.json.provider,"
        " flask.testing is ours.testing)"
    )


def test_importing_a_module_installs_it() -> None:
    """For places where a line of code has no room, such as pytest's ``-p``."""
    assert "asyncflask.compat.flask" in run(
        "import asyncflask.compat.installed, flask; print(flask.__name__)"
    )


def test_a_flask_that_was_imported_before_is_refused() -> None:
    """The error names the extensions that are there already."""
    output = run(
        "import sys, types, flask; sys.modules['flask_x'] = types.ModuleType('flask_x');"
        "import asyncflask.compat; asyncflask.compat.install()"
    )
    assert "RuntimeError: Flask itself was imported before" in output
    assert "(there are flask_x already)" in output
    assert "Call install() first" in output


def test_it_is_refused_here_too() -> None:
    """This process has imported Flask."""
    with pytest.raises(RuntimeError, match="Flask itself was imported before"):
        compat.install()
    assert not compat.is_installed()
    compat.uninstall()  # which does nothing
    assert sys.modules["flask"] is flask


def test_it_can_be_undone() -> None:
    """After that ``import flask`` gives Flask again."""
    assert (
        run(
            "from asyncflask import compat; compat.install(); import flask, flask.json as before;"
            "compat.uninstall(); import flask, flask.json as after;"
            "print(flask.__file__.endswith('flask/__init__.py'), before is after,"
            " compat.is_installed(), 'compat' in flask.__file__)"
        )
        == "True False False False\n"
    )


def test_a_module_that_flask_has_not_is_not_found() -> None:
    """The error says what stands for Flask."""
    output = run("import asyncflask.compat.installed; import flask.ext.sqlalchemy")
    assert "No module named 'flask.ext': asyncflask.compat.flask stands for 'flask'" in output


def test_the_version_is_that_of_the_flask_beside_it() -> None:
    """Extensions ask for it in two ways."""
    assert (
        run(
            "import asyncflask.compat.installed, flask, importlib.metadata as m;"
            "print(flask.__version__ == m.version('flask'))"
        )
        == "True\n"
    )


def test_there_is_a_version_without_flask() -> None:
    """Where Flask is not installed, the version it follows is told."""
    hide = (
        "import importlib.metadata as m, sys\n"
        "class Hidden(m.MetadataPathFinder):\n"
        "    @classmethod\n"
        "    def find_distributions(cls, context=m.DistributionFinder.Context()):\n"
        "        if (context.name or '').lower() == 'flask': return []\n"
        "        return super().find_distributions(context)\n"
        "sys.meta_path = [f for f in sys.meta_path if not hasattr(f, 'find_distributions')\n"
        "    or f.__name__ != 'PathFinder'] + []\n"
        "from importlib.machinery import PathFinder\n"
        "class Modules:\n"
        "    find_spec = PathFinder.find_spec\n"
        "sys.meta_path += [Modules, Hidden()]\n"
    )
    output = run(
        hide + "from asyncflask import compat; before = compat.flask_version(); compat.install()\n"
        "import flask; d = m.distribution('Flask'); print(before, flask.__version__, d.version)\n"
        "print(d.read_text('RECORD'))\n"
        "try: d.locate_file('x')\n"
        "except FileNotFoundError as error: print(error)"
    )
    version = VersionFinder.version
    assert output == (
        f"{version} {version} {version}\nNone\nFlask is not installed, so there is no x\n"
    )


def test_the_finders_leave_other_packages_alone() -> None:
    """Whose names may begin in the same way."""
    assert ModuleFinder().find_spec("flask_login", None) is None
    assert VersionFinder().find_spec("flask", None) is None
    assert not list(VersionFinder().find_distributions())


def test_an_attribute_that_flask_has_not_is_none_here_either() -> None:
    """The error says which module it is."""
    namespace = importlib.import_module(compat.NAMESPACE)
    with pytest.raises(AttributeError, match=r"module 'flask' .* has no attribute 'escape'"):
        namespace.escape  # noqa: B018
