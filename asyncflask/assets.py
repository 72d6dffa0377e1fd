"""What static files have beside themselves: compressed siblings, and hashes of their content."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from werkzeug.security import safe_join

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.registrar import Registrar

#: The content codings of siblings, the preferred first: ``app.css.br`` is ``app.css`` in Brotli.
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

#: How long a URL with a hash may be kept, in seconds: a year, the most that caches heed.
FOREVER = 31_536_000


def existing_codings(path: str) -> list[str]:
    """Return the codings that a file has siblings in; a sibling itself has none.

    A sibling that is older than the file is of another content, and none.
    """
    if path.endswith(tuple(SUFFIXES.values())):
        return []
    return [coding for coding, suffix in SUFFIXES.items() if _is_sibling(path + suffix, path)]


def _is_sibling(sibling: str, path: str) -> bool:
    try:
        state = os.stat(sibling)
        return S_ISREG(state.st_mode) and state.st_mtime >= os.stat(path).st_mtime
    except OSError:
        return False


def choose_coding(accepted: Iterable[tuple[str, float]], available: Iterable[str]) -> str | None:
    """Choose how a file is sent (RFC 9110, section 12.5.3).

    :param accepted: codings and their weights, as in ``request.accept_encodings``.
    :param available: the codings there are, the preferred first.
    :returns: the available coding with the greatest weight; None for the file itself, where no
        coding is accepted, or the client wants the file itself more.
    """
    weights = {name.lower(): weight for name, weight in accepted}
    if "x-gzip" in weights:
        weights.setdefault("gzip", weights["x-gzip"])
    chosen, best = None, 0.0
    for coding in available:
        weight = weights.get(coding, weights.get("*", 0.0))
        if weight > best:
            chosen, best = coding, weight
    itself = weights.get("identity", weights.get("*", 0.0))
    return None if itself > best else chosen


def version_of(folder: str, filename: str) -> str | None:
    """Return a hash of a file's content, or None where there is no such file.

    It is computed once for each state of the file.

    :param folder: the absolute path of the static folder.
    :param filename: the file in it.
    """
    path = safe_join(folder, filename)
    if path is None:
        return None
    try:
        state = os.stat(path)
        return _digest(path, state.st_mtime_ns, state.st_size) if S_ISREG(state.st_mode) else None
    except (OSError, ValueError):  # no such file, or a name that no file can have
        return None


@functools.lru_cache(maxsize=4096)
def _digest(path: str, _mtime: int, _size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, _make_hash).hexdigest()


def _make_hash() -> Any:
    return hashlib.blake2b(digest_size=8)


def add_version(app: Flask, endpoint: str, values: dict[str, Any]) -> None:
    """Add the hash of a static file to the values for its URL, as ``v`` (``STATIC_HASHED_URLS``).

    :param endpoint: ``static``, or that of a blueprint; others are left as they are.
    """
    blueprint, _, name = endpoint.rpartition(".")
    owners: Mapping[str, Registrar] = app.blueprints
    owner = owners.get(blueprint) if blueprint else app
    if name != "static" or owner is None or owner.static_folder is None or "v" in values:
        return
    version = version_of(owner.static_folder, str(values.get("filename")))
    if version is not None:
        values["v"] = version
