"""The environment of templates and its loader, beside Flask's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import flask
import jinja2
import pytest

from asyncflask import Blueprint, Flask, render_template, render_template_string
from asyncflask.jinja import DispatchingJinjaLoader, Environment
from asyncflask.json import FlaskJSONProvider

TEMPLATES = {
    "templates/index.html": "app",
    "templates/both.html": "app's",
    "templates/include.html": "{% include 'nothing.html' %}",
    "blueprint/both.html": "blueprint's",
    "blueprint/bp.html": "bp",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of an application with templates of its own and of a blueprint."""
    for name, source in TEMPLATES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return tmp_path


def build(framework: Any, blueprint_class: Any, root: Path) -> Any:
    """The same application, of ours or of Flask's."""
    app = framework(__name__, root_path=str(root), static_folder=None)
    blueprint = blueprint_class(
        "bp", __name__, template_folder="blueprint", url_prefix="/bp", root_path=str(root)
    )
    blueprint.add_url_rule("/", endpoint="index", view_func=lambda: "x")
    app.register_blueprint(blueprint)
    app.add_url_rule("/", endpoint="index", view_func=lambda: "x")
    return app


@pytest.fixture
def app(root: Path) -> Flask:
    made: Flask = build(Flask, Blueprint, root)
    return made


class TestTheEnvironment:
    def test_the_environment(self, app: Flask, root: Path) -> None:
        """Made once, with the application's options; the loader lists all templates."""
        other = build(flask.Flask, flask.Blueprint, root)
        assert isinstance(app.jinja_env, Environment)
        assert app.jinja_env is app.jinja_env
        assert app.jinja_env.app is app
        assert set(app.jinja_env.globals) == set(other.jinja_env.globals)
        assert isinstance(app.jinja_env.loader, DispatchingJinjaLoader)
        assert app.jinja_env.list_templates() == sorted(other.jinja_env.list_templates())

    def test_its_class_is_an_attribute_of_applications(self, root: Path) -> None:
        """Which subclasses and applications may replace."""

        class Own(Environment):
            pass

        class OwnFlask(Flask):
            jinja_environment = Own

        app = Flask(__name__, root_path=str(root))
        assert Flask.jinja_environment is app.jinja_environment is Environment
        assert type(OwnFlask(__name__, root_path=str(root)).jinja_env) is Own
        app.jinja_environment = Own
        assert type(app.jinja_env) is Own

    @pytest.mark.parametrize(
        ("debug", "configured", "reloads"),
        [(False, None, False), (True, None, True), (False, True, True), (True, False, False)],
    )
    def test_changed_templates_are_noticed(
        self, app: Flask, root: Path, debug: bool, configured: bool | None, reloads: bool
    ) -> None:
        """In debug mode, or as `TEMPLATES_AUTO_RELOAD` says."""
        app.debug = debug
        app.config["TEMPLATES_AUTO_RELOAD"] = configured
        with app.app_context():
            assert render_template("both.html") == "app's"
            file = root / "templates/both.html"
            file.write_text("changed")
            os.utime(file, (1, 1))
            assert render_template("both.html") == ("changed" if reloads else "app's")

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

    def test_an_application_may_make_its_own_loader(self) -> None:
        """And set options on itself, which other applications do not see."""

        class Own(Flask):
            def create_global_jinja_loader(self) -> jinja2.BaseLoader:
                return jinja2.DictLoader({"x.html": "<[ 1 ]>"})

        app = Own(__name__, static_folder=None)
        app.jinja_options["variable_start_string"] = "<["
        app.jinja_options["variable_end_string"] = "]>"
        with app.app_context():
            assert render_template("x.html") == "1"
        assert Own(__name__, static_folder=None).jinja_options == {}


class TestLoadingIsExplained:
    """`EXPLAIN_TEMPLATE_LOADING`, as Flask's, in the application's log."""

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/", "index.html"),
            ("/", "both.html"),
            ("/bp/", "both.html"),
            ("/bp/", "bp.html"),
            ("/bp/", "nothing.html"),
            ("/", "nothing.html"),
        ],
    )
    async def test_what_each_loader_says(
        self, root: Path, caplog: pytest.LogCaptureFixture, path: str, name: str
    ) -> None:
        """In the order they are asked; missing and ambiguous names are told."""
        logs = []
        for framework, blueprint_class in ((flask.Flask, flask.Blueprint), (Flask, Blueprint)):
            app = build(framework, blueprint_class, root)
            app.config["EXPLAIN_TEMPLATE_LOADING"] = True
            caplog.clear()
            with caplog.at_level("INFO", app.logger.name), app.test_request_context(path):
                source = app.jinja_env.loader.get_source
                if name == "nothing.html":
                    with pytest.raises(jinja2.TemplateNotFound):
                        source(app.jinja_env, name)
                else:
                    source(app.jinja_env, name)
            assert [record.name for record in caplog.records] == [app.logger.name]
            logs.append(caplog.messages[0].splitlines())
        theirs, ours = logs
        said = ("Locating", "trying loader", "->", "class:", "encoding", "  - /", "Error:")
        for word in said:
            assert [line for line in ours if word in line] == [
                line for line in theirs if word in line
            ], word
        assert ("Warning: " in str(ours)) == ("Warning: " in str(theirs)) == (name == "both.html")
        assert ("blueprint 'bp'. Is its" in str(ours)) == ("Maybe you did not" in str(theirs))

    async def test_other_loaders_and_places(
        self, app: Flask, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A template without a file; outside of a context."""
        app.config["EXPLAIN_TEMPLATE_LOADING"] = True
        app.jinja_loader = jinja2.DictLoader({"x.html": ""})
        with caplog.at_level("INFO", app.logger.name):
            app.jinja_env.get_template("x.html")
            with pytest.raises(jinja2.TemplateNotFound):
                app.jinja_env.get_template("y.html")
        assert "class: jinja2.loaders.DictLoader" in caplog.messages[0]
        assert "-> found ('<string>')" in caplog.messages[0]
        assert caplog.messages[1].endswith("Error: the template could not be found.")


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
