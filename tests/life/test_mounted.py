"""The lifespans of ASGI applications that are mounted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from asyncflask import Flask, request, url_for
from asyncflask.life import lifespan_protocol
from tests.wire import Wire


def make_app(record: list[str]) -> Flask:
    """An application that notes its start and its shutdown."""

    async def lifespan(app: Flask) -> AsyncIterator[dict[str, str]]:
        record.append("start")
        yield {"name": "ours", "shared": "ours"}
        record.append("end")

    app = Flask(__name__, static_folder=None, lifespan=lifespan)
    app.before_serving(lambda: record.append("before"))
    app.after_serving(lambda: record.append("after"))

    @app.get("/ours")
    async def state() -> Any:
        return dict(request.scope["state"])

    return app


def make_starlette(name: str, record: list[str]) -> Starlette:
    """An application of Starlette's that does, too."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        record.append(f"{name} start")
        yield {"name": name, name: "own"}
        record.append(f"{name} end")

    async def state(request: Request) -> PlainTextResponse:
        return PlainTextResponse(repr(sorted(request.scope["state"].items())))

    return Starlette(routes=[Route("/state", state)], lifespan=lifespan)


async def test_mounted_applications_start_within_ours_and_keep_their_state() -> None:
    """Each starts once and ends before ours does; nobody sees another's state."""
    record: list[str] = []
    app = make_app(record)
    app.mount("/a", a := make_starlette("a", record))
    app.mount("/again", a)
    app.router.routes.append(Mount("/group", routes=[Mount("/b", make_starlette("b", record))]))
    app.router.routes.append(Host("c.test", make_starlette("c", record)))
    async with app.test_client() as client:
        assert record == ["start", "before", "a start", "b start", "c start"]
        assert (await client.get("/ours")).json() == {"name": "ours", "shared": "ours"}
        expected = "[('a', 'own'), ('name', 'a'), ('shared', 'ours')]"
        assert (await client.get("/a/state")).text == expected
        assert (await client.get("/again/state")).text == expected
        response = await client.get("http://c.test/state")
        assert response.text == "[('c', 'own'), ('name', 'c'), ('shared', 'ours')]"
        record.clear()
    assert record == ["c end", "b end", "a end", "after", "end"]


async def test_what_siblings_mount_starts_once() -> None:
    """The first to start it ends it; requests by way of each see its state."""
    record: list[str] = []
    outer, first, second = make_app([]), make_app(record), Flask("second", static_folder=None)
    shared = make_starlette("shared", record)
    ours = make_app(record)
    for app in (first, second):
        app.mount("/shared", shared)
        app.mount("/ours", ours)
        outer.mount(f"/{app.name}", app)
    outer.mount("/shared", shared)
    for _ in range(2):  # each start of the outermost is one of them all
        async with outer.test_client() as client:
            assert record == ["start", "before", "shared start", "start", "before"]
            expected = "[('name', 'shared'), ('shared', 'own')]"
            for host in (f"/{first.name}", f"/{second.name}", ""):
                assert (await client.get(f"{host}/shared/state")).text == expected
            for app in (first, second):
                state = (await client.get(f"/{app.name}/ours/ours")).json()
                assert state == {"name": "ours", "shared": "ours"}
            record.clear()
        assert record == ["after", "end", "shared end", "after", "end"]
        record.clear()


async def test_an_application_of_ours_can_be_mounted() -> None:
    """Its serving functions run in its own application context, and so do its requests."""
    record: list[str] = []
    inner, outer = make_app(record), make_app([])
    outer.mount("/inner", inner)
    async with outer.test_client() as client:
        assert record == ["start", "before"]
        assert (await client.get("/inner/ours")).json() == {"name": "ours", "shared": "ours"}
    assert record == ["start", "before", "after", "end"]


async def test_applications_without_a_lifespan_are_fine(tmp_path: Any) -> None:
    """Some raise at the sight of its scope, some return."""
    (tmp_path / "a.txt").write_text("file")
    app = make_app([])

    async def returns(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await PlainTextResponse(scope["state"]["name"])(scope, receive, send)

    app.mount("/files", StaticFiles(directory=tmp_path))
    app.mount("/returns", returns)
    async with app.test_client() as client:
        assert (await client.get("/files/a.txt")).text == "file"
        assert (await client.get("/returns/")).text == "ours"


async def test_an_application_may_take_the_lifespan_for_a_request() -> None:
    """One that never looks at the type of its scope answers with a page, and is served."""
    app = make_app([])
    app.mount("/page", PlainTextResponse("page"))
    async with app.test_client() as client:
        assert (await client.get("/page/")).text == "page"


@pytest.mark.parametrize("kind", ["raises", "reports"])
async def test_a_failure_at_start_stops_ours(kind: str) -> None:
    """The error says which application it was, and what has started is ended."""
    record: list[str] = []
    app = make_app(record)

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        message = {"message": "no database"} if kind == "raises" else {}
        await send({"type": "lifespan.startup.failed", **message})
        if kind == "raises":
            raise ValueError("no database")
        await asyncio.Event().wait()  # it does not even return

    app.mount("/first", make_starlette("first", record))
    app.mount("/broken", broken)
    reason = "no database" if kind == "raises" else "it does not say why"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifespan_protocol, "GRACE", 0.01)
        with pytest.raises(
            RuntimeError, match=f"mounted at '/broken' has failed.*{reason}"
        ) as caught:
            await app.startup()
    assert isinstance(caught.value.__cause__, ValueError) == (kind == "raises")
    assert record == ["start", "before", "first start", "first end", "after"]


@pytest.mark.parametrize("kind", ["raises", "reports", "reports why", "never returns", "has gone"])
async def test_failures_at_shutdown_are_logged(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keep nothing else from ending."""
    monkeypatch.setattr(lifespan_protocol, "GRACE", 0.01)
    record: list[str] = []
    app = make_app(record)

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        if kind == "has gone":
            raise ValueError("too early")
        await receive()
        if kind == "raises":
            raise ValueError("broken")
        if kind == "never returns":
            await send({"type": "lifespan.shutdown.complete"})
            await asyncio.Event().wait()
        message = {"message": "broken"} if kind == "reports why" else {}
        await send({"type": "lifespan.shutdown.failed", **message})

    app.mount("/broken", broken)
    app.mount("/last", make_starlette("last", record))
    await app.startup()
    await asyncio.sleep(0)
    expected = {
        "raises": "broken",
        "reports": "It does not say why",
        "reports why": "broken",
        "has gone": "too early",
    }.get(kind)
    if expected is None:
        await app.shutdown()
    else:
        with pytest.raises(Exception, match=expected):
            await app.shutdown()
        assert "The application mounted at '/broken' has failed at shutdown" in caplog.text
    assert record == ["start", "before", "last start", "last end", "after", "end"]


@pytest.mark.parametrize("path", ["/route", "/in/route", "/in/deep/route"])
async def test_starlettes_url_for_has_every_prefix(path: str) -> None:
    """Also where the application is itself mounted in Starlette."""

    def link(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.url_for('index')} {request.url_for('inner:link')}")

    routes = [Route("/route", link, name="link")]
    app = Flask(__name__, static_folder=None)
    app.add_url_rule("/", "index", lambda: "index")
    app.router.routes.append(Route("/route", link))
    app.mount("/in", Starlette(routes=[*routes, Mount("/deep", routes=routes)]), name="inner")
    host = Starlette(routes=[Mount("/host", app)])
    wire = Wire(f"/host{path}")
    await host(wire.scope, wire.receive, wire.send)
    assert wire.body == b"http://localhost/host/ http://localhost/host/in/route"
    assert (await app.test_client().get(path)).text == "http://localhost/ http://localhost/in/route"


async def test_the_scope_of_the_host_stays_its_own() -> None:
    """Its error handlers, and middleware around it, do not see the prefix and what is below it."""
    seen: list[Any] = []

    def broken(request: Request) -> PlainTextResponse:
        raise LookupError(request.scope["root_path"])

    class Around:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            seen.append((scope["app"], scope.get("root_path", ""), scope["path_params"]))

    app = Flask(__name__, static_folder=None)
    app.add_middleware(Around)
    inner = Mount("/b", routes=[Route("/broken", broken)])
    app.router.routes.append(Mount("/a/{name}", routes=[inner]))

    @app.get("/home")
    async def home() -> str:
        return "home"

    @app.errorhandler(LookupError)
    async def failed(error: LookupError) -> Any:
        return [str(error), request.root_path, request.path, url_for("home")]

    response = await app.test_client().get("/a/x/b/broken")
    assert response.json() == ["/a/x/b", "", "/a/x/b/broken", "/home"]
    assert seen == [(app, "", {"name": "x"})]
