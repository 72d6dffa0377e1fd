"""``app.test_cli_runner()``."""

from __future__ import annotations

import asyncio
import threading

import click
import pytest

from asyncflask import Flask, current_app, g, render_template_string
from asyncflask.cli import ScriptInfo, pass_script_info
from asyncflask.testing import FlaskCliRunner


@pytest.fixture
def app() -> Flask:
    app = Flask("shop", static_folder=None)

    @app.cli.command()
    @click.argument("name")
    def greet(name: str) -> None:
        click.echo(render_template_string("{{ config.NAME }} {{ name }}", name=name))

    @app.cli.command()
    async def later() -> None:
        click.echo(f"{current_app.name} {await render_template_string('{{ 1 + 1 }}')}")

    app.config["NAME"] = "from"
    return app


def test_in_a_def_test(app: Flask) -> None:
    """Commands are named, or given; ``def`` and ``async def`` ones run in the context."""
    runner = app.test_cli_runner()
    assert runner.invoke(args=["greet", "Ada"]).output == "from Ada\n"
    assert runner.invoke(args="later").output == "shop 2\n"
    assert runner.invoke(app.cli.commands["greet"], ["Bob"]).output == "from Bob\n"


async def test_in_an_async_test(app: Flask) -> None:
    """There they run in a thread of their own, where no loop runs; an active context is left out.

    Its loop waits for the command, so that nothing of it may be asked for.
    """
    runner = app.test_cli_runner()

    @app.cli.command()
    def where() -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        click.echo(f"{threading.current_thread() is threading.main_thread()} {'seen' in g}")

    async with app.app_context():
        g.seen = True
        assert runner.invoke(args=["greet", "Ada"]).output == "from Ada\n"
        assert runner.invoke(args=["later"]).output == "shop 2\n"
        assert runner.invoke(where).output == "False False\n"


def test_object_of_ones_own(app: Flask) -> None:
    """``obj`` says which application the command is for."""
    other = Flask("other", static_folder=None)
    info = ScriptInfo(create_app=lambda: other)
    runner = app.test_cli_runner()
    assert runner.invoke(app.cli.commands["later"], obj=info).output == "other 2\n"

    @app.cli.command()
    @pass_script_info
    def which(info: ScriptInfo) -> None:
        click.echo(info.load_app().name)

    assert runner.invoke(which).output == "shop\n"


def test_class_of_ones_own(app: Flask) -> None:
    """``test_cli_runner_class`` makes them, with the options of click's runner."""
    assert type(app.test_cli_runner()) is FlaskCliRunner

    class Runner(FlaskCliRunner):
        pass

    app.test_cli_runner_class = Runner
    runner = app.test_cli_runner(env={"COUNT": "3"})
    assert isinstance(runner, Runner)
    assert runner.env == {"COUNT": "3"}
    assert runner.app is app
