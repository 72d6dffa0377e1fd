"""Finding the application that ``--app`` names, or that lies in the current directory."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from asyncflask.app import Flask
from asyncflask.devserver import run_app_ignored

APP_NAMES = ("app", "application")
FACTORY_NAMES = ("create_app", "make_app")
#: The modules looked for in the current directory; what a server is pointed at comes first.
MODULE_NAMES = ("asgi", "wsgi", "app", "main")


class NoAppException(click.UsageError):
    """There is no application where one was looked for."""


class AppImportError(NoAppException):
    """The module of the application, or its factory, raised an exception."""

    exit_code = 1


def find_app(import_path: str | None = None) -> Flask:
    """Import and return the application that ``import_path`` names.

    Examples: ``hello`` (a module), ``shop/site.py`` (a file), ``hello:app`` (a variable),
    ``hello:create_app`` and ``hello:create_app('test', debug=True)`` (a factory; its arguments are
    literals). Without a variable, the module's ``app`` or ``application`` is taken, or its only
    ``Flask`` instance, or what ``create_app()`` or ``make_app()`` returns. Without a module, the
    first of ``asgi.py``, ``wsgi.py``, ``app.py`` and ``main.py`` in the current directory that has
    an application.

    :raises NoAppException: there is none; the message says what was looked for, and where.
    :raises AppImportError: the module or the factory failed; the message has the traceback.
    """
    if import_path is None:
        return _discover()
    path, *expression = _split(import_path)
    module = _import(_module_name(path))
    return _evaluate(module, expression[0]) if expression else _find_in(module)


def search_directory(import_path: str | None) -> str:
    """Return the directory that the module named by an import path belongs to, unimported.

    :raises NoAppException: there is no such file or module.
    """
    if import_path is None:
        return os.getcwd()
    path = _split(import_path)[0]
    name = _module_name(path)
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise _no_module(name)
    return sys.path[0]


def _split(import_path: str) -> list[str]:
    # The colon of a Windows drive ("C:\\site.py") is followed by a slash.
    return re.split(r":(?![\\/])", import_path, maxsplit=1)


def _discover() -> Flask:
    reasons = []
    for name in MODULE_NAMES:
        if not (Path(f"{name}.py").is_file() or Path(name, "__init__.py").is_file()):
            continue
        try:
            return _find_in(_import(_module_name(name)))
        except AppImportError:
            raise
        except NoAppException as error:
            reasons.append(f" {error.message}")
    files = ", ".join(f"{name}.py" for name in MODULE_NAMES)
    raise NoAppException(
        f"No application was found: looked for {files} in {os.getcwd()}. Name it with the option "
        f"--app or the environment variable ASYNCFLASK_APP.{''.join(reasons)}"
    )


def _is_file_path(path: str) -> bool:
    return path.endswith(".py") or "/" in path or os.sep in path


def _module_name(path: str) -> str:
    """Return the dotted name for a module name or file path, and let it be found by imports."""
    root, name = _root_and_name(path) if _is_file_path(path) else (Path.cwd(), path)
    if sys.path[:1] != [str(root)]:
        sys.path.insert(0, str(root))
    return name


def _root_and_name(path: str) -> tuple[Path, str]:
    """Split a file path at its outermost package.

    ``/srv/shop/site/__init__.py``, where ``/srv/shop/__init__.py`` exists, gives ``/srv`` and
    ``shop.site``.
    """
    file = Path(path).resolve()
    if not file.exists():
        names = [each.name for each in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise NoAppException(f"There is no file {str(file)!r}.{_nearest(file.name, names)}")
    parts = [] if file.stem == "__init__" else [file.stem]
    root = file.parent
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    return root, ".".join(parts)


def _import(name: str) -> ModuleType:
    try:
        with _failures_told(f"importing {name!r}"):
            return importlib.import_module(name)
    except AppImportError as error:
        missing = error.__cause__
        if not (isinstance(missing, ModuleNotFoundError) and _is_part_of(missing.name, name)):
            raise
    raise _no_module(name)


def _no_module(name: str) -> NoAppException:
    names = [module.name for module in pkgutil.iter_modules([os.getcwd()])]
    return NoAppException(
        f"There is no module {name!r}: looked in {os.getcwd()} and among the installed packages."
        f"{_nearest(name, names)}"
    )


def _is_part_of(package: str | None, name: str) -> bool:
    return package is not None and f"{name}.".startswith(f"{package}.")


def _find_in(module: ModuleType) -> Flask:
    for name in APP_NAMES:
        if isinstance(app := getattr(module, name, None), Flask):
            return app
    apps = {name: value for name, value in vars(module).items() if isinstance(value, Flask)}
    different = {id(app): app for app in apps.values()}
    if len(different) == 1:
        return next(iter(different.values()))
    if apps:
        raise NoAppException(
            f"Module {module.__name__!r} has several applications: {', '.join(apps)}. "
            f"Say which, for example --app {module.__name__}:{next(iter(apps))}."
        )
    for name in FACTORY_NAMES:
        if inspect.isfunction(factory := getattr(module, name, None)):
            return _call(module, name, factory)
    raise NoAppException(
        f"Module {module.__name__!r} has no application: looked for {', '.join(APP_NAMES)}, "
        f"{', '.join(f'{name}()' for name in FACTORY_NAMES)} and any other instance of "
        f"asyncflask.Flask.{_other_kind(module)}"
    )


def _other_kind(module: ModuleType) -> str:
    for name in APP_NAMES:
        if (found := getattr(module, name, None)) is not None:
            return f" Its {name!r} is a {_type_name(found)}."
    return ""


def _evaluate(module: ModuleType, expression: str) -> Flask:
    name, args, kwargs = _parse(expression)
    try:
        found = getattr(module, name)
    except AttributeError:
        names = [each for each in vars(module) if not each.startswith("__")]
        raise NoAppException(
            f"Module {module.__name__!r} has no {name!r}.{_nearest(name, names)}"
        ) from None
    if isinstance(found, Flask):
        return found
    if not callable(found):
        raise NoAppException(
            f"{module.__name__}:{expression} is a {_type_name(found)}, not an asyncflask.Flask."
        )
    return _call(module, expression, found, *args, **kwargs)


def _parse(expression: str) -> tuple[str, list[Any], dict[str, Any]]:
    try:
        match ast.parse(expression.strip(), mode="eval").body:
            case ast.Name(id=name):
                return name, [], {}
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                named = {each.arg: ast.literal_eval(each.value) for each in keywords if each.arg}
                if len(named) == len(keywords):
                    return name, [ast.literal_eval(each) for each in args], named
    except (SyntaxError, ValueError):
        pass
    raise NoAppException(
        f"{expression!r} is not a name, nor a call of one with literal arguments. "
        "Write it like app or create_app('test', debug=True)."
    )


def _call(
    module: ModuleType, expression: str, factory: Callable[..., Any], *args: Any, **kwargs: Any
) -> Flask:
    place = f"{module.__name__}:{expression}"
    try:
        inspect.signature(factory).bind(*args, **kwargs)
    except TypeError as error:
        raise NoAppException(
            f"The factory {place} cannot be called like this: {error}. It takes "
            f"{inspect.signature(factory)}; write the arguments as in "
            f"--app \"{module.__name__}:{expression.partition('(')[0]}('test')\"."
        ) from None
    with _failures_told(f"calling {place}"):
        app = factory(*args, **kwargs)
    if isinstance(app, Flask):
        return app
    if inspect.iscoroutine(app):
        app.close()
    raise NoAppException(f"{place} gave a {_type_name(app)}, not an asyncflask.Flask.")


@contextmanager
def _failures_told(what: str) -> Iterator[None]:
    try:
        with run_app_ignored():
            yield
    except Exception as error:
        # The developer's frames only: not this file's, nor those of the import machinery.
        tb = error.__traceback__
        while tb is not None and (
            tb.tb_frame.f_code.co_filename in (__file__, importlib.__file__)
            or tb.tb_frame.f_code.co_filename.startswith("<frozen importlib")
        ):
            tb = tb.tb_next
        text = "".join(traceback.format_exception(error.with_traceback(tb)))
        raise AppImportError(f"This was raised while {what}:\n\n{text.rstrip()}") from error


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, n=3)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
