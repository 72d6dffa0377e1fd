"""What was measured: tables, ``RESULTS.md`` and the chart."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from benchmarks.footprint import Footprint
from benchmarks.scenarios import SCENARIOS

HERE = Path(__file__).parent
OURS, FLOOR = "asyncflask", "bare"

Figures = dict[str, dict[str, float]]


@dataclass(slots=True)
class Results:
    """By scenario and peer: microseconds per request in process, requests per second over the
    wire; and by peer the footprint."""

    in_process: Figures = field(default_factory=dict)
    wire: Figures = field(default_factory=dict)
    footprint: dict[str, Footprint] = field(default_factory=dict)

    def overhead(self, scenario: str, peer: str) -> float:
        """Return the cost above the floor in microseconds.

        :raises KeyError: it was not measured.
        """
        return self.in_process[scenario][peer] - self.in_process[scenario][FLOOR]

    def ratio(self, scenario: str, peer: str = "starlette") -> float:
        """Return asyncflask's overhead as a part of another's."""
        return self.overhead(scenario, OURS) / self.overhead(scenario, peer)

    def best_peer(self, scenario: str) -> tuple[str, float]:
        """Return the peer with the smallest overhead, and that."""
        peers = self.in_process[scenario].keys() - {OURS, FLOOR}
        return min(((peer, self.overhead(scenario, peer)) for peer in peers), key=lambda x: x[1])


@dataclass(frozen=True, slots=True)
class Target:
    """Something to reach: a figure that is at most, or with ``least`` at least, the limit."""

    title: str
    limit: float
    figure: Callable[[Results], float]
    least: bool = False

    def row(self, results: Results) -> tuple[str, str, str, str]:
        """Return the title, the limit, what was reached, and whether that is enough.

        :raises KeyError: what it takes was not measured.
        """
        reached = self.figure(results)
        enough = reached >= self.limit if self.least else reached <= self.limit
        limit = f"at {'least' if self.least else 'most'} {self.limit:g}"
        return self.title, limit, f"{reached:.2f}", "yes" if enough else "**MISSED**"


def _of_starlette(scenario: str, limit: float) -> Target:
    title = f"{SCENARIOS[scenario].title}: overhead, of Starlette's"
    return Target(title, limit, lambda results: results.ratio(scenario))


def _of_floor(scenario: str, limit: float) -> Target:
    def figure(results: Results) -> float:
        costs = results.in_process[scenario]
        return costs[OURS] / costs[FLOOR]

    return Target(f"{SCENARIOS[scenario].title}: cost, of the floor's", limit, figure)


def _of_best(scenario: str) -> Target:
    def figure(results: Results) -> float:
        costs = results.in_process[scenario]
        return costs[OURS] / min(costs[peer] for peer in costs.keys() - {OURS, FLOOR})

    return Target(f"{SCENARIOS[scenario].title}: cost, of the best peer's", 1, figure)


def _hooks(results: Results) -> float:
    added = results.in_process["hooks"][OURS] - results.in_process["plain_text"][OURS]
    return added / results.in_process["plain_text"]["starlette"]


def _growth(results: Results) -> float:
    return results.in_process["routes"][OURS] / results.in_process["few_routes"][OURS]


def _rate(scenario: str) -> Callable[[Results], float]:
    return lambda results: results.wire[scenario][OURS] / results.wire[scenario][FLOOR]


def _lost(results: Results) -> float:
    """The number of scenarios where a peer on the same server has more requests per second."""
    elsewhere = {OURS, FLOOR, "flask", "sanic", "aiohttp"}
    lost = 0
    for rates in results.wire.values():
        peers = rates.keys() - elsewhere
        lost += bool(peers) and rates[OURS] < max(rates[peer] for peer in peers)
    if not results.wire:
        raise KeyError("wire")
    return lost


TARGETS = (
    _of_starlette("plain_text", 0.25),
    _of_starlette("json", 0.15),
    _of_starlette("path_text", 0.40),
    _of_starlette("path_json", 0.25),
    _of_starlette("query", 0.38),
    _of_floor("json_echo", 1),
    _of_starlette("model", 0.40),
    Target("validated model: overhead, of FastAPI's", 0.1, lambda r: r.ratio("model", "fastapi")),
    _of_starlette("form", 0.25),
    _of_floor("template", 1.03),
    _of_starlette("session", 0.50),
    _of_starlette("routes", 0.06),
    Target("500 routes: cost, of its own with 10", 1.1, _growth),
    Target("ten hooks: cost added, of Starlette's plain text", 2 / 9.6, _hooks),
    _of_starlette("stream", 0.15),
    _of_starlette("threaded", 0.25),
    _of_best("websocket"),
    _of_best("static"),
    _of_best("upload"),
    Target("over the wire, plain text: rate, of the floor's", 0.95, _rate("plain_text"), True),
    Target("over the wire, JSON: rate, of the floor's", 0.95, _rate("json"), True),
    Target("over the wire: scenarios where a peer on uvicorn is faster", 0, _lost),
    Target(
        "import time, of Flask's",
        1,
        lambda r: r.footprint[OURS].milliseconds / r.footprint["flask"].milliseconds,
    ),
    Target(
        "memory after import, of Quart's",
        1,
        lambda r: r.footprint[OURS].mebibytes / r.footprint["quart"].mebibytes,
    ),
)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown whose columns are aligned in plain text, too."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    text = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _peers(figures: Iterable[Iterable[str]]) -> list[str]:
    found = {peer: None for peers in figures for peer in peers}
    return sorted(found, key=lambda peer: (peer != FLOOR, peer != OURS))


def _in_process(results: Results) -> str:
    peers = _peers(results.in_process.values())
    rows = []
    for scenario, costs in results.in_process.items():
        row = [SCENARIOS[scenario].title]
        row += [f"{costs[peer]:.1f}" if peer in costs else "-" for peer in peers]
        try:
            peer, best = results.best_peer(scenario)
            ours = results.overhead(scenario, OURS)
            row += [f"{results.ratio(scenario):.2f}", f"{ours:.1f} to {best:.1f} ({peer})"]
        except (KeyError, ValueError):
            row += ["-", "-"]
        rows.append(row)
    return _table(["scenario", *peers, "of Starlette's overhead", "overhead to the best's"], rows)


def _wire(results: Results) -> str:
    peers = _peers(results.wire.values())
    rows = []
    for scenario, rates in results.wire.items():
        floor = rates.get(FLOOR)
        row = [SCENARIOS[scenario].title]
        for peer in peers:
            rate = rates.get(peer)
            relative = "" if floor is None or rate is None else f" ({rate / floor:.2f})"
            row.append("-" if rate is None else f"{rate:,.0f}{relative}")
        rows.append(row)
    return _table(["scenario", *peers], rows)


def _footprint(results: Results) -> str:
    rows = [
        (peer, f"{each.milliseconds:.0f}", f"{each.mebibytes:.0f}", str(each.dependencies))
        for peer, each in results.footprint.items()
    ]
    return _table(["", "import, ms", "memory, MiB", "dependencies"], rows)


def _targets(results: Results) -> str:
    rows = []
    for target in TARGETS:
        try:
            rows.append(target.row(results))
        except KeyError:
            rows.append((target.title, "", "not measured", ""))
    return _table(["target", "limit", "reached", "met"], rows)


_SECTIONS: tuple[tuple[str, str, Callable[[Results], str]], ...] = (
    (
        "in_process",
        "In process: CPU microseconds per request",
        _in_process,
    ),
    ("wire", "Over the wire: requests per second (of the floor's)", _wire),
    ("footprint", "Footprint", _footprint),
)


def terminal(results: Results) -> str:
    """Return the tables of what was measured."""
    parts = [
        f"{title}\n\n{make(results)}" for name, title, make in _SECTIONS if getattr(results, name)
    ]
    return "\n\n".join(parts)


def _versions() -> str:
    names = (
        *("asyncflask", "starlette", "fastapi", "pydantic", "quart", "litestar", "blacksheep"),
        *("falcon", "flask", "sanic", "aiohttp", "msgspec", "jinja2", "itsdangerous"),
        *("uvicorn", "uvloop", "httptools", "websockets", "gunicorn"),
    )
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")


METHOD = """\
Every answer is checked before it is timed. Candidates take turns, and the median of the rounds
counts; over the wire, the best of them. Paths, queries, forms and cookies differ from request to
request. *Overhead* is the cost above `bare`, an ASGI callable that does the same work and sends
what asyncflask sends. Each peer is written as its own users would write it, with its defaults; a
dash means that it has nothing for the scenario. Cost in process is CPU time of all threads; the
harness is in it. Over the wire, ASGI peers run under uvicorn (uvloop, httptools), Flask under
gunicorn with threads, Sanic and aiohttp on their own servers, each with one worker pinned to one
core, and its client on another. Only ratios mean something on another machine. Litestar's and
aiohttp's sessions are encrypted, the others' are signed. Starlette's and FastAPI's hooks are
`BaseHTTPMiddleware`; Litestar's, BlackSheep's and aiohttp's are middlewares."""


def write(results: Results) -> None:
    """Write ``RESULTS.md`` and the chart."""
    date = datetime.datetime.now(datetime.UTC).date()
    sections = [f"## {title}\n\n{make(results)}" for _, title, make in _SECTIONS]
    text = "\n\n".join(
        [
            "# Results",
            f"`make bench`, {date}: {platform.python_implementation()} "
            f"{platform.python_version()}, {_cpu()}.\n{_versions()}.",
            METHOD,
            f"## Targets\n\n{_targets(results)}",
            *sections,
        ]
    )
    (HERE / "RESULTS.md").write_text(text + "\n")
    (HERE / "chart.svg").write_text(chart(results))


_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px } .figure { font-size: 12px }
rect { fill: #9aa4af } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } rect { fill: #6e7681 } .ours { fill: #58a6ff } }
"""


def chart(results: Results, scenario: str = "json") -> str:
    """Return bars of each peer's overhead, as an SVG for light and dark pages."""
    bars = sorted(
        (max(results.overhead(scenario, peer), 0), peer)
        for peer in results.in_process[scenario].keys() - {FLOOR}
    )
    longest = bars[-1][0] or 1
    height = 56 + 26 * len(bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" width="720" '
        f'height="{height}" role="img">',
        f"<style>{_STYLE}</style>",
        '<text class="title" x="10" y="24">'
        f"{SCENARIOS[scenario].title}: microseconds above a bare ASGI callable</text>",
    ]
    for place, (overhead, peer) in enumerate(bars):
        top = 42 + 26 * place
        width = 520 * overhead / longest
        kind = ' class="ours"' if peer == OURS else ""
        lines += [
            f'<text x="100" y="{top + 14}" text-anchor="end">{peer}</text>',
            f'<rect{kind} x="110" y="{top}" width="{max(width, 1):.1f}" height="18" rx="2"/>',
            f'<text class="figure" x="{116 + width:.1f}" y="{top + 14}">{overhead:.1f}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
