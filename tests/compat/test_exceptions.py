"""HTTP exceptions that make their responses in a way of their own."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RoutingException

from asyncflask.compat.flask import Flask, redirect


class See(HTTPException, RoutingException):
    """Leads on, without what ``HTTPException.__init__`` sets."""

    code = 303

    def __init__(self, url: str) -> None:
        self.url = url

    def get_response(self, environ: Any = None, scope: Any = None) -> Any:
        return redirect(self.url, self.code)


@pytest.mark.parametrize("place", ["view", "preprocessor"])
def test_an_exception_may_make_its_own_response(place: str) -> None:
    """Its ``get_response`` is asked for it, as in Flask, wherever it was raised."""
    app = Flask(__name__)

    def fail(*_: Any) -> NoReturn:
        raise See("/there")

    app.get("/")(fail if place == "view" else lambda: "not reached")
    if place == "preprocessor":
        app.url_value_preprocessor(fail)
    response = app.test_client().get("/")
    assert (response.status_code, response.headers["Location"]) == (303, "/there")
