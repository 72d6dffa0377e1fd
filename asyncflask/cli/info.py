"""What all commands share: the application they are for, and the options that choose it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from asyncflask import compat
from asyncflask.cli.locate import call_factory, find_app
from asyncflask.commands import AppLoader
from asyncflask.debug import versions
from asyncflask.devserver import load_dotenv
from asyncflask.devserver.environment import setting
from asyncflask.helpers import get_debug_flag, get_flag, get_load_dotenv

if TYPE_CHECKING:
    from asyncflask.app import Flask


class ScriptInfo(AppLoader):
    """The application that the commands of one invocation are for, loaded when it is needed.

    :param app_import_path: what ``--app`` takes; by default ``ASYNCFLASK_APP`` or ``FLASK_APP``
        from the environment.
    :param create_app: makes the application instead; ``def`` or ``async def``.
    :param set_debug_flag: whether ``app.debug`` is set from the environment.
    :param load_dotenv_defaults: whether ``.env`` and ``.flaskenv`` are read.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[[], Any] | None = None,
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
            if get_flag("FLASK_EXTENSIONS"):
                compat.install()
            self.app_import_path = self.app_import_path or setting("APP")

    def load_app(self) -> Flask:
        """Return the application, found or made at the first call.

        :raises NoAppException: there is none.
        """
        if self._app is None:
            self.load_environment()
            if self.create_app is None:
                app = find_app(self.app_import_path)
            else:
                app = call_factory(self.create_app)
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


def _set_flask_extensions(_: click.Context, __: click.Parameter, value: bool | None) -> None:
    # In the environment it also reaches the processes that serve.
    if value is not None:
        os.environ["ASYNCFLASK_FLASK_EXTENSIONS"] = str(int(value))
    if value:
        compat.install()


def get_version(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Show the versions that a bug report needs, and exit: the callback of ``--version``."""
    if value and not ctx.resilient_parsing:
        for name, version in versions().items():
            click.echo(f"{name} {version}")
        ctx.exit()


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
flask_extensions_option = click.Option(
    ["--flask-extensions/--no-flask-extensions"],
    default=None,
    is_eager=True,
    expose_value=False,
    callback=_set_flask_extensions,
    help="Let 'import flask' give asyncflask's compatibility namespace, so that extensions made "
    "for Flask work. Or set ASYNCFLASK_FLASK_EXTENSIONS=1.",
)
version_option = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=get_version,
    help="Show the versions and exit.",
)
