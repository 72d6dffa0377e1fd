"""The report as people read it, and the table of extensions."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncflask.migration import as_text, examine
from asyncflask.migration.extensions import EXTENSIONS, State, extension, module_of

APP = """
import time
import requests
from flask import Flask, request
from flask_sock import Sock
from flask_sqlalchemy import SQLAlchemy
import flask_unknown

app = Flask(__name__)
app.json_encoder = None

@app.post("/a")
async def both():
    time.sleep(1)
    return request.form["name"]

@app.post("/b")
def candidate():
    return request.form["name"]

@app.get("/c")
def slow():
    app.add_url_rule("/d")
    return requests.get("/").text
"""


def text_of(folder: Path, **files: str) -> str:
    """Write modules and return the report, its lines joined."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return " ".join(as_text(examine(folder)).split())


def test_the_whole_report(tmp_path: Path) -> None:
    """Extensions, findings, views, steps."""
    (tmp_path / "Procfile").write_text("web: gunicorn app:app")
    text = text_of(tmp_path, app=APP, broken="def")
    for part in (
        "1 Python file read, none run or changed",
        "Could not be read (1) broken.py: invalid syntax",
        "Extensions (3) Flask-Sock does not work (tested: 0.7) it takes the connection",
        "flask_unknown not tested app.py:7",
        "Not in current Flask (1) app.json_encoder: set app.json to a provider of your own app.py",
        "Does not work here (1)",
        "Servers (1) gunicorn:",
        "time.sleep: await asyncio.sleep(...) app.py:14",
        "Has to be awaited, in 'async def' functions (1) request.form: await it;",
        "Views (3) 1 'async def', 2 'def'",
        "1 'def' views block",
        "app.py:18 and then have to await request.form",
        "1. Replace what current Flask does not have",
        "2. Replace the extensions that do not work: Flask-Sock.",
        "Stay in the compatibility namespace",
    ):
        assert part in text, part


def test_a_small_report(tmp_path: Path) -> None:
    """What there is not is not said."""
    text = text_of(tmp_path, app="from flask import Flask", b="import flask")
    assert text.startswith(f"{tmp_path}: 2 Python files read")
    assert "Views" not in text
    assert "Extensions (" not in text
    assert "2. Change the imports to asyncflask, and leave the flag out." in text
    text = text_of(tmp_path, app="@app.get('/')\ndef view(): pass")
    assert "views block" not in text
    assert "have to await" not in text
    text = text_of(tmp_path, app="import time\n@app.get('/')\ndef view(): time.sleep(1)")
    assert "may become" not in text
    text = text_of(tmp_path, app="import flask_sqlalchemy")
    assert "Not tested means" not in text


def test_nothing_of_flasks(tmp_path: Path) -> None:
    """Then there are no steps."""
    assert text_of(tmp_path, app="import os").endswith("Nothing of Flask's was found.")


def test_long_lists_are_cut_in_text_only(tmp_path: Path) -> None:
    """A few places say where to look."""
    code = "import flask\n" * 10
    assert "app.py:6 and 4 more" in text_of(tmp_path, app=code)
    assert len(examine(tmp_path).as_dict()["findings"]) == 10


# The table.


@pytest.mark.parametrize("module", EXTENSIONS)
def test_each_line_of_the_table_has_what_it_needs(module: str) -> None:
    """A version where it was tested, a reason where it does not work."""
    line = EXTENSIONS[module]
    assert line.version or line.state not in (State.WORKS, State.NOTE)
    assert line.note or line.state not in (State.NOTE, State.FAILS)
    assert extension(module) is line


def test_names_of_modules_and_packages() -> None:
    """A package that is called like an extension counts as one."""
    assert module_of("Flask-JWT-Extended") == "flask_jwt_extended"
    unknown = extension("flask_something")
    assert unknown is not None
    assert unknown.state is State.UNTESTED
    assert extension("werkzeug") is extension("flask") is None
