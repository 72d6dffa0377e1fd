"""Contexts: each request has one, which extensions key on, and releases it once."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import (
    Flask,
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    g,
    request,
    session,
)
from flask.globals import app_ctx

from asyncflask.testing import FlaskClient
from tests.wire import until

#: Tells what the extension keeps for the request that runs. It is to be the name of its user.
Own = Callable[[], str]
#: Sets an extension up, in an application, with a folder, and with what is to be ended.
Use = Callable[[Flask, Path, ExitStack], Own]

#: Pages would get a toolbar.
TEXT = {"Content-Type": "text/plain"}


def name() -> str:
    """Who asks."""
    return request.args["name"]


def use_sqlalchemy(app: Flask, folder: Path, end: ExitStack) -> Own:
    """A session of its own, whose connection is the request's until it is released."""
    from flask_sqlalchemy import SQLAlchemy

    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/test.db"
    # One connection for each request: those that wait for one would block the event loop.
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 100}
    db = SQLAlchemy(app)
    with app.app_context():
        end.callback(db.engine.dispose)

    @app.before_request
    def note() -> None:
        db.session.info["name"] = name()

    return lambda: db.session.execute(db.select(db.literal(db.session.info["name"]))).scalar_one()


def use_login(app: Flask, _: Path, __: ExitStack) -> Own:
    """The current user, loaded at the first use."""
    from flask_login import LoginManager, UserMixin, current_user

    class User(UserMixin):
        def __init__(self, name: str) -> None:
            self.id = name

    LoginManager(app).request_loader(lambda request: User(request.args["name"]))
    return lambda: str(current_user.id)


def use_session(app: Flask, folder: Path, _: ExitStack) -> Own:
    """A session that is kept on the server."""
    from cachelib import FileSystemCache
    from flask_session import Session

    app.config["SESSION_TYPE"] = "cachelib"
    app.config["SESSION_CACHELIB"] = FileSystemCache(str(folder))
    Session(app)

    @app.before_request
    def note() -> None:
        session["name"] = name()

    return lambda: str(session["name"])


def use_babel(app: Flask, _: Path, __: ExitStack) -> Own:
    """A time zone, which the extension asks for once in a request."""
    from flask_babel import Babel, get_timezone

    Babel(app, timezone_selector=lambda: timezone(timedelta(minutes=int(name()))))

    def own() -> str:
        offset = get_timezone().utcoffset(None)
        assert offset is not None
        return f"{offset // timedelta(minutes=1)}"

    return own


def use_principal(app: Flask, _: Path, __: ExitStack) -> Own:
    """An identity, loaded before the view."""
    from flask_principal import Identity, Principal

    Principal(app, use_sessions=False).identity_loader(lambda: Identity(name()))
    return lambda: str(g.identity.id)


def use_limiter(app: Flask, _: Path, __: ExitStack) -> Own:
    """A limit for each user, of which the extension knows which was met."""
    from flask_limiter import Limiter

    limiter = Limiter(name, app=app, default_limits=["99 per hour"], storage_uri="memory://")

    def own() -> str:
        limit = limiter.current_limit
        assert limit is not None
        return limit.request_args[0]

    return own


def use_debugtoolbar(app: Flask, _: Path, __: ExitStack) -> Own:
    """A toolbar, which looks into the request from its beginning to its end."""
    from flask_debugtoolbar import DebugToolbarExtension

    app.debug = True
    extension = DebugToolbarExtension(app)

    def own() -> str:
        toolbar = extension.debug_toolbars_var.get()[request._get_current_object()]
        return str(toolbar.request.args["name"])

    return own


class Site:
    """An application with an extension, and what its contexts have gone through."""

    def __init__(self, use: Use, folder: Path, end: ExitStack) -> None:
        self.app = Flask(__name__)
        self.app.secret_key = "secret"
        self.own = use(self.app, folder, end)
        self.contexts: list[Any] = []  # kept alive, so that no other has the id of one
        self.pushed: Counter[int] = Counter()
        self.torn_down: Counter[int] = Counter()
        self.popped = 0
        #: How often the functions of a request and of an application context were called.
        self.teardowns: Counter[str] = Counter()
        self.begun = 0
        self.may_go_on = threading.Event()
        self.add_views()
        self.watch()

    def watch(self) -> None:
        appcontext_pushed.connect(self.note_push, self.app)
        appcontext_tearing_down.connect(self.note_teardown, self.app)
        appcontext_popped.connect(self.note_pop, self.app)
        self.app.teardown_request(lambda exc: self.teardowns.update(["request"]))
        self.app.teardown_appcontext(lambda exc: self.teardowns.update(["appcontext"]))

    def note_push(self, _: Any, **__: Any) -> None:
        context = app_ctx._get_current_object()
        self.contexts.append(context)
        self.pushed[id(context)] += 1

    def note_teardown(self, _: Any, **__: Any) -> None:
        self.torn_down[id(app_ctx._get_current_object())] += 1

    def note_pop(self, _: Any, **__: Any) -> None:
        self.popped += 1

    def add_views(self) -> None:
        app = self.app

        @app.get("/def")
        def in_def() -> Any:
            return self.own(), TEXT

        @app.get("/async")
        async def in_async() -> Any:
            first = self.own()
            await asyncio.sleep(0.01)
            return (first, TEXT) if self.own() == first else "mixed up"

        @app.get("/error/def")
        def fail_in_def() -> Any:
            raise RuntimeError(self.own())

        @app.get("/error/async")
        async def fail_in_async() -> Any:
            await asyncio.sleep(0)
            raise RuntimeError(self.own())

        @app.get("/slow/def")
        def be_slow_in_def() -> Any:
            self.begun += 1
            self.may_go_on.wait(20)
            return self.own(), TEXT

        @app.get("/slow/async")
        async def be_slow_in_async() -> Any:
            self.begun += 1
            await until(self.may_go_on.is_set)
            return self.own(), TEXT, TEXT

    async def assert_all_released(self, count: int) -> None:
        """There were so many contexts, and each was pushed, torn down and popped once."""
        await until(lambda: self.popped >= count)
        assert list(self.pushed.values()) == [1] * count
        assert self.torn_down == self.pushed
        assert self.popped == count
        assert self.teardowns == {"request": count, "appcontext": count}


def with_extension(use: Use, extension: str, package: str = "") -> Any:
    mark = pytest.mark.neighbour(extension, kind="extension", package=package or extension)
    return pytest.param(use, marks=mark, id=extension)


EACH = pytest.mark.parametrize(
    "site",
    [
        with_extension(use_sqlalchemy, "Flask-SQLAlchemy"),
        with_extension(use_login, "Flask-Login"),
        with_extension(use_session, "Flask-Session"),
        with_extension(use_babel, "Flask-Babel", "flask-babel"),
        with_extension(use_principal, "Flask-Principal"),
        with_extension(use_limiter, "Flask-Limiter"),
        with_extension(use_debugtoolbar, "Flask-DebugToolbar"),
    ],
    indirect=True,
)


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as end:
        yield Site(request.param, tmp_path, end)


@EACH
async def test_each_of_many_requests_has_one_context_that_is_released_once(site: Site) -> None:
    """Views of both kinds, fifty at once, and what the extension keeps is never mixed up."""
    client = FlaskClient(site.app)
    users = [str(i) for i in range(50)]
    paths = ["/def", "/async"] * 25
    got = [client.get(path, query_string={"name": u}) for path, u in zip(paths, users, strict=True)]
    assert [response.text for response in await asyncio.gather(*got)] == users
    await site.assert_all_released(50)


@EACH
async def test_contexts_are_released_once_after_errors(site: Site) -> None:
    """Unhandled ones, twenty at once, and a page that is not there."""
    client = FlaskClient(site.app, raise_app_exceptions=False)
    paths = ["/error/def", "/error/async", "/nowhere"] * 7
    got = [client.get(path, query_string={"name": str(i)}) for i, path in enumerate(paths)]
    statuses = [response.status_code for response in await asyncio.gather(*got)]
    assert statuses == [500, 500, 404] * 7
    await site.assert_all_released(21)


@EACH
async def test_contexts_are_released_once_after_clients_that_went_away(site: Site) -> None:
    """The views go on to their end, in a worker or on the loop."""
    client = FlaskClient(site.app)
    paths = ["/slow/def", "/slow/async"] * 5
    tasks = [
        asyncio.create_task(client.get(path, query_string={"name": str(i)}))
        for i, path in enumerate(paths)
    ]
    await until(lambda: site.begun == len(tasks))
    for task in tasks:
        task.cancel()
    site.may_go_on.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    await site.assert_all_released(len(tasks))
