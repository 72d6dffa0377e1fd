"""What programs use."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest

from asyncflask.testing import FlaskClient


async def test_notes_are_listed(api: FlaskClient) -> None:
    """The newest note comes first, with its time in ISO 8601."""
    await api.post("/api/notes", json={"text": "second"})
    first, second = (await api.get("/api/notes")).json()
    assert (first["text"], first["author"], first["color"]) == ("second", "Someone", "sun")
    assert datetime.fromisoformat(first["created"]) >= datetime.fromisoformat(second["created"])


async def test_the_list_can_be_narrowed(api: FlaskClient) -> None:
    """The query says how many notes and of which color."""
    await api.post("/api/notes", json={"text": "blue", "color": "sea"})
    await api.post("/api/notes", json={"text": "green", "color": "leaf"})
    assert len((await api.get("/api/notes?limit=1")).json()) == 1
    assert len((await api.get("/api/notes?limit=0")).json()) == 1
    assert len((await api.get("/api/notes?limit=many")).json()) == 3
    (note,) = (await api.get("/api/notes?color=sea")).json()
    assert note["text"] == "blue"


async def test_a_note_is_pinned(api: FlaskClient) -> None:
    """The answer is the note, and says where it is."""
    response = await api.post("/api/notes", json={"text": " hi ", "author": "Ada", "color": "sea"})
    assert response.status_code == 201
    note = response.json()
    assert (note["text"], note["author"], note["color"]) == ("hi", "Ada", "sea")
    assert response.headers["Location"] == f"/api/notes/{note['id']}"
    assert (await api.get(response.headers["Location"])).json() == note


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "Send an object with a 'text'."),
        (["text"], "Send an object with a 'text'."),
        ({"text": 1}, "'text' has to be text."),
        ({"text": " "}, "A note needs some text."),
        ({"text": "x", "color": "mud"}, "A note is one of: sun, sea, rose, leaf."),
    ],
)
async def test_a_wrong_note_is_refused(api: FlaskClient, data: Any, reason: str) -> None:
    """The reason stands in the answer."""
    response = await api.post("/api/notes", json=data)
    assert response.status_code == 422
    assert response.json() == {"error": "Unprocessable Entity", "description": reason}


async def test_errors_are_json(api: FlaskClient) -> None:
    """Below /api every error is JSON, whoever raised it."""
    for response, code in [
        (await api.get("/api/notes/99"), 404),
        (await api.get("/api/nothing"), 404),
        (await api.delete("/api/notes"), 405),
        (
            await api.post("/api/notes", content="{", headers={"Content-Type": "application/json"}),
            400,
        ),
        (await api.post("/api/notes", content="text=x"), 415),
    ]:
        assert response.status_code == code
        assert set(response.json()) == {"error", "description"}


async def events(client: FlaskClient, count: int, **headers: str) -> list[dict[str, Any]]:
    """Listen until so many notes have come, and return them."""
    notes: list[dict[str, Any]] = []
    async with asyncio.timeout(5), client.stream("GET", "/api/live", headers=headers) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        lines = response.aiter_lines()
        assert await anext(lines) == "retry: 500"
        while len(notes) < count:
            line = await anext(lines)
            if line.startswith("data: "):
                notes.append(json.loads(line[6:]))
    return notes


async def test_new_notes_arrive_live(api: FlaskClient) -> None:
    """A note from the API and one from the page's form reach whoever listens."""
    listening = asyncio.create_task(events(api, 2))
    await asyncio.sleep(0.1)
    await api.post("/api/notes", json={"text": "from a program"})
    await api.post("/", data={"text": "from a person"})
    assert [note["text"] for note in await listening] == ["from a program", "from a person"]


async def test_missed_notes_are_made_up_for(api: FlaskClient) -> None:
    """Who comes back tells the last note seen and gets those after it, in order."""
    ids = [
        (await api.post("/api/notes", json={"text": text})).json()["id"] for text in ("a", "b", "c")
    ]
    notes = await events(api, 2, **{"Last-Event-ID": str(ids[0])})
    assert [note["text"] for note in notes] == ["b", "c"]
