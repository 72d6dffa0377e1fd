"""``asyncflask run``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from asyncflask import Flask
from asyncflask.cli import FlaskGroup, cli
from asyncflask.cli.run import load_in_worker, run_command
from tests.programs import Meanwhile, Start, get, wait_for

SHOP = """
import os
from asyncflask import Flask

app = Flask(__name__)

@app.get("/")
async def index():
    return {answer}

@app.get("/fail")
def fail():
    basket = ["apple"]
    return basket[1]
"""


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before, modules = dict(os.environ), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in before if name.startswith(("FLASK_", "ASYNCFLASK_"))]:
        monkeypatch.delenv(name)
    write("'one'")
    yield
    os.environ.clear()
    os.environ.update(before)
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(answer: str) -> None:
    Path("shop.py").write_text(SHOP.replace("{answer}", answer))


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_serves(meanwhile: Meanwhile) -> None:
    """The application is served in this process; in production mode nothing is watched."""
    answer, printed = meanwhile(
        lambda: cli.main(["--app", "shop", "run", "--port", "0"], standalone_mode=False), get
    )
    assert answer == "one"
    assert printed.startswith(" * Serving shop at http://127.0.0.1:")


def test_debug_reload_and_the_debug_page(start: Start, tmp_path: Path) -> None:
    """With --debug an error gives a page, and a broken file is survived."""
    program = start("-m", "asyncflask", "--app", "shop", "run", "--debug", "--port", "0")
    assert program.get() == "one"
    assert " * Serving shop in debug mode at http://127.0.0.1:" in program.output
    page = program.page("/fail", Accept="text/html")
    assert "IndexError" in page
    assert "[&#39;apple&#39;]" in page
    write("'two' +")
    program.wait_for_output("SyntaxError")
    program.wait_for_output("Waiting for a change.")
    write("'two'")
    assert program.get() == "two"
    assert program.signal(signal.SIGINT, group=True) == 0


def test_starts_broken_and_recovers(start: Start, tmp_path: Path) -> None:
    """A file that is broken from the start is waited for too."""
    write("'one' +")
    program = start("-m", "asyncflask", "--app", "shop", "run", "--reload", "--port", "0")
    program.wait_for_output("Waiting for a change.")
    write("'fixed'")
    assert program.get() == "fixed"


@pytest.mark.parametrize("served_by", ["--reload", "--workers=2"])
def test_a_wrong_name_is_told_at_once(served_by: str) -> None:
    """A mistake on the command line does not wait for the processes that serve."""
    result = invoke("--app", "shpo", "run", served_by, "--port", "0")
    assert (result.exit_code, "There is no module 'shpo'" in result.output) == (2, True)
    result = invoke("--app", "shpo.py", "run", served_by, "--port", "0")
    assert (result.exit_code, "There is no file" in result.output) == (2, True)


def test_a_missing_variable_is_not_waited_for(start: Start) -> None:
    """Nor is one that shows in the process that serves."""
    program = start("-m", "asyncflask", "--app", "shop:ap", "run", "--reload", "--port", "0")
    assert program.process.wait(60) == 2
    assert "Module 'shop' has no 'ap'. Did you mean 'app'?" in program.output


def test_env_file_is_read_anew(start: Start, tmp_path: Path) -> None:
    """A change of .env starts the application again, with the new values."""
    (tmp_path / ".env").write_text("ASYNCFLASK_APP=shop\nANSWER=first\n")
    write("os.environ['ANSWER']")
    program = start("-m", "asyncflask", "run", "--reload", "--port", "0")
    assert program.get() == "first"
    (tmp_path / ".env").write_text("ASYNCFLASK_APP=shop\nANSWER=second\n")
    wait_for(lambda: program.get() == "second")


def test_loading_in_a_worker(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker finds the application through the environment."""
    monkeypatch.setenv("ASYNCFLASK_APP", "shop")
    assert isinstance(load_in_worker(), Flask)
    monkeypatch.setenv("ASYNCFLASK_APP", "shpo")
    with pytest.raises(SystemExit) as caught:
        load_in_worker()
    assert caught.value.code == 3
    assert "There is no module 'shpo'" in capsys.readouterr().err


def test_workers(meanwhile: Meanwhile) -> None:
    """The workers import the application, a factory's arguments and all; their parent does not."""
    write("os.environ['ASYNCFLASK_APP'] + str(os.getpid())")
    with Path("shop.py").open("a") as file:
        file.write("def create_app(name):\n    return app\n")
    arguments = ["--app", "shop:create_app('x')", "run", "-p", "0", "--workers", "2"]
    answer, _ = meanwhile(lambda: cli.main(arguments, standalone_mode=False), get)
    assert answer.startswith("shop:create_app('x')")
    assert not answer.endswith(str(os.getpid()))
    assert "shop" not in sys.modules


def test_application_found_by_itself_in_workers(meanwhile: Meanwhile) -> None:
    """Where no application is named, the workers look for it as well."""
    Path("shop.py").rename("app.py")
    arguments = ["run", "-p", "0", "--workers", "2"]
    answer, printed = meanwhile(lambda: cli.main(arguments, standalone_mode=False), get)
    assert answer == "one"
    assert f"Serving the application in {os.getcwd()} at" in printed


def test_a_command_of_ones_own_cannot_have_workers() -> None:
    """Its factory is known to this process only."""
    own = FlaskGroup(create_app=lambda: Flask("own"))
    own.add_command(run_command)
    result = CliRunner().invoke(own, ["run", "--workers", "2", "--port", "0"])
    assert "Each worker imports the application" in str(result.exception) + result.output


def test_debug_mode_for_others_is_refused() -> None:
    """Debug mode is for this machine, unless it is permitted."""
    result = invoke("--app", "shop", "run", "--debug", "--no-reload", "--host", "0.0.0.0")
    assert result.exit_code == 1
    assert "--allow-remote-debug" in str(result.exception) + result.output


def test_port_in_the_environment(meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options may come from the environment, under Flask's names too."""
    monkeypatch.setenv("FLASK_RUN_PORT", "0")
    monkeypatch.setenv("ASYNCFLASK_RUN_HOST", "127.0.0.2")
    _, printed = meanwhile(lambda: cli.main(["--app", "shop", "run"], standalone_mode=False), get)
    assert "http://127.0.0.2:" in printed
    assert ":5000" not in printed


def test_switches_of_flask_without_effect(meanwhile: Meanwhile) -> None:
    """They are accepted, and it is said that they do nothing."""
    arguments = ["--app", "shop", "run", "--port", "0", "--no-debugger", "--without-threads"]
    answer, printed = meanwhile(lambda: cli.main(arguments, standalone_mode=False), get)
    assert answer == "one"
    assert " * --debugger/--no-debugger has no effect" in printed
    assert " * --with-threads/--without-threads has no effect" in printed


def test_extra_files_and_excluded_patterns(start: Start, tmp_path: Path) -> None:
    """A named file starts it again; one that is excluded does not."""
    (tmp_path / "answer.toml").write_text("first")
    write("open('answer.toml').read()")
    program = start(
        *("-m", "asyncflask", "--app", "shop", "run", "--reload", "--port", "0"),
        *("--extra-files", "answer.toml", "--exclude-patterns", "*/draft.py:*/other.py"),
    )
    assert program.get() == "first"
    (tmp_path / "draft.py").write_text("")
    (tmp_path / "answer.toml").write_text("second")
    wait_for(lambda: "Changed: answer.toml" in program.output)
    assert program.get() == "second"
    assert "draft.py" not in program.output


def test_context_for_several_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ``ssl.SSLContext`` belongs to one process."""
    (tmp_path / "tls.py").write_text("import ssl\ncontext = ssl.create_default_context()\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("--app", "shop", "run", "--cert", "tls.context", "--workers", "2")
    assert (result.exit_code, "name the files" in result.output) == (2, True)
