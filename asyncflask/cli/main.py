"""The ``asyncflask`` command itself."""

from __future__ import annotations

from asyncflask.cli.group import FlaskGroup

cli = FlaskGroup(
    name="asyncflask",
    help="""Serve and look after an asyncflask application.

    The application is the one that --app names, or the environment variable ASYNCFLASK_APP
    (FLASK_APP is read too), or the one in asgi.py, wsgi.py, app.py or main.py in the current
    directory. Its own commands are listed below, beside the built-in ones.
    """,
)


def main() -> None:
    """Run the command with the arguments of this process."""
    cli.main()
