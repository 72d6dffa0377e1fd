"""``python -m asyncflask`` is the ``asyncflask`` command."""

from __future__ import annotations

from asyncflask.cli import main

main()
