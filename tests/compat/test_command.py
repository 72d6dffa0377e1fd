"""``asyncflask --flask-extensions``: the namespace for commands and servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import REPOSITORY, Start
from tests.programs import start as start

APP = """
from flask import Flask, request

app = Flask(__name__)

@app.get("/")
def index():
    return type(app).__module__

@app.cli.command()
def greet():
    print("Hello from", type(app).__module__)
"""

PLUGIN = """
import click

@click.command()
def database():
    print("the plugin's command")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Flask application, and an extension with a command."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "flask_plugin.py").write_text(PLUGIN)
    info = tmp_path / "flask_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flask-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flask.commands]\ndatabase = flask_plugin:database\n")
    return tmp_path


def run(folder: Path, *arguments: str, **environment: str) -> str:
    """Run the command, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "asyncflask", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_flask_application_has_its_commands(folder: Path) -> None:
    """Those of extensions, too, which Flask finds as entry points."""
    assert run(folder, "--flask-extensions", "greet") == "Hello from asyncflask.compat.flask.app\n"
    assert run(folder, "--flask-extensions", "database") == "the plugin's command\n"


def test_the_environment_may_say_so(folder: Path) -> None:
    """In a ``.env`` file as well."""
    setting = "ASYNCFLASK_FLASK_EXTENSIONS"
    assert run(folder, "database", **{setting: "1"}) == "the plugin's command\n"
    (folder / ".flaskenv").write_text(f"{setting}=1\n")
    assert run(folder, "database") == "the plugin's command\n"
    assert "No such command 'database'" in run(folder, "--no-flask-extensions", "database")


def test_an_application_may_have_a_command_called_migrate(folder: Path) -> None:
    """Flask has none, so its applications do. Elsewhere the built-in one is meant."""
    assert run(folder, "--flask-extensions", "migrate").startswith(".: 2 Python files read")
    own = '\n@app.cli.command()\ndef migrate():\n    print("the own of", app.name)\n'
    (folder / "app.py").write_text(APP + own)
    assert run(folder, "--flask-extensions", "migrate") == "the own of app\n"
    assert run(folder, "migrate").startswith(".: 2 Python files read")
    (folder / "app.py").unlink()
    assert run(folder, "--flask-extensions", "migrate").startswith(".: 1 Python file read")
    assert "No application was found" in run(folder, "--flask-extensions", "greet")
    (folder / "app.py").write_text("1 / 0")
    assert "  migrate  " in run(folder, "--flask-extensions", "--help")


def test_without_it_flask_is_flask(folder: Path) -> None:
    """An application of Flask's is none of ours."""
    assert "No such command 'database'" in run(folder, "database")


@pytest.mark.parametrize(
    "options",
    [["--flask-extensions", "run"], ["run", "--flask-extensions"], ["run", "--workers", "2"]],
)
def test_it_is_served(folder: Path, start: Start, options: list[str]) -> None:
    """By this process, or by those that it starts."""
    environment = {} if "--flask-extensions" in options else {"ASYNCFLASK_FLASK_EXTENSIONS": "1"}
    program = start("-m", "asyncflask", *options, "--port", "0", **environment)
    assert program.get() == "asyncflask.compat.flask.app"
