"""What is imported when, and from where."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], text=True, capture_output=True, check=True
    ).stdout


def test_httpx_is_imported_with_the_first_client() -> None:
    """Not with the framework, and not to describe a request."""
    output = run(
        "import sys, asyncflask.testing\n"
        "asyncflask.testing.make_scope(asyncflask.Flask('app'), '/')\n"
        "print({'httpx', 'httpx2'} & sys.modules.keys())\n"
        "asyncflask.testing.FlaskClient\n"
        "print(bool({'httpx', 'httpx2'} & sys.modules.keys()))\n"
    )
    assert output == "set()\nTrue\n"


def test_all_its_names_are_there() -> None:
    """And no others."""
    import asyncflask.testing

    for name in asyncflask.testing.__all__:
        assert getattr(asyncflask.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        asyncflask.testing.nope  # noqa: B018


@pytest.mark.parametrize(("present", "expected"), [("httpx2", "httpx2"), ("httpx", "httpx")])
def test_httpx2_is_preferred(monkeypatch: pytest.MonkeyPatch, present: str, expected: str) -> None:
    """And httpx serves where there is no httpx2."""
    import types

    from asyncflask.testing import _httpx

    modules = {"httpx": types.ModuleType("httpx"), "httpx2": None}
    if present == "httpx2":
        modules["httpx2"] = types.ModuleType("httpx2")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert load(_httpx.__file__)["httpx"].__name__ == expected


def test_without_either_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command."""
    from asyncflask.testing import _httpx

    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ImportError, match="pip install httpx2"):
        load(_httpx.__file__)


def load(path: str) -> dict[str, Any]:
    import runpy

    return runpy.run_path(path)
