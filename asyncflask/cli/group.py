"""What all commands share: the application they are for, and the options that choose it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from asyncflask.cli.locate import NoAppException, find_app
from asyncflask.commands import AppGroup, AppLoader
from asyncflask.ctx import has_app_context
from asyncflask.debug import versions
from asyncflask.devserver import load_dotenv
from asyncflask.devserver.environment import setting
from asyncflask.helpers import get_debug_flag, get_load_dotenv

if TYPE_CHECKING:
    from asyncflask.app import Flask


class ScriptInfo(AppLoader):
    """The application that the commands of one invocation are for, loaded when it is needed.

    :param app_import_path: what ``--app`` takes; by default ``ASYNCFLASK_APP`` or ``FLASK_APP``
        from the environment.
    :param create_app: makes the application instead.
    :param set_debug_flag: whether ``app.debug`` is set from the environment.
    :param load_dotenv_defaults: whether ``.env`` and ``.flaskenv`` are read.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[[], Flask] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults = get_load_dotenv(load_dotenv_defaults)
        self.env_file: str | None = None
        #: For the commands' own use.
        self.data: dict[Any, Any] = {}
        self._app: Flask | None = None
        self._environment_loaded = False

    def load_environment(self) -> None:
        """Read the ``.env`` files, once, and what they say about the application."""
        if not self._environment_loaded:
            self._environment_loaded = True
            load_dotenv(self.env_file, self.load_dotenv_defaults)
            self.app_import_path = self.app_import_path or setting("APP")

    def load_app(self) -> Flask:
        """Return the application, found or made at the first call.

        :raises NoAppException: there is none.
        """
        if self._app is None:
            self.load_environment()
            app = find_app(self.app_import_path) if self.create_app is None else self.create_app()
            if self.set_debug_flag:
                app.debug = get_debug_flag()
            self._app = app
        return self._app


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def _set_app(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(ScriptInfo).app_import_path = value


def _set_env_file(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    if importlib.util.find_spec("dotenv") is None:
        hint = "Reading it needs python-dotenv. Install it with: pip install python-dotenv"
        raise click.BadParameter(hint, context, parameter)
    context.ensure_object(ScriptInfo).env_file = value


def _set_debug(_: click.Context, __: click.Parameter, value: bool | None) -> None:
    # In the environment it also reaches factories and the processes that serve.
    if value is not None:
        os.environ["ASYNCFLASK_DEBUG"] = str(int(value))


def _show_versions(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        for name, version in versions().items():
            click.echo(f"{name} {version}")
        context.exit()


# Eager: --help, which is eager too, lists the commands of the application that is named before it.
app_option = click.Option(
    ["-A", "--app"],
    metavar="IMPORT",
    is_eager=True,
    expose_value=False,
    callback=_set_app,
    help="The application: 'module', 'path/to/file.py', 'module:name' or 'module:factory(args)'. "
    "By default ASYNCFLASK_APP, or asgi.py, wsgi.py, app.py or main.py.",
)
env_file_option = click.Option(
    ["-e", "--env-file"],
    type=click.Path(exists=True, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_set_env_file,
    help="Set environment variables from this file. It beats '.env' and '.flaskenv'; "
    "what the environment has already beats them all.",
)
debug_option = click.Option(
    ["--debug/--no-debug"],
    default=None,
    expose_value=False,
    callback=_set_debug,
    help="Debug mode: tracebacks as pages, and reloading.",
)
version_option = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_versions,
    help="Show the versions and exit.",
)


class FlaskGroup(AppGroup):
    """The group of all commands: the built-in ones, those of plugins, those of the application.

    For a command of one's own: ``cli = FlaskGroup(create_app=create_app)``.

    :param create_app: makes the application, instead of ``--app``.
    :param add_version_option: whether there is ``--version``.
    :param load_dotenv: whether ``.env`` and ``.flaskenv`` are read.
    :param set_debug_flag: whether ``app.debug`` is set from the environment.
    :param extra: passed on to ``click.Group``.
    """

    def __init__(
        self,
        *,
        create_app: Callable[[], Flask] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: Any,
    ) -> None:
        params = [*(extra.pop("params", None) or ()), env_file_option, app_option, debug_option]
        if add_version_option:
            params.append(version_option)
        extra.setdefault("context_settings", {}).setdefault("auto_envvar_prefix", "ASYNCFLASK")
        super().__init__(params=params, **extra)
        self._info_options: dict[str, Any] = {
            "create_app": create_app,
            "set_debug_flag": set_debug_flag,
            "load_dotenv_defaults": load_dotenv,
        }
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
            extra["obj"] = ScriptInfo(**self._info_options)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, after the ``.env`` files are read: its options may come from there."""
        ctx.ensure_object(ScriptInfo).load_environment()
        return super().invoke(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command. The application is loaded only for one that is not built in."""
        self._add_plugins()
        if (command := super().get_command(ctx, cmd_name)) is not None:
            return command
        try:
            return ctx.ensure_object(ScriptInfo).load_app().cli.get_command(ctx, cmd_name)
        except NoAppException as error:
            click.echo(f"Error: {error.format_message()}\n", err=True)
            return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command to run. Parameters of the application's have its context too."""
        name, command, rest = super().resolve_command(ctx, args)
        if name not in self.commands and not has_app_context():
            ctx.with_resource(ctx.ensure_object(ScriptInfo).load_app().app_context())
        return name, command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands, without the application's where it cannot be loaded."""
        self._add_plugins()
        names = set(super().list_commands(ctx))
        try:
            names.update(ctx.ensure_object(ScriptInfo).load_app().cli.list_commands(ctx))
        except NoAppException as error:
            click.echo(f"Error: {error.format_message()}\n", err=True)
        except Exception:
            click.echo(traceback.format_exc(), err=True)
        return sorted(names)

    def _add_plugins(self) -> None:
        if self._plugins_added:
            return
        self._plugins_added = True
        for entry_point in importlib.metadata.entry_points(group="asyncflask.commands"):
            try:
                self.add_command(entry_point.load(), entry_point.name)
            except Exception as error:
                click.echo(f"The command {entry_point.name!r} is left out: {error!r}", err=True)
