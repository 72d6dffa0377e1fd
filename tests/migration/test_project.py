"""Which files of a project are read, and what of requirements and servers is found in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncflask.migration import Kind, Report, examine


def report_on(folder: Path, files: dict[str, str]) -> Report:
    """Write files, and report on them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return examine(folder)


def used(report: Report) -> dict[str, list[tuple[str, int]]]:
    """Return the names of the extensions, with their places."""
    return {each.name: places for each, places in report.extensions.items()}


def test_other_peoples_code_is_left_out(tmp_path: Path) -> None:
    """Virtual environments, hidden folders, what was built."""
    code = "import flask"
    files = ["shop/app.py", ".git/x.py", "env/lib/x.py", "node_modules/x.py", "build/x.py"]
    report = report_on(tmp_path, {"env/pyvenv.cfg": "", **dict.fromkeys(files, code)})
    assert report.modules == 1
    assert [finding.file for finding in report.findings] == ["shop/app.py"]


def test_a_project_may_be_one_module(tmp_path: Path) -> None:
    """It is named by itself."""
    (tmp_path / "app.py").write_text("import flask")
    (tmp_path / "other.py").write_text("import flask")
    assert [finding.file for finding in examine(tmp_path / "app.py").findings] == ["app.py"]


@pytest.mark.parametrize(
    "code",
    [
        b"def (",
        b"x = 1\0",
        b"# coding: none\n",
        b"\xff",
        b"(" * 9999,
        b"x = " + b"-" * 99999 + b"1",
    ],
    ids=["syntax", "nul", "coding", "utf-8", "parentheses", "depth"],
)
def test_modules_that_cannot_be_read_are_named(tmp_path: Path, code: bytes) -> None:
    """The rest is read all the same."""
    (tmp_path / "broken.py").write_bytes(code)
    report = report_on(tmp_path, {"app.py": "import flask"})
    assert report.unread.keys() == {"broken.py"}
    assert report.unread["broken.py"]
    assert report.modules == 1


def test_requirements_that_are_nested_too_deeply_are_named(tmp_path: Path) -> None:
    """As other files that cannot be read."""
    nested = "dependencies = " + "[" * 9999 + "]" * 9999
    assert report_on(tmp_path, {"pyproject.toml": nested}).unread.keys() == {"pyproject.toml"}


def test_only_files_are_read(tmp_path: Path) -> None:
    """A pipe would be waited for, and a link to nowhere is none of the project's modules."""
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    report = report_on(tmp_path, {"app.py": "import flask"})
    assert (report.modules, report.unread) == (1, {})


def test_warnings_about_a_module_are_not_ours(tmp_path: Path) -> None:
    """Such as about an escape that is none."""
    assert report_on(tmp_path, {"app.py": r"x = '\d'"}).unread == {}


def test_extensions_are_found_where_they_are_imported(tmp_path: Path) -> None:
    """By the names of their modules; each place once."""
    code = (
        "import os, flask_login\nfrom flask_sqlalchemy.model import Model\nfrom . import flask_x\n"
    )
    report = report_on(tmp_path, {"app.py": code + "import flask_login as a, flask_login as b"})
    assert used(report) == {
        "Flask-Login": [("app.py", 1), ("app.py", 4)],
        "Flask-SQLAlchemy": [("app.py", 2)],
    }


def test_unknown_extensions_are_named(tmp_path: Path) -> None:
    """What is called like one, but for the project's own packages."""
    code = "import flask_unknown, flask_shop, apiflask, flasks"
    report = report_on(tmp_path, {"app.py": code, "flask_shop/__init__.py": ""})
    assert list(used(report)) == ["APIFlask", "flask_unknown"]


def test_extensions_are_found_where_they_are_required(tmp_path: Path) -> None:
    """In the files of pip, of pyproject.toml in its kinds, and of pipenv."""
    pyproject = """
[project]
name = "flask-shop"
dependencies = ["flask", "Flask-Login>=0.6"]
[project.optional-dependencies]
more = [
  "flask_wtf",
]
[project.scripts]
flask-thing = "shop:main"
[dependency-groups]
dev = ["flask-debugtoolbar", {include-group = "more"}]
[tool.poetry.dependencies]
flask-mail = "^0.10"
"""
    files = {
        "requirements.txt": "# flask-admin\n-r other.txt\nFlask-CORS[x]==6 ; os_name != 'x'\n",
        "requirements/dev.txt": "\nflask-caching\n",
        "pyproject.toml": pyproject,
        "Pipfile": '[packages]\nflask-babel = "*"\n',
        "notes.txt": "flask-admin",
    }
    assert used(report_on(tmp_path, files)) == {
        "Flask-Babel": [("Pipfile", 2)],
        "Flask-Caching": [("requirements/dev.txt", 2)],
        "Flask-CORS": [("requirements.txt", 3)],
        "Flask-DebugToolbar": [("pyproject.toml", 12)],
        "Flask-Login": [("pyproject.toml", 4)],
        "Flask-Mail": [("pyproject.toml", 14)],
        "Flask-WTF": [("pyproject.toml", 7)],
    }


def test_requirements_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """As modules are."""
    assert report_on(tmp_path, {"pyproject.toml": "x ="}).unread.keys() == {"pyproject.toml"}
    (tmp_path / "requirements.txt").write_bytes(b"\xff")
    assert examine(tmp_path).unread.keys() == {"pyproject.toml", "requirements.txt"}


@pytest.mark.parametrize(
    ("file", "line", "what"),
    [
        ("Procfile", "web: gunicorn shop:app", "gunicorn"),
        ("Procfile", "web: gunicorn -k gevent shop:app", "workers of gevent or eventlet"),
        ("Procfile", "web: gunicorn -k uvicorn_worker.UvicornWorker shop:app", ""),
        ("Procfile", "web: uvicorn shop:app", ""),
        ("Dockerfile", 'CMD ["flask", "--app", "shop", "run"]', "flask run"),
        ("Dockerfile", "RUN pip install gunicorn", ""),
        ("Dockerfile", "# gunicorn", ""),
        ("docker-compose.yml", "command: waitress-serve shop:app", "waitress"),
        ("deploy/uwsgi.ini", "[uwsgi]", "uWSGI"),
        ("gunicorn.conf.py", "worker_class = 'eventlet'", "workers of gevent or eventlet"),
        ("readme.txt", "gunicorn shop:app", ""),
    ],
)
def test_wsgi_servers_are_found_where_they_are_started(
    tmp_path: Path, file: str, line: str, what: str
) -> None:
    """In the files that start servers."""
    report = report_on(tmp_path, {file: f"\n{line}\n"})
    found = [(each.kind, each.file, each.line, each.what) for each in report.findings]
    assert found == ([(Kind.SERVER, file, 2, what)] if what else [])
