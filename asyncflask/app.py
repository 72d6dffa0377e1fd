"""The application: composes everything, and builds once what a request then goes through."""

from __future__ import annotations

import functools
import logging
import os
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, cast

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from werkzeug.exceptions import Aborter

from asyncflask import helpers
from asyncflask.concurrency import WorkerPool, is_async_callable, running_loop, wait_for
from asyncflask.config import DEFAULT_CONFIG, Config, ConfigAttribute
from asyncflask.ctx import AppContext, RequestContext, _AppCtxGlobals, current
from asyncflask.exceptions import SetupError
from asyncflask.json.provider import DefaultJSONProvider, JSONProvider
from asyncflask.lazy import lazy
from asyncflask.life import coerce
from asyncflask.life.dispatch import Dispatch
from asyncflask.life.lifespan import BackgroundTasks, no_lifespan, serving
from asyncflask.life.plan import Plan, build_endpoint, make_read_only, raise_routing_exception
from asyncflask.life.routes import Router
from asyncflask.life.teardown import tear_down, tear_down_in_place
from asyncflask.logging import create_logger
from asyncflask.messages.request import Request
from asyncflask.messages.response import Response
from asyncflask.registrar import Registrar, endpoint_of, setupmethod
from asyncflask.routing import Map, Rule
from asyncflask.sessions import SecureCookieSessionInterface, SessionInterface
from asyncflask.templating import Environment, create_environment
from asyncflask.typing import TeardownFunction, ViewFunction

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

    from asyncflask.blueprints import Blueprint
    from asyncflask.testing import FlaskClient, SyncClient

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
T = TypeVar("T")


class Flask(Registrar, Starlette):
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
    jinja_environment = Environment
    jinja_options: dict[str, Any] = {}
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    request_class = Request
    response_class = Response
    aborter_class = Aborter
    url_rule_class = Rule
    url_map_class = Map
    session_interface: SessionInterface = SecureCookieSessionInterface()
    test_client_class: type[FlaskClient] | None = None
    default_config: Mapping[str, Any] = DEFAULT_CONFIG

    testing = ConfigAttribute[bool]("TESTING")
    secret_key = ConfigAttribute["str | bytes | None"]("SECRET_KEY")
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME",
        get_converter=lambda value: value if isinstance(value, timedelta) else timedelta(seconds=value),
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
        Registrar.__init__(
            self, import_name, static_folder, static_url_path, template_folder, root_path
        )
        self.instance_path = instance_path or helpers.find_instance_path(import_name, self.root_path)
        if not os.path.isabs(self.instance_path):
            raise ValueError(f"instance_path must be absolute, not {self.instance_path!r}.")
        self.config = self.make_config(instance_relative_config)
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self._user_lifespan = _as_lifespan(lifespan)
        self._init_starlette(middleware)
        self.aborter = self.aborter_class()
        self.json: JSONProvider = self.json_provider_class(self)
        self.blueprints: dict[str, Blueprint] = {}
        self.extensions: dict[str, Any] = {}
        self.teardown_appcontext_funcs: Sequence[TeardownFunction] = []
        self.shell_context_processors: list[Callable[[], dict[str, Any]]] = []
        self.url_build_error_handlers: list[Callable[[Exception, str, dict[str, Any]], str]] = []
        self.before_serving_funcs: list[Callable[[], Any]] = []
        self.after_serving_funcs: list[Callable[[], Any]] = []
        self.while_serving_gens: list[Callable[[], AsyncIterator[None]]] = []
        self.background_tasks = BackgroundTasks()
        self._dispatch: Dispatch | None = None
        if self.has_static_folder:
            self._add_static_rule(static_host)

    def _init_starlette(self, middleware: Sequence[Middleware]) -> None:
        # Starlette's own attributes, which tools made for it read. Its constructor is not called:
        # it would make a router of its own and set `debug`, which is the config's here.
        self.state = State()
        self.router = Router(self, lambda _app: serving(self))
        self.max_body_size = None
        self.exception_handlers: dict[Any, ExceptionHandler] = {}
        self.user_middleware = list(middleware)
        self.middleware_stack: ASGIApp | None = None

    def _add_static_rule(self, static_host: str | None) -> None:
        if bool(static_host) != self.url_map.host_matching:
            raise ValueError("'static_host' and 'host_matching' go together: give both or neither.")
        # The view is a weak reference: an application that is dropped is freed at once.
        app = weakref.ref(self)
        self.add_url_rule(
            f"{self.static_url_path}/<path:filename>",
            endpoint="static",
            host=static_host,
            view_func=lambda filename: cast(Flask, app()).send_static_file(filename),
        )

    # What it is.

    @lazy
    def name(self) -> str:  # type: ignore[override]  # computed once
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
        if self.config["TEMPLATES_AUTO_RELOAD"] is None and "jinja_env" in self.__dict__:
            self.jinja_env.auto_reload = value

    def make_config(self, instance_relative: bool = False) -> Config:
        """Return the config an application starts with; subclasses may return another."""
        root_path = self.instance_path if instance_relative else self.root_path
        defaults = dict(self.default_config)
        defaults["DEBUG"] = helpers.get_debug_flag()
        return self.config_class(root_path, defaults)

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> IO[Any]:
        """Open a file below ``instance_path``, for reading or writing."""
        path = Path(self.instance_path, resource)
        return path.open(mode) if "b" in mode else path.open(mode, encoding=encoding)

    # Registration.

    def _check_setup_finished(self, method: str) -> None:
        if self._dispatch is not None:
            raise SetupError(
                f"'{method}' was called on the application {self.name!r} after it has started, so "
                "it would have no effect. Register views, hooks and blueprints before the "
                "application serves its first request."
            )

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ViewFunction | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Add a rule and register its view.

        :param rule: such as ``/post/<int:post_id>``; it starts with a slash.
        :param endpoint: the name for ``url_for``; the view's name by default.
        :param view_func: ``def`` or ``async def``; its arguments are the rule's variables.
        :param provide_automatic_options: answer OPTIONS with the allowed methods.
        :param options: of the rule: ``methods``, ``defaults``, ``strict_slashes``,
            ``merge_slashes``, ``redirect_to``, ``alias``, ``build_only``, ``host``, ``subdomain``.
        :raises SetupError: the endpoint has another view already.
        """
        if endpoint is None:
            if view_func is None:
                raise SetupError(f"The rule {rule!r} needs a view or an endpoint.")
            endpoint = endpoint_of(view_func)
        methods = _methods_of(rule, options.pop("methods", None), view_func)
        if provide_automatic_options is None:
            provide_automatic_options = getattr(view_func, "provide_automatic_options", None)
        if provide_automatic_options is None:
            provide_automatic_options = (
                "OPTIONS" not in methods and self.config["PROVIDE_AUTOMATIC_OPTIONS"]
            )
        methods |= set(getattr(view_func, "required_methods", ()))
        if provide_automatic_options:
            methods.add("OPTIONS")
        made = self.url_rule_class(rule, endpoint=endpoint, methods=methods, **options)
        made.provide_automatic_options = bool(provide_automatic_options)
        if view_func is not None:
            self._set_view(endpoint, view_func)
        self.url_map.add(made)
        self.router.add_rule(made)

    def _set_view(self, endpoint: str, view: ViewFunction) -> None:
        before = self.view_functions.get(endpoint)
        if before is not None and before is not view:
            raise SetupError(
                f"The endpoint {endpoint!r} has a view already: {_where(before)}. "
                f"{_where(view)} would replace it. Give one of the rules another 'endpoint'."
            )
        self.view_functions[endpoint] = view

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint.

        :param options: ``url_prefix``, ``subdomain``, ``url_defaults``, ``name`` (to register it
            more than once) and ``cli_group``, in place of the blueprint's own.
        """
        blueprint.register(self, options)

    def iter_blueprints(self) -> Iterable[Blueprint]:
        """The registered blueprints, in order."""
        return self.blueprints.values()

    @setupmethod
    def teardown_appcontext(self, f: F) -> F:
        """Run ``f(exception_or_None)`` at the end of each context, after ``teardown_request``."""
        cast("list[Any]", self.teardown_appcontext_funcs).append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: F) -> F:
        """Add what ``f()`` returns to the names in the shell."""
        self.shell_context_processors.append(f)
        return f

    @setupmethod
    def before_serving(self, f: F) -> F:
        """Run ``f()`` at start, before the first request."""
        self.before_serving_funcs.append(f)
        return f

    @setupmethod
    def after_serving(self, f: F) -> F:
        """Run ``f()`` at shutdown, after the last request."""
        self.after_serving_funcs.append(f)
        return f

    @setupmethod
    def while_serving(self, f: F) -> F:
        """Run the async generator function ``f``: up to its ``yield`` at start, on at shutdown."""
        self.while_serving_gens.append(f)
        return f

    @setupmethod
    def template_filter(self, name: str | None = None) -> Callable[[F], F]:
        """Register a template filter under ``name``, or the function's own."""
        return self._on_jinja("filters", name)

    @setupmethod
    def template_test(self, name: str | None = None) -> Callable[[F], F]:
        """Register a template test under ``name``, or the function's own."""
        return self._on_jinja("tests", name)

    @setupmethod
    def template_global(self, name: str | None = None) -> Callable[[F], F]:
        """Register a global of templates under ``name``, or the function's own."""
        return self._on_jinja("globals", name)

    def _on_jinja(self, kind: str, name: str | None) -> Callable[[F], F]:
        def decorator(f: F) -> F:
            getattr(self.jinja_env, kind)[name or f.__name__] = f
            return f

        return decorator

    def add_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`template_filter` as a call."""
        self.template_filter(name)(f)

    def add_template_test(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`template_test` as a call."""
        self.template_test(name)(f)

    def add_template_global(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`template_global` as a call."""
        self.template_global(name)(f)

    @setupmethod
    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Serve another ASGI application below ``path``."""
        self.router.mount(path, app=app, name=name)

    @setupmethod
    def add_middleware(self, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        """Put ASGI middleware around the application; the last one added is the outermost."""
        self.user_middleware.insert(0, Middleware(middleware_class, *args, **kwargs))

    @setupmethod
    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: ExceptionHandler
    ) -> None:
        """Register a handler of Starlette's kind: ``handler(request, exc)``."""
        from asyncflask.life.errors import from_starlette

        self.exception_handlers[exc_class_or_status_code] = handler
        self.register_error_handler(exc_class_or_status_code, from_starlette(handler))

    # Start: from here on registrations are read only.

    def freeze(self) -> None:
        """End registration and build what requests go through. Later calls do nothing."""
        if self._dispatch is not None:
            return
        plan = Plan(self)
        self.router.freeze(plan)
        make_read_only(self)
        self._dispatch = Dispatch(self, self.router, plan)

    def build_middleware_stack(self) -> ASGIApp:
        """Build the ASGI callable that Starlette calls: the user's middleware around dispatch."""
        self.freeze()
        app: ASGIApp = self.asgi_app if "asgi_app" in self.__dict__ else self.dispatch
        for middleware in reversed(self.user_middleware):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return app

    @property
    def dispatch(self) -> Dispatch:
        """The innermost ASGI callable: hooks, view, error handlers, teardown."""
        self.freeze()
        assert self._dispatch is not None
        return self._dispatch

    async def asgi_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application without its middleware; assign to it to wrap it, as with ``wsgi_app``."""
        await self.dispatch(scope, receive, send)

    def _sends_plain_values(self) -> bool:
        """Whether a plain return value can be sent without making a response of it."""
        return type(self).make_response is Flask.make_response and (
            self.response_class is Response and "make_response" not in self.__dict__
        )

    def _opens_session_first(self) -> bool:
        """Whether sessions have to be opened before the hooks, because that must be awaited."""
        return is_async_callable(self.session_interface.open_session)

    # Worker threads.

    @lazy
    def pool(self) -> WorkerPool:
        """The threads for ``def`` functions, ``WORKER_THREADS`` at most."""
        return self._make_pool("WORKER_THREADS", "worker")

    @lazy
    def stream_pool(self) -> WorkerPool:
        """The threads that pull sync generators, ``STREAM_THREADS`` at most."""
        return self._make_pool("STREAM_THREADS", "stream")

    def _make_pool(self, size: str, kind: str) -> WorkerPool:
        config = self.config
        return WorkerPool(
            config[size],
            queue_size=config["WORKER_QUEUE_SIZE"],
            queue_timeout=config["WORKER_QUEUE_TIMEOUT"],
            name=f"{self.name}-{kind}",
        )

    def close_pools(self) -> None:
        """End the worker threads; new ones are started when they are needed again."""
        for name in ("pool", "stream_pool"):
            pool = self.__dict__.pop(name, None)
            if pool is not None:
                pool.close()

    async def run_sync(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in a worker thread, within the current context.

        In a request that holds a worker already, that one is used.

        :returns: what the function returns.
        :raises WorkerPoolFullError: no thread came free in time.
        """
        context = current.get(None)
        journey = None if context is None else context.journey
        if journey is not None and journey.worker is not None:
            return await journey.run(functools.partial(function, *args, **kwargs))
        return await self.pool.run(function, *args, **kwargs)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function that ``def`` code can call of one that may be ``async def``.

        Where a loop runs in the calling thread, its result is the coroutine, to be awaited or
        returned; elsewhere the coroutine is run on the request's loop while the thread waits.
        """
        if not is_async_callable(func):
            return func

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            if running_loop() is not None:
                return func(*args, **kwargs)
            return self._run_coroutine(lambda: func(*args, **kwargs))

        return call

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait in ``def`` code for what can only be awaited, on the request's loop."""

        async def run() -> T:
            return await awaitable

        return cast(T, self._run_coroutine(run))

    def _run_coroutine(self, make: Callable[[], Any]) -> Any:
        context = current.get(None)
        loop = None if context is None else context.loop
        if loop is not None:
            return wait_for(make, loop)
        import asyncio

        return asyncio.run(make())

    def add_background_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a function beside the requests; it outlives this one and is awaited at shutdown.

        It runs in a copy of the current context: ``g`` and ``request`` are still there.

        :param func: ``async def`` runs on the loop, ``def`` in a worker thread.
        """
        name = getattr(func, "__name__", repr(func))
        if is_async_callable(func):
            run: Callable[[], Awaitable[Any]] = functools.partial(func, *args, **kwargs)
        else:
            run = functools.partial(self.pool.run, func, *args, **kwargs)
        context = current.get(None)
        if running_loop() is None and context is not None and context.loop is not None:
            context.loop.call_soon_threadsafe(self.background_tasks.add, name, run)
        else:
            self.background_tasks.add(name, run)

    # Contexts.

    def app_context(self) -> AppContext:
        """Return a context for work outside of requests: ``with app.app_context():``."""
        return AppContext(self)

    def request_context(
        self, scope: Scope, receive: Receive | None = None, send: Send | None = None
    ) -> RequestContext:
        """Return the context for an ASGI scope, matched with the rules."""
        route, endpoint, params, error = self.router.find(scope)
        if endpoint is None:
            name = None if error is not None else getattr(route, "name", None)
            view = self.view_functions.get(name or "", raise_routing_exception)
            endpoint = build_endpoint(self, name if name in self.view_functions else None, view)
        scope.update(route=route, endpoint=endpoint.function, path_params=params, app=self)
        context = RequestContext(
            self, scope, receive or _no_message, send or _drop, endpoint, params
        )
        if error is not None:
            context.routing_exception = error
        return context

    def test_request_context(self, *args: Any, **kwargs: Any) -> RequestContext:
        """Return the context of a request made up here: ``with app.test_request_context("/x"):``.

        The arguments are ``path``, ``base_url``, ``method``, ``query_string``, ``headers``,
        ``data``, ``json`` and the others of :func:`asyncflask.testing.make_scope`.
        """
        from asyncflask.testing import make_scope

        scope, body = make_scope(self, *args, **kwargs)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        return self.request_context(scope, receive)

    def _current_scope(self) -> Scope | None:
        """The ASGI scope of the request that is being handled, if there is one."""
        context = current.get(None)
        request_context = None if context is None else context.request_context
        return None if request_context is None else request_context.scope

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
        response.allow.update(self.router.allowed_methods(context.scope))
        return response

    def redirect(self, location: str, code: int = 302) -> Response:
        """Return a response that sends the client to ``location``."""
        return helpers.make_redirect(location, code, self.response_class)

    def log_exception(
        self, exc_info: tuple[type[BaseException], BaseException, TracebackType | None]
    ) -> None:
        """Log an error that nobody handled; subclasses may do more."""
        scope = self._current_scope() or {}
        self.logger.error(
            "Exception on %s [%s]", scope.get("path"), scope.get("method"), exc_info=exc_info
        )

    def _propagates(self) -> bool:
        """Whether errors that nobody handles reach the server, or the test."""
        propagate = self.config["PROPAGATE_EXCEPTIONS"]
        return self.testing or self.debug if propagate is None else bool(propagate)

    def debug_response(self, context: RequestContext, exc: Exception) -> Response | None:
        """The page that explains an error in debug mode, to a client on this machine only."""
        if not self.debug or self.testing:
            return None
        from asyncflask.debug import may_show, render_error_page, render_error_text

        if not may_show(context.scope):
            return None
        if context.request.accept_mimetypes.accept_html:
            body, mimetype = render_error_page(exc, context.scope), "text/html"
        else:
            body, mimetype = render_error_text(exc, context.scope), "text/plain"
        return self.response_class(body, status=500, mimetype=mimetype)

    # URLs.

    def url_for(
        self,
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
        return create_environment(self)

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

        return SyncClient(self, use_cookies=use_cookies, **kwargs)

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

    def make_shell_context(self) -> dict[str, Any]:
        """The names that a shell begins with."""
        from asyncflask.globals import g

        names: dict[str, Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names


def _methods_of(rule: str, methods: Any, view: ViewFunction | None) -> set[str]:
    if methods is None:
        methods = getattr(view, "methods", None) or ("GET",)
    if isinstance(methods, str):
        raise TypeError(
            f"The rule {rule!r} has methods={methods!r}. Write a list: methods=[{methods!r}]."
        )
    return {method.upper() for method in cast("Collection[str]", methods)}


def _where(view: ViewFunction) -> str:
    code = getattr(view, "__code__", None)
    name = getattr(view, "__qualname__", repr(view))
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def _as_lifespan(
    lifespan: Callable[[Any], Any] | None,
) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    if lifespan is None:
        return no_lifespan
    import inspect

    return asynccontextmanager(lifespan) if inspect.isasyncgenfunction(lifespan) else lifespan


async def _no_message() -> NoReturn:
    raise RuntimeError("This request was made by hand and has nothing more to receive.")


async def _drop(message: Any) -> None:
    """Where a request made by hand would send."""
