"""What the tests of the board share: an application with an empty store, and clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from asyncflask import Flask
from asyncflask.testing import FlaskClient, SyncClient
from examples.board import create_app
from examples.board.store import Store


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """An application whose board has one note."""
    app = create_app({"TESTING": True, "DATA": str(tmp_path)})
    store: Store = app.extensions["board.store"]
    for note in store.notes()[:-1]:
        store.remove(note.id)
    return app


@pytest.fixture
def client(app: Flask) -> Iterator[SyncClient]:
    """A client for ``def`` tests."""
    with app.sync_test_client() as client:
        yield client


@pytest.fixture
async def api(app: Flask) -> AsyncIterator[FlaskClient]:
    """A client for ``async def`` tests."""
    async with app.test_client() as client:
        yield client
