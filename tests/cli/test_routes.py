"""``asyncflask routes``."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute

from asyncflask import Flask
from asyncflask.cli import ScriptInfo, cli, routes


def shown(app: Flask, *arguments: str) -> list[list[str]]:
    """Run the command and return the cells of its lines, without the rule below the headings."""
    result = CliRunner().invoke(
        cli, ["routes", *arguments], obj=ScriptInfo(create_app=lambda: app), catch_exceptions=False
    )
    lines = result.output.splitlines()
    return [[cell for cell in line.split("  ") if cell] for line in lines[:1] + lines[2:]]


async def view(*_: Any, **__: Any) -> Any:
    return PlainTextResponse("x")


@pytest.fixture
def app() -> Flask:
    app = Flask("shop", static_folder=None)
    app.add_url_rule("/zebra", "a_zebra", view, methods=["GET", "POST"])
    app.add_url_rule("/apple/<int:count>", "z_apple", view)
    return app


def test_table(app: Flask) -> None:
    """Endpoint, methods and rule; HEAD and OPTIONS come by themselves and are left out."""
    assert [[cell.strip() for cell in line] for line in shown(app)] == [
        ["Endpoint", "Methods", "Rule"],
        ["a_zebra", "GET, POST", "/zebra"],
        ["z_apple", "GET", "/apple/<int:count>"],
    ]


@pytest.mark.parametrize(
    ("sort", "first"),
    [("endpoint", "/zebra"), ("rule", "/apple"), ("methods", "/apple"), ("match", "/zebra")],
)
def test_order(app: Flask, sort: str, first: str) -> None:
    """``--sort`` chooses the column."""
    assert shown(app, "--sort", sort)[1][-1].strip().startswith(first)


def test_all_methods(app: Flask) -> None:
    """``--all-methods`` shows HEAD and OPTIONS; a rule for them alone shows them anyway."""
    app.add_url_rule("/head", "head", view, methods=["HEAD"], provide_automatic_options=False)
    assert shown(app, "--all-methods")[1][1].strip() == "GET, HEAD, OPTIONS, POST"
    assert ["head", "HEAD", "/head"] in [[c.strip() for c in line] for line in shown(app)]


def test_no_routes() -> None:
    """An application without routes says so."""
    assert shown(Flask("empty", static_folder=None)) == [["No routes were registered."]]


def test_domains_and_build_only() -> None:
    """A column for the domain appears where a rule has one."""
    app = Flask("hosts", host_matching=True, static_folder=None)
    app.add_url_rule("/", "index", view, host="example.org")
    app.add_url_rule("/elsewhere", "elsewhere", build_only=True)
    lines = [[cell.strip() for cell in line] for line in shown(app, "--sort", "domain")]
    assert lines[0] == ["Endpoint", "Methods", "Host", "Rule"]
    assert ["index", "GET", "example.org", "/"] in lines
    assert ["elsewhere", "build only", "/elsewhere"] in lines


def test_subdomains() -> None:
    """It is called what it holds."""
    app = Flask("parts", subdomain_matching=True, static_folder=None)
    app.add_url_rule("/", "index", view, subdomain="shop")
    assert [[cell.strip() for cell in line] for line in shown(app)] == [
        ["Endpoint", "Methods", "Subdomain", "Rule"],
        ["index", "GET", "shop", "/"],
    ]


def test_order_of_matching(app: Flask) -> None:
    """With ``--sort match``, the first row that fits a path is the one that is taken."""
    app.add_url_rule("/apple/<name>", "by_name", view)
    app.add_url_rule("/apple/new", "new", view)
    app.add_url_rule("/<path:rest>", "anything", view)
    app.add_url_rule("/elsewhere", "elsewhere", build_only=True)
    app.mount("/apple/store", app=view, name="store")
    inner = Flask("inner", static_folder=None)
    inner.add_url_rule("/<name>", "named", view)
    inner.add_url_rule("/fixed", "fixed", view)
    app.mount("/inner", app=inner, name="inner")
    app.router.routes.append(Route("/plain/{x}", view, name="plain"))
    order = [line[0].strip() for line in shown(app, "--sort", "match")[1:]]
    assert order == [
        "a_zebra", "new", "store", "z_apple", "by_name", "inner:fixed", "inner:named", "anything",
        "plain", "elsewhere",
    ]  # fmt: skip


def test_foreign_routes(app: Flask) -> None:
    """Starlette's routes are shown, and those of mounted applications below their prefix."""
    inner = Starlette(
        routes=[Route("/users", view, name="users"), WebSocketRoute("/live", view, name="live")]
    )
    app.router.routes += [
        Route("/plain", view, name="plain", methods=["GET", "DELETE"]),
        Mount("/admin", app=inner, name="admin"),
        Mount("/opaque", app=view),
        Host("api.example.org", app=inner, name="api"),
        Host("raw.example.org", app=view),
        Mount("/shop", app=Flask("mounted", static_folder=None)),
    ]
    mounted = Flask("flask-below", static_folder=None)
    mounted.add_url_rule("/<name>", "item", view)
    app.mount("/items", mounted, name="items")
    lines = [[cell.strip() for cell in line] for line in shown(app)]
    for line in (
        ["plain", "DELETE, GET", "/plain"],
        ["admin:users", "GET", "/admin/users"],
        ["admin:live", "WebSocket", "/admin/live"],
        ["Mount", "/opaque/*"],
        ["api:users", "GET", "api.example.org", "/users"],
        ["Host", "raw.example.org", "/*"],
        ["items:item", "GET", "/items/<name>"],
        ["Mount", "/shop/*"],
    ):
        assert line in lines


def test_table_fits_the_terminal(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal the widest column gives way, down to a least width; in a pipe none."""
    app.add_url_rule("/" + "r" * 100, "e" * 60, view)

    def widths() -> int:
        result = CliRunner().invoke(
            cli, ["routes"], obj=ScriptInfo(create_app=lambda: app), catch_exceptions=False
        )
        return max(map(len, result.output.splitlines()))

    assert widths() > 160
    monkeypatch.setattr(routes, "_width", lambda: 80)
    assert widths() == 80
    monkeypatch.setattr(routes, "_width", lambda: 10)
    assert widths() == 12 + 2 + 9 + 2 + 12


def test_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the output does not go to a terminal there is no width to keep to."""
    assert routes._width() is None
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setitem(os.environ, "COLUMNS", "77")
    assert routes._width() == 77
