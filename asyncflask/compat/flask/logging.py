"""The application's logger."""

from __future__ import annotations

from asyncflask.logging import create_logger as create_logger
from asyncflask.logging import default_handler as default_handler
from asyncflask.logging import has_level_handler as has_level_handler
from asyncflask.logging import wsgi_errors_stream as wsgi_errors_stream
