"""The JSON API, and the live list.

The views are ``async def``; the store blocks, so they call it in a worker thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from asyncflask import (
    Blueprint,
    Response,
    ServerSentEvent,
    abort,
    current_app,
    request,
    stream_events,
    url_for,
)
from examples.board.live import Live
from examples.board.store import InvalidNote, Note, Store

bp = Blueprint("api", __name__, url_prefix="/api")


def store() -> Store:
    """Return the store of the current application."""
    kept: Store = current_app.extensions["board.store"]
    return kept


@bp.get("/notes")
async def notes() -> list[Note]:
    """List notes, the newest first. A list of dataclasses becomes JSON by itself."""
    limit = request.args.get("limit", default=20, type=int)
    return await current_app.run_sync(
        store().notes, limit=max(1, min(limit, 100)), color=request.args.get("color")
    )


@bp.post("/notes")
async def add() -> tuple[Note, int, dict[str, str]]:
    """Pin a note: ``{"text": ..., "author": ..., "color": ...}``; only the text is needed."""
    data = await request.get_json()
    if not isinstance(data, dict) or "text" not in data:
        abort(422, "Send an object with a 'text'.")
    try:
        note = Note(
            text=_text(data, "text"),
            author=_text(data, "author", "Someone"),
            color=_text(data, "color", "sun"),
        )
    except InvalidNote as error:
        abort(422, str(error))
    note = await current_app.run_sync(store().add, note)
    live().publish(note)
    return note, 201, {"Location": url_for(".note", note_id=note.id)}


@bp.get("/notes/<int:note_id>")
async def note(note_id: int) -> Note:
    """Show one note."""
    found = await current_app.run_sync(store().note, note_id)
    if found is None:
        abort(404, f"There is no note {note_id}.")
    return found


@bp.get("/live")
async def live_notes() -> Response:
    """Send new notes as they come, as server-sent events, until the browser or the server leaves.

    A browser that was cut off connects again by itself and tells which note it saw last, so none
    is missed.
    """
    return stream_events(events(request.headers.get("Last-Event-ID", default=None, type=int)))


async def events(last_seen: int | None) -> AsyncIterator[ServerSentEvent]:
    """Make the events: what was missed, then what comes. The data is the note, in JSON."""
    yield ServerSentEvent(retry=500)
    with live().listen() as queue:
        if last_seen is not None:
            missed = await current_app.run_sync(store().notes, after=last_seen)
            for note in reversed(missed):
                last_seen = note.id
                yield ServerSentEvent(note, id=note.id)
        while True:
            note = await queue.get()
            if last_seen is None or note.id > last_seen:
                yield ServerSentEvent(note, id=note.id)


def live() -> Live:
    """Return what tells about new notes."""
    shared: Live = current_app.extensions["board.live"]
    return shared


def _text(data: dict[str, Any], key: str, default: str = "") -> str:
    text = data.get(key, default)
    if not isinstance(text, str):
        raise InvalidNote(f"{key!r} has to be text.")
    return text.strip()
