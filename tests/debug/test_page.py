"""The debug page and its text."""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from asyncflask.debug import page, render_error_page, render_error_text, versions

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/users/<1>",
    "query_string": b"page=2&q=<b>",
    "scheme": "https",
    "http_version": "1.1",
    "root_path": "/shop",
    "client": ("127.0.0.1", 5123),
    "path_params": {"user_id": 1},
    "headers": [
        (b"host", b"localhost:5000"),
        (b"user-agent", b"<script>alert(1)</script>"),
        (b"cookie", b"session=abc"),
        (b"authorization", b"Basic eDp5"),
        (b"x-api-key", b"key-1"),
        (b"x-csrf-token", b"token-1"),
    ],
}


class Checker(HTMLParser):
    """Checks that tags are closed in order, and collects what was seen."""

    void = ("meta", "br", "link", "img")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.opened: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if ("open", None) in attrs:
            self.opened.append(dict(attrs).get("class") or "")
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def caught(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise RuntimeError("nothing was raised")


def fail() -> None:
    greeting = "<img src=x onerror=alert(1)>"
    try:
        raise KeyError(greeting)
    except KeyError as error:
        raise ValueError("<b>bold</b> & co") from error


def test_page_is_well_formed_and_escaped() -> None:
    """Everything that comes from the program or the client is escaped."""
    html = render_error_page(caught(fail), SCOPE)
    checked = Checker(html)
    assert not checked.open
    assert html.startswith("<!doctype html>")
    assert {"script", "img", "b", "link", "iframe", "form"}.isdisjoint(checked.tags)
    assert "<b>bold</b> & co" in "".join(checked.text)


def test_page_shows_what_is_needed() -> None:
    """Exception, chain, source, values, request and environment are on the page."""
    text = "".join(Checker(render_error_page(caught(fail), SCOPE)).text)
    for part in (
        "ValueError",
        "Caused by",
        "KeyError",
        "test_page.py",
        "greeting",
        "POST /users/<1>",
        "page=2&q=<b>",
        "{'user_id': 1}",
        "127.0.0.1, port 5123",
        "https, HTTP/1.1",
        "/shop",
        sys.version.partition(" ")[0],
        "thread MainThread",
    ):
        assert part in text, part


def test_secret_headers_are_masked() -> None:
    """Cookies and credentials are not shown."""
    html = render_error_page(caught(fail), SCOPE)
    for secret in ("session=abc", "eDp5", "key-1", "token-1"):
        assert secret not in html
    assert html.count("(hidden)") == 4


def test_only_the_culprit_is_open() -> None:
    """The frame to look at, with its values, is unfolded for each exception of the chain."""
    checked = Checker(render_error_page(caught(fail), SCOPE))
    assert checked.opened == ["frame", "variables"] * 2


def test_culprit_inside_a_library_is_unfolded() -> None:
    """Without code of the developer's own, the library frame is unfolded with its fold."""
    import json

    error = caught(lambda: json.loads("{"))
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next.tb_next  # type: ignore[union-attr]  # below
    checked = Checker(render_error_page(error))
    assert checked.opened[:2] == ["library", "frame"]


def test_page_needs_nothing_from_elsewhere() -> None:
    """No script, font or image; the page forbids them to itself; it has a dark form."""
    html = render_error_page(caught(fail), SCOPE)
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html
    checked = Checker(html)
    assert checked.attributes.isdisjoint({"src", "href", "srcset", "style", "onclick"})
    assert not re.search(r"url\(|@import", html)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no frames"),
        ExceptionGroup("group", [ValueError("one"), KeyError("two")]),
        caught(lambda: compile("def f(:", "<typed>", "exec")),
        SyntaxError("bare"),
        asyncio.CancelledError(),
    ],
)
def test_page_for_any_exception(error: BaseException) -> None:
    """Groups, syntax errors and exceptions without frames have a page too."""
    html = render_error_page(error)
    assert not Checker(html).open
    assert type(error).__name__ in html
    assert "group" not in str(error) or "1 of 2" in html


def test_long_traceback_is_told_to_be_cut() -> None:
    """Endless recursion gives a page of bounded size."""

    def deep(n: int) -> int:
        return deep(n + 1)

    html = render_error_page(caught(lambda: deep(0)), SCOPE)
    assert "frames are not shown" in html
    assert len(html) < 400_000


def test_route_facts() -> None:
    """The rule and the endpoint of the request are shown, for foreign routes their path."""

    class Rule:
        rule = "/users/<int:user_id>"
        endpoint = "users.show"

    class Route:
        rule = Rule()

    class Foreign:
        path = "/foreign/{name}"

    own = render_error_page(ValueError(), SCOPE | {"route": Route()})
    assert "/users/&lt;int:user_id&gt;" in own
    assert "users.show" in own
    assert "/foreign/{name}" in render_error_page(ValueError(), SCOPE | {"route": Foreign()})


async def test_task_name() -> None:
    """On the event loop the page names the task."""
    current = asyncio.current_task()
    assert current is not None
    current.set_name("the-request")
    assert "task the-request on the event loop" in render_error_page(ValueError())


def test_websocket_scope() -> None:
    """A scope without method, headers or client is described as far as it goes."""
    html = render_error_page(ValueError(), {"type": "websocket", "path": "/chat"})
    assert "websocket /chat" in html


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot be printed")


def test_exception_that_cannot_be_printed() -> None:
    """An exception whose own message fails has a page all the same."""
    html = render_error_page(Unprintable(), SCOPE)
    assert "Unprintable" in html
    assert not Checker(html).open


def test_failing_page_falls_back_to_the_plain_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the page cannot be rendered, the traceback is shown without it, escaped."""
    html = render_error_page(caught(fail), {"type": "http", "headers": None})
    assert html.startswith("<!doctype html><title>Error</title><pre>")
    assert "&lt;b&gt;bold&lt;/b&gt;" in html


def test_text() -> None:
    """The text form is Python's traceback below the request."""
    text = render_error_text(caught(fail), SCOPE)
    assert text.startswith("POST /users/<1>\n\nTraceback (most recent call last):\n")
    assert text.endswith("ValueError: <b>bold</b> & co\n")
    assert render_error_text(ValueError("x")) == "ValueError: x\n"


def test_text_is_bounded() -> None:
    """A message of a megabyte does not become a page of a megabyte."""
    assert len(render_error_text(ValueError("x" * 10**6))) < page.MAX_TEXT + 10


def test_text_never_raises() -> None:
    """What cannot be shown is named."""

    class Odd(Exception):
        @property
        def __cause__(self) -> Any:  # type: ignore[override]
            raise RuntimeError

    assert render_error_text(ValueError("x"), {"path": Odd}) != ""
    assert "cannot be shown" in render_error_text(Odd())


def test_versions() -> None:
    """Versions of what matters are named."""
    names = ["asyncflask", "Python", "Starlette", "uvicorn", "Werkzeug", "Flask", "Quart"]
    assert list(versions()) == names
    assert versions()["Starlette"] == importlib.metadata.version("starlette")


def test_versions_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed has none."""
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name == "Flask":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert "Flask" not in versions()
