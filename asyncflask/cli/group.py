"""The group of all commands: the built-in ones, those of plugins, those of the application."""

from __future__ import annotations

import importlib.metadata
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any

import click

from asyncflask import compat
from asyncflask.cli.info import (
    ScriptInfo,
    app_option,
    debug_option,
    env_file_option,
    flask_extensions_option,
    version_option,
)
from asyncflask.cli.locate import NoAppException
from asyncflask.cli.migrate import migrate_command
from asyncflask.cli.routes import routes_command
from asyncflask.cli.run import run_command
from asyncflask.cli.shell import shell_command
from asyncflask.commands import AppGroup, enter_app_context
from asyncflask.ctx import current


class FlaskGroup(AppGroup):
    """The group of all commands: the built-in ones, those of plugins, those of the application.

    For a command of one's own: ``cli = FlaskGroup(create_app=create_app)``.

    :param add_default_commands: whether there are ``run``, ``shell``, ``routes`` and ``migrate``.
    :param create_app: makes the application, instead of ``--app``; ``def`` or ``async def``.
    :param add_version_option: whether there is ``--version``.
    :param load_dotenv: whether ``.env`` and ``.flaskenv`` are read.
    :param set_debug_flag: whether ``app.debug`` is set from the environment.
    :param extra: passed on to ``click.Group``.
    """

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: Callable[[], Any] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: Any,
    ) -> None:
        params = [*(extra.pop("params", None) or ()), env_file_option, app_option, debug_option]
        params.append(flask_extensions_option)
        if add_version_option:
            params.append(version_option)
        settings = {
            "auto_envvar_prefix": "ASYNCFLASK",
            **(extra.pop("context_settings", None) or {}),
        }
        super().__init__(params=params, context_settings=settings, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        if add_default_commands:
            for command in (run_command, shell_command, routes_command, migrate_command):
                self.add_command(command)
        self._plugins_added = False

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Make the click context; its ``obj`` is a :class:`ScriptInfo` if none is given."""
        if "obj" not in extra and "obj" not in self.context_settings:
            extra["obj"] = ScriptInfo(
                create_app=self.create_app,
                set_debug_flag=self.set_debug_flag,
                load_dotenv_defaults=self.load_dotenv,
            )
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, after the ``.env`` files are read: its options may come from there."""
        ctx.ensure_object(ScriptInfo).load_environment()
        return super().invoke(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command. The application is loaded only for one that is not built in."""
        self._add_plugins()
        command = super().get_command(ctx, cmd_name)
        load_app = ctx.ensure_object(ScriptInfo).load_app
        if command is migrate_command and compat.is_installed():
            # Flask has no such command, so its applications may. Ours needs no application.
            with suppress(Exception):
                return load_app().cli.get_command(ctx, cmd_name) or command
        if command is not None:
            return command
        try:
            return load_app().cli.get_command(ctx, cmd_name)
        except NoAppException as error:
            _echo_error(f"Error: {error.format_message()}")
            return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command to run. Parameters of the application's have its context too."""
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:  # click looks for similar names in `commands` only
            known = set(self.commands)
            with suppress(NoAppException):
                known.update(ctx.ensure_object(ScriptInfo).load_app().cli.list_commands(ctx))
            raise click.NoSuchCommand(
                error.command_name, possibilities=sorted(known), ctx=ctx
            ) from None
        if self.commands.get(name or "") is not command:
            app = ctx.ensure_object(ScriptInfo).load_app()
            outer = current.get(None)
            if outer is None or outer.app is not app:
                enter_app_context(ctx, app)
        return name, command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands, without the application's where it cannot be loaded."""
        self._add_plugins()
        names = set(super().list_commands(ctx))
        try:
            names.update(ctx.ensure_object(ScriptInfo).load_app().cli.list_commands(ctx))
        except NoAppException as error:
            _echo_error(f"Error: {error.format_message()}")
        except Exception:
            _echo_error(traceback.format_exc())
        return sorted(names)

    def _add_plugins(self) -> None:
        if self._plugins_added:
            return
        self._plugins_added = True
        groups = ["asyncflask.commands"]
        if compat.is_installed():
            groups.append("flask.commands")
        for entry_point in chain.from_iterable(
            importlib.metadata.entry_points(group=group) for group in groups
        ):
            try:
                self.add_command(entry_point.load(), entry_point.name)
            except Exception as error:
                _echo_error(f"The command {entry_point.name!r} is left out: {error!r}")


def _echo_error(text: str) -> None:
    click.secho(f"{text}\n", err=True, fg="red")
