"""The ``asyncflask`` command.

``locate`` finds the application, ``info`` holds what all commands share (``--app``, ``--debug``,
``--env-file``), ``run``, ``shell``, ``routes`` and ``migrate`` are the commands, ``parameters`` the
types of their options, ``group`` puts them together with the application's own, and ``main`` is the
command. ``runner`` runs commands in tests.
"""

from __future__ import annotations

from asyncflask.cli.group import FlaskGroup as FlaskGroup
from asyncflask.cli.info import ScriptInfo as ScriptInfo
from asyncflask.cli.info import get_version as get_version
from asyncflask.cli.info import pass_script_info as pass_script_info
from asyncflask.cli.info import version_option as version_option
from asyncflask.cli.locate import AppImportError as AppImportError
from asyncflask.cli.locate import NoAppException as NoAppException
from asyncflask.cli.locate import find_app as find_app
from asyncflask.cli.locate import find_app_by_string as find_app_by_string
from asyncflask.cli.locate import find_best_app as find_best_app
from asyncflask.cli.locate import locate_app as locate_app
from asyncflask.cli.locate import prepare_import as prepare_import
from asyncflask.cli.main import cli as cli
from asyncflask.cli.main import main as main
from asyncflask.cli.migrate import migrate_command as migrate_command
from asyncflask.cli.parameters import CertParamType as CertParamType
from asyncflask.cli.parameters import SeparatedPathType as SeparatedPathType
from asyncflask.cli.routes import routes_command as routes_command
from asyncflask.cli.run import run_command as run_command
from asyncflask.cli.shell import shell_command as shell_command
from asyncflask.commands import AppGroup as AppGroup
from asyncflask.commands import with_appcontext as with_appcontext
from asyncflask.devserver import load_dotenv as load_dotenv
