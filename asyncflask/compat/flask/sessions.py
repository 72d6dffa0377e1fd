"""Sessions: opened before the hooks of each request and looked at after them, as Flask does."""

from __future__ import annotations

from asyncflask import sessions as core
from asyncflask.sessions import NullSession as NullSession
from asyncflask.sessions import SecureCookieSession as SecureCookieSession
from asyncflask.sessions import SessionMixin as SessionMixin
from asyncflask.sessions import session_json_serializer as session_json_serializer


class SessionInterface(core.SessionInterface):
    """The base of extensions' session interfaces.

    What they do blocks, so it is done in a worker thread for ``async def`` code.
    """

    each_request = True
    blocking = True


class SecureCookieSessionInterface(core.SecureCookieSessionInterface, SessionInterface):
    """The session in a signed cookie."""

    blocking = False
