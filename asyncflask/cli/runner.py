"""Running an application's commands in tests: ``app.test_cli_runner()``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.testing import CliRunner, Result

from asyncflask.cli.info import ScriptInfo
from asyncflask.commands import off_the_loop

if TYPE_CHECKING:
    from asyncflask.app import Flask


class FlaskCliRunner(CliRunner):
    """Runs the commands of an application and keeps what they print.

    ::

        result = app.test_cli_runner().invoke(args=["greet", "Ada"])
        assert result.output == "Hello, Ada!\\n"

    :param app: the application.
    :param kwargs: passed on to :class:`click.testing.CliRunner`.
    """

    def __init__(self, app: Flask, **kwargs: Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(  # type: ignore[override]
        self,
        cli: click.Command | None = None,
        args: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> Result:
        """Run a command and return its result. It may be called in ``async def`` tests too.

        There the command has a thread, hence a loop, of its own, and the test waits for it.

        :param cli: the command or group; by default ``app.cli``.
        :param args: a list of strings, or a command line.
        :param kwargs: passed on to click's ``invoke``; ``obj`` is a :class:`ScriptInfo` for the
            application if it is not given.
        """
        kwargs.setdefault("obj", ScriptInfo(create_app=lambda: self.app))
        return off_the_loop(super().invoke, self.app.cli if cli is None else cli, args, **kwargs)
