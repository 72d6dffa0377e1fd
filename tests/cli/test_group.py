"""The ``asyncflask`` command: options that all commands share, and the application's own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from asyncflask import Flask, current_app
from asyncflask.cli import (
    FlaskGroup,
    ScriptInfo,
    cli,
    get_version,
    pass_script_info,
    version_option,
    with_appcontext,
)
from asyncflask.devserver import environment
from tests.programs import Start

SHOP = """
import click
from asyncflask import Blueprint, Flask, current_app

def create_app():
    app = Flask("shop")

    @app.cli.command()
    @click.argument("name")
    @click.option("--count", default=1)
    def greet(name, count):
        "Say hello."
        click.echo(f"{current_app.name} greets {name} {count} {current_app.debug}")

    @app.cli.command()
    async def later():
        click.echo(f"{current_app.name} later")

    users = Blueprint("users", __name__)

    @users.cli.command()
    def create():
        click.echo(f"{current_app.name} creates")

    app.register_blueprint(users)
    return app
"""

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """Run the command in a directory with ``shop.py``, and an environment of its own."""
    before, modules = dict(os.environ), set(sys.modules)
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(environment, "_loaded", {})
    for name in [name for name in before if name.startswith(("FLASK_", "ASYNCFLASK_"))]:
        monkeypatch.delenv(name)

    def invoke(*arguments: str, group: click.Command = cli, **options: Any) -> Result:
        return CliRunner().invoke(group, arguments, prog_name="asyncflask", **options)

    yield invoke
    os.environ.clear()
    os.environ.update(before)
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_commands_of_the_application(invoke: Invoke) -> None:
    """``def`` and ``async def`` commands run in the application's context, blueprints' too."""
    assert (
        invoke("--app", "shop", "greet", "Ada", "--count", "2").output
        == "shop greets Ada 2 False\n"
    )
    assert invoke("-A", "shop", "later").output == "shop later\n"
    assert invoke("-A", "shop", "users", "create").output == "shop creates\n"


def test_help_lists_all_commands(invoke: Invoke) -> None:
    """The application's commands stand beside the built-in ones."""
    output = invoke("--app", "shop", "--help").output
    for part in ("routes", "run", "greet", "Say hello.", "users", "--env-file", "--debug"):
        assert part in output
    assert "greet" in invoke("--help", env={"ASYNCFLASK_APP": "shop"}).output
    assert "greet" in invoke(env={"FLASK_APP": "shop"}).output


def test_help_without_an_application(invoke: Invoke) -> None:
    """What is wrong with the application is told, and the built-in commands are listed."""
    result = invoke("--app", "nothing", "--help")
    assert "Error: There is no module 'nothing'" in result.stderr
    assert "routes" in result.stdout
    assert result.exit_code == 0


def test_help_with_a_failing_application(invoke: Invoke) -> None:
    """An exception from a custom way to make the application does not hide the help."""

    def create_app() -> Flask:
        raise ValueError("no database")

    result = invoke("--help", group=FlaskGroup(create_app=create_app))
    assert "ValueError: no database" in result.stderr
    assert "Usage" in result.stdout


def test_unknown_command(invoke: Invoke) -> None:
    """Without an application, an unknown command may be one of its; both facts are told."""
    result = invoke("greet")
    assert result.exit_code == 2
    assert "Error: No application was found" in result.stderr
    assert "No such command 'greet'" in result.stderr
    assert "No such command 'gret'" in invoke("-A", "shop", "gret").stderr


def test_an_unknown_command_is_like_one_of_the_application(invoke: Invoke) -> None:
    """Not only the built-in ones are suggested."""
    assert "Did you mean 'greet'?" in invoke("-A", "shop", "gret").stderr
    assert "Did you mean 'routes'?" in invoke("-A", "shop", "route").stderr
    assert "Did you mean 'routes'?" in invoke("route").stderr


def test_application_that_fails_on_import(invoke: Invoke, tmp_path: Path) -> None:
    """Its traceback is shown, without that of this package."""
    (tmp_path / "broken.py").write_text("1 / 0\n")
    result = invoke("--app", "broken", "routes")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert "locate.py" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "debug"),
    [
        ((), {}, False),
        (("--debug",), {}, True),
        ((), {"FLASK_DEBUG": "1"}, True),
        ((), {"ASYNCFLASK_DEBUG": "1"}, True),
        (("--no-debug",), {"ASYNCFLASK_DEBUG": "1"}, False),
    ],
)
def test_debug_mode(
    invoke: Invoke, arguments: tuple[str, ...], variables: dict[str, str], debug: bool
) -> None:
    """The option decides, or else the environment."""
    result = invoke("--app", "shop", *arguments, "greet", "Ada", env=variables)
    assert result.output == f"shop greets Ada 1 {debug}\n"


def test_env_files(invoke: Invoke, tmp_path: Path) -> None:
    """``.env`` may name the application; a file that is named beats it; ``--app`` beats both."""
    (tmp_path / ".env").write_text("ASYNCFLASK_APP=nothing\nFLASK_DEBUG=1\n")
    (tmp_path / "own.env").write_text("ASYNCFLASK_APP=shop\n")
    assert invoke("--env-file", "own.env", "greet", "Ada").output == "shop greets Ada 1 True\n"
    assert "greet" in invoke("-e", "own.env", "--help").output
    assert "There is no file" in invoke("-A", "nothing.py", "greet", "Ada").output


def test_env_file_is_left_alone_on_request(invoke: Invoke, tmp_path: Path) -> None:
    """``ASYNCFLASK_SKIP_DOTENV`` leaves the default files alone."""
    (tmp_path / ".env").write_text("ASYNCFLASK_APP=shop\n")
    assert invoke("greet", "Ada", env={"ASYNCFLASK_SKIP_DOTENV": "1"}).exit_code == 2


def test_env_file_needs_dotenv(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without python-dotenv, a file that was asked for is an error that says what to install."""
    (tmp_path / "own.env").touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = invoke("--env-file", "own.env", "routes")
    assert result.exit_code == 2
    assert "pip install python-dotenv" in result.stderr


def test_version(invoke: Invoke) -> None:
    """``--version`` says what a bug report needs."""
    lines = dict(line.split(" ", 1) for line in invoke("--version").output.splitlines())
    assert lines["Werkzeug"] == importlib.metadata.version("werkzeug")
    assert lines["uvicorn"] == importlib.metadata.version("uvicorn")
    assert {"asyncflask", "Python", "Starlette"} < lines.keys()

    # Completion in a terminal parses a command line without running anything.
    context = click.Context(cli, resilient_parsing=True)
    get_version(context, version_option, True)


def test_a_command_of_ones_own(invoke: Invoke) -> None:
    """A group with a factory needs no ``--app``; its options are its own."""
    made: list[Flask] = []

    async def create_app() -> Flask:
        made.append(Flask("own"))
        made[-1].debug = True
        return made[-1]

    @click.group(
        cls=FlaskGroup,
        create_app=create_app,
        set_debug_flag=False,
        add_version_option=False,
        add_default_commands=False,
        context_settings={"show_default": True},
        params=[click.Option(["--loud"], is_flag=True, expose_value=False)],
    )
    def own() -> None:
        """Look after it."""

    @pass_script_info
    def name(info: ScriptInfo, /) -> None:
        info.data["seen"] = True
        click.echo(f"{current_app.name} {info.load_app() is made[0]} {current_app.debug}")

    own.add_command(click.command()(with_appcontext(name)))

    assert invoke("--loud", "name", group=own).output == "own True True\n"
    assert len(made) == 1
    output = invoke("--help", group=own).output
    assert "--version" not in output
    assert "routes" not in output


def test_the_context_of_the_caller_is_kept(invoke: Invoke) -> None:
    """A command that is called where an application's context is active runs in that one."""
    app = Flask("outer")

    @app.cli.command()
    def which() -> None:
        click.echo(current_app.name)

    with app.app_context():
        result = invoke("which", obj=ScriptInfo(create_app=lambda: app))
    assert result.output == "outer\n"


def test_plugins(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed packages add commands; one that cannot be loaded is told and left out."""

    @click.command()
    def hello() -> None:
        click.echo("from a plugin")

    class EntryPoint:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> click.Command:
            if self.name == "broken":
                raise ImportError("no such module")
            return hello

    def entry_points(*, group: str) -> list[EntryPoint]:
        assert group == "asyncflask.commands"
        return [EntryPoint("hello"), EntryPoint("broken")]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    result = invoke("hello", group=FlaskGroup())
    assert result.stdout == "from a plugin\n"
    assert "The command 'broken' is left out: ImportError('no such module')" in result.stderr


def test_python_m(start: Start, tmp_path: Path) -> None:
    """``python -m asyncflask`` is the command."""
    (tmp_path / "shop.py").write_text(SHOP)
    program = start("-m", "asyncflask", "--app", "shop", "greet", "Ada")
    assert program.process.wait(60) == 0
    assert program.output == "shop greets Ada 1 False\n"
