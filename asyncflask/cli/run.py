"""``asyncflask run``: serve the application."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from asyncflask import devserver
from asyncflask.cli.info import (
    ScriptInfo,
    debug_option,
    flask_extensions_option,
    pass_script_info,
)
from asyncflask.cli.locate import search_directory
from asyncflask.cli.parameters import CertParamType, SeparatedPathType, join_key
from asyncflask.devserver.server import STARTUP_FAILURE
from asyncflask.helpers import get_debug_flag

if TYPE_CHECKING:
    from asyncflask.app import Flask

FC = TypeVar("FC", bound=Callable[..., Any])

_TARGET = f"{__name__}:load_in_worker"


def _flask_only(names: str, reason: str) -> Callable[[FC], FC]:
    """Accept a switch of Flask's that has no meaning here, and say so."""

    def say(_: click.Context, __: click.Parameter, value: bool | None) -> None:
        if value is not None:
            click.echo(f" * {names} has no effect: {reason}", err=True)

    return click.option(names, default=None, hidden=True, expose_value=False, callback=say)


@click.command("run", short_help="Serve the application.")
@click.option(
    "-h",
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at.",
)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="The port to listen at; 0 takes a free one.",
)
@click.option(
    "--reload/--no-reload",
    default=None,
    help="Start again when a Python or .env file changes. By default in debug mode.",
)
@click.option(
    "--watch",
    multiple=True,
    type=click.Path(exists=True),
    help="Watch this file or directory too. May be given several times.",
)
@click.option(
    "--extra-files",
    type=SeparatedPathType(exists=True),
    metavar="PATHS",
    help=f"The same for several, with '{os.pathsep}' between them.",
)
@click.option(
    "--exclude-patterns",
    type=SeparatedPathType(),
    metavar="PATTERNS",
    help="Do not start again for files whose paths match one of these patterns, such as "
    f"'*/migrations/*', with '{os.pathsep}' between them.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="The number of processes that serve.",
)
@click.option(
    "--cert",
    type=CertParamType(),
    is_eager=True,  # --key needs it
    help="The certificate chain, for https: a file, or 'adhoc' for one that is made at the start, "
    "or the import name of an ssl.SSLContext.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    callback=join_key,
    expose_value=False,
    help="The key of the certificate, if in a file of its own.",
)
@click.option(
    "--trust-proxy",
    metavar="ADDRESSES",
    default="",
    help="Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks, "
    "with commas between. By default none.",
)
@click.option(
    "--allow-remote-debug",
    is_flag=True,
    help="Permit debug mode at an address that other machines can reach.",
)
@_flask_only("--debugger/--no-debugger", "errors are shown as pages in debug mode.")
@_flask_only(
    "--with-threads/--without-threads",
    "'def' functions run in threads, WORKER_THREADS in app.config at most.",
)
@pass_script_info
def run_command(
    info: ScriptInfo,
    /,
    reload: bool | None,
    watch: tuple[str, ...],
    extra_files: list[str] | None,
    workers: int,
    cert: Any,
    **options: Any,
) -> None:
    """Serve the application with uvicorn.

    For development add --debug. For production choose the number of --workers; the limits are safe
    defaults for a server that strangers can reach.
    """
    if workers > 1 and isinstance(cert, ssl.SSLContext):
        raise click.UsageError(
            "An ssl.SSLContext cannot be handed to several workers: name the files, with --cert "
            "and --key."
        )
    debug = get_debug_flag()
    if reload is None:
        reload = debug and workers == 1
    if info.create_app is None and _is_served_elsewhere(reload, workers):
        options |= {"target": _TARGET, "factory": True}
        if info.app_import_path:
            os.environ["ASYNCFLASK_APP"] = info.app_import_path
    else:
        options["target"] = info.load_app()
    devserver.run(
        debug=debug,
        reload=reload,
        watch=[search_directory(info.app_import_path), *watch, *(extra_files or ())],
        workers=workers,
        ssl_context=cert,
        name=info.app_import_path or f"the application in {os.getcwd()}",
        **options,
    )


_SHARED = [debug_option, flask_extensions_option]
run_command.params += _SHARED
for _option in run_command.params:
    # ASYNCFLASK_RUN_PORT and so on; Flask's names are read too.
    if isinstance(_option, click.Option) and _option not in _SHARED and not _option.hidden:
        _option.envvar = [
            f"{prefix}_RUN_{_option.name.upper()}" for prefix in ("ASYNCFLASK", "FLASK")
        ]


def _is_served_elsewhere(reload: bool, workers: int) -> bool:
    # A process that only watches or supervises must not import the application, which may be
    # broken just now.
    return workers > 1 or (reload and not devserver.is_running_from_reloader())


def load_in_worker() -> Flask:
    """Load the application in one of several processes that serve; uvicorn calls this."""
    try:
        return ScriptInfo().load_app()
    except click.ClickException as error:
        error.show()
        sys.exit(STARTUP_FAILURE)
