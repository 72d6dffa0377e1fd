"""The benchmark works: it counts and times what it says, and does not time wrong answers."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import calls, flask_applications, in_process, over_the_wire, results
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


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="over the wire takes Linux and two cores",
)
@pytest.mark.parametrize("peer", flask_applications.PEERS)
def test_an_application_made_for_flask_is_served_by_both(peer: str) -> None:
    """On Flask under gunicorn, and on asyncflask under uvicorn: with all headers of its hooks."""
    [scenario] = [each for each in flask_applications.SCENARIOS if each.name == "hooks"]
    [port] = over_the_wire._free_ports(1)
    with over_the_wire.Server(peer, scenario, port) as server:
        server.wait()
        [request] = server.check()
        headers = {name.lower(): value for name, value in server.ask(request)}
    assert headers["x-steps"] == "2"
    assert headers["x-frame-options"] == "DENY"
    assert ("uvicorn" in headers["server"]) is (peer == "flask_compat")


def test_without_its_tools_the_benchmark_of_flask_applications_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It exits with a status that says so."""
    monkeypatch.setenv("PATH", "")
    assert flask_applications.main(["--rounds", "1"]) == 1
    assert capsys.readouterr().err.startswith("wrk is not installed")


@pytest.mark.skipif(over_the_wire.missing() is not None, reason=over_the_wire.missing() or "")
def test_applications_made_for_flask_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests per second of both, and the ratio."""
    monkeypatch.setattr(over_the_wire, "TURN", 0.2)
    assert flask_applications.main(["--rounds", "1"]) == 0
    found = re.search(
        r"def hooks: asyncflask \S+/s, Flask \S+/s, ratio (\d+\.\d\d)", capsys.readouterr().out
    )
    assert found is not None
    assert float(found[1]) > 0
