"""Functions for views: URLs, redirects, errors, flashed messages, streams; and finding folders."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import os
import sys
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, AnyStr, Literal, NoReturn, ParamSpec, TypeVar, cast, overload
from urllib.parse import quote

from werkzeug.exceptions import BadRequest, SecurityError
from werkzeug.exceptions import abort as _abort
from werkzeug.routing import BuildError
from werkzeug.sansio.utils import get_host
from werkzeug.utils import redirect as _redirect

from asyncflask.assets import add_version
from asyncflask.concurrency import (
    Pending,
    aclose_iterable,
    close_iterable,
    is_async_callable,
    resolve,
    running_loop,
)
from asyncflask.ctx import current, current_connection, missing, within
from asyncflask.files import send_file as send_file
from asyncflask.files import send_from_directory as send_from_directory
from asyncflask.globals import current_app, session
from asyncflask.json import jsonify as jsonify
from asyncflask.messages.connection import blueprint_names
from asyncflask.messages.response import Response as _Response
from asyncflask.routing.redirects import SAFE
from asyncflask.signals import message_flashed

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from werkzeug.sansio.response import Response as SansIOResponse

    from asyncflask.app import Flask
    from asyncflask.ctx import AppContext
    from asyncflask.messages.connection import Connection
    from asyncflask.routing.adapter import MapAdapter

P = ParamSpec("P")
T = TypeVar("T")

#: Headers of a request that are sent with what it pushes.
_PUSHED_HEADERS = frozenset(
    (b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"user-agent")
)

#: Characters that stay as they are after the ``#`` (https://url.spec.whatwg.org/#fragment-state).
_ANCHOR_SAFE = "%!#$&'()*+,/:;=?@"


# Responses and errors.


def make_response(*args: Any) -> _Response:
    """Make a response of what a view may return, to add headers or cookies to it.

    :param args: the body; body and status or headers; all three; nothing for an empty response.
    :raises TypeError: views cannot return this.
    """
    if not args:
        return current_app.response_class()
    return current_app.make_response(args[0] if len(args) == 1 else args)


def redirect(
    location: str, code: int = 302, Response: type[SansIOResponse] | None = None
) -> _Response:
    """Make a response that sends the client to another address.

    :param location: the URL, often from :func:`url_for`.
    :param code: 301, 302, 303, 305, 307 or 308.
    :param Response: the class of the response, where no application is active.
    :raises ValueError: the location has a line break.
    """
    context = current.get(None)
    if context is not None:
        return context.app.redirect(location, code=code)
    return make_redirect(location, code, Response or _Response)


def make_redirect(location: str, code: int, response_class: type[SansIOResponse]) -> _Response:
    """Make a redirect of a class: what :func:`redirect` and ``app.redirect`` do."""
    response: Any = _redirect(location, code, cast(Any, response_class))
    return cast(_Response, response)


def abort(code: int | SansIOResponse, *args: Any, **kwargs: Any) -> NoReturn:
    """End the request with an HTTP error: raise the exception with this code.

    :param code: a status code known to ``app.aborter``, or a response to be sent as it is.
    :param args: for the exception: the description, say.
    :param kwargs: for the exception.
    :raises HTTPException: always.
    """
    context = current.get(None)
    if context is not None:
        context.app.aborter(cast(Any, code), *args, **kwargs)
    _abort(cast(Any, code), *args, **kwargs)


def make_push_promise(path: str) -> Awaitable[None]:
    """Tell a client of HTTP/2 that it will want ``path``, too. In ``async def`` code: ``await``.

    Nothing is sent where the server does not offer it (the ASGI extension
    ``http.response.push``); today's browsers take no pushes. Quart's.

    :param path: the path, as it stands in a URL.
    :raises RuntimeError: no request is being handled.
    """
    here = current.get(None)
    context = None if here is None else here.request_context
    if context is None:
        raise RuntimeError(missing("make_push_promise", here))

    async def push() -> None:
        if "http.response.push" in (context.scope.get("extensions") or {}):
            headers = [pair for pair in context.scope["headers"] if pair[0] in _PUSHED_HEADERS]
            await context.send({"type": "http.response.push", "path": path, "headers": headers})

    return cast(
        "Awaitable[None]",
        resolve(push, loop=context.loop, expression="make_push_promise(...)"),
    )


# URLs.


def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: Any,
) -> str:
    """Build the URL of an endpoint.

    Within a request it is a path, with the prefix of the mount the application stands in. Outside
    of requests it is absolute, from ``SERVER_NAME``, ``APPLICATION_ROOT`` and
    ``PREFERRED_URL_SCHEME``.

    :param endpoint: the name of a view, with its blueprint's name and a dot before it; from a dot
        on, relative to the blueprint of the request.
    :param _anchor: what to put after a ``#``.
    :param _method: of the rules of the endpoint, one with this method.
    :param _scheme: the scheme of an absolute URL; makes it absolute.
    :param _external: whether the URL is absolute.
    :param values: for the variables of the rule; others become the query, lists repeat.
    :raises BuildError: there is no such endpoint, or its values are missing or refused; it says
        which, and what is nearest.
    :raises BadRequest: an absolute URL is wanted, and the request's ``Host`` cannot be used: 400.
    :raises RuntimeError: there is no request and no ``SERVER_NAME``.
    :raises ValueError: a ``_scheme`` for a URL that shall not be absolute.
    """
    return current_app.url_for(
        endpoint,
        _anchor=_anchor,
        _method=_method,
        _scheme=_scheme,
        _external=_external,
        **values,
    )


def build_url(
    app: Flask,
    endpoint: str,
    /,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: Any,
) -> str:
    """Build a URL of ``app``: what :func:`url_for` and ``app.url_for`` do."""
    context = current.get(None)
    if context is None or context.app is not app:
        # The request of another application, mounted around this one, says nothing of its URLs.
        request, adapter = None, app.create_url_adapter(None)
    else:
        request, adapter = context.connection_context, context.url_adapter
    if adapter is None:
        raise RuntimeError(
            "Unable to build URLs outside an active request without 'SERVER_NAME' configured. Also "
            "configure 'APPLICATION_ROOT' and 'PREFERRED_URL_SCHEME' as needed."
        )
    if request is None:
        external = _external is not False
    else:
        endpoint = _absolute_endpoint(endpoint, request.connection)
        external = _scheme is not None if _external is None else _external
    if _scheme is not None and not external:
        raise ValueError("'_scheme' is for absolute URLs: do not pass '_external=False' with it.")
    app.inject_url_defaults(endpoint, values)
    if endpoint.endswith("static") and app.config["STATIC_HASHED_URLS"]:
        add_version(app, endpoint, values)
    try:
        url = adapter.build(
            endpoint, values, method=_method, url_scheme=_scheme, force_external=external
        )
    except BuildError as error:
        if external and request is not None and not adapter.server_name:
            raise BadRequest("The request has no Host that an address can be made of.") from error
        values.update(_anchor=_anchor, _method=_method, _scheme=_scheme, _external=external)
        return app.handle_url_build_error(error, endpoint, values)
    return url if _anchor is None else f"{url}#{quote(_anchor, safe=_ANCHOR_SAFE)}"


def _absolute_endpoint(endpoint: str, request: Connection) -> str:
    if not endpoint.startswith("."):
        return endpoint
    return f"{request.blueprint}{endpoint}" if request.blueprint else endpoint[1:]


def make_url_adapter(app: Flask, request: Connection | None) -> MapAdapter | None:
    """Bind the rules of ``app`` to a request, or to ``SERVER_NAME`` where there is none."""
    config = app.config
    server_name: str | None = config["SERVER_NAME"]
    if request is None:
        if server_name is None:
            return None
        return app.url_map.bind(
            server_name,
            script_name=config["APPLICATION_ROOT"],
            url_scheme=config["PREFERRED_URL_SCHEME"],
        )
    scheme, subdomain = request.scheme, None
    try:
        # A host that is not trusted gets into no URL; paths do not need one.
        host = request.host
    except SecurityError:
        host = ""
    if server_name is not None and not app.url_map.host_matching:
        if app.subdomain_matching:
            subdomain = app.url_map.domain_part(host, scheme, server_name)
        host = get_host(scheme, server_name.lower())
    return app.url_map.bind(
        host,
        script_name=quote(request.root_path, safe=SAFE) or "/",
        subdomain=subdomain,
        url_scheme=scheme,
        default_method=request.method,
        path_info=request.path,
        query_args=request.query_string.decode("latin-1"),
    )


def inject_url_defaults(app: Flask, endpoint: str, values: dict[str, Any]) -> None:
    """Let the ``url_defaults`` functions of the application and its blueprints add to ``values``.

    The blueprints are those that the endpoint names, the outermost first.
    """
    declared = app.url_default_functions
    if not declared:
        return
    for name in (None, *reversed(blueprint_names(endpoint))):
        for function in declared.get(name, ()):
            function(endpoint, values)


def handle_url_build_error(
    app: Flask, error: Exception, endpoint: str, values: dict[str, Any]
) -> str:
    """Return the first URL that one of ``app.url_build_error_handlers`` finds, or raise.

    :raises BuildError: ``error``, or what the last handler raised.
    """
    for handler in app.url_build_error_handlers:
        try:
            url = handler(error, endpoint, values)
        except BuildError as another:
            error = another
        else:
            if url is not None:
                return url
    raise error


# Flashed messages.


def flash(message: str, category: str = "message") -> None:
    """Keep a message in the session, to be shown by the next page.

    :param message: text; ``Markup`` stays markup.
    :param category: such as ``"error"``, ``"info"`` or ``"warning"``.
    :returns: nothing; ``await flash(...)``, as Quart's code has it, works too. In ``async def``
        code ``async def`` receivers of ``message_flashed`` are told by that ``await``.
    :raises RuntimeError: there is no request, or no secret key.
    """
    # Assigned anew, because a session need not notice changes inside its values.
    session["_flashes"] = [*session.get("_flashes", ()), (category, message)]
    return cast(None, _tell_of_flash(message, category) if message_flashed.receivers else _done)


class _Done:
    """What a function returns that has done its work and may be awaited all the same."""

    def __await__(self) -> Generator[Any, Any, None]:
        return
        yield


_done = _Done()


def _tell_of_flash(message: str, category: str) -> Awaitable[None]:
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
    left = []
    for receiver in message_flashed.receivers_for(app):
        if running_loop() is not None and is_async_callable(receiver):
            left.append(receiver)
        else:
            app.ensure_sync(receiver)(app, message=message, category=category)

    async def tell() -> None:
        for receiver in left:
            await receiver(app, message=message, category=category)

    return Pending(tell, "flash(...)") if left else _done


@overload
def get_flashed_messages(
    with_categories: Literal[False] = False, category_filter: Iterable[str] = ()
) -> list[str]: ...


@overload
def get_flashed_messages(
    with_categories: Literal[True], category_filter: Iterable[str] = ()
) -> list[tuple[str, str]]: ...


@overload
def get_flashed_messages(
    with_categories: bool, category_filter: Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]: ...


def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Take the flashed messages out of the session; later calls in this request give them again.

    :param with_categories: give pairs of category and message.
    :param category_filter: only messages of these categories.
    """
    inside = current_connection()
    if inside is None:
        raise RuntimeError(missing("session"))
    flashes = inside.flashes
    if flashes is None:
        flashes = session.pop("_flashes") if "_flashes" in session else []
        inside.flashes = flashes
    wanted = [pair for pair in flashes if not category_filter or pair[0] in category_filter]
    return wanted if with_categories else [message for _, message in wanted]


# Threads.


def run_sync(func: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Make an ``async def`` function that runs ``func`` in a worker thread; Quart's.

    ``await run_sync(hash_password)(password)``, or as a decorator. Within the current context, as
    ``app.run_sync(func, ...)`` does; where no application is active, in asyncio's threads.

    :param func: a ``def`` function, which may block.
    """

    @functools.wraps(func)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        context = current.get(None)
        if context is None:
            return await asyncio.to_thread(func, *args, **kwargs)
        return await context.app.run_sync(func, *args, **kwargs)

    return call


# Streams.


@overload
def stream_with_context(
    generator_or_function: Iterable[AnyStr],
) -> Iterator[AnyStr]: ...


@overload
def stream_with_context(
    generator_or_function: AsyncIterable[AnyStr],
) -> AsyncIterator[AnyStr]: ...


@overload
def stream_with_context(
    generator_or_function: Callable[P, Iterable[AnyStr]],
) -> Callable[P, Iterator[AnyStr]]: ...


@overload
def stream_with_context(
    generator_or_function: Callable[P, AsyncIterable[AnyStr]],
) -> Callable[P, AsyncIterator[AnyStr]]: ...


def stream_with_context(generator_or_function: Any) -> Any:
    """Keep this request's context for a generator, wherever and whenever it is consumed.

    A generator that a view returns has it anyway: it is for those that go other ways.

    :param generator_or_function: a generator or another iterable, sync or async; or, as a
        decorator, a function that returns one.
    :raises RuntimeError: there is no request.
    :raises TypeError: it is neither.
    """
    if isinstance(generator_or_function, Iterable):
        return _Stream(iter(generator_or_function), _require_request())
    if isinstance(generator_or_function, AsyncIterable):
        return _AsyncStream(aiter(generator_or_function), _require_request())
    if not callable(generator_or_function):
        raise TypeError(
            "stream_with_context() takes a generator, or a function that returns one, not "
            f"{type(generator_or_function).__name__!r}. A function with 'yield' makes a generator "
            "when it is called; it needs no 'await'."
        )

    @functools.wraps(generator_or_function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return stream_with_context(generator_or_function(*args, **kwargs))

    return wrapper


def _require_request() -> AppContext:
    context = current.get(None)
    if context is None or context.connection_context is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request context is active, such as in a "
            "view function."
        )
    return context


# The context is set for each step only: what runs between two of them keeps its own.


class _Stream(Iterator[Any]):
    """Runs each step of an iterator within a context."""

    def __init__(self, iterator: Iterator[Any], context: AppContext) -> None:
        self._iterator = iterator
        self._context = context

    def __next__(self) -> Any:
        with within(self._context):
            return next(self._iterator)

    def close(self) -> None:
        """Close the generator: its ``finally`` blocks run, within the context."""
        with within(self._context):
            close_iterable(self._iterator)


class _AsyncStream(AsyncIterator[Any]):
    """Runs each step of an async iterator within a context."""

    def __init__(self, iterator: AsyncIterator[Any], context: AppContext) -> None:
        self._iterator = iterator
        self._context = context

    async def __anext__(self) -> Any:
        with within(self._context):
            return await anext(self._iterator)

    async def aclose(self) -> None:
        """Close the async generator: its ``finally`` blocks run, within the context."""
        with within(self._context):
            await aclose_iterable(self._iterator)


# The environment and the file system.


def _setting(name: str) -> str:
    return os.environ.get(f"ASYNCFLASK_{name}", os.environ.get(f"FLASK_{name}", ""))


def get_flag(name: str) -> bool:
    """Whether a setting is on in the environment: ``ASYNCFLASK_<name>`` or ``FLASK_<name>``."""
    return _setting(name).lower() not in {"", "0", "false", "no"}


def get_debug_flag() -> bool:
    """Whether ``ASYNCFLASK_DEBUG`` or ``FLASK_DEBUG`` asks for debug mode."""
    return get_flag("DEBUG")


def get_load_dotenv(default: bool = True) -> bool:
    """Whether ``.env`` files are read: unless ``ASYNCFLASK_SKIP_DOTENV`` or Flask's forbids it.

    :param default: the answer where neither is set.
    """
    skip = _setting("SKIP_DOTENV")
    return skip.lower() in {"0", "false", "no"} if skip else default


def send_file_max_age(config: Mapping[str, Any]) -> int | None:
    """Return ``SEND_FILE_MAX_AGE_DEFAULT`` in seconds, None where browsers shall ask each time."""
    value: timedelta | int | None = config["SEND_FILE_MAX_AGE_DEFAULT"]
    return int(value.total_seconds()) if isinstance(value, timedelta) else value


def get_root_path(import_name: str) -> str:
    """Return the folder of a module or package; the current folder where there is none.

    :raises RuntimeError: a package without a folder of its own (a namespace package).
    """
    file: str | None = getattr(sys.modules.get(import_name), "__file__", None)
    if file is not None:
        return os.path.dirname(os.path.abspath(file))
    spec = _find_spec(import_name)
    if spec is None or spec.loader is None:
        return os.getcwd()
    # A package's origin is its __init__.py; a namespace package has none.
    if not spec.has_location or spec.origin is None:
        raise RuntimeError(
            f"No root path can be found for {import_name!r}: it is a namespace package, or is not "
            "imported from a file. Pass 'root_path'."
        )
    return os.path.dirname(os.path.abspath(spec.origin))


def _find_spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # ValueError: a script, or no module's name
        return None


def find_instance_path(import_name: str, root_path: str) -> str:
    """Return the folder for files of this installation, as Flask finds it.

    ``instance`` beside the outermost package, or in the folder of the module; for an installed
    package ``<prefix>/var/<name>-instance``.

    :param import_name: the application's.
    :param root_path: the folder of its module.
    """
    folder = _import_folder(import_name, root_path)
    prefix = _installation_prefix(folder)
    if prefix is None:
        return str(folder / "instance")
    return str(prefix / "var" / f"{import_name}-instance")


def _import_folder(import_name: str, root_path: str) -> Path:
    """The entry of ``sys.path`` that a module was imported from."""
    spec = _find_spec(import_name.partition(".")[0])
    if spec is None:
        return Path.cwd()
    if spec.submodule_search_locations is None:
        return Path(spec.origin or "").parent
    # A package; those of a namespace package lie in several folders: the module's own is wanted.
    locations = [Path(location) for location in spec.submodule_search_locations]
    nearest = (place for place in locations if Path(root_path).is_relative_to(place))
    return next(nearest, locations[0]).parent


def _installation_prefix(folder: Path) -> Path | None:
    """The system's or environment's prefix below which ``folder`` is installed, or None."""
    system = Path(sys.prefix).absolute()
    if folder.is_relative_to(system):
        return system
    if folder.name.lower() != "site-packages":
        return None
    parent = folder.parent
    if parent.name.lower() == "lib":  # Windows: prefix/lib/site-packages
        return parent.parent
    if parent.parent.name.lower() == "lib":  # elsewhere: prefix/lib/pythonX.Y/site-packages
        return parent.parent.parent
    return parent
