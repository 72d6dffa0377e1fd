"""What the tests of this package share: programs in other processes."""

from __future__ import annotations

from tests.programs import start as start
