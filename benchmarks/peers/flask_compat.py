"""Applications made for Flask, on asyncflask under uvicorn."""

from __future__ import annotations

import asyncflask.compat.installed  # noqa: F401  # before anything imports flask
from benchmarks.flask_applications import hooks as hooks
from benchmarks.flask_applications import login as login
