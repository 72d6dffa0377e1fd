"""Certificates, keys and lists of paths on the command line, as Flask takes them."""

from __future__ import annotations

import os
import ssl
import sys
import types
from pathlib import Path
from typing import Any

import click
import flask.cli
import pytest

from asyncflask.cli import SeparatedPathType, run_command

CERTIFICATE = str(Path(__file__).parents[1] / "devserver/certificate.pem")
KEY = str(Path(__file__).parents[1] / "devserver/key.pem")
COMMANDS = pytest.mark.parametrize("command", [run_command, flask.cli.run_command])


def parsed(command: click.Command, *arguments: str) -> dict[str, Any]:
    """Return the parameters of the command for these arguments, without running it."""
    return command.make_context("run", list(arguments)).params


@COMMANDS
def test_files(command: click.Command) -> None:
    """A certificate and its key become a pair, in any order."""
    assert parsed(command, "--cert", CERTIFICATE, "--key", KEY)["cert"] == (CERTIFICATE, KEY)
    assert parsed(command, "--key", KEY, "--cert", CERTIFICATE)["cert"] == (CERTIFICATE, KEY)


@COMMANDS
@pytest.mark.parametrize(
    "arguments",
    [
        ("--key", KEY),
        ("--cert", CERTIFICATE),
        ("--cert", "nowhere.pem"),
        ("--cert", "flask"),
        ("--cert", "adhoc", "--key", KEY),
    ],
)
def test_mistakes(command: click.Command, arguments: tuple[str, ...]) -> None:
    """One without the other, and what is no certificate, is refused."""
    with pytest.raises(click.BadParameter):
        parsed(command, *arguments)


def test_certificate_with_its_key(tmp_path: Path) -> None:
    """A file that has both needs no second."""
    both = tmp_path / "both.pem"
    both.write_text(Path(CERTIFICATE).read_text() + Path(KEY).read_text())
    assert parsed(run_command, "--cert", str(both))["cert"] == (str(both), None)


@COMMANDS
def test_made_at_the_start(command: click.Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """``adhoc`` needs a package that makes certificates."""
    assert parsed(command, "--cert", "adhoc")["cert"] == "adhoc"
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(click.BadParameter, match="cryptography"):
        parsed(command, "--cert", "adhoc")


@COMMANDS
def test_context(command: click.Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ``ssl.SSLContext`` is named by where it is imported from, and has its own key."""
    module = types.ModuleType("own_tls")
    module.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_tls", module)
    assert parsed(command, "--cert", "own_tls.context")["cert"] is module.context
    with pytest.raises(click.BadParameter):
        parsed(command, "--cert", "own_tls.context", "--key", KEY)


def test_context_as_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is a context already stays what it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made = run_command.make_context("run", [], default_map={"cert": context})
    assert made.params["cert"] is context


@COMMANDS
def test_lists_of_paths(command: click.Command) -> None:
    """Paths stand with the separator of the system between."""
    paths = os.pathsep.join([CERTIFICATE, KEY])
    assert parsed(command, "--exclude-patterns", paths)["exclude_patterns"] == [CERTIFICATE, KEY]
    assert SeparatedPathType().convert([KEY], None, None) == [KEY]
