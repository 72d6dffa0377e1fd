"""The ASGI applications that are mounted in an application: their routes and their lifespans."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from starlette.routing import Host, Match, Mount
from starlette.routing import Router as StarletteRouter

from asyncflask.exceptions import SetupError
from asyncflask.life.lifespan_protocol import Lifespan

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Scope

    from asyncflask.app import Flask

#: Where the scope has the prefix below which an application is mounted.
_PREFIX = {"root_path", "app_root_path"}

#: In the lifespan of a mounted application: the states of all that the outermost of its hosts has
#: started so far, by identity. What is mounted below several of them runs once.
_started: ContextVar[dict[int, dict[str, Any]]] = ContextVar("asyncflask.mounted")

_log = logging.getLogger("asyncflask")


def make_mount(
    flask: Flask,
    path: str,
    app: ASGIApp,
    name: str | None = None,
    *,
    subdomain: str | None = None,
    middleware: Sequence[Middleware] = (),
) -> Mount:
    """Return the route of an application that is mounted in ``flask``.

    :param path: such as ``/admin``; variables are Starlette's, ``/{tenant}``.
    :param app: the ASGI application.
    :param name: for Starlette's ``url_path_for``.
    :param subdomain: the only one it is for; None for all hosts.
    :param middleware: what stands around it, the outermost first.
    :raises SetupError: the path is none, or there are no subdomains.
    :raises TypeError: ``app`` is no ASGI application.
    """
    if path and not path.startswith("/"):
        raise SetupError(f"The path of a mount starts with a slash. Write {'/' + path!r}.")
    if "<" in path:
        raise SetupError(
            f"The mount {path!r} has a variable as rules have them. Mounts have Starlette's, "
            "'/{name}', and cannot stand in a blueprint whose prefix has variables."
        )
    _check_is_asgi(path, app)
    if subdomain is None:
        return Mount(path, app, name=name, middleware=middleware)
    if not flask.subdomain_matching or "<" in subdomain:
        raise SetupError(
            f"The mount {path!r} is for the subdomain {subdomain!r}. That needs Flask(..., "
            "subdomain_matching=True), and a subdomain without variables."
        )
    return SubdomainMount(flask, subdomain, path, app, name=name, middleware=middleware)


def _check_is_asgi(path: str, app: Any) -> None:
    try:
        inspect.signature(app).bind("scope", "receive", "send")
    except TypeError:
        raise TypeError(
            f"What is mounted at {path!r}, {app!r}, cannot be called with (scope, receive, send), "
            "so it is no ASGI application. A WSGI application is wrapped: WSGIAdapter(app), from "
            "asyncflask.wsgi; a blueprint is registered: register_blueprint(blueprint)."
        ) from None
    except ValueError:  # written in C, and does not tell
        pass


class SubdomainMount(Mount):
    """A mount for one subdomain.

    :param flask: whose subdomain it is.
    :param subdomain: the subdomain; the other parameters are ``Mount``'s.
    """

    def __init__(self, flask: Flask, subdomain: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subdomain = subdomain
        self._router = flask._router

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether this is the route of ``scope``."""
        if scope["type"] == "lifespan" or self._router._domain(scope) != self.subdomain:
            return Match.NONE, {}
        return super().matches(scope)


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
        # Starlette builds URLs with the router in the scope, ours, and puts this before them.
        inner["app_root_path"] = scope.get("root_path", "")
        scope.update((key, value) for key, value in matched.items() if key not in _PREFIX)
        state = self._states.get(id(_bare(route)))
        if state:
            inner["state"] = {**scope.get("state", {}), **state}
        return inner

    def lifespans(self, routes: Iterable[BaseRoute]) -> Iterator[MountedLifespan]:
        """Give the lifespan of each application that is mounted by ``routes``, once.

        Not of those that a host of ours has started elsewhere; their state is shared.
        """
        started = _started.get({})
        for key, route in {id(_bare(route)): route for route in _mounted(routes)}.items():
            state = started.get(key)
            if state is None:
                place = route.path if isinstance(route, Mount) else route.host
                lifespan = MountedLifespan(route.app, place, started)
                state = started[key] = lifespan.state
                yield lifespan  # before the next is looked for: it may be mounted in this one, too
            self._states[key] = state


def _mounted(routes: Iterable[BaseRoute]) -> Iterator[Mount | Host]:
    for route in routes:
        if isinstance(route, Mount | Host):
            app = _bare(route)
            if isinstance(app, StarletteRouter):  # a group of routes
                yield from _mounted(app.routes)
            yield route


def _bare(route: BaseRoute) -> ASGIApp | None:
    """The application of a mount, without the middleware that the mount has around it."""
    app: ASGIApp | None = getattr(route, "_base_app", None) or getattr(route, "app", None)
    return app


class MountedLifespan(Lifespan):
    """The lifespan of one mounted application.

    :param app: the ASGI application.
    :param place: where it is mounted, for messages.
    :param beside: the states of all that run in the outermost host.
    """

    def __init__(self, app: ASGIApp, place: str, beside: dict[int, dict[str, Any]]) -> None:
        self.state: dict[str, Any] = {}
        super().__init__(app, self.state)
        self._place = place
        self._beside = beside
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
                raise RuntimeError(
                    f"{self} has failed to start: {why} (Its lifespan is run because it is "
                    "mounted; if yours runs it, too, as other hosts want it, take it out there.)"
                ) from exc
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

    async def _call(self) -> None:
        _started.set(self._beside)  # for this task, and so for what it starts
        await super()._call()

    def __str__(self) -> str:
        return f"The application mounted at {self._place!r}"
