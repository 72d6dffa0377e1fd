"""``asyncflask migrate``: report what moving a Flask project here takes."""

from __future__ import annotations

import json

import click


@click.command("migrate", short_help="Report what moving a Flask project here takes.")
@click.argument("path", type=click.Path(exists=True), default=".")
@click.option("--report", is_flag=True, expose_value=False, help="Only report. It does so anyway.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people, which shortens long lists, or JSON for programs, which has everything.",
)
def migrate_command(path: str, form: str) -> None:
    """Report what moving a Flask project here takes.

    Reads the Python files, requirements and server files below PATH (here, by default), and says
    which extensions work, what works in another way, what needs 'await', and in which order to go.
    No file is run or changed.
    """
    from asyncflask import migration

    report = migration.examine(path)
    if form == "json":
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        click.echo(migration.as_text(report), nl=False)
