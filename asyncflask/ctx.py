"""The context: what belongs to one request, or to work done for the application.

There is one context variable. The framework passes the context as an argument; users' code reaches
it through the proxies in ``asyncflask.globals``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

import asyncflask.json as _json
from asyncflask.concurrency import is_async_callable, running_loop
from asyncflask.lazy import lazy
from asyncflask.messages.connection import set_application_lookup
from asyncflask.messages.response import set_config_lookup
from asyncflask.sessions import SecureCookieSession, SessionMixin
from asyncflask.signals import (
    appcontext_popped,
    appcontext_pushed,
    got_request_exception,
    got_websocket_exception,
    request_finished,
    request_started,
    request_tearing_down,
    websocket_finished,
    websocket_started,
    websocket_tearing_down,
)

if TYPE_CHECKING:
    import asyncio

    from blinker import Signal
    from starlette.types import Receive, Send
    from werkzeug.exceptions import HTTPException

    from asyncflask.app import Flask
    from asyncflask.concurrency import Detour, Journey
    from asyncflask.config import Config
    from asyncflask.life.plan import Endpoint
    from asyncflask.messages.connection import Connection
    from asyncflask.messages.request import Request
    from asyncflask.messages.websocket import Websocket
    from asyncflask.routing.adapter import MapAdapter
    from asyncflask.typing import AfterRequestFunction

P = ParamSpec("P")
T = TypeVar("T")

_unset: Any = object()


#: The context of this thread or task.
current: ContextVar[AppContext] = ContextVar("asyncflask.context")


class _AppCtxGlobals:
    """A namespace for ``g``: plain attributes, with a dictionary's ``get``, ``pop`` and so on."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'g' has no attribute {name!r} in this context")

    # Set and delete are typed for users who store anything here.
    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

        def __delattr__(self, name: str) -> None: ...

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or ``default`` where there is none."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: Any = _unset) -> Any:
        """Remove an attribute and return it, or ``default``.

        :raises KeyError: there is none, and no default.
        """
        if default is _unset:
            return self.__dict__.pop(name)
        return self.__dict__.pop(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return an attribute, set to ``default`` first where there is none."""
        return self.__dict__.setdefault(name, default)

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __repr__(self) -> str:
        return f"<asyncflask.g {self.__dict__!r}>"


class AppContext:
    """What belongs to a piece of work done for ``app``: the application and a ``g``.

    Pushed inside a request or a WebSocket it has its own ``g`` and keeps that visible. Use it as
    ``with app.app_context():`` or ``async with app.app_context():``.
    """

    # PERF: what a context may have is None in the class and an attribute of the instance once it is
    # there. Asking an instance for its `__dict__` would make one (scenario: plain text).
    _outer: ConnectionContext | None = None
    _g: _AppCtxGlobals | None = None
    _request: Request | None = None
    _websocket: Websocket | None = None
    _session: SessionMixin | None = None
    _url_adapter: MapAdapter | None = None
    #: The loop the work is done on, where it is known.
    loop: asyncio.AbstractEventLoop | None = None
    #: Drives the request between the loop and its worker, where it has ``def`` functions.
    journey: Journey[Any] | Detour[Any] | None = None
    #: A test client keeps it: it is over, and what was pushed before it may be popped.
    kept = False

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.loop = running_loop()

    @lazy
    def _tokens(self) -> list[Token[AppContext]]:
        return []

    @property
    def connection_context(self) -> ConnectionContext | None:
        """The context of the request or WebSocket this one stands in, or is."""
        return self._outer

    @property
    def request_context(self) -> RequestContext | None:
        """The request context this one stands in, or is."""
        context = self.connection_context
        return context if isinstance(context, RequestContext) else None

    @property
    def websocket_context(self) -> WebsocketContext | None:
        """The WebSocket context this one stands in, or is."""
        context = self.connection_context
        return context if isinstance(context, WebsocketContext) else None

    @property
    def url_adapter(self) -> MapAdapter | None:
        """What builds URLs here: ``app.create_url_adapter()``, asked for once."""
        if self._url_adapter is None:
            self._url_adapter = self._create_url_adapter()
        return self._url_adapter

    def _create_url_adapter(self) -> MapAdapter | None:
        if self.connection_context is not None:
            return self.connection_context.url_adapter
        return self.app.create_url_adapter(None)

    @property
    def g(self) -> _AppCtxGlobals:
        """The namespace of this context."""
        if self._g is None:
            self._g = self.app.app_ctx_globals_class()
        return self._g

    @property
    def request(self) -> Request:
        """The request this context stands in.

        :raises RuntimeError: it stands in none.
        """
        context = self.request_context
        if context is None:
            raise RuntimeError(missing("request", self))
        return context.request

    @property
    def websocket(self) -> Websocket:
        """The WebSocket this context stands in.

        :raises RuntimeError: it stands in none.
        """
        context = self.websocket_context
        if context is None:
            raise RuntimeError(missing("websocket", self))
        return context.websocket

    @property
    def session(self) -> SessionMixin:
        """The session of the request or WebSocket this context stands in.

        :raises RuntimeError: it stands in none.
        """
        context = self.connection_context
        if context is None:
            raise RuntimeError(missing("session", self))
        return context.session

    def _connection_context_for(self, app: Flask) -> ConnectionContext | None:
        return self.connection_context if self.app is app else None

    def push(self) -> None:
        """Make this the current context of this thread or task, until :meth:`pop`."""
        outer = current.get(None)
        self._outer = None if outer is None else outer._connection_context_for(self.app)
        if self.loop is None and outer is not None:
            self.loop = outer.loop
        self._tokens.append(current.set(self))
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = None) -> None:
        """Run the teardown functions and make the context before this one current again.

        Where a loop runs, ``async def`` teardown functions cannot: each is logged as failed, and
        the others run (use ``async with``).

        :param exc: the exception that ended the work, for the teardown functions.
        :raises RuntimeError: this is not the current context.
        """
        token = self._last_token()
        try:
            if token.old_value is not self:
                self.app.do_teardown(self, exc)
        finally:
            self._leave(token)

    async def apop(self, exc: BaseException | None = None) -> None:
        """:meth:`pop` for ``async def`` code: ``async def`` teardown functions are awaited."""
        token = self._last_token()
        try:
            if token.old_value is not self:
                await self.app.ado_teardown(self, exc)
        finally:
            self._leave(token)

    def _last_token(self) -> Token[AppContext]:
        here = current.get(None)
        if not self._tokens or not (here is self or (here is not None and here.kept)):
            raise RuntimeError(
                f"{self!r} cannot be popped: it is not the current context. Contexts are popped in "
                "reverse order, in the thread or task that pushed them."
            )
        return self._tokens[-1]

    def _leave(self, token: Token[AppContext]) -> None:
        self._tokens.pop()
        current.reset(token)
        if appcontext_popped.receivers:
            appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def __enter__(self) -> Self:
        self.push()
        return self

    def __exit__(self, _type: object, exc: BaseException | None, _tb: object) -> None:
        self.pop(exc)

    async def __aenter__(self) -> Self:
        self.push()
        return self

    async def __aexit__(self, _type: object, exc: BaseException | None, _tb: object) -> None:
        await self.apop(exc)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.app.name!r}>"


class ConnectionContext(AppContext):
    """What belongs to a request or a WebSocket: the application, the session and a ``g``."""

    # PERF: what each request sets. An instance of a class with slots is made in two thirds of the
    # time of one without, and an attribute with a default in the class is looked up the slow way
    # (scenario: plain text).
    __slots__ = (
        "_request", "_session", "after_functions", "answered", "app", "endpoint", "loop", "params",
        "receive", "scope", "send", "sent")  # fmt: skip

    #: What ``after_this_request`` or ``after_this_websocket`` has put off.
    after_functions: list[AfterRequestFunction] | None

    #: What begins, ends and fails here is announced with these signals.
    started: Signal
    finished: Signal
    tearing_down: Signal
    got_exception: Signal

    #: The flashed messages, once they were taken from the session.
    flashes: list[tuple[str, str]] | None = None
    #: Why no rule matched, where none did.
    routing_exception: HTTPException | None = None
    #: The response is on its way: what the session is given now is not saved any more.
    sent: bool
    #: The view, or what stands for it, has answered.
    answered: bool
    #: The error that nobody handled, for the teardown functions.
    error: BaseException | None = None
    #: The error is raised to the server once its page was sent (debug mode).
    reraise = False
    #: The session, where it had to be awaited and so was opened before anything asked for it.
    opened_session: SessionMixin | None = None
    #: The context this is a copy of: it has the session, and closes the request's files.
    _origin: ConnectionContext | None = None

    def __init__(
        self,
        app: Flask,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
        endpoint: Endpoint,
        params: dict[str, Any],
    ) -> None:
        self.app = app
        self.scope = scope
        self.receive = receive
        self.send = send
        self.endpoint = endpoint
        self.params = params
        self.loop = running_loop()
        self._request = self._session = self.after_functions = None
        self.answered = self.sent = False

    @property
    def connection_context(self) -> ConnectionContext | None:
        return self

    @property
    def connection(self) -> Connection:
        """The request or the WebSocket, for what they share."""
        raise NotImplementedError

    async def disconnected(self, *, discard: bool = True) -> None:
        """Return when the client has gone; what it sends before that is dropped or kept.

        :param discard: drop what nobody has begun to read.
        """
        raise NotImplementedError

    @property
    def session(self) -> SessionMixin:
        """The session, opened at the first access."""
        if self._session is None:
            origin = self._origin
            self._session = self._open_session() if origin is None else origin.session
        return self._session

    def _open_session(self) -> SessionMixin:
        interface = self.app.session_interface
        session: Any = self.opened_session
        if session is None:
            open_session: Any = interface.open_session
            if running_loop() is None and is_async_callable(open_session):
                open_session = self.app.async_to_sync(open_session)
            session = open_session(self.app, self.connection)
        if not isinstance(session, SecureCookieSession) and inspect.isawaitable(session):
            session.close()  # type: ignore[attr-defined]
            raise RuntimeError(
                "This session interface opens its sessions asynchronously, which is done before "
                "the first hook runs; here no request is being dispatched. For a context made by "
                "hand write 'async with'."
            )
        if session is None:
            session = interface.make_null_session(self.app)
        elif self.sent and isinstance(session, SecureCookieSession):
            session.saved = True  # too late for a change: it says so
        return cast(SessionMixin, session)

    async def open_session(self) -> None:
        """Open a session that may have to be awaited, for whoever asks for it later."""
        interface = self.app.session_interface
        open_session = interface.in_its_place(self.app, interface.open_session)
        if inspect.isawaitable(session := open_session(self.app, self.connection)):
            session = await session
        self.opened_session = interface.make_null_session(self.app) if session is None else session

    async def __aenter__(self) -> Self:
        self.push()
        if self._origin is None and is_async_callable(self.app.session_interface.open_session):
            try:
                await self.open_session()
            except BaseException:
                self._leave(self._last_token())
                raise
        return self

    def _create_url_adapter(self) -> MapAdapter | None:
        return self.app.create_url_adapter(self.connection)

    def match_request(self) -> None:
        """Match the request with the rules again, after a change of its path or method."""
        self.app._router.match(self)

    @property
    def holds_files(self) -> bool:
        """Whether a form may have left files, to close at the end of this."""
        return False

    def copy(self) -> Self:
        """Return a context for the same connection and session, with a ``g`` of its own."""
        copy = type(self)(self.app, self.scope, self.receive, self.send, self.endpoint, self.params)
        copy.loop = self.loop
        copy.routing_exception = self.routing_exception
        copy._origin = self
        return copy

    def __repr__(self) -> str:
        method, path = self.scope.get("method", ""), self.scope.get("path", "")
        return f"<{type(self).__name__} {method} {path!r} of {self.app.name!r}>"


class RequestContext(ConnectionContext):
    """What belongs to one request: the application, the request, the session and a ``g``."""

    started = request_started
    finished = request_finished
    tearing_down = request_tearing_down
    got_exception = got_request_exception

    @property
    def request_context(self) -> RequestContext | None:
        return self

    @property
    def connection(self) -> Connection:
        return self.request

    @property
    def request(self) -> Request:
        """The request."""
        if self._request is None:
            # PERF: by position; keywords would cost half as much again (scenario: validated model).
            self._request = self.app.request_class(self.scope, self.receive, self.app, self.loop)
            if self.routing_exception is not None:
                self._request.routing_exception = self.routing_exception
        return self._request

    async def disconnected(self, *, discard: bool = True) -> None:
        await self.request.body.disconnected(discard=discard)

    @property
    def holds_files(self) -> bool:
        reader = None if self._request is None else self._request.form_reader
        return reader is not None and reader.holds_files and self._origin is None

    def copy(self) -> Self:
        copy = super().copy()
        # Made now if need be, for a request has one body, which only one of them can read.
        copy._request = self.request
        return copy


class WebsocketContext(ConnectionContext):
    """What belongs to one WebSocket: the application, the socket, the session and a ``g``."""

    started = websocket_started
    finished = websocket_finished
    tearing_down = websocket_tearing_down
    got_exception = got_websocket_exception

    #: The view is being cancelled because the client has gone.
    interrupted = False

    @property
    def connection(self) -> Connection:
        return self.websocket

    @property
    def websocket(self) -> Websocket:
        """The WebSocket."""
        if self._websocket is None:
            self._websocket = self.app.websocket_class(
                self.scope, self.receive, self.send, app=self.app, loop=self.loop
            )
            if self.routing_exception is not None:
                self._websocket.routing_exception = self.routing_exception
        return self._websocket

    async def disconnected(self, *, discard: bool = True) -> None:
        while (await self.receive())["type"] != "websocket.disconnect":
            pass

    def copy(self) -> Self:
        copy = super().copy()
        copy._websocket = self.websocket
        return copy


def missing(name: str, context: AppContext | None = None) -> str:
    """Say why there is no ``request``, ``websocket`` or ``session`` in ``context``."""
    inside = None if context is None else context.connection_context
    if name == "request" and inside is not None:
        return "'request' was used while a WebSocket is handled: there it is called 'websocket'."
    if name == "websocket" and inside is not None:
        return "'websocket' was used while a request is handled: there it is called 'request'."
    kind = "websocket" if name.startswith("websocket") else "request"
    what = "WebSocket" if kind == "websocket" else "request"
    return (
        f"{name!r} was used outside of a {what}. It exists while a {what} is handled; in a test or "
        f"a script, use 'with app.test_{kind}_context():'."
    )


@contextmanager
def within(context: AppContext) -> Iterator[None]:
    """Make ``context`` current for a while. Nothing begins, and nothing is torn down at the end."""
    token = current.set(context)
    try:
        yield
    finally:
        current.reset(token)


def current_connection() -> ConnectionContext | None:
    """Return the context of the request or WebSocket that is being handled here, or None."""
    context = current.get(None)
    return None if context is None else context.connection_context


def has_request_context() -> bool:
    """Whether a request is being handled here."""
    context = current.get(None)
    return context is not None and context.request_context is not None


def has_websocket_context() -> bool:
    """Whether a WebSocket is being handled here."""
    context = current.get(None)
    return context is not None and context.websocket_context is not None


def has_app_context() -> bool:
    """Whether an application context is active here; those of requests and WebSockets are too."""
    return current.get(None) is not None


def after_this_request(f: Callable[P, T]) -> Callable[P, T]:
    """Run ``f`` with the response of this request, before the ``after_request`` functions.

    :param f: takes the response and returns it or another; ``def`` or ``async def``.
    :raises RuntimeError: no request is being handled.
    """
    return _put_off(_current("request", "after_this_request"), f)


def after_this_websocket(f: Callable[P, T]) -> Callable[P, T]:
    """Run ``f`` at the end of this WebSocket, before the ``after_websocket`` functions.

    :param f: takes the response that refuses the handshake, or None, and returns one or None;
        ``def`` or ``async def``.
    :raises RuntimeError: no WebSocket is being handled.
    """
    return _put_off(_current("websocket", "after_this_websocket"), f)


def _put_off(context: ConnectionContext, f: Callable[P, T]) -> Callable[P, T]:
    if context.after_functions is None:
        context.after_functions = []
    context.after_functions.append(f)
    return f


def copy_current_app_context(f: Callable[P, T]) -> Callable[P, T]:
    """Make a function that runs within this context wherever it is called; Quart's.

    Unlike with :func:`copy_current_request_context` it is this very context, with the same ``g``,
    and no teardown function runs at the end of a call.

    :param f: a ``def`` or ``async def`` function; the result is of the same kind.
    :raises RuntimeError: no context is active.
    """
    context = current.get(None)
    if context is None:
        raise RuntimeError("'copy_current_app_context' can only be used within a context.")

    if is_async_callable(f):

        @functools.wraps(f)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            with within(context):
                return await cast(Any, f)(*args, **kwargs)

        return cast("Callable[P, T]", async_wrapper)
    return functools.wraps(f)(within(context)(f))


def copy_current_request_context(f: Callable[P, T]) -> Callable[P, T]:
    """Make a function that runs within this request wherever it is called.

    For threads and tasks that outlive the request or do not inherit its context. ``request`` and
    ``session`` are the same objects, ``g`` is its own, and the teardown functions run at the end
    of each call.

    :param f: a ``def`` or ``async def`` function; the result is of the same kind.
    :raises RuntimeError: no request is being handled.
    """
    return _within_copy(_current("request", "copy_current_request_context"), f)


def copy_current_websocket_context(f: Callable[P, T]) -> Callable[P, T]:
    """Make a function that runs within this WebSocket wherever it is called.

    Everything is as with :func:`copy_current_request_context`. A task that was begun in the view
    has the context anyway.

    :param f: a ``def`` or ``async def`` function; the result is of the same kind.
    :raises RuntimeError: no WebSocket is being handled.
    """
    return _within_copy(_current("websocket", "copy_current_websocket_context"), f)


def _within_copy(outer: ConnectionContext, f: Callable[P, T]) -> Callable[P, T]:
    context = outer.copy()

    if is_async_callable(f):

        @functools.wraps(f)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            async with context.copy():
                return await cast(Any, f)(*args, **kwargs)

        return cast("Callable[P, T]", async_wrapper)

    @functools.wraps(f)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with context.copy():
            return f(*args, **kwargs)

    return wrapper


def _current(kind: str, name: str) -> ConnectionContext:
    context = current.get(None)
    found: ConnectionContext | None = getattr(context, f"{kind}_context", None)
    if found is None:
        what = "WebSocket" if kind == "websocket" else "request"
        raise RuntimeError(f"'{name}' can only be used while a {what} is handled.")
    return found


def _current_json_provider() -> Any:
    context = current.get(None)
    return None if context is None else context.app.json


def _current_application() -> Flask | None:
    context = current.get(None)
    return None if context is None else context.app


def _current_config() -> Config | None:
    context = current.get(None)
    return None if context is None else context.app.config


_json.set_provider_lookup(_current_json_provider)
set_config_lookup(_current_config)
set_application_lookup(_current_application)
