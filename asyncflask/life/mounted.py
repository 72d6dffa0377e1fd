"""The lifespans of the ASGI applications that are mounted in an application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import Host, Mount
from starlette.routing import Router as StarletteRouter

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Scope

_log = logging.getLogger("asyncflask")


#: Seconds an application gets to return from its lifespan after its last message.
_GRACE = 5.0


class MountedLifespans:
    """The lifespans of mounted applications, and what each has put in its state."""

    def __init__(self) -> None:
        # By identity, for an application need not be hashable; its route keeps it alive.
        self._states: dict[int, dict[str, Any]] = {}

    def enter(self, route: BaseRoute, scope: Scope) -> None:
        """Make ``scope`` that of ``route``; with the state of the application mounted there."""
        _, child_scope = route.matches(scope)
        scope.update(child_scope)
        state = self._states.get(id(getattr(route, "app", None)))
        if state:
            scope["state"] = {**scope.get("state", {}), **state}

    def lifespans(self, routes: Iterable[BaseRoute]) -> Iterator[MountedLifespan]:
        """Give the lifespan of each application that is mounted by ``routes``, once."""
        for key, (app, place) in {id(app): (app, place) for app, place in _mounted(routes)}.items():
            lifespan = MountedLifespan(app, place)
            self._states[key] = lifespan.state
            yield lifespan


def _mounted(routes: Iterable[BaseRoute]) -> Iterator[tuple[ASGIApp, str]]:
    for route in routes:
        if isinstance(route, Mount | Host):
            if isinstance(route.app, StarletteRouter):  # a group of routes
                yield from _mounted(route.app.routes)
            yield route.app, route.path if isinstance(route, Mount) else route.host


class MountedLifespan:
    """The server's side of ASGI's lifespan protocol, for one mounted application.

    :param app: the ASGI application.
    :param place: where it is mounted, for messages.
    """

    def __init__(self, app: ASGIApp, place: str) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._place = place
        self._started = False
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Message | None] = asyncio.Queue()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        await self._app(scope, self._incoming.get, self._outgoing.put)

    async def start(self) -> None:
        """Return when the application has started, or has turned out to have no lifespan.

        :raises RuntimeError: it has failed to start.
        """
        # A task of its own: what the application enters at start it leaves at shutdown there.
        self._task = task = asyncio.create_task(self._run())
        task.add_done_callback(lambda _: self._outgoing.put_nowait(None))
        self._incoming.put_nowait({"type": "lifespan.startup"})
        answer = await self._outgoing.get()
        if answer is None:  # an exception at this point is how most say that they have none
            _log.debug("%s has no lifespan", self, exc_info=task.exception())
        elif answer["type"] == "lifespan.startup.failed":
            await asyncio.wait({task}, timeout=_GRACE)
            error = task.exception() if task.done() else None
            message = answer.get("message") or "it does not say why."
            raise RuntimeError(f"{self} has failed to start: {message}") from error
        else:
            self._started = True

    async def stop(self, *_raised: Any) -> None:
        """Return when the application has shut down.

        :raises Exception: what it has raised.
        :raises RuntimeError: it has reported a failure without raising.
        """
        task = self._task
        answer = None
        if self._started and not task.done():
            self._incoming.put_nowait({"type": "lifespan.shutdown"})
            answer = await self._outgoing.get()
            await asyncio.wait({task}, timeout=_GRACE)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if self._started and not task.cancelled():
            task.result()
            if answer is not None and answer["type"] == "lifespan.shutdown.failed":
                raise RuntimeError(answer.get("message") or "It does not say why.")

    def __str__(self) -> str:
        return f"The application mounted at {self._place!r}"
