"""uvicorn with this project's defaults: how ``app.run()`` and ``asyncflask run`` serve.

The defaults suit a server that strangers can reach: proxies are believed only when named, the
server does not say what it is, messages and waiting times are bounded.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import functools
import inspect
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from asyncflask.concurrency import running_loop
from asyncflask.debug import is_loopback
from asyncflask.devserver import environment, reloader
from asyncflask.helpers import get_debug_flag, get_load_dotenv

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from asyncflask.app import Flask

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5000

#: The exit code of a process whose application cannot be started; uvicorn's.
STARTUP_FAILURE = 3

#: Options of uvicorn that differ from uvicorn's defaults. Sizes in bytes, times in seconds.
SERVER_DEFAULTS: dict[str, Any] = {
    "interface": "asgi3",
    "lifespan": "on",
    "proxy_headers": False,
    "server_header": False,
    "timeout_graceful_shutdown": 30,
    "timeout_keep_alive": 5,
    "ws_max_size": 1024 * 1024,
}

_BACKLOG = 2048
_RELOAD_GRACE = 2  # seconds for open requests when a changed file restarts the server

# Decided here, or (the addresses) by the socket that is passed to uvicorn.
_not_options = {
    "self", "app", "host", "port", "uds", "fd", "workers", "env_file", "proxy_headers",
    "forwarded_allow_ips", "ssl_certfile", "ssl_keyfile",
    "reload", "reload_dirs", "reload_delay", "reload_includes", "reload_excludes",
}  # fmt: skip

# Flask's options that have no meaning here: there is one loop, no console, one reloader.
_flask_only = {"threaded", "use_debugger", "use_evalex", "reloader_interval", "reloader_type"}

_importing: ContextVar[bool] = ContextVar("asyncflask.devserver.importing", default=False)


@contextmanager
def run_app_ignored() -> Iterator[None]:
    """While a module is imported for its application only, :func:`run_app` does nothing."""
    token = _importing.set(True)
    try:
        yield
    finally:
        _importing.reset(token)


def run_app(
    app: Flask,
    host: str | None = None,
    port: int | None = None,
    debug: bool | None = None,
    load_dotenv: bool = True,
    **options: Any,
) -> None:
    """Serve ``app`` until it is stopped: the body of ``app.run()``, with Flask's rules.

    It does nothing while the ``asyncflask`` command imports the module to find the application.

    :param app: the application.
    :param host: the address; by default that of ``SERVER_NAME``, or 127.0.0.1.
    :param port: the port; by default that of ``SERVER_NAME``, or 5000. 0 takes a free one.
    :param debug: debug mode; by default as the environment or the application says.
    :param load_dotenv: whether to read ``.env`` and ``.flaskenv``.
    :param options: ``use_reloader`` (on in debug mode), ``extra_files`` to watch, and those of
        :func:`run`. Flask's options that have no meaning here are accepted.
    """
    if _importing.get():
        click.echo(
            " * app.run() is ignored: this module is imported by the 'asyncflask' command. "
            "Put the call below: if __name__ == '__main__':",
            err=True,
        )
        return
    if get_load_dotenv(load_dotenv):
        environment.load_dotenv()
        if environment.setting("DEBUG") is not None:
            app.debug = get_debug_flag()
    if debug is not None:
        app.debug = bool(debug)
    name_host, _, name_port = (app.config.get("SERVER_NAME") or "").partition(":")
    for name in _flask_only:
        options.pop(name, None)
    watch = [app.root_path, *options.pop("watch", ()), *(options.pop("extra_files", None) or ())]
    run(
        app,
        host=host or name_host or DEFAULT_HOST,
        port=int(name_port or DEFAULT_PORT) if port is None else int(port),
        debug=app.debug,
        reload=options.pop("use_reloader", options.pop("reload", app.debug)),
        watch=watch,
        name=app.name,
        **options,
    )


def run(
    target: ASGIApp | str,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    debug: bool = False,
    allow_remote_debug: bool = False,
    reload: bool = False,
    watch: Iterable[str | os.PathLike[str]] = (),
    exclude_patterns: Iterable[str] | None = None,
    workers: int = 1,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    ssl_context: Any = None,
    trust_proxy: str | Sequence[str] = (),
    name: str = "",
    **options: Any,
) -> None:
    """Serve an ASGI application with uvicorn until SIGINT (Ctrl-C) or SIGTERM.

    :param target: the application; with several workers, its import string ``module:name``.
    :param host: the address or name to listen at.
    :param port: the port; 0 takes a free one.
    :param debug: whether the application is in debug mode, which is refused where other machines
        can reach it.
    :param allow_remote_debug: permits that. The debug page is still shown on this machine only.
    :param reload: serve in a child process that is started again when files change.
    :param watch: directories and files to watch besides the current directory.
    :param exclude_patterns: patterns (``fnmatch``) of paths whose changes are left alone.
    :param workers: the number of processes that serve.
    :param certfile: path of a certificate chain, for https.
    :param keyfile: path of the certificate's key, where it is in a file of its own.
    :param ssl_context: Flask's way to say it: the pair of these paths, an ``ssl.SSLContext``, or
        ``"adhoc"`` for a certificate made at the start, which browsers warn about.
    :param trust_proxy: addresses or networks of proxies whose ``X-Forwarded-For`` and
        ``X-Forwarded-Proto`` are believed; ``"*"`` believes everyone.
    :param name: what to call the application in messages.
    :param options: passed on to ``uvicorn.Config``.
    :raises SystemExit: the server cannot start. The message says why.
    :raises TypeError: an option that does not exist.
    """
    _check(options)
    _check_no_loop()
    _check_debug(debug, allow_remote_debug, host)
    if reload and workers > 1:
        sys.exit("Reloading serves with one process: leave out either the reloader or the workers.")
    if ssl_context is not None:
        certfile, keyfile = _split_ssl_context(ssl_context, options)
    _check_certificate(certfile, keyfile)
    secure = certfile is not None or "ssl_context_factory" in options
    label = f"{name or 'the application'}{' in debug mode' if debug else ''}"
    listen = functools.partial(_listen, host, port, secure=secure, label=label)
    if reloader.is_running_from_reloader():
        options.setdefault("timeout_graceful_shutdown", _RELOAD_GRACE)
    elif reload and _can_reload():
        with listen() if reloader.CAN_SHARE_SOCKETS else nullcontext() as listener:
            sys.exit(reloader.watch(listener, watch, exclude_patterns or ()))
    if trust_proxy:
        options |= {"proxy_headers": True, "forwarded_allow_ips": trust_proxy}
    options |= {"ssl_certfile": certfile, "ssl_keyfile": keyfile}
    _serve(target, reloader.inherited_socket() or listen(), workers, options)


def _check(options: dict[str, Any]) -> None:
    import uvicorn

    known = set(inspect.signature(uvicorn.Config).parameters) - _not_options
    known |= set(inspect.signature(run).parameters) - {"target", "options", "name"}
    for option in options.keys() - known:
        near = get_close_matches(option, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"The server has no option {option!r}.{hint}")


def _check_no_loop() -> None:
    if running_loop() is not None:
        raise RuntimeError(
            "The server starts an event loop of its own, and one is running here already. Call "
            "app.run() below 'if __name__ == \"__main__\":', not from async code or on import; "
            "async code may 'await app.run_task()'."
        )


def _check_debug(debug: bool, allow_remote_debug: bool, host: str) -> None:
    if debug and not allow_remote_debug and not is_loopback(host):
        sys.exit(
            f"Debug mode is refused at {host}, which other machines can reach: serve at 127.0.0.1, "
            "or say --allow-remote-debug (in code, allow_remote_debug=True)."
        )


def _check_certificate(
    certfile: str | os.PathLike[str] | None, keyfile: str | os.PathLike[str] | None
) -> None:
    if certfile is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile)
    except OSError as error:
        sys.exit(f"The certificate {os.fspath(certfile)} cannot be used with its key: {error}.")


def _split_ssl_context(context: Any, options: dict[str, Any]) -> Any:
    """Return the paths of certificate and key, or None twice and set the option for the rest."""
    if isinstance(context, tuple):
        return context
    if context == "adhoc":
        options["ssl_context_factory"] = _make_adhoc_context
    elif isinstance(context, ssl.SSLContext):
        options["ssl_context_factory"] = lambda config, default: context
    else:
        raise TypeError(
            "ssl_context is an ssl.SSLContext, a tuple (certificate, key) of paths, or 'adhoc', "
            f"not {context!r}. 'mkcert localhost' makes a certificate for development."
        )
    return None, None


def _make_adhoc_context(config: Any, default: Any) -> ssl.SSLContext:
    from werkzeug.serving import generate_adhoc_ssl_context

    return generate_adhoc_ssl_context()


def _can_reload() -> bool:
    obstacle = reloader.obstacle()
    if obstacle is not None:
        click.echo(f" * No reloading: {obstacle}", err=True)
    return obstacle is None


def _listen(host: str, port: int, *, secure: bool, label: str) -> socket.socket:
    if not 0 <= port <= 65535:
        sys.exit(f"Ports go from 0 to 65535, so the server cannot listen at {port}.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(
                f"Port {port} at {host} is in use: stop the program that uses it, "
                "or choose another port."
            )
        sys.exit(f"The server cannot listen at {host}, port {port}: {error}.")
    port = listener.getsockname()[1]
    everywhere = host in {"0.0.0.0", "::"}
    shown = f"[{host}]" if ":" in host else host
    url = f"{'https' if secure else 'http'}://{'127.0.0.1' if everywhere else shown}:{port}"
    also = " and every other address of this machine" if everywhere else ""
    click.echo(f" * Serving {label} at {url}{also}. Press Ctrl-C to stop.", err=True)
    return listener


async def serve(
    app: Flask,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    debug: bool = False,
    allow_remote_debug: bool = False,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    shutdown_trigger: Callable[[], Awaitable[Any]] | None = None,
    **options: Any,
) -> None:
    """:func:`run` on the event loop that runs here: one process, no reloader.

    :param shutdown_trigger: is awaited; when it returns, the server shuts down. SIGINT and SIGTERM
        end it, too, where this is the main thread.
    """
    import uvicorn

    _check(options)
    _check_debug(debug, allow_remote_debug, host)
    _check_certificate(certfile, keyfile)
    options |= {"ssl_certfile": certfile, "ssl_keyfile": keyfile}
    label = f"{app.name}{' in debug mode' if debug else ''}"
    server = uvicorn.Server(_config(app, 1, options))

    async def stop_when_triggered(trigger: Callable[[], Awaitable[Any]]) -> None:
        await trigger()
        app.draining.set()  # before the server waits for its connections
        server.should_exit = True

    with _listen(host, port, secure=certfile is not None, label=label) as listener:
        stopping = None
        if shutdown_trigger is not None:
            stopping = asyncio.create_task(stop_when_triggered(shutdown_trigger))
        try:
            await server.serve(sockets=[listener])
        finally:
            if stopping is not None:
                stopping.cancel()


def _config(target: ASGIApp | str, workers: int, options: dict[str, Any]) -> uvicorn.Config:
    import uvicorn

    if "log_config" not in options and "log_level" not in options:
        options["log_config"] = _log_config()
    return uvicorn.Config(target, workers=workers, **SERVER_DEFAULTS | options)


def _serve(
    target: ASGIApp | str, listener: socket.socket, workers: int, options: dict[str, Any]
) -> None:
    import uvicorn

    config = _config(target, workers, options)
    try:
        if workers > 1:
            _serve_with_workers(config, listener)
        else:
            uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()


def _serve_with_workers(config: uvicorn.Config, listener: socket.socket) -> None:
    from uvicorn.supervisors import Multiprocess

    if not isinstance(config.app, str):
        sys.exit(
            "Each worker imports the application, so it must be named: run "
            f"'asyncflask --app module:name run --workers {config.workers}'."
        )
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    supervisor = Multiprocess(config, sockets=[listener])
    supervisor.run()
    for each, handler in handlers.items():
        signal.signal(each, handler)
    if any(each.process.exitcode == STARTUP_FAILURE for each in supervisor.processes):
        sys.exit(STARTUP_FAILURE)


def _log_config() -> dict[str, Any]:
    from uvicorn.config import LOGGING_CONFIG

    config = copy.deepcopy(LOGGING_CONFIG)
    config["filters"] = {"worth_telling": {"()": f"{__name__}.WorthTelling"}}
    config["handlers"]["default"]["filters"] = ["worth_telling"]
    return config


class WorthTelling(logging.Filter):
    """Leaves out what uvicorn says of every start and stop."""

    _told = ("Waiting for connections", "Waiting for background tasks", "Child process")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` is a warning, or tells why something takes its time."""
        return record.levelno >= logging.WARNING or record.getMessage().startswith(self._told)
