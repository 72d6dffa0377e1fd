"""Flask's extensions, unmodified, in applications of the compatibility namespace.

These tests run in a process of their own: in the others ``flask`` is Flask.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncflask import compat
from tests.ecosystem.compatibility import Table, add_option

compat.install()

FOLDER = Path(__file__).parent

KINDS = {"extension": "Extensions", "application": "Whole applications"}

HEAD = """\
# Flask's extensions and applications

Each of these packages is installed, unmodified, and used by tests in applications of the
[compatibility namespace](extensions.md): by `def` and by `async def` views, by many requests at
once. `make test-ecosystem` runs them; `make compatibility` writes this page from what they find. A
test that fails for a known reason is counted, and the reason given. Whole applications run their
own tests.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    document = FOLDER.parents[1] / "docs" / "flask-extensions.md"
    table = Table(FOLDER, document, HEAD, KINDS, extra="'flask-extensions'")
    config.pluginmanager.register(table)
