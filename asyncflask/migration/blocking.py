"""What blocks: calls that wait, and functions of the project that make such calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from asyncflask.migration import rules
from asyncflask.migration.names import Function, Names, assigned_calls, chain, own_nodes


@dataclass(frozen=True)
class Block:
    """A call that blocks.

    :param node: the call.
    :param what: what is called, such as ``"time.sleep"``.
    :param advice: what to write instead.
    """

    node: ast.Call
    what: str
    advice: str


class Blocking:
    """Knows what blocks in the modules of a project.

    :param trees: the modules, by their paths within the project.
    """

    def __init__(self, trees: Mapping[str, ast.Module]) -> None:
        #: The variables that hold extensions: ``{"db": "flask_sqlalchemy.SQLAlchemy"}``.
        self._instances: dict[str, str] = {}
        #: The functions that block, such as ``"db.get_connection"``, and on what.
        self._helpers: dict[str, str] = {}
        functions = []
        for file, tree in trees.items():
            names = Names(tree)
            for target, name in assigned_calls(tree, names):
                if name in rules.BLOCKING_INSTANCES and (parts := chain(target)):
                    self._instances[parts[-1]] = name
            functions += [
                (file, names, node) for node in tree.body if isinstance(node, ast.FunctionDef)
            ]
        # Those that call such a function block, too: again, until there are no more.
        count = -1
        while count != len(self._helpers):
            count = len(self._helpers)
            for file, names, function in functions:
                for block in self.find(file, names, function):
                    self._helpers.setdefault(f"{_stem(file)}.{function.name}", block.what)

    def find(self, file: str, names: Names, function: Function) -> Iterator[Block]:
        """Give what blocks in a function, without the functions inside it.

        :param file: the module that it is in.
        :param names: the names of this module.
        """
        for node in own_nodes(function):
            if isinstance(node, ast.Call) and (parts := chain(node.func)):
                name = names.resolve(node.func)
                what = ".".join(parts) if name.startswith(".") else name
                known = parts == ["open"] or names.is_imported(parts[0])
                advice = _listed(name) if known else None
                if advice is None and (helper := self._helper(file, parts, name)) is not None:
                    advice = f"it calls {helper}: leave the function that calls it 'def'"
                advice = advice or self._of_instance(names, parts)
                if advice is not None:
                    yield Block(node, what, advice)

    def _helper(self, file: str, parts: list[str], name: str) -> str | None:
        ending = ".".join(name.split(".")[-2:])
        return self._helpers.get(f"{_stem(file)}.{name}" if [name] == parts else ending)

    def _of_instance(self, names: Names, parts: list[str]) -> str | None:
        if parts[-1] in rules.BROKER and len(parts) > 1:
            return rules.BROKER_ADVICE
        if parts[-1] in rules.HARMLESS:
            return None
        owner = names.resolve(ast.Name(parts[0])).split(".")[-1]
        for variable, member in pairwise([owner, *parts[1:]]):
            kind = self._instances.get(variable)
            if kind is not None and member in rules.BLOCKING_INSTANCES[kind]:
                return rules.INSTANCE_ADVICE
        if self._instances and parts[0][:1].isupper() and parts[1:2] == ["query"]:
            return rules.INSTANCE_ADVICE
        return None


def _stem(file: str) -> str:
    path = PurePosixPath(file)
    return path.parent.name if path.stem == "__init__" else path.stem


def _listed(name: str) -> str | None:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in rules.BLOCKING:
            return rules.BLOCKING[prefix]
    return None
