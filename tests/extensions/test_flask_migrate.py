"""Flask-Migrate: its commands, and views that use what they have made."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask_migrate import current as current_revision

from tests.programs import REPOSITORY, Start
from tests.programs import start as start

pytestmark = pytest.mark.neighbour("Flask-Migrate", kind="extension")

SITE = """\
import asyncio
from flask import Flask, request
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()
migrate = Migrate()

class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(20), nullable=False)

def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///" + app.root_path + "/site.db"
    db.init_app(app)
    migrate.init_app(app, db, directory=app.root_path + "/migrations")

    @app.post("/def")
    def add_in_def():
        db.session.add(User(name=request.form["name"]))
        db.session.commit()
        return ""

    @app.post("/async")
    async def add_in_async():
        db.session.add(User(name=request.form["name"]))
        await asyncio.sleep(0)
        db.session.commit()
        return ""

    @app.get("/")
    async def names():
        return list(db.session.scalars(db.select(User.name).order_by(User.name)))

    return app
"""
#: A column that the second revision adds.
MORE = '    email = db.Column(db.String(50), server_default="")\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_app.py").write_text(SITE)
    return tmp_path


def add_column(folder: Path) -> None:
    """Change the model."""
    source = SITE.replace("nullable=False)\n", "nullable=False)\n" + MORE)
    (folder / "site_app.py").write_text(source)


def asyncflask(folder: Path, *arguments: str) -> str:
    """Run a command in a process of its own, and return what it has printed."""
    done = subprocess.run(
        [sys.executable, "-m", "asyncflask", "--flask-extensions", "--app", "site_app", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_a_database_is_made_and_changed_by_commands_and_served(
    folder: Path, start: Start
) -> None:
    """Init, migrate, upgrade, serve; then the same for a change of the model, and back."""
    assert "Creating directory" in asyncflask(folder, "db", "init")
    assert "Detected added table 'user'" in asyncflask(folder, "db", "migrate", "-m", "users")
    assert "users" in asyncflask(folder, "db", "upgrade")
    assert "No new upgrade operations detected" in asyncflask(folder, "db", "check")

    arguments = ["--flask-extensions", "--app", "site_app", "run", "--port", "0"]
    program = start("-m", "asyncflask", *arguments)
    await asyncio.to_thread(program.get)
    async with httpx.AsyncClient(base_url=program.url) as client:
        paths = ["/def", "/async"] * 25
        posts = [client.post(path, data={"name": f"{i:02}"}) for i, path in enumerate(paths)]
        responses = await asyncio.gather(*posts)
        assert {response.status_code for response in responses} == {200}
        assert (await client.get("/")).json() == [f"{i:02}" for i in range(50)]
    program.kill()

    add_column(folder)
    assert "Detected added column 'user.email'" in asyncflask(folder, "db", "migrate", "-m", "mail")
    assert "mail" in asyncflask(folder, "db", "upgrade")
    assert "mail" in asyncflask(folder, "db", "downgrade")


@pytest.fixture
def quiet() -> Iterator[None]:
    """Undo what migrations do with logging: they disable the loggers that are there."""
    loggers = [
        entry
        for entry in logging.root.manager.loggerDict.values()
        if isinstance(entry, logging.Logger)
    ]
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for logger in loggers:
        logger.disabled = False


@pytest.fixture
def load(folder: Path, quiet: None) -> Iterator[Any]:
    """Load the application as it is in the file, as often as wanted."""
    loaded = []

    def load() -> Any:
        spec = importlib.util.spec_from_file_location("site_app", folder / "site_app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["site_app"] = module
        spec.loader.exec_module(module)
        app = module.create_app()
        loaded.append((app, module.db))
        return app

    yield load
    sys.modules.pop("site_app", None)
    for app, db in loaded:
        with app.app_context():
            db.engine.dispose()


# The env.py that it writes asks for the engine in this way.
@pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")
def test_its_commands_run_in_tests(load: Any, folder: Path) -> None:
    """By ``app.test_cli_runner()``, and its functions in a context."""
    runner = load().test_cli_runner()
    for arguments in (["init"], ["migrate", "-m", "users"], ["upgrade"]):
        result = runner.invoke(args=["db", *arguments])
        assert result.exit_code == 0, result.output
    assert load().test_client().post("/def", data={"name": "Ann"}).status_code == 200
    add_column(folder)
    app = load()
    assert app.test_cli_runner().invoke(args=["db", "migrate"]).exit_code == 0
    assert app.test_cli_runner().invoke(args=["db", "upgrade"]).exit_code == 0
    assert app.test_client().post("/async", data={"name": "Bob"}).status_code == 200
    assert app.test_client().get("/").json == ["Ann", "Bob"]
    with app.app_context():
        current_revision()
