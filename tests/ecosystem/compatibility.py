"""Tables of what works with other people's packages, made of what tests with them have found out.

A conftest makes a :class:`Table` and registers it as a plugin of pytest. Every test of its folder
says which neighbours it is with, and its result is counted in their rows:

    @pytest.mark.neighbour("Starlette", kind="host")
    @pytest.mark.neighbour("Socket.IO", kind="mounted", package="python-socketio")

What is known not to work is marked ``xfail``, and its reason stands in the table. A test that runs
a package's own tests says how they ended, with ``record_property("own tests", "51 of 52")``, and
why some were left out, with ``record_property("left out", [...])``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Neighbour:
    """A row of a table: somebody else's package, and how the tests with it have ended."""

    name: str
    kind: str
    package: str
    #: What its tests run with, if that is not installed here.
    pinned: str | None = None
    passed: int = 0
    #: Why tests fail that are known to.
    failed: list[str] = field(default_factory=list)
    #: How the package's own tests ended, where they are run, and why some were left out.
    own: str = ""
    left_out: list[str] = field(default_factory=list)

    @property
    def version(self) -> str | None:
        """What is installed of it, without what a patch changes; None if it is not."""
        try:
            found = self.pinned or version(self.package)
            return ".".join(found.split(".")[:2])
        except PackageNotFoundError:
            return None

    def row(self, document: Path, *, own: bool) -> str:
        """Return the line of the table; as it stands there, if it is not installed here."""
        if self.version is None:
            lines = document.read_text().splitlines()
            return next(line for line in lines if line.startswith(f"| {self.name} | "))
        tests = self.passed + len(self.failed)
        result = f"{tests} pass" if not self.failed else f"{self.passed} of {tests} pass"
        cells = [self.name, self.version, result, *([self.own] if own else ())]
        reasons = dict.fromkeys([*self.failed, *self.left_out])
        return f"| {' | '.join(cells)} | {'; '.join(reasons)} |"


class Table:
    """Gathers the results of a folder's tests, and writes or checks a document of them.

    :param folder: of the tests.
    :param document: the file that is written.
    :param head: how it begins.
    :param kinds: the kinds of neighbours, in the order of the document, and their headings.
    :param extra: the extra that has the packages which may be missing.
    """

    def __init__(
        self, folder: Path, document: Path, head: str, kinds: dict[str, str], *, extra: str
    ) -> None:
        self._folder = folder
        self._document = document
        self._head = head
        self._kinds = kinds
        self._extra = extra
        self._rows: dict[tuple[str, str], Neighbour] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line(
            "markers",
            "neighbour(name, *, kind, package=name, version=None): the test is with this, of one "
            f"of the kinds {', '.join(self._kinds)}; 'package' is what pip calls it, 'version' "
            "what it has if its tests run in an environment of their own",
        )

    def _row(
        self, name: str, *, kind: str, package: str | None = None, version: str | None = None
    ) -> Neighbour:
        if kind not in self._kinds:
            raise pytest.UsageError(f"The neighbour {name!r} is of an unknown kind: {kind!r}.")
        return self._rows.setdefault((kind, name), Neighbour(name, kind, package or name, version))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if self._folder not in item.path.parents:
                continue
            marks = list(item.iter_markers("neighbour"))
            if not marks:
                raise pytest.UsageError(f"{item.nodeid} does not say which neighbour it is with.")
            for mark in marks:
                neighbour = self._row(*mark.args, **mark.kwargs)
                if neighbour.version is None:
                    what = f"{neighbour.package} is not installed; it is in the extra {self._extra}"
                    item.add_marker(pytest.mark.skip(reason=what))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None] | Any:
        report: pytest.TestReport = yield
        reason = getattr(report, "wasxfail", None)
        if reason is None and report.when != "call":
            return report
        for mark in item.iter_markers("neighbour"):
            row = self._row(*mark.args, **mark.kwargs)
            if reason is not None:
                row.failed.append(reason)
            else:
                row.passed += report.passed
            properties: dict[str, Any] = dict(report.user_properties)
            row.own = properties.get("own tests", row.own)
            row.left_out += properties.get("left out", ())
        return report

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        what = session.config.option.compatibility
        if what is None or exitstatus != pytest.ExitCode.OK:
            return
        text = self.text()
        document = self._document
        if what == "write":
            document.write_text(text)
        elif not document.exists() or document.read_text() != text:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            reporter = session.config.pluginmanager.get_plugin("terminalreporter")
            reporter.write_line("")
            reporter.write_line(
                f"docs/{document.name} is not what the tests have found: run 'make compatibility'.",
                red=True,
            )

    def text(self) -> str:
        """Return the text of the document."""
        rows = sorted(self._rows.values(), key=lambda neighbour: neighbour.name.lower())
        parts = [self._head]
        for kind, heading in self._kinds.items():
            of_kind = [neighbour for neighbour in rows if neighbour.kind == kind]
            if not of_kind:
                continue
            own = any(neighbour.own for neighbour in of_kind)
            titles = ["", "version", "tests", *(["its own tests"] if own else ()), "not working"]
            lines = [
                f"|{'|'.join(f' {title} ' if title else ' ' for title in titles)}|",
                "|" + "---|" * len(titles),
                *(neighbour.row(self._document, own=own) for neighbour in of_kind),
            ]
            parts.append(f"## {heading}\n\n" + "\n".join(lines) + "\n")
        return "\n".join(parts)


def add_option(parser: pytest.Parser) -> None:
    """Add ``--compatibility``, for the ``pytest_addoption`` of a conftest."""
    parser.addoption(
        "--compatibility",
        choices=["check", "write"],
        help="compare the page in docs/ with the results of all tests, or write it",
    )
