"""What is found out about a project, and the steps that follow from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from asyncflask.migration.extensions import Extension, State


class Kind(StrEnum):
    """What a finding is about; in the order in which it is dealt with."""

    REMOVED = "removed"
    FAILS = "fails"
    SERVER = "server"
    DIFFERS = "differs"
    BLOCKS = "blocks"
    AWAIT = "await"
    IMPORT = "import"


@dataclass(frozen=True, order=True)
class Finding:
    """Something in a file.

    :param file: its path within the project.
    :param line: its line, from 1.
    :param kind: what it is about.
    :param what: what stands there, such as ``"time.sleep"``.
    :param advice: what to do, or to know.
    """

    file: str
    line: int
    kind: Kind
    what: str
    advice: str


@dataclass(frozen=True)
class View:
    """A view.

    :param file: its path within the project.
    :param line: its line, from 1.
    :param name: the function, with its class if it has one.
    :param is_async: whether it is ``async def``.
    :param blocking: what in it blocks, so far as that is known.
    :param awaits: what in it has to be awaited in ``async def`` code.
    """

    file: str
    line: int
    name: str
    is_async: bool
    blocking: tuple[str, ...]
    awaits: tuple[str, ...]


@dataclass
class Report:
    """What is found out about a project.

    :param path: the project.
    :param modules: the number of Python files that were read.
    :param extensions: those that are used, with the places where they are named.
    :param findings: all else that was found.
    :param views: its views.
    :param unread: files that could not be read, with the reason.
    """

    path: str
    modules: int = 0
    extensions: dict[Extension, list[tuple[str, int]]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def uses_flask(self) -> bool:
        """Whether there is anything of Flask's."""
        return bool(self.extensions) or any(each.kind is Kind.IMPORT for each in self.findings)

    @property
    def candidates(self) -> list[View]:
        """The ``def`` views in which nothing is known to block: they may become ``async def``."""
        return [view for view in self.views if not view.is_async and not view.blocking]

    def count(self) -> dict[str, int]:
        """Return how much of each kind was found."""
        kinds = Counter(each.kind for each in self.findings)
        states = Counter(each.state for each in self.extensions)
        views = Counter(view.is_async for view in self.views)
        return {
            "modules": self.modules,
            "unread": len(self.unread),
            **{kind.value: kinds[kind] for kind in Kind},
            **{f"extensions: {state}": states[state] for state in State},
            "def views": views[False],
            "async def views": views[True],
        }

    def steps(self) -> list[str]:
        """Return what to do, in order."""
        kinds = {each.kind for each in self.findings}
        failing = [each.name for each in self.extensions if each.state is State.FAILS]
        untested = [each.name for each in self.extensions if each.state is State.UNTESTED]
        steps = {
            "Replace what current Flask does not have; this can be done on Flask.": (
                Kind.REMOVED in kinds
            ),
            f"Replace the extensions that do not work: {', '.join(failing)}.": failing,
            "Change what does not work here.": Kind.FAILS in kinds,
            "Run the tests with 'pytest -p asyncflask.compat.installed', and the application with "
            "'asyncflask --flask-extensions run'. Nothing else has to change yet.": True,
            f"Try the extensions that are not tested: {', '.join(untested)}.": untested,
            "Serve it with an ASGI server; 'import asyncflask.compat.installed' is the first line "
            "of the module that it loads.": Kind.SERVER in kinds,
            "Take what blocks out of the 'async def' functions.": Kind.BLOCKS in kinds,
            "Await what has to be awaited in them.": Kind.AWAIT in kinds,
            "Make views 'async def' one by one where it helps: those that wait for others first.": (
                self.candidates
            ),
            "Stay in the compatibility namespace as long as extensions need it.": self.extensions,
            "Change the imports to asyncflask, and leave the flag out.": (
                Kind.IMPORT in kinds and not self.extensions
            ),
        }
        return [step for step, is_needed in steps.items() if is_needed]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "path": self.path,
            "counts": self.count(),
            "extensions": [
                asdict(each) | {"places": [{"file": file, "line": line} for file, line in places]}
                for each, places in self.extensions.items()
            ],
            "findings": [asdict(each) for each in self.findings],
            "views": [asdict(view) for view in self.views],
            "unread": self.unread,
            "steps": self.steps(),
        }
