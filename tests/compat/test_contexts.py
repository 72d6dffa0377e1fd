"""Contexts of requests that tests make within their own, beside Flask's."""

from __future__ import annotations

from typing import Any

import flask
import pytest

from asyncflask.compat import flask as ours


class Site:
    """An application of either framework, and what happened to its contexts."""

    def __init__(self, framework: Any) -> None:
        self.framework = framework
        self.torn_down: list[str] = []
        self.app = app = framework.Flask("shop")
        app_ctx = framework.globals.app_ctx

        @app.get("/def")
        def view() -> Any:
            framework.g.count = framework.g.get("count", 0) + 1
            return [framework.g.count, id(app_ctx._get_current_object())]

        @app.get("/async")
        async def async_view() -> Any:
            return view()

        @app.get("/away")
        def away() -> Any:
            return framework.redirect("/def")

        @app.get("/inner")
        def inner() -> Any:
            with app.app_context():
                return ["count" in framework.g, id(app_ctx._get_current_object())]

        @app.get("/copy")
        def copy() -> Any:
            return framework.copy_current_request_context(lambda: [framework.g.get("count")])()

        app.teardown_request(lambda _: self.torn_down.append("request"))
        app.teardown_appcontext(lambda _: self.torn_down.append("application"))
        self.client = app.test_client()

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, **options).json


@pytest.fixture(params=[flask, ours], ids=["flask", "asyncflask"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(request.param)


def test_a_request_within_a_context_is_part_of_it(site: Site) -> None:
    """They share ``g`` and what extensions keep for a context; both end with the block."""
    with site.app.app_context() as context:
        site.framework.g.count = 5
        outer = id(site.framework.globals.app_ctx._get_current_object())
        assert site.get("/def") == [6, outer]
        assert site.get("/away", follow_redirects=True) == [7, outer]
        assert site.get("/away", follow_redirects=True) == [8, outer]
        assert site.framework.g.count == context.g.count == 8
        assert site.torn_down == ["request"] * 5
        assert site.get("/def") == [9, outer]
    assert site.torn_down == ["request"] * 6 + ["application"]
    assert site.get("/def")[0] == 1
    assert site.torn_down[7:] == ["request", "application"]


def test_async_views_are_too() -> None:
    """Flask needs asgiref for them."""
    site = Site(ours)
    with site.app.app_context():
        ours.g.count = 5
        assert site.get("/async") == [6, id(ours.globals.app_ctx._get_current_object())]


def test_a_context_within_the_request_is_its_own(site: Site) -> None:
    """That of a block in the view."""
    with site.app.app_context():
        site.framework.g.count = 5
        shares, inner = site.get("/inner")
        assert not shares
        assert inner != id(site.framework.globals.app_ctx._get_current_object())


def test_a_copy_of_the_request_has_a_g_of_its_own() -> None:
    """In Flask it depends on the thread that it is called in."""
    site = Site(ours)
    with site.app.app_context():
        ours.g.count = 5
        assert site.get("/copy") == [None]


def test_a_context_of_another_application_is_not_shared(site: Site) -> None:
    """Its ``g`` is that application's."""
    with Site(site.framework).app.app_context():
        site.framework.g.count = 5
        assert site.get("/def")[0] == 1
        assert site.torn_down == ["request", "application"]
        assert site.framework.g.count == 5
