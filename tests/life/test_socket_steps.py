"""The steps of a WebSocket: methods of the application that subclasses replace, as in Quart."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import quart
import quart.testing
from werkzeug.exceptions import Forbidden

import asyncflask
from asyncflask import Flask, MissingAwaitError, g, websocket, websocket_finished
from asyncflask.life.socket_steps import _SHARED_STEPS, _STEPS, SteppedSockets
from asyncflask.life.sockets import Sockets
from asyncflask.testing import WebsocketDisconnectError, WebsocketResponseError
from tests.wire import until

#: But for the outermost one, which in Quart has the teardown within.
STEPS = [*(name for name in _STEPS if name != "handle_websocket"), *_SHARED_STEPS]

PATHS = ["/", "/?early", "/accepted", "/fail", "/deny", "/lost", "/nowhere"]


def add_views(app: Any, package: Any, record: list[str]) -> None:  # noqa: C901  # many small ones
    """Give an application, ours or Quart's, views and hooks that leave a trace."""

    @app.before_websocket  # type: ignore[untyped-decorator]
    async def before() -> str | None:
        record.append("before")
        return "early" if "early" in package.websocket.args else None

    @app.after_websocket  # type: ignore[untyped-decorator]
    async def after(response: Any) -> Any:
        record.append(f"after {response and response.status_code}")
        return response

    @app.teardown_websocket  # type: ignore[untyped-decorator]
    async def teardown(exc: BaseException | None) -> None:
        record.append("teardown")

    @app.teardown_appcontext  # type: ignore[untyped-decorator]
    async def teardown_app(exc: BaseException | None) -> None:
        record.append("teardown app")

    async def index() -> str:
        record.append("view")
        return "index"

    async def accepted() -> None:
        await package.websocket.send("x")

    async def fail() -> str:
        raise KeyError("view")

    async def deny() -> str:
        raise Forbidden

    async def lost() -> str:
        raise ValueError("lost")

    for name, view in {
        "": index, "accepted": accepted, "fail": fail, "deny": deny, "lost": lost,
    }.items():  # fmt: skip
        app.add_websocket(f"/{name}", view_func=view)

    @app.errorhandler(KeyError)  # type: ignore[untyped-decorator]
    async def handled(exc: Exception) -> tuple[str, int]:
        record.append("handler")
        return "handled", 400


def replace(app: Any, name: str, kind: str, record: list[str]) -> None:
    """Let ``app`` call the step of its class by way of a method of its own."""
    original = getattr(app, name)

    def step(*args: Any, **kwargs: Any) -> Any:
        record.append(f"<{name}")
        try:
            return original(*args, **kwargs)
        finally:
            record.append(f"{name}>")

    async def step_async(*args: Any, **kwargs: Any) -> Any:
        record.append(f"<{name}")
        try:
            return await original(*args, **kwargs)
        finally:
            record.append(f"{name}>")

    setattr(app, name, step_async if kind == "async" else step)


async def outcome_of(app: Any, errors: Any, path: str, record: list[str]) -> Any:
    try:
        async with app.test_client().websocket(path) as ws:
            received = await ws.receive()
            # Quart drops what is left to do when its client leaves.
            await until(lambda: "teardown app" in record)
            return received
    except errors.WebsocketResponseError as exc:
        return exc.response.status_code


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", ["def", "async"])
async def test_each_step_can_be_replaced_as_in_quart(name: str, kind: str, path: str) -> None:
    """Called at the same point, with the class's own step behind it, by any kind of method."""
    outcomes = []
    for make, package, errors in [
        (quart.Quart, quart, quart.testing),
        (Flask, asyncflask, asyncflask.testing),
    ]:
        record: list[str] = []
        app: Any = make("quiet", static_folder=None)  # type: ignore[operator]
        app.logger.disabled = True
        add_views(app, package, record)
        replace(app, name, kind if make is Flask else "async", record)
        outcomes.append((await outcome_of(app, errors, path, record), record))
    assert outcomes[0] == outcomes[1]


def test_an_application_that_replaces_nothing_goes_the_short_way() -> None:
    """Also where it replaces steps of a request."""

    class Subclass(Flask):
        async def preprocess_request(self, request_context: Any = None) -> Any:
            return None

    assert type(Subclass(__name__).dispatch.sockets) is Sockets


async def test_a_subclass_sees_what_its_steps_make() -> None:
    """In `def` methods the results are there, and one thread runs them all."""

    class Custom(Flask):
        def preprocess_websocket(self, websocket_context: Any = None) -> Any:
            g.threads = {threading.get_ident()}
            g.before = super().preprocess_websocket()
            return g.before

        def dispatch_websocket(self, websocket_context: Any = None) -> Any:
            g.threads.add(threading.get_ident())
            return f"[{super().dispatch_websocket()}]"

        def postprocess_websocket(self, response: Any, websocket_context: Any = None) -> Any:
            g.threads.add(threading.get_ident())
            response = super().postprocess_websocket(response)
            response.headers["X-Threads"] = str(len(g.threads))
            response.headers["X-Before"] = str(g.before)
            return response

    app = Custom(__name__)
    add_views(app, asyncflask, [])
    app.add_websocket("/def", "def", lambda: "def")
    assert type(app.dispatch.sockets) is SteppedSockets
    for path, text, before in [("/def", "[def]", "None"), ("/def?early", "early", "early")]:
        with pytest.raises(WebsocketResponseError) as refused:
            async with app.test_client().websocket(path):
                pass
        response = refused.value.response
        assert (response.text, response.headers["X-Before"]) == (text, before)
        assert response.headers["X-Threads"] == "1"


async def test_the_clients_end_is_no_error_for_the_steps() -> None:
    """Neither the exception nor the cancellation; the hooks run once."""

    class Custom(Flask):
        async def handle_user_exception(self, e: Exception) -> Any:
            record.append(f"error {e!r}")

        async def handle_websocket_exception(self, error: Exception) -> Any:
            record.append(f"error {error!r}")

    record: list[Any] = []
    app = Custom("quiet", static_folder=None)

    @app.websocket("/read")
    async def read() -> None:
        await websocket.receive()

    @app.websocket("/wait")
    async def wait() -> None:
        await websocket.accept()
        await asyncio.Event().wait()

    @app.after_websocket
    async def after(response: Any) -> Any:
        record.append(("after", response))

    @app.teardown_websocket
    async def teardown(exc: Any) -> None:
        record.append(("teardown", exc))

    def finished(app: Any, response: Any) -> None:
        record.append(("finished", response))

    with websocket_finished.connected_to(finished, app):
        for path in ("/read", "/wait"):
            async with app.test_client().websocket(path):
                pass
            assert record == [("after", None), ("finished", None), ("teardown", None)]
            record.clear()


async def test_the_outermost_step_can_be_replaced() -> None:
    """It sees the response to whatever has happened; what fails closes as ever."""
    seen: list[Any] = []

    class Custom(Flask):
        async def handle_websocket(self, websocket: Any) -> Any:
            response = await super().handle_websocket(websocket)
            seen.append((websocket.path, response and response.status_code))
            return response

    app = Custom("quiet", static_folder=None)
    app.logger.disabled = True

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()
        raise RuntimeError("a bug")

    async with app.test_client().websocket("/ws") as ws:
        with pytest.raises(WebsocketDisconnectError) as closed:
            await ws.receive()
    assert closed.value.code == 1011
    assert seen == [("/ws", 500)]
    app.testing = True
    async with app.test_client().websocket("/ws") as ws:
        with pytest.raises(RuntimeError, match="a bug"):
            await ws.receive()


async def test_steps_are_for_their_own_kind() -> None:
    """Those of a request are none of a WebSocket's, and the reverse; some are both's."""
    app = Flask("quiet", static_folder=None)
    app.testing = True

    @app.errorhandler(KeyError)
    async def handled(exc: Exception) -> str:
        return "handled"

    @app.websocket("/ws")
    async def ws() -> None:
        with pytest.raises(RuntimeError, match="'preprocess_request' is a step of a request, and"):
            app.preprocess_request()
        assert await app.preprocess_websocket() is None
        assert await app.handle_user_exception(KeyError()) == "handled"
        with pytest.raises(MissingAwaitError, match="preprocess_websocket"):
            str(app.preprocess_websocket())
        await websocket.send("done")

    @app.get("/")
    async def page() -> str:
        with pytest.raises(RuntimeError, match="'preprocess_websocket' is a step of a WebSocket"):
            app.preprocess_websocket()
        assert await app.preprocess_request() is None
        return "done"

    client = app.test_client()
    async with client.websocket("/ws") as opened:
        assert await opened.receive() == "done"
    assert (await client.get("/")).text == "done"
    with app.app_context(), pytest.raises(RuntimeError, match="there is none here"):
        app.preprocess_websocket()
