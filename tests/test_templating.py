"""Templates, beside Flask's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import flask
import jinja2
import pytest
from markupsafe import Markup

from asyncflask import (
    Blueprint,
    Flask,
    before_render_template,
    current_app,
    flash,
    g,
    get_template_attribute,
    jinja,
    render_block,
    render_template,
    render_template_string,
    request,
    session,
    stream_template,
    stream_template_string,
    template_rendered,
    templating,
)
from asyncflask.exceptions import MissingAwaitError, SetupError

TEMPLATES = {
    "templates/index.html": "app {{ value }}",
    "templates/both.html": "app's",
    "templates/plain.txt": "{{ value }}",
    "templates/image.svg": "{{ value }}",
    "templates/macros.html": "{% macro hello(name) %}Hello {{ name }}{% endmacro %}{% set x = 7 %}",
    "templates/imports.html": "{% import 'macros.html' as m %}{{ m.hello(value) }}",
    "templates/importing.html": (
        "{% from 'who.html' import who with context %}{{ who() }}|"
        "{% from 'who.html' import who %}{{ who() }}"
    ),
    "templates/who.html": (
        "{% macro who() %}{{ request.args.name }} {{ session.user }} {{ g.x }}{% endmacro %}"
    ),
    "templates/all.html": (
        "{{ request.path }} {{ session.user }} {{ g.x }} {{ config.OWN }} {{ url_for('index') }} "
        "{{ get_flashed_messages() }}"
    ),
    "templates/form.html": "{{ request.form.name }}",
    "templates/list.html": "{% for n in numbers %}{{ n }};{% endfor %}",
    "templates/base.html": (
        "<title>{% block title %}base title{% endblock %}</title>"
        "{% block body %}<p>base {{ n }}</p>{% endblock %}"
    ),
    "templates/page.html": (
        "{% extends 'base.html' %}{% set three = 3 %}{% from 'macros.html' import hello %}"
        "{% block body %}{{ super() }} child {{ n }} in {{ three }}"
        "{% if hello and lt %}{% block inner %}inner {{ lt }}{% endblock %}{% endif %}"
        "{% endblock %}"
    ),
    "templates/empty.html": "{% extends 'page.html' %}",
    "templates/costly.html": (
        "{% set x = note('set') %}top{{ note('text') }}{% block large %}{{ note('large') }}"
        "{% endblock %}{% block small %}small{% endblock %}{{ note('end') }}"
    ),
    "templates/broken.html": "{% block bad %}\n{{ 1 // 0 }}{% endblock %}",
    "blueprint/both.html": "blueprint's",
    "blueprint/bp.html": "bp {{ value }} {{ color }}",
}

KINDS = pytest.mark.parametrize("kind", ["def", "async def"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of an application with templates of its own and of a blueprint."""
    for name, source in TEMPLATES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


def build(framework: Any, blueprint_class: Any, root: Path) -> Any:
    """The same application, of ours or of Flask's, with processors of both sorts."""
    app = framework(__name__, root_path=str(root), static_folder=None)
    app.config.update(TESTING=True, SECRET_KEY="a key", OWN="own")
    blueprint = blueprint_class(
        "bp", __name__, template_folder="blueprint", url_prefix="/bp", root_path=str(root)
    )
    app.context_processor(lambda: {"value": "app's value", "color": "app's color"})
    blueprint.context_processor(lambda: {"color": "bp's color"})
    blueprint.add_url_rule("/", endpoint="index", view_func=lambda: "x")
    app.register_blueprint(blueprint)
    app.add_url_rule("/", endpoint="index", view_func=lambda: "x")
    return app


@pytest.fixture
def app(root: Path) -> Flask:
    made: Flask = build(Flask, Blueprint, root)
    return made


async def rendered(app: Flask, kind: str, path: str, *args: Any, **values: Any) -> str:
    """What `render_template` gives in a request, in code of a kind."""
    async with app.test_request_context(path):
        if kind == "async def":
            return await render_template(*args, **values)
        text: Any = await asyncio.to_thread(render_template, *args, **values)
        assert type(text) is str
        return text


class TestTheSameAsFlask:
    @KINDS
    @pytest.mark.parametrize("path", ["/", "/bp/", "/missing"])
    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("index.html", {}),
            ("index.html", {"value": "<given>"}),
            ("index.html", {"value": Markup("<given>")}),
            ("plain.txt", {"value": "<given>"}),
            ("image.svg", {"value": "<given>"}),
            ("both.html", {}),
            ("bp.html", {}),
            ("bp.html", {"color": "given"}),
            (["nothing.html", "index.html"], {}),
            ("imports.html", {"value": "<given>"}),
        ],
        ids=str,
    )
    async def test_rendering(
        self, root: Path, app: Flask, kind: str, path: str, name: Any, values: dict[str, Any]
    ) -> None:
        """Folders, escaping, context processors; values that are given come last."""
        other = build(flask.Flask, flask.Blueprint, root)
        with other.test_request_context(path):
            expected = flask.render_template(name, **values)
        assert await rendered(app, kind, path, name, **values) == expected

    @KINDS
    async def test_what_every_template_has(self, app: Flask, root: Path, kind: str) -> None:
        """The proxies, `config`, `url_for` and flashed messages."""
        other = build(flask.Flask, flask.Blueprint, root)
        with other.test_request_context("/page"):
            flask.session["user"] = "ada"
            flask.g.x = "gee"
            flask.flash("<hi>")
            expected = flask.render_template("all.html")
        async with app.test_request_context("/page"):
            session["user"] = "ada"
            g.x = "gee"
            flash("<hi>")
            if kind == "def":
                assert await asyncio.to_thread(render_template, "all.html") == expected
            else:
                assert await render_template("all.html") == expected

    async def test_imported_templates_have_it_too(self, app: Flask, root: Path) -> None:
        """With and without their importer's context."""
        other = build(flask.Flask, flask.Blueprint, root)
        with other.test_request_context("/?name=x"):
            flask.session["user"] = "ada"
            flask.g.x = "gee"
            expected = flask.render_template("importing.html")
        async with app.test_request_context("/?name=x"):
            session["user"] = "ada"
            g.x = "gee"
            assert await render_template("importing.html") == expected
        assert expected == "x ada gee|x ada gee"

    def test_outside_of_requests(self, app: Flask, root: Path) -> None:
        """There is no `request`, but `g` and the application's processors."""
        other = build(flask.Flask, flask.Blueprint, root)
        source = "{{ g.x }} {{ value }} {{ color }}"
        with other.app_context():
            flask.g.x = 1
            expected = flask.render_template_string(source)
        with app.app_context():
            g.x = 1
            assert render_template_string(source) == expected

    @KINDS
    async def test_text_is_escaped(self, app: Flask, kind: str) -> None:
        """Templates that are given as text, as those of HTML files."""
        source = "{{ value }} {{ number|tojson }}"
        async with app.test_request_context():
            if kind == "def":
                text: Any = await asyncio.to_thread(
                    render_template_string, source, value="<b>", number={"a": "<"}
                )
            else:
                text = await render_template_string(source, value="<b>", number={"a": "<"})
        assert text == '&lt;b&gt; {"a":"\\u003c"}'


class TestTheModule:
    def test_it_has_the_classes_that_flask_has_there(self) -> None:
        """They are found when they are asked for; other names are not."""
        assert templating.Environment is jinja.Environment
        assert templating.DispatchingJinjaLoader is jinja.DispatchingJinjaLoader
        assert templating.TemplateName == jinja.TemplateName
        with pytest.raises(AttributeError, match=r"'asyncflask\.templating' has no .*'Environmnt'"):
            templating.Environmnt  # noqa: B018


class TestAdditions:
    def test_additions(self, app: Flask) -> None:
        """Filters, tests and globals."""

        @app.template_filter()
        def backwards(text: str) -> str:
            return text[::-1]

        app.add_template_test(lambda n: n > 2, "large")
        app.add_template_global(lambda: "global", "from_app")
        with app.app_context():
            source = "{{ 'abc'|backwards }} {{ 3 is large }} {{ from_app() }}"
            assert render_template_string(source) == "cba True global"

    @pytest.mark.parametrize("kind", ["filter", "test", "global"])
    def test_async_additions_need_async_templates(self, app: Flask, kind: str) -> None:
        """The error says how to turn them on; nothing is added."""

        async def ask() -> str:
            return "x"  # pragma: no cover - never called

        with pytest.raises(SetupError, match=r"'ask' in the .* is 'async def'.*enable_async"):
            getattr(app, f"add_template_{kind}")(ask)
        assert "ask" not in getattr(app.jinja_env, f"{kind}s")


class TestTheOneRule:
    @pytest.mark.parametrize(
        "function",
        [render_template, render_template_string, stream_template, stream_template_string],
    )
    async def test_a_forgotten_await_is_told(self, app: Flask, function: Any) -> None:
        """With what to write."""

        @app.get("/forgotten")
        async def forgotten() -> Any:
            return function("index.html")

        with pytest.raises(MissingAwaitError, match=rf"await {function.__name__}\(\.\.\.\)"):
            await app.test_client().get("/forgotten")

    async def test_templates_run_where_their_caller_runs(self, app: Flask) -> None:
        """On the loop, or in the worker thread."""
        app.add_template_global(threading.get_ident, "thread")
        here = threading.get_ident()

        @app.get("/async")
        async def async_view() -> str:
            return await render_template_string("{{ thread() }}")

        @app.get("/def")
        def def_view() -> str:
            return str(render_template_string("{{ thread() }}")) + f" {threading.get_ident()}"

        client = app.test_client()
        assert (await client.get("/async")).text == str(here)
        in_template, in_view = (await client.get("/def")).text.split()
        assert in_template == in_view != str(here)

    async def test_a_form_that_was_not_read(self, app: Flask) -> None:
        """Is an error that says what to write in `async def` code; once read, templates have it."""

        @app.post("/unread")
        async def unread() -> str:
            return await render_template("form.html")

        @app.post("/read")
        async def read() -> str:
            await request.form
            return await render_template("form.html")

        @app.post("/def")
        def def_view() -> Any:
            return render_template("form.html")

        client = app.test_client()
        with pytest.raises(MissingAwaitError, match=r"write: await request\.form"):
            await client.post("/unread", data={"name": "x"})
        for path in ("/read", "/def"):
            assert (await client.post(path, data={"name": "x"})).text == "x"

    @KINDS
    async def test_context_processors_may_be_async(self, app: Flask, kind: str) -> None:
        """They run on the loop, whichever code renders."""
        loop = asyncio.get_running_loop()

        @app.context_processor
        async def asynchronous() -> dict[str, Any]:
            await asyncio.sleep(0)
            return {"value": f"awaited {asyncio.get_running_loop() is loop} {request.path}"}

        @app.get("/async")
        async def async_view() -> str:
            return await render_template("index.html")

        @app.get("/def")
        def def_view() -> Any:
            return render_template("index.html")

        path = "/def" if kind == "def" else "/async"
        assert (await app.test_client().get(path)).text == f"app awaited True {path}"

    def test_an_async_context_processor_without_any_loop(self, app: Flask) -> None:
        """Gets one for itself: in a script, say."""

        @app.context_processor
        async def asynchronous() -> dict[str, Any]:
            await asyncio.sleep(0)
            return {"value": "awaited"}

        with app.app_context():
            assert render_template("index.html") == "app awaited"

    async def test_a_context_processor_has_to_return_a_dictionary(self, app: Flask) -> None:
        """The one that does not is named."""

        @app.context_processor
        def forgetful() -> Any:
            return None

        async with app.test_request_context():
            with pytest.raises(TypeError, match=r"'forgetful' returned 'NoneType'"):
                await render_template("index.html")

    @KINDS
    @pytest.mark.parametrize("own_kind", ["def", "async def"])
    @pytest.mark.parametrize("processor_kind", ["def", "async def"])
    async def test_the_application_may_update_the_context_its_own_way(
        self, root: Path, kind: str, own_kind: str, processor_kind: str
    ) -> None:
        """`update_template_context`: what the template is given still comes last."""

        class Own(Flask):
            def update_template_context(self, context: dict[str, Any]) -> Any:
                done = super().update_template_context(context)
                context["color"] = f"own, after {context.get('color')}"
                return done

        class AsyncOwn(Flask):
            async def update_template_context(self, context: dict[str, Any]) -> None:  # type: ignore[override]
                await super().update_template_context(context)
                context["color"] = f"own, after {context.get('color')}"

        app = build(Own if own_kind == "def" else AsyncOwn, Blueprint, root)
        if processor_kind == "async def":

            @app.context_processor
            async def late() -> dict[str, Any]:
                await asyncio.sleep(0)
                return {"color": "late", "value": "late"}

        text = await rendered(app, kind, "/bp/", "bp.html", value="given")
        # A `def` override cannot wait for processors that are `async def`, but what it returns can.
        too_early = (own_kind, processor_kind, kind) == ("def", "async def", "async def")
        expected = "bp&#39;s color" if too_early else "own, after bp&#39;s color"
        assert text == f"bp given {expected}"

    async def test_the_context_can_be_completed_by_hand(self, app: Flask) -> None:
        """As in Flask, awaited in `async def` code."""
        context: dict[str, Any] = {"value": "given"}
        async with app.test_request_context("/bp/"):
            await app.update_template_context(context)
            assert context == {
                "value": "given",
                "color": "bp's color",
                "g": g,
                "request": request._get_current_object(),
            }

        def in_def_code() -> dict[str, Any]:
            plain: dict[str, Any] = {}
            with app.app_context():
                assert app.update_template_context(plain) is None
                assert plain.pop("g") is g._get_current_object()  # type: ignore[attr-defined]
            return plain

        expected = {"value": "app's value", "color": "app's color"}
        assert await asyncio.to_thread(in_def_code) == expected

    async def test_templates_may_be_rendered_in_a_worker(self, app: Flask, root: Path) -> None:
        """`TEMPLATES_IN_WORKER`: what they call may block; `async def` processors still work."""
        app.config["TEMPLATES_IN_WORKER"] = True
        app.add_template_global(lambda: threading.current_thread().name, "thread")

        @app.context_processor
        async def asynchronous() -> dict[str, Any]:
            return {"value": f"awaited in {threading.current_thread().name}"}

        @app.get("/render")
        async def render() -> str:
            return await render_template_string("{{ value }} {{ thread() }} {{ request.path }}")

        @app.get("/stream")
        async def stream() -> Any:
            return await stream_template_string("{{ thread() }} {{ request.path }}")

        client = app.test_client()
        here, worker = threading.current_thread().name, f"{app.name}-worker-1"
        assert (await client.get("/render")).text == f"awaited in {here} {worker} /render"
        assert (await client.get("/stream")).text == f"{app.name}-stream-1 /stream"

    async def test_async_templates_by_one_option(self, root: Path) -> None:
        """They await what they call; in `def` code too."""

        class Async(Flask):
            jinja_options: ClassVar[dict[str, Any]] = {"enable_async": True}

        app = build(Async, Blueprint, root)
        loop = asyncio.get_running_loop()

        @app.template_global()
        async def ask() -> str:
            await asyncio.sleep(0)
            return f"asked {asyncio.get_running_loop() is loop}"

        async def async_pieces() -> Any:
            return await stream_template_string("a {{ ask() }}")

        async def async_hello() -> str:
            return str((await get_template_attribute("macros.html", "x")) + 1)

        async def async_ask() -> str:
            return await render_template_string("{{ ask() }}")

        app.add_url_rule("/async/render", "1", async_ask)
        app.add_url_rule("/def/render", "2", lambda: render_template_string("{{ ask() }}"))
        app.add_url_rule("/async/stream", "3", async_pieces)
        app.add_url_rule("/def/stream", "4", lambda: stream_template_string("a {{ ask() }}"))
        app.add_url_rule("/async/macro", "5", async_hello)
        app.add_url_rule(
            "/def/macro", "6", lambda: str(get_template_attribute("macros.html", "x") + 1)
        )
        client = app.test_client()
        for kind in ("async", "def"):
            assert (await client.get(f"/{kind}/render")).text == "asked True"
            assert (await client.get(f"/{kind}/stream")).text == "a asked True"
            assert (await client.get(f"/{kind}/macro")).text == "8"

    @KINDS
    async def test_what_async_templates_can(self, app: Flask, kind: str) -> None:
        """Async iteration, and `async def` filters, tests and functions."""
        app.jinja_options["enable_async"] = True

        @app.template_filter
        async def twice(n: int) -> int:
            await asyncio.sleep(0)
            return n * 2

        @app.template_test
        async def large(n: int) -> bool:
            return n > 2

        async def numbers() -> AsyncIterator[int]:
            for n in (1, 2):
                await asyncio.sleep(0)
                yield n

        source = (
            "{% for n in numbers() %}{{ n|twice }}{% if n|twice is large %}!{% endif %}{% endfor %}"
        )

        def def_view() -> Any:
            return stream_template_string(source, numbers=numbers)

        async def async_view() -> Any:
            return await render_template_string(source, numbers=numbers)

        app.add_url_rule("/new", "view", def_view if kind == "def" else async_view)
        assert (await app.test_client().get("/new")).text == "24!"

    def test_async_templates_without_a_loop(self, app: Flask) -> None:
        """In a script: each gets a loop of its own."""
        app.jinja_options["enable_async"] = True
        with app.app_context():
            assert render_template_string("{{ value }}") == "app&#39;s value"
            assert list(stream_template_string("a{{ value }}")) == ["a", "app&#39;s value"]  # type: ignore[call-overload]
            assert render_block("page.html", "body", n=1) == "<p>base 1</p> child 1 in 3"

    async def test_pieces_of_an_async_template_come_one_by_one(self, app: Flask) -> None:
        """In `def` code too: the template waits until the next one is wanted."""
        app.jinja_options["enable_async"] = True
        made: list[int] = []

        async def numbers() -> AsyncIterator[int]:
            for n in range(3):
                made.append(n)
                yield n

        source = "{% for n in numbers() %}{{ n }}{% endfor %}"

        @app.get("/new")
        def view() -> str:
            stream: Any = stream_template_string(source, numbers=numbers)
            return f"{next(stream)} {made} {next(stream)} {made}"

        assert (await app.test_client().get("/new")).text == "0 [0] 1 [0, 1]"


class TestBlocks:
    @pytest.mark.parametrize("enable_async", [False, True])
    @KINDS
    @pytest.mark.parametrize(
        ("name", "block", "expected"),
        [
            ("page.html", "body", "<p>base 1</p> child 1 in 3inner &lt;"),
            ("page.html", "title", "base title"),
            ("page.html", "inner", "inner &lt;"),
            ("base.html", "body", "<p>base 1</p>"),
            (["nothing.html", "base.html"], "title", "base title"),
            ("empty.html", "title", "base title"),
        ],
        ids=str,
    )
    async def test_one_block_is_rendered(
        self, app: Flask, kind: str, enable_async: bool, name: Any, block: str, expected: str
    ) -> None:
        """As it is in the whole page: with `super()`, imports and variables of the template."""
        app.jinja_options["enable_async"] = enable_async
        async with app.test_request_context():
            if kind == "async def":
                text = await render_block(name, block, n=1, lt="<")
                page = await render_template(name, n=1, lt="<")
            else:
                text = await asyncio.to_thread(render_block, name, block, n=1, lt="<")  # type: ignore[arg-type]
                page = await asyncio.to_thread(render_template, name, n=1, lt="<")  # type: ignore[arg-type]
        assert text == expected
        assert text in page

    async def test_what_stands_around_it_is_not_rendered(self, app: Flask) -> None:
        """Only what comes before the first text is done."""
        calls: list[str] = []
        async with app.test_request_context():
            values = {"n": 1, "note": calls.append}
            assert await render_block("costly.html", "small", **values) == "small"
        assert calls == ["set"]

    @KINDS
    async def test_a_block_that_is_not_there(self, app: Flask, kind: str) -> None:
        """The error names those that are, and the nearest."""
        call: Any = (
            render_block if kind == "async def" else partial(asyncio.to_thread, render_block)
        )
        async with app.test_request_context():
            with pytest.raises(
                LookupError,
                match=r"^'page.html' has no block 'bdy'. Its blocks: body, inner, title. "
                r"Did you mean 'body'\?$",
            ):
                await call("page.html", "bdy")
            with pytest.raises(LookupError, match=r"Its blocks: none\.$"):
                await render_block("list.html", "x", numbers=[])
            with pytest.raises(jinja2.TemplateNotFound):
                await render_block("nothing.html", "x")

    async def test_an_error_in_it_points_into_the_template(self, app: Flask) -> None:
        """As one in a whole template does."""
        async with app.test_request_context():
            with pytest.raises(ZeroDivisionError) as caught:
                await render_block("broken.html", "bad")
        assert caught.traceback[-1].path.name == "broken.html"  # type: ignore[union-attr]
        assert caught.traceback[-1].lineno == 1

    async def test_signals_are_sent(self, app: Flask) -> None:
        """With the template that has the block."""
        seen: list[Any] = []

        def receive(sender: Any, template: Any, context: dict[str, Any]) -> None:
            seen.append((template.name, context["n"]))

        async with app.test_request_context():
            with (
                before_render_template.connected_to(receive, app),
                template_rendered.connected_to(receive, app),
            ):
                await render_block("page.html", "body", n=1)
        assert seen == [("page.html", 1)] * 2


class TestStreams:
    @KINDS
    async def test_a_view_streams_a_template(self, app: Flask, kind: str) -> None:
        """Piece by piece, with the request's context until the end."""
        made: list[int] = []

        def numbers() -> Iterator[str]:
            for n in range(3):
                made.append(n)
                yield f"{n} {request.path} {current_app.name}"

        def def_view() -> Any:
            return stream_template("list.html", numbers=numbers())

        async def async_view() -> Any:
            stream = await stream_template("list.html", numbers=numbers())
            assert isinstance(stream, AsyncIterator)
            assert made == []
            return stream

        app.add_url_rule("/list", "list", def_view if kind == "def" else async_view)
        response = await app.test_client().get("/list")
        assert response.text == "".join(f"{n} /list {app.name};" for n in range(3))
        assert "content-length" not in response.headers

    def test_in_def_code_it_is_an_iterator(self, app: Flask, root: Path) -> None:
        """As in Flask: the same pieces."""
        other = build(flask.Flask, flask.Blueprint, root)
        with other.app_context():
            expected = list(flask.stream_template("list.html", numbers=[1, 2]))
            expected_string = list(flask.stream_template_string("{{ '<' }}{{ value }}"))
        with app.app_context():
            stream: Any = stream_template("list.html", numbers=[1, 2])
            assert list(stream) == expected
            assert list(stream_template_string("{{ '<' }}{{ value }}")) == expected_string  # type: ignore[call-overload]

    async def test_outside_of_requests(self, app: Flask) -> None:
        """An async iterator in `async def` code."""
        async with app.app_context():
            stream = await stream_template_string("{% for n in [1, 2] %}{{ n }}{% endfor %}")
            assert [piece async for piece in stream] == ["1", "2"]

    async def test_an_error_before_the_first_piece_is_the_views(self, app: Flask) -> None:
        """So that it gets an error page."""

        @app.context_processor
        async def fails() -> dict[str, Any]:
            raise LookupError("in a processor")

        async with app.test_request_context():
            with pytest.raises(LookupError, match="in a processor"):
                await stream_template("list.html", numbers=[])
            with pytest.raises(jinja2.TemplateNotFound):
                await stream_template("nothing.html")


class TestAttributes:
    @KINDS
    async def test_a_macro_in_python(self, app: Flask, kind: str) -> None:
        """Or a variable."""

        def use() -> str:
            hello = get_template_attribute("macros.html", "hello")
            return f"{hello('<Ada>')} {get_template_attribute('macros.html', 'x')}"

        async with app.test_request_context():
            result = use() if kind == "async def" else await asyncio.to_thread(use)
            assert result == "Hello &lt;Ada&gt; 7"
            with pytest.raises(AttributeError):
                get_template_attribute("macros.html", "nothing")


class TestSignals:
    @pytest.mark.parametrize("streamed", [False, True])
    @pytest.mark.parametrize("receiver_kind", ["def", "async def"])
    @KINDS
    async def test_receivers_see_template_and_context(
        self, app: Flask, kind: str, receiver_kind: str, streamed: bool
    ) -> None:
        """Before and after; those that are `async def` are awaited."""
        seen: list[Any] = []

        def note(what: str, sender: Any, template: Any, context: dict[str, Any]) -> None:
            seen.append((what, sender is app, template.name, context["value"], "g" in context))

        def before(sender: Flask, template: Any, context: dict[str, Any]) -> None:
            note("before", sender, template, context)
            context["value"] = "changed"

        def after(sender: Flask, template: Any, context: dict[str, Any]) -> None:
            note("after", sender, template, context)

        async def async_before(sender: Flask, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            before(sender, **kwargs)

        async def async_after(sender: Flask, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            after(sender, **kwargs)

        function = stream_template if streamed else render_template

        async def async_view() -> Any:
            return await function("index.html", value="given")

        app.add_url_rule(
            "/view",
            "view",
            async_view if kind == "async def" else lambda: function("index.html", value="given"),
        )
        pair = (before, after) if receiver_kind == "def" else (async_before, async_after)
        with (
            before_render_template.connected_to(pair[0], app),
            template_rendered.connected_to(pair[1], app),
        ):
            assert (await app.test_client().get("/view")).text == "app changed"
        assert seen == [
            ("before", True, "index.html", "given", True),
            ("after", True, "index.html", "changed", True),
        ]
