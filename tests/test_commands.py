"""Commands of an application: groups, contexts and event loops."""

from __future__ import annotations

import asyncio
import threading

import click
import pytest
from click.testing import CliRunner

from asyncflask import Flask, current_app
from asyncflask.cli import FlaskGroup, ScriptInfo
from asyncflask.commands import AppGroup, AppLoader, with_appcontext


@pytest.fixture
def app() -> Flask:
    return Flask("shop", static_folder=None)


def invoke(app: Flask | None, command: click.Command, *arguments: str) -> str:
    loader = None if app is None else ScriptInfo(create_app=lambda: app)
    result = CliRunner().invoke(command, arguments, obj=loader, catch_exceptions=False)
    return result.output


def test_def_and_async_def(app: Flask) -> None:
    """``def`` commands run in this thread without a loop, ``async def`` ones on a loop."""
    seen: list[object] = []

    @app.cli.command()
    @click.option("--times", type=int, default=1)
    def plain(times: int) -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        seen.append((current_app.name, times))

    @app.cli.command("loop")
    async def on_a_loop() -> None:
        await asyncio.sleep(0)
        seen.append((current_app.name, click.get_current_context().info_name))

    invoke(app, app.cli, "plain", "--times", "3")
    invoke(app, app.cli, "loop")
    assert seen == [("shop", 3), ("shop", "loop")]


def test_decorator_without_parentheses(app: Flask) -> None:
    """``@app.cli.command`` works as click's own decorator does."""

    @app.cli.command
    def bare() -> None:
        click.echo(current_app.name)

    assert invoke(app, app.cli, "bare") == "shop\n"


def test_groups_in_groups(app: Flask) -> None:
    """A group of a group gives its commands the context too."""

    @app.cli.group()
    def users() -> None:
        """Users."""

    @users.command()
    async def create() -> None:
        click.echo(current_app.name)

    assert isinstance(users, AppGroup)
    assert invoke(app, app.cli, "users", "create") == "shop\n"


def test_without_the_context(app: Flask) -> None:
    """``with_appcontext=False`` leaves the application out; a loop there is all the same."""

    @app.cli.command(with_appcontext=False)
    async def detached() -> None:
        click.echo(f"{bool(current_app)} {asyncio.get_running_loop().is_running()}")

    @app.cli.command("def", with_appcontext=False)
    def plain() -> None:
        click.echo(str(bool(current_app)))

    assert invoke(app, app.cli, "detached") == "False True\n"
    assert invoke(app, app.cli, "def") == "False\n"


def test_decorator_on_a_plain_command(app: Flask) -> None:
    """``with_appcontext`` is for commands of other groups, and ends the context with them."""
    ended: list[str] = []
    app.teardown_appcontext(lambda _: ended.append("ended"))

    @click.command()
    @with_appcontext
    async def plain() -> None:
        click.echo(f"{current_app.name} {ended}")

    assert invoke(app, plain) == "shop []\n"
    assert ended == ["ended"]


def test_value_and_error_come_through(app: Flask) -> None:
    """What a command returns or raises is its caller's."""

    @app.cli.command()
    async def answer() -> int:
        return 42

    @app.cli.command()
    async def fail() -> None:
        raise click.ClickException("no luck")

    info = ScriptInfo(create_app=lambda: app)
    assert app.cli.main(["answer"], standalone_mode=False, obj=info) == 42
    assert "no luck" in invoke(app, app.cli, "fail")


def test_one_loop_for_command_and_teardown(app: Flask) -> None:
    """What an ``async def`` command opens, an ``async def`` teardown can close."""
    loops: list[object] = []

    @app.teardown_appcontext
    async def close(_: BaseException | None) -> None:
        loops.append(asyncio.get_running_loop())

    @app.cli.group(invoke_without_command=True)
    async def chain() -> None:
        loops.append(asyncio.get_running_loop())

    @chain.command()
    async def link() -> None:
        loops.append(asyncio.get_running_loop())

    @app.cli.command()
    def plain() -> None:
        click.echo("plain")

    info = ScriptInfo(create_app=lambda: app)
    FlaskGroup(create_app=lambda: app).main(["chain", "link"], standalone_mode=False, obj=info)
    assert len(loops) == 3
    assert len(set(map(id, loops))) == 1
    # Without such a command each teardown gets a loop for itself.
    assert invoke(app, app.cli, "plain") == "plain\n"
    assert len(loops) == 4


def test_group_without_parentheses(app: Flask) -> None:
    """``@app.cli.group`` works as ``@app.cli.command`` does."""

    @app.cli.group
    def bare() -> None:
        """Bare."""

    assert isinstance(bare, AppGroup)


async def test_command_of_another_group_in_async_code(app: Flask) -> None:
    """It has no loop of its own there, and says what to do."""

    @click.command()
    @with_appcontext
    async def other() -> None: ...

    with pytest.raises(RuntimeError, match=r"run it with app\.test_cli_runner\(\)"):
        invoke(app, other)


async def test_called_from_async_code(app: Flask) -> None:
    """In an async test the command gets a thread, and a loop, of its own; context and all."""

    @app.cli.command()
    async def answer() -> None:
        assert threading.current_thread() is not threading.main_thread()
        click.echo(f"{current_app.name} {click.get_current_context().info_name}")

    assert invoke(app, app.cli, "answer") == "shop answer\n"


def test_command_without_an_application() -> None:
    """A command that nobody gave an application says what to do."""

    @click.command()
    @with_appcontext
    def plain() -> None: ...

    result = CliRunner().invoke(plain)
    assert result.exit_code == 2
    assert "Run it through 'asyncflask --app ...'" in result.output


def test_loader_has_to_be_written() -> None:
    """The base class loads nothing."""
    with pytest.raises(NotImplementedError):
        AppLoader().load_app()
