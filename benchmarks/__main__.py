"""``python -m benchmarks``: measure, show, and after a whole run write the results."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

from benchmarks import footprint, in_process, over_the_wire, results
from benchmarks.scenarios import SCENARIOS

ASGI = [
    *("bare", "asyncflask", "starlette", "fastapi", "quart", "litestar", "blacksheep", "falcon"),
]
PEERS = [*ASGI, "flask", "sanic", "aiohttp"]
WAYS = ("in-process", "wire", "footprint")
#: Rounds: of a whole run, and of a quick one.
ROUNDS = {"in-process": (11, 3), "wire": (5, 1), "footprint": (7, 3)}


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--scenario", action="append", choices=SCENARIOS, help="only this; may be repeated")
    add("--peer", action="append", choices=PEERS, help="only this, beside the floor; repeated")
    add("--way", action="append", choices=WAYS, help="only this way; may be repeated")
    add("--rounds", type=int, help="how many turns each candidate has")
    add("--quick", action="store_true", help="few rounds, for a first impression")
    add("--write", action="store_true", help="write RESULTS.md and the chart after a partial run")
    return parser.parse_args(arguments)


def _show(text: str) -> Callable[[int], None]:
    def show(done: int) -> None:
        end = "" if sys.stderr.isatty() else "\n"
        if end == "" or done == 0:
            start = "\r\x1b[K" if end == "" else ""
            print(f"{start}{text}: round {done + 1}", end=end, file=sys.stderr, flush=True)

    return show


def _modules(peers: list[str]) -> dict[str, ModuleType]:
    return {peer: importlib.import_module(f"benchmarks.peers.{peer}") for peer in peers}


def _run(coroutine: object) -> dict[str, float]:
    import uvloop

    return uvloop.run(coroutine)  # type: ignore[arg-type, return-value]


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; return the status to exit with."""
    options = _parse(arguments)
    # So that servers are ended, too, when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    ways = options.way or WAYS
    scenarios = {name: SCENARIOS[name] for name in options.scenario or SCENARIOS}
    peers = [peer for peer in PEERS if not options.peer or peer in (*options.peer, results.FLOOR)]
    found = results.Results()

    def rounds(way: str) -> int:
        return options.rounds or ROUNDS[way][options.quick]

    reason = over_the_wire.missing() if "wire" in ways else None
    if reason:
        print(reason, file=sys.stderr)
    failed: list[str] = []
    with contextlib.suppress(KeyboardInterrupt):
        if "in-process" in ways:
            modules = _modules([peer for peer in peers if peer in ASGI])
            for name, scenario in scenarios.items():
                with _noting(failed, text := f"in process, {scenario.title}"):
                    apps = {p: getattr(m, name)() for p, m in modules.items() if hasattr(m, name)}
                    measured = in_process.measure(
                        scenario, apps, rounds=rounds("in-process"), show=_show(text)
                    )
                    found.in_process[name] = _run(measured)
        if "wire" in ways and not reason:
            modules = _modules(peers)
            for name, scenario in scenarios.items():
                with _noting(failed, text := f"over the wire, {scenario.title}"):
                    able = [peer for peer, module in modules.items() if hasattr(module, name)]
                    found.wire[name] = over_the_wire.measure(
                        scenario, able, rounds=rounds("wire"), show=_show(text)
                    )
        if "footprint" in ways:
            found.footprint = footprint.measure(
                [peer for peer in peers if peer in footprint.IMPORTS],
                rounds=rounds("footprint"),
                show=_show("footprint"),
            )
    print(f"\n{results.terminal(found)}")
    chosen = options.scenario or options.peer or options.way or options.quick or options.rounds
    if options.write or not (chosen or reason):
        results.write(found)
    return 1 if failed or (reason and list(ways) == ["wire"]) else 0


@contextlib.contextmanager
def _noting(failed: list[str], text: str) -> Iterator[None]:
    """Let a run go on, and keep what it has found, where one scenario fails."""
    try:
        yield
    except Exception as exc:
        failed.append(text)
        print(f"\n{text} failed: {exc!r}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
