"""The start of an application whose server sends no lifespan: at its first request."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from asyncflask.concurrency.loop_thread import end_of_loop
from asyncflask.life.lifespan import has_lifespan

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from asyncflask.app import Flask


def starts_itself(app: Flask, stack: ASGIApp) -> ASGIApp:
    """Return what starts ``app`` if nobody else does; ``stack`` itself if that is needless.

    :param app: the application.
    :param stack: what handles its requests.
    """
    if not has_lifespan(app):
        return stack
    app._self_start = SelfStart(app, stack)
    return stack if app._lifespans else app._self_start


class SelfStart:
    """Starts an application before its first request, once, and steps aside then.

    The shutdown follows when the event loop cancels its tasks, as ``asyncio.run`` does in the end.
    Connections whose scope has ``"asyncflask.self_start": False`` start nothing: those of tests.

    :param app: the application.
    :param stack: what handles its requests.
    """

    def __init__(self, app: Flask, stack: ASGIApp) -> None:
        self._app = app
        self._stack = stack
        self._aside = False
        self._state: dict[str, Any] = {}
        self._lock = threading.Lock()
        #: Done when the application has started; of no loop, for several may wait for it.
        self._ready: Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a connection, when the application has started."""
        if scope["type"] != "lifespan":
            if not self._aside and scope.get("asyncflask.self_start", True):
                await self._start()
            if self._state:
                scope["state"] = {**scope.get("state", {}), **self._state}
        await self._stack(scope, receive, send)

    def stand_aside(self) -> None:
        """The application has started: from here on its requests do without this."""
        self._aside = True
        if self._app.middleware_stack is self:
            self._app.middleware_stack = self._stack

    def keep(self, state: Mapping[str, Any] | None) -> None:
        """Give what the lifespan has given to each request until the shutdown: nobody else does."""
        self._state = dict(state or {})
        if self._state and self._app.middleware_stack is self._stack:
            self._app.middleware_stack = self

    def stand_ready(self) -> None:
        """The application has shut down: a request starts it again."""
        self._aside = False
        self._state = {}
        if self._app.middleware_stack is self._stack:
            self._app.middleware_stack = self

    async def _start(self) -> None:
        with self._lock:
            ready = self._ready
            if ready is None:
                ready = self._ready = Future()
                ready.set_running_or_notify_cancel()  # who waits cannot cancel it for the others
                # Not in the context of the request that happens to come first.
                self._task = asyncio.get_running_loop().create_task(
                    self._serve(ready), context=contextvars.Context()
                )
        await asyncio.wrap_future(ready)

    async def _serve(self, ready: Future[None]) -> None:
        app = self._app
        try:
            async with app._router.lifespan_context(app) as state:
                self.keep(state)
                app.logger.warning(
                    "The server has sent no lifespan, so %r has started itself at its first "
                    "request. It can be shut down only if the server ends its event loop orderly.",
                    app.name,
                )
                ready.set_result(None)
                await end_of_loop()
        except Exception as exc:
            if not ready.done():  # else it is from the shutdown, and logged
                ready.set_exception(exc)
        finally:
            self._ready = None
            if not ready.done():
                ready.set_exception(RuntimeError(f"The start of {app.name!r} was cancelled."))
