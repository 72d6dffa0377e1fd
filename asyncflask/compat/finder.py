"""What the import system asks for ``flask`` once the compatibility namespace is installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from os import PathLike
from pathlib import Path
from types import ModuleType

#: The package that stands for ``flask``.
NAMESPACE = "asyncflask.compat.flask"


class ModuleFinder(MetaPathFinder):
    """Finds ``flask`` and its submodules in the namespace, and nowhere else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module comes from; None for those of other packages.

        :raises ModuleNotFoundError: it is a module of Flask's that the namespace does not have.
        """
        package, _, rest = fullname.partition(".")
        if package != "flask":
            return None
        name = f"{NAMESPACE}.{rest}" if rest else NAMESPACE
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: {NAMESPACE} stands for 'flask' here, and has none.",
                name=fullname,
            )
        is_package = spec.submodule_search_locations is not None
        return ModuleSpec(fullname, _Alias(name), origin=spec.origin, is_package=is_package)


class _Alias(Loader):
    """Gives a module another name. There is one module object, whichever name it is imported by."""

    def __init__(self, name: str) -> None:
        self._name = name

    def exec_module(self, module: ModuleType) -> None:
        # The import system takes what it finds here afterwards.
        sys.modules[module.__name__] = importlib.import_module(self._name)


_ANY = DistributionFinder.Context()


class VersionFinder(MetaPathFinder):
    """Tells ``importlib.metadata`` a version of Flask where none is installed.

    Extensions ask for it there.
    """

    #: The version whose behaviour the namespace follows.
    version = "3.1.3"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing: modules are not its concern."""
        return None

    def find_distributions(
        self, context: DistributionFinder.Context = _ANY
    ) -> Iterable[Distribution]:
        """Return a description of Flask if it is asked for by name.

        This comes after all other finders: one that is installed is found before.
        """
        return [_Flask()] if context.name is not None and context.name.lower() == "flask" else []


class _Flask(Distribution):
    """The metadata of a Flask that is not there."""

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: Flask\nVersion: {VersionFinder.version}\n"

    def locate_file(self, path: str | PathLike[str]) -> Path:
        raise FileNotFoundError(f"Flask is not installed, so there is no {path!s}")
