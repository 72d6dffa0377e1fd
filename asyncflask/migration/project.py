"""The files of a project: modules, requirements, and what starts servers."""

from __future__ import annotations

import ast
import os
import re
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from asyncflask.migration import rules
from asyncflask.migration.blocking import Blocking
from asyncflask.migration.extensions import extension, module_of
from asyncflask.migration.report import Finding, Kind, Report
from asyncflask.migration.source import Source

#: Folders with other people's code, besides those whose names start with a dot.
_FOREIGN = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages"})
#: What the requirements of a package are called in ``pyproject.toml`` and ``Pipfile``.
_REQUIREMENTS = re.compile(r".*(dependencies|packages|dependency-groups|optional-dependencies)$")

#: What reading a file may raise: it is gone, not UTF-8, not Python or TOML, or nested too deeply.
_UNREADABLE = (MemoryError, OSError, RecursionError, SyntaxError, ValueError)


def examine(path: str | os.PathLike[str]) -> Report:
    """Read a project and report on it. Nothing of it is imported or run.

    :param path: its folder, or one module. Virtual environments in it are left out, and so are
        hidden folders.
    :returns: what was found. Files that cannot be read are named in it.
    """
    report = Report(os.fspath(path))
    folder = Path(path)
    files = sorted(_files(folder)) if folder.is_dir() else [folder]
    root = folder if folder.is_dir() else folder.parent
    named = {file.relative_to(root).as_posix(): file for file in files}
    trees = {name: tree for name, file in named.items() if (tree := _parse(name, file, report))}
    report.modules = len(trees)
    local = {part.removesuffix(".py") for name in trees for part in name.split("/")}
    blocking = Blocking(trees)
    for name, tree in trees.items():
        source = Source(name, tree, blocking)
        source.read()
        report.findings += source.findings
        report.views += source.views
        _use(
            report, name, ((module, line) for module, line in _imports(tree) if module not in local)
        )
    for name, file in named.items():
        _read_text(name, file, report)
    report.findings = sorted(set(report.findings))
    report.views.sort(key=lambda view: (view.file, view.line))
    report.extensions = dict(
        sorted(report.extensions.items(), key=lambda item: item[0].name.lower())
    )
    return report


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if name[0] != "."
            and name not in _FOREIGN
            and not Path(parent, name, "pyvenv.cfg").exists()
        ]
        yield from (file for name in files if (file := Path(parent, name)).is_file())


def _parse(name: str, file: Path, report: Report) -> ast.Module | None:
    if file.suffix != ".py":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those about the project's own code
            return ast.parse(file.read_bytes(), name)
    except _UNREADABLE as error:
        report.unread[name] = str(error) or type(error).__name__
        return None


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Give the top-level modules that are imported, with the lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno


def _use(report: Report, file: str, modules: Iterable[tuple[str, int]]) -> None:
    for module, line in modules:
        if (found := extension(module)) is not None:
            places = report.extensions.setdefault(found, [])
            if (file, line) not in places:
                places.append((file, line))


def _read_text(name: str, file: Path, report: Report) -> None:
    base = file.name
    is_server = any(fnmatch(base, pattern) for pattern in rules.SERVER_FILES)
    is_list = fnmatch(name, "*requirements*.txt") or fnmatch(name, "*requirements*.in")
    if not (is_server or is_list or base in ("pyproject.toml", "Pipfile")):
        return
    try:
        text = file.read_text()
        if is_server:
            report.findings += _servers(name, text)
        elif is_list:
            _use(report, name, _required(text))
        else:
            _use(report, name, _declared(text))
    except _UNREADABLE as error:
        report.unread[name] = str(error) or type(error).__name__


def _servers(name: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or re.search(r"\binstall\b", line):
            continue
        for pattern, server, advice in rules.SERVER_COMMANDS:
            if re.search(pattern, line):
                yield Finding(name, number, Kind.SERVER, server, advice)
                break


def _required(text: str) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(text.splitlines(), 1):
        if (match := re.match(r"\s*([A-Za-z0-9][\w.-]*)", line)) is not None:
            yield module_of(match[1]), number


def _declared(text: str) -> Iterator[tuple[str, int]]:
    """Give what a file in TOML requires, with the first line that names it."""
    lines = text.splitlines()
    for requirement in _requirements(tomllib.loads(text), False):
        for module, _ in _required(requirement):
            named = (n for n, line in enumerate(lines, 1) if requirement in line)
            yield module, next(named, 1)


def _requirements(value: Any, inside: bool) -> Iterator[str]:
    """Give all texts below a key for requirements, and the keys of its tables."""
    if isinstance(value, dict):
        for key, below in value.items():
            if inside:
                yield key
            yield from _requirements(below, inside or bool(_REQUIREMENTS.match(key)))
    elif inside and isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))
