"""Fixtures that serve."""

from __future__ import annotations

from tests.programs import meanwhile as meanwhile
from tests.programs import start as start
