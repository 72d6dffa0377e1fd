"""Sessions, beside Flask's."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import flask
import flask.sessions
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer, base64_decode
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from asyncflask import Flask, Response, session
from asyncflask.sessions import (
    NullSession,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
)

Change = Callable[[Any], Any]


def make_app(**config: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key", **config)
    return app


def make_flask(**config: Any) -> flask.Flask:
    app = flask.Flask(__name__, static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key", **config)
    return app


def serializer_of(app: Any) -> URLSafeTimedSerializer:
    serializer = app.session_interface.get_signing_serializer(app)
    assert serializer is not None
    return serializer


# The cookie's value.

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.binary()
    | st.uuids()
    | st.text().map(Markup)
    | st.datetimes(),
    lambda children: (
        st.lists(children)
        | st.lists(children).map(tuple)
        | st.dictionaries(st.text() | st.sampled_from([" t", " di"]), children)
    ),
    max_leaves=12,
)
sessions = st.dictionaries(st.text(), values)

the_app, the_flask = make_app(), make_flask()


@settings(max_examples=60)
@given(sessions)
def test_cookies_are_flasks(data: dict[str, Any]) -> None:
    """To the byte, but that short ones are not compressed; each reads the other's."""
    ours, theirs = serializer_of(the_app), serializer_of(the_flask)
    with the_flask.app_context():
        written = ours.dump_payload(data)
        assert written == theirs.dump_payload(data) or (
            len(base64_decode(written)) < 64
            and ours.load_payload(written) == theirs.load_payload(written)
        )
        assert ours.loads(theirs.dumps(data)) == theirs.loads(ours.dumps(data))


def outcome_of(serializer: Any, cookie: str, max_age: int | None) -> Any:
    try:
        return serializer.loads(cookie, max_age=max_age)
    except BadData as error:
        return type(error), str(error)


@settings(max_examples=200)
@given(
    sessions,
    st.sampled_from(["a key", "old", "foreign"]),
    st.integers(-40, 40),
    st.none() | st.just(20),
    st.none() | st.tuples(st.integers(0, 200), st.sampled_from(".-_=+/aB9\u00fc")),
)
def test_what_is_wrong_with_a_cookie_is_what_itsdangerous_says(
    data: dict[str, Any], key: str, age: int, max_age: int | None, change: tuple[int, str] | None
) -> None:
    """Forged, changed by a letter, of a former key, too old or from the future."""
    ours = serializer_of(make_app(SECRET_KEY_FALLBACKS=["old"]))
    theirs = serializer_of(make_flask(SECRET_KEY_FALLBACKS=["old"]))
    with the_flask.app_context(), pytest.MonkeyPatch.context() as patch:
        now = int(time.time())
        patch.setattr(time, "time", lambda: now - age)
        signer = make_app()
        signer.secret_key = key
        cookie: Any = serializer_of(signer).dumps(data)
        patch.setattr(time, "time", lambda: now)
        if change is not None:
            place = change[0] % len(cookie)
            cookie = cookie[:place] + change[1] + cookie[place + 1 :]
        assert outcome_of(ours, cookie, max_age) == outcome_of(theirs, cookie, max_age)


def test_another_kind_of_serializer_signs_too() -> None:
    """One that writes bytes, as Flask's interface takes it; another salt goes the long way."""

    class Reversed:
        @staticmethod
        def dumps(obj: Any) -> bytes:
            return str(obj).encode()[::-1]

        @staticmethod
        def loads(data: bytes) -> str:
            return data[::-1].decode()

    class Interface(SecureCookieSessionInterface):
        serializer: Any = Reversed

    class FlasksInterface(flask.sessions.SecureCookieSessionInterface):
        serializer: Any = Reversed

    app, other = make_app(), make_flask()
    app.session_interface, other.session_interface = Interface(), FlasksInterface()
    for salt in (None, b"another"):
        cookie: Any = serializer_of(app).dumps("abc", salt)
        assert isinstance(cookie, bytes)
        assert serializer_of(app).loads(cookie, salt=salt) == "abc"
        assert serializer_of(other).loads(cookie, salt=salt) == "abc"
    assert serializer_of(app).loads(serializer_of(app).dumps("abc")) == "abc"


async def test_a_login_is_shared_with_a_flask_application() -> None:
    """There and back, over real requests."""
    app, other = make_app(), make_flask()

    @app.get("/")
    async def index() -> str:
        session["by"] = [*session["by"], "ours"]
        return "done"

    @other.get("/")
    def flasks_index() -> str:
        flask.session["by"] = [*flask.session.get("by", []), "flask"]
        return " ".join(flask.session["by"])

    theirs = other.test_client()
    assert theirs.get("/").text == "flask"
    cookie = theirs.get_cookie("session")
    assert cookie is not None
    client = app.test_client()
    client.set_cookie("session", cookie.value)
    await client.get("/")
    ours = client.get_cookie("session")
    assert ours is not None
    theirs.set_cookie("session", ours.value)
    assert theirs.get("/").text == "flask ours flask"


def answer_of(app: Any, proxy: Any, change: Change, cookie: str | None, url: str) -> Any:
    """Change the session in a view, and return the response to a client with a cookie."""

    def index() -> str:
        change(proxy)
        return "done"

    app.add_url_rule("/", view_func=index)
    make_client = app.test_client if isinstance(app, flask.Flask) else app.sync_test_client
    client = make_client(use_cookies=False)
    headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
    return client.get(url, headers=headers)


def described(response: Any) -> Any:
    """What a response says about the session: its cookie's attributes, and on what it depends."""
    vary, header = response.headers.get("Vary"), response.headers.get("Set-Cookie")
    if header is None:
        return vary, None
    cookie, *parts = header.split("; ")
    name, _, value = cookie.partition("=")
    attributes = {part.partition("=")[0]: part.partition("=")[2] for part in parts}
    expires = attributes.pop("Expires", None)
    left = None
    if expires is not None:
        seconds = (parsedate_to_datetime(expires) - datetime.now(UTC)).total_seconds()
        left = max(0, round(seconds / 60))
    return vary, name, bool(value), attributes, left


def make_permanent(session: Any) -> None:
    session.permanent = True


CHANGES: dict[str, Change] = {
    "write": lambda session: session.update(a=1),
    "read": lambda session: session.get("user"),
    "empty": lambda session: session.clear(),
    "delete": lambda session: session.pop("user", None),
    "change inside": lambda session: setattr(session, "modified", True),
    "make permanent": make_permanent,
    "end permanence": lambda session: setattr(session, "permanent", False),
    "add by operator": lambda session: session.__ior__({"b": 2}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("data", [None, {"user": 7}, {"user": 7, "_permanent": True}])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"SESSION_REFRESH_EACH_REQUEST": False, "SESSION_COOKIE_SECURE": True},
        {
            "SESSION_COOKIE_NAME": "id",
            "SESSION_COOKIE_DOMAIN": "example.com",
            "SESSION_COOKIE_HTTPONLY": False,
            "SESSION_COOKIE_PARTITIONED": True,
            "SESSION_COOKIE_PATH": "/a",
            "PERMANENT_SESSION_LIFETIME": 3600,
        },
    ],
    ids=["defaults", "no refresh", "all else"],
)
def test_the_cookie_is_set_when_flask_sets_it(
    change: str, data: dict[str, Any] | None, config: dict[str, Any]
) -> None:
    """With the same attributes, or deleted, or left alone; and so is `Vary`."""
    config = {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_SAMESITE": "Strict", **config}
    app, other = make_app(**config), make_flask(**config)
    cookie = None if data is None else str(serializer_of(other).dumps(data))
    if cookie is not None and "SESSION_COOKIE_NAME" in config:
        cookie = f"x; id={cookie}"
    url = "http://example.com/"
    ours = described(answer_of(app, session, CHANGES[change], cookie, url))
    theirs = described(answer_of(other, flask.session, CHANGES[change], cookie, url))
    assert ours == theirs


# What differs from Flask: safer defaults.


@pytest.mark.parametrize(
    ("url", "configured", "secure"),
    [
        ("https://localhost/", None, True),
        ("http://localhost/", None, False),
        ("https://localhost/", False, False),
        ("http://localhost/", True, True),
    ],
)
def test_the_cookie_is_secure_on_https(url: str, configured: bool | None, secure: bool) -> None:
    """Unless the configuration says otherwise; it is always `SameSite=Lax` and `HttpOnly`."""
    app = make_app(SESSION_COOKIE_SECURE=configured)
    _, _, _, attributes, _ = described(answer_of(app, session, CHANGES["write"], None, url))
    wanted = {"Path": "/", "SameSite": "Lax", "HttpOnly": ""}
    assert attributes == ({**wanted, "Secure": ""} if secure else wanted)


async def test_only_requests_that_use_a_permanent_session_refresh_its_cookie() -> None:
    """In Flask all do, which opens and signs the session in each of them."""
    app = make_app()
    app.add_url_rule("/", view_func=lambda: "left alone", endpoint="left alone")
    app.add_url_rule("/used", view_func=lambda: f"{session['user']}", endpoint="used")
    client = app.test_client(use_cookies=False)
    headers = {"Cookie": f"session={signed({'user': 7, '_permanent': True})}"}
    assert described(await client.get("/", headers=headers)) == (None, None)
    assert described(await client.get("/used", headers=headers))[1] == "session"


def test_outside_of_requests_the_cookie_is_not_secure() -> None:
    """Nothing is known about the connection there."""
    app = make_app()
    assert app.session_interface.get_cookie_secure(app) is False


def test_a_cookie_that_is_too_large_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Each time, because browsers drop it silently."""
    app = make_app()
    answer_of(app, session, lambda session: session.update(n=list(range(3000))), None, "/")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "more than the 4093 that browsers are sure to keep" in record.getMessage()


def test_the_largest_size_can_be_set(caplog: pytest.LogCaptureFixture) -> None:
    """0 switches the check off."""
    app = make_app(MAX_COOKIE_SIZE=0)
    answer_of(app, session, lambda session: session.update(n=list(range(3000))), None, "/")
    assert not caplog.records


# Cookies that are not good.


class PastSigner(TimestampSigner):
    """Signs as it was done an hour ago."""

    def get_timestamp(self) -> int:
        return int(time.time()) - 3600


def signed(data: Any, key: str = "a key", **options: Any) -> str:
    options = {"salt": "cookie-session", **options}
    signer_kwargs = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    return str(URLSafeTimedSerializer(key, signer_kwargs=signer_kwargs, **options).dumps(data))


GOOD = signed({"user": 7})


@pytest.mark.parametrize(
    "cookie",
    [
        GOOD[:-3] + "AAA",
        "e" + GOOD,
        GOOD.partition(".")[0],
        "x",
        ".",
        "..",
        "\u00fc.\u00fc.\u00fc",
        signed({"user": 7}, key="another key"),
        signed({"user": 7}, salt="another salt"),
        signed({"user": 7}, signer=PastSigner),
        signed({" u": "no uuid"}),
    ],
    ids=[
        "signature",
        "value",
        "no signature",
        "text",
        "empty",
        "emptier",
        "no ASCII",
        "key",
        "salt",
        "old",
        "content",
    ],
)
async def test_a_bad_cookie_begins_a_new_session(cookie: str) -> None:
    """Forged, broken, too old or not a session: nobody gets an error for it."""
    app = make_app(PERMANENT_SESSION_LIFETIME=timedelta(minutes=30))

    @app.get("/")
    async def index() -> dict[str, Any]:
        return dict(session)

    client = app.test_client()
    headers = {"Cookie": f"session={cookie}"}
    assert (await client.get("/", headers=headers)).json() == {}
    assert (await client.get("/", headers={"Cookie": f"session={GOOD}"})).json() == {"user": 7}


# Keys.


async def test_cookies_of_former_keys_are_read() -> None:
    """And written anew with the present one."""
    app = make_app(SECRET_KEY_FALLBACKS=["oldest", b"old"])

    @app.get("/")
    async def index() -> str:
        session["seen"] = True
        return str(session.get("user"))

    client = app.test_client()
    for key in ("oldest", "old", "a key"):
        client.set_cookie("session", signed({"user": 7}, key=key))
        response = await client.get("/")
        assert response.text == "7"
        cookie = client.get_cookie("session")
        assert cookie is not None
        assert serializer_of(make_flask()).loads(cookie.value) == {"user": 7, "seen": True}


def test_former_keys_have_to_be_a_list() -> None:
    """Each letter of a text would be a key that signs."""
    app = make_app(SECRET_KEY_FALLBACKS="old")
    with pytest.raises(TypeError, match=r"SECRET_KEY_FALLBACKS is a str\. Write a list"):
        app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]


def test_what_signs_is_made_once() -> None:
    """For a key; another salt can still be used with it."""
    app = make_app()
    serializer = serializer_of(app)
    assert serializer_of(app) is serializer
    assert serializer.make_signer() is serializer.make_signer(b"cookie-session")
    assert serializer.loads(serializer.dumps({}, salt="another"), salt="another") == {}
    app.secret_key = "another key"
    assert serializer_of(app) is not serializer


async def test_without_a_key_the_session_is_empty_and_cannot_change() -> None:
    """The error says what to set."""
    app = make_app()
    app.secret_key = None

    @app.get("/read")
    async def read() -> str:
        return f"{session.get('user')} {len(session)} {session.permanent}"

    @app.get("/write")
    async def write() -> str:
        session["user"] = 7
        return "written"

    client = app.test_client()
    response = await client.get("/read")
    assert response.text == "None 0 False"
    assert "vary" not in response.headers
    with pytest.raises(RuntimeError, match=r"no secret key was set\. Set 'app\.secret_key'"):
        await client.get("/write")


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.update(a=1),
        lambda session: session.__ior__({"a": 1}),
        lambda session: session.pop("a", None),
        lambda session: session.clear(),
        lambda session: session.setdefault("a", 1),
        lambda session: session.__delitem__("a"),
        lambda session: session.popitem(),
        make_permanent,
    ],
)
def test_no_change_of_a_null_session_passes(change: Change) -> None:
    """However it is made."""
    with pytest.raises(RuntimeError, match="The session is unavailable"):
        change(NullSession())


# Saved is saved.


async def test_a_change_after_the_response_began_raises() -> None:
    """It would be lost. Reading goes on."""
    app = make_app()
    caught: list[str] = []

    @app.get("/")
    async def index() -> Any:
        session["a"] = 1

        async def pieces() -> AsyncIterator[str]:
            yield str(session["a"])
            try:
                session["b"] = 2
            except RuntimeError as error:
                caught.append(str(error))

        return pieces()

    assert (await app.test_client().get("/")).text == "1"
    assert len(caught) == 1
    assert "changed after its cookie was written" in caught[0]


# Sessions kept elsewhere.


class Session(dict[str, Any], SessionMixin):
    """A session as Flask's documentation recommends to make one."""

    key = "1"


class MemoryInterface(SessionInterface):
    """Keeps sessions in memory, under the cookie's value."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def open_session(self, app: Flask, request: Any) -> Session | None:
        self.calls.append("open")
        key = request.cookies.get(self.get_cookie_name(app), "1")
        return Session(self.kept.get(key, {})) if key != "none" else None

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        self.calls.append("save")
        self.kept[session.key] = dict(session)
        response.set_cookie(self.get_cookie_name(app), session.key)


class AsyncMemoryInterface(MemoryInterface):
    """The same, asynchronously."""

    async def open_session(self, app: Flask, request: Any) -> Session | None:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().open_session(app, request)

    async def save_session(self, app: Flask, session: Any, response: Response) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().save_session(app, session, response)


@pytest.mark.parametrize("interface_class", [MemoryInterface, AsyncMemoryInterface])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_another_interface(interface_class: type[MemoryInterface], kind: str) -> None:
    """`def` or `async def`, for views of both kinds."""
    app = make_app()
    app.session_interface = interface = interface_class()

    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    async def async_count() -> str:
        return count()

    app.add_url_rule("/", endpoint="count", view_func=count if kind == "def" else async_count)
    client = app.test_client()
    assert [(await client.get("/")).text for _ in range(3)] == ["1", "2", "3"]
    assert interface.calls == ["open", "save"] * 3
    client.set_cookie("session", "none")
    with pytest.raises(RuntimeError, match="The session is unavailable"):
        await client.get("/")


async def test_a_sync_interface_is_asked_at_the_first_access() -> None:
    """A request that does not use the session costs nothing."""
    app = make_app()
    app.session_interface = interface = MemoryInterface()

    @app.get("/")
    async def index() -> str:
        return "no session"

    response = await app.test_client().get("/")
    assert interface.calls == []
    assert "vary" not in response.headers


@pytest.mark.parametrize("interface_class", [MemoryInterface, AsyncMemoryInterface])
async def test_an_interface_can_ask_for_every_request(
    interface_class: type[MemoryInterface],
) -> None:
    """Then all are opened and saved, as in Flask, whether they use the session or not."""

    class EachRequest(interface_class):  # type: ignore[valid-type, misc]
        each_request = True

    app = make_app()
    app.session_interface = interface = EachRequest()
    app.add_url_rule("/", view_func=lambda: "no session", endpoint="index")
    client = app.test_client()
    for path in ("/", "/missing"):
        await client.get(path)
        assert interface.calls == ["open", "save"]
        interface.calls.clear()


async def test_a_session_that_could_not_be_opened_is_not_saved() -> None:
    """The answer says that something went wrong, and no more does."""

    class Failing(MemoryInterface):
        each_request = True

        def open_session(self, app: Flask, request: Any) -> Any:
            raise OSError("no store")

    app = make_app()
    app.testing = False
    app.session_interface = interface = Failing()
    app.add_url_rule("/", view_func=lambda: "never reached", endpoint="index")
    assert (await app.test_client().get("/")).status_code == 500
    assert interface.calls == []


def test_a_permanent_session_can_be_refreshed_by_every_request() -> None:
    """Side by side with Flask, which does it by itself."""

    class EachRequest(SecureCookieSessionInterface):
        each_request = True

    def headers_of(app: Any, proxy: Any, make_client: Any) -> list[Any]:
        def login() -> str:
            proxy["user"] = 1
            proxy.permanent = True
            return ""

        app.add_url_rule("/login", view_func=login)
        app.add_url_rule("/other", view_func=lambda: "", endpoint="other")
        client = make_client()
        answers = [client.get(path) for path in ("/other", "/login", "/other", "/missing")]
        return [(r.headers.get("Vary"), "Set-Cookie" in r.headers) for r in answers]

    app, theirs = make_app(), flask.Flask(__name__)
    app.session_interface = EachRequest()
    theirs.secret_key = app.secret_key
    expected = headers_of(theirs, flask.session, theirs.test_client)
    assert headers_of(app, session, app.sync_test_client) == expected


def test_an_interface_has_to_define_two_methods() -> None:
    """What is missing is named."""
    app, interface = make_app(), SessionInterface()
    with pytest.raises(NotImplementedError, match="has to define 'open_session'"):
        interface.open_session(app, None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="has to define 'save_session'"):
        interface.save_session(app, Session(), Response())


def test_a_session_that_does_not_know_better_is_modified_and_accessed() -> None:
    """So it is saved each time, and caches are told."""
    plain = Session()
    assert plain.modified
    assert plain.accessed
    assert not plain.new
    assert not plain.permanent
    app, response = make_app(), Response()
    plain["a"] = 1
    with app.test_request_context():
        SecureCookieSessionInterface().save_session(app, plain, response)
    assert "Set-Cookie" in response.headers


def test_vary_is_added_to_what_is_there() -> None:
    """And stands there once."""
    app = make_app()
    for before, after in [("Accept", "Accept, Cookie"), ("cookie", "cookie"), (None, "Cookie")]:
        response = Response(headers={"Vary": before} if before else {})
        SecureCookieSessionInterface().save_session(app, SecureCookieSession(), response)
        assert response.headers["Vary"] == after
    unseen = SecureCookieSession()
    unseen.accessed = False
    response = Response()
    SecureCookieSessionInterface().save_session(app, unseen, response)
    assert "Vary" not in response.headers


def test_the_names_are_flasks() -> None:
    """What code for Flask uses of its sessions module is here."""
    for name in dir(flask.sessions.SecureCookieSessionInterface):
        if not name.startswith("_"):
            assert hasattr(SecureCookieSessionInterface, name), name
    for name in dir(flask.sessions.SessionMixin):
        assert hasattr(SessionMixin, name), name


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_an_asynchronous_interface_opens_before_the_first_hook(kind: str) -> None:
    """And saves only where the session was touched, as one that opens it later."""
    app = make_app()
    app.session_interface = interface = AsyncMemoryInterface()
    calls = interface.calls

    def before() -> None:
        calls.append("before")

    async def async_before() -> None:
        before()

    app.before_request(before if kind == "def" else async_before)
    app.add_url_rule("/", view_func=lambda: "untouched", endpoint="untouched")
    app.add_url_rule("/touched", view_func=lambda: str(len(session)), endpoint="touched")
    client = app.test_client()
    response = await client.get("/")
    assert calls == ["open", "before"]
    assert "set-cookie" not in response.headers
    calls.clear()
    await client.get("/touched")
    assert calls == ["open", "before", "save"]


TOUCHES: dict[str, Change] = {
    "nothing": lambda session: None,
    "contains": lambda session: "user" in session,
    "length": len,
    "iteration": list,
    "get": lambda session: session.get("user"),
    "write": lambda session: session.update(a=1),
}


@pytest.mark.parametrize("touch", TOUCHES)
@pytest.mark.parametrize("outcome", ["answer", "404", "error"])
def test_vary_tells_who_has_touched_the_session(touch: str, outcome: str) -> None:
    """On responses to errors too, and only then; as Flask's."""

    def headers_of(app: Any, proxy: Any, make_client: Any) -> Any:
        def view() -> str:
            TOUCHES[touch](proxy)
            if outcome == "error":
                raise LookupError("broken")
            if outcome == "404":
                raise NotFound
            return "done"

        app.testing = False
        app.logger.disabled = True
        app.add_url_rule("/", view_func=view)
        response = make_client().get("/")
        return response.status_code, response.headers.get("Vary"), "Set-Cookie" in response.headers

    config = {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_SAMESITE": None}
    app, other = make_app(**config), make_flask(**config)
    ours = headers_of(app, session, app.sync_test_client)
    assert ours == headers_of(other, flask.session, other.test_client)


class AsyncCookieInterface(SecureCookieSessionInterface):
    async def open_session(self, app: Flask, request: Any) -> Any:  # type: ignore[override]
        return super().open_session(app, request)


@pytest.mark.parametrize("interface", [SecureCookieSessionInterface(), AsyncCookieInterface()])
async def test_a_session_that_is_first_touched_in_a_stream_cannot_change(interface: Any) -> None:
    """It can be read there, whichever way it was opened."""
    app = make_app()
    app.session_interface = interface
    seen: list[str] = []

    @app.get("/")
    async def index() -> Any:
        async def pieces() -> AsyncIterator[str]:
            seen.append(str(session.get("user")))
            try:
                session["a"] = 1
            except RuntimeError as error:
                seen.append(str(error))
            yield "done"

        return pieces()

    response = await app.test_client().get("/", headers={"Cookie": f"session={GOOD}"})
    assert "vary" not in response.headers
    assert seen[0] == "7"
    assert "changed after its cookie was written" in seen[1]


def test_a_digest_of_ones_own_signs_cookies() -> None:
    """One that OpenSSL does not know by its name is called itself, as by Flask."""

    class Digest:
        digest_size, block_size, name = 20, 64, "our own"

        def __init__(self, data: bytes = b"") -> None:
            self._inner = hashlib.sha1(data)

        def update(self, data: bytes) -> None:
            self._inner.update(data)

        def copy(self) -> Digest:
            copy = Digest()
            copy._inner = self._inner.copy()
            return copy

        def digest(self) -> bytes:
            return self._inner.digest()

        def hexdigest(self) -> str:
            return self._inner.hexdigest()

    class Interface(SecureCookieSessionInterface):
        digest_method = staticmethod(Digest)

    app = make_app()
    app.session_interface = Interface()
    cookie = serializer_of(app).dumps({"user": "ada"})
    assert serializer_of(make_flask()).loads(cookie) == {"user": "ada"}


# The way that needs no response.


def give(session: Any) -> None:
    session["user"] = "ada"


def give_forever(session: Any) -> None:
    session.permanent = True


def give_text(session: Any) -> None:
    session["text"] = "\u00e4" * 100


@pytest.mark.parametrize("name", ["session", "s\u00e4ssion", "a=b"])
@pytest.mark.parametrize(
    "change",
    [give, give_forever, give_text, lambda session: session.clear(), lambda session: len(session)],
    ids=["set", "permanent", "long", "deleted", "read"],
)
async def test_a_plain_value_goes_out_with_the_cookie_that_a_response_has(
    change: Change, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers are the same where hooks want to see a response, and where nobody does."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)

    async def headers_of(*, hook: bool) -> list[tuple[str, str]]:
        app = make_app(SESSION_COOKIE_NAME=name)

        @app.get("/")
        async def index() -> str:
            session["seen"] = 1
            change(session)
            return "done"

        if hook:
            app.after_request(lambda response: response)
        response = await app.test_client().get("/")
        assert response.text == "done"
        parts = response.headers.multi_items()
        return sorted((key, re.sub("[0-9:]{8} GMT", "", value)) for key, value in parts)

    direct = await headers_of(hook=False)
    assert direct == await headers_of(hook=True)
    assert "set-cookie" in dict(direct)


@pytest.mark.parametrize("hook", [True, False])
async def test_a_session_that_says_it_was_not_accessed_varies_nothing(hook: bool) -> None:
    """Whoever looks at it on behalf of nobody takes that back."""
    app = make_app()

    @app.get("/")
    async def index() -> str:
        seen = session.get("user")
        session.accessed = False
        return str(seen)

    if hook:
        app.after_request(lambda response: response)
    response = await app.test_client().get("/")
    assert response.text == "None"
    assert "vary" not in response.headers


async def test_a_null_session_adds_nothing_to_a_plain_value() -> None:
    """It was read, and cannot be saved."""
    app = make_app()
    app.secret_key = None

    @app.get("/")
    async def index() -> str:
        return str(session.get("user"))

    response = await app.test_client().get("/")
    assert response.text == "None"
    assert "vary" not in response.headers
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("permanent", [True, False])
@pytest.mark.parametrize("hook", [True, False])
async def test_a_session_that_cannot_be_written_is_no_matter_for_error_handlers(
    hook: bool, permanent: bool
) -> None:
    """As in Flask: the view has answered. A line break in the settings goes out nowhere."""
    app = make_app(SESSION_COOKIE_NAME="a\r\nb")
    app.testing = False

    @app.get("/")
    async def index() -> str:
        session["seen"] = True
        session.permanent = permanent
        return "done"

    @app.errorhandler(ValueError)
    async def failed(error: ValueError) -> str:
        raise AssertionError("the handler was asked")

    if hook:
        app.after_request(lambda response: response)
    response = await app.test_client().get("/")
    assert response.status_code == 500
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("where", ["class", "instance"])
async def test_an_interface_that_saves_its_own_way_gets_a_response(where: str) -> None:
    """Whether its class or the instance has the method."""
    seen: list[Any] = []

    class Interface(SecureCookieSessionInterface):
        def save_session(self, app: Any, session: Any, response: Any) -> None:
            seen.append(response)
            super().save_session(app, session, response)

    app = make_app()
    interface: Any = Interface()
    if where == "instance":
        save = Interface().save_session
        interface = SecureCookieSessionInterface()
        interface.save_session = save
    app.session_interface = interface

    @app.get("/")
    async def index() -> str:
        session["seen"] = True
        return "done"

    response = await app.test_client().get("/")
    assert [type(each) for each in seen] == [Response]
    assert "set-cookie" in response.headers


async def test_a_subclass_of_the_application_may_have_the_key() -> None:
    """As an attribute of the class, as in Flask."""

    class Shop(Flask):
        secret_key = "key"

    app = Shop(__name__)

    @app.get("/")
    async def index() -> str:
        session["user"] = "Ann"
        return ""

    response = await app.test_client().get("/")
    assert "session=" in response.headers["set-cookie"]
