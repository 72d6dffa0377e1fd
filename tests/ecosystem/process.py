"""Programs in a process of their own, for what changes the whole process it is in."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


def run(*parts: str) -> Any:
    """Run a program, and return what it has printed last, as JSON."""
    program = "\n".join(map(textwrap.dedent, parts))
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])
