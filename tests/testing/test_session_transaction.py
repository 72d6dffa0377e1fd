"""Sessions that a test opens and saves itself."""

from __future__ import annotations

import threading
from typing import Any

import flask
import pytest

from asyncflask import Flask, Response, g, request, session
from asyncflask.ext.sessions import MemoryStore, ServerSideSessionInterface
from asyncflask.sessions import SecureCookieSessionInterface


class AsyncInterface(SecureCookieSessionInterface):
    async def open_session(self, app: Any, request: Any) -> Any:  # type: ignore[override]
        return super().open_session(app, request)

    async def save_session(self, app: Any, session: Any, response: Response) -> None:  # type: ignore[override]
        super().save_session(app, session, response)


INTERFACES = {
    "def": SecureCookieSessionInterface,
    "async def": AsyncInterface,
    "server": lambda: ServerSideSessionInterface(MemoryStore()),
}


@pytest.fixture(params=INTERFACES)
def app(request: pytest.FixtureRequest) -> Flask:
    app = Flask("transactions", static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key")
    app.session_interface = INTERFACES[request.param]()

    @app.get("/")
    def index() -> dict[str, Any]:
        session["seen"] = session.get("seen", 0) + 1
        return dict(session)

    return app


def test_a_test_prepares_and_looks_at_the_session(app: Flask) -> None:
    """With the sync client."""
    client = app.sync_test_client()
    with client.session_transaction() as stored:
        assert not stored
        stored["user"] = 7
    assert client.get("/").json() == {"user": 7, "seen": 1}
    with client.session_transaction() as stored:
        assert stored["seen"] == 1
        del stored["user"]
    assert client.get("/").json() == {"seen": 2}
    client.close()


async def test_the_async_client_does_so_with_async_with(app: Flask) -> None:
    """For interfaces of all kinds."""
    client = app.test_client()
    async with client.session_transaction() as stored:
        assert not stored
        stored["user"] = 7
    assert (await client.get("/")).json() == {"user": 7, "seen": 1}
    async with client.session_transaction() as stored:
        stored.clear()
    assert (await client.get("/")).json() == {"seen": 1}


async def test_an_error_in_the_block_saves_nothing(app: Flask) -> None:
    """As in Flask."""
    client = app.test_client()

    async def fail() -> None:
        async with client.session_transaction() as stored:
            stored["user"] = 7
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert client.get_cookie("session") is None


def test_it_stands_beside_what_a_with_block_keeps(app: Flask) -> None:
    """And has no part in it. No teardown function runs for it."""
    ended: list[object] = []
    app.teardown_request(lambda error: ended.append(error))
    with app.sync_test_client() as client:
        client.get("/")
        kept = request._get_current_object()  # type: ignore[attr-defined]
        with client.session_transaction() as stored:
            assert request == kept
            stored["user"] = 7
        assert request == kept
        assert dict(session)["seen"] == 1
        assert len(ended) == 1
        g.x = 1


def test_a_def_interface_runs_in_the_tests_thread() -> None:
    """So it can use what the test has made."""
    app = Flask("threads", static_folder=None)
    app.secret_key = "a key"
    threads: list[threading.Thread] = []

    class Interface(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            threads.append(threading.current_thread())
            return super().open_session(app, request)

    app.session_interface = Interface()
    with app.sync_test_client() as client, client.session_transaction():
        assert threads == [threading.current_thread()]


@pytest.mark.parametrize(
    ("use_cookies", "key", "error", "message"),
    [
        (False, "a key", TypeError, "Cookies are disabled."),
        (True, None, RuntimeError, "Session backend did not open a session"),
    ],
)
async def test_where_there_can_be_no_session_the_error_is_flasks(
    use_cookies: bool, key: str | None, error: type[Exception], message: str
) -> None:
    """And says more about what to do."""
    other = flask.Flask("none", static_folder=None)
    other.secret_key = key
    with (
        pytest.raises(error, match=message),
        other.test_client(use_cookies=use_cookies).session_transaction(),
    ):
        pass
    app = Flask("none", static_folder=None)
    app.secret_key = key
    with pytest.raises(error, match=message):
        async with app.test_client(use_cookies=use_cookies).session_transaction():
            pass
    with (
        pytest.raises(error, match=message),
        app.sync_test_client(use_cookies=use_cookies).session_transaction(),
    ):
        pass


async def test_null_sessions_are_not_saved() -> None:
    """An interface may open them itself."""
    app = Flask("null", static_folder=None)

    class Interface(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            return self.make_null_session(app)

    app.session_interface = Interface()
    client, sync_client = app.test_client(), app.sync_test_client()
    async with client.session_transaction() as stored:
        assert not stored
    with sync_client.session_transaction() as stored:
        assert not stored
    assert client.get_cookie("session") is None


async def test_the_session_is_that_of_a_request() -> None:
    """Which is described with the client's own arguments."""
    app = Flask("paths", static_folder=None)
    app.config.update(SECRET_KEY="a key", SESSION_COOKIE_PATH="/a", SESSION_COOKIE_SECURE=True)

    @app.get("/<path:path>")
    async def show(path: str) -> dict[str, Any]:
        return dict(session)

    client = app.test_client()
    async with client.session_transaction("/a", headers={"X-Kind": "test"}) as stored:
        stored["user"] = 7
    assert (await client.get("/a")).json() == {"user": 7}
    assert (await client.get("/b")).json() == {}
    async with client.session_transaction("/a/x", base_url="https://localhost") as stored:
        assert stored["user"] == 7
