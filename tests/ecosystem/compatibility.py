"""The table of ``docs/compatibility.md``, made of what the tests in this folder have found out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "compatibility.md"

#: The kinds of neighbours, in the order of the document, and the headings of their tables.
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
they find. A test that fails for a known reason is counted, and the reason given.
"""


@dataclass
class Neighbour:
    """A row of the table: somebody else's package, and how the tests with it have ended."""

    name: str
    kind: str
    package: str
    passed: int = 0
    #: Why tests fail that are known to.
    failed: list[str] = field(default_factory=list)

    @property
    def version(self) -> str | None:
        """What is installed of it, without what a patch changes; None if it is not."""
        try:
            return ".".join(version(self.package).split(".")[:2])
        except PackageNotFoundError:
            return None

    def row(self) -> str:
        """Return the line of the table; as it stands there, if it is not installed here."""
        if self.version is None:
            lines = DOCUMENT.read_text().splitlines()
            return next(line for line in lines if line.startswith(f"| {self.name} | "))
        tests = self.passed + len(self.failed)
        result = f"{tests} pass" if not self.failed else f"{self.passed} of {tests} pass"
        return (
            f"| {self.name} | {self.version} | {result} | {'; '.join(dict.fromkeys(self.failed))} |"
        )


def document(neighbours: Iterable[Neighbour]) -> str:
    """Return the text of the page."""
    rows = sorted(neighbours, key=lambda neighbour: neighbour.name.lower())
    parts = [HEAD]
    for kind, heading in KINDS.items():
        lines = [neighbour.row() for neighbour in rows if neighbour.kind == kind]
        if lines:
            table = "\n".join(["| | version | tests | not working |", "|---|---|---|---|", *lines])
            parts.append(f"## {heading}\n\n{table}\n")
    return "\n".join(parts)
