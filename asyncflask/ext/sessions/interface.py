"""Opens and saves sessions that are kept on the server."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from itsdangerous import BadSignature, Signer
from werkzeug.exceptions import ServiceUnavailable

from asyncflask.sessions import (
    SecureCookieSession,
    SessionInterface,
    SessionMixin,
    session_json_serializer,
)

if TYPE_CHECKING:
    from asyncflask import Flask, Response
    from asyncflask.ext.sessions.stores import SessionStore
    from asyncflask.messages.connection import Connection

T = TypeVar("T")


class ServerSideSession(SecureCookieSession):
    """A session that is kept on the server. Its owner can neither read nor change it.

    As with the session in a cookie, whoever changes a list or a dictionary inside sets
    ``session.modified = True``.

    :param initial: what the store held, or None for a new session.
    :param sid: the id in the cookie; None: the session is new and gets one when it is saved.
    """

    def __init__(self, initial: Mapping[str, Any] | None = None, sid: str | None = None) -> None:
        super().__init__(initial)
        self.sid = sid
        #: :meth:`clear` was called.
        self.cleared = False
        #: :meth:`regenerate` was called.
        self.regenerated = False
        #: The record as it was loaded, to tell what this request has changed.
        self.record: Mapping[str, str] = {}

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether the session was made in this request."""
        return self.sid is None

    def clear(self) -> None:
        """Empty the session, also of what overlapping requests have saved so far.

        Left empty, it is deleted with its cookie: that is how a user logs out.
        """
        super().clear()
        self.cleared = True

    def regenerate(self) -> None:
        """Give the session a new id and end the old one, which stays with whoever knows it.

        Call it where a user's rights change, such as at the login: an id that somebody has planted
        before (session fixation) is worth nothing afterwards.
        """
        self.regenerated = True
        self.update()  # a change as any other: it raises once the session was saved


class ServerSideSessionInterface(SessionInterface):
    """Keeps sessions in a store; the cookie holds a random id.

    The cookie's attributes are those of the session in a cookie. A session is kept for
    ``PERMANENT_SESSION_LIFETIME`` after its last change; where it is permanent and
    ``SESSION_REFRESH_EACH_REQUEST`` is set, after its last use.

    Requests of one session may overlap: each saves the keys that it has changed, and the store
    merges them. Of changes to the same key the last one stays. A session that was cleared or
    regenerated meanwhile is not brought back: what overlapping requests save later is dropped, or
    stands alone under the new id if they regenerate it.

    :param store: where the sessions are; :class:`RedisStore`, :class:`MemoryStore` or yours.
    :param sign: sign the ids with ``SECRET_KEY``, so that the store is not asked for made-up ones.
    """

    #: What sessions are; a subclass of :class:`ServerSideSession`.
    session_class = ServerSideSession
    #: What values are written with; tags for more types can be registered with it.
    serializer = session_json_serializer
    #: Keeps these signatures apart from others that are made with the same key.
    salt = "asyncflask.ext.sessions"

    def __init__(self, store: SessionStore, *, sign: bool = False) -> None:
        self.store = store
        self._sign = sign

    def init_app(self, app: Flask) -> None:
        """Make this the application's ``session_interface``, and close the store at its end."""
        app.session_interface = self
        app.after_serving(self.store.aclose)

    async def open_session(self, app: Flask, request: Connection) -> ServerSideSession | None:
        """Load the session; where its id is not known there is a new one, with another id.

        :raises ServiceUnavailable: the store does not answer.
        """
        if self._sign and not app.secret_key:
            return None
        sid = self._read_cookie(app, request)
        if not sid:
            return self.session_class()
        record = await self._ask(app, self.store.load(_key(sid)))
        if record is None:
            return self.session_class()
        try:
            values = {name: self.serializer.loads(value) for name, value in record.items()}
        except Exception:
            app.logger.exception("A stored session could not be read; a new one takes its place")
            return self.session_class()
        session = self.session_class(values, sid)
        session.record = record
        return session

    async def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Merge what has changed into the store, and set the cookie where it is due.

        :raises ServiceUnavailable: the store does not answer. The client gets a 500: the view has
            answered already, and nobody else is asked.
        """
        session = cast(ServerSideSession, session)
        if session.saved:
            return  # it failed, and this is the response that says so
        session.saved = True
        if not session and session.cleared:
            await self._delete(app, session, response)
        elif self.should_set_cookie(app, session) and await self._store(app, session):
            self._set_cookie(app, session, response)
        response.vary.add("Cookie")

    async def _delete(self, app: Flask, session: ServerSideSession, response: Response) -> None:
        if session.sid is not None:
            await self._ask(app, self.store.pop(_key(session.sid)))
            response.delete_cookie(self.get_cookie_name(app), **self._cookie_options(app))

    async def _store(self, app: Flask, session: ServerSideSession) -> bool:
        """Save the session; False: there is nothing to keep, or it was deleted meanwhile."""
        lifetime = app.permanent_session_lifetime.total_seconds()
        record = {str(name): self.serializer.dumps(value) for name, value in session.items()}
        before = session.record
        written = {name: text for name, text in record.items() if before.get(name) != text}
        deleted = before.keys() - record.keys()
        if session.sid is not None and not session.regenerated:
            key, replace = _key(session.sid), session.cleared
            saved = self.store.update(
                key, record if replace else written, deleted, lifetime, replace=replace
            )
            return await self._ask(app, saved)
        latest = None
        if session.sid is not None:
            latest = await self._ask(app, self.store.pop(_key(session.sid)))
            if not session.cleared:
                # Where it has ended meanwhile, as by a logout, nothing of it comes back.
                kept = {name: text for name, text in (latest or {}).items() if name not in deleted}
                record = {**kept, **written}
        if latest is None and not record:
            return False
        sid = secrets.token_urlsafe(32)
        await self._ask(app, self.store.create(_key(sid), record, lifetime))
        session.sid = sid
        return True

    async def _ask(self, app: Flask, answer: Awaitable[T]) -> T:
        """Wait for the store. What is wrong with it is logged, and none of the client's business.

        :raises ServiceUnavailable: it has failed.
        """
        try:
            return await answer
        except Exception as error:
            app.logger.exception("The session store failed")
            raise ServiceUnavailable("The sessions are not available at the moment.") from error

    # The cookie.

    def _read_cookie(self, app: Flask, request: Connection) -> str | None:
        value = request.cookies.get(self.get_cookie_name(app))
        if not self._sign or value is None:
            return value
        with suppress(BadSignature):
            return self._signer(app).unsign(value).decode()
        return None

    def _set_cookie(self, app: Flask, session: ServerSideSession, response: Response) -> None:
        value = cast(str, session.sid)
        if self._sign:
            value = self._signer(app).sign(value).decode()
        response.set_cookie(
            self.get_cookie_name(app),
            value,
            expires=self.get_expiration_time(app, session),
            **self._cookie_options(app),
        )

    def _signer(self, app: Flask) -> Signer:
        keys = [*(app.config["SECRET_KEY_FALLBACKS"] or ()), app.secret_key]
        return Signer(
            keys, salt=self.salt, key_derivation="hmac", digest_method=staticmethod(hashlib.sha256)
        )


def _key(sid: str) -> str:
    """What the store calls a session: who can read the store does not learn the ids."""
    return hashlib.sha256(sid.encode("utf-8", "replace")).hexdigest()
