"""Flask-Compress: bodies that are complete, streams, and files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask, send_file
from flask_compress import Compress

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Compress", kind="extension")

TEXT = "all the same " * 1000


def pieces() -> Iterator[str]:
    """The text in pieces."""
    for _ in range(1000):
        yield TEXT[:13]


async def async_pieces() -> AsyncIterator[str]:
    """The text in pieces."""
    for piece in pieces():
        yield piece


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """Bodies of each kind, by views of both kinds."""
    app = Flask(__name__)
    Compress(app)
    file = tmp_path / "text.txt"
    file.write_text(TEXT)

    @app.get("/def")
    def in_def() -> str:
        return TEXT

    @app.get("/async")
    async def in_async() -> str:
        return TEXT

    @app.get("/stream/def")
    def stream_def() -> Any:
        return pieces(), {"Content-Type": "text/plain"}

    @app.get("/stream/async")
    async def stream_async() -> Any:
        return async_pieces(), {"Content-Type": "text/plain"}

    @app.get("/file/def")
    def file_def() -> Any:
        return send_file(file)

    @app.get("/file/async")
    async def file_async() -> Any:
        return await send_file(file)

    return app


PATHS = ["/def", "/async", "/file/def", "/file/async"]
STREAMS = ["/stream/def", "/stream/async"]


@pytest.mark.parametrize(
    ("path", "coding"),
    # Streams are not compressed with gzip: the extension leaves it out.
    [(path, coding) for path in PATHS for coding in ("gzip", "deflate")]
    + [(path, "deflate") for path in STREAMS],
)
async def test_bodies_are_compressed(app: Flask, path: str, coding: str) -> None:
    """Ten at once; who cannot take it gets the text itself."""
    with serving(app) as url:
        headers = {"Accept-Encoding": coding}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
            responses = await asyncio.gather(*(client.get(path) for _ in range(10)))
            plain = await client.get(path, headers={"Accept-Encoding": "identity"})
    for response in responses:
        assert response.headers["Content-Encoding"] == coding
        assert response.text == TEXT
        assert response.num_bytes_downloaded < len(TEXT) / 4
        assert "Accept-Encoding" in response.headers["Vary"]
    assert plain.text == TEXT
    assert "Content-Encoding" not in plain.headers
