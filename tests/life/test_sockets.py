"""The life of a WebSocket: hooks, refusals, errors, sessions, ends; side by side with Quart."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import quart
import quart.testing
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute
from starlette.websockets import WebSocket

import asyncflask
from asyncflask import (
    Blueprint,
    Flask,
    Response,
    WebSocketDisconnect,
    abort,
    g,
    got_websocket_exception,
    json,
    render_template_string,
    request,
    session,
    url_for,
    websocket,
    websocket_finished,
    websocket_received,
    websocket_sent,
    websocket_started,
    websocket_tearing_down,
)
from asyncflask.life.sockets import close_code
from asyncflask.sessions import SecureCookieSession, SessionInterface
from asyncflask.testing import WebsocketDisconnectError, WebsocketResponseError
from tests.wire import Wire, until


def make_app() -> Flask:
    app = Flask("sockets", static_folder=None)
    app.secret_key = "a key"
    app.testing = True
    return app


async def end_of(app: Flask, path: str = "/ws", **options: Any) -> Any:
    """Return how a WebSocket ends that the client keeps open: a response, or code and reason."""
    async with app.test_client().websocket(path, **options) as ws:
        try:
            async for _ in ws:
                pass
        except WebsocketResponseError as exc:
            return exc.response
        except WebsocketDisconnectError as exc:
            return (exc.code, exc.reason)
    return (1000, "")


# The order of things.


def add_hooks(registrar: Any, log: list[str], name: str, kind: str) -> None:
    def make(text: str, result: Any = None) -> Any:
        async def async_hook(*args: Any) -> Any:
            log.append(text)

        def hook(*args: Any) -> Any:
            log.append(text)

        return async_hook if kind == "async" else hook

    registrar.before_websocket(make(f"{name} before"))
    registrar.after_websocket(make(f"{name} after"))
    registrar.teardown_websocket(make(f"{name} teardown"))


@pytest.mark.parametrize("view_kind", ["async", "def"])
@pytest.mark.parametrize("hook_kind", ["async", "def"])
async def test_hooks_run_as_around_a_request(view_kind: str, hook_kind: str) -> None:
    """Application and blueprint, each in the order of Quart; `def` ones in a worker."""
    ours, theirs = make_app(), quart.Quart("sockets", static_folder=None)
    logs: list[list[str]] = []
    for app, blueprint, package in [
        (ours, Blueprint("bp", "bp"), asyncflask),
        (theirs, quart.Blueprint("bp", "bp"), quart),
    ]:
        log: list[str] = []
        logs.append(log)
        add_hooks(app, log, "app", hook_kind)
        add_hooks(blueprint, log, "bp", hook_kind)
        blueprint.before_app_websocket(lambda log=log: log.append("bp app before"))
        blueprint.after_app_websocket(lambda r, log=log: log.append("bp app after"))
        blueprint.teardown_app_websocket(lambda e, log=log: log.append("bp app teardown"))

        async def view(log: Any = log, package: Any = package) -> None:
            log.append(f"view {await package.websocket.receive()}")
            await package.websocket.send("end")

        def def_view(log: Any = log) -> None:
            log.append(f"view {websocket.receive()}")
            websocket.send("end")

        is_def = view_kind == "def" and package is asyncflask
        blueprint.add_websocket("/ws", view_func=def_view if is_def else view)
        app.register_blueprint(blueprint)  # type: ignore[arg-type]
        async with app.test_client().websocket("/ws") as ws:
            await ws.send("hello")
            assert await ws.receive() == "end"
            # Quart drops what is left to do when its client leaves.
            await until(lambda log=log: "app teardown" in log)  # type: ignore[misc]
    # Quart 0.22 forgets what a blueprint registers with `teardown_websocket`.
    first, second = ([entry for entry in log if entry != "bp teardown"] for log in logs)
    assert first == second
    assert logs[0].count("bp teardown") == 1
    assert logs[0][:4] == ["app before", "bp app before", "bp before", "view hello"]


async def test_a_def_view_keeps_its_thread() -> None:
    """From the first `def` hook to the last teardown; `async def` code runs on the loop."""
    app = make_app()
    threads: list[Any] = []

    def note(*_: Any) -> None:
        threads.append(threading.current_thread().name)

    app.before_websocket(note)
    app.after_websocket(note)
    app.teardown_websocket(note)

    @app.websocket("/ws")
    def view() -> None:
        websocket.accept()
        websocket.send("a")
        note()
        assert websocket.receive_json() == [1]
        websocket.send_json(a=1)
        note()
        websocket.close(4000)

    async with app.test_client().websocket("/ws") as ws:
        await ws.send_json([1])
        assert await ws.receive() == "a"
        assert await ws.receive_json() == {"a": 1}
        with pytest.raises(WebsocketDisconnectError) as closed:
            await ws.receive()
        assert closed.value.code == 4000
    assert len(threads) == 5
    assert set(threads) == {threads[0]}
    assert threads[0].startswith("sockets-stream")


async def test_signals_tell_of_its_life() -> None:
    """Started, received, sent, finished, tearing down; the request signals are not sent."""
    app = make_app()
    log: list[Any] = []

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.send(await websocket.receive())
        await websocket.send(b"")

    async def on_received(message: Any) -> None:
        log.append(("received", message))

    connections = [
        websocket_started.connected_to(lambda app: log.append("started"), app),
        websocket_received.connected_to(on_received),
        websocket_sent.connected_to(lambda message: log.append(("sent", message))),
        websocket_finished.connected_to(lambda app, response: log.append(response), app),
        websocket_tearing_down.connected_to(lambda app, exc: log.append(("torn", exc)), app),
        asyncflask.request_started.connected_to(lambda app: log.append("wrong"), app),
    ]
    for connection in connections:
        connection.__enter__()
    async with app.test_client().websocket("/ws") as ws:
        await ws.send("x")
        assert await ws.receive() == "x"
        assert await ws.receive() == b""
    for connection in connections:
        connection.__exit__(None, None, None)
    expected = ["started", ("received", "x"), ("sent", "x"), ("sent", b""), None, ("torn", None)]
    assert log == expected


# Before it is accepted: refusals.


async def test_a_refusal_is_announced_though_nothing_listens_to_requests() -> None:
    """``websocket_finished`` alone has a receiver."""
    app = make_app()
    log: list[Any] = []

    @app.websocket("/ws")
    async def view() -> Any:
        return "no", 403

    with websocket_finished.connected_to(lambda app, response: log.append(response.status), app):
        ended = await end_of(app)
    assert ended.status_code == 403
    assert log == ["403 FORBIDDEN"]


async def stream_ab() -> Any:
    yield "a"
    yield "b"


async def test_an_answer_before_the_first_message_refuses() -> None:
    """From the view, a hook, `abort()`, an error handler; hooks after it see the response."""
    app = make_app()
    seen: list[Any] = []

    @app.before_websocket
    async def check() -> Any:
        return ("stop", 402) if websocket.args.get("stop") else None

    @app.after_websocket
    async def after(response: Any) -> Any:
        seen.append(response)
        if response is not None:
            response.headers["X-After"] = "1"

    @app.errorhandler(418)
    async def teapot(error: Any) -> Any:
        return {"short": "stout"}, 418

    @app.errorhandler(KeyError)
    def key_error(error: Any) -> Any:
        return "no key", 400

    answers: dict[str, Callable[[], Any]] = {
        "abort": lambda: abort(403, "Members only."),
        "teapot": lambda: abort(418),
        "key": lambda: {}["x"],
        "value": lambda: "value",
        "stream": stream_ab,
    }

    @app.websocket("/<what>")
    async def view(what: str) -> Any:
        return answers[what]()

    for path, status, text in [
        ("/abort", 403, "Members only."),
        ("/teapot", 418, '{"short":"stout"}'),
        ("/key", 400, "no key"),
        ("/value", 200, "value"),
        ("/stream", 200, "ab"),
        ("/x?stop=1", 402, "stop"),
        ("/not/found", 404, "Not Found"),
    ]:
        response = await end_of(app, path)
        assert response.status_code == status
        assert text in response.text
        assert response.headers["X-After"] == "1"
        assert seen.pop().status_code == status


async def test_without_the_extension_a_refusal_is_a_403() -> None:
    """The server makes it, of a close before the handshake is accepted."""
    app = make_app()

    @app.websocket("/ws")
    async def view() -> Any:
        return "no", 400

    @app.websocket("/closing")
    async def closing() -> None:
        await websocket.close()

    @app.websocket("/nothing")
    async def nothing() -> None:
        pass

    expected = [{"type": "websocket.close", "code": 1008, "reason": ""}]
    assert await play(app, "/ws") == expected
    for path in ("/closing", "/nothing"):
        (message,) = await play(app, path)
        assert message["type"] == "websocket.close"
        assert (await end_of(app, path)).status_code == 403


async def play(app: Flask, path: str, *messages: Any, send: Any = None, **scope: Any) -> list[Any]:
    """Call the application as a simple server does, and return what it sends."""
    incoming = [{"type": "websocket.connect"}, *messages]
    sent: list[Any] = []

    async def receive() -> Any:
        if not incoming:
            await asyncio.Event().wait()
        return incoming.pop(0)

    async def record(message: Any) -> None:
        sent.append(message)
        if send is not None:
            await send(message)

    base = {"type": "websocket", "path": path, "headers": [], "query_string": b""}
    await app({**base, **scope}, receive, record)
    return sent


async def test_a_refusal_that_is_streamed_ends_with_its_client() -> None:
    """As any stream does; the teardown comes after it."""
    app = make_app()
    log: list[str] = []
    app.teardown_websocket(lambda exc: log.append("teardown"))

    async def endless() -> Any:
        try:
            while True:
                yield "more"
                await asyncio.sleep(0.01)
        finally:
            log.append("closed")

    @app.websocket("/ws")
    async def view() -> Any:
        return endless()

    async with app.test_client().websocket("/ws") as ws:
        assert not ws.accepted
    assert log == ["closed", "teardown"]


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_a_client_that_has_gone_misses_no_refusal(extensions: Any) -> None:
    """That it cannot be sent is no error."""
    app = make_app()
    torn: list[Any] = []
    app.teardown_websocket(torn.append)

    @app.websocket("/ws")
    async def view() -> Any:
        return "no", 400

    async def send(message: Any) -> None:
        raise OSError("The client has gone.")

    await play(app, "/ws", send=send, extensions=extensions)
    assert torn == [None]


async def test_a_hook_that_returns_nonsense_leaves_nothing_open() -> None:
    """It is the user's mistake, and the teardown runs all the same."""
    app = make_app()
    torn: list[Any] = []
    app.teardown_websocket(torn.append)

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()

    @app.after_websocket
    async def after(response: Any) -> Any:
        return True

    with pytest.raises(AttributeError):
        await end_of(app)
    await until(lambda: torn)
    assert len(torn) == 1


async def test_requests_and_websockets_have_rules_of_their_own() -> None:
    """One path may have both; with one of them the other is a 400, as with Werkzeug."""
    app = make_app()

    @app.get("/both")
    async def both() -> str:
        return "page"

    @app.websocket("/both")
    async def both_socket() -> None:
        await websocket.send("socket")

    @app.get("/page")
    async def page() -> str:
        return "page"

    @app.websocket("/ws")
    async def ws() -> None: ...

    client = app.test_client()
    assert (await client.get("/both")).text == "page"
    async with client.websocket("/both") as opened:
        assert await opened.receive() == "socket"
    assert (await client.get("/ws")).status_code == 400
    assert (await end_of(app, "/page")).status_code == 400
    assert (await end_of(app, "/page", headers={"Accept": "application/json"})).is_json
    async with app.test_request_context("/page"):
        assert url_for("ws") == "ws://localhost/ws"


@pytest.mark.parametrize(
    ("origin", "allowed", "scheme", "passes"),
    [
        (None, (), "ws", True),
        ("http://localhost", (), "ws", True),
        ("http://LOCALHOST:80", (), "ws", True),
        ("https://localhost", (), "ws", True),  # a proxy has ended TLS
        ("https://localhost:443", (), "wss", True),
        ("http://localhost", (), "wss", False),
        ("http://localhost:8000", (), "ws", False),
        ("http://localhost.evil.example", (), "ws", False),
        ("null", (), "ws", False),
        ("http://[", (), "ws", False),
        ("https://app.example", (), "ws", False),
        ("https://app.example", ["https://app.example/"], "ws", True),
        ("https://app.example", ["https://App.Example:443"], "ws", True),
        ("http://app.example", ["https://app.example"], "ws", False),
        ("null", ["*"], "ws", True),
        ("https://app.example", "https://app.example", "ws", True),
        ("https://evil.example", "https://*.example", "ws", False),
        ("https://evil.example", "*", "ws", True),
    ],
)
async def test_pages_of_other_sites_open_no_sockets(
    origin: str | None, allowed: Any, scheme: str, passes: bool
) -> None:
    """An `Origin` has to fit the Host or the list; programs send none."""
    app = make_app()
    app.config["WEBSOCKET_ALLOWED_ORIGINS"] = allowed

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()

    headers = {} if origin is None else {"Origin": origin}
    end = await end_of(app, headers=headers, scheme=scheme)
    assert end == (1000, "") if passes else end.status_code == 403


async def test_two_origins_are_none() -> None:
    """One that is allowed does not vouch for the other."""
    app = make_app()
    app.add_websocket("/ws", view_func=lambda: None, endpoint="ws")
    headers = [("Origin", "http://localhost"), ("Origin", "http://localhost")]
    assert (await end_of(app, headers=headers)).status_code == 403


# After it is accepted: errors.


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, 1000), (302, 1000), (400, 1007), (404, 1008), (413, 1009), (500, 1011), (503, 1013)],
)
async def test_statuses_become_close_codes(status: int, code: int) -> None:
    """An answer after the handshake cannot be sent."""
    app = make_app()

    @app.websocket("/ws")
    async def view() -> Any:
        await websocket.accept()
        return "unseen", status

    assert close_code(status) == code
    assert (await end_of(app))[0] == code


async def test_an_unhandled_error_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once and signalled, and the teardown is told."""
    app = make_app()
    app.testing = False
    told: list[Any] = []
    app.teardown_websocket(told.append)

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()
        raise RuntimeError("a bug")

    def on_error(app: Any, exception: Any) -> None:
        told.append(exception)

    with got_websocket_exception.connected_to(on_error, app):
        assert await end_of(app) == (1011, "")
    assert [str(exc) for exc in told] == ["a bug", "a bug"]
    assert [record.getMessage() for record in caplog.records] == ["Exception on /ws [WebSocket]"]
    app.config["PROPAGATE_EXCEPTIONS"] = True
    async with app.test_client().websocket("/ws") as ws:
        with pytest.raises(RuntimeError, match="a bug"):
            await ws.receive()
    assert str(told[-1]) == "a bug"


async def test_an_unhandled_error_before_it_is_a_500() -> None:
    """As for a request; in tests it is raised."""
    app = make_app()
    app.testing = False

    @app.websocket("/ws")
    async def view() -> None:
        raise RuntimeError("a bug")

    assert (await end_of(app)).status_code == 500
    app.testing = True
    with pytest.raises(RuntimeError, match="a bug"):
        await end_of(app)
    # The server makes the response then: nothing is sent.
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError, match="a bug"):
        await play(app, "/ws", send=keep)
    assert sent == []


async def test_debug_mode_has_its_page_and_raises() -> None:
    """Before the handshake is accepted, the page is the refusal."""
    app = make_app()
    app.testing = False
    app.debug = True

    @app.websocket("/<when>")
    async def view(when: str) -> None:
        if when == "later":
            await websocket.accept()
        raise RuntimeError("a bug")

    host = [(b"host", b"localhost")]
    for when, expected in [("now", WebsocketResponseError), ("later", WebsocketDisconnectError)]:
        with pytest.raises(RuntimeError, match="a bug"):
            await end_of(app, f"/{when}", headers={"Accept": "text/html"})
        sent: list[Any] = []

        async def keep(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        with pytest.raises(RuntimeError, match="a bug"):
            await play(app, f"/{when}", send=keep, client=("127.0.0.1", 1), headers=host)
        assert sent[-1]["type"] == "websocket.close", expected


async def test_error_handlers_run_after_the_handshake_too() -> None:
    """What they return says how to close; they may close themselves."""
    app = make_app()
    app.testing = False
    ran: list[Any] = []

    @app.errorhandler(KeyError)
    async def key_error(error: Any) -> Any:
        ran.append(error)
        return "gone", 410

    @app.errorhandler(ValueError)
    async def value_error(error: Any) -> Any:
        await websocket.close(4002, "bad value")
        return "unseen"

    @app.errorhandler(OSError)
    async def os_error(error: Any) -> Any:
        return None

    @app.errorhandler(500)
    async def server_error(error: Any) -> Any:
        return None

    errors = {"key": KeyError, "value": ValueError, "os": OSError, "bug": RuntimeError}

    @app.websocket("/<what>")
    async def view(what: str) -> None:
        await websocket.accept()
        if what == "forbidden":
            abort(403)
        raise errors[what]()

    assert (await end_of(app, "/key"))[0] == 1008
    assert len(ran) == 1
    assert await end_of(app, "/value") == (4002, "bad value")
    assert await end_of(app, "/os") == (1000, "")
    assert (await end_of(app, "/bug"))[0] == 1011
    assert (await end_of(app, "/forbidden"))[0] == 1008


async def test_a_hook_that_fails_at_the_end_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """After a normal end and after the client's; a value for an answer is closed."""
    app = make_app()
    app.testing = False
    closed: list[str] = []

    @app.websocket("/ws")
    async def view() -> Any:
        await websocket.receive()

    @app.websocket("/value")
    async def value() -> Any:
        await websocket.accept()
        response = Response("unseen")
        response.call_on_close(lambda: closed.append("closed"))
        return response

    @app.after_websocket
    async def after(response: Any) -> None:
        if response is None:
            raise RuntimeError("a bug in a hook")

    async with app.test_client().websocket("/ws") as ws:
        await ws.close(1000)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [RuntimeError]
    assert await end_of(app, "/value") == (1000, "")
    assert closed == ["closed"]


# The client's end.


@pytest.mark.parametrize("grouped", [False, True])
async def test_the_clients_end_is_no_error(grouped: bool) -> None:
    """It leaves the view as `WebSocketDisconnect`, or a group of them, and that is that."""
    app = make_app()
    torn: list[Any] = []
    app.teardown_websocket(torn.append)

    @app.errorhandler(Exception)
    async def never(error: Exception) -> None:
        torn.append(error)

    @app.websocket("/ws")
    async def view() -> None:
        with pytest.raises(WebSocketDisconnect) as ended:
            await websocket.receive()
        assert (ended.value.code, ended.value.reason) == (4003, "bye")
        assert (websocket.close_code, websocket.close_reason) == (4003, "bye")
        with pytest.raises(WebSocketDisconnect) as again:
            await websocket.send("too late")
        assert again.value.code == 4003
        if grouped:
            raise ExceptionGroup("two", [ended.value, WebSocketDisconnect(1006)])
        raise ended.value

    async with app.test_client().websocket("/ws") as ws:
        await ws.close(4003, "bye")
    assert torn == [None]


async def test_after_functions_of_this_socket() -> None:
    """Run before the others; an `after` hook that sends to a client that has gone ends nothing."""
    app = make_app()
    log: list[str] = []

    @app.after_websocket
    async def after(response: Any) -> None:
        log.append("app")
        await websocket.send("too late")

    @app.websocket("/ws")
    async def view() -> None:
        @asyncflask.ctx.after_this_websocket
        def this(response: Any) -> Any:
            log.append("this")
            return response

        await websocket.accept()

    async with app.test_client().websocket("/ws") as ws:
        await ws.close()
    assert log == ["this", "app"]


async def test_a_view_that_waits_elsewhere_is_cancelled() -> None:
    """One that only waits, and one whose own task reads; what the client sent does not matter."""
    app = make_app()
    log: list[Any] = []
    app.teardown_websocket(lambda exc: log.append(("torn", exc, websocket.close_code)))

    @app.websocket("/feed")
    async def feed() -> None:
        await websocket.accept()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    @app.websocket("/chat")
    async def chat() -> None:
        async def read() -> None:
            async for message in websocket:
                log.append(message)

        reader = asyncio.create_task(read())
        try:
            await asyncio.Event().wait()
        finally:
            await reader

    for path, messages in [("/feed", []), ("/chat", ["x"])]:
        async with app.test_client().websocket(path) as ws:
            await ws.send("x")
        expected = [*messages, ("torn", None, 1000)]
        assert [entry for entry in log if entry != "cancelled"] == expected
        log.clear()


async def test_a_view_that_knows_of_the_end_may_clean_up() -> None:
    """One that another task of its own has told; there is a time limit."""
    app = make_app()
    app.config["WEBSOCKET_CLOSE_TIMEOUT"] = 2.5
    log: list[Any] = []

    @app.websocket("/<float:seconds>")
    async def view(seconds: float) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(websocket.receive())
                tasks.create_task(asyncio.sleep(60))
        except* WebSocketDisconnect:
            log.append("told")
        try:
            await asyncio.sleep(seconds)
            log.append("done")
        except asyncio.CancelledError:
            log.append("late")
            raise

    async def converse(seconds: float) -> None:
        async with app.test_client().websocket(f"/{seconds}"):
            pass

    await asyncio.gather(converse(1.5), converse(60.0))
    assert log == ["told", "told", "done", "late"]


async def test_a_view_that_reads_is_not_interrupted() -> None:
    """It may take its time with the last message, and then gets those that have come meanwhile."""
    app = make_app()
    got: list[Any] = []

    @app.websocket("/ws")
    async def view() -> None:
        async for message in websocket:
            got.append(message)
            if message == "slow":
                await asyncio.sleep(1.5)
            if message == "for ever":
                await asyncio.Event().wait()

    async with app.test_client().websocket("/ws") as ws:
        await ws.send("slow")
        for number in range(20):
            await ws.send(str(number))
    assert got == ["slow", *map(str, range(20))]
    # A time limit holds for it, too.
    app = make_app()
    app.config["WEBSOCKET_CLOSE_TIMEOUT"] = 0.05
    app.add_websocket("/ws", view_func=view)
    async with app.test_client().websocket("/ws") as ws:
        await ws.send("for ever")
    assert got[-1] == "for ever"


async def test_a_view_waits_for_what_is_taken_ahead() -> None:
    """Who reads while messages are being taken ahead gets the next one that comes."""
    app = make_app()

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.send(await websocket.receive())
        await asyncio.sleep(1.1)
        await websocket.send("ready")
        await websocket.send(await websocket.receive())

    async with app.test_client().websocket("/ws") as ws:
        await ws.send("a")
        assert [await ws.receive(), await ws.receive()] == ["a", "ready"]
        await ws.send("b")
        assert await ws.receive() == "b"


async def test_a_view_before_its_handshake_is_cancelled_too() -> None:
    """Its client goes before anything was sent."""
    app = make_app()
    log: list[Any] = []

    @app.websocket("/ws")
    async def view() -> None:
        try:
            await websocket.send(await asyncio.Queue[str]().get())
        finally:
            log.append("left")

    wire = Wire("/ws")
    wire.scope["type"] = "websocket"
    messages = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006}])

    async def receive() -> Any:
        return next(messages)

    await app(wire.scope, receive, wire.send)
    assert (log, wire.sent) == (["left"], [])


@pytest.mark.parametrize("reads_first", [False, True])
async def test_a_client_that_floods_a_view_is_sent_away(reads_first: bool) -> None:
    """Its end would stand behind what nobody reads, and never be seen."""
    app = make_app()
    app.config["WEBSOCKET_CLOSE_TIMEOUT"] = 0.05
    log: list[Any] = []

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()
        if reads_first:
            await websocket.receive()
        try:
            await asyncio.Event().wait()
        finally:
            log.append((websocket.close_code, websocket.close_reason))

    async with app.test_client().websocket("/ws") as ws:
        for _ in range(300):
            await ws.send("x")
        with pytest.raises(WebsocketDisconnectError, match="not read") as caught:
            await ws.receive()
    assert caught.value.code == 1008
    assert log == [(1008, "The messages are not read.")]


async def test_a_view_that_is_slow_gets_all_messages() -> None:
    """However many there are, as long as it comes back for them; one that waits may wait."""
    app = make_app()
    app.config["WEBSOCKET_CLOSE_TIMEOUT"] = 0.5
    got: list[Any] = []

    @app.websocket("/ws")
    async def view() -> None:
        async for message in websocket:
            if len(got) in (0, 399):
                await asyncio.sleep(1.2)
            got.append(message)
            await websocket.send("got")

    async with app.test_client().websocket("/ws") as ws:
        for number in range(400):
            await ws.send(str(number))
        for _ in range(400):
            await ws.receive()
        await asyncio.sleep(1.7)
        await ws.send("400")
        assert await ws.receive() == "got"
    assert got == [*map(str, range(401))]


async def test_a_client_that_reads_nothing_is_sent_away_too() -> None:
    """The close cannot be sent to it, and the view ends all the same."""
    app = make_app()
    app.config["WEBSOCKET_CLOSE_TIMEOUT"] = 0.05

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.accept()
        await asyncio.Event().wait()

    wire = Wire("/ws")
    wire.scope["type"] = "websocket"
    messages = iter([{"type": "websocket.connect"}])

    async def receive() -> Any:
        return next(messages, {"type": "websocket.receive", "text": "x" * 100_000})

    async def send(message: Any) -> None:
        if message["type"] == "websocket.close":
            await asyncio.Event().wait()

    await app(wire.scope, receive, send)


async def test_hooks_are_not_interrupted() -> None:
    """Whatever the client does once the view has ended."""
    app = make_app()
    app.config["WEBSOCKET_CLOSE_TIMEOUT"] = 0.5
    log: list[str] = []

    @app.after_websocket
    async def after(response: Any) -> None:
        await asyncio.sleep(1.2)
        log.append("after")

    @app.websocket("/read")
    async def read() -> None:
        await websocket.receive()

    @app.websocket("/task")
    async def in_a_task() -> None:
        async def reader() -> None:
            async for _ in websocket:
                pass

        await asyncio.create_task(reader())

    async def converse(path: str) -> None:
        async with app.test_client().websocket(path) as ws:
            await ws.send("x")

    await asyncio.gather(converse("/read"), converse("/task"))
    assert log == ["after", "after"]


async def test_a_cancelled_socket_is_torn_down_once() -> None:
    """By the server: the task leaves at once, in the view or while it closes."""
    app = make_app()
    torn: list[Any] = []
    app.teardown_websocket(torn.append)
    closing = asyncio.Event()

    @app.websocket("/<what>")
    async def view(what: str) -> None:
        await websocket.accept()
        if what == "wait":
            await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "websocket.close":
            closing.set()
            await asyncio.Event().wait()

    for path in ("/wait", "/end"):
        task = asyncio.create_task(play(app, path, send=send))
        if path == "/end":
            await closing.wait()
        else:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: torn)
        assert [type(exc) for exc in torn] == [asyncio.CancelledError]
        torn.clear()


async def test_the_end_of_serving_closes_sockets_with_1001() -> None:
    """Those that are open, and those that come later get a 503."""
    app = make_app()

    @app.websocket("/ws")
    async def view() -> None:
        async for message in websocket:
            await websocket.send(message)

    async with app.test_client().websocket("/ws") as ws:
        await ws.send("x")
        assert await ws.receive() == "x"
        app.draining.set()
        with pytest.raises(WebsocketDisconnectError) as closed:
            await ws.receive()
        assert closed.value.code == 1001
    assert (await end_of(app)).status_code == 503


# Sessions, contexts, others.


async def test_the_session_goes_out_with_the_handshake() -> None:
    """It can be read; a change before is saved, one after that raises, also of a new session."""
    app = make_app()

    @app.websocket("/visit")
    async def visit() -> None:
        session["visits"] = session.get("visits", 0) + 1
        await websocket.send(str(session["visits"]))
        with pytest.raises(RuntimeError, match="was changed after"):
            session["late"] = 1

    @app.websocket("/late")
    async def late() -> None:
        await websocket.accept()
        with pytest.raises(RuntimeError, match="was changed after"):
            session["late"] = 1

    @app.websocket("/refused")
    async def refused() -> Any:
        session["refused"] = True
        return "no", 400

    client = app.test_client()
    for number in ("1", "2"):
        async with client.websocket("/visit") as ws:
            assert await ws.receive() == number
    async with client.websocket("/late"):
        pass
    with pytest.raises(WebsocketResponseError) as error:
        async with client.websocket("/refused"):
            pass
    assert "session=" in error.value.response.headers["Set-Cookie"]


@pytest.mark.parametrize("null", [False, True])
async def test_other_session_interfaces_are_awaited(null: bool) -> None:
    """Opened before the hooks, saved once; a null session is not saved."""

    class Interface(SessionInterface):
        saved: list[Any] = []  # noqa: RUF012

        async def open_session(self, app: Any, request: Any) -> Any:
            assert request.path == "/ws"
            return None if null else SecureCookieSession({"user": "ada"})

        async def save_session(self, app: Any, session: Any, response: Any) -> None:
            self.saved.append(dict(session))
            response.headers["X-Saved"] = "1"

    app = make_app()
    app.session_interface = Interface()

    @app.websocket("/ws")
    async def view() -> None:
        await websocket.send(session.get("user", "nobody"))

    async with app.test_client().websocket("/ws") as ws:
        assert await ws.receive() == ("nobody" if null else "ada")
        assert ws.headers.get("X-Saved") == (None if null else "1")
    assert Interface.saved == ([] if null else [{"user": "ada"}])


async def test_there_is_no_request_in_a_websocket() -> None:
    """`request` says so; templates, `url_for`, `g` and `current_app` are there."""
    app = make_app()

    @app.websocket("/ws/<room>")
    async def view(room: str) -> None:
        with pytest.raises(RuntimeError, match="there it is called 'websocket'"):
            request.path  # noqa: B018
        assert websocket.view_args == {"room": room}
        g.room = room
        source = "{{ g.room }} {{ websocket.path }} {{ url_for('view', room='b') }}"
        await websocket.send(await render_template_string(source))

    async with app.test_client().websocket("/ws/a") as ws:
        assert await ws.receive() == "a /ws/a ws://localhost/ws/b"


async def test_preprocessors_and_a_rule_without_a_view() -> None:
    """URL values are preprocessed as for requests; a missing view is said."""
    app = make_app()

    @app.url_value_preprocessor
    def lower(endpoint: str | None, values: dict[str, Any] | None) -> None:
        if values:
            values["room"] = values["room"].lower()

    @app.websocket("/<room>")
    async def view(room: str) -> None:
        await websocket.send(room)

    app.add_websocket("/x/missing", "missing")
    async with app.test_client().websocket("/ABC") as ws:
        assert await ws.receive() == "abc"
    with pytest.raises(asyncflask.SetupError, match="has no view"):
        await end_of(app, "/x/missing")


async def test_a_full_pool_refuses() -> None:
    """A `def` view that finds no thread is a 503. Those of requests are not taken by sockets."""
    app = make_app()
    app.config.update(WORKER_THREADS=1, STREAM_THREADS=1, WORKER_QUEUE_SIZE=0)

    @app.websocket("/ws")
    def view() -> None:
        websocket.receive()

    @app.get("/")
    def index() -> str:
        return "answered"

    client = app.test_client()
    async with client.websocket("/ws") as ws:
        assert (await end_of(app)).status_code == 503
        assert (await client.get("/")).text == "answered"
        await ws.send("end")


async def test_blueprints_have_middleware_around_their_sockets() -> None:
    """As around their requests."""

    class Tag:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["tag"] = f"{scope['type']} {scope.get('tag', '')}"
            await self.app(scope, receive, send)

    app = make_app()
    blueprint = Blueprint("bp", "bp", middleware=[Middleware(Tag), Middleware(Tag)])

    @blueprint.websocket("/ws")
    async def view() -> None:
        await websocket.send(websocket.scope["tag"])

    app.register_blueprint(blueprint)
    async with app.test_client().websocket("/ws") as ws:
        assert await ws.receive() == "websocket websocket "


async def test_starlettes_sockets_keep_their_ways() -> None:
    """Routes and mounts; what they raise before they accept is our refusal, or is raised."""

    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(await ws.receive_text())
        await ws.close()

    async def refuse(ws: WebSocket) -> None:
        raise StarletteHTTPException(402, "Pay first.")

    async def fail(ws: WebSocket) -> None:
        await ws.accept()
        raise RuntimeError("a bug")

    app = make_app()
    app.router.routes.append(WebSocketRoute("/echo", echo))
    app.router.routes.append(WebSocketRoute("/refuse", refuse))
    app.router.routes.append(WebSocketRoute("/fail", fail))
    app.mount("/mounted", Mount("/", routes=[WebSocketRoute("/echo", echo)]))
    client = app.test_client()
    for path in ("/echo", "/mounted/echo"):
        # Their origins are their own business.
        async with client.websocket(path, headers={"Origin": "https://elsewhere"}) as ws:
            await ws.send("x")
            assert await ws.receive() == "x"
    # Their messages are signalled, too.
    received: list[Any] = []
    sent: list[Any] = []
    with (
        websocket_received.connected_to(received.append),
        websocket_sent.connected_to(sent.append),
    ):
        async with client.websocket("/echo") as ws:
            await ws.send("x")
            assert await ws.receive() == "x"
    assert (received, sent) == (["x"], ["x"])
    response = await end_of(app, "/refuse")
    assert (response.status_code, "Pay first." in response.text) == (402, True)
    with pytest.raises(RuntimeError, match="a bug"):
        await end_of(app, "/fail")


async def test_starlettes_error_handlers_get_the_socket() -> None:
    """`handler(websocket, exc)`, which may close it."""
    app = make_app()

    async def handler(ws: Any, exc: Exception) -> Any:
        assert isinstance(ws, WebSocket)
        return "handled", 400

    app.add_exception_handler(KeyError, handler)  # type: ignore[arg-type]

    @app.websocket("/ws")
    async def view() -> None:
        raise KeyError("x")

    assert (await end_of(app)).text == "handled"


async def test_quart_and_we_agree_on_plain_conversations() -> None:
    """Echo, JSON, `abort()` and unknown paths: the same program, the same outcome."""
    outcomes: list[Any] = []
    for package, client_errors in [(asyncflask, asyncflask.testing), (quart, quart.testing)]:
        app: Any = make_app() if package is asyncflask else quart.Quart("sockets")
        outcomes.append(await converse(app, package, client_errors))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0] == ["hi", b"\1", {"a": [1]}, {"x": 1}, [1, 2], 401, 404]


async def converse(app: Any, package: Any, errors: Any) -> list[Any]:
    @app.websocket("/echo")
    async def echo() -> None:
        while True:
            await package.websocket.send(await package.websocket.receive())

    @app.websocket("/json")
    async def answer_json() -> None:
        await package.websocket.send_json(await package.websocket.receive_json())
        await package.websocket.send_json(x=1)
        await package.websocket.send_json(1, 2)

    @app.websocket("/abort")
    async def abort_it() -> None:
        package.abort(401)

    client = app.test_client()
    results: list[Any] = []
    async with client.websocket("/echo") as ws:
        for message in ("hi", b"\1"):
            await ws.send(message)
            results.append(await ws.receive())
    async with client.websocket("/json") as ws:
        await ws.send_json({"a": [1]})
        results += [await ws.receive_json() for _ in range(3)]
    for path in ("/abort", "/nowhere"):
        with pytest.raises(errors.WebsocketResponseError) as refused:
            async with client.websocket(path) as ws:
                await ws.receive()
        results.append(refused.value.response.status_code)
    return results


async def test_test_contexts() -> None:
    """`test_websocket_context()` and `websocket_context()`, with `with` and `async with`."""
    app = make_app()
    torn: list[Any] = []

    @app.websocket("/ws/<room>", endpoint="ws")
    async def view(room: str) -> None: ...

    @app.teardown_websocket
    async def teardown(exc: Any) -> None:
        torn.append(exc)

    async with app.test_websocket_context("/ws/a", subprotocols=["chat"]) as context:
        assert websocket.view_args == {"room": "a"}
        assert websocket.requested_subprotocols == ["chat"]
        assert websocket.blueprints == []
        assert "WebsocketContext" in repr(context)
    assert torn == [None]
    async with app.test_websocket_context("wss://example.org/nowhere"):
        assert websocket.url == "wss://example.org/nowhere"
        assert isinstance(websocket.routing_exception, asyncflask.messages.connection.HTTPException)
    async with app.test_websocket_context("/ws/a") as context:
        # Quart gives the WebSocket itself.
        again = app.websocket_context(context.websocket)
        assert again.websocket.view_args == {"room": "a"}
        assert again.receive is context.receive
    with app.test_request_context("/"):
        assert json.dumps(1) == "1"


@pytest.mark.parametrize("target", ["app", "blueprint"])
def test_the_decorator_needs_a_rule(target: str) -> None:
    """Without brackets it says how to write it."""
    registrar: Any = make_app() if target == "app" else Blueprint("bp", "bp")
    with pytest.raises(TypeError, match=r"@app\.websocket\(\"/path\"\)"):
        registrar.websocket(lambda: None)


def test_rules_for_websockets_take_no_options_that_mean_nothing_to_them() -> None:
    """What happens when the client goes is the same for all."""
    with pytest.raises(TypeError, match="takes no 'on_disconnect'"):
        make_app().add_websocket("/ws", "ws", lambda: None, on_disconnect="cancel")


def test_nothing_logs_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """A conversation without errors leaves no line in the log."""
    app = make_app()
    app.testing = False
    app.add_websocket("/ws", view_func=lambda: websocket.send("x"), endpoint="ws")
    with caplog.at_level(logging.INFO, "asyncflask"), app.sync_test_client().websocket("/ws") as ws:
        assert ws.receive() == "x"
    assert not [record for record in caplog.records if record.name != "asyncio"]
