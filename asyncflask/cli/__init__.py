"""The ``asyncflask`` command.

``locate`` finds the application, ``group`` holds what all commands share (``--app``, ``--debug``,
``--env-file``, the application's own commands), ``run`` and ``routes`` are the commands.
"""

from __future__ import annotations

from asyncflask.cli.group import FlaskGroup as FlaskGroup
from asyncflask.cli.group import ScriptInfo as ScriptInfo
from asyncflask.cli.group import pass_script_info as pass_script_info
from asyncflask.cli.locate import AppImportError as AppImportError
from asyncflask.cli.locate import NoAppException as NoAppException
from asyncflask.cli.locate import find_app as find_app
from asyncflask.cli.main import cli as cli
from asyncflask.cli.main import main as main
from asyncflask.commands import AppGroup as AppGroup
from asyncflask.commands import with_appcontext as with_appcontext
from asyncflask.devserver import load_dotenv as load_dotenv
