"""Flask's extensions and applications, unmodified.

``install()`` makes ``import flask`` give :mod:`asyncflask.compat.flask`, a package with the modules
and names of Flask, whose application is an asyncflask one::

    import asyncflask.compat

    asyncflask.compat.install()

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

It has to come before the first import of ``flask`` or of an extension. ``asyncflask
--flask-extensions`` does it for commands, and ``import asyncflask.compat.installed`` in one line.
Whether Flask itself is installed does not matter.
"""

from __future__ import annotations

import importlib.metadata
import sys

from asyncflask.compat.finder import NAMESPACE as NAMESPACE
from asyncflask.compat.finder import ModuleFinder, VersionFinder

_finders = (ModuleFinder(), VersionFinder())


def install() -> None:
    """Make ``import flask`` give :mod:`asyncflask.compat.flask`, in this process. Once is enough.

    :raises RuntimeError: Flask itself was imported before.
    """
    if is_installed():
        return
    before = _modules()
    if before:
        extensions = sorted(name for name in [*sys.modules] if name.startswith("flask_"))
        seen = f" (there are {', '.join(extensions)} already)" if extensions else ""
        raise RuntimeError(
            "Flask itself was imported before asyncflask.compat.install() was called, and what has "
            f"imported it keeps it{seen}. Call install() first: before 'import flask', and before "
            "the import of any extension. Plugins of pytest may import it, too."
        )
    modules, versions = _finders
    sys.meta_path.insert(0, modules)
    sys.meta_path.append(versions)


def uninstall() -> None:
    """Undo :func:`install`. Modules that have imported ``flask`` keep what they have."""
    if is_installed():
        for finder in _finders:
            sys.meta_path.remove(finder)
        for name in _modules():
            del sys.modules[name]


def is_installed() -> bool:
    """Whether ``import flask`` gives the compatibility namespace."""
    return _finders[0] in sys.meta_path


def _modules() -> list[str]:
    # A copy: other threads may import meanwhile.
    return [name for name in [*sys.modules] if name == "flask" or name.startswith("flask.")]


def flask_version() -> str:
    """Return the version of Flask that is installed beside it, else the one it is modelled on."""
    try:
        return importlib.metadata.version("flask")
    except importlib.metadata.PackageNotFoundError:
        return VersionFinder.version
