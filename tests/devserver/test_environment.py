"""What the environment says: ``.env`` files and flags."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncflask.devserver import environment, load_dotenv


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment and a directory that each test may change."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "_loaded", {})
    for name in [name for name in before if name.startswith(("FLASK_", "ASYNCFLASK_"))]:
        monkeypatch.delenv(name)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_files_and_their_order(tmp_path: Path) -> None:
    """The environment beats the named file, which beats .env, which beats .flaskenv."""
    Path(".flaskenv").write_text("A=flaskenv\nB=flaskenv\nC=flaskenv\nD=flaskenv\nE\n")
    Path(".env").write_text("A=env\nB=env\nC=env ü\n")
    Path("own.env").write_text("A=own\nB=own\n")
    os.environ["A"] = "real"
    assert load_dotenv("own.env")
    assert [os.environ.get(name) for name in "ABCDE"] == ["real", "own", "env ü", "flaskenv", None]


def test_files_above_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default files are found from a folder of the project too."""
    Path(".env").write_text("A=above\n")
    Path("folder").mkdir()
    monkeypatch.chdir("folder")
    assert load_dotenv()
    assert os.environ["A"] == "above"


def test_default_files_can_be_left_alone() -> None:
    """``load_defaults=False`` reads the named file only; a missing one is nothing."""
    Path(".env").write_text("A=env\n")
    assert not load_dotenv("missing.env", load_defaults=False)
    assert "A" not in os.environ


def test_hint_without_dotenv(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without python-dotenv, a file that is there gets a hint how to install it."""
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert not load_dotenv()
    assert capsys.readouterr().err == ""
    Path(".flaskenv").write_text("A=1\n")
    assert not load_dotenv()
    assert ".flaskenv is not read" in capsys.readouterr().err
    assert not load_dotenv("own.env")
    assert "own.env is not read: python-dotenv is missing. Install it with: pip install" in (
        capsys.readouterr().err
    )


def test_environment_without_what_files_added() -> None:
    """A program that is started again reads changed files anew."""
    Path(".env").write_text("A=1\nB=1\n")
    load_dotenv()
    os.environ["B"] = "set since"
    assert "A" not in environment.without_dotenv()
    assert environment.without_dotenv()["B"] == "set since"


def test_own_names_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting may have Flask's name; the own one beats it."""
    assert environment.setting("APP") is None
    monkeypatch.setenv("FLASK_APP", "flasks")
    assert environment.setting("APP") == "flasks"
    monkeypatch.setenv("ASYNCFLASK_APP", "own")
    assert environment.setting("APP") == "own"
