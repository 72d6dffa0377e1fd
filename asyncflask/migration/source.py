"""A module of the project: what in it is of interest."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from asyncflask.migration import rules
from asyncflask.migration.blocking import Block, Blocking
from asyncflask.migration.names import (
    Function,
    Names,
    assigned_calls,
    chain,
    in_flask,
    own_nodes,
)
from asyncflask.migration.report import Finding, Kind, View

_PACKAGES = ("flask", "asyncflask")


class Source:
    """Reads one module.

    :param file: its path within the project.
    :param tree: what stands in it.
    :param blocking: what blocks in the project.
    """

    def __init__(self, file: str, tree: ast.Module, blocking: Blocking) -> None:
        self.findings: list[Finding] = []
        self.views: list[View] = []
        self._file = file
        self._tree = tree
        self._blocking = blocking
        self._names = Names(tree)
        self._apps = {"app", "application"} | {
            target.id
            for target, name in assigned_calls(tree, self._names)
            if isinstance(target, ast.Name) and name.split(".")[-1] in ("Flask", "create_app")
        }

    def read(self) -> None:
        """Find everything."""
        for node in ast.walk(self._tree):
            self._import(node)
            self._removed(node)
            self._call(node)
            self._wrapping(node)
            if isinstance(node, Function):
                self._function(node)
            elif isinstance(node, ast.ClassDef) and self._is_view_class(node):
                for method in node.body:
                    if isinstance(method, Function) and method.name in rules.ROUTES:
                        self._view(method, f"{node.name}.{method.name}")

    def _found(self, node: ast.AST, kind: Kind, what: str, advice: str) -> None:
        line: int = getattr(node, "lineno", 1)
        self.findings.append(Finding(self._file, line, kind, what, advice))

    # The names of Flask.

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "flask":
                    self._name_of_flask(node, alias.name, "")
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            if module.partition(".")[0] == "flask":
                for alias in node.names:
                    self._name_of_flask(node, module, alias.name)

    def _name_of_flask(self, node: ast.AST, module: str, name: str) -> None:
        compatible, own = in_flask(module, name)
        what = f"{module}.{name}" if name else module
        if not compatible:
            last = name if module == "flask" or name in rules.REMOVED else module.split(".")[1]
            advice = rules.REMOVED.get(last, "it is not in current Flask, or private to it")
            self._found(node, Kind.REMOVED, what, advice)
        elif own:
            other = f"from {module.replace('flask', 'asyncflask', 1)} import ..."
            self._found(node, Kind.IMPORT, what, other if name else "import asyncflask")
        else:
            advice = "only in the compatibility namespace: asyncflask itself has no such name"
            self._found(node, Kind.IMPORT, what, advice)

    def _removed(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            self._removed_attribute(node)
            return
        key = None
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            key = node.value
        elif isinstance(node, ast.keyword):
            key = node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            key = node.id
        if key in rules.REMOVED_KEYS:
            self._found(node, Kind.REMOVED, key, rules.REMOVED_KEYS[key])

    def _removed_attribute(self, node: ast.Attribute) -> None:
        owner, name = self._names.resolve(node.value), node.attr
        if owner in ("flask", "flask.json") and not in_flask(owner, name)[0]:
            self._name_of_flask(node, owner, name)
        elif name in rules.REMOVED_HOOKS:
            self._found(node, Kind.REMOVED, name, rules.REMOVED_HOOKS[name])
        elif name in rules.REMOVED_FROM_APP and self._is_app(owner):
            self._found(node, Kind.REMOVED, f"app.{name}", rules.REMOVED_FROM_APP[name])

    def _is_app(self, name: str) -> bool:
        return name in self._apps or name.split(".")[-1] in ("app", "current_app")

    # What stands anywhere.

    def _call(self, node: ast.AST) -> None:
        if not isinstance(node, ast.Call):
            return
        name = self._names.resolve(node.func)
        for kind, table in (
            (Kind.FAILS, rules.FAILS),
            (Kind.SERVER, rules.SERVERS),
            (Kind.DIFFERS, rules.ADAPTERS),
        ):
            if name in table:
                self._found(node, kind, name, table[name])
        owner, _, method = name.rpartition(".")
        if self._is_app(owner):
            if method == "run":
                self._run(node)
            elif method == "test_client":
                advice = "asyncflask's is for async def tests; for def tests: sync_test_client()"
                self._found(node, Kind.IMPORT, "app.test_client()", advice)

    def _run(self, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg in rules.RUN_OPTIONS:
                what = f"app.run({keyword.arg}=...)"
                self._found(node, Kind.DIFFERS, what, rules.RUN_OPTIONS[keyword.arg])

    def _wrapping(self, node: ast.AST) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(each, ast.Attribute) and each.attr == "wsgi_app" for each in targets):
            advice = (
                "it works in the compatibility namespace, where each request then takes a thread; "
                "app.add_middleware takes ASGI middleware, and 'asyncflask run --trust-proxy' does "
                "what ProxyFix does"
            )
            self._found(node, Kind.DIFFERS, "app.wsgi_app = ...", advice)

    # Functions.

    @staticmethod
    def _is_route(decorator: ast.expr) -> bool:
        if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
            return False
        rule = decorator.args[0] if decorator.args else None
        is_rule = isinstance(rule, ast.Constant) and str(rule.value).startswith("/")
        name = decorator.func.attr
        return name == "route" or (name in rules.ROUTES and is_rule)

    @staticmethod
    def _is_view_class(node: ast.ClassDef) -> bool:
        return not rules.VIEW_CLASSES.isdisjoint(".".join(chain(base)[-1:]) for base in node.bases)

    def _view(self, node: Function, name: str) -> None:
        is_async = isinstance(node, ast.AsyncFunctionDef)
        blocking = tuple(dict.fromkeys(block.what for block in self._blocks(node)))
        awaits = tuple(dict.fromkeys(what for _, what in self._awaits(node)))
        self.views.append(View(self._file, node.lineno, name, is_async, blocking, awaits))

    def _function(self, node: Function) -> None:
        if any(self._is_route(each) for each in node.decorator_list):
            self._view(node, node.name)
            self._late(node)
        if isinstance(node, ast.AsyncFunctionDef):
            for block in self._blocks(node):
                self._found(block.node, Kind.BLOCKS, block.what, block.advice)
            for place, what in self._awaits(node):
                self._found(place, Kind.AWAIT, what.removeprefix("flask."), _await_advice(what))

    def _late(self, node: Function) -> None:
        for inner in own_nodes(node):
            name = self._names.resolve(inner.func) if isinstance(inner, ast.Call) else ""
            owner, _, method = name.rpartition(".")
            if method in rules.SETUP and self._is_app(owner):
                advice = "registering ends when the application starts: do it where it is made"
                self._found(inner, Kind.FAILS, f"app.{method} in a view", advice)

    def _blocks(self, node: Function) -> Iterator[Block]:
        return self._blocking.find(self._file, self._names, node)

    def _awaits(self, function: Function) -> Iterator[tuple[ast.AST, str]]:
        """Give what stands in a function without ``await``, but what it has awaited elsewhere."""
        nodes = list(own_nodes(function))
        awaited = {id(node.value) for node in nodes if isinstance(node, ast.Await)}
        for node in nodes:  # asyncio.gather(...) and the like
            if isinstance(node, ast.Call) and self._names.resolve(node.func).startswith("asyncio."):
                awaited.update(map(id, node.args))
        uses = [(node, name) for node in nodes if (name := self._awaitable(node))]
        done = {name for node, name in uses if id(node) in awaited}
        for node, name in uses:
            once = name in done and _tail(name) not in rules.AWAITED
            if id(node) not in awaited and not once:
                yield node, name

    def _awaitable(self, node: ast.AST) -> str:
        """Return the name of what has to be awaited; empty for all else."""
        called = isinstance(node, ast.Call)
        name = self._names.resolve(node.func if isinstance(node, ast.Call) else node)
        package, _, rest = name.partition(".")
        of_calls: Iterable[str] = rules.AWAITED | rules.READ_BEFORE_CALLS
        if package in _PACKAGES and rest in (of_calls if called else rules.READ_BEFORE):
            return name
        return ""


def _tail(name: str) -> str:
    return name.partition(".")[2]


def _await_advice(name: str) -> str:
    package, _, rest = name.partition(".")
    if package == "asyncflask" or rest in rules.AWAITED:
        return "await it"
    return "await it; in the compatibility namespace forms and JSON are read before the view"
