"""Start and shutdown of an application that is mounted in somebody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import httpx
import litestar
import pytest
import quart
from hypercorn.middleware import DispatcherMiddleware
from starlette.applications import Starlette

from asyncflask import Flask, request
from tests.ecosystem.serving import serving


@asynccontextmanager
async def _state(app: Flask) -> AsyncIterator[dict[str, str]]:
    yield {"of": app.name}


def make_app(name: str, record: list[str]) -> Flask:
    """An application that notes its start and its shutdown, and answers with its state."""
    app = Flask(name, static_folder=None, lifespan=_state)
    app.before_serving(lambda: record.append(f"{name} starts"))
    app.after_serving(lambda: record.append(f"{name} ends"))

    @app.get("/")
    async def index() -> Any:
        record.append(f"{name} is asked")
        return str(request.scope["state"]["of"])

    return app


# Hosts with `/shop` and `/blog` that are handed their lifespans, or not.


def starlette_host(shop: Flask, blog: Flask, lifespan: Any) -> Any:
    host = Starlette(lifespan=lifespan)
    host.mount("/shop", shop)
    host.mount("/blog", blog)
    return host


def fastapi_host(shop: Flask, blog: Flask, lifespan: Any) -> Any:
    host = fastapi.FastAPI(lifespan=lifespan)
    host.mount("/shop", shop)
    host.mount("/blog", blog)
    return host


def litestar_host(shop: Flask, blog: Flask, lifespan: Any) -> Any:
    handlers: list[Any] = []
    for prefix, app in (("/shop", shop), ("/blog", blog)):

        @litestar.asgi(prefix, is_mount=True, copy_scope=True)
        async def below(scope: Any, receive: Any, send: Any, app: Flask = app) -> None:
            await app(scope, receive, send)

        handlers.append(below)
    return litestar.Litestar(
        handlers, openapi_config=None, logging_config=None, lifespan=[lifespan] if lifespan else []
    )


def quart_host(shop: Flask, blog: Flask, lifespan: Any) -> Any:
    host = quart.Quart("host")
    if lifespan:

        @host.while_serving
        async def during() -> AsyncIterator[None]:
            async with lifespan(host):
                yield

    inner = host.asgi_app
    mounts = DispatcherMiddleware({"/shop": shop, "/blog": blog, "": inner})

    async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
        await (inner if scope["type"] == "lifespan" else mounts)(scope, receive, send)

    host.asgi_app = without_lifespan  # type: ignore[method-assign]
    return host


HOSTS = [
    pytest.param(make, marks=pytest.mark.neighbour(name, kind="host"), id=name)
    for name, make in [
        ("Starlette", starlette_host),
        ("FastAPI", fastapi_host),
        ("Litestar", litestar_host),
        ("Quart", quart_host),
    ]
]
MakeHost = Callable[[Flask, Flask, Any], Any]


@pytest.mark.parametrize("make_host", HOSTS)
def test_one_call_hands_the_lifespan_over(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    """The host starts it before any request, which does not start it again, and ends it."""
    record: list[str] = []
    shop, blog = make_app("shop", record), make_app("blog", record)
    with serving(make_host(shop, blog, shop.lifespan)) as url:
        assert record == ["shop starts"]
        assert [httpx.get(f"{url}/shop/").text for _ in range(2)] == ["shop", "shop"]
    assert record == ["shop starts", "shop is asked", "shop is asked", "shop ends"]
    assert "has started itself" not in caplog.text


@pytest.mark.parametrize("make_host", HOSTS)
def test_several_lifespans_are_entered_in_the_hosts_own(make_host: MakeHost) -> None:
    """Each application sees what its own has given."""
    record: list[str] = []
    shop, blog = make_app("shop", record), make_app("blog", record)

    @asynccontextmanager
    async def lifespan(host: Any) -> AsyncIterator[dict[str, str] | None]:
        record.append("host starts")
        async with shop.lifespan(), blog.lifespan():
            yield None
        record.append("host ends")

    with serving(make_host(shop, blog, lifespan)) as url:
        assert record == ["host starts", "shop starts", "blog starts"]
        assert [httpx.get(f"{url}/{name}/").text for name in ("shop", "blog")] == ["shop", "blog"]
    assert record[3:] == [
        *["shop is asked", "blog is asked"],
        *["blog ends", "shop ends", "host ends"],
    ]


@pytest.mark.parametrize("make_host", HOSTS)
def test_without_it_the_first_request_starts_it_once(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    """And it says so."""
    record: list[str] = []
    shop, blog = make_app("shop", record), make_app("blog", record)
    with serving(make_host(shop, blog, None)) as url:
        assert record == []
        for _ in range(2):
            assert httpx.get(f"{url}/shop/").text == "shop"
        assert record == ["shop starts", "shop is asked", "shop is asked"]
    assert caplog.text.count("'shop' has started itself at its first request") == 1


@pytest.mark.neighbour("asyncflask", kind="host")
def test_an_application_of_the_same_kind_does_it_by_itself() -> None:
    """Also two levels deep, and for one that is mounted twice, by itself or by its sibling."""
    record: list[str] = []
    outer, shop, blog = (make_app(name, record) for name in ("outer", "shop", "blog"))
    sibling = Flask("sibling", static_folder=None)
    shop.mount("/blog", blog)
    sibling.mount("/blog", blog)
    outer.mount("/shop", shop)
    outer.mount("/again", shop)
    outer.mount("/sibling", sibling)
    with serving(outer) as url:
        assert record == ["outer starts", "shop starts", "blog starts"]
        assert httpx.get(f"{url}/sibling/blog/").text == "blog"
        for path in ("/shop/", "/again/"):
            assert httpx.get(url + path).text == "shop"
            assert httpx.get(f"{url}{path}blog/").text == "blog"
    assert record[-3:] == ["blog ends", "shop ends", "outer ends"]


@pytest.mark.neighbour("FastAPI", kind="host")
def test_a_host_between_two_of_ours_runs_what_it_was_handed() -> None:
    """The outer one starts FastAPI, and that the inner one."""
    record: list[str] = []
    outer, inner = make_app("outer", record), make_app("inner", record)
    between = fastapi.FastAPI(lifespan=inner.lifespan)
    between.mount("/inner", inner)
    outer.mount("/between", between)
    with serving(outer) as url:
        assert record == ["outer starts", "inner starts"]
        assert httpx.get(f"{url}/between/inner/").text == "inner"
    assert record[-2:] == ["inner ends", "outer ends"]
