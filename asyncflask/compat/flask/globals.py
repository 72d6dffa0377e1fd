"""The proxies, and the context variables behind them."""

from __future__ import annotations

from contextvars import Token
from typing import Any

from asyncflask.ctx import AppContext, current
from asyncflask.globals import app_ctx as app_ctx
from asyncflask.globals import current_app as current_app
from asyncflask.globals import g as g
from asyncflask.globals import request as request
from asyncflask.globals import request_ctx as request_ctx
from asyncflask.globals import session as session

_missing: Any = object()


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
