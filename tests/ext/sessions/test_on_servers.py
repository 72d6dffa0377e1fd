"""Server-side sessions with two real servers, one Redis, and browsers that ask both at once."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

from asyncflask.testing._httpx import httpx
from tests.programs import Program

PROGRAM = """
import os

from asyncflask import Flask, session
from asyncflask.ext.sessions import RedisStore, ServerSideSessionInterface

app = Flask(__name__)
ServerSideSessionInterface(RedisStore(os.environ["REDIS"])).init_app(app)


@app.get("/set/<key>")
async def write(key):
    session[key] = os.getpid()
    return "written"


@app.get("/def/<key>")
def write_in_worker(key):
    session[key] = os.getpid()
    return "written"


@app.get("/")
async def index():
    return dict(session)


@app.get("/logout")
def log_out():
    session.clear()
    return "out"


if __name__ == "__main__":
    app.run(port=0)
"""


async def test_processes_share_sessions_and_lose_no_change(
    tmp_path: Path, redis_server: Any
) -> None:
    """Forty requests of one browser at once, by `def` and `async def` views in two processes."""
    programs = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "app.py").write_text(PROGRAM)
        programs.append(Program(["app.py"], folder, REDIS=redis_server.url))
    try:
        await ask([program.url for program in programs])
    finally:
        for program in programs:
            program.signal(signal.SIGINT)


async def ask(urls: list[str]) -> None:
    async with httpx.AsyncClient() as client:
        await client.get(f"{urls[0]}/set/first")
        stolen = f"session={client.cookies['session']}"
        paths = [f"/{kind}/{kind}{number}" for kind in ("set", "def") for number in range(20)]
        responses = await asyncio.gather(
            *(client.get(f"{urls[number % 2]}{path}") for number, path in enumerate(paths))
        )
        assert {response.status_code for response in responses} == {200}
        kept = (await client.get(f"{urls[0]}/")).json()
        assert kept.keys() == {"first"} | {path.rpartition("/")[2] for path in paths}
        assert len(set(kept.values())) == 2  # processes
        await client.get(f"{urls[1]}/logout")
        assert "session" not in client.cookies
        assert (await client.get(f"{urls[0]}/", headers={"Cookie": stolen})).json() == {}
