"""The table of Flask's extensions: in which state each is under the compatibility namespace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How an extension does."""

    WORKS = "works"
    NOTE = "works, with a note"
    FAILS = "does not work"
    UNTESTED = "not tested"


@dataclass(frozen=True)
class Extension:
    """A line of the table.

    :param name: what the package index calls it.
    :param state: what tests with the unmodified package have shown.
    :param version: the version that was tested, such as ``"3.1"``; empty if none was.
    :param note: what to know about it; the reason where it does not work.
    :param module: what is imported; by default the name, as in ``Flask-WTF -> flask_wtf``.
    """

    name: str
    state: State
    version: str = ""
    note: str = ""
    module: str = ""


_WORKS, _NOTE, _FAILS, _UNTESTED = State

_TABLE = (
    Extension("APIFlask", _UNTESTED),
    Extension("Flask-Admin", _UNTESTED),
    Extension("Flask-Babel", _UNTESTED),
    Extension("Flask-Bcrypt", _UNTESTED),
    Extension("Flask-Caching", _UNTESTED),
    Extension("Flask-Compress", _UNTESTED),
    Extension("Flask-CORS", _UNTESTED),
    Extension("Flask-DebugToolbar", _UNTESTED),
    Extension("Flask-HTTPAuth", _UNTESTED),
    Extension("Flask-JWT-Extended", _UNTESTED),
    Extension("Flask-Limiter", _UNTESTED),
    Extension("Flask-Login", _UNTESTED),
    Extension("Flask-Mail", _UNTESTED),
    Extension("Flask-Marshmallow", _UNTESTED),
    Extension("Flask-Migrate", _UNTESTED),
    Extension("Flask-Principal", _UNTESTED),
    Extension("flask-restx", _UNTESTED),
    Extension("Flask-Session", _UNTESTED),
    Extension("flask-smorest", _UNTESTED),
    Extension(
        "Flask-SQLAlchemy",
        _NOTE,
        "3.1",
        "its queries block: leave the views that use it 'def', or call them by run_sync",
    ),
    Extension("flask-talisman", _UNTESTED),
    Extension("Flask-WTF", _UNTESTED),
    # Those that serve by themselves, or are not made any more.
    Extension(
        "Flask-Script",
        _FAILS,
        note="it needs a Flask older than 2; commands are made by @app.cli.command()",
    ),
    Extension(
        "Flask-Sock",
        _FAILS,
        "0.7",
        "it takes the connection from a WSGI server; write @app.websocket(...) instead",
    ),
    Extension(
        "Flask-SocketIO",
        _NOTE,
        "5.7",
        "without WebSockets: by long polling, with async_mode='threading'; mount python-socketio's "
        "ASGIApp, or write @app.websocket(...), for more",
    ),
    Extension(
        "Flask-Sockets",
        _FAILS,
        note="it needs gevent's server; write @app.websocket(...) instead",
    ),
)


def module_of(name: str) -> str:
    """Return what a package is imported as: ``"Flask-JWT-Extended" -> "flask_jwt_extended"``."""
    return re.sub(r"[-_.]+", "_", name).lower()


#: The table, by what is imported.
EXTENSIONS = {each.module or module_of(each.name): each for each in _TABLE}


def extension(module: str) -> Extension | None:
    """Return what is known of a package that may be an extension.

    :param module: the top-level module, such as ``"flask_login"``.
    :returns: None for a package that is none. One that is not in the table counts as an extension
        if it is called like one.
    """
    known = EXTENSIONS.get(module)
    if known is None and module.startswith("flask_"):
        return Extension(module, State.UNTESTED)
    return known
