"""The command line."""

from __future__ import annotations

from asyncflask.cli import AppGroup as AppGroup
from asyncflask.cli import CertParamType as CertParamType
from asyncflask.cli import FlaskGroup as FlaskGroup
from asyncflask.cli import NoAppException as NoAppException
from asyncflask.cli import ScriptInfo as ScriptInfo
from asyncflask.cli import SeparatedPathType as SeparatedPathType
from asyncflask.cli import cli as cli
from asyncflask.cli import find_app_by_string as find_app_by_string
from asyncflask.cli import find_best_app as find_best_app
from asyncflask.cli import get_version as get_version
from asyncflask.cli import load_dotenv as load_dotenv
from asyncflask.cli import locate_app as locate_app
from asyncflask.cli import main as main
from asyncflask.cli import pass_script_info as pass_script_info
from asyncflask.cli import prepare_import as prepare_import
from asyncflask.cli import routes_command as routes_command
from asyncflask.cli import run_command as run_command
from asyncflask.cli import shell_command as shell_command
from asyncflask.cli import version_option as version_option
from asyncflask.cli import with_appcontext as with_appcontext
