"""The same applications on Flask, under gunicorn with threads."""

from __future__ import annotations

import sys


def command(scenario: str, port: int) -> list[str]:
    """Return the command of its server."""
    return [
        *(sys.executable, "-m", "gunicorn", f"benchmarks.flask_applications:{scenario}()"),
        *("--bind", f"127.0.0.1:{port}", "--workers", "1", "--log-level", "warning"),
        *("--worker-class", "gthread", "--threads", "4"),
    ]
