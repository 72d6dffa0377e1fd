"""Flask-Caching: views, functions and parts of templates that are made once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from flask import Flask, render_template_string, request
from flask_caching import Cache

from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Caching", kind="extension")

TEMPLATE = "{% cache 60, 'part' %}{{ next() }}{% endcache %}"


@pytest.fixture
def app() -> Flask:
    """Everything that is made anew counts up."""
    app = Flask(__name__)
    app.config["CACHE_TYPE"] = "SimpleCache"
    cache = Cache(app)
    made: list[str] = []

    def next_number() -> int:
        made.append("")
        return len(made)

    @app.get("/def")
    @cache.cached(timeout=60)
    def in_def() -> str:
        return f"def {next_number()}"

    @app.get("/async")
    @cache.cached(timeout=60)
    async def in_async() -> str:
        await asyncio.sleep(0)
        return f"async {next_number()}"

    @app.get("/query")
    @cache.cached(timeout=60, query_string=True)
    async def by_query() -> str:
        return f"{request.args['q']} {next_number()}"

    @cache.memoize()
    def double(number: int) -> tuple[int, int]:
        return 2 * number, next_number()

    @app.get("/memoized/<int:number>")
    def memoized(number: int) -> Any:
        return list(double(number))

    @app.get("/template")
    async def template() -> Any:
        return await render_template_string(TEMPLATE, next=next_number)

    @app.get("/clear")
    async def clear() -> str:
        cache.clear()
        return ""

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_a_view_is_called_once(app: Flask, kind: str) -> None:
    """Until the cache is cleared; many requests get the one answer."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            assert (await client.get(f"/{kind}")).text == f"{kind} 1"
            responses = await asyncio.gather(*(client.get(f"/{kind}") for _ in range(50)))
            assert {response.text for response in responses} == {f"{kind} 1"}
            await client.get("/clear")
            assert (await client.get(f"/{kind}")).text == f"{kind} 2"


async def test_arguments_are_part_of_the_key(app: Flask) -> None:
    """Those of the query, and those of functions."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            queries = [(await client.get("/query", params={"q": q})).text for q in "aba"]
            assert queries == ["a 1", "b 2", "a 1"]
            doubles = [(await client.get(f"/memoized/{n}")).json() for n in (2, 3, 2)]
            assert doubles == [[4, 3], [6, 4], [4, 3]]


async def test_a_part_of_a_template_is_made_once(app: Flask) -> None:
    """Rendered by an ``async def`` view."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert [(await client.get("/template")).text for _ in "ab"] == ["1", "1"]
