"""Whole applications made for Flask: their own tests, and their main pages over the wire."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ecosystem.serving import serving
from tests.programs import url_in, wait_for

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
    :param tests: where its tests are, in its folder, separated by spaces.
    :param apart: whether it runs in the environment of :data:`APART`, not in this one.
    """

    package: str
    folder: str
    passed: int
    total: int
    left_out: dict[str, str] = field(default_factory=dict)
    plugin: str = "asyncflask.compat.installed"
    tests: str = "tests"
    apart: bool = False


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

FAVA = Application(
    "fava==1.30.16",
    "",
    490,
    491,
    {"tests/test_cli.py::test_cli": "it starts a process of its own, whose Flask is Flask"},
    apart=True,
)

_NEEDS_DNS = "looks for a domain in the Internet"
IHATEMONEY = Application(
    "ihatemoney==7.2.1",
    "",
    142,
    146,
    {  # pytest leaves out all that begin so: `test_invite_code_invalidation`, too
        "ihatemoney/tests/budget_test.py::TestBudget::test_notifications": _NEEDS_DNS,
        "ihatemoney/tests/budget_test.py::TestBudget::test_invite": _NEEDS_DNS,
        "ihatemoney/tests/main_test.py::TestEmailFailure::test_invitation_email_failure": (
            _NEEDS_DNS
        ),
    },
    tests="ihatemoney/tests",
    apart=True,
)

# The tests of its engine, which take minutes, have nothing to do with Flask.
MOIN = Application(
    "moin==2.0.0b5",
    "",
    84,
    84,
    tests="src/moin/apps src/moin/auth src/moin/themes",
    apart=True,
)

#: Applications whose pins do not fit the environment of the other tests, and what their tests need.
APART = [
    *(application.package for application in (FAVA, IHATEMONEY, MOIN)),
    "psutil>=7",  # moin's
    "pytest>=9.2",
    "pytest-flask>=1.3",  # ihatemoney's
    "setuptools<81",  # ihatemoney's: `distutils`
]


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


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> Callable[[Application], str]:
    """Gives the Python that runs an application."""

    def python(application: Application) -> str:
        if not application.apart:
            return sys.executable
        assert pytestconfig.cache is not None
        return make_environment(pytestconfig.cache.mkdir("applications"))

    return python


def make_environment(folder: Path) -> str:
    """Make the environment of :data:`APART`, if it is not there; return its Python.

    It has what this package needs, but not the package, which stands on the path.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*APART, *project["dependencies"]]
    made_of = "\n".join([sys.version, *requirements])
    stamp, python = folder / "made-of.txt", str(folder / "bin" / "python")
    if not stamp.exists() or stamp.read_text() != made_of:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, *requirements], check=True, timeout=400)
        stamp.write_text(made_of)
    return python


def run_tests(application: Application, folder: Path, python: str) -> str:
    """Run an application's own tests in a process of their own; return the summary."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    options += ["-p", application.plugin, "--rootdir", str(folder)]
    for name in application.left_out:
        options += ["--deselect" if "::" in name else "--ignore", name]
    run = subprocess.run(
        [python, "-m", "pytest", *options, *application.tests.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def _param(application: Application, name: str) -> Any:
    package, _, version = application.package.partition("==")
    pinned = {"version": version} if application.apart else {}
    mark = pytest.mark.neighbour(name, kind="application", package=package, **pinned)
    return pytest.param(application, marks=mark, id=name)


@pytest.mark.parametrize(
    "application",
    [
        _param(FLASK, "Flask's own tests"),
        _param(FLASKR, "flaskr"),
        _param(JAVASCRIPT, "js_example"),
        _param(HTTPBIN, "httpbin"),
        _param(BEPASTY, "bepasty"),
        _param(FAVA, "Fava"),
        _param(IHATEMONEY, "ihatemoney"),
        _param(MOIN, "MoinMoin's views, logins and themes"),
    ],
)
def test_its_own_tests_pass(
    application: Application,
    sources: Sources,
    python: Callable[[Application], str],
    record_property: Callable[[str, object], None],
) -> None:
    """All of them, but for those that are named with the reason."""
    summary = run_tests(application, sources.get(application), python(application))
    found = re.search(r"(\d+) passed", summary)
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


@pytest.fixture
def ihatemoney(
    sources: Sources, python: Callable[[Application], str], tmp_path: Path
) -> Iterator[str]:
    """The URL of a server that ``asyncflask run`` has started, in the application's environment."""
    settings = tmp_path / "settings.cfg"
    settings.write_text(f"SQLALCHEMY_DATABASE_URI = 'sqlite:///{tmp_path}/budget.db'\n")
    options = ["--app", "ihatemoney.wsgi:application", "run", "--flask-extensions", "--port", "0"]
    path = os.pathsep.join([str(ROOT), str(sources.get(IHATEMONEY))])
    environment = {"IHATEMONEY_SETTINGS_FILE_PATH": str(settings), "PYTHONPATH": path}
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [python(IHATEMONEY), "-m", "asyncflask", *options],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield wait_for(lambda: url_in(output.read_text()))
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.neighbour("ihatemoney", kind="application", version="7.2.1")
async def test_ihatemoney_is_served(ihatemoney: str) -> None:
    """Ten groups at once: each makes its project and its bills, and sees no other's."""

    async def use(client: httpx.AsyncClient, name: str) -> None:
        project = {"name": name, "id": name, "password": name, "contact_email": "a@example.com"}
        made = await client.post("/api/projects", data={**project, "default_currency": "XXX"})
        assert made.status_code == 201, made.text
        url, auth = f"/api/projects/{name}", (name, name)
        member = await client.post(f"{url}/members", data={"name": f"{name}'s"}, auth=auth)
        assert member.status_code == 201, member.text
        payer = str(member.json())
        bill = {"date": "2026-01-02", "what": f"tea of {name}", "payer": payer, "amount": "3"}
        bill |= {"payed_for": payer, "bill_type": "Expense", "original_currency": "XXX"}
        paid = await client.post(f"{url}/bills", data=bill, auth=auth)
        assert paid.status_code == 201, paid.text
        bills = (await client.get(f"{url}/bills", auth=auth)).json()
        assert [each["what"] for each in bills] == [f"tea of {name}"]
        assert (await client.get(url, auth=("other", "other"))).status_code == 401

    async with httpx.AsyncClient(base_url=ihatemoney, timeout=60) as client:
        await asyncio.gather(*(use(client, f"group{i}") for i in range(10)))
        assert "Log in" in (await client.get("/")).text
