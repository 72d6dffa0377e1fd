"""The application: composes everything, and builds once what a request then goes through."""

from __future__ import annotations

import inspect
import logging
import os
import ssl
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from werkzeug.exceptions import Aborter

from asyncflask import helpers
from asyncflask.config import DEFAULT_CONFIG, Config, ConfigAttribute
from asyncflask.ctx import (
    AppContext,
    ConnectionContext,
    RequestContext,
    WebsocketContext,
    _AppCtxGlobals,
    current,
    current_connection,
)
from asyncflask.declarations import Declarations
from asyncflask.exceptions import SetupError
from asyncflask.json.provider import DefaultJSONProvider, JSONProvider
from asyncflask.lazy import lazy
from asyncflask.life import coerce
from asyncflask.life.dispatch import Dispatch
from asyncflask.life.errors import from_starlette
from asyncflask.life.lifespan import no_lifespan, run_lifespan
from asyncflask.life.mounted import make_mount
from asyncflask.life.plan import Plan, build_endpoint, make_read_only, raise_routing_exception
from asyncflask.life.routes import Router
from asyncflask.life.self_start import starts_itself
from asyncflask.life.serving import Serving
from asyncflask.life.socket_steps import SocketSteps, SteppedSockets, replaced_socket_steps
from asyncflask.life.sockets import Sockets
from asyncflask.life.steps import SteppedDispatch, replaced_steps
from asyncflask.life.target import OriginForm
from asyncflask.life.teardown import tear_down, tear_down_in_place
from asyncflask.logging import create_logger
from asyncflask.messages.request import BaseRequest, Request
from asyncflask.messages.response import Response
from asyncflask.messages.websocket import BaseWebsocket, Websocket
from asyncflask.registrar import checked_middleware, setupmethod
from asyncflask.routing import Rule
from asyncflask.sessions import SecureCookieSessionInterface, SessionInterface
from asyncflask.templating import update_template_context

if TYPE_CHECKING:
    from jinja2 import BaseLoader
    from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

    from asyncflask.jinja import Environment
    from asyncflask.messages.connection import Connection
    from asyncflask.routing.adapter import MapAdapter
    from asyncflask.testing import FlaskClient, FlaskCliRunner, SyncClient, TestApp
    from asyncflask.typing import BeforeRequestFunction

C = TypeVar("C", bound=ConnectionContext)


def _as_timedelta(value: timedelta | float) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=value)


class _JinjaEnvironment:
    """Gives the class of Jinja environments when it is asked for, which imports Jinja."""

    def __get__(self, instance: object, owner: type) -> type[Environment]:
        from asyncflask.jinja import Environment

        return Environment


class Flask(Declarations, SocketSteps, Serving, Starlette):
    """An application: register views and hooks on it, and serve it with any ASGI server.

    It is a ``starlette.applications.Starlette`` too, so that middleware, mounts and tools made for
    Starlette work with it.

    :param import_name: the name of the module it is made in, usually ``__name__``.
    :param static_url_path: the URL prefix of static files; the folder's name by default.
    :param static_folder: folder of static files, relative to ``root_path``.
    :param static_host: the host that serves static files, with ``host_matching``.
    :param host_matching: rules are matched with the ``Host`` too.
    :param subdomain_matching: rules are matched with the subdomain of ``SERVER_NAME`` too.
    :param template_folder: folder of templates, relative to ``root_path``.
    :param instance_path: folder for files of this installation; found by itself otherwise.
    :param instance_relative_config: config files are read from there.
    :param root_path: where relative paths start; the module's folder by default.
    :param middleware: Starlette middleware, the first outermost.
    :param lifespan: a Starlette lifespan: an async context manager function of the application.
    """

    app_ctx_globals_class = _AppCtxGlobals
    config_class = Config
    jinja_environment = cast("type[Environment]", _JinjaEnvironment())
    jinja_options: dict[str, Any] = {}  # noqa: RUF012 - each application gets a copy of its own
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    request_class = Request
    response_class = Response
    websocket_class = Websocket
    aborter_class = Aborter
    session_interface: SessionInterface = SecureCookieSessionInterface()
    test_client_class: type[FlaskClient] | None = None
    sync_test_client_class: type[SyncClient] | None = None
    test_cli_runner_class: type[FlaskCliRunner] | None = None
    test_app_class: type[TestApp] | None = None
    router: Router
    default_config: Mapping[str, Any] = DEFAULT_CONFIG
    #: Whether URL value preprocessors run where hooks of their kind do, and after what is read
    #: ahead. By default they run on the loop.
    _preprocessors_are_hooks = False

    testing = ConfigAttribute[bool]("TESTING")
    secret_key = ConfigAttribute["str | bytes | None"]("SECRET_KEY")
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME", get_converter=_as_timedelta
    )

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
        *,
        middleware: Sequence[Middleware] = (),
        lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None,
    ) -> None:
        Declarations.__init__(
            self, import_name, static_folder, static_url_path, template_folder, root_path
        )
        self.instance_path = instance_path or self.auto_find_instance_path()
        if not os.path.isabs(self.instance_path):
            raise ValueError(f"instance_path must be absolute, not {self.instance_path!r}.")
        self.config = self.make_config(instance_relative_config)
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self._user_lifespan = _as_lifespan(lifespan)
        self._dispatch: Dispatch | None = None
        self._init_starlette(middleware)
        self.aborter = self.make_aborter()
        self.json: JSONProvider = self.json_provider_class(self)
        self._init_serving()
        self.extensions: dict[str, Any] = {}
        self.jinja_options = dict(self.jinja_options)
        if self.has_static_folder:
            self._add_static_rule(static_host)

    def _init_starlette(self, middleware: Sequence[Middleware]) -> None:
        # Tools that instrument Starlette replace its constructor, or its class, so it is called;
        # its router is not ours.
        Starlette.__init__(self, debug=self.debug, middleware=checked_middleware(middleware))
        router: Router = Router(self, lambda _app: run_lifespan(router.flask))
        #: Starlette's name. An application made for Flask may keep something of its own there.
        self.router = self._router = router

    def _add_static_rule(self, static_host: str | None) -> None:
        if bool(static_host) != self.url_map.host_matching:
            raise SetupError("'static_host' and 'host_matching' go together: give both or neither.")
        app = weakref.proxy(self)
        self.add_url_rule(
            f"{self.static_url_path}/<path:filename>",
            endpoint="static",
            host=static_host,
            view_func=lambda filename: app.send_static_file(filename),
        )

    # What it is.

    @lazy
    def name(self) -> str:
        """The import name; for a script that is run, the name of its file."""
        if self.import_name == "__main__":
            file = getattr(sys.modules["__main__"], "__file__", None)
            return "__main__" if file is None else Path(file).stem
        return self.import_name

    @lazy
    def logger(self) -> logging.Logger:
        """The logger with the application's name; it writes to stderr unless set up otherwise."""
        return create_logger(self)

    @property
    def debug(self) -> bool:
        """Whether debug mode is on: ``config["DEBUG"]``."""
        return bool(self.config["DEBUG"])

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value

    def make_config(self, instance_relative: bool = False) -> Config:
        """Return the config an application starts with; subclasses may return another."""
        root_path = self.instance_path if instance_relative else self.root_path
        defaults = dict(self.default_config)
        defaults["DEBUG"] = helpers.get_debug_flag()
        return self.config_class(root_path, defaults)

    def make_aborter(self) -> Aborter:
        """Make ``app.aborter``, which :func:`asyncflask.abort` calls."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """Return the folder for files of this installation, where none was given."""
        return helpers.find_instance_path(self.import_name, self.root_path)

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> IO[Any]:
        """Open a file below ``instance_path``, for reading or writing."""
        path = Path(self.instance_path, resource)
        return path.open(mode) if "b" in mode else path.open(mode, encoding=encoding)

    # Registration, as far as it is Starlette's.

    @property
    def _has_started(self) -> bool:
        return self._dispatch is not None

    @setupmethod
    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Mount an ASGI application below a path; it starts and shuts down with this one.

        :param path: such as ``/admin``; "" for all that has no other route.
        :param app: any ASGI application; a WSGI application is wrapped in a ``WSGIAdapter``.
        :param name: for Starlette's ``url_path_for``.
        """
        self._add_mount(path, app, name)

    def _add_mount(self, path: str, app: ASGIApp, name: str | None, **options: Any) -> None:
        self._router.routes.append(make_mount(self, path, app, name, **options))

    #: Starlette's own: an application for a host, a view of its kind.
    host = setupmethod(Starlette.host)
    add_route = setupmethod(Starlette.add_route)

    @setupmethod
    def add_middleware(self, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        """Put ASGI middleware around the application; the last one added is the outermost."""
        self.user_middleware.insert(0, Middleware(middleware_class, *args, **kwargs))

    @setupmethod
    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: ExceptionHandler
    ) -> None:
        """Register a handler of Starlette's kind: ``handler(request, exc)``."""
        self.exception_handlers[exc_class_or_status_code] = handler
        self.register_error_handler(exc_class_or_status_code, from_starlette(handler))

    def _add_route(self, rule: Rule) -> None:
        self._router.add_rule(rule)

    # Start: from here on registrations are read only.

    def freeze(self) -> None:
        """End registration and build what requests go through. Later calls do nothing."""
        if self._dispatch is not None:
            return
        plan = Plan(self)
        self._router.freeze(plan)
        make_read_only(self)
        dispatch_class = SteppedDispatch if replaced_steps(self) else Dispatch
        self._dispatch = dispatch_class(self, self._router, plan)
        sockets_class = SteppedSockets if replaced_socket_steps(self) else Sockets
        self._dispatch.sockets = sockets_class(self, self._router, plan)

    def build_middleware_stack(self) -> ASGIApp:
        """Build the ASGI callable that Starlette calls: the user's middleware around dispatch."""
        self.freeze()
        app: ASGIApp = self.asgi_app
        if getattr(app, "__func__", None) is Flask.asgi_app:
            app = self.dispatch.handle
        for middleware in reversed(self.user_middleware):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return starts_itself(self, app if app == self.dispatch.handle else OriginForm(app))

    @property
    def dispatch(self) -> Dispatch:
        """What stands innermost: hooks, view, error handlers, teardown."""
        self.freeze()
        assert self._dispatch is not None
        return self._dispatch

    async def asgi_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application without its middleware; assign to it to wrap it, as with ``wsgi_app``."""
        await self.dispatch.handle(scope, receive, send)

    def wsgi_app(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """The application for WSGI servers, such as gunicorn. Assign to it to wrap it.

        See :func:`asyncflask.wsgi.respond`. ASGI servers do not go through it.
        """
        from asyncflask.wsgi import respond

        return respond(self, environ, start_response)

    def _before_async_code(self) -> list[BeforeRequestFunction]:
        """What is awaited before the ``async def`` code of a request; more than once is no harm."""
        return []

    def _sends_plain_values(self) -> bool:
        """Whether a plain return value can be sent without making a response of it."""
        return type(self).make_response is Flask.make_response and (
            self.response_class is Response
            and "make_response" not in self.__dict__
            and self.config["RESPONSE_TIMEOUT"] is None
            and not self.session_interface.each_request
        )

    # Contexts.

    def app_context(self) -> AppContext:
        """Return a context for work outside of requests: ``with app.app_context():``."""
        return AppContext(self)

    def request_context(
        self, scope: Scope | BaseRequest, receive: Receive | None = None, send: Send | None = None
    ) -> RequestContext:
        """Return the context for an ASGI scope, or for a request, matched with the rules.

        It takes a WSGI environ (PEP 3333), too, as in Flask.
        """
        if isinstance(scope, BaseRequest):
            receive, scope = receive or scope.receive, scope.scope
        elif "wsgi.version" in scope:
            from asyncflask.testing.environ import scope_of

            scope, body = scope_of(scope)
            receive = _whole_body(body)
        return self._context(RequestContext, scope, receive, send)

    def websocket_context(
        self, scope: Scope | BaseWebsocket, receive: Receive | None = None, send: Send | None = None
    ) -> WebsocketContext:
        """:meth:`request_context` for a WebSocket."""
        if isinstance(scope, BaseWebsocket):
            receive, send = receive or scope._next_message, send or scope._send_message
            scope = scope.scope
        return self._context(WebsocketContext, scope, receive, send)

    def _context(self, cls: type[C], scope: Scope, receive: Receive | None, send: Send | None) -> C:
        scope["app"] = self
        kind: Any = "websocket" if cls is WebsocketContext else "request"
        endpoint = build_endpoint(self, None, raise_routing_exception, kind)
        context = cls(self, scope, receive or _no_message, send or _drop, endpoint, {})
        context.match_request()
        return context

    def test_request_context(self, *args: Any, **kwargs: Any) -> RequestContext:
        """Return the context of a request made up here: ``with app.test_request_context("/x"):``.

        The arguments are ``path``, ``base_url``, ``method``, ``query_string``, ``headers``,
        ``data``, ``json`` and the others of :func:`asyncflask.testing.make_scope`.
        """
        from asyncflask.testing import make_scope

        scope, body = make_scope(self, *args, **kwargs)
        return self.request_context(scope, _whole_body(body))

    def test_websocket_context(self, path: str = "/", **kwargs: Any) -> WebsocketContext:
        """Return the context of a WebSocket made up here.

        The arguments are those of :meth:`test_request_context` that a handshake can have, and
        ``subprotocols``.
        """
        from asyncflask.testing import make_websocket_scope

        return self.websocket_context(make_websocket_scope(self, path, **kwargs))

    def _current_scope(self) -> Scope | None:
        """The ASGI scope of the request or WebSocket that is being handled, if there is one."""
        connection = current_connection()
        return None if connection is None else connection.scope

    def do_teardown(self, context: AppContext, exc: BaseException | None = None) -> None:
        """Run the teardown functions of a context that plain code has pushed."""
        tear_down_in_place(context, exc)

    async def ado_teardown(self, context: AppContext, exc: BaseException | None = None) -> None:
        """:meth:`do_teardown` for ``async def`` code."""
        await tear_down(context, exc)

    # Responses and errors.

    def make_response(self, rv: Any) -> Response:
        """Turn a view's return value into a response.

        :raises TypeError: it is none of the kinds that views may return.
        """
        return coerce.make_response(self, rv)

    def make_default_options_response(self) -> Response:
        """The answer to OPTIONS: the allowed methods."""
        context = cast(RequestContext, current.get().request_context)
        response = self.response_class()
        response.allow.update(self._router.allowed_methods(context.scope))
        return response

    def redirect(self, location: str, code: int = 302) -> Response:
        """Return a response that sends the client to ``location``."""
        return helpers.make_redirect(location, code, self.response_class)

    def log_exception(
        self, exc_info: tuple[type[BaseException], BaseException, TracebackType | None]
    ) -> None:
        """Log an error that nobody handled; subclasses may do more."""
        scope = self._current_scope() or {}
        kind = "WebSocket" if scope.get("type") == "websocket" else scope.get("method")
        self.logger.error("Exception on %s [%s]", scope.get("path"), kind, exc_info=exc_info)

    def debug_response(self, context: ConnectionContext, exc: Exception) -> Response | None:
        """The page that explains an error in debug mode, to a client on this machine only."""
        if not self.debug or self.testing:
            return None
        from asyncflask.debug import may_show, render_error_page, render_error_text

        if not may_show(context.scope):
            return None
        if context.connection.accept_mimetypes.accept_html:
            body, mimetype = render_error_page(exc, context.scope), "text/html"
        else:
            body, mimetype = render_error_text(exc, context.scope), "text/plain"
        return self.response_class(body, status=500, mimetype=mimetype)

    # URLs.

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: Any,
    ) -> str:
        """Build the URL of an endpoint; see :func:`asyncflask.url_for`."""
        return helpers.build_url(
            self,
            endpoint,
            _anchor=_anchor,
            _method=_method,
            _scheme=_scheme,
            _external=_external,
            **values,
        )

    def create_url_adapter(self, request: Connection | None) -> MapAdapter | None:
        """Return what builds URLs: the rules, bound to a request or to ``SERVER_NAME``.

        :param request: None outside of requests.
        :returns: None where neither is there. Requests are matched by other means.
        """
        return helpers.make_url_adapter(self, request)

    def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
        """Let the ``url_defaults`` functions add to the values for a URL."""
        helpers.inject_url_defaults(self, endpoint, values)

    def handle_url_build_error(
        self, error: Exception, endpoint: str, values: dict[str, Any]
    ) -> str:
        """Ask ``url_build_error_handlers`` for a URL that could not be built, or raise."""
        return helpers.handle_url_build_error(self, error, endpoint, values)

    # Templates and static files.

    @lazy
    def jinja_env(self) -> Environment:
        """The Jinja environment, made at the first use."""
        return self.create_jinja_environment()

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment; subclasses may return another."""
        from asyncflask.jinja import create_environment

        return create_environment(self)

    def create_global_jinja_loader(self) -> BaseLoader:
        """Make the loader of the environment; subclasses may return another."""
        from asyncflask.jinja import DispatchingJinjaLoader

        return DispatchingJinjaLoader(self)

    def update_template_context(self, context: dict[str, Any]) -> Awaitable[None]:
        """Add to the variables of a template what is always there, and what processors give.

        In ``async def`` code it is awaited. Overridden, it may be ``def`` or ``async def``.
        """
        return update_template_context(self, context)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether a template is escaped: by its extension, and every string."""
        return filename is None or filename.endswith((".html", ".htm", ".xml", ".xhtml", ".svg"))

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """How many seconds browsers may keep a file: ``SEND_FILE_MAX_AGE_DEFAULT``."""
        return helpers.send_file_max_age(self.config)

    def send_static_file(self, filename: str) -> Any:
        """The view of the static files."""
        from asyncflask.static import send_static_file

        return send_static_file(self, filename)

    # Tools.

    def test_client(self, use_cookies: bool = True, **kwargs: Any) -> FlaskClient:
        """Return a client for ``async def`` tests; see :class:`asyncflask.testing.FlaskClient`."""
        from asyncflask.testing import FlaskClient

        return (self.test_client_class or FlaskClient)(self, use_cookies=use_cookies, **kwargs)

    def sync_test_client(self, use_cookies: bool = True, **kwargs: Any) -> SyncClient:
        """Return a client for ``def`` tests; see :class:`asyncflask.testing.SyncClient`."""
        from asyncflask.testing import SyncClient

        return (self.sync_test_client_class or SyncClient)(self, use_cookies=use_cookies, **kwargs)

    def test_app(self) -> TestApp:
        """Return what runs the lifespan around a test; see :class:`asyncflask.testing.TestApp`."""
        from asyncflask.testing import TestApp

        return (self.test_app_class or TestApp)(self)

    def test_cli_runner(self, **kwargs: Any) -> FlaskCliRunner:
        """Return a runner for tests of commands; see :class:`asyncflask.testing.FlaskCliRunner`."""
        from asyncflask.testing import FlaskCliRunner

        return (self.test_cli_runner_class or FlaskCliRunner)(self, **kwargs)

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: Any,
    ) -> None:
        """Serve the application with uvicorn on this machine, for development.

        :param host: the address, 127.0.0.1 by default.
        :param port: 5000 by default.
        :param debug: turn debug mode on or off: error pages and reload.
        :param load_dotenv: read ``.env`` and ``.flaskenv`` first.
        :param options: see :func:`asyncflask.devserver.run_app`.
        """
        from asyncflask import devserver

        devserver.run_app(self, host, port, debug, load_dotenv=load_dotenv, **options)

    async def run_task(
        self,
        host: str = "127.0.0.1",
        port: int = 5000,
        debug: bool | None = None,
        ca_certs: str | None = None,
        certfile: str | None = None,
        keyfile: str | None = None,
        shutdown_trigger: Callable[[], Awaitable[Any]] | None = None,
        **options: Any,
    ) -> None:
        """:meth:`run` for ``async def`` code: serve on the loop that runs here; Quart's.

        :param ca_certs: the path of certificates that clients have to be signed with.
        :param options: see :func:`asyncflask.devserver.serve`, which has the others, too.
        """
        from asyncflask import devserver

        if debug is not None:
            self.debug = debug
        if ca_certs is not None:
            options |= {"ssl_ca_certs": ca_certs, "ssl_cert_reqs": ssl.CERT_REQUIRED}
        await devserver.serve(
            self,
            host=host,
            port=port,
            debug=self.debug,
            certfile=certfile,
            keyfile=keyfile,
            shutdown_trigger=shutdown_trigger,
            **options,
        )

    def make_shell_context(self) -> dict[str, Any]:
        """The names that a shell begins with."""
        from asyncflask.globals import g

        names: dict[str, Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            names.update(self.ensure_sync(processor)())
        return names


def _as_lifespan(
    lifespan: Callable[[Any], Any] | None,
) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    if lifespan is None:
        return no_lifespan
    return asynccontextmanager(lifespan) if inspect.isasyncgenfunction(lifespan) else lifespan


def _whole_body(body: bytes) -> Receive:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _no_message() -> NoReturn:
    raise RuntimeError("This request was made by hand and has nothing more to receive.")


async def _drop(message: Any) -> None:
    """Where a request made by hand would send."""
