"""What the environment says: ``.env`` files, and settings such as ``ASYNCFLASK_APP``."""

from __future__ import annotations

import os
from pathlib import Path

import click

# What .env files have added to os.environ; a program that is started again reads them anew.
_loaded: dict[str, str] = {}


def setting(name: str) -> str | None:
    """Return ``ASYNCFLASK_<name>`` from the environment, or else ``FLASK_<name>``."""
    return os.environ.get(f"ASYNCFLASK_{name}", os.environ.get(f"FLASK_{name}"))


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from files, as Flask does.

    A variable that the environment has already is left alone. Of the files, ``path`` beats
    ``.env``, which beats ``.flaskenv``; the last two are looked for in the current directory and
    those above it. Without ``python-dotenv`` nothing is read, and a file that is there gets a hint.

    :param path: a file to read.
    :param load_defaults: whether to read ``.env`` and ``.flaskenv``.
    :returns: whether any file had a variable.
    """
    try:
        import dotenv
    except ImportError:
        _hint_at_dotenv(path)
        return False
    names = [".flaskenv", ".env"] if load_defaults else []
    files = [dotenv.find_dotenv(name, usecwd=True) for name in names]
    found: dict[str, str] = {}
    for file in [*files, path]:
        if file and os.path.isfile(file):
            values = dotenv.dotenv_values(file, encoding="utf-8")
            found |= {name: value for name, value in values.items() if value is not None}
    added = {name: value for name, value in found.items() if name not in os.environ}
    os.environ.update(added)
    _loaded.update(added)
    return bool(found)


def without_dotenv() -> dict[str, str]:
    """Return the environment as it was before ``.env`` files were read."""
    return {name: value for name, value in os.environ.items() if _loaded.get(name) != value}


def _hint_at_dotenv(path: str | os.PathLike[str] | None) -> None:
    files = [os.fspath(path)] if path else [f for f in (".env", ".flaskenv") if Path(f).is_file()]
    if files:
        click.echo(
            f" * {files[0]} is not read: python-dotenv is missing. "
            "Install it with: pip install python-dotenv",
            err=True,
        )
