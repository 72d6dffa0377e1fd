"""Whole applications made for Flask: their own tests, and their main pages over the wire."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ecosystem.serving import serving

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Application:
    """An application in a source distribution.

    :param package: what pip calls the distribution, with its version.
    :param folder: where the application is in it.
    :param passed: how many of its tests pass, which is all but those left out.
    :param total: how many tests it has.
    :param left_out: tests, or files of them, that are not run, and why.
    :param plugin: of pytest, which installs the namespace.
    :param tests: where its tests are, in its folder.
    """

    package: str
    folder: str
    passed: int
    total: int
    left_out: dict[str, str] = field(default_factory=dict)
    plugin: str = "asyncflask.compat.installed"
    tests: str = "tests"


FLASK = Application(
    "flask==3.1.3",
    "",
    487,
    490,
    {
        "tests/test_basic.py::test_session_accessed": "looks at a private attribute of a context",
        "tests/test_basic.py::test_request_locals": "looks at what a proxy without object shows as",
        "tests/test_basic.py::test_server_name_matching[True-False-default-abc-<invalid>]": (
            "a host that is not below SERVER_NAME is a 404 here, and a warning there"
        ),
    },
    plugin="tests.extensions.flask_suite",
)

FLASKR = Application("flask==3.1.3", "examples/tutorial", 24, 24)
JAVASCRIPT = Application("flask==3.1.3", "examples/javascript", 8, 8)
HTTPBIN = Application(
    "httpbin==0.10.4",
    "",
    69,
    70,
    {
        "tests/test_httpbin.py::HttpbinTestCase::test_post_file_with_missing_content_type_header": (
            "its multipart body has a bare line feed before the closing boundary, which Werkzeug's "
            "parser lets through; here it is answered with 400 (RFC 2046, 5.1.1)"
        )
    },
)


BEPASTY = Application(
    "bepasty==1.2.2",
    "",
    32,
    57,
    {
        "src/bepasty/tests/test_rest_server.py": (
            "its fixture waits until the process has no other thread, and that of the event loop "
            "ends with the process"
        ),
        "src/bepasty/tests/test_website.py": "needs a browser, with Flask too",
    },
    tests="src/bepasty/tests",
)


class Sources:
    """Source distributions, each downloaded and unpacked once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unpacked: dict[str, Path] = {}

    def get(self, application: Application) -> Path:
        """Return the folder of an application."""
        package = application.package
        if package not in self._unpacked:
            self._unpacked[package] = self._download(package)
        return self._unpacked[package] / application.folder

    def _download(self, package: str) -> Path:
        name = package.partition("==")[0]
        target = self._folder / name
        arguments = ["download", "-q", "--no-deps", "--no-binary", name, "-d", str(target), package]
        subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, timeout=60)
        [archive] = target.glob("*.tar.gz")
        with tarfile.open(archive) as file:
            file.extractall(target, filter="data")
        return next(path for path in target.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return Sources(tmp_path_factory.mktemp("sources"))


def run_tests(application: Application, folder: Path) -> str:
    """Run an application's own tests in a process of their own; return the summary."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    options += ["-p", application.plugin, "--rootdir", str(folder)]
    for name in application.left_out:
        options += ["--deselect" if "::" in name else "--ignore", name]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, application.tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def _param(application: Application, name: str) -> Any:
    package = application.package.partition("==")[0]
    mark = pytest.mark.neighbour(name, kind="application", package=package)
    return pytest.param(application, marks=mark, id=name)


@pytest.mark.parametrize(
    "application",
    [
        _param(FLASK, "Flask's own tests"),
        _param(FLASKR, "flaskr"),
        _param(JAVASCRIPT, "js_example"),
        _param(HTTPBIN, "httpbin"),
        _param(BEPASTY, "bepasty"),
    ],
)
def test_its_own_tests_pass(
    application: Application, sources: Sources, record_property: Callable[[str, object], None]
) -> None:
    """All of them, but for those that are named with the reason."""
    found = re.search(r"(\d+) passed", run_tests(application, sources.get(application)))
    assert found is not None
    passed = int(found[1])
    assert passed == application.passed
    record_property("own tests", f"{passed} of {application.total}")
    record_property("left out", list(application.left_out.values()))


@pytest.mark.neighbour("flaskr", kind="application", package="flask")
def test_flaskr_is_served(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user registers, logs in, writes a post, and others see it; the server is uvicorn."""
    monkeypatch.syspath_prepend(sources.get(FLASKR))
    import flaskr
    from flaskr.db import init_db

    app = flaskr.create_app({"SECRET_KEY": "test", "DATABASE": str(tmp_path / "flaskr.db")})
    with app.app_context():
        init_db()
    user = {"username": "ada", "password": "secret"}
    with serving(app) as url, httpx.Client(base_url=url, follow_redirects=True) as client:
        assert client.post("/auth/register", data=user).url.path == "/auth/login"
        assert "Log Out" in client.post("/auth/login", data=user).text
        assert "Engines" in client.post("/create", data={"title": "Engines", "body": "!"}).text
        stranger = httpx.get(f"{url}/").text
        assert "Engines" in stranger
        assert "Log Out" not in stranger


@pytest.mark.neighbour("httpbin", kind="application")
def test_httpbin_is_served() -> None:
    """It tells what it was asked, streams, sets cookies and asks for passwords."""
    import httpbin

    app: Any = httpbin.app
    with serving(app) as url, httpx.Client(base_url=url) as client:
        assert client.get("/get", params={"a": "b"}).json()["args"] == {"a": "b"}
        assert client.post("/post", data={"x": "y"}).json()["form"] == {"x": "y"}
        assert client.post("/post", json=[1]).json()["json"] == [1]
        assert client.get("/basic-auth/u/p").status_code == 401
        assert client.get("/basic-auth/u/p", auth=("u", "p")).json()["user"] == "u"
        assert len(client.get("/stream/3").text.splitlines()) == 3
        assert client.get("/gzip").json()["gzipped"]
        client.get("/cookies/set/k/v")
        assert client.get("/cookies").json() == {"cookies": {"k": "v"}}
        assert client.get("/").status_code == 200
