"""What the tests with other people's packages share: rows of a table, a server, a client.

Every test here says which neighbours it is with, and its result is counted in their rows:

    @pytest.mark.neighbour("Starlette", kind="host")
    @pytest.mark.neighbour("Socket.IO", kind="mounted", package="python-socketio")

What is known not to work is marked ``xfail``, and its reason stands in the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ecosystem.compatibility import DOCUMENT, KINDS, Neighbour, document

Neighbours = dict[tuple[str, str], Neighbour]
NEIGHBOURS = pytest.StashKey[Neighbours]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--compatibility",
        choices=["check", "write"],
        help="compare docs/compatibility.md with the results of all tests, or write it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NEIGHBOURS] = {}
    config.addinivalue_line(
        "markers",
        "neighbour(name, *, kind, package=name): the test is with this, of one of the kinds "
        f"{', '.join(KINDS)}; 'package' is what pip calls it",
    )


def _neighbour(name: str, *, kind: str, package: str | None = None) -> Neighbour:
    if kind not in KINDS:
        raise pytest.UsageError(f"The neighbour {name!r} is of an unknown kind: {kind!r}.")
    return Neighbour(name, kind, package or name)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    rows = config.stash[NEIGHBOURS]
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        marks = list(item.iter_markers("neighbour"))
        if not marks:
            raise pytest.UsageError(f"{item.nodeid} does not say which neighbour it is with.")
        for mark in marks:
            neighbour = _neighbour(*mark.args, **mark.kwargs)
            rows.setdefault((neighbour.kind, neighbour.name), neighbour)
            if neighbour.version is None:
                what = f"{neighbour.package} is not installed; it is in the extra 'ecosystem-more'"
                item.add_marker(pytest.mark.skip(reason=what))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Iterator[None] | Any:
    report: pytest.TestReport = yield
    reason = getattr(report, "wasxfail", None)
    if reason is not None or report.when == "call":
        for mark in item.iter_markers("neighbour"):
            neighbour = _neighbour(*mark.args, **mark.kwargs)
            row = item.config.stash[NEIGHBOURS][neighbour.kind, neighbour.name]
            if reason is not None:
                row.failed.append(reason)
            else:
                row.passed += report.passed
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    what = session.config.option.compatibility
    if what is None or exitstatus != pytest.ExitCode.OK:
        return
    text = document(session.config.stash[NEIGHBOURS].values())
    if what == "write":
        DOCUMENT.write_text(text)
    elif not DOCUMENT.exists() or DOCUMENT.read_text() != text:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line("")
        reporter.write_line(
            "docs/compatibility.md is not what the tests have found: run 'make compatibility'.",
            red=True,
        )
