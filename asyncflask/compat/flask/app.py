"""The application."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from werkzeug.datastructures import ImmutableDict

from asyncflask import app as core
from asyncflask.compat.flask.config import Config as Config
from asyncflask.compat.flask.ctx import AppContext as AppContext
from asyncflask.compat.flask.ctx import RequestContext as RequestContext
from asyncflask.compat.flask.ctx import _AppCtxGlobals
from asyncflask.compat.flask.json.provider import DefaultJSONProvider
from asyncflask.compat.flask.sessions import SecureCookieSessionInterface
from asyncflask.compat.flask.sessions import SessionInterface as SessionInterface
from asyncflask.compat.flask.wrappers import Request as Request
from asyncflask.compat.flask.wrappers import Response as Response
from asyncflask.compat.live import Changing, live
from asyncflask.concurrency import running_loop
from asyncflask.config import DEFAULT_CONFIG
from asyncflask.ctx import current
from asyncflask.life.plan import ErrorHandlers, Plan
from asyncflask.registrar import exception_class_and_code
from asyncflask.routing import Rule as Rule
from asyncflask.wsgi import WSGIAdapter
from asyncflask.wsgi.scope import HOME

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from asyncflask.compat.flask.testing import FlaskClient
    from asyncflask.typing import BeforeRequestFunction

#: Flask's own where they differ, and what keeps blocking code of extensions off the event loop.
#: BODY_TIMEOUT is not among them: Flask leaves that to its server, and ASGI servers wait for ever,
#: each slow client holding the thread of a `def` view.
_DEFAULTS = {
    "CONTENT_TYPE_NOSNIFF": False,
    "MAX_CONTENT_LENGTH": None,
    "MAX_FORM_FILES": None,
    "PROBLEM_DETAILS": False,
    "SESSION_COOKIE_SAMESITE": None,
    "SESSION_COOKIE_SECURE": False,
    "TEMPLATES_IN_WORKER": True,
}


class Flask(core.Flask):
    """An application with Flask's defaults: an ASGI application that is a WSGI one, too.

    The parameters are those of :class:`asyncflask.Flask`.
    """

    app_ctx_globals_class = _AppCtxGlobals
    json_provider_class = DefaultJSONProvider
    request_class = Request
    response_class = Response
    session_interface = SecureCookieSessionInterface()
    test_client_class: type[FlaskClient] | None = None  # type: ignore[assignment]
    default_config: Mapping[str, Any] = ImmutableDict({**DEFAULT_CONFIG, **_DEFAULTS})
    _preprocessors_are_hooks = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._change_lock = threading.RLock()
        super().__init__(*args, **kwargs)
        # Servers look at this attribute to see what they have, and call the class's.
        self.__dict__["__call__"] = _asgi_3(weakref.ref(self))

    def __call__(self, *args: Any) -> Any:
        """Answer a server of either kind, with ``environ`` or ``scope`` and what comes with it."""
        return self.wsgi_app(*args) if len(args) == 2 else Starlette.__call__(self, *args)

    def build_middleware_stack(self) -> ASGIApp:
        """Build the ASGI callable. If ``wsgi_app`` was wrapped, requests go through what wraps it.

        That takes a thread for each request, in which its ``def`` functions run.
        """
        if "wsgi_app" in self.__dict__ and "asgi_app" not in self.__dict__:
            self.asgi_app = self._through_wsgi_app  # type: ignore[method-assign]
            self._adapter = WSGIAdapter(lambda *args: self.wsgi_app(*args))
        return super().build_middleware_stack()

    async def _through_wsgi_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self.dispatch.handle
        if scope["type"] == "http" and "wsgi.environ" not in scope:  # that comes from `wsgi_app`
            app, scope = self._adapter, {**scope, HOME: asyncio.get_running_loop()}
        await app(scope, receive, send)

    def freeze(self) -> None:
        """Start, as every application does; Flask's dictionaries can still be written afterwards.

        What is written there counts from the next request on.
        """
        if self._has_started:
            return
        super().freeze()
        changing = _changing(weakref.ref(self))
        for name in self._declarations:
            setattr(self, name, live(getattr(self, name), changing))

    @contextmanager
    def _change(self) -> Iterator[None]:
        """A block that changes what is declared; at its end the application goes by that."""
        with self._change_lock:
            yield
            plan = Plan(self)
            self._router.freeze(plan)
            self.dispatch.follow(plan)
            self.dispatch.sockets.follow(plan)

    def _before_async_code(self) -> list[BeforeRequestFunction]:
        return [_read_body]

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Make a ``def`` function of an ``async def`` one, as decorators of extensions do.

        Bodies are read before it, as before an ``async def`` view.
        """

        @functools.wraps(func)
        async def call(*args: Any, **kwargs: Any) -> Any:
            await _read_body()
            return await func(*args, **kwargs)

        return super().async_to_sync(call)

    def make_response(self, rv: Any) -> Any:
        """Turn a view's return value into a response.

        A decorator that calls an ``async def`` view as if it were ``def`` has a coroutine, which is
        run on the event loop while its worker waits.
        """
        if inspect.iscoroutine(rv) and running_loop() is None:
            rv = self.async_to_sync(lambda: rv)()
        return super().make_response(rv)

    def test_client(self, use_cookies: bool = True, **kwargs: Any) -> Any:
        """Return Werkzeug's client for ``def`` tests.

        For ``async def`` tests there is :class:`asyncflask.testing.FlaskClient`.
        """
        from asyncflask.compat.flask.testing import FlaskClient

        cls = self.test_client_class or FlaskClient
        return cls(self, self.response_class, use_cookies=use_cookies, **kwargs)

    @property
    def _got_first_request(self) -> bool:
        return self._has_started

    def _find_error_handler(self, exc: Exception, blueprints: Iterable[str]) -> Any:
        handlers = ErrorHandlers(self.error_handler_spec, (*blueprints, None), lambda f: f)
        found = handlers.find(exc)
        return None if found is None else found[0]

    @staticmethod
    def _get_exc_class_and_code(
        exc_class_or_code: int | type[Exception],
    ) -> tuple[type[Exception], int | None]:
        return exception_class_and_code(exc_class_or_code)


def _asgi_3(app: weakref.ref[Any]) -> Callable[..., Awaitable[None]]:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await Starlette.__call__(app(), scope, receive, send)  # type: ignore[arg-type]  # called

    return call


def _changing(app: weakref.ref[Any]) -> Changing:
    return lambda: app()._change()  # type: ignore[union-attr]  # whose they are


async def _read_body() -> None:
    context = current.get(None)
    if context is not None and context.request_context is not None:
        request: Any = context.request
        await request.read_ahead()
