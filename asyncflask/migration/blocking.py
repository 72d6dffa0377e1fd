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
        functions: dict[str, list[_Call]] = {}
        for file, tree in trees.items():
            names = Names(tree)
            for target, name in assigned_calls(tree, names):
                if name in rules.BLOCKING_INSTANCES and (parts := chain(target)):
                    self._instances[parts[-1]] = name
            for node in tree.body:
                if isinstance(node, ast.FunctionDef):
                    functions[f"{_stem(file)}.{node.name}"] = list(_calls(file, names, node))
        # Those that call such a function block, too: again, until there are no more.
        count = -1
        while count != len(self._helpers):
            count = len(self._helpers)
            for function in functions.keys() - self._helpers.keys():
                for call in functions[function]:
                    if self._advice(call) is not None:
                        self._helpers[function] = call.what
                        break

    def find(self, file: str, names: Names, function: Function) -> Iterator[Block]:
        """Give what blocks in a function, without the functions inside it.

        :param file: the module that it is in.
        :param names: the names of this module.
        """
        for call in _calls(file, names, function):
            advice = self._advice(call)
            if advice is not None:
                yield Block(call.node, call.what, advice)

    def _advice(self, call: _Call) -> str | None:
        advice = _listed(call.name) if call.is_known else None
        if advice is None and (helper := self._helpers.get(call.function)) is not None:
            advice = f"it calls {helper}: leave the function that calls it 'def'"
        return advice or self._of_instance(call)

    def _of_instance(self, call: _Call) -> str | None:
        parts = call.parts
        if parts[-1] in rules.BROKER and len(parts) > 1:
            return rules.BROKER_ADVICE
        if parts[-1] in rules.HARMLESS:
            return None
        for variable, member in pairwise([call.owner, *parts[1:]]):
            kind = self._instances.get(variable)
            if kind is not None and member in rules.BLOCKING_INSTANCES[kind]:
                return rules.INSTANCE_ADVICE
        if self._instances and parts[0][:1].isupper() and parts[1:2] == ["query"]:
            return rules.INSTANCE_ADVICE
        return None


@dataclass(frozen=True)
class _Call:
    """A call of something that has a name.

    :param parts: the name as it stands there.
    :param name: the full name.
    :param owner: what its first part is called where it comes from.
    :param function: the key of a function of the project, if it is one.
    :param is_known: whether the full name is one: it is imported, or built in.
    """

    node: ast.Call
    parts: list[str]
    name: str
    owner: str
    function: str
    is_known: bool

    @property
    def what(self) -> str:
        """The name to show."""
        return ".".join(self.parts) if self.name.startswith(".") else self.name


def _calls(file: str, names: Names, function: Function) -> Iterator[_Call]:
    for node in own_nodes(function):
        if isinstance(node, ast.Call) and (parts := chain(node.func)):
            name = names.resolve(node.func)
            is_imported = names.is_imported(parts[0])
            ending = name.split(".")[-2:] if is_imported else [_stem(file), *parts]
            owner = names.resolve(ast.Name(parts[0])).split(".")[-1]
            is_known = is_imported or parts == ["open"]
            yield _Call(node, parts, name, owner, ".".join(ending), is_known)


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
