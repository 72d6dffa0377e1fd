"""What an import costs, and what is installed for it: each in fresh processes, in turns.

Bytecode is there, as it is where applications run: a first import, which is not counted, writes it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

#: What an application of each imports at least, and the distribution that brings it.
IMPORTS = {
    "asyncflask": "from asyncflask import Flask, request",
    "starlette": (
        "from starlette.applications import Starlette; from starlette.routing import Route; "
        "from starlette.requests import Request; from starlette.responses import JSONResponse"
    ),
    "fastapi": "from fastapi import FastAPI, Request",
    "quart": "from quart import Quart, request",
    "litestar": "from litestar import Litestar, Request, get",
    "blacksheep": "from blacksheep import Application, Request, Response",
    "falcon": "import falcon.asgi",
    "flask": "from flask import Flask, request",
    "sanic": "from sanic import Request, Sanic, text",
    "aiohttp": "from aiohttp import web",
}

_PROGRAM = """
import time
started = time.process_time()
{imports}
taken = time.process_time() - started
with open("/proc/self/status") as status:
    print(taken * 1e3, *(int(line.split()[1]) / 1024 for line in status if "VmRSS" in line))
"""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The CPU time of an import in milliseconds, the memory then in MiB (RSS), and the number of
    distributions that installing it brings."""

    milliseconds: float
    mebibytes: float
    dependencies: int


def dependencies(distribution: str) -> set[str]:
    """Return what a distribution requires here, and what that requires, without extras."""
    from packaging.requirements import Requirement

    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        for text in metadata.requires(waiting.pop()) or ():
            requirement = Requirement(text)
            name = requirement.name.lower().replace("_", "-")
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _import(peer: str) -> tuple[float, float]:
    """Return the milliseconds and mebibytes of one import in a process of its own."""
    program = _PROGRAM.format(imports=IMPORTS[peer])
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    output = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    taken, memory = output.split()
    return float(taken), float(memory)


def measure(
    peers: list[str], *, rounds: int, show: Callable[[int], None] = lambda done: None
) -> dict[str, Footprint]:
    """Return the footprint of each peer."""
    times: dict[str, list[tuple[float, float]]] = {peer: [] for peer in peers}
    for peer in peers:
        _import(peer)
    for number in range(rounds):
        show(number)
        for peer in peers:
            times[peer].append(_import(peer))
    return {
        peer: Footprint(
            statistics.median(taken for taken, _ in all_times),
            statistics.median(memory for _, memory in all_times),
            len(dependencies(peer)),
        )
        for peer, all_times in times.items()
    }
