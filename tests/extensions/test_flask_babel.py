"""Flask-Babel: each request has its language and its time zone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from flask import Flask, render_template_string, request
from flask_babel import Babel, format_datetime, format_decimal, get_locale, gettext, lazy_gettext

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Babel", kind="extension", package="flask-babel")

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """Translated into German."""
    folder = tmp_path / "translations" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalog = Catalog(locale="de")
    catalog.add("Hello", "Hallo")
    catalog.add("Tea", "Tee")
    with (folder / "messages.mo").open("wb") as file:
        write_mo(file, catalog)
    app = Flask(__name__)
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(tmp_path / "translations")
    Babel(
        app,
        locale_selector=lambda: request.args.get("lang", "en"),
        timezone_selector=lambda: request.args.get("zone", "UTC"),
    )
    title = lazy_gettext("Tea")

    def facts() -> list[str]:
        return [gettext("Hello"), str(title), format_decimal(1234.5), format_datetime(NOON, "H")]

    @app.get("/def")
    def in_def() -> Any:
        page = render_template_string("{{ _('Hello') }} {{ title }}", title=title)
        return [*facts(), page, str(get_locale())]

    @app.get("/async")
    async def in_async() -> Any:
        await asyncio.sleep(0)
        page = await render_template_string("{{ _('Hello') }} {{ title }}", title=title)
        return [*facts(), page, str(get_locale())]

    return app


EXPECTED = {
    ("de", "Europe/Berlin"): ["Hallo", "Tee", "1.234,5", "13", "Hallo Tee", "de"],
    ("en", "UTC"): ["Hello", "Tea", "1,234.5", "12", "Hello Tea", "en"],
}


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_each_request_has_its_language(app: Flask, kind: str) -> None:
    """Fifty at once are not mixed."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:

            async def ask(number: int) -> None:
                (lang, zone), expected = list(EXPECTED.items())[number % 2]
                response = await client.get(f"/{kind}", params={"lang": lang, "zone": zone})
                assert response.json() == expected

            await asyncio.gather(*map(ask, range(50)))
