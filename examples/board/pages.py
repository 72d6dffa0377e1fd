"""The pages. Their views are ``def``, so they run in a worker thread and may block."""

from __future__ import annotations

from typing import Any

from asyncflask import Blueprint, Response, abort, current_app, flash, redirect, session, url_for
from asyncflask.sync import render_template, request, send_from_directory
from examples.board.live import Live
from examples.board.store import COLORS, InvalidNote, Note, Store

bp = Blueprint("pages", __name__)


def store() -> Store:
    """Return the store of the current application."""
    kept: Store = current_app.extensions["board.store"]
    return kept


@bp.get("/")
def index() -> str:
    """Show the board, with the form for a new note."""
    color = request.args.get("color")
    if color is not None and color not in COLORS:
        abort(404, f"There are no notes of the color {color!r}.")
    return render_template(
        "index.html", notes=store().notes(color=color), colors=COLORS, color=color
    )


@bp.post("/")
def add() -> Response:
    """Pin a note. Its writer's session remembers it, so that they can take it off again."""
    form = request.form
    author = form.get("author", "").strip()
    try:
        note = Note(
            text=form["text"].strip(),
            author=author or "Someone",
            color=form.get("color", COLORS[0]),
        )
        picture = request.files.get("picture")
        if picture is not None and picture.filename:
            note = Note(**{**vars(note), "picture": store().add_picture(picture.read())})
    except InvalidNote as error:
        flash(str(error), "error")
        return redirect(url_for(".index"))
    note = store().add(note)
    live: Live = current_app.extensions["board.live"]
    live.publish(note)
    session["mine"] = [*session.get("mine", []), note.id]
    session["author"] = author
    flash("Your note is on the board.")
    return redirect(url_for(".index"))


@bp.get("/notes/<int:note_id>")
def note(note_id: int) -> str:
    """Show one note."""
    found = store().note(note_id)
    if found is None:
        abort(404, "This note is not on the board any more.")
    return render_template("note.html", note=found)


@bp.post("/notes/<int:note_id>/remove")
def remove(note_id: int) -> Response:
    """Take a note off the board; only its writer may."""
    if note_id not in session.get("mine", []):
        abort(403, "Only the person who wrote a note can take it off.")
    store().remove(note_id)
    session["mine"] = [mine for mine in session["mine"] if mine != note_id]
    flash("The note is off the board.")
    return redirect(url_for(".index"))


@bp.get("/pictures/<name>")
def picture(name: str) -> Any:
    """Send a picture. Names are never used twice, so browsers may keep it for a year."""
    return send_from_directory(store().pictures, name, max_age=31_536_000)
