"""The benchmark works: it counts and times what it says, and does not time wrong answers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import calls, in_process, over_the_wire, results
from benchmarks.__main__ import main as benchmark
from benchmarks.peers import asyncflask, bare, starlette
from benchmarks.scenarios import SCENARIOS

ROOT = Path(__file__).parent.parent
PEERS = {"bare": bare, "starlette": starlette, "asyncflask": asyncflask}


def test_no_request_needs_more_calls_than_budgeted() -> None:
    """`make bench-check` passes. A process of its own has no other test's signals or settings."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.calls"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_scenario_that_grew_is_named() -> None:
    """More calls than budgeted fail; fewer are only told."""
    found = {"json": calls.Calls(9, 12), "form": calls.Calls(5, 5), "query": calls.Calls(3, 3)}
    lines, grown = calls.compare(found, {"json": [9, 11], "form": [6, 6], "query": [3, 3]})
    assert grown
    assert [line.split()[0] for line in lines] == ["json", "form"]
    assert lines[0].endswith("GREW")
    assert not calls.compare({"form": calls.Calls(5, 5)}, {"form": [6, 6]})[1]


async def test_peers_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets microseconds, of which the tables and the chart make ratios."""
    monkeypatch.setattr(in_process, "TURN", 0.001)
    found = results.Results()
    for name in ("plain_text", "form", "session"):
        apps = {peer: getattr(module, name)() for peer, module in PEERS.items()}
        found.in_process[name] = await in_process.measure(SCENARIOS[name], apps, rounds=3)
        assert found.in_process[name].keys() == PEERS.keys()
        assert all(cost > 0 for cost in found.in_process[name].values())
    assert "session cookie" in results.terminal(found)
    assert "asyncflask" in results.chart(found, "form")


@pytest.mark.parametrize("name", SCENARIOS)
async def test_answers_of_all_scenarios_are_right(name: str) -> None:
    """The three that need no further packages take part in everything."""
    for peer, module in PEERS.items():
        candidate = in_process.Candidate(peer, SCENARIOS[name], getattr(module, name)())
        async with in_process.lifespan(candidate.app):
            await asyncio.wait_for(candidate.check(), 30)


async def test_a_wrong_answer_is_not_timed() -> None:
    """It raises an error that says whose it is, and what was expected."""
    scenario = SCENARIOS["plain_text"]
    other = replace(scenario, requests=(replace(scenario.requests[0], expected="Bye"),))
    app: Callable[[Any, Any, Any], Awaitable[None]] = bare.plain_text()
    with pytest.raises(ValueError, match=r"bare answers GET / with 200, .*expected is Bye"):
        await in_process.measure(other, {"bare": app}, rounds=1)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own: the peer with Flask's extensions takes Flask's name."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


_SERVE = """
from benchmarks import flask_applications, over_the_wire
scenario, peers = flask_applications.SCENARIOS[0], flask_applications.PEERS
for peer, port in zip(peers, over_the_wire._free_ports(len(peers)), strict=True):
    with over_the_wire.Server(peer, scenario, port) as server:
        server.wait()
        [request] = server.check()
        headers = {name.lower(): value for name, value in server.ask(request)}
        print(headers["server"].partition("/")[0], headers["x-steps"], headers["x-frame-options"])
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="over the wire takes Linux and two cores",
)
def test_an_application_made_for_flask_is_served_by_both() -> None:
    """On asyncflask under uvicorn, and on Flask under gunicorn: with the headers of its hooks."""
    served = run("-c", _SERVE)
    assert served.stdout.splitlines() == ["uvicorn 2 DENY", "gunicorn 2 DENY"], served.stderr


def test_without_its_tools_the_benchmark_of_flask_applications_says_what_to_do() -> None:
    """It exits with a status that says so."""
    measured = run("-m", "benchmarks.flask_applications", PATH="")
    assert measured.returncode == 1
    assert measured.stderr.startswith("wrk is not installed")


@pytest.mark.skipif(over_the_wire.missing() is not None, reason=over_the_wire.missing() or "")
def test_applications_made_for_flask_are_compared() -> None:
    """Requests per second of both, and the ratio."""
    measured = run("-m", "benchmarks.flask_applications", "--rounds", "1")
    found = re.search(r"def hooks: asyncflask \S+/s, Flask \S+/s, ratio \d", measured.stdout)
    assert found is not None, measured.stderr


def test_a_scenario_that_fails_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, the others are shown, and the status says that something is missing."""
    monkeypatch.setattr(in_process, "TURN", 0.001)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # it is the test run's
    monkeypatch.setattr(starlette, "plain_text", bare.json)
    chosen = [f"--{option}" for option in ("way=in-process", "peer=starlette", "rounds=1")]
    assert benchmark([*chosen, "--scenario=plain_text", "--scenario=json"]) == 1
    output, errors = capsys.readouterr()
    assert "in process, plain text failed: ValueError('plain_text: starlette answers" in errors
    assert "JSON" in output
    assert benchmark([*chosen, "--scenario=json"]) == 0
