"""Applications are shut down after the test clients that have asked for them."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from asyncflask.compat.flask import Flask
from tests.programs import wait_for


class Served:
    """An application with clients, and whether it was shut down."""

    def __init__(self) -> None:
        app = Flask("shop")
        self.ended = ended = threading.Event()
        self.app = weakref.ref(app)
        app.get("/")(lambda: "Hello")
        app.get("/stream", endpoint="stream")(lambda: iter(["Hello", "World"]))
        app.after_serving(ended.set)
        self.clients = [app.test_client(), app.test_client()]

    def drop_client(self) -> None:
        """Forget one more client."""
        self.clients.pop()
        gc.collect()


def test_an_application_is_shut_down_and_freed_after_its_last_client() -> None:
    """A process that tests many does not keep them all."""
    served = Served()
    assert [client.get("/").text for client in served.clients * 2] == ["Hello"] * 4
    served.drop_client()
    assert served.clients[0].get("/").text == "Hello"
    assert not served.ended.wait(0.1)
    served.drop_client()
    assert served.ended.wait(5)
    wait_for(lambda: (gc.collect(), served.app())[1] is None)


def test_a_response_that_is_not_read_yet_keeps_the_application_up() -> None:
    """It can be read without its client."""
    served = Served()
    response = served.clients[0].get("/stream")
    served.drop_client()
    served.drop_client()
    assert not served.ended.wait(0.1)
    assert response.text == "HelloWorld"
    response.close()
    del response
    gc.collect()
    assert served.ended.wait(5)


def test_an_application_that_a_server_has_served_stays_up() -> None:
    """To the end of the process, whatever clients there were besides."""
    served = Served()
    app = served.app()
    assert app is not None
    served.clients[0].get("/")
    assert run_wsgi_app(app, EnvironBuilder("/").get_environ())[1] == "200 OK"
    served.drop_client()
    served.drop_client()
    assert not served.ended.wait(0.1)


def test_an_application_that_could_not_start_may_start_later() -> None:
    """With the same client."""
    app = Flask("shop")
    reasons = [RuntimeError("no database")]

    @app.before_serving
    def start() -> None:
        if reasons:
            raise reasons.pop()

    client = app.test_client()
    with pytest.raises(RuntimeError, match="no database"):
        client.get("/")
    assert client.get("/").status_code == 404
