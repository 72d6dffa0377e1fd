"""``asyncflask shell``: an interactive session within the application."""

from __future__ import annotations

import ast
import asyncio
import atexit
import code
import contextvars
import inspect
import os
import re
import sys
import threading
import tokenize
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Self

import click

import asyncflask
from asyncflask.cli.info import ScriptInfo, pass_script_info
from asyncflask.life.lifespan_protocol import Lifespan

if TYPE_CHECKING:
    from asyncflask.app import Flask

#: What code of the session is called in tracebacks.
FILENAME = "<shell>"

#: Where the lines that were typed are kept for the next time.
HISTORY = Path("~/.asyncflask_history").expanduser()
_HISTORY_LENGTH = 1000  # lines

_END = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D"

# A line that begins like this does not end the block before it.
_continues_block = re.compile(r"#|(else|elif|except|finally)\b")


@click.command("shell", short_help="Open a Python shell in the application.")
@click.option("-c", "--command", metavar="CODE", help="Run this code instead, and exit.")
@click.option(
    "--lifespan/--no-lifespan",
    default=False,
    help="Start the application as a server does (before_serving, while_serving, lifespan), and "
    "shut it down at the end. By default it is not started.",
)
@pass_script_info
def shell_command(info: ScriptInfo, /, command: str | None, lifespan: bool) -> None:
    """Open a Python shell in the application's context.

    'app', 'g' and what the shell context processors give are there. A line with 'await' runs on an
    event loop, as 'async def' code does; any other runs as 'def' code does, so that both
    'render_template(...)' and 'await render_template(...)' work. The loop also runs while the shell
    waits for a line.

    Input from a pipe is run as it comes, without banner and prompts.
    """
    app = info.load_app()
    with ExitStack() as stack:
        loop = stack.enter_context(LoopThread())
        if lifespan:
            server = Lifespan(app, {})
            loop.run(server.start())
            stack.callback(lambda: loop.run(server.stop()))
        context = stack.enter_context(app.app_context())
        context.loop = loop.loop
        names = app.make_shell_context()
        console = Console(names, loop)
        if command is not None:
            sys.exit(0 if console.run(command) else 1)
        if sys.stdin.isatty():
            console.prepare_terminal()
            console.interact(banner(app, names), exitmsg="")
        else:
            console.run_lines(sys.stdin)


class LoopThread:
    """An event loop in a thread of its own, for a ``with`` block."""

    loop: asyncio.AbstractEventLoop

    def __enter__(self) -> Self:
        started: Future[asyncio.AbstractEventLoop] = Future()
        # Not a daemon: the loop ends in order, its tasks cancelled and its generators closed.
        self._thread = threading.Thread(target=asyncio.run, args=(self._wait(started),))
        self._thread.start()
        self.loop = started.result()
        return self

    async def _wait(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        self._end = asyncio.Event()
        started.set_result(asyncio.get_running_loop())
        await self._end.wait()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop, and return its result to this thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


class Console(code.InteractiveConsole):
    """Runs lines: those with ``await`` on the loop, the others in this thread.

    All of them run in one ``contextvars.Context``, which begins as a copy of the current one.

    :param names: the variables to begin with.
    :param loop: the loop.
    """

    def __init__(self, names: dict[str, Any], loop: LoopThread) -> None:
        self.names = {"__name__": "__console__", "__doc__": None, **names}
        super().__init__(self.names, FILENAME)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop
        self._context = contextvars.copy_context()
        self._failed = False

    def run(self, source: str) -> bool:
        """Run a whole text and say whether nothing failed."""
        if self.runsource(f"{source}\n", FILENAME, "exec"):
            self.write(f"The code ends within a statement:\n{source}\n")
            self._failed = True
        return not self._failed

    def run_lines(self, lines: Iterable[str]) -> None:
        """Run lines as if they were typed; but empty ones do not end a block, as in a file."""
        for line in lines:
            if line.strip() or not self._has_block():
                self.push(line.rstrip("\n"))
        if self.buffer and self.push(""):
            self.write("The input ends within a statement.\n")

    def push(self, line: str, *args: Any, **kwargs: Any) -> bool:
        """Take a line. A block ends with an empty one, as at Python's prompt, or with the next
        statement, as in a file.
        """
        if line[:1].strip() and not _continues_block.match(line) and self._has_block():
            super().push("", *args, **kwargs)
        return super().push(line, *args, **kwargs)

    def _has_block(self) -> bool:
        """Whether what waits for more lines could end here."""
        try:
            self.compile.compiler("\n".join(self.buffer) + "\n", FILENAME, "exec")
        except (SyntaxError, ValueError, OverflowError):
            return False
        return bool(self.buffer)

    def runcode(self, code: CodeType) -> None:
        """Run a statement and show what it raises. ``SystemExit`` and Ctrl-C are the caller's."""
        try:
            if code.co_flags & inspect.CO_COROUTINE:
                self._await(code)
            else:
                self._context.run(exec, code, self.names)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error, RuntimeError) and str(error) == "no running event loop":
                error.add_note(
                    "Only lines with 'await' run on the event loop: put this in an 'async def' "
                    "function, and await that."
                )
            # Shown is the part that begins with the session's own code: what follows the first.
            tb = error.__traceback__
            while tb and tb.tb_next and tb.tb_next.tb_frame.f_globals is not self.names:
                tb = tb.tb_next
            error.__traceback__ = tb
            self.showtraceback()

    def _await(self, code: CodeType) -> None:
        ended: Future[BaseException | None] = Future()

        async def run() -> BaseException | None:
            try:
                await eval(code, self.names)
            except BaseException as error:  # SystemExit would end the loop
                return error
            return None

        def end(task: asyncio.Task[BaseException | None]) -> None:
            ended.set_result(asyncio.CancelledError() if task.cancelled() else task.result())

        async def begin() -> asyncio.Task[BaseException | None]:
            task = asyncio.get_running_loop().create_task(run(), context=self._context)
            # Not within the session's context: the next line enters that, at once, over here.
            task.add_done_callback(end, context=contextvars.Context())
            return task

        task = self._loop.run(begin())
        try:
            # Again and again: a Ctrl-C just before a wait begins is noticed when it ends.
            while not wait([ended], timeout=0.2).done:
                pass
        except KeyboardInterrupt:  # pragma: no cover - Ctrl-C ends the measuring, too
            self._loop.loop.call_soon_threadsafe(task.cancel)
            ended.result()
            raise
        error = ended.result()
        if error is not None:
            raise error

    def showtraceback(self) -> None:
        """Show the exception that is being handled."""
        self._failed = True
        super().showtraceback()

    def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
        """Show the syntax error that is being handled."""
        self._failed = True
        super().showsyntaxerror(*args, **kwargs)

    def prepare_terminal(self) -> None:
        """Run the file that PYTHONSTARTUP names, and turn on what readline offers."""
        startup = os.environ.get("PYTHONSTARTUP")
        if startup and os.path.isfile(startup):
            with tokenize.open(startup) as file:
                self.runsource(file.read() + "\n", startup, "exec")
        self._edit_lines()

    def _edit_lines(self) -> None:
        """Turn on editing, completion and history, where this Python has readline."""
        try:
            import readline
            from rlcompleter import Completer
        except ImportError:
            return
        # Not by Python's own hook: that would keep these lines in the history of `python`.
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
        complete = Completer(self.names).complete
        readline.set_completer(lambda *args: self._context.run(complete, *args))
        with suppress(OSError):
            readline.read_history_file(HISTORY)
        readline.set_history_length(_HISTORY_LENGTH)
        atexit.register(_write_history)


def _write_history() -> None:
    import readline

    with suppress(OSError):
        readline.write_history_file(HISTORY)


def banner(app: Flask, names: Iterable[str]) -> str:
    """Say what runs, and where."""
    version = ".".join(map(str, sys.version_info[:3]))
    return (
        f"Python {version} on {sys.platform}, asyncflask {asyncflask.__version__}\n"
        f"App: {app.name}{', in debug mode' if app.debug else ''}\n"
        f"Instance: {app.instance_path}\n"
        f"There are: {', '.join(names)}. 'await' works. {_END} or exit() ends the shell."
    )
