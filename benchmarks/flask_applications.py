"""Applications made for Flask: on Flask under gunicorn, and unmodified on asyncflask.

``python -m benchmarks.flask_applications`` serves both side by side, with one worker on one core,
as :mod:`benchmarks.over_the_wire` does, and prints requests per second and their ratio.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from typing import Any

from benchmarks import over_the_wire
from benchmarks.scenarios import JSON, Request, Scenario

PEERS = ["flask_compat", "flask_gunicorn"]


def hooks() -> Any:
    """Return an application with three functions before the view and two after it."""
    from flask import Flask, g, request

    app = Flask(__name__, static_folder=None)
    app.secret_key = "benchmark"

    @app.before_request
    def start() -> None:
        g.steps = 1

    @app.before_request
    def look() -> None:
        g.agent = request.headers.get("User-Agent")

    @app.before_request
    def count() -> None:
        g.steps += 1

    @app.after_request
    def first(response: Any) -> Any:
        response.headers["X-Steps"] = str(g.steps)
        return response

    @app.after_request
    def second(response: Any) -> Any:
        response.headers["X-Frame-Options"] = "DENY"
        return response

    @app.get("/")
    def view() -> dict[str, Any]:
        return {"message": "Hello, World!"}

    return app


def login() -> Any:
    """Return the same with Flask-Login, which is asked for the user."""
    from flask_login import LoginManager, current_user

    app = hooks()
    manager = LoginManager(app)
    manager.user_loader(lambda _: None)

    @app.get("/user")
    def user() -> dict[str, Any]:
        return {"message": "Hello, World!", "known": current_user.is_authenticated}

    return app


SCENARIOS = [
    Scenario("hooks", "def hooks", (Request("/", {"message": "Hello, World!"}),), (JSON,)),
    Scenario(
        "login",
        "Flask-Login",
        (Request("/user", {"message": "Hello, World!", "known": False}),),
        (JSON,),
    ),
]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the status to exit with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flask_applications")
    parser.add_argument("--rounds", type=int, default=11, help="how many turns each has")
    options = parser.parse_args(arguments)
    reason = over_the_wire.missing()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 1
    for scenario in SCENARIOS:
        if scenario.name == "login" and importlib.util.find_spec("flask_login") is None:
            print("Flask-Login is not installed, so there is no measurement with it.")
            continue
        rates = over_the_wire.measure(scenario, PEERS, rounds=options.rounds)
        ours, theirs = (rates[peer] for peer in PEERS)
        print(
            f"{scenario.title}: asyncflask {ours:,.0f}/s, Flask {theirs:,.0f}/s, "
            f"ratio {ours / theirs:.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
