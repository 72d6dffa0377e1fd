"""Sessions: opened before the hooks of each request and looked at after them, as Flask does."""

from __future__ import annotations

import logging

from asyncflask import sessions as core
from asyncflask.sessions import NullSession as NullSession
from asyncflask.sessions import SessionMixin as SessionMixin
from asyncflask.sessions import session_json_serializer as session_json_serializer

_log = logging.getLogger("asyncflask")


class SecureCookieSession(core.SecureCookieSession):
    """The session that is kept in a signed cookie.

    A change after the cookie was written is lost, as in Flask, and the log says so. Tests make such
    changes when they look at the messages that a request has flashed.
    """

    def refuse(self, reason: str) -> None:
        """Log the reason, and where it was."""
        _log.warning(reason, stack_info=True)


class SessionInterface(core.SessionInterface):
    """The base of extensions' session interfaces.

    What they do blocks, so it is done in a worker thread for ``async def`` code.
    """

    each_request = True
    blocking = True


class SecureCookieSessionInterface(core.SecureCookieSessionInterface, SessionInterface):
    """The session in a signed cookie."""

    session_class = SecureCookieSession
    blocking = False
