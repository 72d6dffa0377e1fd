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


_WORKS, _NOTE, _FAILS, _ = State

_TABLE = (
    Extension("APIFlask", _WORKS, "3.1"),
    Extension("Flask-Admin", _WORKS, "2.2"),
    Extension("Flask-Babel", _WORKS, "4.0"),
    Extension("Flask-Bcrypt", _WORKS, "1.0"),
    Extension(
        "Flask-Caching",
        _NOTE,
        "2.5",
        "'memoize' keeps nothing for 'async def' functions that 'async def' code calls",
    ),
    Extension("Flask-Compress", _WORKS, "1.25"),
    Extension("Flask-CORS", _WORKS, "6.0"),
    Extension("Flask-DebugToolbar", _WORKS, "0.16"),
    Extension("Flask-HTTPAuth", _WORKS, "4.8"),
    Extension("Flask-JWT-Extended", _WORKS, "4.7"),
    Extension("Flask-Limiter", _WORKS, "4.1"),
    Extension("Flask-Login", _WORKS, "0.6"),
    Extension(
        "Flask-Mail",
        _NOTE,
        "0.10",
        "sending blocks: leave the views that send 'def', or call it by run_sync",
    ),
    Extension("Flask-Marshmallow", _WORKS, "1.5"),
    Extension("Flask-Migrate", _WORKS, "4.1"),
    Extension("Flask-Principal", _WORKS, "0.4"),
    Extension(
        "flask-restx",
        _NOTE,
        "1.3",
        "it calls the methods of resources as 'def' functions, in Flask too: leave them 'def', or "
        "put a decorator around them that calls current_app.ensure_sync(method)",
    ),
    Extension("Flask-Session", _WORKS, "0.8"),
    Extension("flask-smorest", _WORKS, "0.47"),
    Extension(
        "Flask-SQLAlchemy",
        _NOTE,
        "3.1",
        "its queries block: leave the views that use it 'def', or call them by run_sync",
    ),
    Extension("flask-talisman", _WORKS, "1.1"),
    Extension("Flask-WTF", _WORKS, "1.3"),
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
