"""Errors that explain themselves in debug mode."""

from __future__ import annotations

from asyncflask.exceptions import DebugFilesKeyError as DebugFilesKeyError
from asyncflask.exceptions import FormDataRoutingRedirect as FormDataRoutingRedirect


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text where bytes are due, or the other way; a name of Flask's that code may catch."""
