"""The application's logger: named after the application, writing to standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO, cast

from werkzeug.local import LocalProxy

if TYPE_CHECKING:

    class LoggedApp(Protocol):
        """What the logger has to know of an application."""

        @property
        def name(self) -> str: ...

        @property
        def debug(self) -> bool: ...


_request_errors: Callable[[], TextIO | None] = lambda: None  # noqa: E731


def set_errors_lookup(lookup: Callable[[], TextIO | None]) -> None:
    """Say where the error stream of the current request is found; the context does."""
    global _request_errors
    _request_errors = lookup


#: Standard error as it is at the moment of writing, also where ``sys.stderr`` was replaced later;
#: in a test that gave its request an ``errors_stream``, that. It has Flask's name so that a logging
#: configuration can move over: ``ext://asyncflask.logging.wsgi_errors_stream``.
wsgi_errors_stream = cast(TextIO, LocalProxy(lambda: _request_errors() or sys.stderr))

#: The handler an application's logger gets where logging is not configured.
default_handler = logging.StreamHandler(wsgi_errors_stream)
default_handler.setFormatter(
    logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
)


def has_level_handler(logger: logging.Logger) -> bool:
    """Whether a handler will take messages of the logger's effective level.

    :param logger: looked at with its ancestors, as far as messages propagate.
    """
    level = logger.getEffectiveLevel()
    current: logging.Logger | None = logger
    while current is not None:
        if any(handler.level <= level for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


def create_logger(app: LoggedApp) -> logging.Logger:
    """Return the logger named ``app.name``, ready to write.

    In debug mode its level becomes ``DEBUG`` unless one is set. Where no handler would take its
    messages, :data:`default_handler` is added. The behaviour is Flask's.
    """
    logger = logging.getLogger(app.name)
    if app.debug and not logger.level:
        logger.setLevel(logging.DEBUG)
    if not has_level_handler(logger):
        logger.addHandler(default_handler)
    return logger
