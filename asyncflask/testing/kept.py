"""What stays of the last request in a client's ``with`` block: ``request``, ``session``, ``g``."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from contextvars import Token
from typing import Any, cast

from asyncflask.ctx import AppContext, RequestContext, current
from asyncflask.signals import request_started

_KEY = "asyncflask.testing.kept"


class KeptContext:
    """Keeps the context of a client's last request, and makes it the test's current context.

    It learns of the context from the signal ``request_started``, which is connected within the
    block only, so that a request pays nothing for it elsewhere. The request itself ends as ever,
    with its teardown functions, before its context is seen here.

    :param application: whose requests.
    :param scope_base: what is laid over the scope of each request of the client.
    """

    def __init__(self, application: Any, scope_base: MutableMapping[str, Any]) -> None:
        self._application = application
        self._scope_base = scope_base
        self._last: RequestContext | None = None
        self._pushed: tuple[RequestContext, Token[AppContext]] | None = None

    def begin(self) -> None:
        """Begin to keep contexts.

        :raises RuntimeError: that has begun already.
        """
        if _KEY in self._scope_base:
            raise RuntimeError(
                "Cannot nest client invocations: this client's 'with' block has not ended yet. Use "
                "another client inside."
            )
        self._scope_base[_KEY] = self
        request_started.connect(self._note, self._application)

    def end(self) -> None:
        """Release what is kept, and keep nothing any more."""
        request_started.disconnect(self._note)  # of all senders: only then it is forgotten
        self._scope_base.pop(_KEY)
        self.release()

    def push(self) -> None:
        """Make the context of the last request current, if there was one."""
        context, self._last = self._last, None
        if context is not None:
            context.kept = True
            self._pushed = context, current.set(context)

    def release(self) -> None:
        """Make the context before it current again."""
        pushed, self._pushed, self._last = self._pushed, None, None
        if pushed is None:
            return
        context, token = pushed
        if context.holds_files:
            context.request.close()  # also what was read afterwards
        if current.get(None) is context:
            with suppress(ValueError):  # a copy of the test's context variables, in another task
                current.reset(token)

    def _note(self, _: Any, **__: Any) -> None:
        context = current.get()
        # A client that the application itself uses is not this one.
        if isinstance(context, RequestContext) and _marks(context).get(_KEY) is self:
            self._last = context


def _marks(context: RequestContext) -> Mapping[str, Any]:
    scope: Mapping[str, Any] = context.scope
    return cast("Mapping[str, Any]", scope.get("wsgi.environ", scope))
