"""The proxies, and the context variables behind them."""

from __future__ import annotations

from contextvars import Token
from typing import Any, cast

from asyncflask.ctx import AppContext, current
from asyncflask.globals import _context, _Proxy
from asyncflask.globals import current_app as current_app
from asyncflask.globals import g as g
from asyncflask.globals import request as request
from asyncflask.globals import request_ctx as request_ctx
from asyncflask.globals import session as session

_missing: Any = object()

#: In the environ of a request: the context of the test that makes it, where it is part of that.
OUTER = "asyncflask.outer_context"


def outer_context(context: AppContext) -> AppContext | None:
    """Return the context of the test that a request was made in, to share its ``g``; or None."""
    connection = context.connection_context
    if connection is None or connection is not context or connection._origin is not None:
        return None
    outer: AppContext | None = connection.scope.get("wsgi.environ", {}).get(OUTER)
    return outer


def _app_context() -> AppContext:
    context = _context()
    return outer_context(context) or context


app_ctx: AppContext = cast(AppContext, _Proxy(_app_context, "app_ctx"))
"""The current application context."""


class _ContextVar:
    """One of Flask's two context variables, a view of the one that is here.

    :param kind: the attribute of the current context that has the value; none for itself.
    """

    def __init__(self, name: str, kind: str | None) -> None:
        self.name = name
        self._kind = kind

    def get(self, default: Any = _missing) -> Any:
        """Return the context, or ``default``.

        :raises LookupError: there is neither.
        """
        context: Any = current.get(None)
        if context is not None and self._kind is not None:
            context = getattr(context, self._kind)
        if context is not None:
            return context
        if default is _missing:
            raise LookupError(self.name)
        return default

    def set(self, value: AppContext) -> Token[AppContext]:
        """Make a context the current one."""
        return current.set(value)

    def reset(self, token: Token[AppContext]) -> None:
        """Undo :meth:`set`."""
        current.reset(token)


_cv_app = _ContextVar("flask.app_ctx", None)
_cv_request = _ContextVar("flask.request_ctx", "request_context")
