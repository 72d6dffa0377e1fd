"""An application of the namespace on servers of both kinds, under the one name ``app``."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import httpx
import pytest

from tests.programs import Start, wait_for
from tests.programs import start as start

PROGRAM = """
import asyncflask.compat.installed
from flask import Flask, request

app = Flask(__name__)

@app.post("/def")
def in_def():
    return [request.form["a"], "wsgi.input" in request.environ]

@app.post("/async")
async def in_async():
    return [request.form["a"], "wsgi.input" in request.environ]
"""

SERVERS = {
    "uvicorn": ["-m", "uvicorn", "served:app", "--port", "{port}"],
    "hypercorn": ["-m", "hypercorn", "served:app", "--bind", "127.0.0.1:{port}"],
    "granian": ["-m", "granian", "--interface", "asgi", "served:app", "--port", "{port}"],
    "gunicorn": [
        "-m", "gunicorn", "served:app", "--no-control-socket", "--threads", "2",
        "--bind", "127.0.0.1:{port}",
    ],
}  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_app_is_what_each_server_takes_it_for(start: Start, tmp_path: Path, server: str) -> None:
    """Servers look at it to see which kind it is, on each Python."""
    (tmp_path / "served.py").write_text(PROGRAM)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [argument.format(port=port) for argument in SERVERS[server]]
    program = start(*arguments, PYTHONPATH=os.pathsep.join([str(tmp_path), str(Path.cwd())]))
    transport = httpx.HTTPTransport(retries=8)

    def post(path: str) -> httpx.Response | None:
        try:
            return client.post(path, data={"a": "b"})
        except httpx.ConnectError:
            assert program.process.poll() is None, program.output
            return None

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport) as client:
        for path in ("/def", "/async"):
            response = wait_for(lambda path=path: post(path))
            assert (response.status_code, response.json()) == (200, ["b", True])
