"""Reloading: a changed file starts the program again."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from watchfiles import Change

from asyncflask.devserver import environment, is_running_from_reloader, reloader
from tests.programs import Start, get, wait_for

APP = """
import os
from asyncflask.devserver import is_running_from_reloader, run
ANSWER = {answer}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": str(ANSWER).encode()}})

if __name__ == "__main__":
    print("starts", is_running_from_reloader(), os.environ.get("WERKZEUG_RUN_MAIN"), flush=True)
    run(app, port=0, reload=True, name="shop")
"""


def write(directory: Path, answer: str, name: str = "shop.py") -> None:
    (directory / name).write_text(APP.format(answer=answer))


def test_reload_survives_a_syntax_error(start: Start, tmp_path: Path) -> None:
    """A change is served at once; while the file is broken a client waits, until it is fixed."""
    write(tmp_path, "'one'")
    program = start("shop.py")
    assert program.get() == "one"
    assert program.output.startswith("starts False None\n * Serving shop at http://127.0.0.1:")
    assert "starts True true" in program.output

    write(tmp_path, "'two'")
    program.wait_for_output(" * Changed: shop.py. Reloading.")
    wait_for(lambda: program.get() == "two")

    write(tmp_path, "'three' +")
    program.wait_for_output("SyntaxError")
    program.wait_for_output("Waiting for a change.")
    answers: list[str] = []
    client = threading.Thread(target=lambda: answers.append(get(program.url)))
    client.start()
    write(tmp_path, "'four'")
    client.join()
    assert answers == ["four"]
    assert program.output.count("Serving") == 1
    assert program.signal(signal.SIGTERM) == 0
    assert program.output.count("Traceback") == 0


def test_ctrl_c_in_a_terminal(start: Start, tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to both processes: both end, without a traceback."""
    write(tmp_path, "'one'")
    program = start("shop.py")
    assert program.get() == "one"
    assert program.signal(signal.SIGINT, group=True) == 0
    assert "Traceback" not in program.output
    with pytest.raises(ProcessLookupError):
        os.killpg(program.process.pid, 0)


def test_ctrl_c_while_the_program_starts(start: Start, tmp_path: Path) -> None:
    """It is the same in the middle of an import."""
    write(tmp_path, "'one'")
    source = (tmp_path / "shop.py").read_text()
    slow = "    import time\n    if is_running_from_reloader():\n        time.sleep(20)\n"
    (tmp_path / "shop.py").write_text(source.replace("    run(", f"{slow}    run("))
    program = start("shop.py")
    program.wait_for_output("starts True")
    assert program.signal(signal.SIGINT, group=True) == 0
    assert "Traceback" not in program.output


def test_module_is_run_again_as_a_module(start: Start, tmp_path: Path) -> None:
    """``python -m package`` is started again as such, with its arguments."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("name = 'package'\n")
    write(tmp_path / "shop", "(__import__('sys').argv[1:], __package__)", "__main__.py")
    program = start("-m", "shop", "--x")
    assert program.get() == "(['--x'], 'shop')"
    (tmp_path / "shop" / "__init__.py").write_text("name = 'changed'\n")
    program.wait_for_output("Changed: shop/__init__.py")
    assert program.get() == "(['--x'], 'shop')"


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Let the reloader in this process run a script with this source, in the test's directory."""
    script = tmp_path / "script.py"

    def child(source: str) -> Path:
        script.write_text(source)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "orig_argv", ["python", str(script)])
        return script

    return child


def test_child_that_ends_by_itself(child: Callable[[str], Path]) -> None:
    """A program that ends without error ends the watching; so does a usage error at the start."""
    child("")
    assert reloader.watch(None) == 0
    child("raise SystemExit(2)")
    assert reloader.watch(None) == 2


def test_child_that_fails_is_waited_for(
    child: Callable[[str], Path],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a failure, any change starts the program again; then a usage error is a failure too."""
    monkeypatch.setattr(reloader, "_TICK", 10)
    script = child("raise SystemExit(1)")
    steps = iter(["raise SystemExit(2)", "raise SystemExit(0)"])
    printed: list[str] = []

    def change_when_told() -> None:
        for step in steps:
            told = len(printed)
            while len(printed) == told:
                printed.extend(
                    line for line in capfd.readouterr().err.splitlines() if "Waiting" in line
                )
            time.sleep(0.1)  # It is told once, however long it takes.
            script.write_text(step)

    thread = threading.Thread(target=change_when_told)
    thread.start()
    assert reloader.watch(None) == 0
    thread.join()
    assert printed == [" * The app did not start, or ended. Waiting for a change."] * 2


def test_child_that_does_not_end_is_killed(
    child: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that holds out against SIGTERM is killed, here after a tenth of a second."""
    monkeypatch.setattr(reloader, "GRACE", 0.1)
    ready = tmp_path / "ready"
    child(
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(60)\n"
    )

    def stop_when_ready() -> None:
        wait_for(ready.exists)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop_when_ready)
    thread.start()
    assert reloader.watch(None) == 0
    thread.join()


def test_env_files_are_read_anew(
    child: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child gets the environment as it was before .env files were read."""
    monkeypatch.setattr(environment, "_loaded", {"FROM_ENV_FILE": "1"})
    monkeypatch.setenv("FROM_ENV_FILE", "1")
    monkeypatch.setenv("REAL", "1")
    out = tmp_path / "out"
    child(
        "import os, pathlib\n"
        "names = sorted({'FROM_ENV_FILE', 'REAL'} & set(os.environ))\n"
        f"pathlib.Path({str(out)!r}).write_text(str(names))\n"
    )
    assert reloader.watch(None) == 0
    assert out.read_text() == "['REAL']"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("shop.py", True),
        (".env", True),
        ("package/module.py", True),
        ("settings.toml", True),
        ("other.toml", False),
        ("templates/page.html", False),
        ("site-packages/installed.py", False),
        ("__pycache__/shop.cpython-313.pyc", False),
    ],
)
def test_what_counts_as_a_change(tmp_path: Path, name: str, counts: bool) -> None:
    """Python and .env files do, and files that were named; other and installed ones do not."""
    (tmp_path / "settings.toml").touch()
    is_change = reloader._filter([tmp_path / "settings.toml", tmp_path / "elsewhere"])
    assert is_change(Change.modified, str(tmp_path / name)) is counts


def test_excluded_patterns(tmp_path: Path) -> None:
    """A pattern leaves files alone, also one that was named."""
    is_change = reloader._filter([tmp_path / "b.toml"], ["*/migrations/*", "*.toml"])
    assert is_change(Change.modified, str(tmp_path / "a.py"))
    assert not is_change(Change.modified, str(tmp_path / "migrations/a.py"))
    assert not is_change(Change.modified, str(tmp_path / "b.toml"))


def test_further_directories_are_watched(
    child: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """A change in a directory that was named starts the program again."""
    elsewhere, started = tmp_path_factory.mktemp("elsewhere"), tmp_path / "started"
    child(
        "import pathlib, time\n"
        f"started = pathlib.Path({str(started)!r})\n"
        "if started.exists(): raise SystemExit(0)\n"
        "started.touch()\n"
        "time.sleep(60)\n"
    )

    def change_when_started() -> None:
        wait_for(started.exists)
        (elsewhere / "module.py").touch()

    thread = threading.Thread(target=change_when_started)
    thread.start()
    assert reloader.watch(None, [elsewhere, elsewhere / "missing"]) == 0
    thread.join()


def test_inherited_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child takes over the socket whose number it was given."""
    assert not is_running_from_reloader()
    assert reloader.inherited_socket() is None
    monkeypatch.setattr(reloader, "_inherited", "")
    assert is_running_from_reloader()
    assert reloader.inherited_socket() is None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(reloader, "_inherited", str(os.dup(listener.fileno())))
        inherited = reloader.inherited_socket()
        assert inherited is not None
        with inherited:
            assert inherited.getsockname() == listener.getsockname()
            assert not inherited.get_inheritable()


def test_what_cannot_be_reloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interactive session cannot be started again, and only the main thread gets signals."""
    assert reloader.obstacle() is None
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "__main__", type(sys)("__main__"))
        patch.setattr(sys, "orig_argv", ["python", "-i"])
        assert reloader.obstacle() == "an interactive session cannot be started again."
        patch.setattr(sys, "orig_argv", ["python", "-c", "run()"])
        assert reloader.obstacle() is None
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(reloader.obstacle).result() == (
            "that takes the main thread, which gets the signals."
        )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert reloader.obstacle() == ("watchfiles is missing. Install it with: pip install watchfiles")
