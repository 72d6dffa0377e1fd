"""What application and blueprint share."""

from __future__ import annotations

from asyncflask.helpers import _import_folder, _installation_prefix, get_root_path
from asyncflask.registrar import Registrar as Scaffold
from asyncflask.registrar import endpoint_of as _endpoint_from_view_func
from asyncflask.registrar import setupmethod as setupmethod


def find_package(import_name: str) -> tuple[str | None, str]:
    """Return the prefix that a package is installed under, or None, and the folder it is in."""
    folder = _import_folder(import_name, get_root_path(import_name))
    prefix = _installation_prefix(folder)
    return None if prefix is None else str(prefix), str(folder)


__all__ = ["Scaffold", "_endpoint_from_view_func", "find_package", "setupmethod"]
