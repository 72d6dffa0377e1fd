"""The shape of the package: sizes, docstrings, exported names, and what an import costs.

That imports go only down the floors is checked by import-linter, in ``make check``.
"""

from __future__ import annotations

import ast
import functools
import inspect
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import flask
import pytest

import asyncflask
import asyncflask.sync
import asyncflask.wrappers

PACKAGE = Path(asyncflask.__file__).parent
MODULES = {
    str(path.relative_to(PACKAGE)): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))
}

_NOT_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENDMARKER, tokenize.ENCODING,
}  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines_of_code(source: str) -> set[int]:
    """Return the numbers of the lines that have code: no comments, blanks or docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node):
            docstring = node.body[0]
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return lines


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_functions_are_small(module: str) -> None:
    """A module has at most 420 lines of code, a function's body 40."""
    source = MODULES[module]
    lines = lines_of_code(source)
    assert len(lines) <= 420
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            body = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
            size = len(lines & set(body))
            assert size <= 40, f"{node.name} in line {node.lineno}"


@pytest.mark.parametrize("module", MODULES)
def test_modules_postpone_annotations(module: str) -> None:
    """Every module with code starts with the same import, so annotations cost nothing."""
    body = ast.parse(MODULES[module]).body
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    assert len(body) <= 1 or imports[0].module == "__future__"


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_documented(module: str) -> None:
    """Modules, and their public classes, functions and methods, have docstrings."""
    tree = ast.parse(MODULES[module])
    assert ast.get_docstring(tree)
    name = ".".join(("asyncflask", *Path(module).with_suffix("").parts)).removesuffix(".__init__")
    missing = []
    for public in _public(tree):
        # A method may have the docstring of the one it overrides, so the real object is asked.
        if not inspect.getdoc(functools.reduce(getattr, public.split("."), import_module(name))):
            missing.append(public)
    assert missing == []


def _public(parent: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[str]:
    for node in parent.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        # What is said once is not said again: overloads, setters and what Protocols ask for.
        if {"overload", "setter", "deleter", "override"} & {
            getattr(decorator, "attr", getattr(decorator, "id", ""))
            for decorator in node.decorator_list
        }:
            continue
        yield f"{prefix}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _public(node, f"{prefix}{node.name}.")


def exported_by(module: ModuleType) -> dict[str, object]:
    """Return what can be imported from a package, without its modules."""
    return {
        name: value
        for name, value in vars(module).items()
        if name[0] != "_" and name != "annotations" and not isinstance(value, ModuleType)
    }


def test_the_package_exports_what_flask_exports() -> None:
    """What can be imported from ``flask`` can be imported from here."""
    assert exported_by(flask).keys() <= exported_by(asyncflask).keys()
    assert asyncflask.json.dumps


def test_the_package_only_exports() -> None:
    """Its module has imports of the form ``from ... import X as X``, and a version."""
    body = ast.parse(MODULES["__init__.py"]).body
    for node in body[2:-1]:
        assert isinstance(node, ast.ImportFrom)
        assert [alias.asname for alias in node.names] == [alias.name for alias in node.names]
    assert isinstance(body[-1], ast.Assign)


def test_the_module_for_def_code_has_the_same_names() -> None:
    """``asyncflask.sync`` has what the package has, and the objects are the same."""
    theirs = exported_by(asyncflask.sync)
    for name, value in exported_by(asyncflask).items():
        assert theirs[name] is value, name


def test_requests_and_responses_stand_where_flask_has_them() -> None:
    """``from asyncflask.wrappers import Response`` works."""
    assert asyncflask.wrappers.Request is asyncflask.Request
    assert asyncflask.wrappers.Response is asyncflask.Response


def test_an_import_brings_no_tools() -> None:
    """An application in production loads no test client, server or reloader; without templates,
    no Jinja."""
    code = "import asyncflask, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "asyncflask.app" in loaded
    assert loaded & {"httpx", "uvicorn", "watchfiles", "pydantic", "flask", "jinja2"} == set()
