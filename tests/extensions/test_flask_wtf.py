"""Flask-WTF in ``def`` and ``async def`` views."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

import httpx
import pytest
from flask import Flask, jsonify, render_template_string, request
from flask_wtf import CSRFProtect, FlaskForm
from flask_wtf.csrf import CSRFError, generate_csrf
from flask_wtf.file import FileAllowed, FileField, FileRequired, FileSize, MultipleFileField
from wtforms import StringField
from wtforms.validators import DataRequired, Length, ValidationError

from asyncflask.testing import FlaskClient
from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-WTF", kind="extension")

KINDS = pytest.mark.parametrize("kind", ["def", "async"])

PAGE = """\
<form method="post">{{ form.hidden_tag() }}{{ form.name() }}</form>
<meta name="csrf-token" content="{{ csrf_token() }}">
"""


class NameForm(FlaskForm):
    name = StringField(validators=[DataRequired(), Length(max=20)])

    def validate_name(self, field: StringField) -> None:
        if field.data == "root":
            raise ValidationError("Taken.")


class UploadForm(FlaskForm):
    name = StringField()
    file = FileField(validators=[FileRequired(), FileAllowed(["txt"]), FileSize(2_000_000)])
    more = MultipleFileField()


def answer(form: FlaskForm) -> Any:
    if form.validate_on_submit():
        return jsonify(name=form.name.data)
    return jsonify(errors=form.errors), 422 if form.is_submitted() else 200


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.secret_key = "key"
    csrf = CSRFProtect(app)

    @app.get("/token")
    async def token():
        return generate_csrf()

    @app.errorhandler(CSRFError)
    def refuse(exc: CSRFError):
        return jsonify(csrf=exc.description), 400

    add_def_views(app, csrf)
    add_async_views(app, csrf)
    return app


def add_def_views(app: Flask, csrf: CSRFProtect) -> None:
    @app.route("/def", methods=["GET", "POST"])
    def name_in_def():
        form = NameForm()
        if request.method == "GET":
            return render_template_string(PAGE, form=form)
        return answer(form)

    @app.post("/upload/def")
    def upload_in_def():
        form = UploadForm()
        if not form.validate_on_submit():
            return answer(form)
        sizes = [len(file.read()) for file in form.more.data or ()]
        return jsonify(form.name.data, form.file.data.filename, len(form.file.data.read()), sizes)

    @app.post("/json/def")
    def json_in_def():
        return jsonify(request.json)

    @app.post("/exempt/def")
    @csrf.exempt
    def exempt_in_def():
        return "exempt"


def add_async_views(app: Flask, csrf: CSRFProtect) -> None:
    @app.route("/async", methods=["GET", "POST"])
    async def name_in_async():
        form = NameForm()
        await asyncio.sleep(0)
        if request.method == "GET":
            return await render_template_string(PAGE, form=form)
        return answer(form)

    @app.post("/upload/async")
    async def upload_in_async():
        form = UploadForm()
        if not form.validate_on_submit():
            return answer(form)
        sizes = [len(file.read()) for file in form.more.data or ()]
        return jsonify(form.name.data, form.file.data.filename, len(form.file.data.read()), sizes)

    @app.post("/json/async")
    async def json_in_async():
        return jsonify(await request.json)

    @app.post("/exempt/async")
    @csrf.exempt
    async def exempt_in_async():
        return "exempt"


@KINDS
async def test_a_form_of_a_page_is_sent_back(app: Flask, kind: str) -> None:
    """With its token it is validated, without it is refused."""
    async with FlaskClient(app) as client:
        page = (await client.get(f"/{kind}")).text
        (token,) = re.findall(r'name="csrf_token" type="hidden" value="(.*?)"', page)

        async def post(**fields: str) -> Any:
            return (await client.post(f"/{kind}", data=fields)).json

        assert await post(csrf_token=token, name="Ann") == {"name": "Ann"}
        assert await post(csrf_token=token, name="root") == {"errors": {"name": ["Taken."]}}
        errors = {"errors": {"name": ["This field is required."]}}
        assert await post(csrf_token=token, name="") == errors
        assert await post(name="Ann") == {"csrf": "The CSRF token is missing."}
        assert await post(csrf_token="x", name="Ann") == {"csrf": "The CSRF token is invalid."}
        assert (await client.post(f"/exempt/{kind}")).text == "exempt"


@KINDS
async def test_json_carries_its_token_in_a_header(app: Flask, kind: str) -> None:
    """As scripts of a page send it; a form may be filled from JSON, too."""
    async with FlaskClient(app) as client:
        page = (await client.get(f"/{kind}")).text
        (token,) = re.findall(r'name="csrf-token" content="(.*?)"', page)
        headers = {"X-CSRFToken": token}
        for value in ({"a": [1]}, [1, "é"]):
            response = await client.post(f"/json/{kind}", json=value, headers=headers)
            assert response.json == value
        response = await client.post(f"/{kind}", json={"name": "Ann"}, headers=headers)
        assert response.json == {"name": "Ann"}
        response = await client.post(f"/json/{kind}", json={})
        assert response.json == {"csrf": "The CSRF token is missing."}


@KINDS
async def test_the_token_belongs_to_the_session(app: Flask, kind: str) -> None:
    """Another browser's is refused."""
    async with FlaskClient(app) as client, FlaskClient(app) as other:
        theirs = (await other.get("/token")).text
        await client.get("/token")
        response = await client.post(f"/{kind}", data={"name": "Ann", "csrf_token": theirs})
        assert response.json == {"csrf": "The CSRF tokens do not match."}


@KINDS
async def test_where_the_page_is_secure_the_referrer_is_looked_at(app: Flask, kind: str) -> None:
    """A request from another host is refused."""
    async with FlaskClient(app, base_url="https://localhost") as client:
        token = (await client.get("/token")).text
        data = {"name": "Ann", "csrf_token": token}
        answers = [
            (await client.post(f"/{kind}", data=data, headers={"Referer": referrer})).json
            for referrer in ("https://localhost/", "https://elsewhere/")
        ]
        assert answers == [{"name": "Ann"}, {"csrf": "The referrer does not match the host."}]


@KINDS
async def test_files_are_fields(app: Flask, kind: str) -> None:
    """In memory and on disk, one or many; what is no file or the wrong one is an error."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            token = (await client.get("/token")).text

            async def post(*files: tuple[str, Any]) -> Any:
                data = {"csrf_token": token, "name": "Ann"}
                return (await client.post(f"/upload/{kind}", data=data, files=files)).json()

            for size in (1, 1_500_000):
                file = ("file", ("a.txt", size * b"a"))
                assert await post(file) == ["Ann", "a.txt", size, []]
            more = [("more", (f"{i}.bin", i * b"a")) for i in (1, 2)]
            assert await post(file, *more) == ["Ann", "a.txt", size, [1, 2]]
            answers = [
                await post(("file", ("a.exe", b"a"))),
                await post(("file", ("a.txt", 2_000_001 * b"a"))),
                await post(("other", ("a.txt", b"a"))),
            ]
            assert [answer["errors"]["file"] for answer in answers] == [
                ["File does not have an approved extension: txt"],
                ["File must be between 0 and 2000000 bytes."],
                ["This field is required."],
            ]


async def test_many_users_at_once_are_never_mixed(app: Flask) -> None:
    """Each gets a token, and sends a form and a file with it, in views of both kinds."""

    async def use(name: str) -> None:
        async with FlaskClient(app) as client:
            token = (await client.get("/token")).text
            form = {"csrf_token": token, "name": name}
            for kind in ("def", "async"):
                assert (await client.post(f"/{kind}", data=form)).json == {"name": name}
                files = {"file": (f"{name}.txt", name.encode())}
                response = await client.post(f"/upload/{kind}", data=form, files=files)
                assert response.json == [name, f"{name}.txt", len(name), []]

    await asyncio.gather(*(use(f"user {i}") for i in range(50)))


@KINDS
def test_tests_of_its_users_work(app: Flask, kind: str) -> None:
    """With Werkzeug's client; a file may be empty."""
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    assert client.post(f"/{kind}", data={"name": "Ann"}).json == {"name": "Ann"}
    data = {"name": "", "file": (io.BytesIO(), "a.txt")}
    assert client.post(f"/upload/{kind}", data=data).json == ["", "a.txt", 0, []]
