"""Flask-DebugToolbar: in the pages of views of both kinds."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from flask import Flask, redirect, render_template_string
from flask_debugtoolbar import DebugToolbarExtension

from asyncflask.testing import FlaskClient
from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-DebugToolbar", kind="extension")

PAGE = "<html><head></head><body>{{ text }}</body></html>"


@pytest.fixture
def app() -> Flask:
    """In debug mode."""
    app = Flask(__name__)
    app.debug = True
    app.config["DEBUG_TB_INTERCEPT_REDIRECTS"] = False
    app.secret_key = "secret"
    DebugToolbarExtension(app)

    @app.get("/def")
    def in_def() -> Any:
        return render_template_string(PAGE, text="def")

    @app.get("/async")
    async def in_async() -> Any:
        return await render_template_string(PAGE, text="async")

    @app.get("/data")
    async def data() -> Any:
        return {"a": 1}

    @app.get("/away")
    def away() -> Any:
        return redirect("/def")

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_pages_have_the_toolbar(app: Flask, kind: str) -> None:
    """With its panels, which know of the request; its files are there."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            page = (await client.get(f"/{kind}?x=secretvalue")).text
            assert kind in page
            assert 'id="flDebug"' in page
            assert "secretvalue" in page
            assert "SCRIPT_NAME" in page or "HTTP_HOST" in page
            for path in re.findall(r'(?:src|href)="(/_debug_toolbar/[^"]+)"', page):
                assert (await client.get(path)).status_code == 200


async def test_many_pages_at_once_are_never_mixed(app: Flask) -> None:
    """Each of fifty toolbars tells of its own request.

    Without the panel of templates, which shows those that are rendered meanwhile, whoever renders
    them: it listens to a signal, with threads as well.
    """
    panels = [each for each in app.config["DEBUG_TB_PANELS"] if "template" not in each]
    app.config["DEBUG_TB_PANELS"] = panels
    async with FlaskClient(app) as client:
        paths = [f"/{kind}?x=secret{i:02}" for i in range(25) for kind in ("def", "async")]
        responses = await asyncio.gather(*(client.get(path) for path in paths))
    for i, response in enumerate(responses):
        assert set(re.findall(r"secret\d\d", response.text)) == {f"secret{i // 2:02}"}


async def test_other_responses_are_left_alone(app: Flask) -> None:
    """JSON has no toolbar; a redirect is stopped to be looked at, if that is wanted."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/data")).json() == {"a": 1}
            assert (await client.get("/away")).status_code == 302
            app.config["DEBUG_TB_INTERCEPT_REDIRECTS"] = True
            page = await client.get("/away")
            assert page.status_code == 200
            assert "/def" in page.text
