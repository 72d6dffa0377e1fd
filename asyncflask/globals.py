"""The proxies for users' code: ``current_app``, ``g``, ``request``, ``session``, ``websocket``, ...

Each stands for an object of the current context. They are written by hand because attribute access
through a general local proxy costs several times as much.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from asyncflask.ctx import (
    AppContext,
    RequestContext,
    WebsocketContext,
    _AppCtxGlobals,
    current,
    missing,
)
from asyncflask.logging import set_errors_lookup
from asyncflask.messages.request import Request
from asyncflask.messages.websocket import Websocket

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.sessions import SessionMixin

_OUTSIDE_APP = (
    "{} was used outside of an application context. It exists while a request or a command is "
    "handled; elsewhere, use 'with app.app_context():'."
)


def _context(name: str = "app_ctx") -> AppContext:
    try:
        return current.get()
    except LookupError:
        raise RuntimeError(_OUTSIDE_APP.format(repr(name))) from None


def _find(name: str) -> Callable[[], Any]:
    """Return what finds ``request``, ``websocket`` or ``session`` in the current context."""
    read = attrgetter(name)

    def find() -> Any:
        context = current.get(None)
        if context is None:
            raise RuntimeError(missing(name))
        return read(context)

    return find


def _find_context(kind: str) -> Callable[[], Any]:
    """Return what finds the context of the request or WebSocket that is handled."""
    read = attrgetter(f"{kind}_context")

    def find() -> Any:
        context = current.get(None)
        found = None if context is None else read(context)
        if found is None:
            raise RuntimeError(missing(f"{kind}_ctx"))
        return found

    return find


def _current_errors() -> Any:
    context = current.get(None)
    connection = None if context is None else context.connection_context
    if connection is None:
        return None
    scope = connection.scope
    return scope.get("wsgi.environ", scope.get("asyncflask.environ", {})).get("wsgi.errors")


class _Proxy:
    """Stands for the object that ``find`` returns; every operation is done on that object."""

    __slots__ = ("__find", "__name", "__weakref__")

    def __init__(self, find: Callable[[], Any], name: str) -> None:
        object.__setattr__(self, "_Proxy__find", find)
        object.__setattr__(self, "_Proxy__name", name)

    def _get_current_object(self) -> Any:
        """Return the object itself, for code that keeps or compares it.

        :raises RuntimeError: there is none here.
        """
        return self.__find()

    def __getattr__(self, name: str) -> Any:
        try:
            found = self.__find()
        except RuntimeError:
            if name.startswith("__"):
                # Probes of tools, such as `inspect.unwrap` of a test collector.
                raise AttributeError(name) from None
            raise
        return getattr(found, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__find(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__find(), name)

    def __repr__(self) -> str:
        try:
            return repr(self.__find())
        except RuntimeError:
            return f"<{self.__name} outside of its context>"

    def __str__(self) -> str:
        return str(self.__find())

    def __bool__(self) -> bool:
        try:
            return bool(self.__find())
        except RuntimeError:
            return False

    def __eq__(self, other: object) -> bool:
        return bool(self.__find() == other)

    def __ne__(self, other: object) -> bool:
        return bool(self.__find() != other)

    def __hash__(self) -> int:
        return hash(self.__find())

    def __dir__(self) -> list[str]:
        try:
            return dir(self.__find())
        except RuntimeError:
            return []

    def __contains__(self, item: object) -> bool:
        return item in self.__find()

    def __iter__(self) -> Any:
        return iter(self.__find())

    def __len__(self) -> int:
        return len(self.__find())

    def __getitem__(self, key: Any) -> Any:
        return self.__find()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.__find()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self.__find()[key]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__find()(*args, **kwargs)

    def __enter__(self) -> Any:
        return self.__find().__enter__()

    def __exit__(self, *exc_info: Any) -> Any:
        return self.__find().__exit__(*exc_info)

    async def __aenter__(self) -> Any:
        return await self.__find().__aenter__()

    async def __aexit__(self, *exc_info: Any) -> Any:
        return await self.__find().__aexit__(*exc_info)

    def __reversed__(self) -> Any:
        return reversed(self.__find())

    def __or__(self, other: Any) -> Any:
        return self.__find() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.__find()

    def __copy__(self) -> Any:
        return copy.copy(self.__find())

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__find(), memo)

    @property  # type: ignore[misc]  # `__setattr__` sets it, on the object
    def __class__(self) -> type:
        # isinstance(request, Request) holds, as for the object itself.
        try:
            return cast(type, self.__find().__class__)
        except RuntimeError:
            return type(self)


class _RequestProxy(_Proxy):
    """``request``: a property for each public attribute.

    PERF: half the cost of ``__getattr__``, which has to fail first.
    """

    __slots__ = ()


class _WebsocketProxy(_Proxy):
    """``websocket``, which is an async iterator too."""

    __slots__ = ()

    def __aiter__(self) -> Any:
        return aiter(current.get().websocket)


def _hot(kind: str, name: str) -> property:
    read, made, make = attrgetter(name), attrgetter(f"_{kind}"), attrgetter(kind)
    get_context = current.get

    def getter(self: _Proxy) -> Any:
        try:
            context = get_context()
        except LookupError:
            raise RuntimeError(missing(kind)) from None
        return read(made(context) or make(context))

    return property(getter)


for _proxy, _kind, _class in (
    (_RequestProxy, "request", Request),
    (_WebsocketProxy, "websocket", Websocket),
):
    for _name in dir(_class):
        if not _name.startswith("_"):
            setattr(_proxy, _name, _hot(_kind, _name))


current_app: Flask = cast("Flask", _Proxy(lambda: _context("current_app").app, "current_app"))
"""The application that handles the request, or whose context was pushed."""

g: _AppCtxGlobals = cast(_AppCtxGlobals, _Proxy(lambda: _context("g").g, "g"))
"""A namespace that lives as long as the context: one request, usually."""

request: Request = cast(Request, _RequestProxy(_find("request"), "request"))
"""The request that is being handled."""

websocket: Websocket = cast(Websocket, _WebsocketProxy(_find("websocket"), "websocket"))
"""The WebSocket that is being handled."""

session: SessionMixin = cast("SessionMixin", _Proxy(_find("session"), "session"))
"""The session of the request or WebSocket that is being handled."""

app_ctx: AppContext = cast(AppContext, _Proxy(_context, "app_ctx"))
"""The current context itself."""

request_ctx: RequestContext = cast(RequestContext, _Proxy(_find_context("request"), "request_ctx"))
"""The context of the request that is being handled."""

websocket_ctx: WebsocketContext = cast(
    WebsocketContext, _Proxy(_find_context("websocket"), "websocket_ctx")
)
"""The context of the WebSocket that is being handled."""

set_errors_lookup(_current_errors)
