"""The contexts. One object is both the application's and the request's."""

from __future__ import annotations

from asyncflask import ctx as core
from asyncflask.compat.flask.globals import current_app
from asyncflask.ctx import AppContext as AppContext
from asyncflask.ctx import RequestContext as RequestContext
from asyncflask.ctx import after_this_request as after_this_request
from asyncflask.ctx import copy_current_request_context as copy_current_request_context
from asyncflask.ctx import has_app_context as has_app_context
from asyncflask.ctx import has_request_context as has_request_context


class _AppCtxGlobals(core._AppCtxGlobals):
    """The namespace ``g``."""

    def __repr__(self) -> str:
        name = current_app.name if has_app_context() else "an application"
        return f"<flask.g of {name!r}>"
