"""The two faces: ``asyncflask`` for `async def` code and ``asyncflask.sync`` for `def` code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mypy import api as mypy

import asyncflask
import asyncflask.sync


def public(module: Any) -> set[str]:
    """The names that a module hands out: not its own modules, nor what is for type checkers."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__package__", None) is None
    } - {"annotations", "TYPE_CHECKING", "Any", "cast"}


def test_both_have_the_same_names() -> None:
    """And no others."""
    assert public(asyncflask.sync) == public(asyncflask)
    assert asyncflask.sync.json is asyncflask.json


@pytest.mark.parametrize("name", sorted(public(asyncflask)))
def test_the_objects_are_the_same(name: str) -> None:
    """Only a type checker sees a difference."""
    ours: Any = getattr(asyncflask.sync, name)
    assert ours is getattr(asyncflask, name)


def test_a_view_written_with_it() -> None:
    """Reads its form as a value."""
    from asyncflask.sync import Flask, render_template_string, request

    app = Flask(__name__, static_folder=None)

    @app.post("/")
    def index() -> str:
        return render_template_string("Hello {{ name }}!", name=request.form["name"])

    assert app.sync_test_client().post("/", data={"name": "Ann"}).text == "Hello Ann!"


TYPED = """
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

import msgspec
from werkzeug.datastructures import ImmutableMultiDict

import asyncflask
import asyncflask.sync
from asyncflask import Request, Response
from asyncflask.typing import ResponseReturnValue


async def on_loop() -> Response:
    form: ImmutableMultiDict[str, str] = await asyncflask.request.form
    assert_type(form["x"], str)
    assert_type(await asyncflask.request.data, bytes)
    assert_type(await asyncflask.render_template("x.html"), str)
    assert_type(await asyncflask.render_template_string("x"), str)
    assert_type(asyncflask.request.path, str)
    async for chunk in asyncflask.request.body:
        assert_type(chunk, bytes)
    assert_type(await asyncflask.websocket.receive(), str | bytes)
    assert_type(await asyncflask.websocket.close(), None)
    async for message in asyncflask.websocket:
        assert_type(message, str | bytes)
    return await asyncflask.send_file("x")


def in_worker() -> asyncflask.sync.Response:
    assert_type(asyncflask.sync.request.form, ImmutableMultiDict[str, str])
    assert_type(asyncflask.sync.request.data, bytes)
    assert_type(asyncflask.sync.websocket.receive(), str | bytes)
    for message in asyncflask.sync.websocket:
        assert_type(message, str | bytes)
    assert_type(asyncflask.sync.render_template("x.html"), str)
    assert_type(asyncflask.sync.render_template_string("x"), str)
    assert_type(asyncflask.sync.stream_template("x.html"), Iterator[str])
    assert_type(asyncflask.sync.request.path, str)
    assert_type(asyncflask.sync.send_from_directory("folder", "x"), asyncflask.sync.Response)
    asyncflask.sync.send_file("x", mimetipe="text/plain")  # MISSPELT
    return asyncflask.sync.send_file("x")


@dataclass
class Point:
    x: int


class Pixel(msgspec.Struct):
    x: int


class Cell(TypedDict):
    x: int


def values(kind: int) -> ResponseReturnValue:
    if kind == 1:
        return Point(1)
    if kind == 2:
        return Pixel(1), 201
    if kind == 3:
        return Cell(x=1), {"X-Kind": "cell"}
    return object()  # NO VALUE


async def forgets() -> None:
    if asyncflask.request.form:  # FORGOTTEN
        asyncflask.request.get_json()  # UNUSED
"""


def test_type_checkers_see_both_faces(tmp_path: Path) -> None:
    """mypy, with the two options that find a forgotten `await`; and what views may return."""
    file = tmp_path / "typed.py"
    file.write_text(TYPED)
    options = [
        "--strict",
        "--enable-error-code=truthy-bool",
        "--enable-error-code=unused-awaitable",
    ]
    out, _, _ = mypy.run([*options, "--config-file=", str(file)])
    errors = [line for line in out.splitlines() if ": error:" in line]
    lines = TYPED.splitlines()
    found = [lines[int(error.split(":")[1]) - 1].partition("# ")[2] for error in errors]
    assert found == ["MISSPELT", "NO VALUE", "FORGOTTEN", "UNUSED"], out
