"""Mounted in other people's applications."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from asyncflask import Flask, url_for
from tests.ecosystem.serving import serving


@pytest.mark.neighbour("Starlette", kind="host")
def test_it_is_mounted() -> None:
    """URLs have the prefix."""
    host = Starlette()
    app = Flask("inner")
    app.get("/")(lambda: url_for("<lambda>"))
    host.mount("/inner", app)
    with serving(host) as url:
        assert httpx.get(f"{url}/inner/").text == "/inner/"
