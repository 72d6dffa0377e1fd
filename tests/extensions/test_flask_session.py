"""Flask-Session: sessions kept on the server, in files and in Redis."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cachelib import FileSystemCache
from flask import Flask, session
from flask_session import Session
from redis import Redis

from tests.ecosystem.serving import serving
from tests.programs import wait_for

pytestmark = pytest.mark.neighbour("Flask-Session", kind="extension")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A server of its own."""
    server = shutil.which("redis-server")
    assert server, "redis-server is needed: apt-get install redis-server"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [server, "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    with Redis(port=port) as client:

        def is_up() -> bool:
            try:
                return bool(client.ping())
            except ConnectionError:
                return False
            except Exception as exc:  # Redis has errors of its own
                return "Connection" not in type(exc).__name__ and False

        wait_for(is_up)
        yield client
    process.terminate()
    process.wait()


@pytest.fixture(params=["cachelib", "redis"])
def app(request: Any, tmp_path: Path) -> Flask:
    """A counter in views of both kinds."""
    app = Flask(__name__)
    if request.param == "redis":
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=request.getfixturevalue("redis"))
    else:
        app.config.update(
            SESSION_TYPE="cachelib", SESSION_CACHELIB=FileSystemCache(str(tmp_path / "sessions"))
        )
    Session(app)

    @app.get("/def")
    def in_def() -> str:
        session["seen"] = session.get("seen", 0) + 1
        return str(session["seen"])

    @app.get("/async")
    async def in_async() -> str:
        await asyncio.sleep(0)
        session["seen"] = session.get("seen", 0) + 1
        return str(session["seen"])

    @app.get("/end")
    async def end() -> str:
        session.clear()
        return ""

    return app


async def test_each_client_has_a_session(app: Flask) -> None:
    """Twenty clients at once; views of both kinds share it; the cookie is only a name for it."""
    with serving(app) as url:

        async def use() -> list[str]:
            async with httpx.AsyncClient(base_url=url, timeout=30) as client:
                paths = ["/def", "/async"] * 3
                return [(await client.get(path)).text for path in paths]

        seen = await asyncio.gather(*(use() for _ in range(20)))
    assert seen == [["1", "2", "3", "4", "5", "6"]] * 20


async def test_a_session_ends(app: Flask) -> None:
    """When it was cleared, it is gone from the store."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            await client.get("/async")
            name = client.cookies["session"]
            assert len(name) < 100
            await client.get("/end")
            client.cookies.set("session", name)
            assert (await client.get("/def")).text == "1"


class WatchedCache(FileSystemCache):
    """It notes whether it holds up an event loop."""

    def __init__(self, folder: Path) -> None:
        self.calls: set[tuple[str, bool]] = set()
        super().__init__(str(folder))
        self.calls.clear()

    def get(self, key: str) -> Any:
        """Read a session."""
        self._note("get")
        return super().get(key)

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Write a session."""
        self._note("set")
        return super().set(key, value, *args, **kwargs)

    def _note(self, name: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.calls.add((name, False))
        else:
            self.calls.add((name, True))


async def test_the_store_is_asked_in_a_worker(tmp_path: Path) -> None:
    """For ``async def`` views too: a slow store does not hold up the event loop."""
    app = Flask(__name__)
    store = WatchedCache(tmp_path / "sessions")
    app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=store)
    Session(app)

    @app.get("/")
    async def count() -> str:
        session["seen"] = session.get("seen", 0) + 1
        return str(session["seen"])

    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert [(await client.get("/")).text for _ in "abc"] == ["1", "2", "3"]
    assert store.calls == {("get", False), ("set", False)}
