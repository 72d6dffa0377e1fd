"""Flask's extensions, unmodified, in applications of the compatibility namespace.

These tests run in a process of their own: in the others of this folder ``flask`` is Flask.
"""

from __future__ import annotations

import pytest

from asyncflask import compat

compat.install()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "neighbour(name, *, kind, package=name): the test is with this, of one of the kinds "
        "'extension' and 'application'; 'package' is what pip calls it",
    )
