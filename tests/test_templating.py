"""Templates, beside Flask's."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
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
    render_template,
    render_template_string,
    request,
    session,
    stream_template,
    stream_template_string,
    template_rendered,
)
from asyncflask.exceptions import MissingAwaitError
from asyncflask.json import FlaskJSONProvider
from asyncflask.templating import DispatchingJinjaLoader, Environment

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
    "templates/include.html": "{% include 'nothing.html' %}",
    "templates/form.html": "{{ request.form.name }}",
    "templates/list.html": "{% for n in numbers %}{{ n }};{% endfor %}",
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

    def test_the_environment(self, app: Flask, root: Path) -> None:
        """Made once, with the application's options; the loader lists all templates."""
        other = build(flask.Flask, flask.Blueprint, root)
        assert isinstance(app.jinja_env, Environment)
        assert app.jinja_env is app.jinja_env
        assert app.jinja_env.app is app
        assert set(app.jinja_env.globals) == set(other.jinja_env.globals)
        assert isinstance(app.jinja_env.loader, DispatchingJinjaLoader)
        assert app.jinja_env.list_templates() == sorted(other.jinja_env.list_templates())


class TestTheEnvironment:
    @pytest.mark.parametrize(
        ("debug", "configured", "reloads"),
        [(False, None, False), (True, None, True), (False, True, True), (True, False, False)],
    )
    async def test_changed_templates_are_noticed(
        self, app: Flask, root: Path, debug: bool, configured: bool | None, reloads: bool
    ) -> None:
        """In debug mode, or as `TEMPLATES_AUTO_RELOAD` says."""
        app.debug = debug
        app.config["TEMPLATES_AUTO_RELOAD"] = configured
        assert await rendered(app, "async def", "/", "both.html") == "app's"
        file = root / "templates/both.html"
        file.write_text("changed")
        os.utime(file, (1, 1))
        expected = "changed" if reloads else "app's"
        assert await rendered(app, "async def", "/", "both.html") == expected

    def test_options_of_the_application(self, root: Path) -> None:
        """`jinja_options`; an own loader is possible."""

        class Own(Flask):
            jinja_options: ClassVar[dict[str, Any]] = {
                "trim_blocks": True,
                "autoescape": False,
                "loader": jinja2.DictLoader({"x.html": "{{ '<' }}{% if 1 %}\n!{% endif %}"}),
            }

        app = Own(__name__, static_folder=None)
        with app.app_context():
            assert render_template("x.html") == "<!"
            with pytest.raises(jinja2.TemplatesNotFound, match=r"^none of the templates.*: y, z$"):
                render_template(["y", "z"])

    def test_json_in_templates_is_the_applications(self, app: Flask) -> None:
        """Also when the provider is replaced after the first template."""
        source = "{{ {'b': 'ü', 'a': 1}|tojson }}"
        with app.app_context():
            assert render_template_string(source) == '{"b":"ü","a":1}'
            app.json = FlaskJSONProvider(app)
            assert render_template_string(source) == '{"a": 1, "b": "\\u00fc"}'

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


class TestMissing:
    async def test_the_error_says_where_it_looked(self, app: Flask, root: Path) -> None:
        """All folders, with their owners, and the nearest name."""
        async with app.test_request_context():
            with pytest.raises(jinja2.TemplateNotFound) as caught:
                await render_template("indx.html")
            message = str(caught.value)
            assert message == (
                f"'indx.html' was not found. Looked in: {root}/templates ({app!r}); "
                f"{root}/blueprint (<Blueprint 'bp'>). Did you mean 'index.html'?"
            )
            with pytest.raises(jinja2.TemplateNotFound, match=r"'nothing\.html' was not"):
                await render_template("include.html")
            with pytest.raises(jinja2.TemplatesNotFound) as several:
                await render_template(["a", "b"])
            assert f": a, b. Looked in: {root}/templates" in str(several.value)

    def test_an_application_without_a_folder(self) -> None:
        """Is told that it has none."""
        app = Flask(__name__, static_folder=None, template_folder=None)
        with app.app_context(), pytest.raises(jinja2.TemplateNotFound, match="No template folder"):
            render_template("x.html")

    def test_another_loader_is_named(self, app: Flask) -> None:
        """One that has no folders."""
        app.jinja_loader = jinja2.DictLoader({})
        with app.app_context(), pytest.raises(jinja2.TemplateNotFound, match="DictLoader object"):
            render_template("x.html")


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
