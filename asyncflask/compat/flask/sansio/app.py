"""The application."""

from __future__ import annotations

from asyncflask.compat.flask.app import Flask as App

__all__ = ["App"]
