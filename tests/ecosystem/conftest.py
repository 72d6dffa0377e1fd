"""What the tests with other people's packages share: the table of their results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ecosystem.compatibility import Table, add_option

FOLDER = Path(__file__).parent

KINDS = {
    "host": "Mounted in",
    "mounted": "Mounted inside",
    "middleware": "Middleware",
    "instrumentation": "Instrumentation",
    "tool": "Tools for Starlette",
    "ASGI server": "ASGI servers",
    "WSGI server": "WSGI servers",
    "WSGI application": "WSGI applications inside",
}

HEAD = """\
# Compatibility

Each neighbour in these tables is installed and used by tests, with a real server and a real client
where that matters. `make test-ecosystem` runs them; `make compatibility` writes this page from what
they find. A test that fails for a known reason is counted, and the reason given. Flask's extensions
are on a [page of their own](flask-extensions.md).
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    document = FOLDER.parents[1] / "docs" / "compatibility.md"
    table = Table(FOLDER, document, HEAD, KINDS, extra="'ecosystem-more'")
    config.pluginmanager.register(table)
