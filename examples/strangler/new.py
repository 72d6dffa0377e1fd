"""What has moved. All other paths are the old site's."""

from __future__ import annotations

from asyncflask import Flask, Response, flash, get_flashed_messages, redirect, request, session
from asyncflask.wsgi import WSGIAdapter
from examples.strangler import old

app = Flask(__name__, static_folder=None)
# One key: both sites read the same session cookie, and what the other one has flashed.
app.secret_key = old.app.secret_key


@app.get("/cart")
async def cart() -> dict[str, object]:
    """Show the cart of whoever has logged in on the old site."""
    return {
        "user": session.get("user"),
        "items": session.get("items", []),
        "messages": get_flashed_messages(),
    }


@app.post("/cart")
async def add() -> Response:
    """Put something into the cart, and go to a page of the old site."""
    form = await request.form
    session["items"] = [*session.get("items", []), form["item"]]
    flash(f"{form['item']} is in your cart.")
    return redirect("/")


app.mount("/", WSGIAdapter(old.app))
