"""Flask-Admin with models of Flask-SQLAlchemy, and with views that are ``async def``."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from flask import Flask, redirect, request, session
from flask_admin import Admin, AdminIndexView, BaseView, expose
from flask_admin.contrib.fileadmin import FileAdmin
from flask_admin.contrib.sqla import ModelView
from flask_babel import Babel
from flask_sqlalchemy import SQLAlchemy

from asyncflask.testing import FlaskClient
from tests.ecosystem.serving import serving

pytestmark = [
    pytest.mark.neighbour("Flask-Admin", kind="extension"),
    # Flask-Admin's fields, in WTForms' words.
    pytest.mark.filterwarnings("ignore:Yielding raw tuples from iter_choices:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Passing SelectField choices as:DeprecationWarning"),
]


class Protected:
    """For users whose names begin with "admin"."""

    def is_accessible(self) -> bool:
        return session.get("name", "").startswith("admin")

    def inaccessible_callback(self, name: str, **kwargs: object) -> object:
        return redirect("/login")


class Index(Protected, AdminIndexView):
    """The first page."""


class Files(Protected, FileAdmin):
    """A folder."""


class Report(Protected, BaseView):
    """Pages with functions of both kinds."""

    @expose("/")
    def index(self):
        return self.render("report.html", name=session["name"])

    @expose("/async")
    async def report(self):
        name = session["name"]
        await asyncio.sleep(0.01)
        assert session["name"] == name
        return f"report for {name}"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    (tmp_path / "files").mkdir()
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "report.html").write_text(
        "{% extends 'admin/master.html' %}{% block body %}report for {{ name }}{% endblock %}"
    )
    app = Flask(__name__, root_path=str(tmp_path))
    app.secret_key = "key"
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/test.db"
    Babel(app)  # where that is installed, the admin's texts are looked up in it
    db = SQLAlchemy(app)

    class Author(db.Model):  # type: ignore[name-defined]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(20), nullable=False)

        def __str__(self) -> str:
            return f"author {self.name}"

    class Book(db.Model):  # type: ignore[name-defined]
        id = db.Column(db.Integer, primary_key=True)
        title = db.Column(db.String(20), nullable=False)
        author_id = db.Column(db.ForeignKey(Author.id))
        author = db.relationship(Author, backref="books")

    class AuthorView(Protected, ModelView):
        column_searchable_list = ("name",)
        page_size = 100

    class BookView(Protected, ModelView):
        column_searchable_list = ("title",)
        column_editable_list = ("title",)
        can_export = True

    admin = Admin(app, "Library", index_view=Index())
    admin.add_view(AuthorView(Author, db))
    admin.add_view(BookView(Book, db))
    admin.add_view(Files(str(tmp_path / "files"), name="Files", endpoint="files"))
    admin.add_view(Report("Report", endpoint="report"))

    @app.post("/login")
    async def login():
        session["name"] = request.form["name"]
        return ""

    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()


async def log_in(client: httpx.AsyncClient, name: str = "admin") -> None:
    await client.post("/login", data={"name": name})


def titles(page: str) -> list[str]:
    """The titles in a list of books."""
    return re.findall(r'data-value="(.*?)"', page)


async def test_models_are_listed_created_edited_and_deleted_over_the_wire(app: Flask) -> None:
    """With related models, search, an edit in the list, an action on several, and an export."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, follow_redirects=True) as client:
            await log_in(client)
            page = (await client.get("/admin/")).text
            assert "Library" in page
            assert '/admin/book/"' in page
            (style,) = re.findall(r'href="(/admin/static/\S+/bootstrap\S*\.css\S*)"', page)[:1]
            assert (await client.get(style)).status_code == 200

            page = (await client.post("/admin/author/new/", data={"name": "Ann"})).text
            assert "Record was successfully created." in page
            page = (await client.get("/admin/book/new/")).text
            assert '<option value="1">author Ann</option>' in page
            for title in ("One", "Two", "Three"):
                form = {"title": title, "author": "1"}
                page = (await client.post("/admin/book/new/", data=form)).text
            assert titles(page) == ["One", "Two", "Three"]
            assert "author Ann" in page
            page = (await client.post("/admin/book/new/", data={"title": ""})).text
            assert "This field is required." in page

            page = (await client.get("/admin/book/?search=T&sort=0&desc=1")).text
            assert titles(page) == ["Two", "Three"] or titles(page) == ["Three", "Two"]
            form = {"title": "First", "author": "1"}
            page = (await client.post("/admin/book/edit/?id=1", data=form)).text
            assert "Record was successfully saved." in page
            form = {"list_form_pk": "2", "title": "Second"}
            response = await client.post("/admin/book/ajax/update/", data=form)
            assert response.text == "Record was successfully saved."
            assert titles((await client.get("/admin/book/")).text) == ["First", "Second", "Three"]

            export = (await client.get("/admin/book/export/csv/")).text
            assert export.splitlines() == ["Author,Title"] + [
                f"author Ann,{title}" for title in ("First", "Second", "Three")
            ]
            page = (await client.post("/admin/book/delete/", data={"id": "1"})).text
            assert "Record was successfully deleted." in page
            form = {"action": "delete", "rowid": ["2", "3"]}
            page = (await client.post("/admin/book/action/", data=form)).text
            assert "2 records were successfully deleted." in page
            assert titles(page) == []


async def test_files_are_uploaded_and_downloaded_over_the_wire(app: Flask) -> None:
    """In a folder that is made there."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, follow_redirects=True) as client:
            await log_in(client)
            page = (await client.post("/admin/files/mkdir/", data={"name": "new"})).text
            assert "Successfully created directory: new" in page
            content = 1_500_000 * b"a"
            files = {"upload": ("a.txt", content)}
            page = (await client.post("/admin/files/upload/new", files=files)).text
            assert "a.txt" in page
            assert (await client.get("/admin/files/download/new/a.txt")).content == content


async def test_who_may_not_is_sent_elsewhere(app: Flask) -> None:
    """From pages of every kind."""
    paths = ["/admin/", "/admin/book/", "/admin/report/", "/admin/report/async", "/admin/files/"]
    async with FlaskClient(app) as client:
        await log_in(client, "somebody")
        responses = await asyncio.gather(*map(client.get, paths))
        assert [r.headers.get("Location") for r in responses] == ["/login"] * 5


async def test_many_users_at_once_are_never_mixed(app: Flask) -> None:
    """Each makes an author, finds it, and reads reports of both kinds."""

    async def use(i: int) -> None:
        name = f"admin{i:02}"
        async with FlaskClient(app) as client:
            await log_in(client, name)
            for path in ("/admin/report/", "/admin/report/async"):
                assert f"report for {name}" in (await client.get(path)).text
            response = await client.post("/admin/author/new/", data={"name": name})
            assert response.status_code == 302
            page = (await client.get(f"/admin/author/?search={name}&page_size=100")).text
            assert name in page

    await asyncio.gather(*(use(i) for i in range(50)))
    async with FlaskClient(app) as client:
        await log_in(client)
        page = (await client.get("/admin/author/")).text
        assert sorted(re.findall(r"col-name\W+(admin\d\d)", page)) == [
            f"admin{i:02}" for i in range(50)
        ]


def test_tests_of_its_users_work(app: Flask) -> None:
    """With Werkzeug's client."""
    client = app.test_client()
    client.post("/login", data={"name": "admin"})
    data = {"upload": (io.BytesIO(), "a.txt")}
    assert client.post("/admin/files/upload/", data=data).status_code == 302
    assert "a.txt" in client.get("/admin/files/").text
    assert client.get("/admin/report/async").text == "report for admin"
