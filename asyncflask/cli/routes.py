"""``asyncflask routes``: show what the application answers to."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import click
from starlette.routing import BaseRoute, Host, Mount, WebSocketRoute

from asyncflask.cli.info import ScriptInfo, pass_script_info
from asyncflask.life.routes import Router, RuleRoute

_AUTOMATIC = frozenset({"HEAD", "OPTIONS"})
_NARROWEST = 12  # characters that a column keeps however narrow the terminal is


class Row(NamedTuple):
    """A line of the table; the names are those that ``--sort`` takes."""

    endpoint: str
    methods: str
    domain: str
    rule: str


@click.command("routes", short_help="Show the routes.")
@click.option(
    "-s",
    "--sort",
    type=click.Choice([*Row._fields, "match"]),
    default="endpoint",
    show_default=True,
    help="The column to sort by. 'match' is the order of matching: of the rules that fit a path, "
    "the first is taken.",
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS too.")
@pass_script_info
def routes_command(info: ScriptInfo, /, sort: str, all_methods: bool) -> None:
    """Show the routes of the application, and of what is mounted in it."""
    app = info.load_app()
    hidden = frozenset() if all_methods else _AUTOMATIC
    rows = list(_rows(app._router.in_matching_order(), hidden))
    if not rows:
        click.echo("No routes were registered.")
        return
    if sort != "match":
        rows.sort(key=lambda row: (getattr(row, sort), row.rule, row.methods))
    hosts = app.url_map.host_matching or any(isinstance(each, Host) for each in app._router.routes)
    headings = Row("Endpoint", "Methods", "Host" if hosts else "Subdomain", "Rule")
    for line in _table(headings, rows, _width()):
        click.echo(line)


def _rows(
    routes: Iterable[BaseRoute],
    hidden: frozenset[str],
    *,
    name: str = "",
    prefix: str = "",
    domain: str = "",
) -> Iterator[Row]:
    for route in routes:
        if isinstance(route, RuleRoute):
            yield _row_of_rule(route, hidden, name, prefix, domain)
            continue
        # A route of Starlette's own kinds, or of somebody else's.
        path = prefix + getattr(route, "path", "")
        endpoint = name + (getattr(route, "name", None) or type(route).__name__)
        inner = _inner_routes(route)
        host = route.host if isinstance(route, Host) else domain
        if inner:
            inner_name = f"{endpoint}:" if getattr(route, "name", None) else name
            yield from _rows(inner, hidden, name=inner_name, prefix=path, domain=host)
        elif isinstance(route, Mount | Host):
            yield Row(endpoint, "", host, f"{path}/*")
        else:
            yield Row(endpoint, _methods(route, hidden), host, path)


def _inner_routes(route: BaseRoute) -> Sequence[BaseRoute]:
    router = getattr(getattr(route, "app", None), "router", None)
    if isinstance(router, Router):
        return router.in_matching_order()
    return getattr(route, "routes", None) or ()


def _row_of_rule(
    route: RuleRoute, hidden: frozenset[str], name: str, prefix: str, domain: str
) -> Row:
    rule = route.rule
    return Row(
        endpoint=name + rule.endpoint,
        methods="build only" if rule.build_only else _methods(rule, hidden),
        domain=rule.host or rule.subdomain or domain,
        rule=prefix + rule.rule,
    )


def _methods(route: Any, hidden: frozenset[str]) -> str:
    if isinstance(route, WebSocketRoute) or getattr(route, "websocket", False):
        return "WebSocket"
    methods = set(getattr(route, "methods", None) or ())
    # A route for HEAD or OPTIONS alone was asked for.
    return ", ".join(sorted(methods - hidden or methods))


def _table(headings: Row, rows: Sequence[Row], width: int | None) -> Iterator[str]:
    columns = [
        [heading, *cells] for heading, *cells in zip(headings, *rows, strict=True) if any(cells)
    ]
    widths = [max(map(len, column)) for column in columns]
    excess = sum(widths) + 2 * (len(widths) - 1) - (width or sys.maxsize)
    # The widest column gives way first.
    while excess > 0 and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
        excess -= 1
    lines = list(zip(*columns, strict=True))
    for cells in [lines[0], ["-" * each for each in widths], *lines[1:]]:
        padded = [_fit(cell, each) for cell, each in zip(cells, widths, strict=True)]
        yield "  ".join(padded).rstrip()


def _fit(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else f"{cell[: width - 3]}..."


def _width() -> int | None:
    """Return the width of the terminal in characters; ``None`` where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
