"""Sessions: a dictionary that lasts from one request of a browser to its next.

By default it is kept in a signed cookie, byte for byte as Flask does, so that a Flask application
with the same ``SECRET_KEY`` shares it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, MutableMapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.datastructures import CallbackDict

from asyncflask.json.tag import TaggedJSONSerializer

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.messages.request import BaseRequest
    from asyncflask.messages.response import Response
    from asyncflask.typing import MaybeAwaitable

_log = logging.getLogger("asyncflask")


class SessionMixin(MutableMapping[str, Any]):
    """What a session has besides being a dictionary."""

    #: Whether it is new. Sessions in cookies do not know.
    new = False
    #: Whether it has changed. Changes inside of values are not noticed: set it to True for them.
    modified = True
    #: Whether it was looked at; responses that depend on it say so to caches.
    accessed = True

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser, by ``PERMANENT_SESSION_LIFETIME``."""
        return bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


class SecureCookieSession(CallbackDict[str, Any], SessionMixin):
    """A session in a signed cookie: the client can read it, but not change it."""

    modified = False

    def __init__(self, initial: dict[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        def on_update(session: CallbackDict[str, Any]) -> None:
            self.modified = True

        super().__init__(initial, on_update)


class NullSession(SecureCookieSession):
    """The session of an application without a ``SECRET_KEY``: it is empty and stays so."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            "The session is not available because no secret key was set. Set app.secret_key to "
            "something unique and secret, from the environment or a file that is not published."
        )

    __setitem__ = __delitem__ = clear = pop = popitem = update = setdefault = _refuse  # type: ignore[assignment]  # all refuse


class SessionInterface:
    """How sessions are opened and saved; subclass it to keep them elsewhere.

    ``open_session`` and ``save_session`` may be ``async def``.
    """

    null_session_class = NullSession

    def make_null_session(self, app: Flask) -> NullSession:
        """Return the session for when :meth:`open_session` gave none."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Whether ``obj`` is such a session, which is not saved."""
        return isinstance(obj, self.null_session_class)

    def get_cookie_name(self, app: Flask) -> str:
        """The name of the cookie: ``SESSION_COOKIE_NAME``."""
        return str(app.config["SESSION_COOKIE_NAME"])

    def get_cookie_domain(self, app: Flask) -> str | None:
        """The domain of the cookie; None for the host itself only: ``SESSION_COOKIE_DOMAIN``."""
        domain: str | None = app.config["SESSION_COOKIE_DOMAIN"]
        return domain

    def get_cookie_path(self, app: Flask) -> str:
        """The path of the cookie: ``SESSION_COOKIE_PATH``, else ``APPLICATION_ROOT``."""
        path: str = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
        return path

    def get_cookie_httponly(self, app: Flask) -> bool:
        """Whether scripts cannot read the cookie: ``SESSION_COOKIE_HTTPONLY``."""
        return bool(app.config["SESSION_COOKIE_HTTPONLY"])

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie goes over HTTPS only: ``SESSION_COOKIE_SECURE``, None for on HTTPS."""
        secure: bool | None = app.config["SESSION_COOKIE_SECURE"]
        if secure is not None:
            return secure
        scope = app._current_scope()
        return scope is not None and scope.get("scheme") == "https"

    def get_cookie_samesite(self, app: Flask) -> str | None:
        """When other sites' requests carry the cookie: ``SESSION_COOKIE_SAMESITE``."""
        samesite: str | None = app.config["SESSION_COOKIE_SAMESITE"]
        return samesite

    def get_cookie_partitioned(self, app: Flask) -> bool:
        """Whether the cookie is kept per embedding site: ``SESSION_COOKIE_PARTITIONED``."""
        return bool(app.config["SESSION_COOKIE_PARTITIONED"])

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> datetime | None:
        """When the cookie ends; None for when the browser closes."""
        if not session.permanent:
            return None
        return datetime.now(timezone.utc) + app.permanent_session_lifetime

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Whether the cookie is sent: for changes, and each time for permanent sessions."""
        return session.modified or (
            session.permanent and bool(app.config["SESSION_REFRESH_EACH_REQUEST"])
        )

    def open_session(
        self, app: Flask, request: BaseRequest
    ) -> MaybeAwaitable[SessionMixin | None]:
        """Return the session of a request, None where sessions cannot work."""
        raise NotImplementedError

    def save_session(
        self, app: Flask, session: SessionMixin, response: Response
    ) -> MaybeAwaitable[None]:
        """Put the session into the response. Called if it was opened and is no null session."""
        raise NotImplementedError


def _sha1(string: bytes = b"") -> Any:
    return hashlib.sha1(string)


class SecureCookieSessionInterface(SessionInterface):
    """Keeps sessions in signed cookies, as Flask's class of that name.

    The class attributes are Flask's: the cookie is readable by a Flask application that has the
    same ones.
    """

    salt = "cookie-session"
    digest_method: Callable[[bytes], Any] = staticmethod(_sha1)
    key_derivation = "hmac"
    serializer = TaggedJSONSerializer()
    session_class = SecureCookieSession

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return what signs and checks, None without a secret key."""
        if not app.secret_key:
            return None
        keys = (*(app.config["SECRET_KEY_FALLBACKS"] or ()), app.secret_key)
        return _signer(keys, self.salt, self.serializer, self.key_derivation, self.digest_method)

    def open_session(self, app: Flask, request: BaseRequest) -> SecureCookieSession | None:
        """Return the session in the cookie; a new one if there is none, or it is not ours."""
        signer = self.get_signing_serializer(app)
        if signer is None:
            return None
        value = request.cookies.get(self.get_cookie_name(app))
        if not value:
            return self.session_class()
        max_age = int(app.permanent_session_lifetime.total_seconds())
        try:
            return self.session_class(signer.loads(value, max_age=max_age))
        except BadSignature:
            return self.session_class()
        except Exception:  # rightly signed, by something that writes sessions another way
            _log.warning("A session cookie with a good signature could not be read")
            return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set or delete the cookie if needed; ``Vary: Cookie`` in any case."""
        if session.accessed or session.modified:
            response.vary.add("Cookie")
        attributes: dict[str, Any] = {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "partitioned": self.get_cookie_partitioned(app),
            "samesite": self.get_cookie_samesite(app),
            "httponly": self.get_cookie_httponly(app),
        }
        name = self.get_cookie_name(app)
        if not session:
            if session.modified:
                response.delete_cookie(name, **attributes)
            return
        signer = self.get_signing_serializer(app)
        if signer is None or not self.should_set_cookie(app, session):
            return
        value = signer.dumps(dict(session))
        value = value if isinstance(value, str) else value.decode("ascii")
        response.set_cookie(name, value, expires=self.get_expiration_time(app, session), **attributes)


@lru_cache(maxsize=64)
def _signer(
    keys: tuple[str | bytes, ...],
    salt: str,
    serializer: Any,
    key_derivation: str,
    digest_method: Callable[[bytes], Any],
) -> URLSafeTimedSerializer:
    # PERF: the same for every request of an application (scenario: session).
    return URLSafeTimedSerializer(
        keys,
        salt=salt,
        serializer=serializer,
        signer_kwargs={"key_derivation": key_derivation, "digest_method": digest_method},
    )
