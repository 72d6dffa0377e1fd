"""``asyncflask shell``, in other processes and in a terminal."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from asyncflask import Flask
from asyncflask.cli import ScriptInfo, cli
from tests.programs import PATIENCE, REPOSITORY

SHOP = """
import asyncio
from asyncflask import Flask, g, render_template_string

app = Flask("shop")
events = []

@app.get("/")
def index():
    return "hello"

@app.shell_context_processor
def plain():
    return {"answer": 42, "events": events, "render": render_template_string}

@app.shell_context_processor
async def later():
    await asyncio.sleep(0)
    return {"asyncio": asyncio}

@app.before_serving
async def start():
    events.append("started")

@app.after_serving
def stop():
    print("stopped", flush=True)

@app.teardown_appcontext
async def tear_down(_):
    if "loop" in g:
        print("same loop:", g.loop is asyncio.get_running_loop(), flush=True)
"""

ARGUMENTS = ("-m", "asyncflask", "--app", "shop", "shell")


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)


def shell(directory: Path, *arguments: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *ARGUMENTS, *arguments],
        input=lines,
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_lines_from_a_pipe(tmp_path: Path) -> None:
    """Lines run in the application's context; errors are shown and do not end it."""
    result = shell(
        tmp_path,
        lines="""print(app.name)
app.name, answer
1 / 0
render("{{ 1 }}")
await render("{{ 2 }}")
(await app.test_client().get("/")).text
g.seen = 1
async def fail():
    g.seen += 1

# An empty line and a comment do not end a block.
    raise ValueError(g.seen)
await fail()
def wrong(:
for number in range(2):
    print(number)
else:
    print("end")
task = asyncio.create_task(asyncio.sleep(0))
g.loop = (lambda: None)
async def remember():
    g.loop = asyncio.get_running_loop()

await remember()
if True: print("last")""",
    )
    assert result.stdout.splitlines() == [
        "shop", "('shop', 42)", "'1'", "'2'", "'hello'", "0", "1", "end", "last",
        "same loop: True",
    ]  # fmt: skip
    assert "ZeroDivisionError" in result.stderr
    assert "ValueError: 2" in result.stderr
    assert "SyntaxError" in result.stderr
    assert "no running event loop\nOnly lines with 'await' run on the event loop" in result.stderr
    # Tracebacks show the session's own code only.
    assert "asyncflask" not in result.stderr
    assert "concurrent" not in result.stderr
    assert result.returncode == 0


def test_input_that_ends_early(tmp_path: Path) -> None:
    """A statement without its end is told."""
    assert "The input ends within a statement." in shell(tmp_path, lines="print(1,\n").stderr


def test_exit(tmp_path: Path) -> None:
    """``exit()`` ends it, also from within ``async def`` code, with the code that was given."""
    assert shell(tmp_path, lines="exit()\nprint(1)\n").stdout == ""
    lines = "async def leave():\n    raise SystemExit(7)\nawait leave()\nprint(1)\n"
    result = shell(tmp_path, lines=lines)
    assert (result.stdout, result.returncode) == ("", 7)


def test_command(tmp_path: Path) -> None:
    """``-c`` runs a whole text, stops at the first error, and says so with its exit code."""
    result = shell(tmp_path, "-c", "for x in 'ab':\n    print(await render(x))\nprint(events)")
    assert (result.stdout, result.returncode) == ("a\nb\n[]\n", 0)
    result = shell(tmp_path, "-c", "print(1)\n1/0\nprint(2)")
    assert (result.stdout, result.returncode) == ("1\n", 1)
    assert shell(tmp_path, "-c", "def f(:").returncode == 1
    result = shell(tmp_path, "-c", "print((1,")
    assert (result.returncode, "ends within a statement" in result.stderr) == (1, True)


def test_lifespan(tmp_path: Path) -> None:
    """``--lifespan`` starts the application, and shuts it down at the end."""
    result = shell(tmp_path, "--lifespan", "-c", "print(events)")
    assert result.stdout == "['started']\nstopped\n"


def test_loop_runs_between_the_lines(tmp_path: Path) -> None:
    """Tasks go on while the shell does something else."""
    result = shell(
        tmp_path,
        lines="""import time
async def begin(): return asyncio.create_task(asyncio.sleep(0.01))
task = await begin()
while not task.done(): time.sleep(0.01)

app.add_background_task(events.append, "background")
while not events: time.sleep(0.01)

events
""",
    )
    assert result.stdout == "['background']\n"


def test_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """click's runner runs it, as any command."""
    app = Flask("here", static_folder=None)
    info = ScriptInfo(create_app=lambda: app)
    result = CliRunner().invoke(cli, ["shell"], input="app.name\n", obj=info)
    assert result.output == "'here'\n"


def test_lines_that_go_on_and_lines_that_take_their_time() -> None:
    """A bracket is open until it is closed; the shell waits for what is awaited."""
    info = ScriptInfo(create_app=lambda: Flask("here", static_folder=None))
    lines = "import asyncio\nx = (await asyncio.sleep(0.3, 1),\n2)\nx\n"
    result = CliRunner().invoke(cli, ["shell"], input=lines, obj=info)
    assert result.output == "(1, 2)\n"


def test_a_line_may_follow_an_awaited_one_at_once() -> None:
    """The session's context is free again when a line ends, however the threads take turns."""
    info = ScriptInfo(create_app=lambda: Flask("here", static_folder=None))
    lines = "import asyncio\n" + "await asyncio.sleep(0)\nx = 1\n" * 500 + "x\n"
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        result = CliRunner().invoke(cli, ["shell"], input=lines, obj=info)
    finally:
        sys.setswitchinterval(interval)
    assert result.output == "1\n"


class Terminal:
    """A shell in a terminal."""

    def __init__(self, directory: Path) -> None:
        environment = os.environ | {
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONSTARTUP": str(directory / "startup.py"),
            "HOME": str(directory),
            "TERM": "dumb",
        }
        self.shown = ""
        self._seen = 0
        terminal, self._end = pty.openpty()
        self._terminal = terminal
        self.process = subprocess.Popen(
            [sys.executable, *ARGUMENTS],
            cwd=directory,
            env=environment,
            stdin=self._end,
            stdout=self._end,
            stderr=self._end,
            # Ctrl-C is for the programs of the terminal that controls the session.
            preexec_fn=_make_controlling_terminal,
        )
        os.close(self._end)

    def interrupt(self) -> None:
        """Press Ctrl-C, and once more if need be, as a person would.

        CPython may miss a signal that comes as its main thread begins to wait for a lock, or raise
        it where nobody can catch it, and show that: so it is over when the prompt is back.
        """
        prompt = ">>> "
        for seconds in (5.0, 5.0, PATIENCE):
            begin = self._seen
            os.write(self._terminal, b"\x03")
            patient = seconds == PATIENCE
            with contextlib.nullcontext() if patient else contextlib.suppress(AssertionError):
                self.wait_for(prompt, seconds)
                assert "KeyboardInterrupt" in self.shown[begin : self._seen]
                self._seen -= len(prompt)
                return

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until ``text`` is shown behind what was waited for before."""
        deadline = time.monotonic() + seconds
        while (place := self.shown.find(text, self._seen)) < 0:
            if not select.select([self._terminal], [], [], 0.1)[0]:
                assert time.monotonic() < deadline, f"waited for {text!r}:\n{self.shown}"
                continue
            self.shown += os.read(self._terminal, 4096).decode()
        self._seen = place + len(text)

    def type(self, text: str) -> None:
        """Wait for the prompt, and type."""
        self.wait_for(">>> ")
        os.write(self._terminal, text.encode())

    def close(self) -> None:
        os.close(self._terminal)
        self.process.kill()
        self.process.wait()


def _make_controlling_terminal() -> None:
    import fcntl
    import termios

    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # At Ctrl-C a terminal throws away what has not been read of it, which may be the answer.
    settings = termios.tcgetattr(0)
    settings[3] |= termios.NOFLSH
    termios.tcsetattr(0, termios.TCSANOW, settings)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A shell in a terminal, with a startup file."""
    (tmp_path / "startup.py").write_text("begun = 7\n")
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def test_in_a_terminal(terminal: Terminal, tmp_path: Path) -> None:
    """It says what it is, edits, completes, is interrupted by Ctrl-C and ended by Ctrl-D."""
    terminal.wait_for("App: shop")
    terminal.wait_for("There are: app, g, answer, events, render, asyncio.")
    terminal.type("begun, await render('{{ 6 * 7 }}')\n")
    terminal.wait_for("(7, '42')")
    terminal.type("print('wait', 'ing'); await asyncio.sleep(1000)\n")
    terminal.wait_for("wait ing")
    terminal.interrupt()
    terminal.type("print('busy', 'now'); exec('while True: pass')\n")
    terminal.wait_for("busy now")
    terminal.interrupt()
    terminal.type("answ\t\n")
    terminal.wait_for("answer")
    terminal.wait_for("42")
    terminal.type("g.remembered = 5\n")
    terminal.type("g.remem\t + 1\n")
    terminal.wait_for("6")
    terminal.type("1 / 0\n")
    terminal.wait_for("ZeroDivisionError: division by zero")
    terminal.type("\x04")
    assert terminal.process.wait(PATIENCE) == 0
    assert "begun, await" in (tmp_path / ".asyncflask_history").read_text()


def test_without_readline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no readline, lines are read all the same; there may be no startup file."""
    typed = iter(["app.name", "await asyncio.sleep(0)"])

    def read(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    app = Flask("bare", static_folder=None)
    app.shell_context_processor(lambda: {"asyncio": asyncio})
    app.debug = True
    monkeypatch.setitem(sys.modules, "readline", None)
    monkeypatch.delenv("PYTHONSTARTUP", raising=False)
    monkeypatch.setattr(builtins, "input", read)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    printed: list[str] = []
    monkeypatch.setattr(sys, "displayhook", printed.append)
    info = ScriptInfo(create_app=lambda: app, set_debug_flag=False)
    cli.main(["shell"], obj=info, standalone_mode=False)
    assert printed == ["bare", None]
