"""``app.run()``, by Flask's rules."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from asyncflask import Flask
from asyncflask.devserver import environment, run_app_ignored, server
from tests.programs import Meanwhile, Start, get, wait_for

HERE = Path(__file__).parent
CERTIFICATE, KEY = HERE / "certificate.pem", HERE / "key.pem"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An application, in a directory and an environment of its own."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "_loaded", {})
    for name in [name for name in before if name.startswith(("FLASK_", "ASYNCFLASK_"))]:
        monkeypatch.delenv(name)
    app = Flask("shop", root_path=str(tmp_path))

    @app.get("/")
    async def index() -> str:
        return f"debug: {app.debug}"

    yield app
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the server was asked to do; it does not start."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(server, "run", lambda target, **options: asked.update(options))
    return asked


def test_serves(app: Flask, meanwhile: Meanwhile) -> None:
    """``app.run()`` serves the application until Ctrl-C, and then returns."""
    answer, printed = meanwhile(lambda: app.run(port=0), get)
    assert answer == "debug: False"
    assert printed.startswith(" * Serving shop at http://127.0.0.1:")


@pytest.mark.parametrize(
    ("server_name", "host", "port", "expected"),
    [
        (None, None, None, ("127.0.0.1", 5000)),
        ("shop.test:8000", None, None, ("shop.test", 8000)),
        ("shop.test", None, None, ("shop.test", 5000)),
        ("shop.test:8000", "0.0.0.0", 0, ("0.0.0.0", 0)),
        ("shop.test:8000", None, 80, ("shop.test", 80)),
    ],
)
def test_address(
    app: Flask,
    asked: dict[str, Any],
    server_name: str | None,
    host: str | None,
    port: int | None,
    expected: tuple[str, int],
) -> None:
    """Arguments come first, then SERVER_NAME, then 127.0.0.1:5000: as in Flask."""
    app.config["SERVER_NAME"] = server_name
    app.run(host, port)
    assert (asked["host"], asked["port"]) == expected


@pytest.mark.parametrize(
    ("variable", "argument", "expected"),
    [
        (None, None, True),
        ("0", None, False),
        ("1", None, True),
        ("0", True, True),
        ("1", False, False),
    ],
)
def test_debug_mode(
    app: Flask,
    asked: dict[str, Any],
    variable: str | None,
    argument: bool | None,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The argument comes first, then the environment, then the application's own setting."""
    if variable is not None:
        monkeypatch.setenv("FLASK_DEBUG", variable)
    app.debug = True
    app.run(debug=argument)
    assert app.debug is asked["debug"] is asked["reload"] is expected


def test_env_files(app: Flask, asked: dict[str, Any]) -> None:
    """``.env`` is read, unless that is not wanted."""
    Path(".env").write_text("FLASK_DEBUG=1\n")
    app.run(load_dotenv=False)
    assert not app.debug
    os.environ["ASYNCFLASK_SKIP_DOTENV"] = "1"
    app.run()
    assert not app.debug
    del os.environ["ASYNCFLASK_SKIP_DOTENV"]
    app.run()
    assert app.debug


def test_options_of_flask(app: Flask, asked: dict[str, Any]) -> None:
    """Flask's options do what they can do here; those without a meaning are accepted."""
    app.run(
        debug=True, use_reloader=False, extra_files=["a.toml"], threaded=True, use_debugger=True
    )
    assert asked["debug"]
    assert not asked["reload"]
    assert asked["watch"] == [app.root_path, "a.toml"]
    app.run(reload=True, watch=["b"])
    assert asked["reload"]
    assert asked["watch"] == [app.root_path, "b"]
    assert not asked.keys() & {"threaded", "use_debugger", "use_reloader", "extra_files"}


def test_certificate(app: Flask, meanwhile: Meanwhile, asked: dict[str, Any]) -> None:
    """``ssl_context`` is a pair of paths, as in Flask."""
    app.run(ssl_context=(CERTIFICATE, KEY))
    assert asked["ssl_context"] == (CERTIFICATE, KEY)


def test_wrong_ssl_context(app: Flask) -> None:
    """Anything else is told."""
    with pytest.raises(TypeError, match=r"ssl_context is .*, not 'ad-hoc'"):
        app.run(ssl_context="ad-hoc")


def test_certificate_in_files(app: Flask, meanwhile: Meanwhile) -> None:
    """``ssl_context`` is a pair of paths, as in Flask."""
    answer, _ = meanwhile(lambda: app.run(port=0, ssl_context=(CERTIFICATE, KEY)), _get_unverified)
    assert answer == "debug: False"


def test_certificate_made_at_the_start(app: Flask, meanwhile: Meanwhile) -> None:
    """``ssl_context="adhoc"`` makes one."""
    answer, printed = meanwhile(lambda: app.run(port=0, ssl_context="adhoc"), _get_unverified)
    assert answer == "debug: False"
    assert " at https://127.0.0.1:" in printed


def _get_unverified(url: str) -> str:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with urlopen(url, timeout=60, context=context) as response:
        return str(response.read().decode())


def test_ssl_context(app: Flask, meanwhile: Meanwhile) -> None:
    """``ssl_context`` may be an ``ssl.SSLContext``."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(CERTIFICATE, KEY)

    def secure(url: str) -> str:
        context = ssl.create_default_context(cafile=CERTIFICATE)
        with urlopen(url, timeout=60, context=context) as response:
            return str(response.read().decode())

    answer, printed = meanwhile(lambda: app.run(port=0, ssl_context=own), secure)
    assert answer == "debug: False"
    assert " at https://127.0.0.1:" in printed


def test_unknown_option(app: Flask) -> None:
    """A misspelt option is refused."""
    with pytest.raises(TypeError, match="Did you mean 'workers'"):
        app.run(worker=2)


def test_debug_mode_stays_on_this_machine(app: Flask) -> None:
    """``app.run(debug=True, host="0.0.0.0")`` is refused, and says what permits it."""
    with pytest.raises(SystemExit, match="allow_remote_debug=True"):
        app.run(debug=True, host="0.0.0.0", port=0)


def test_ignored_on_import(
    app: Flask, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """While a tool imports the module for its application, the call does nothing but say so."""
    with run_app_ignored():
        app.run()
    assert not asked
    assert "app.run() is ignored" in capsys.readouterr().err


TUTORIAL = """
from asyncflask import Flask, request
app = Flask(__name__)

@app.route("/")
def index():
    return "Hello, {name}!"

@app.route("/fail")
def fail():
    divisor = 0
    return 1 / divisor

if __name__ == "__main__":
    app.run(debug=True, port=0)
"""


def test_the_tutorial_with_debug_mode(start: Start, tmp_path: Path) -> None:
    """``python app.py`` serves, reloads, and explains errors to a browser on this machine."""
    (tmp_path / "app.py").write_text(TUTORIAL.replace("{name}", "World"))
    program = start("app.py")
    assert program.get() == "Hello, World!"
    page = program.page("/fail", Accept="text/html")
    assert "ZeroDivisionError" in page
    assert "divisor" in page
    assert "Traceback" in program.page("/fail", Accept="text/plain")
    assert "divisor" not in program.page("/fail", Accept="text/html", Host="example.org")
    (tmp_path / "app.py").write_text(TUTORIAL.replace("{name}", "again"))
    wait_for(lambda: program.get() == "Hello, again!")
    assert program.signal(signal.SIGINT, group=True) == 0
