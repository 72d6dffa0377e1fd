"""The ``asyncflask`` command itself."""

from __future__ import annotations

from asyncflask.cli.group import FlaskGroup
from asyncflask.cli.routes import routes_command
from asyncflask.cli.run import run_command

cli = FlaskGroup(
    name="asyncflask",
    help="Serve and look after an asyncflask application. The application's own commands are "
    "listed too.",
)
cli.add_command(run_command)
cli.add_command(routes_command)


def main() -> None:
    """Run the command with the arguments of this process."""
    cli.main()
