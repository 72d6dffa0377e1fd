"""Sessions that are kept on the server, through real requests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
from itsdangerous import Signer
from markupsafe import Markup

from asyncflask import Flask, flash, get_flashed_messages, request, session, websocket
from asyncflask.ext.sessions import (
    MemoryStore,
    RedisStore,
    ServerSideSession,
    ServerSideSessionInterface,
)
from asyncflask.ext.sessions.interface import _key


def make_app(store: Any, *, sign: bool = False, **config: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(TESTING=True, **config)
    app.session_interface = ServerSideSessionInterface(store, sign=sign)

    @app.post("/<key>/<value>")
    async def write(key: str, value: str) -> str:
        session[key] = value
        return "written"

    @app.get("/")
    async def index() -> dict[str, Any]:
        return dict(session)

    @app.get("/untouched")
    async def untouched() -> str:
        return "untouched"

    @app.post("/clear")
    async def clear() -> str:
        session.clear()
        return "cleared"

    @app.post("/login")
    async def login() -> str:
        own(session).regenerate()
        session["user"] = "ada"
        return "in"

    return app


def own(proxy: Any) -> ServerSideSession:
    found = proxy._get_current_object()
    assert isinstance(found, ServerSideSession)
    return found


def sid_of(client: Any) -> str | None:
    cookie = client.get_cookie("session")
    return None if cookie is None else str(cookie.value)


def cookie_of(response: Any) -> Any:
    return SimpleCookie(response.headers["Set-Cookie"])["session"]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_what_is_written_is_there_in_the_next_request(store: Any, kind: str) -> None:
    """In views of both kinds, with all the types that sessions can hold."""
    app = make_app(store)
    values = {
        "tuple": (1, "2", None),
        "bytes": b"\xff\0",
        "markup": Markup("<b>"),
        "uuid": uuid.uuid4(),
        "datetime": datetime(2026, 1, 2, tzinfo=UTC),
        "nested": {"list": [1.5, {" t": 1}]},
        "ünï": "cödé\ud800",
    }
    seen: list[Any] = []

    def fill() -> str:
        session.update(values)
        return "filled"

    def see() -> str:
        seen.append(dict(session))
        return "seen"

    async def async_fill() -> str:
        return fill()

    async def async_see() -> str:
        return see()

    app.add_url_rule("/fill", view_func=fill if kind == "def" else async_fill)
    app.add_url_rule("/see", view_func=see if kind == "def" else async_see)
    client = app.test_client()
    await client.get("/fill")
    await client.get("/see")
    assert seen == [values]


async def test_the_cookie_holds_an_id_and_the_store_does_not(store: Any) -> None:
    """32 random bytes; the store knows a hash of them."""
    client = make_app(store).test_client()
    await client.post("/a/secret")
    sid = sid_of(client)
    assert sid is not None
    assert len(sid) == 43
    assert await store.load(sid) is None
    assert await store.load(_key(sid)) == {"a": '"secret"'}


async def test_an_unknown_id_is_never_adopted(store: Any) -> None:
    """Whoever plants one finds nothing under it later."""
    client = make_app(store).test_client()
    client.set_cookie("session", "planted")
    assert (await client.get("/")).json() == {}
    await client.post("/a/1")
    assert sid_of(client) not in (None, "planted")
    assert await store.load(_key("planted")) is None
    assert (await client.get("/")).json() == {"a": "1"}


async def test_an_id_is_not_changed_by_writing(store: Any) -> None:
    """Only by `regenerate`."""
    client = make_app(store).test_client()
    await client.post("/a/1")
    before = sid_of(client)
    await client.post("/b/2")
    assert sid_of(client) == before
    assert (await client.get("/")).json() == {"a": "1", "b": "2"}


async def test_a_login_ends_the_id_before_it(store: Any) -> None:
    """What was in the session stays, under an id that nobody else knows."""
    app = make_app(store)
    client = app.test_client()
    await client.post("/cart/1")
    planted = sid_of(client)
    assert planted is not None
    await client.post("/login")
    assert sid_of(client) != planted
    assert (await client.get("/")).json() == {"cart": "1", "user": "ada"}
    attacker = app.test_client()
    attacker.set_cookie("session", planted)
    assert (await attacker.get("/")).json() == {}


async def test_a_new_session_can_be_regenerated(store: Any) -> None:
    """Nothing is special about it, and an empty one is not stored."""
    app = make_app(store)

    @app.post("/regenerate")
    async def regenerate() -> str:
        assert own(session).new
        own(session).regenerate()
        return "done"

    client = app.test_client()
    assert "set-cookie" not in (await client.post("/regenerate")).headers
    await client.post("/login")
    assert (await client.get("/")).json() == {"user": "ada"}


async def test_a_cleared_session_is_deleted(store: Any) -> None:
    """With its cookie. Where there was none, nothing is deleted."""
    client = make_app(store).test_client()
    assert "set-cookie" not in (await client.post("/clear")).headers
    await client.post("/a/1")
    sid = sid_of(client)
    assert sid is not None
    await client.post("/clear")
    assert sid_of(client) is None
    assert await store.load(_key(sid)) is None


async def test_a_session_can_be_cleared_and_filled(store: Any) -> None:
    """Only what was put in afterwards is left, with or without a new id."""
    app = make_app(store)

    @app.post("/restart")
    async def restart() -> str:
        session.clear()
        session["b"] = 2
        if request.args:
            own(session).regenerate()
        return "done"

    for path in ("/restart", "/restart?new=1"):
        client = app.test_client()
        await client.post("/a/1")
        await client.post(path)
        assert (await client.get("/")).json() == {"b": 2}


async def test_an_emptied_session_stays(store: Any) -> None:
    """Without content: a message that was read must not end a session for others."""
    app = make_app(store)

    @app.post("/flash")
    async def say() -> str:
        flash("saved")
        return "flashed"

    @app.get("/messages")
    async def read() -> list[Any]:
        return list(get_flashed_messages())

    client = app.test_client()
    await client.post("/flash")
    assert (await client.get("/messages")).json() == ["saved"]
    assert sid_of(client) is not None
    assert (await client.get("/messages")).json() == []


async def test_a_change_inside_is_told(store: Any) -> None:
    """With `modified`, as for sessions in cookies."""
    app = make_app(store)

    @app.get("/append")
    async def append() -> list[int]:
        numbers: list[int] = session.setdefault("numbers", [])
        numbers.append(len(numbers))
        session.modified = True
        return numbers

    client = app.test_client()
    assert [(await client.get("/append")).json() for _ in range(3)] == [[0], [0, 1], [0, 1, 2]]


# Requests that overlap.


def add_meeting(app: Flask, change: Callable[[Any], Any], path: str) -> None:
    """Add a view that reads the session, waits for all others of its kind, and changes it."""

    @app.post(path, endpoint=path)
    async def view() -> str:
        session.get("x")
        await app.extensions["barrier"].wait()
        change(session)
        return "done"


async def test_overlapping_requests_lose_no_change(store: Any) -> None:
    """Ten open the session together; each writes its own key or deletes one."""
    app = make_app(store)
    app.extensions["barrier"] = asyncio.Barrier(10)
    for number in range(5):
        add_meeting(app, lambda s, n=number: s.__setitem__(f"new{n}", n), f"/set{number}")
        add_meeting(app, lambda s, n=number: s.pop(f"old{n}"), f"/pop{number}")
    client = app.test_client()
    for number in range(6):
        await client.post(f"/old{number}/x")
    paths = [f"/{kind}{number}" for kind in ("set", "pop") for number in range(5)]
    await asyncio.gather(*(client.post(path) for path in paths))
    expected = {"old5": "x", **{f"new{number}": number for number in range(5)}}
    assert (await client.get("/")).json() == expected


async def test_a_logout_wins_over_what_is_saved_later(store: Any) -> None:
    """The session does not come back, nor does its cookie."""
    app = make_app(store)
    began, go_on = asyncio.Event(), asyncio.Event()

    @app.post("/slow")
    async def slow() -> str:
        began.set()
        session["late"] = "1"
        await go_on.wait()
        return "done"

    client = app.test_client()
    await client.post("/user/ada")
    sid = sid_of(client)
    assert sid is not None
    slow_request = asyncio.create_task(client.post("/slow"))
    await began.wait()
    await client.post("/clear")
    go_on.set()
    assert "set-cookie" not in (await slow_request).headers
    assert await store.load(_key(sid)) is None
    assert (await client.get("/")).json() == {}


async def test_a_login_takes_along_what_others_have_saved_meanwhile(store: Any) -> None:
    """Between its begin and its end."""
    app = make_app(store)
    began, go_on = asyncio.Event(), asyncio.Event()

    @app.post("/slow-login")
    async def slow_login() -> str:
        began.set()
        session["user"] = "ada"
        session.pop("old")
        await go_on.wait()
        own(session).regenerate()
        return "in"

    client = app.test_client()
    await client.post("/old/1")
    login = asyncio.create_task(client.post("/slow-login"))
    await began.wait()
    await client.post("/cart/1")
    go_on.set()
    await login
    assert (await client.get("/")).json() == {"cart": "1", "user": "ada"}


async def test_two_logins_at_once_both_succeed(store: Any) -> None:
    """Each has its session, whichever cookie the browser keeps."""
    app = make_app(store)
    app.extensions["barrier"] = asyncio.Barrier(2)

    def log_in(session: Any) -> None:
        own(session).regenerate()
        session["user"] = "ada"

    add_meeting(app, log_in, "/meet")
    client = app.test_client()
    await client.post("/cart/1")
    responses = await asyncio.gather(client.post("/meet"), client.post("/meet"))
    sids = {cookie_of(response).value for response in responses}
    assert len(sids) == 2
    found = []
    for sid in sids:
        other = app.test_client()
        other.set_cookie("session", sid)
        found.append((await other.get("/")).json())
    # What was there before goes to the first.
    assert sorted(found, key=len) == [{"user": "ada"}, {"cart": "1", "user": "ada"}]


@pytest.mark.parametrize("writes", [False, True])
async def test_a_new_id_undoes_no_logout(store: Any, writes: bool) -> None:
    """Who knows the old id must not get what was in the session under a new one."""
    app = make_app(store)
    began, go_on = asyncio.Event(), asyncio.Event()

    @app.post("/slow")
    async def slow() -> str:
        own(session).regenerate()
        if writes:
            session["language"] = "en"
        began.set()
        await go_on.wait()
        return "done"

    client = app.test_client()
    await client.post("/user/ada")
    thief = app.test_client()
    thief.set_cookie("session", str(sid_of(client)))
    slow_request = asyncio.create_task(thief.post("/slow"))
    await began.wait()
    await client.post("/clear")
    go_on.set()
    assert ("set-cookie" in (await slow_request).headers) is writes
    assert (await thief.get("/")).json() == ({"language": "en"} if writes else {})


# Time, cookies, headers.


async def test_a_session_expires(store: Any) -> None:
    """In the store: a stolen cookie is worth nothing later."""
    client = make_app(store, PERMANENT_SESSION_LIFETIME=timedelta(seconds=0.1)).test_client()
    await client.post("/a/1")
    async with asyncio.timeout(5):
        while (await client.get("/")).json():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("refresh", [True, False])
async def test_a_permanent_session_is_refreshed_by_its_use(store: Any, refresh: bool) -> None:
    """Unless that is switched off; a request that leaves it alone does nothing."""
    app = make_app(store, SESSION_REFRESH_EACH_REQUEST=refresh, PERMANENT_SESSION_LIFETIME=60)

    @app.post("/stay")
    async def stay() -> str:
        session.permanent = True
        return "staying"

    client = app.test_client()
    first = cookie_of(await client.post("/stay"))
    assert first["expires"]
    response = await client.get("/")
    assert ("set-cookie" in response.headers) is refresh
    response = await client.get("/untouched")
    assert "set-cookie" not in response.headers


async def test_the_cookie_has_the_attributes_of_the_configuration() -> None:
    """As a session cookie has them."""
    app = make_app(
        MemoryStore(),
        SESSION_COOKIE_PATH="/a",
        SESSION_COOKIE_PARTITIONED=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_DOMAIN="example.com",
    )
    header = (await app.test_client().post("https://example.com/a/1")).headers["Set-Cookie"]
    attributes = set(header.split("; ")[1:])
    assert attributes == {
        "Domain=example.com",
        "Secure",
        "HttpOnly",
        "Path=/a",
        "SameSite=Strict",
        "Partitioned",
    }


async def test_vary_says_who_used_the_session(store: Any) -> None:
    """Only those: that it was loaded first does not count."""
    client = make_app(store).test_client()
    await client.post("/a/1")
    assert "vary" not in (await client.get("/untouched")).headers
    assert (await client.get("/")).headers["Vary"] == "Cookie"


async def test_a_change_after_the_response_began_raises() -> None:
    """It would be lost; so would a new id."""
    app = make_app(MemoryStore())
    errors: list[str] = []

    @app.get("/stream")
    async def stream() -> Any:
        kept = own(session)

        async def pieces() -> Any:
            for change in (kept.regenerate, kept.clear, lambda: kept.update(a=1)):
                try:
                    change()
                except RuntimeError as error:
                    errors.append(str(error))
            yield "done"

        return pieces()

    await app.test_client().get("/stream")
    assert len(errors) == 3


# Signed ids.


async def test_ids_can_be_signed() -> None:
    """Then the store is asked only for what this application has handed out."""
    store = MemoryStore()
    app = make_app(store, sign=True, SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"])
    client = app.test_client()
    await client.post("/a/1")
    cookie = sid_of(client)
    assert cookie is not None
    assert (await client.get("/")).json() == {"a": "1"}
    sid = cookie.rpartition(".")[0]
    client.set_cookie("session", sid)
    assert (await client.get("/")).json() == {}
    app.secret_key, app.config["SECRET_KEY_FALLBACKS"] = "newer", ["new"]
    client.set_cookie("session", cookie)
    assert (await client.get("/")).json() == {"a": "1"}
    app.config["SECRET_KEY_FALLBACKS"] = None
    assert (await client.get("/")).json() == {}
    assert isinstance(app.session_interface, ServerSideSessionInterface)
    assert isinstance(app.session_interface._signer(app), Signer)


async def test_signing_needs_a_key() -> None:
    """The error says what to set. Without signing none is needed."""
    app = make_app(MemoryStore(), sign=True)
    with pytest.raises(RuntimeError, match="no secret key was set"):
        await app.test_client().post("/a/1")


# What goes wrong.


async def test_a_record_that_cannot_be_read_begins_a_new_session(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """And is logged."""
    client = make_app(store).test_client()
    await store.create(_key("sid"), {"a": "no JSON"}, 60)
    client.set_cookie("session", "sid")
    assert (await client.get("/")).json() == {}
    assert "A stored session could not be read" in caplog.text
    assert (await client.post("/a/1")).text == "written"


async def test_a_store_that_is_down_is_an_error_that_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At opening; at saving, after the view has answered, a 500. The log has the reason."""
    store = RedisStore("redis://user:hunter2@127.0.0.1:1")
    app = make_app(store)
    app.testing = False
    client = app.test_client()
    response = await client.post("/a/1")
    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert "set-cookie" not in response.headers
    client.set_cookie("session", "sid")
    response = await client.get("/")
    assert response.status_code == 503
    assert "127.0.0.1" not in response.text
    assert caplog.text.count("The session store failed") == 2
    assert (await app.test_client().get("/")).json() == {}  # without a cookie nobody asks it
    await store.aclose()


async def test_the_application_closes_its_store(redis_server: Any) -> None:
    """At its end."""
    store = RedisStore(redis_server.url)
    app = make_app(MemoryStore())
    interface = ServerSideSessionInterface(store)
    interface.init_app(app)
    assert app.session_interface is interface
    async with app.test_client() as client:
        await client.post("/a/1")
        assert len(store._clients) == 1
    assert len(store._clients) == 0
    async with app.test_client() as client:
        await client.post("/a/1")
        assert (await client.get("/")).json() == {"a": "1"}
    await MemoryStore().aclose()


async def test_a_redis_that_comes_back_is_used_again(redis_server: Any) -> None:
    """Without a restart of the application."""
    store = RedisStore(redis_server.url)
    app = make_app(store)
    app.testing = False
    client = app.test_client()
    await client.post("/a/1")
    redis_server.stop()
    try:
        assert (await client.get("/")).status_code == 503
    finally:
        redis_server.start()
    assert (await client.get("/")).json() == {}  # it keeps nothing on disk
    assert (await client.post("/a/2")).status_code == 200
    assert (await client.get("/")).json() == {"a": "2"}
    await store.aclose()


async def test_websockets_have_the_session(store: Any) -> None:
    """What they change before they accept is saved."""
    app = make_app(store)

    @app.websocket("/ws")
    async def ws() -> None:
        session["seen"] = session.get("a")
        await websocket.send(str(session.get("a")))

    client = app.test_client()
    await client.post("/a/1")
    async with client.websocket("/ws") as connection:
        assert await connection.receive() == "1"
    assert (await client.get("/")).json() == {"a": "1", "seen": "1"}
