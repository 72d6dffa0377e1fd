"""Which name an expression stands for, and where a name of Flask's is found here."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache

Function = ast.FunctionDef | ast.AsyncFunctionDef

#: Where asyncflask has the two sets of names.
_COMPATIBLE = "asyncflask.compat.flask"
_OWN = "asyncflask"


def chain(node: ast.AST) -> list[str]:
    """Return the parts of a dotted name: ``db.session.get -> ["db", "session", "get"]``.

    It is empty for any other expression.
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return []
    return [node.id, *reversed(parts)]


class Names:
    """The names of a module, as its imports give them.

    :param tree: the module; imports within functions count for all of it.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._imported: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._imported[alias.asname or name] = name
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                for alias in node.names:
                    self._imported[alias.asname or alias.name] = f"{module}.{alias.name}"

    def is_imported(self, name: str) -> bool:
        """Whether a name comes from an import."""
        return name in self._imported

    def resolve(self, node: ast.AST) -> str:
        """Return the full name of an expression: ``sleep -> "time.sleep"``; else an empty text."""
        parts = chain(node)
        if not parts:
            return ""
        return ".".join([self._imported.get(parts[0], parts[0]), *parts[1:]])


def assigned_calls(tree: ast.Module, names: Names) -> Iterator[tuple[ast.expr, str]]:
    """Give what results of calls are assigned to, with the name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            name = names.resolve(node.value.func)
            yield from ((target, name) for target in node.targets)


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Give what belongs to a function itself, without the functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def in_flask(module: str, name: str) -> tuple[bool, bool]:
    """Return whether a name of Flask's is in the compatibility namespace, and in asyncflask.

    :param module: ``"flask"`` or one of its modules.
    :param name: what is imported from it; empty for the module itself.
    """
    rest = module.removeprefix("flask")
    return _has(_COMPATIBLE + rest, name), _has(_OWN + rest, name)


@cache
def _has(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
        if name in ("", "*") or hasattr(found, name):
            return True
        return importlib.util.find_spec(f"{module}.{name}") is not None
    except ModuleNotFoundError:
        return False
