"""Fifteen extensions in one application, as sites have them: they meet in hooks and sessions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from cachelib import FileSystemCache
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    redirect,
    render_template_string,
    request,
    session,
    stream_with_context,
)
from flask.testing import FlaskClient
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView
from flask_babel import Babel, format_decimal
from flask_bcrypt import Bcrypt
from flask_caching import Cache
from flask_compress import Compress
from flask_cors import CORS
from flask_jwt_extended import JWTManager, create_access_token, jwt_required
from flask_jwt_extended import current_user as token_user
from flask_limiter import Limiter
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_mail import Mail, Message
from flask_migrate import Migrate
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from flask_talisman import Talisman
from flask_wtf import CSRFProtect, FlaskForm
from flask_wtf.file import FileField
from werkzeug.middleware.proxy_fix import ProxyFix
from wtforms import PasswordField, StringField
from wtforms.validators import DataRequired

from tests.ecosystem.serving import serving
from tests.wire import until

pytestmark = [
    pytest.mark.neighbour("fifteen extensions together", kind="application", package="flask"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning"),
]

KINDS = ["def", "async"]

PAGE = """\
<meta name="csrf-token" content="{{ csrf_token() }}">
<script nonce="{{ csp_nonce() }}"></script>
<p>{{ current_user.name if current_user.is_authenticated else "nobody" }}</p>
{% for message in get_flashed_messages() %}<i>{{ message }}</i>{% endfor %}
{% for note in notes %}<li>{{ note.title }} of {{ note.author.name }}</li>{% endfor %}
"""


class LoginForm(FlaskForm):
    name = StringField(validators=[DataRequired()])
    password = PasswordField(validators=[DataRequired()])


class NoteForm(FlaskForm):
    title = StringField(validators=[DataRequired()])
    file = FileField()


class Site:
    """The application, and what its views and its tests share.

    :param folder: for its database, sessions and migrations.
    :param wrapped: whether middleware is around ``wsgi_app``.
    """

    def __init__(self, folder: Path, *, wrapped: bool) -> None:
        app = self.app = Flask(__name__)
        app.config.update(
            SECRET_KEY="a key that is long enough for it",
            JWT_SECRET_KEY="another key that is long enough for it",
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/site.db",
            # The limiter's key loads the user, and that connection stays with an `async def` view.
            SQLALCHEMY_ENGINE_OPTIONS={"max_overflow": -1, "connect_args": {"timeout": 60}},
            SESSION_TYPE="cachelib",
            SESSION_CACHELIB=FileSystemCache(str(folder / "sessions")),
            CACHE_TYPE="SimpleCache",
            RATELIMIT_STORAGE_URI="memory://",
            RATELIMIT_HEADERS_ENABLED=True,
            MAIL_DEFAULT_SENDER="site@example.org",
            MAIL_SUPPRESS_SEND=True,
            BCRYPT_LOG_ROUNDS=4,
            COMPRESS_MIN_SIZE=50,
        )
        if wrapped:
            app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
        self._add_models()
        self.bcrypt = Bcrypt(app)
        self.cache = Cache(app)
        self.mail = Mail(app)
        self.csrf = CSRFProtect(app)
        self.limiter = Limiter(lambda: current_user.get_id() or "nobody", app=app)
        Migrate(app, self.db, directory=str(folder / "migrations"))
        Session(app)
        Babel(app, locale_selector=lambda: session.get("language", "en"))
        CORS(app, resources={"/api/*": {"origins": ["https://app.example"]}})
        Compress(app)
        Talisman(
            app,
            force_https=False,
            session_cookie_secure=False,
            content_security_policy_nonce_in=["script-src"],
            content_security_policy={"script-src": "'self'"},
        )
        self._add_users()
        self._add_hooks()
        app.register_blueprint(self.def_views(), url_prefix="/def")
        app.register_blueprint(self.async_views(), url_prefix="/async")
        api = self.api()
        app.register_blueprint(api, url_prefix="/api")
        self.csrf.exempt(api)

    def _add_models(self) -> None:
        db = self.db = SQLAlchemy(self.app)

        class User(UserMixin, db.Model):  # type: ignore[name-defined]
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(20), unique=True)
            password = db.Column(db.String(80))
            notes = db.relationship("Note", back_populates="author")

        class Note(db.Model):  # type: ignore[name-defined]
            id = db.Column(db.Integer, primary_key=True)
            title = db.Column(db.String(80))
            content = db.Column(db.LargeBinary)
            author_id = db.Column(db.ForeignKey("user.id"))
            author = db.relationship("User", back_populates="notes")

        self.User: Any = User
        self.Note: Any = Note

    def _add_users(self) -> None:
        app, db = self.app, self.db
        login = LoginManager(app)
        login.login_view = "def.login"
        login.user_loader(lambda key: db.session.get(self.User, int(key)))
        tokens = JWTManager(app)
        tokens.user_identity_loader(lambda user: str(user.id))
        tokens.user_lookup_loader(lambda _, data: db.session.get(self.User, int(data["sub"])))

        class OfUsers(ModelView):
            column_exclude_list = ("password",)

            def is_accessible(self) -> bool:
                return bool(current_user.is_authenticated and current_user.name == "user0")

        Admin(app).add_view(OfUsers(self.User, db, endpoint="users"))

        @app.cli.command()
        def count() -> None:
            print(f"{db.session.scalar(db.select(db.func.count(self.User.id)))} users")

    def _add_hooks(self) -> None:
        app = self.app

        @app.before_request
        def mark() -> None:
            g.trail = [request.endpoint]

        @app.after_request
        def show(response: Response) -> Response:
            response.headers["X-User"] = getattr(current_user, "name", "nobody")
            response.headers["X-Trail"] = " ".join(g.get("trail", ["refused"]))
            return response

        @app.get("/language/<name>")
        def language(name: str) -> Any:
            session["language"] = name
            return redirect("/def/")

        @app.get("/broken/def")
        def broken_in_def() -> Any:
            raise KeyError(current_user.name)

        @app.get("/broken/async")
        async def broken_in_async() -> Any:
            raise KeyError(current_user.name)

    # What views of both kinds do.

    def find_user(self, name: str, password: str) -> Any:
        user = self.db.session.scalar(self.db.select(self.User).filter_by(name=name))
        return user if user and self.bcrypt.check_password_hash(user.password, password) else None

    def find_notes(self) -> Any:
        return self.db.session.scalars(self.db.select(self.Note).filter_by(author=current_user))

    def add_note(self, title: str, content: bytes) -> int:
        note = self.Note(title=title, content=content, author=current_user)
        self.db.session.add(note)
        self.db.session.commit()
        self.mail.send(Message(title, recipients=[f"{current_user.name}@example.org"]))
        return int(note.id)

    def mine(self) -> dict[str, Any]:
        notes = [[note.title, note.content.decode()] for note in self.find_notes()]
        return {"name": current_user.name, "notes": notes}

    def def_views(self) -> Blueprint:
        site, views = self, Blueprint("def", __name__)

        @views.get("/")
        def index() -> Any:
            notes = site.find_notes() if current_user.is_authenticated else ()
            return render_template_string(PAGE, notes=notes)

        @views.post("/login")
        @site.limiter.limit("3/minute", key_func=lambda: request.form.get("name", ""))
        def login() -> Any:
            form = LoginForm()
            assert form.validate_on_submit(), form.errors
            user = site.find_user(form.name.data, form.password.data)
            return "welcome" if user and login_user(user) else ("wrong", 401)

        @views.post("/notes")
        @login_required
        def add() -> Any:
            form = NoteForm()
            assert form.validate_on_submit(), form.errors
            site.add_note(form.title.data, form.file.data.read())
            session["added"] = session.get("added", 0) + 1
            return {"added": session["added"], "number": format_decimal(1.5)}

        @views.get("/mine")
        @login_required
        def mine() -> Any:
            return site.mine()

        @views.get("/cached")
        @site.cache.cached(query_string=True)
        def cached() -> Any:
            return f"{request.args['name']} {id(request._get_current_object())}"

        @views.get("/stream")
        @login_required
        def stream() -> Any:
            def lines() -> Any:
                yield f"{current_user.name}\n"
                yield from (f"{note.title}\n" for note in site.find_notes())

            return Response(stream_with_context(lines()))

        return views

    def async_views(self) -> Blueprint:
        site, views = self, Blueprint("async", __name__)

        @views.get("/")
        async def index() -> Any:
            def find() -> Any:
                return site.find_notes().all() if current_user.is_authenticated else ()

            notes = await current_app.run_sync(find)
            return await render_template_string(PAGE, notes=notes)

        @views.post("/login")
        @site.limiter.limit("3/minute", key_func=lambda: request.form.get("name", ""))
        async def login() -> Any:
            form = LoginForm()
            assert form.validate_on_submit(), form.errors
            name, password = form.name.data, form.password.data
            user = await current_app.run_sync(site.find_user, name, password)
            return "welcome" if user and login_user(user) else ("wrong", 401)

        @views.post("/notes")
        @login_required
        async def add() -> Any:
            form = NoteForm()
            assert form.validate_on_submit(), form.errors
            await current_app.run_sync(site.add_note, form.title.data, form.file.data.read())
            session["added"] = session.get("added", 0) + 1
            return {"added": session["added"], "number": format_decimal(1.5)}

        @views.get("/mine")
        @login_required
        async def mine() -> Any:
            await asyncio.sleep(0.001)
            return await current_app.run_sync(site.mine)

        @views.get("/cached")
        @site.cache.cached(query_string=True)
        async def cached() -> Any:
            return f"{request.args['name']} {id(request._get_current_object())}"

        @views.get("/stream")
        @login_required
        async def stream() -> Any:
            found = await current_app.run_sync(site.mine)

            async def lines() -> Any:
                for line in (found["name"], *(title for title, _ in found["notes"])):
                    yield f"{line}\n"

            return Response(lines())

        return views

    def api(self) -> Blueprint:
        site, views = self, Blueprint("api", __name__)

        @views.post("/token")
        async def token() -> Any:
            sent = request.get_json()
            user = await current_app.run_sync(site.find_user, sent["name"], sent["password"])
            return {"token": create_access_token(user)} if user else ("", 401)

        @views.get("/def")
        @jwt_required()
        def name_in_def() -> Any:
            return {"name": token_user.name}

        @views.get("/async")
        @jwt_required()
        async def name_in_async() -> Any:
            await asyncio.sleep(0.001)
            return {"name": token_user.name}

        return views


@pytest.fixture(params=[False, True], ids=["as it is", "wrapped"])
def site(request: Any, tmp_path: Path) -> Iterator[Site]:
    """The site, with users; with middleware around it and without."""
    site = Site(tmp_path, wrapped=request.param)
    with site.app.app_context():
        site.db.create_all()
        password = site.bcrypt.generate_password_hash("secret").decode()
        names = [f"user{number}" for number in range(50)]
        site.db.session.add_all(site.User(name=name, password=password) for name in names)
        site.db.session.commit()
    yield site
    with site.app.app_context():
        site.db.engine.dispose()


def find_token(page: str) -> str:
    found = re.search(r'content="([^"]+)"', page)
    assert found is not None
    return found[1]


def log_in(client: FlaskClient, kind: str) -> dict[str, str]:
    """Log somebody in, and return the headers that forms are sent with."""
    headers = {"X-CSRFToken": find_token(client.get(f"/{kind}/").text)}
    data = {"name": "user1", "password": "secret"}
    assert client.post(f"/{kind}/login", data=data, headers=headers).text == "welcome"
    return headers


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_extensions_do_together(site: Site, kind: str) -> None:
    """A test as Flask's users write it, with Werkzeug's client."""
    site.app.testing = True
    with site.app.test_client() as client, site.mail.record_messages() as sent:
        data = {"name": "user1", "password": "secret"}
        refused = client.post(f"/{kind}/login", data=data)
        assert (refused.status_code, refused.headers["X-Trail"]) == (400, "refused")
        assert client.get(f"/{kind}/mine").location == f"/def/login?next=%2F{kind}%2Fmine"
        headers = log_in(client, kind)
        assert session["_user_id"] == "2"
        client.get("/language/de")
        data = {"title": "Holiday", "file": (BytesIO(b"sun"), "a.txt")}
        response = client.post(f"/{kind}/notes", data=data, headers=headers)
        assert response.json == {"added": 1, "number": "1,5"}
        assert [message.recipients for message in sent] == [["user1@example.org"]]
        assert client.get(f"/{kind}/stream").text == "user1\nHoliday\n"
        page = client.get(f"/{kind}/", headers={"Accept-Encoding": "gzip"})
        assert page.headers["Content-Encoding"] == "gzip"
        assert "nonce-" in page.headers["Content-Security-Policy"]
        assert (page.headers["X-User"], page.headers["X-Trail"]) == ("user1", f"{kind}.index")
        assert "<li>Holiday of user1</li>" in client.get(f"/{kind}/").text
        with client.session_transaction() as opened:
            assert opened["language"] == "de"
            opened["added"] = 5
        data = {"title": "More", "file": (BytesIO(b"sun"), "b.txt")}
        assert client.post(f"/{kind}/notes", data=data, headers=headers).json["added"] == 6
        with pytest.raises(KeyError, match="user1"):
            client.get(f"/broken/{kind}")
        assert client.get("/admin/users/").status_code == 403
        wrong = {"name": "user1", "password": "wrong"}
        answers = [client.post(f"/{kind}/login", data=wrong, headers=headers) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]


def test_commands_and_migrations(site: Site) -> None:
    """The runner of the application, too, is Flask's."""
    runner = site.app.test_cli_runner()
    assert runner.invoke(args=["count"]).output == "50 users\n"
    for args in (["init"], ["stamp"], ["migrate", "-m", "none"], ["upgrade"], ["current"]):
        result = runner.invoke(args=["db", *args])
        assert result.exit_code == 0, (args, result.output)


async def visit(url: str, number: int) -> None:
    """Somebody who uses all of the site, by views of both kinds in turn, twice at the same time."""
    name = f"user{number}"
    kinds = KINDS if number % 2 else KINDS[::-1]
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:

        async def get(path: str, **options: Any) -> httpx.Response:
            response = await client.get(path, **options)
            assert response.status_code == 200, (name, path, response.status_code, response.text)
            return response

        headers = {"X-CSRFToken": find_token((await get(f"/{kinds[0]}/")).text)}
        data = {"name": name, "password": "secret"}
        assert (await client.post(f"/{kinds[0]}/login", data=data, headers=headers)).text == (
            "welcome"
        )
        response = await client.post("/api/token", json=data)
        bearer = {"Authorization": f"Bearer {response.json()['token']}"}
        notes: list[Any] = []
        for count, kind in enumerate(kinds, 1):
            content = f"content of {name} " * 100
            notes.append([f"{kind} {name}", content])
            response = await client.post(
                f"/{kind}/notes",
                data={"title": notes[-1][0]},
                files={"file": content.encode()},
                headers=headers,
            )
            assert response.json() == {"added": count, "number": "1.5"}, (name, kind)
            own, tokens, stream, page = await asyncio.gather(
                get(f"/{kind}/mine"),
                get(f"/api/{kind}", headers={**bearer, "Origin": "https://app.example"}),
                get(f"/{kind}/stream"),
                get(f"/{kind}/"),
            )
            assert own.json() == {"name": name, "notes": notes}
            assert tokens.json() == {"name": name}
            assert tokens.headers["Access-Control-Allow-Origin"] == "https://app.example"
            assert stream.text.splitlines() == [name, *(title for title, _ in notes)]
            assert set(re.findall(r"user\d+", page.text)) == {name}
            assert {each.headers["X-User"] for each in (own, stream, page)} == {name}
            cached = [(await get(f"/{kind}/cached", params={"name": name})).text for _ in "12"]
            assert cached[0] == cached[1]
            assert cached[0].startswith(f"{name} ")


async def test_fifty_users_at_once_see_their_own(site: Site) -> None:
    """Over uvicorn, and afterwards every thread and every connection has been given back."""
    with serving(site.app, timeout_keep_alive=60) as url:
        await asyncio.gather(*(visit(url, number) for number in range(50)))
        await until(lambda: not (site.app.pool.busy or site.app.stream_pool.busy))
        with site.app.app_context():
            assert site.db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
