"""Instrumentation made for Starlette and ASGI.

It patches what it finds for the whole process, so each test has a process of its own.
"""

from __future__ import annotations

import pytest

from tests.ecosystem.process import run

APP = """
import json
import httpx
from asyncflask import Blueprint, Flask, websocket
from tests.ecosystem.serving import serving
from websockets.sync.client import connect


def make_app(**config):
    app = Flask("shop", static_folder=None)
    app.config.update(config)
    user = Blueprint("user", __name__, url_prefix="/user")

    @user.get("/<int:number>")
    def show(number):
        note("def")
        return str(number)

    @user.get("/<int:number>/posts")
    async def posts(number):
        note("async")
        return str(number)

    @user.get("/fail")
    def fail():
        raise LookupError("broken")

    @user.websocket("/echo")
    async def echo():
        await websocket.send(await websocket.receive())

    app.register_blueprint(user)
    return app


def note(what): ...


def visit(app):
    with serving(app) as url:
        codes = [
            httpx.get(url + path).status_code
            for path in ("/user/5", "/user/6/posts", "/user/fail", "/nowhere")
        ]
        with connect(f"{url}/user/echo".replace("http", "ws")) as socket:
            socket.send("hello")
            assert socket.recv(10) == "hello"
        assert codes == [200, 200, 500, 404], codes
"""

SPANS = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)


def note(what):
    with trace.get_tracer("ours").start_as_current_span(what):
        pass


def report():
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    print(json.dumps([
        [
            span.name,
            names.get(span.parent.span_id) if span.parent else None,
            span.attributes.get("http.route"),
            span.attributes.get("http.status_code"),
            span.status.status_code.name,
        ]
        for span in spans
        if span.kind.name == "SERVER" or span.name in ("def", "async")
    ]))
"""


#: Name, parent, route and status of the spans of a visit, in the order of their ends.
EXPECTED = [
    ["def", "GET /user/<int:number>", None, None, "UNSET"],
    ["GET /user/<int:number>", None, "/user/<int:number>", 200, "UNSET"],
    ["async", "GET /user/<int:number>/posts", None, None, "UNSET"],
    ["GET /user/<int:number>/posts", None, "/user/<int:number>/posts", 200, "UNSET"],
    ["GET /user/fail", None, "/user/fail", 500, "ERROR"],
    ["GET", None, None, 404, "UNSET"],
    ["/user/echo", None, "/user/echo", 200, "UNSET"],
]


@pytest.mark.neighbour(
    "OpenTelemetry, Starlette",
    kind="instrumentation",
    package="opentelemetry-instrumentation-starlette",
)
def test_an_application_is_instrumented_for_opentelemetry() -> None:
    """Spans are named by the rule, and spans of views of both kinds are below them."""
    spans = run(
        APP,
        SPANS,
        """
        from opentelemetry.instrumentation.starlette import StarletteInstrumentor
        app = make_app()
        StarletteInstrumentor.instrument_app(app)
        visit(app)
        report()
        """,
    )
    assert spans == EXPECTED


@pytest.mark.neighbour(
    "OpenTelemetry, Starlette",
    kind="instrumentation",
    package="opentelemetry-instrumentation-starlette",
)
def test_all_applications_are_instrumented_for_opentelemetry() -> None:
    """Where that comes before the import, as ``opentelemetry-instrument`` does it."""
    spans = run(
        """
        from opentelemetry.instrumentation.starlette import StarletteInstrumentor
        StarletteInstrumentor().instrument()
        """,
        APP,
        SPANS,
        """
        visit(make_app())
        report()
        """,
    )
    assert spans == EXPECTED


@pytest.mark.neighbour(
    "OpenTelemetry, ASGI",
    kind="instrumentation",
    package="opentelemetry-instrumentation-asgi",
)
def test_opentelemetry_middleware() -> None:
    """Added as middleware, or put around the application."""
    for line in (
        "app.add_middleware(OpenTelemetryMiddleware)",
        "app = OpenTelemetryMiddleware(app)",
    ):
        spans = run(
            APP,
            SPANS,
            "from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware",
            "app = make_app()",
            line,
            "visit(app)",
            "report()",
        )
        assert [span[3:] for span in spans if span[0] not in ("def", "async")] == [
            span[3:] for span in EXPECTED if span[0] not in ("def", "async")
        ]
        assert [span[1] for span in spans if span[0] in ("def", "async")] == [
            "GET /user/5",
            "GET /user/6/posts",
        ]


EVENTS = """
import sentry_sdk
from sentry_sdk.transport import Transport

events = []


class Keep(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.payload.json is not None:
                events.append(item.payload.json)


def note(what):
    sentry_sdk.capture_message(what)


def texts(event):
    return event.get("message") or [error["value"] for error in event["exception"]["values"]]


def report():
    print(json.dumps([
        [
            event.get("type", "error"),
            event.get("transaction"),
            None if event.get("type") else texts(event),
            event.get("request", {}).get("url", "").rpartition(":")[2].partition("/")[2],
        ]
        for event in events
        if "event_id" in event
    ]))
"""


@pytest.mark.neighbour("Sentry", kind="instrumentation", package="sentry-sdk")
@pytest.mark.parametrize("setting", ["", "PROPAGATE_EXCEPTIONS=True"])
def test_sentry_reports_errors_once_and_with_their_request(setting: str) -> None:
    """Its Starlette integration needs nothing from us; each event knows its request."""
    events = run(
        EVENTS,
        """
        sentry_sdk.init(dsn="http://key@127.0.0.1/1", transport=Keep, traces_sample_rate=1)
        """,
        APP.replace("def note(what): ...", ""),
        f"visit(make_app({setting}))",
        "report()",
    )
    assert [event for event in events if event[0] == "error"] == [
        ["error", "/user/<int:number>", "def", "user/5"],
        ["error", "/user/<int:number>/posts", "async", "user/6/posts"],
        ["error", "/user/fail", ["broken"], "user/fail"],
    ]
    assert [event[1] for event in events if event[0] == "transaction"][:3] == [
        "/user/<int:number>",
        "/user/<int:number>/posts",
        "/user/fail",
    ]


@pytest.mark.neighbour("Sentry", kind="instrumentation", package="sentry-sdk")
def test_sentry_middleware() -> None:
    """Put around the application."""
    events = run(
        EVENTS,
        """
        from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
        sentry_sdk.init(
            dsn="http://key@127.0.0.1/1", transport=Keep, auto_enabling_integrations=False
        )
        """,
        APP.replace("def note(what): ...", ""),
        "visit(SentryAsgiMiddleware(make_app()))",
        "report()",
    )
    assert [event[2:] for event in events] == [
        ["def", "user/5"],
        ["async", "user/6/posts"],
        [["broken"], "user/fail"],
    ]
