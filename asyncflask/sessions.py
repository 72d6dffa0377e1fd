"""Sessions: data of one browser that lasts from request to request.

By default it is kept in a signed cookie, which Flask applications with the same key can read and
write too. Another ``SessionInterface`` may keep it anywhere else.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, cast

from itsdangerous import (
    BadData,
    TimestampSigner,
    URLSafeTimedSerializer,
    base64_encode,
    want_bytes,
)
from itsdangerous.encoding import int_to_bytes
from itsdangerous.signer import HMACAlgorithm
from werkzeug.datastructures import CallbackDict
from werkzeug.http import dump_cookie

from asyncflask.json.tag import TaggedJSONSerializer

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.messages.connection import Connection
    from asyncflask.messages.response import Response
    from asyncflask.typing import MaybeAwaitable

    HeaderWriter = Callable[["Flask", "SessionMixin"], list[tuple[bytes, bytes]]]


#: Payloads of fewer bytes are not compressed: zlib saves little and costs as much as the signature.
_SHORT = 64


class SessionMixin(MutableMapping[str, Any]):
    """What a session has besides a dictionary's methods."""

    #: Whether the session was made in this request, where the implementation can tell.
    new = False
    #: Whether the session was changed, where the implementation can tell.
    modified = True
    #: Whether anything was read or written. Sessions are opened at the first access, so by default
    #: one that exists was accessed. The response then says ``Vary: Cookie``.
    accessed = True

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser, by ``PERMANENT_SESSION_LIFETIME``."""
        return bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


def _note_change(session: Any) -> None:
    if session.saved:
        session.refuse(
            "The session was changed after its cookie was written into the response, so the change "
            "would be lost. Change it in the view or a hook, before the response is sent."
        )
    session.modified = True


class SecureCookieSession(CallbackDict[str, Any], SessionMixin):
    """The session that is kept in a signed cookie: its owner can read it, but not change it.

    Changes are noticed where they are made in the dictionary itself. Whoever changes a list or a
    dictionary inside sets ``session.modified = True``.

    :param initial: what the cookie held.
    """

    modified = False
    #: Whether the cookie was written: from then on a change raises ``RuntimeError``.
    saved = False

    def __init__(self, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(initial, _note_change)

    def __setitem__(self, key: str, value: Any) -> None:
        # PERF: its base's is a method around a method around this (scenario: session).
        dict.__setitem__(self, key, value)
        _note_change(self)

    def refuse(self, reason: str) -> None:
        """Called where a change comes too late to be saved.

        :param reason: what has happened and what to do about it.
        :raises RuntimeError: always, with the reason.
        """
        raise RuntimeError(reason)


class NullSession(SecureCookieSession):
    """Stands for the session where there is none: it is empty, and changing it says why."""

    def _fail(self, *_: Any, **__: Any) -> NoReturn:
        raise RuntimeError(
            "The session is unavailable because no secret key was set. Set 'app.secret_key' to "
            "something random and secret, such as the output of: "
            "python -c 'import secrets; print(secrets.token_hex())'"
        )

    __setitem__ = __delitem__ = __ior__ = _fail
    clear = pop = popitem = update = setdefault = _fail


class SessionInterface:
    """Opens and saves sessions. Subclass it and write :meth:`open_session`, :meth:`save_session`.

    Both may be ``async def``. Then the session is opened before the first hook, otherwise at the
    first access; in both cases it is saved only where it was accessed (see :attr:`each_request`).
    Assign an instance to
    ``app.session_interface`` before the application starts.
    """

    #: What :meth:`make_null_session` makes.
    null_session_class = NullSession
    #: Whether sessions are pickled, for extensions that want to know.
    pickle_based = False

    #: Open and save the session of each request, as Flask does, not only where it is used. What
    #: nothing has used is not ``accessed``.
    each_request = False

    #: What :meth:`open_session` and :meth:`save_session` do may block: as ``def`` methods they run
    #: in a worker thread, and the session is opened before the first hook.
    blocking = False

    def in_its_place(self, app: Flask, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return :meth:`open_session` or :meth:`save_session` as the event loop may call it."""
        return app.ensure_async(method) if self.blocking else method

    def make_null_session(self, app: Flask) -> NullSession:
        """Return what stands for the session when :meth:`open_session` gave None."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Whether ``obj`` stands for a missing session; such are not saved."""
        return isinstance(obj, self.null_session_class)

    def get_cookie_name(self, app: Flask) -> str:
        """The cookie's name: ``SESSION_COOKIE_NAME``."""
        value: str = app.config["SESSION_COOKIE_NAME"]
        return value

    def get_cookie_domain(self, app: Flask) -> str | None:
        """The cookie's domain: ``SESSION_COOKIE_DOMAIN``. None: only the host that sets it."""
        value: str | None = app.config["SESSION_COOKIE_DOMAIN"]
        return value

    def get_cookie_path(self, app: Flask) -> str:
        """The cookie's path: ``SESSION_COOKIE_PATH``, else ``APPLICATION_ROOT``."""
        path: str = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
        return path

    def get_cookie_httponly(self, app: Flask) -> bool:
        """Whether scripts cannot read the cookie: ``SESSION_COOKIE_HTTPONLY``."""
        value: bool = app.config["SESSION_COOKIE_HTTPONLY"]
        return value

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie is sent over https only: ``SESSION_COOKIE_SECURE``.

        Where that is None (Flask: False), whether this request came over https.
        """
        secure: bool | None = app.config["SESSION_COOKIE_SECURE"]
        if secure is None:
            scope = app._current_scope()
            return scope is not None and scope.get("scheme") in ("https", "wss")
        return secure

    def get_cookie_samesite(self, app: Flask) -> str | None:
        """``"Lax"``, ``"Strict"``, ``"None"`` or None: ``SESSION_COOKIE_SAMESITE``."""
        value: str | None = app.config["SESSION_COOKIE_SAMESITE"]
        return value

    def get_cookie_partitioned(self, app: Flask) -> bool:
        """Whether the cookie is ``Partitioned``: ``SESSION_COOKIE_PARTITIONED``."""
        value: bool = app.config["SESSION_COOKIE_PARTITIONED"]
        return value

    def _cookie_options(self, app: Flask) -> dict[str, Any]:
        """The attributes of the cookie, as ``set_cookie`` and ``delete_cookie`` take them."""
        return {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> datetime | None:
        """When the cookie expires; None: when the browser is closed."""
        if session.permanent:
            return datetime.now(UTC) + app.permanent_session_lifetime
        return None

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Whether the response sets the cookie.

        It does if the session was changed, or is permanent and ``SESSION_REFRESH_EACH_REQUEST``
        is set.
        """
        return session.modified or (
            session.permanent and cast(bool, app.config["SESSION_REFRESH_EACH_REQUEST"])
        )

    def open_session(self, app: Flask, request: Connection) -> MaybeAwaitable[SessionMixin | None]:
        """Return the session of a request or a WebSocket; None: the null session is used.

        The session is a dictionary with the attributes of :class:`SessionMixin`.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define 'open_session'.")

    def save_session(
        self, app: Flask, session: SessionMixin, response: Response
    ) -> MaybeAwaitable[None]:
        """Save a session that was opened. Called after all hooks, before the response is sent."""
        raise NotImplementedError(f"{type(self).__name__} has to define 'save_session'.")


class _HMAC(HMACAlgorithm):
    """What itsdangerous signs with by default, with the work that depends on the key done once.

    PERF: a third of the cost of a new ``hmac`` object per signature (scenario: session).
    """

    def __init__(self, digest_method: Any) -> None:
        super().__init__(digest_method)
        self.keyed = functools.cache(self._keyed)

    def _keyed(self, key: bytes) -> Callable[[bytes], bytes]:
        digest: Any = self.digest_method
        name = getattr(digest(), "name", None)
        if name in hashlib.algorithms_guaranteed:  # by its name OpenSSL does it, if it has it
            digest = name
        keyed = hmac.new(key, digestmod=digest)

        def sign(value: bytes) -> bytes:
            signing = keyed.copy()
            signing.update(value)
            return signing.digest()

        return sign

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return self.keyed(key)(value)


class _Signer(TimestampSigner):
    """Derives each key once; its base does so for each signature."""

    def __init__(self, secret_key: Any, *, digest_method: Any, **kwargs: Any) -> None:
        super().__init__(
            secret_key, digest_method=digest_method, algorithm=_HMAC(digest_method), **kwargs
        )
        self.derive_key = functools.cache(self.derive_key)  # type: ignore[method-assign]


class _SigningSerializer(URLSafeTimedSerializer):
    """Signs and checks with its own key at once, and compresses only what may become shorter.

    PERF: a third of the cost of checking and writing a cookie (scenario: session).
    """

    default_signer = _Signer

    def make_signer(self, salt: str | bytes | None = None) -> Any:
        return self._signer if salt in (None, self.salt) else super().make_signer(salt)

    @functools.cached_property
    def _signer(self) -> Any:
        return super().make_signer()

    @functools.cached_property
    def _sign(self) -> Callable[[bytes], bytes]:
        sign: Callable[[bytes], bytes] = self._signer.algorithm.keyed(self._signer.derive_key())
        return sign

    def loads(  # type: ignore[override]  # as its base's, which has not its base's either
        self, s: str | bytes, max_age: int | None = None, *args: Any, **options: Any
    ) -> Any:
        """Return what was signed: at once if all is well, else the long way, which says why."""
        signed, _, signature = (s.encode() if isinstance(s, str) else s).rpartition(b".")
        payload, _, signed_at = signed.rpartition(b".")
        compressed = payload.startswith(b".")
        if payload and not (compressed or args or options) and self.is_text_serializer:
            try:
                if hmac.compare_digest(_encode_base64(self._sign(signed)), signature):
                    age = int(time.time()) - int.from_bytes(_decode_base64(signed_at), "big")
                    if max_age is None or 0 <= age <= max_age:
                        return self.serializer.loads(_decode_base64(payload).decode())
            except Exception:
                pass
        return super().loads(s, max_age, *args, **options)

    def dumps(self, obj: Any, salt: str | bytes | None = None) -> Any:
        """Return ``obj`` signed, with the time."""
        if salt not in (None, self.salt):
            return super().dumps(obj, salt)
        signed = self.dump_payload(obj) + _written_time(int(time.time()))
        value = signed + b"." + _encode_base64(self._sign(signed))
        return value.decode() if self.is_text_serializer else value

    def dump_payload(self, obj: Any) -> bytes:
        # What is read may be compressed or not.
        text = want_bytes(self.serializer.dumps(obj))
        return _encode_base64(text) if len(text) < _SHORT else super().dump_payload(obj)


# PERF: without the calls in between; itsdangerous goes through `base64` (scenario: session).


def _encode_base64(data: bytes) -> bytes:
    """Return base64 as itsdangerous writes it: for URLs, without the padding."""
    return b2a_base64(data, newline=False).translate(_TO_URLS).rstrip(b"=")


def _decode_base64(text: bytes) -> bytes:
    return a2b_base64(text.translate(_FROM_URLS) + b"=" * (-len(text) % 4))


_TO_URLS = bytes.maketrans(b"+/", b"-_")
_FROM_URLS = bytes.maketrans(b"-_", b"+/")


@functools.lru_cache(maxsize=1)
def _written_time(seconds: int) -> bytes:
    """Return a time as cookies have it. PERF: one at a time (scenario: session)."""
    return b"." + base64_encode(int_to_bytes(seconds))


# PERF: a union in `isinstance` would be made anew each time (scenario: session).
_TEXT = (str, bytes)


@functools.lru_cache(maxsize=32)
def _signing_serializer(
    keys: tuple[Any, ...], salt: str, serializer: Any, key_derivation: str, digest: Any
) -> URLSafeTimedSerializer:
    return _SigningSerializer(
        keys,
        salt=salt,
        serializer=serializer,
        signer_kwargs={"key_derivation": key_derivation, "digest_method": digest},
    )


def _sha1(string: bytes = b"") -> Any:
    # Looked up when it is called: a FIPS build may have none, and another method be configured.
    return hashlib.sha1(string)


#: What sessions are written with; tags for more types can be registered with it.
session_json_serializer = TaggedJSONSerializer()


class SecureCookieSessionInterface(SessionInterface):
    """Keeps sessions in signed cookies, which Flask applications with the same key share.

    The attributes of the class are Flask's: change them in a subclass.
    """

    salt = "cookie-session"
    digest_method = staticmethod(_sha1)
    key_derivation = "hmac"
    serializer = session_json_serializer
    session_class = SecureCookieSession

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return what signs and checks the cookies, None where there is no secret key.

        Cookies signed with one of ``SECRET_KEY_FALLBACKS`` are read, new ones are signed with
        ``SECRET_KEY``.

        :raises TypeError: ``SECRET_KEY_FALLBACKS`` is not a list.
        """
        config = app.config
        key = config["SECRET_KEY"] or app.secret_key  # an attribute that a subclass may have
        if not key:
            return None
        fallbacks = config["SECRET_KEY_FALLBACKS"] or ()
        if isinstance(fallbacks, _TEXT):
            # Each of its letters would be a key.
            raise TypeError(
                f"SECRET_KEY_FALLBACKS is a {type(fallbacks).__name__}. Write a list of keys: "
                "app.config['SECRET_KEY_FALLBACKS'] = [old_key]."
            )
        return _signing_serializer(
            (*fallbacks, key),
            self.salt,
            self.serializer,
            self.key_derivation,
            self.digest_method,
        )

    def open_session(self, app: Flask, request: Connection) -> SecureCookieSession | None:
        """Read the session from its cookie; one that is forged, broken or too old is a new one."""
        serializer = self.get_signing_serializer(app)
        if serializer is None:
            return None
        cookie = request._cookie(self.get_cookie_name(app))
        if not cookie:
            return self.session_class()
        max_age = int(app.permanent_session_lifetime.total_seconds())
        try:
            return self.session_class(serializer.loads(cookie, max_age=max_age))
        except BadData:
            return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write the cookie where it is due; delete it where the session was emptied."""
        cookie, varies = self._save(app, session)
        if cookie is not None:
            response.headers.add("Set-Cookie", cookie)
        if varies:
            _vary_on_cookie(response)

    def headers_for(self, app: Flask, session: SessionMixin) -> list[tuple[bytes, bytes]]:
        """Return what :meth:`save_session` would add to a response without headers of its own.

        PERF: a plain value needs no response for its session (scenario: session).
        """
        if self.is_null_session(session):
            return []
        cookie, varies = self._save(app, session)
        headers = [] if cookie is None else [(b"set-cookie", cookie.encode("latin-1", "replace"))]
        if varies:
            headers.append((b"vary", b"Cookie"))
        return headers

    def _save(self, app: Flask, session: SessionMixin) -> tuple[str | None, bool]:
        """Return the cookie to set, if any, and whether the response varies with the cookies."""
        accessed = session.accessed  # by others: the questions below are accesses, too
        sets_cookie = self.should_set_cookie(app, session) if session else session.modified
        cookie = self._cookie(app, session) if sets_cookie else None
        if isinstance(session, SecureCookieSession):
            session.saved = True
        return cookie, sets_cookie or accessed

    def _cookie(self, app: Flask, session: SessionMixin) -> str:
        name = self.get_cookie_name(app)
        options = self._cookie_options(app)
        if not session:
            return _write_cookie(name, "", expires=0, max_age=0, **options)
        serializer = cast(URLSafeTimedSerializer, self.get_signing_serializer(app))
        value = serializer.dumps(dict(session))
        expires = self.get_expiration_time(app, session)
        if expires is None and name.isascii() and _SAFE.fullmatch(value):
            cookie = f"{name}={value}{_attributes(name, **options)}"
        else:
            cookie = _write_cookie(name, value, expires=expires, **options)
        _check_size(app, cookie)
        return cookie


def header_writer(interface: SessionInterface) -> HeaderWriter | None:
    """Return what gives the headers that save a session; None where it is saved another way."""
    if not isinstance(interface, SecureCookieSessionInterface):
        return None
    save_session: Any = interface.save_session
    if getattr(save_session, "__func__", None) is not SecureCookieSessionInterface.save_session:
        return None
    return interface.headers_for


#: What stands in a cookie as it is; itsdangerous writes nothing else.
_SAFE = re.compile(r"[\w.-]+", re.ASCII)


def _write_cookie(name: str, value: str, **options: Any) -> str:
    # Werkzeug's own check of the size warns once in a process; the log tells it each time.
    cookie = dump_cookie(name, value, max_size=0, **options)
    if "\r" in cookie or "\n" in cookie:
        raise ValueError(
            f"The session cookie {cookie!r} has a line break. Look at the SESSION_COOKIE_... "
            "settings."
        )
    return cookie


@functools.lru_cache(maxsize=32)
def _attributes(name: str, **options: Any) -> str:
    """What follows the value of a cookie. PERF: the same each time (scenario: session)."""
    return _write_cookie(name, "", **options).removeprefix(f"{name}=")


def _vary_on_cookie(response: Response) -> None:
    # PERF: `response.vary` parses and watches the header (scenario: session, with hooks).
    if "Vary" in response.headers:
        response.vary.add("Cookie")
    else:
        response.headers.add("Vary", "Cookie")


def _check_size(app: Flask, cookie: str) -> None:
    limit: int = app.config["MAX_COOKIE_SIZE"]
    if limit and len(cookie) > limit:
        app.logger.warning(
            "The session cookie has %d bytes, more than the %d that browsers are sure to keep, so "
            "the session may be lost. Keep less in it, or store it elsewhere with another "
            "session_interface.",
            len(cookie),
            limit,
        )
