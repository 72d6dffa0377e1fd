"""Importing this module calls :func:`asyncflask.compat.install`; for use before other imports."""

from __future__ import annotations

from asyncflask.compat import install

install()
