"""The application's logger."""

from __future__ import annotations

import io
import logging
import sys
from dataclasses import dataclass

import flask.logging
import pytest

from asyncflask.logging import (
    create_logger,
    default_handler,
    has_level_handler,
    wsgi_errors_stream,
)


@dataclass
class App:
    """What the logger asks of an application."""

    name: str = "shop.web"
    debug: bool = False


@pytest.fixture(autouse=True)
def _fresh_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers are new in each test, without the handlers of pytest."""
    manager = logging.Manager(logging.RootLogger(logging.WARNING))
    monkeypatch.setattr(logging, "getLogger", lambda name="": manager.getLogger(name))


def test_the_logger_has_the_name_of_the_application() -> None:
    """The logger is the one that ``logging.getLogger`` gives for the application's name."""
    logger = create_logger(App())
    assert logger is logging.getLogger(App.name)
    assert logger.level == logging.NOTSET
    assert logger.handlers == [default_handler]


def test_debug_mode_logs_everything() -> None:
    """In debug mode the level becomes DEBUG, unless one was set."""
    assert create_logger(App(debug=True)).level == logging.DEBUG


def test_a_level_that_was_set_stays() -> None:
    """Debug mode does not touch a level that the user chose."""
    logging.getLogger(App.name).setLevel(logging.ERROR)
    assert create_logger(App(debug=True)).level == logging.ERROR


def test_no_second_handler_is_added() -> None:
    """Where logging is configured already, the default handler stays away."""
    handler = logging.NullHandler()
    logging.getLogger("shop").addHandler(handler)
    assert create_logger(App()).handlers == []


def test_messages_go_to_standard_error_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sys.stderr`` is looked up when a message is written, in Flask's format."""
    logger = create_logger(App(debug=True))
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logger.warning("disk is %s", "full")
    assert stream.getvalue().endswith("] WARNING in test_logging: disk is full\n")
    wsgi_errors_stream.write("end\n")
    assert stream.getvalue().endswith("end\n")


def test_the_format_is_flasks() -> None:
    """The default handler formats a record as Flask's does."""
    record = logging.LogRecord("app", logging.INFO, "shop.py", 3, "sold %d", (2,), None)
    assert default_handler.format(record) == flask.logging.default_handler.format(record)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
@pytest.mark.parametrize("handler_level", [logging.NOTSET, logging.WARNING])
@pytest.mark.parametrize("on_parent", [False, True])
@pytest.mark.parametrize("propagate", [False, True])
def test_has_level_handler_agrees_with_flask(
    level: int, handler_level: int, on_parent: bool, propagate: bool
) -> None:
    """A handler counts if its level is low enough and messages reach it."""
    parent = logging.getLogger(App.name)
    child = logging.getLogger(f"{App.name}.child")
    child.propagate = propagate
    child.setLevel(level)
    handler = logging.NullHandler()
    handler.setLevel(handler_level)
    (parent if on_parent else child).addHandler(handler)
    expected = handler_level <= level and (propagate or not on_parent)
    assert has_level_handler(child) is expected
    assert flask.logging.has_level_handler(child) is expected
