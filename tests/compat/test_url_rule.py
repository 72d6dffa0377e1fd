"""The rule of a request, which Werkzeug's test client and extensions' own tests make by hand."""

from __future__ import annotations

from asyncflask.compat.flask import Flask, request
from asyncflask.compat.flask.app import Rule


def test_the_rule_can_be_set() -> None:
    """The endpoint is then the rule's, and there is none without a rule."""
    app = Flask("shop")
    assert app.url_rule_class is Rule
    with app.test_request_context("/"):
        assert (request.url_rule, request.endpoint) == (None, None)
        rule = Rule("/teas", endpoint="teas.view")
        request.url_rule = rule
        assert request.url_rule is rule
        assert (request.endpoint, request.blueprint) == ("teas.view", "teas")
        request.url_rule = None
        assert (request.url_rule, request.endpoint) == (None, None)


def test_a_client_may_leave_the_first_slash_out() -> None:
    """As in Flask."""
    app = Flask("shop")
    app.get("/teas/<name>")(lambda name: f"{name} {request.path}")
    client = app.test_client()
    assert client.get("teas/green").text == "green /teas/green"
