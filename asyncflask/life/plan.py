"""Turns the registrations of an application into endpoints, once, when it starts.

An endpoint knows all that happens in a request for it, in order, so that a request looks nothing
up: no blueprint names, no dictionaries, no signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from werkzeug.exceptions import HTTPException

from asyncflask.concurrency import is_async_callable
from asyncflask.ctx import ConnectionContext, current
from asyncflask.exceptions import SetupError
from asyncflask.life.calls import AsyncFunction, on_journey, settle
from asyncflask.life.socket_steps import replaced_socket_steps
from asyncflask.life.steps import is_replaced, replaced_steps
from asyncflask.life.streaming import cancel_on_disconnect
from asyncflask.life.workers import Workers
from asyncflask.messages.connection import blueprint_names
from asyncflask.registrar import read_only
from asyncflask.views import methods_on_loop

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from asyncflask.app import Flask
    from asyncflask.routing import Rule
    from asyncflask.typing import ErrorHandler, URLValuePreprocessor, ViewFunction

    #: A handler, and the class that it is registered for.
    _Found = tuple[type[Exception], ErrorHandler]


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """What happens in a request, in order. All functions are awaited, whichever kind they were."""

    #: The endpoint's name, None for requests without a match.
    name: str | None
    #: The view as it was registered, None where it is not ours.
    function: ViewFunction | None
    preprocessors: tuple[URLValuePreprocessor, ...]
    before: tuple[AsyncFunction, ...]
    view: AsyncFunction
    after: tuple[AsyncFunction, ...]
    teardown_request: tuple[AsyncFunction, ...]
    teardown_appcontext: tuple[AsyncFunction, ...]
    handlers: ErrorHandlers
    #: Something runs before the view.
    prelude: bool
    #: Not all of it is ``async def`` code: the request is a journey, or it is handed over.
    elsewhere: bool
    #: The view is ``def``: one worker is kept from the first ``def`` function to the last.
    keep_worker: bool
    #: Which pool of the application has the workers. A socket keeps one as long as its client
    #: likes, which must not be one that requests need.
    pool: str
    #: A plain return value can be sent as it is: nobody waits to see a response.
    direct: bool
    #: Something runs after the response is made: teardowns, or the way back to the loop.
    has_end: bool
    #: The middleware of the blueprints, the outermost first, and what stands inside it.
    layers: tuple[ASGIApp, ...] = ()
    inner: Endpoint | None = None


class ErrorHandlers:
    """The error handlers that hold for an endpoint, the nearest first.

    :param spec: the application's ``error_handler_spec``.
    :param names: the blueprints of the endpoint, innermost first, and None for the application.
    :param adapt: applied to each handler that is used.
    """

    def __init__(
        self,
        spec: dict[str | None, dict[int | None, dict[type[Exception], ErrorHandler]]],
        names: Iterable[str | None],
        adapt: Callable[[ErrorHandler], ErrorHandler],
    ) -> None:
        self._by_code = [spec[name] for name in names if name in spec]
        self._adapt = adapt
        self._found: dict[tuple[type[Any], type[Any], int | None], _Found | None] = {}

    def find(
        self, exc: Exception, original: Exception | None = None
    ) -> tuple[ErrorHandler, Exception] | None:
        """Return the handler for ``exc`` and what to give it, or None.

        Handlers are found by code before by class, the most specific class first.

        :param original: what ``exc`` was made from, of which a handler may be just as well. Its own
            classes come before those of ``exc``; such a handler is given ``original``.
        """
        original = original or exc
        code = exc.code if isinstance(exc, HTTPException) else None
        key = (type(original), type(exc), code)
        if key not in self._found:
            self._found[key] = next(self._candidates(*key), None)
        found = self._found[key]
        if found is None:
            return None
        cls, handler = found
        return handler, exc if isinstance(exc, cls) else original

    def _candidates(
        self, original: type[Any], exc_class: type[Any], code: int | None
    ) -> Iterator[_Found]:
        shared = exc_class.__mro__
        classes = [*(cls for cls in original.__mro__ if cls not in shared), *shared]
        for wanted in (code, None) if code is not None else (None,):
            for handlers in self._by_code:
                by_class = handlers.get(wanted) or {}
                for cls in classes:
                    if cls in by_class:
                        yield cls, self._adapt(by_class[cls])


class Plan:
    """The endpoints of an application that starts.

    :param app: whose registrations to read.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.opens_session_first = _opens_session_first(app)
        self._layers = _build_layers(app)
        self.endpoints = {
            name: build_endpoint(app, name, view) for name, view in app.view_functions.items()
        }
        #: For requests that match no rule: the application's hooks run, then the error is raised.
        self.miss = build_endpoint(app, None, raise_routing_exception)
        #: For requests that Starlette's routes and mounted applications handle.
        self.foreign = _foreign(self.miss)
        #: The same for WebSockets.
        self.websocket_miss = build_endpoint(app, None, raise_routing_exception, "websocket")
        self.websocket_foreign = _foreign(self.websocket_miss)

    def endpoint_of(self, rule: Rule) -> Endpoint:
        """Return the endpoint of a rule; a rule without a view fails when it is asked for."""
        name = rule.endpoint
        if rule.websocket:
            view = self._app.view_functions.get(name) or _missing_view(name)
            return self._wrapped(build_endpoint(self._app, name, view, "websocket"))
        if name not in self.endpoints:
            self.endpoints[name] = build_endpoint(self._app, name, _missing_view(name))
        endpoint = self.endpoints[name]
        cancels = rule.on_disconnect == "cancel"
        return self._wrapped(self._cancelled(endpoint) if cancels else endpoint)

    def endpoints_on_loop(self, name: str) -> dict[str, Endpoint]:
        """Return the endpoints for the ``async def`` methods of a class that has ``def`` ones too.

        They are keyed by HTTP method; :meth:`endpoint` is for the others.
        """
        view = self._app.view_functions.get(name)
        methods = set() if view is None else methods_on_loop(view)
        if not methods:
            return {}
        endpoint = build_endpoint(self._app, name, _on_loop(view))
        return dict.fromkeys(methods, self._wrapped(replace(endpoint, function=view)))

    def _cancelled(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint whose view is cancelled when the client leaves."""
        view = cast("ViewFunction", endpoint.function)
        if not is_async_callable(view):
            raise SetupError(
                f"The endpoint {endpoint.name!r} has a rule with on_disconnect='cancel', and its "
                "view is a 'def' function, which runs in a thread and cannot be cancelled. Make it "
                "'async def', or leave the option out."
            )
        cancelled = build_endpoint(self._app, endpoint.name, cancel_on_disconnect(view))
        return replace(cancelled, function=view)

    def options_for(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint that answers OPTIONS automatically for ``endpoint``."""
        return self._wrapped(build_endpoint(self._app, endpoint.name, answer_options))

    def _wrapped(self, endpoint: Endpoint) -> Endpoint:
        names = reversed(blueprint_names(endpoint.name))
        layers = tuple(self._layers[name] for name in names if name in self._layers)
        if not layers:
            return endpoint
        return replace(endpoint, elsewhere=True, layers=layers, inner=endpoint)


def _build_layers(app: Flask) -> dict[str, ASGIApp]:
    """Build the middleware of each blueprint that has some, around what goes on inwards."""

    async def go_on(scope: Scope, receive: Receive, send: Send) -> None:
        dispatch = app.dispatch if scope["type"] == "http" else app.dispatch.sockets
        await dispatch.go_on(scope, receive, send)

    layers: dict[str, ASGIApp] = {}
    for name, blueprint in app.blueprints.items():
        if blueprint.user_middleware:
            layers[name] = go_on
            for each in reversed(blueprint.user_middleware):
                layers[name] = each.cls(layers[name], *each.args, **each.kwargs)
    return layers


def _foreign(miss: Endpoint) -> Endpoint:
    return replace(miss, function=None, elsewhere=True, teardown_request=(), teardown_appcontext=())


def build_endpoint(
    app: Flask,
    name: str | None,
    view: ViewFunction,
    kind: Literal["request", "websocket"] = "request",
) -> Endpoint:
    """Gather what the application and the blueprints of ``name`` have registered."""
    is_socket = kind == "websocket"
    adapt = _adapter(app)
    inner = blueprint_names(name)
    outer: tuple[str | None, ...] = (None, *reversed(inner))
    names = (*inner, None)
    function, view = view, adapt(view)
    before = [*map(adapt, _gather(getattr(app, f"before_{kind}_funcs"), outer))]
    preprocessors = tuple(_gather(app.url_value_preprocessors, outer))
    if app._preprocessors_are_hooks:
        before = [*(_as_hook(name, function) for function in preprocessors), *before]
        preprocessors = ()
    if name is not None and not is_socket and any(map(is_async_callable, (*before, view))):
        before = [*app._before_async_code(), *before]
    after = [*map(adapt, _gather(getattr(app, f"after_{kind}_funcs"), names, reverse=True))]
    teardown = [*map(adapt, _gather(getattr(app, f"teardown_{kind}_funcs"), names, reverse=True))]
    teardown_app = [*map(adapt, reversed(app.teardown_appcontext_funcs))]
    steps = replaced_socket_steps(app) if is_socket else replaced_steps(app)
    functions = (*before, view, *after, *teardown, *teardown_app, *steps.values())
    threaded = not all(map(is_async_callable, functions))
    prepare = on_journey if threaded else _unchanged
    return Endpoint(
        name=name,
        function=function,
        prelude=is_socket or bool(before or preprocessors) or _opens_session_first(app),
        preprocessors=preprocessors,
        before=tuple(map(prepare, before)),
        view=prepare(view),
        after=tuple(map(prepare, after)),
        teardown_request=tuple(map(prepare, teardown)),
        teardown_appcontext=tuple(map(prepare, teardown_app)),
        handlers=ErrorHandlers(app.error_handler_spec, names, adapt),
        elsewhere=threaded,
        keep_worker=not is_async_callable(view),
        pool="stream_pool" if is_socket and not is_async_callable(view) else "pool",
        direct=not (is_socket or after) and app._sends_plain_values(),
        has_end=is_socket or threaded or bool(teardown or teardown_app),
    )


def _as_hook(name: str | None, preprocess: URLValuePreprocessor) -> Callable[[], Any]:
    """Return what does, as a hook of its kind, what a URL value preprocessor does."""

    def run() -> Any:
        return preprocess(name, cast(ConnectionContext, current.get()).params)

    async def run_on_loop() -> None:
        await run()

    return run_on_loop if is_async_callable(preprocess) else run


def _opens_session_first(app: Flask) -> bool:
    """Whether sessions are opened before the hooks: awaited, or those of all requests."""
    interface = app.session_interface
    return interface.each_request or interface.blocking or is_async_callable(interface.open_session)


def _adapter(app: Flask) -> Callable[[Any], Any]:
    """What is done to each function of the user's: what the application's own methods do."""
    for name in ("ensure_sync", "ensure_async"):
        if is_replaced(app, name, Workers):
            adapt: Callable[[Any], Any] = getattr(app, name)
            return adapt
    return _unchanged


def _missing_view(name: str) -> ViewFunction:
    async def view(**_: Any) -> Any:
        raise SetupError(
            f"There are rules for the endpoint {name!r}, but it has no view. Give add_url_rule() a "
            f"'view_func', or register one with @app.endpoint({name!r})."
        )

    return view


def _on_loop(view: Any) -> AsyncFunction:
    async def view_on_loop(**kwargs: Any) -> Any:
        return await view(**kwargs)

    return view_on_loop


def _unchanged(function: Any) -> Any:
    return function


def make_read_only(app: Flask) -> None:
    """End the registrations of an application that starts."""
    for attribute in app._declarations:
        setattr(app, attribute, read_only(getattr(app, attribute)))


def _gather(
    declared: dict[str | None, Any], names: Iterable[str | None], *, reverse: bool = False
) -> list[Any]:
    functions: list[Any] = []
    for name in names:
        own = declared.get(name, ())
        functions.extend(reversed(own) if reverse else own)
    return functions


async def raise_routing_exception() -> None:
    """The view of requests that match no rule."""
    context = cast(ConnectionContext, current.get())
    await settle(context, context.app.raise_routing_exception(context.connection))


async def answer_options(**_: Any) -> Any:
    """The view that answers OPTIONS with the methods that are allowed (RFC 9110, 9.3.7)."""
    return current.get().app.make_default_options_response()
