"""The site as it was. Of the routes that have moved, nothing but their names is left here."""

from __future__ import annotations

from flask import Flask, Response, flash, get_flashed_messages, redirect, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

app = Flask(__name__)
app.secret_key = "change me"


@app.get("/")
def index() -> str:
    """Say hello, and show what was flashed."""
    messages = " ".join(map(str, get_flashed_messages()))
    return f"Hello {session.get('user', 'stranger')}! {messages}"


@app.post("/login")
def login() -> BaseResponse:
    """Log in, and go to a page that has moved already."""
    session["user"] = request.form["user"]
    flash("Welcome back.")
    return redirect(url_for("cart"))


@app.get("/report")
def report() -> Response:
    """Send something long, piece by piece."""
    return Response((f"{line}\n" for line in range(1000)), mimetype="text/plain")


# Moved. The rule stays, so that `url_for` goes on working here; the new site answers it.
app.add_url_rule("/cart", "cart", build_only=True)
