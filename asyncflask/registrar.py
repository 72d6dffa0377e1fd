"""What the application and its blueprints share: the ways to register things.

Registrations are kept in Flask's dictionaries, keyed by blueprint name (None: the application).
They are declarations only. When the application starts, ``life.plan`` turns them into endpoints.
"""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from starlette.middleware import Middleware
from werkzeug.exceptions import HTTPException, default_exceptions

from asyncflask.exceptions import SetupError
from asyncflask.globals import current_app
from asyncflask.helpers import get_root_path, send_file_max_age
from asyncflask.lazy import lazy

if TYPE_CHECKING:
    import click
    from jinja2 import BaseLoader

    from asyncflask.typing import (
        AfterRequestFunction,
        BeforeRequestFunction,
        ErrorHandler,
        TeardownFunction,
        TemplateContextProcessor,
        URLDefaultFunction,
        URLValuePreprocessor,
        ViewFunction,
    )

F = TypeVar("F", bound=Callable[..., Any])
_Funcs = dict["str | None", list[F]]
_ErrorHandlers = dict["str | None", dict["int | None", dict[type[Exception], "ErrorHandler"]]]


def setupmethod(method: F) -> F:
    """Refuse a call of ``method`` once the application has started."""

    @functools.wraps(method)
    def checked(self: Registrar, *args: Any, **kwargs: Any) -> Any:
        self._check_setup_finished(method.__name__)
        return method(self, *args, **kwargs)

    return cast(F, checked)


def _refuse(*_: Any, **__: Any) -> Any:
    raise SetupError(
        "The application has started, so its registrations cannot change any more. Register "
        "views, hooks and handlers before it serves its first request."
    )


class ReadOnlyList(tuple[Any, ...]):
    """Hooks of an application that has started."""

    __slots__ = ()

    append = extend = insert = remove = pop = clear = reverse = sort = _refuse
    __setitem__ = __delitem__ = __iadd__ = _refuse


class ReadOnlyDict(dict[Any, Any]):
    """Declarations of an application that has started.

    :param declared: what was declared; its lists and dictionaries become read-only too.
    """

    def __init__(self, declared: dict[Any, Any]) -> None:
        super().__init__({key: read_only(value) for key, value in declared.items()})
        #: Makes what is missing, as for ``collections.defaultdict``.
        self.default_factory: Callable[[], Any] | None = getattr(declared, "default_factory", None)

    __setitem__ = __delitem__ = __ior__ = _refuse
    setdefault = update = pop = popitem = clear = _refuse

    def __missing__(self, key: Any) -> Any:
        # Extensions look up keys nobody registered, as in Flask's default dictionaries.
        if self.default_factory is None:
            raise KeyError(key)
        return read_only(self.default_factory())


def read_only(declared: Any) -> Any:
    """Return a list or a dictionary of declarations as one that refuses changes."""
    if isinstance(declared, dict):
        return ReadOnlyDict(declared)
    return ReadOnlyList(declared) if isinstance(declared, list) else declared


class Registrar:
    """Registers views, hooks and error handlers, and knows its own folders.

    :param import_name: the name of the module it is made in, usually ``__name__``.
    :param static_folder: folder of static files, relative to ``root_path``.
    :param static_url_path: the URL prefix of static files; the folder's name by default.
    :param template_folder: folder of templates, relative to ``root_path``.
    :param root_path: where relative paths start; the module's folder by default.
    """

    name: str
    #: Names of the dictionaries of hooks, which are lists of functions for each blueprint.
    _hooks: ClassVar[tuple[str, ...]] = (
        "before_request_funcs",
        "after_request_funcs",
        "teardown_request_funcs",
        "before_websocket_funcs",
        "after_websocket_funcs",
        "teardown_websocket_funcs",
        "template_context_processors",
        "url_value_preprocessors",
        "url_default_functions",
    )
    #: Names of all that a started application does not change any more.
    _declarations: ClassVar[tuple[str, ...]] = ("view_functions", "error_handler_spec", *_hooks)

    def __init__(
        self,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        self.import_name = import_name
        self.root_path = get_root_path(import_name) if root_path is None else root_path
        self.static_folder = static_folder
        self.static_url_path = static_url_path
        self.template_folder = template_folder
        self.view_functions: dict[str, ViewFunction] = {}
        self.error_handler_spec: _ErrorHandlers = defaultdict(lambda: defaultdict(dict))
        self.before_request_funcs: _Funcs[BeforeRequestFunction] = defaultdict(list)
        self.after_request_funcs: _Funcs[AfterRequestFunction] = defaultdict(list)
        self.teardown_request_funcs: _Funcs[TeardownFunction] = defaultdict(list)
        self.before_websocket_funcs: _Funcs[BeforeRequestFunction] = defaultdict(list)
        self.after_websocket_funcs: _Funcs[AfterRequestFunction] = defaultdict(list)
        self.teardown_websocket_funcs: _Funcs[TeardownFunction] = defaultdict(list)
        self.template_context_processors: _Funcs[TemplateContextProcessor] = defaultdict(list)
        self.url_value_preprocessors: _Funcs[URLValuePreprocessor] = defaultdict(list)
        self.url_default_functions: _Funcs[URLDefaultFunction] = defaultdict(list)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def _check_setup_finished(self, method: str) -> None:
        """Raise :class:`SetupError` when it is too late to call ``method``."""
        raise NotImplementedError

    # Folders.

    @property
    def static_folder(self) -> str | None:
        """The absolute path of the folder with static files, or None."""
        if self._static_folder is None:
            return None
        return os.path.join(self.root_path, self._static_folder)

    @static_folder.setter
    def static_folder(self, value: str | os.PathLike[str] | None) -> None:
        self._static_folder = None if value is None else os.fspath(value).rstrip(r"\/")

    @property
    def has_static_folder(self) -> bool:
        """Whether a folder for static files is set."""
        return self._static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """The URL prefix of the static files: as set, else the folder's name."""
        if self._static_url_path is not None:
            return self._static_url_path
        if self.static_folder is not None:
            return f"/{os.path.basename(self.static_folder)}".rstrip("/")
        return None

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = None if value is None else value.rstrip("/")

    @lazy
    def jinja_loader(self) -> BaseLoader | None:
        """The loader for the template folder, or None where there is no such folder set."""
        if self.template_folder is None:
            return None
        from jinja2 import FileSystemLoader

        return FileSystemLoader(os.path.join(self.root_path, self.template_folder))

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """How many seconds browsers may keep a file; subclasses may decide by its name."""
        return send_file_max_age(current_app.config)

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = None
    ) -> IO[Any]:
        """Open a file below ``root_path`` for reading.

        :param resource: path relative to ``root_path``.
        :param mode: ``"rb"``, ``"rt"`` or ``"r"``.
        :param encoding: of a text file; UTF-8 by default.
        :raises ValueError: another mode.
        """
        if mode not in {"r", "rt", "rb"}:
            raise ValueError(
                f"Resources are opened for reading: mode 'r', 'rt' or 'rb', not {mode!r}."
            )
        text = None if mode == "rb" else encoding or "utf-8"
        return Path(self.root_path, resource).open(mode, encoding=text)

    @lazy
    def cli(self) -> click.Group:
        """The click group for this object's own commands."""
        from asyncflask.commands import AppGroup

        return AppGroup(name=getattr(self, "name", None))

    # Routes.

    def route(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register the decorated view for ``rule``; see :meth:`add_url_rule` for the options.

        :raises TypeError: the rule is no string: the decorator was written without one.
        """
        if not isinstance(rule, str):
            raise TypeError(f"A rule is missing for {rule!r}. Write '@app.route(\"/path\")'.")

        def decorator(f: F) -> F:
            self.add_url_rule(rule, view_func=f, **options)
            return f

        return decorator

    def _method_route(self, method: str, rule: str, options: dict[str, Any]) -> Callable[[F], F]:
        if "methods" in options:
            raise TypeError(
                f"'{method.lower()}()' is for one method; use 'route()' with methods=[...]."
            )
        return self.route(rule, methods=[method], **options)

    def get(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for GET (and HEAD)."""
        return self._method_route("GET", rule, options)

    def post(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for POST."""
        return self._method_route("POST", rule, options)

    def put(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for PUT."""
        return self._method_route("PUT", rule, options)

    def patch(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for PATCH."""
        return self._method_route("PATCH", rule, options)

    def delete(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for DELETE."""
        return self._method_route("DELETE", rule, options)

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ViewFunction | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Register a rule and its view; described at ``Flask`` and ``Blueprint``."""
        raise NotImplementedError

    def websocket(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register the decorated WebSocket view for ``rule``; see :meth:`add_websocket`.

        :raises TypeError: the rule is no string: the decorator was written without one.
        """
        if not isinstance(rule, str):
            raise TypeError(f"A rule is missing for {rule!r}. Write '@app.websocket(\"/path\")'.")

        def decorator(f: F) -> F:
            self.add_websocket(rule, view_func=f, **options)
            return f

        return decorator

    def add_websocket(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ViewFunction | None = None,
        **options: Any,
    ) -> None:
        """Add a rule for WebSocket handshakes and register its view: :meth:`websocket` as a call.

        :param rule: such as ``/ws/<room>``; requests may have another rule for the same path.
        :param endpoint: the name for ``url_for``; the view's name by default.
        :param view_func: ``def`` or ``async def``; it uses ``asyncflask.websocket``.
        :param options: as for :meth:`add_url_rule`, but for ``methods`` and ``on_disconnect``.
        """
        if "on_disconnect" in options:
            raise TypeError(
                f"The WebSocket rule {rule!r} takes no 'on_disconnect': its view is told of the "
                "client's end, or cancelled where it does not listen."
            )
        self.add_url_rule(
            rule, endpoint, view_func, provide_automatic_options=False, websocket=True, **options
        )

    @setupmethod
    def endpoint(self, endpoint: str) -> Callable[[F], F]:
        """Make the decorated function the view of ``endpoint``, whose rules are added apart."""

        def decorator(f: F) -> F:
            self.view_functions[endpoint] = f
            return f

        return decorator

    # Hooks. Each may be ``def`` or ``async def``.

    @setupmethod
    def before_request(self, f: F) -> F:
        """Run ``f()`` before each view; what it returns, unless None, is the response."""
        self.before_request_funcs[None].append(f)
        return f

    @setupmethod
    def after_request(self, f: F) -> F:
        """Run ``f(response)`` after each view; it returns the response, or another."""
        self.after_request_funcs[None].append(f)
        return f

    @setupmethod
    def teardown_request(self, f: F) -> F:
        """Run ``f(exception_or_None)`` at the end of each request, whatever happened."""
        self.teardown_request_funcs[None].append(f)
        return f

    @setupmethod
    def before_websocket(self, f: F) -> F:
        """Run ``f()`` before each WebSocket view; what it returns, unless None, is a refusal."""
        self.before_websocket_funcs[None].append(f)
        return f

    @setupmethod
    def after_websocket(self, f: F) -> F:
        """Run ``f(response_or_None)`` after each WebSocket view.

        There is a response where the handshake was refused. What it returns, unless None, is sent
        in its place.
        """
        self.after_websocket_funcs[None].append(f)
        return f

    @setupmethod
    def teardown_websocket(self, f: F) -> F:
        """Run ``f(exception_or_None)`` at the end of each WebSocket, whatever happened."""
        self.teardown_websocket_funcs[None].append(f)
        return f

    @setupmethod
    def context_processor(self, f: F) -> F:
        """Add what ``f()`` returns, a dictionary, to the context of templates."""
        self.template_context_processors[None].append(f)
        return f

    @setupmethod
    def url_value_preprocessor(self, f: F) -> F:
        """Run ``f(endpoint, view_args)`` before the hooks; it may change ``view_args``."""
        self.url_value_preprocessors[None].append(f)
        return f

    @setupmethod
    def url_defaults(self, f: F) -> F:
        """Run ``f(endpoint, values)`` in ``url_for``; it may add to ``values``."""
        self.url_default_functions[None].append(f)
        return f

    def errorhandler(self, code_or_exception: int | type[Exception]) -> Callable[[F], F]:
        """Handle errors with a status code or of a class: ``f(error)`` returns the response."""
        exception_class_and_code(code_or_exception)

        def decorator(f: F) -> F:
            self.register_error_handler(code_or_exception, f)
            return f

        return decorator

    @setupmethod
    def register_error_handler(
        self, code_or_exception: int | type[Exception], f: ErrorHandler
    ) -> None:
        """:meth:`errorhandler` as a call.

        :raises ValueError: the code is no HTTP error's.
        :raises TypeError: an instance, or a class that is no exception's.
        """
        exc_class, code = exception_class_and_code(code_or_exception)
        self.error_handler_spec[None][code][exc_class] = f


def exception_class_and_code(
    code_or_exception: int | type[Exception],
) -> tuple[type[Exception], int | None]:
    """Say what a handler is for: ``404 -> (NotFound, 404)``, ``KeyError -> (KeyError, None)``."""
    if isinstance(code_or_exception, int):
        try:
            return default_exceptions[code_or_exception], code_or_exception
        except KeyError:
            raise ValueError(
                f"{code_or_exception} is not the code of an HTTP error. Use a subclass of "
                "HTTPException that has this code."
            ) from None
    if isinstance(code_or_exception, Exception):
        raise TypeError(
            f"{code_or_exception!r} is an instance, not a class. Handlers are registered for "
            "classes and status codes."
        )
    if not (isinstance(code_or_exception, type) and issubclass(code_or_exception, Exception)):
        name = getattr(code_or_exception, "__name__", code_or_exception)
        raise ValueError(
            f"{name!r} is not a subclass of Exception. Handlers are registered for classes and "
            "status codes."
        )
    if issubclass(code_or_exception, HTTPException):
        return code_or_exception, code_or_exception.code
    return code_or_exception, None


def checked_middleware(middleware: Iterable[Middleware]) -> list[Middleware]:
    """Return the middleware as a list.

    :raises TypeError: one is not wrapped in Starlette's ``Middleware``.
    """
    checked = list(middleware)
    for each in checked:
        if not isinstance(each, Middleware):
            name = getattr(each, "__name__", "SomeMiddleware")
            raise TypeError(
                f"{each!r} is no starlette.middleware.Middleware. Write: "
                f"middleware=[Middleware({name}, ...)]."
            )
    return checked


def named(name: Any, add: Callable[[F, str | None], None]) -> Any:
    """Make a decorator that may be written with a name, with empty brackets, or without any.

    :param name: the name; or the decorated function, where there are no brackets.
    :param add: given the function and the name.
    """
    if callable(name):
        add(cast("F", name), None)
        return name

    def decorator(f: F) -> F:
        add(f, name)
        return f

    return decorator


def endpoint_of(view: ViewFunction) -> str:
    """Return the endpoint of a view that was given none: the function's name."""
    name: str | None = getattr(view, "__name__", None)
    if name is None:
        raise SetupError(f"{view!r} has no __name__: give the rule an 'endpoint'.")
    return name
