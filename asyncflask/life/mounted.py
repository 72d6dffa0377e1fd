"""The lifespans of the ASGI applications that are mounted in an application."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import Host, Mount
from starlette.routing import Router as StarletteRouter

from asyncflask.life.lifespan_protocol import Lifespan

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Scope

#: Where the scope has the prefix below which an application is mounted.
_PREFIX = {"root_path", "app_root_path"}

_log = logging.getLogger("asyncflask")


class MountedLifespans:
    """The lifespans of mounted applications, and what each has put in its state."""

    def __init__(self) -> None:
        # By identity, for an application need not be hashable; its route keeps it alive.
        self._states: dict[int, dict[str, Any]] = {}

    def enter(self, route: BaseRoute, scope: Scope) -> Scope:
        """Return the scope for ``route``, with the state of the application mounted there.

        It is a copy: what applications put into their scope is not for the one they are mounted in,
        whose error handlers may still run. What ``route`` has matched is for middleware to see.
        """
        _, matched = route.matches(scope)
        inner = {**scope, **matched}
        scope.update((key, value) for key, value in matched.items() if key not in _PREFIX)
        state = self._states.get(id(getattr(route, "app", None)))
        if state:
            inner["state"] = {**scope.get("state", {}), **state}
        return inner

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


class MountedLifespan(Lifespan):
    """The lifespan of one mounted application.

    :param app: the ASGI application.
    :param place: where it is mounted, for messages.
    """

    def __init__(self, app: ASGIApp, place: str) -> None:
        self.state: dict[str, Any] = {}
        super().__init__(app, self.state)
        self._place = place
        self._started = False

    async def start(self) -> None:
        """Return when the application has started, or has turned out to have no lifespan.

        :raises RuntimeError: it has failed to start.
        """
        try:
            await super().start()
        except Exception as exc:
            if self.answered:
                why = self.reason or "it does not say why."
                raise RuntimeError(f"{self} has failed to start: {why}") from exc
            # An exception at this point is how most say that they have none.
            _log.debug("%s has no lifespan", self, exc_info=exc)
        else:
            self._started = self.answered

    async def stop(self, *_raised: Any) -> None:
        """Return when the application has shut down.

        :raises Exception: what it has raised.
        :raises RuntimeError: it has reported a failure without raising.
        """
        if self._started:
            await super().stop()

    def __str__(self) -> str:
        return f"The application mounted at {self._place!r}"
