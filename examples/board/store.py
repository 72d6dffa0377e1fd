"""Where notes are kept: SQLite for the words, files for the pictures."""

from __future__ import annotations

import dataclasses
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

COLORS = ("sun", "sea", "rose", "leaf")
MAX_TEXT = 500
MAX_AUTHOR = 40

_PICTURES = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif"}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    color TEXT NOT NULL,
    picture TEXT,
    created TEXT NOT NULL
)
"""


class InvalidNote(ValueError):
    """A note that cannot be kept; the message is for the person who wrote it."""


@dataclass(frozen=True)
class Note:
    """One note on the board. An ``id`` of 0 means that it was not kept yet."""

    text: str
    author: str = "Someone"
    color: str = "sun"
    picture: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    id: int = 0

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidNote("A note needs some text.")
        if len(self.text) > MAX_TEXT:
            raise InvalidNote(f"A note has at most {MAX_TEXT} characters.")
        if len(self.author) > MAX_AUTHOR:
            raise InvalidNote(f"A name has at most {MAX_AUTHOR} characters.")
        if self.color not in COLORS:
            raise InvalidNote(f"A note is one of: {', '.join(COLORS)}.")


class Store:
    """All notes, in a directory. Every method opens its own connection, so threads may share it."""

    def __init__(self, directory: Path) -> None:
        self.pictures = directory / "pictures"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self._database = directory / "notes.sqlite3"
        with self._connect() as connection:
            connection.execute(_SCHEMA)

    def notes(self, *, limit: int = 50, after: int = 0, color: str | None = None) -> list[Note]:
        """Return notes, the newest first.

        :param limit: how many at most.
        :param after: only those with a greater id.
        :param color: only those of this color.
        """
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT * FROM notes WHERE id > ? AND (? IS NULL OR color = ?) "
                "ORDER BY id DESC LIMIT ?",
                (after, color, color, limit),
            ).fetchall()
        return [_note(row) for row in rows]

    def note(self, note_id: int) -> Note | None:
        """Return one note, or None."""
        with self._connect() as connection:
            row = connection.execute("SELECT * FROM notes WHERE id = ?", (note_id,)).fetchone()
        return None if row is None else _note(row)

    def add(self, note: Note) -> Note:
        """Keep a note and return it with its id."""
        with self._connect() as connection:
            cursor = connection.execute(
                "INSERT INTO notes (text, author, color, picture, created) VALUES (?, ?, ?, ?, ?)",
                (note.text, note.author, note.color, note.picture, note.created.isoformat()),
            )
        return dataclasses.replace(note, id=cursor.lastrowid or 0)

    def remove(self, note_id: int) -> None:
        """Take a note off the board, with its picture."""
        note = self.note(note_id)
        with self._connect() as connection:
            connection.execute("DELETE FROM notes WHERE id = ?", (note_id,))
        if note is not None and note.picture is not None:
            (self.pictures / note.picture).unlink(missing_ok=True)

    def add_picture(self, content: bytes) -> str:
        """Keep a picture and return its name, which is ours: a visitor's could be anything.

        :raises InvalidNote: it is not a picture, whatever its name says.
        """
        for start, extension in _PICTURES.items():
            if content.startswith(start):
                name = secrets.token_hex(8) + extension
                (self.pictures / name).write_bytes(content)
                return name
        raise InvalidNote("That is not a PNG, JPEG or GIF picture.")

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._database)
        connection.row_factory = sqlite3.Row
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def _note(row: sqlite3.Row) -> Note:
    return Note(**{**dict(row), "created": datetime.fromisoformat(row["created"])})
