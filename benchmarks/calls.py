"""Counts the Python calls of a request, which is what a slower path adds first: no clock is needed.

``python -m benchmarks.calls`` compares with ``budgets.json`` and fails where a scenario has grown;
``--record`` writes the budgets anew. Calls of the event loop and of the benchmark do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import asyncflask
from benchmarks.in_process import Candidate, lifespan
from benchmarks.peers import asyncflask as peer
from benchmarks.scenarios import SCENARIOS, Scenario

BUDGETS = Path(__file__).with_name("budgets.json")
VERSION = "{}.{}".format(*sys.version_info)

_PACKAGE = str(Path(asyncflask.__file__).parent)
_NOT_COUNTED = (
    str(Path(asyncio.__file__).parent),
    str(Path(__file__).parent),
    threading.__file__,
)
_REQUESTS = 15


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of a request: of asyncflask's functions, and of all Python functions."""

    package: int
    all: int


class _Counter:
    def __init__(self) -> None:
        self.package = self.all = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            name = frame.f_code.co_filename
            if not name.startswith(_NOT_COUNTED):
                self.all += 1
                self.package += name.startswith(_PACKAGE)


@contextlib.contextmanager
def _counting() -> Iterator[_Counter]:
    """Count in this thread, until the end."""
    counter = _Counter()
    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        yield counter
    finally:
        sys.setprofile(before)


async def count(scenario: Scenario) -> Calls:
    """Return the median of some requests, after some that do not count.

    :raises ValueError: an answer is wrong.
    """
    candidate = Candidate("asyncflask", scenario, getattr(peer, scenario.name)())
    found = []
    async with lifespan(candidate.app):
        await candidate.check()
        for _ in range(_REQUESTS):
            with _counting() as counter:
                await candidate.run_once()
            found.append(counter)
    return Calls(
        statistics.median_low(each.package for each in found),
        statistics.median_low(each.all for each in found),
    )


def count_all() -> dict[str, Calls]:
    """Return the calls of every scenario, by its name.

    Where ``def`` code runs in a worker thread, only what the loop's thread does is counted.
    """
    return {name: asyncio.run(count(scenario)) for name, scenario in SCENARIOS.items()}


def compare(found: dict[str, Calls], budgets: dict[str, list[int]]) -> tuple[list[str], bool]:
    """Return a table of what differs, and whether a scenario needs more than its budget."""
    lines, grown = [], False
    for name, calls in found.items():
        package, everything = budgets.get(name, (0, 0))
        if (calls.package, calls.all) == (package, everything):
            continue
        more = calls.package > package or calls.all > everything
        grown = grown or more
        lines.append(
            f"{name:12} asyncflask {package:5} -> {calls.package:5}   all {everything:5} -> "
            f"{calls.all:5}   {'GREW' if more else 'less'}"
        )
    return lines, grown


def main(arguments: list[str] | None = None) -> int:
    """Compare or record; return the status to exit with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the budgets")
    record = parser.parse_args(arguments).record
    recorded = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    if not record and VERSION not in recorded:
        print(f"No budgets are recorded for Python {VERSION}; --record does it.")
        return 0
    found = count_all()
    if record:
        recorded[VERSION] = {name: [calls.package, calls.all] for name, calls in found.items()}
        BUDGETS.write_text(_render(recorded))
    lines, grown = compare(found, recorded[VERSION])
    print(f"Python calls per request, budget -> now (Python {VERSION}):" if lines else "", end="")
    print("", *lines, sep="\n") if lines else print(f"{len(found)} scenarios: as budgeted.")
    if grown:
        print(
            "More is called than before. If that is right, or a dependency's doing, record it:\n"
            "    make bench-check ARGS=--record (and PYTHON= for the other versions)"
        )
    return int(grown)


def _render(recorded: dict[str, dict[str, list[int]]]) -> str:
    """Return JSON with a line for each scenario."""
    versions = []
    for version in sorted(recorded):
        lines = [f'    "{name}": {counts}' for name, counts in recorded[version].items()]
        versions.append(f'  "{version}": {{\n' + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(versions) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
