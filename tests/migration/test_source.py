"""What is found in the code of a project."""

from __future__ import annotations

import importlib
from pathlib import Path

import flask
import pytest

from asyncflask.devserver.server import _flask_only
from asyncflask.migration import Kind, Report, examine, rules

Found = list[tuple[int, str]]


def report_on(folder: Path, code: str, **modules: str) -> Report:
    """Report on a module ``app``, and others beside it."""
    for name, text in {"app": code, **modules}.items():
        (folder / f"{name}.py").write_text(text)
    return examine(folder)


def found(report: Report, kind: Kind) -> Found:
    """Return what of one kind was found in ``app``: lines and names."""
    findings = [each for each in report.findings if (each.file, each.kind) == ("app.py", kind)]
    return [(each.line, each.what) for each in findings]


# The names of Flask.


def test_imports_say_where_the_names_are_here(tmp_path: Path) -> None:
    """In asyncflask too, or in the compatibility namespace only."""
    code = """
import flask, flask.cli as cli, os
from flask import Flask, request as r
from flask.json.provider import DefaultJSONProvider
from flask.sansio.app import App
from flask import json, views, *
from .flask import own
from flasks import other
"""
    report = report_on(tmp_path, code.replace(", *", "") + "from flask import *")
    advice = {each.what: each.advice for each in report.findings}
    assert advice == {
        "flask": "import asyncflask",
        "flask.*": "from asyncflask import ...",
        "flask.cli": "import asyncflask",
        "flask.Flask": "from asyncflask import ...",
        "flask.json": "from asyncflask import ...",
        "flask.json.provider.DefaultJSONProvider": "from asyncflask.json.provider import ...",
        "flask.request": "from asyncflask import ...",
        "flask.sansio.app.App": (
            "only in the compatibility namespace: asyncflask itself has no such name"
        ),
        "flask.views": "from asyncflask import ...",
    }
    assert {each.kind for each in report.findings} == {Kind.IMPORT}


def test_names_that_flask_has_removed(tmp_path: Path) -> None:
    """However they are reached."""
    code = """
import flask
from flask import Flask, Markup, current_app
from flask.globals import _request_ctx_stack
from flask.ext.login import LoginManager
from flask._compat import text_type
app = Flask(__name__)
flask.escape, flask.json.JSONEncoder, flask.request
app.json_encoder = current_app.env = other.env = 1
app.config["JSON_SORT_KEYS"] = False
app.config.update(JSON_AS_ASCII=True)
JSONIFY_MIMETYPE = "x/y"
@app.before_first_request
def start(): pass
"""
    assert found(report_on(tmp_path, code), Kind.REMOVED) == [
        (3, "flask.Markup"),
        (4, "flask.globals._request_ctx_stack"),
        (5, "flask.ext.login.LoginManager"),
        (6, "flask._compat.text_type"),
        (8, "flask.escape"),
        (8, "flask.json.JSONEncoder"),
        (9, "app.env"),
        (9, "app.json_encoder"),
        (10, "JSON_SORT_KEYS"),
        (11, "JSON_AS_ASCII"),
        (12, "JSONIFY_MIMETYPE"),
        (13, "before_first_request"),
    ]


def test_flask_itself_does_not_have_them() -> None:
    """Else the report would be wrong."""
    modules = [importlib.import_module(name) for name in ("flask", "flask.json", "flask.globals")]
    for name in rules.REMOVED:
        assert not any(hasattr(module, name) for module in modules), name
    app = flask.Flask("shop")
    for name in rules.REMOVED_FROM_APP.keys() | rules.REMOVED_HOOKS.keys():
        assert not hasattr(app, name), name
    assert not rules.REMOVED_KEYS.keys() & app.config.keys()


# What stands anywhere.


def test_what_differs_or_does_not_work(tmp_path: Path) -> None:
    """Options of ``app.run``, middleware, other servers, greenlets, adapters."""
    code = """
import waitress
from asgiref.wsgi import WsgiToAsgi
from gevent import monkey
from werkzeug.middleware.proxy_fix import ProxyFix
from shop import create_app
monkey.patch_all()
site = create_app()
site.wsgi_app = ProxyFix(site.wsgi_app)
site.run(threaded=True, port=1)
server.run(threaded=True)
asgi = WsgiToAsgi(site)
waitress.serve(site)
site.test_client()
"""
    report = report_on(tmp_path, code)
    assert found(report, Kind.FAILS) == [(7, "gevent.monkey.patch_all")]
    assert found(report, Kind.DIFFERS) == [
        (9, "app.wsgi_app = ..."),
        (10, "app.run(threaded=...)"),
        (12, "asgiref.wsgi.WsgiToAsgi"),
    ]
    assert found(report, Kind.SERVER) == [(13, "waitress.serve")]
    assert found(report, Kind.IMPORT) == [(14, "app.test_client()")]


def test_options_without_effect_are_those_of_the_server() -> None:
    """All that ``app.run`` takes and leaves."""
    without = {name for name, advice in rules.RUN_OPTIONS.items() if "no effect" in advice}
    assert without == _flask_only


# Views.


def test_views_are_found(tmp_path: Path) -> None:
    """Functions with a rule, and methods of class-based views."""
    code = """
from flask.views import MethodView
@app.route("/")
def index(): pass
@shop.get("/b")
async def b(): pass
@cache.get("key")
@cached
@other()
def none(): pass
class Item(views.MethodView):
    name = 1
    def get(self): pass
    def helper(self): pass
class Other(Base):
    def get(self): pass
"""
    views = report_on(tmp_path, code).views
    assert [(view.line, view.name, view.is_async) for view in views] == [
        (4, "index", False),
        (6, "b", True),
        (13, "Item.get", False),
    ]


def test_registering_in_a_view_fails(tmp_path: Path) -> None:
    """The rest of what is called there does not matter."""
    code = """
@app.get("/")
def index():
    app.add_url_rule("/x", view_func=x)
    other.add_url_rule()
    x()()
def make():
    app.add_url_rule("/x", view_func=x)
"""
    assert found(report_on(tmp_path, code), Kind.FAILS) == [(4, "app.add_url_rule in a view")]


# What has to be awaited.


def test_what_has_to_be_awaited(tmp_path: Path) -> None:
    """In ``async def`` functions, where it stands without."""
    code = """
import asyncio, flask
from flask import render_template as render, request, session
@app.post("/")
async def index():
    request.form["a"], request.args
    request.get_json()
    flask.render_template("x")
    await render("x")
    asyncio.gather(render("x"))
    def inner(): request.files
    return render("y")
async def helper():
    form = await request.form
    return request.form["read before"], session
@app.get("/")
def sync():
    return render(request.form["a"])
"""
    report = report_on(tmp_path, code)
    assert found(report, Kind.AWAIT) == [
        (6, "request.form"),
        (7, "request.get_json"),
        (8, "render_template"),
        (12, "render_template"),
    ]
    advice = {each.what: each.advice for each in report.findings if each.kind is Kind.AWAIT}
    assert "read before the view" in advice["request.form"]
    assert advice["render_template"] == "await it"
    assert report.views[1].awaits == ("flask.render_template", "flask.request.form")
    code = "from asyncflask import request\nasync def view(): request.form"
    (finding,) = report_on(tmp_path, code).findings
    assert (finding.what, finding.advice) == ("asyncflask.request.form", "await it")


# What blocks.


def test_what_blocks_in_async_functions(tmp_path: Path) -> None:
    """By its name, and whatever it is imported as; in ``def`` functions it may."""
    code = """
import redis, requests, subprocess as sp
import redis.asyncio
from time import sleep
async def view():
    sleep(1)
    requests.Session().get("/")
    sp.run("x")
    open("x"), image.open("x"), sp.PIPE
    redis.Redis(), redis.asyncio.Redis(), sqlite3.connect("not imported")
def sync():
    sleep(1)
"""
    assert found(report_on(tmp_path, code), Kind.BLOCKS) == [
        (6, "time.sleep"),
        (7, "requests.Session"),
        (8, "subprocess.run"),
        (9, "open"),
        (10, "redis.Redis"),
    ]


def test_extensions_block_by_the_names_they_have(tmp_path: Path) -> None:
    """A session, a model, a task; in a module of their own or as attributes."""
    extensions = "from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()\nother = x()"
    code = """
from extensions import db as database
from .extensions import db
import extensions
async def view():
    database.session.commit()
    db.session.query(User).all()
    db.session.add(user)
    db.select(User)
    extensions.db.session.get(User, 1)
    User.query.filter_by(x=1).first()
    tasks.add.delay(1)
    delay()
"""
    assert found(report_on(tmp_path, code, extensions=extensions), Kind.BLOCKS) == [
        (6, "extensions.db.session.commit"),
        (7, "db.session.query"),
        (10, "extensions.db.session.get"),
        (11, "User.query.filter_by"),
        (12, "tasks.add.delay"),
    ]
    assert found(report_on(tmp_path, code, extensions=""), Kind.BLOCKS) == [(12, "tasks.add.delay")]


def test_functions_of_the_project_that_block(tmp_path: Path) -> None:
    """Those that call such a function block, too, in whichever module."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("import time\ndef wait(): time.sleep(1)")
    database = "import sqlite3\ndef connect(): return sqlite3.connect('x')"
    code = """
import database, package
from database import connect
def user(): return connect().execute("x")
def harmless(): pass
async def view():
    user(), harmless(), database.connect(), package.wait(), other.connect
class Method:
    def connect(self): pass
    async def get(self): self.connect()
"""
    report = report_on(tmp_path, code, database=database)
    assert found(report, Kind.BLOCKS) == [
        (7, "database.connect"),
        (7, "package.wait"),
        (7, "user"),
    ]
    advice = {each.what: each.advice for each in report.findings if each.kind is Kind.BLOCKS}
    assert advice["user"].startswith("it calls database.connect")


def test_def_views_that_block_nothing_are_candidates(tmp_path: Path) -> None:
    """To become ``async def``; what they would have to await is told."""
    code = """
import requests
from flask import request
@app.get("/a")
def quick(): return request.form["a"]
@app.get("/b")
def slow(): return requests.get("/").text
@app.get("/c")
async def done(): pass
"""
    report = report_on(tmp_path, code)
    assert [view.name for view in report.candidates] == ["quick"]
    assert report.views[1].blocking == ("requests.get",)


@pytest.mark.parametrize("code", ["", "x = [1]\nx[0] = y().z = f()", "@x\n@x.y\ndef f(): pass"])
def test_other_code_is_no_finding(tmp_path: Path, code: str) -> None:
    """Of whatever form."""
    assert report_on(tmp_path, code).findings == []
