"""``asyncflask migrate``: the command. What it finds is tested in ``tests/migration``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from asyncflask.cli import cli

APP = """
import time
from flask import Flask, request

raise SystemExit("this module was run")

app = Flask(__name__)

@app.post("/")
async def index():
    time.sleep(1)
    return request.form["name"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one module."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def run(*arguments: str) -> str:
    """Run the command, and return what it prints."""
    result = CliRunner().invoke(cli, ["migrate", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_report_is_text(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the folder that is named, or of the current one; the modules are not run."""
    text = run(str(project))
    assert "app.py:11" in text
    assert run("--report", str(project)) == text
    monkeypatch.chdir(project)
    assert run() == text.replace(str(project), ".")


def test_the_report_is_json_for_programs(project: Path) -> None:
    """Everything has its file and line."""
    report = json.loads(run("--format", "json", str(project)))
    assert report["counts"]["async def views"] == 1
    assert {
        "file": "app.py",
        "line": 11,
        "kind": "blocks",
        "what": "time.sleep",
        "advice": "await asyncio.sleep(...)",
    } in report["findings"]


def test_a_path_that_is_not_there_is_the_users_mistake() -> None:
    """The only thing that is one."""
    result = CliRunner().invoke(cli, ["migrate", "nowhere"])
    assert result.exit_code == 2
    assert "'nowhere' does not exist" in result.output


def test_other_commands_do_not_load_it() -> None:
    """It is there when it is asked for."""
    code = "import asyncflask.cli, sys; print('asyncflask.migration' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
