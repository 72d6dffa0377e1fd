"""Running an application: one server process, several workers, or one that reloads.

``server`` configures uvicorn with safe defaults, ``reloader`` runs it again when files change,
``environment`` reads ``.env`` files.
"""

from __future__ import annotations

from asyncflask.devserver.environment import load_dotenv as load_dotenv
from asyncflask.devserver.reloader import is_running_from_reloader as is_running_from_reloader
from asyncflask.devserver.server import run as run
from asyncflask.devserver.server import run_app as run_app
from asyncflask.devserver.server import run_app_ignored as run_app_ignored
from asyncflask.devserver.server import serve as serve
