"""The test client: Werkzeug's, with Flask's additions, beside Flask's own."""

from __future__ import annotations

from io import StringIO
from typing import Any

import flask
import pytest
from werkzeug.test import EnvironBuilder

from asyncflask.compat import flask as ours
from asyncflask.compat.flask import testing

BOTH = pytest.mark.parametrize("framework", [flask, ours], ids=["flask", "asyncflask"])


def make(framework: Any) -> Any:
    """An application of either framework."""
    app = framework.Flask("shop")
    app.secret_key = "secret"

    @app.route("/", methods=["GET", "POST"])
    def view() -> Any:
        request = framework.request
        framework.session["seen"] = framework.session.get("seen", 0) + 1
        framework.g.value = "kept"
        values = request.values.to_dict()
        return [request.method, values, framework.session["seen"], request.remote_addr]

    @app.get("/error")
    def error() -> str:
        app.config["STREAMS"] = [framework.logging.wsgi_errors_stream._get_current_object()]
        raise ZeroDivisionError

    return app


@BOTH
def test_requests_are_described_in_all_ways(framework: Any) -> None:
    """By arguments, a builder, a request of Werkzeug's, an environ."""
    client = make(framework).test_client()
    assert client.get("/?a=1").json == ["GET", {"a": "1"}, 1, "127.0.0.1"]
    assert client.post("/", data={"b": "2"}).json == ["POST", {"b": "2"}, 2, "127.0.0.1"]
    builder = EnvironBuilder("/", method="POST", data={"c": "3"})
    assert client.open(builder).json == ["POST", {"c": "3"}, 3, "127.0.0.1"]
    assert client.open(builder.get_request()).json == ["POST", {"c": "3"}, 4, "127.0.0.1"]
    assert client.open(builder.get_environ()).json == ["POST", {"c": "3"}, 5, "127.0.0.1"]
    assert client.get("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}).json[3] == "192.0.2.1"
    assert client.environ_base["HTTP_USER_AGENT"].startswith("Werkzeug/")


@BOTH
def test_the_last_request_can_be_looked_at_within_a_with_block(framework: Any) -> None:
    """Its form may be read there for the first time."""
    app = make(framework)

    @app.post("/unread")
    def unread() -> str:
        return ""

    client = app.test_client()
    with client:
        client.get("/?a=1")
        assert (framework.request.args["a"], framework.g.value) == ("1", "kept")
        assert framework.session["seen"] == 1
        client.post("/unread", data={"b": "2"})
        assert framework.request.form["b"] == "2"
        with pytest.raises(RuntimeError, match="Cannot nest client invocations"):
            client.__enter__()
    assert not framework.has_request_context()


@BOTH
def test_the_session_can_be_changed(framework: Any) -> None:
    """``session_transaction`` opens and saves it as a request does."""
    client = make(framework).test_client()
    with client.session_transaction() as session:
        session["seen"] = 40
    assert client.get("/").json[2] == 41
    with client.session_transaction("/path", base_url="http://localhost") as session:
        assert session["seen"] == 41


@BOTH
def test_a_session_that_cannot_be_is_told(framework: Any) -> None:
    """Without cookies, without a key, without a session at all."""
    app = make(framework)
    with (
        pytest.raises(TypeError, match="Cookies are disabled"),
        app.test_client(use_cookies=False).session_transaction(),
    ):
        pass
    app.secret_key = None
    with (
        pytest.raises(RuntimeError, match="Session backend did not open a session"),
        app.test_client().session_transaction(),
    ):
        pass


@BOTH
def test_a_null_session_is_not_saved(framework: Any) -> None:
    """It is given to the test, and that is all."""
    app = make(framework)

    class Interface(type(app.session_interface)):  # type: ignore[misc]
        def open_session(self, app: Any, request: Any) -> Any:
            return self.make_null_session(app)

    app.session_interface = Interface()
    client = app.test_client()
    with client.session_transaction() as session:
        assert not session
    assert client.get_cookie("session") is None


@BOTH
def test_errors_reach_the_test_where_they_should(framework: Any) -> None:
    """In tests and in debug mode; the log goes to the stream that a test gives."""
    app = make(framework)
    stream = StringIO()
    assert app.test_client().get("/error", errors_stream=stream).status_code == 500
    assert app.config["STREAMS"] == [stream]
    for setting in ("TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"):
        app = make(framework)
        app.config[setting] = True
        with pytest.raises(ZeroDivisionError):
            app.test_client().get("/error")


@BOTH
def test_a_class_of_ones_own_is_used(framework: Any) -> None:
    """As ``test_client_class``."""

    class Client(framework.testing.FlaskClient):  # type: ignore[misc,name-defined]
        pass

    app = make(framework)
    app.test_client_class = Client
    assert type(app.test_client()) is Client
    assert testing.FlaskCliRunner is not flask.testing.FlaskCliRunner


@BOTH
def test_redirects_send_the_body_again(framework: Any) -> None:
    """A body that nobody has read is still there for the next request."""
    app = make(framework)

    @app.post("/there/")
    def there() -> Any:
        return framework.request.form["a"]

    client = app.test_client()
    response = client.post("/there", data={"a": "b"}, follow_redirects=True)
    assert (response.text, len(response.history)) == ("b", 1)
