"""The report as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from asyncflask.migration.extensions import State
from asyncflask.migration.report import Finding, Kind, Report

_TITLES = {
    Kind.REMOVED: "Not in current Flask",
    Kind.FAILS: "Does not work here",
    Kind.SERVER: "Servers",
    Kind.DIFFERS: "Differs",
    Kind.BLOCKS: "Blocks the event loop, in 'async def' functions",
    Kind.AWAIT: "Has to be awaited, in 'async def' functions",
    Kind.IMPORT: "Flask's names: the same with --flask-extensions, else from asyncflask",
}
_WIDTH = 100
_MOST = 6  # places that are listed for one thing


def as_text(report: Report) -> str:
    """Return the report for people: short, what is alike under one heading.

    :returns: lines with a line break at the end of each.
    """
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    files = "1 Python file" if report.modules == 1 else f"{report.modules} Python files"
    yield f"{report.path}: {files} read, none run or changed"
    if report.unread:
        yield from _heading("Could not be read", len(report.unread))
        for file, reason in report.unread.items():
            yield from _wrap(f"{file}: {reason}", 2)
    if not report.uses_flask:
        yield from ("", "Nothing of Flask's was found.")
        return
    yield from _extensions(report)
    for kind, title in _TITLES.items():
        found = [each for each in report.findings if each.kind is kind]
        if found:
            yield from _heading(title, len(found))
            yield from _grouped(found)
    yield from _views(report)
    yield from ("", "Steps")
    for number, step in enumerate(report.steps(), 1):
        yield from _wrap(f"{number}. {step}", 2, hanging=3)
    yield ""
    yield from _wrap(
        "What functions do that are called by others, what is imported by name at run time, and "
        "what templates do cannot be seen this way. Run the tests.",
        0,
    )


def _heading(title: str, count: int) -> Iterator[str]:
    yield from ("", f"{title} ({count})")


def _extensions(report: Report) -> Iterator[str]:
    if not report.extensions:
        return
    yield from _heading("Extensions", len(report.extensions))
    width = max(len(each.name) for each in report.extensions)
    for each, places in report.extensions.items():
        tested = f" (tested: {each.version})" if each.version else ""
        yield f"  {each.name:{width}}  {each.state}{tested}"
        if each.note:
            yield from _wrap(each.note, width + 4)
        yield from _places(places, width + 4)
    if any(each.state is State.UNTESTED for each in report.extensions):
        yield from _wrap("Not tested means that nobody has looked, not that it fails.", 2)


def _grouped(findings: Iterable[Finding]) -> Iterator[str]:
    """Give what is alike once, with its places: one name and one advice, or one import."""
    groups: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for each in findings:
        what = "" if each.advice.startswith(("from ", "import ")) else each.what
        places = groups.setdefault((what, each.advice), [])
        if (each.file, each.line) not in places:
            places.append((each.file, each.line))
    for (what, advice), places in sorted(groups.items()):
        yield from _wrap(f"{what}: {advice}" if what else advice, 2)
        yield from _places(places, 6)


def _places(places: list[tuple[str, int]], indent: int) -> Iterator[str]:
    shown = ", ".join(f"{file}:{line}" for file, line in places[:_MOST])
    rest = len(places) - _MOST
    yield from _wrap(f"{shown} and {rest} more" if rest > 0 else shown, indent)


def _views(report: Report) -> Iterator[str]:
    if not report.views:
        return
    asynchronous = sum(view.is_async for view in report.views)
    candidates = report.candidates
    yield from _heading("Views", len(report.views))
    synchronous = len(report.views) - asynchronous
    blocking = synchronous - len(candidates)
    yield f"  {asynchronous} 'async def', {synchronous} 'def'"
    if blocking:
        yield f"  {blocking} 'def' views block (databases, HTTP, files): they may stay as they are"
    if candidates:
        yield from _wrap(
            f"{len(candidates)} 'def' views, in which nothing was seen to block, may become 'async "
            "def' if what they call does not block either:",
            2,
        )
        yield from _places([(view.file, view.line) for view in candidates], 6)
        awaits = sorted({each.partition(".")[2] for view in candidates for each in view.awaits})
        if awaits:
            yield from _wrap(f"and then have to await {', '.join(awaits)}", 6)


def _wrap(text: str, indent: int, hanging: int = 0) -> list[str]:
    prefix = " " * indent
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=prefix,
        subsequent_indent=prefix + " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
