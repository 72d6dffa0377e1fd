"""``asyncflask run``: serve the application."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from asyncflask import devserver
from asyncflask.cli.group import ScriptInfo, debug_option, pass_script_info
from asyncflask.cli.locate import search_directory
from asyncflask.devserver.server import STARTUP_FAILURE
from asyncflask.helpers import get_debug_flag

if TYPE_CHECKING:
    from asyncflask.app import Flask

_TARGET = f"{__name__}:load_in_worker"
_file = click.Path(exists=True, dir_okay=False)


@click.command("run", short_help="Serve the application.")
@click.option(
    "-h",
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar=["ASYNCFLASK_RUN_HOST", "FLASK_RUN_HOST"],
    help="The address to listen at.",
)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    envvar=["ASYNCFLASK_RUN_PORT", "FLASK_RUN_PORT"],
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
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="The number of processes that serve.",
)
@click.option("--cert", type=_file, help="The certificate chain, for https.")
@click.option("--key", type=_file, help="The key of the certificate, if in a file of its own.")
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
@pass_script_info
def run_command(
    info: ScriptInfo,
    /,
    reload: bool | None,
    watch: tuple[str, ...],
    workers: int,
    cert: str | None,
    key: str | None,
    **options: Any,
) -> None:
    """Serve the application with uvicorn.

    For development add --debug. For production choose the number of --workers; the limits are safe
    defaults for a server that strangers can reach.
    """
    if key and not cert:
        raise click.UsageError("--key is the key of a certificate: give --cert too.")
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
        watch=[search_directory(info.app_import_path), *watch],
        workers=workers,
        certfile=cert,
        keyfile=key,
        name=info.app_import_path or f"the application in {os.getcwd()}",
        **options,
    )


run_command.params.append(debug_option)


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
