"""Finding the application that ``--app`` names, or that lies in the current directory."""

from __future__ import annotations

import ast
import asyncio
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
from asyncflask.commands import off_the_loop
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


class ModuleMissing(NoAppException):
    """There is no module of the name that was given."""


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
    return _load(_module_name(path), expression[0] if expression else None)


def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool = True
) -> Flask | None:
    """Import a module and return its application, as Flask's function of this name does.

    :param module_name: the dotted name of the module.
    :param app_name: what ``--app`` takes behind the colon; by default the usual names.
    :param raise_if_not_found: whether a missing module is an error; if not, the answer is None.
    :raises NoAppException: the module, or an application in it, is missing; or one of them failed.
    """
    try:
        return _load(module_name, app_name)
    except ModuleMissing:
        if raise_if_not_found:
            raise
        return None


def _load(module_name: str, expression: str | None) -> Flask:
    module = _import(module_name)
    with _failures_told(f"looking for the application in {module_name!r}"):
        if expression is None:
            return find_best_app(module)
        return find_app_by_string(module, expression)


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
        if not _is_here(name):
            continue
        try:
            return _load(_module_name(name), None)
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
    if _is_file_path(path):
        file = Path(path).resolve()
        if not file.exists() and not file.with_name(f"{file.name}.py").exists():
            names = [each.name for each in file.parent.glob("*.py")] if file.parent.is_dir() else []
            raise NoAppException(f"There is no file {str(file)!r}.{_nearest(file.name, names)}")
        return prepare_import(path)
    if _is_here(path.partition(".")[0]):
        return prepare_import(path)
    _search_first(Path.cwd())
    return path


def _is_here(name: str) -> bool:
    return Path(f"{name}.py").is_file() or Path(name, "__init__.py").is_file()


def prepare_import(path: str | os.PathLike[str]) -> str:
    """Return the dotted name for a file path, and put the directory it starts in on ``sys.path``.

    It starts in the innermost directory that is not a package: ``/srv/shop/site/__init__.py``,
    where ``/srv/shop/__init__.py`` exists, gives ``shop.site``, found in ``/srv``. A dotted name is
    taken for one in the current directory.
    """
    file = Path(path).resolve()
    name = file.name.removesuffix(".py")
    root, parts = file.parent, [] if name == "__init__" else [name]
    while (root / "__init__.py").is_file() or not parts:
        parts.insert(0, root.name)
        root = root.parent
    _search_first(root)
    return ".".join(parts)


def _search_first(root: Path) -> None:
    if sys.path[:1] != [str(root)]:
        sys.path.insert(0, str(root))


def _import(name: str) -> ModuleType:
    try:
        with _failures_told(f"importing {name!r}"):
            return importlib.import_module(name)
    except AppImportError as error:
        missing = error.__cause__
        if not (isinstance(missing, ModuleNotFoundError) and _is_part_of(missing.name, name)):
            raise
    raise _no_module(name)


def _no_module(name: str) -> ModuleMissing:
    here = pkgutil.iter_modules([os.getcwd()])
    names = [module.name for module in here if module.name != name]
    return ModuleMissing(
        f"There is no module {name!r}: looked in {os.getcwd()} and among the installed packages."
        f"{_nearest(name, names)}"
    )


def _is_part_of(package: str | None, name: str) -> bool:
    return package is not None and f"{name}.".startswith(f"{package}.")


def find_best_app(module: ModuleType) -> Flask:
    """Return the application of a module that nobody has named.

    That is its ``app`` or ``application``, or its only ``Flask`` instance, or what
    ``create_app()`` or ``make_app()`` returns.

    :raises NoAppException: there is none, or more than one.
    :raises Exception: what the factory raises.
    """
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
            return _make(module, name, factory)
    raise NoAppException(
        f"Module {module.__name__!r} has no application: looked for {', '.join(APP_NAMES)}, "
        f"{', '.join(f'{name}()' for name in FACTORY_NAMES)} and any other instance of "
        f"asyncflask.Flask.{_other_kind(module)}"
    )


def _other_kind(module: ModuleType) -> str:
    for name in APP_NAMES:
        if (found := getattr(module, name, None)) is not None:
            return f" Its {name!r} is a {_type_name(found)}.{_way_for(found)}"
    return ""


def _way_for(found: object) -> str:
    """What to do where Flask's own application was found."""
    if not _is_of_flask(found):
        return ""
    return (
        " Use 'asyncflask --flask-extensions' (then 'import flask' gives ours), or import Flask "
        "from asyncflask."
    )


def _is_of_flask(found: object) -> bool:
    return any(each.__module__.partition(".")[0] == "flask" for each in type(found).__mro__)


def find_app_by_string(module: ModuleType, app_name: str) -> Flask:
    """Return the application that a name in a module stands for, or a call of a factory.

    :param app_name: such as ``app``, ``create_app`` or ``create_app('test', debug=True)``.
    :raises NoAppException: there is no such name, or it is something else.
    :raises Exception: what the factory raises.
    """
    expression = app_name.strip()
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
    if not callable(found) or _is_of_flask(found):
        raise NoAppException(
            f"{module.__name__}:{expression} is a {_type_name(found)}, not an asyncflask.Flask."
            f"{_way_for(found)}"
        )
    return _make(module, expression, found, *args, **kwargs)


def _parse(expression: str) -> tuple[str, list[Any], dict[str, Any]]:
    try:
        match ast.parse(expression, mode="eval").body:
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


def _make(
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
    return call_factory(factory, *args, place=place, **kwargs)


def call_factory(
    factory: Callable[..., Any], *args: Any, place: str | None = None, **kwargs: Any
) -> Flask:
    """Call a function that makes an application; an ``async def`` one gets an event loop.

    :param place: what to call it in messages.
    :raises NoAppException: it returns something else.
    :raises Exception: what it raises.
    """
    app = factory(*args, **kwargs)
    if inspect.iscoroutine(app):
        app = off_the_loop(asyncio.run, app)
    if not isinstance(app, Flask):
        name = place or getattr(factory, "__qualname__", repr(factory))
        raise NoAppException(
            f"{name} gave a {_type_name(app)}, not an asyncflask.Flask.{_way_for(app)}"
        )
    return app


@contextmanager
def _failures_told(what: str) -> Iterator[None]:
    try:
        with run_app_ignored():
            yield
    except NoAppException:
        raise
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
