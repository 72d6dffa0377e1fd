"""The Makefile finds a Python that fits, and says so in one sentence where there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"

#: Programs that stand on the PATH as a Python. The Makefile asks each for its version, by -c.
TOO_OLD = "case $2 in *ensurepip*) exit 1;; esac; echo CPython 3.8.18"
BROKEN = "echo python3.13: command not found >&2; exit 127"
FITTING = f'exec "{sys.executable}" "$@"'


def make(path: Path, *arguments: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """Say what ``make`` would run, with only these programs on the PATH."""
    for name, script in programs.items():
        program = path / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return subprocess.run(
        [shutil.which("make") or "make", "--dry-run", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("target", ["run", "test", "check"])
def test_a_python_that_is_too_old_gets_one_sentence(target: str, tmp_path: Path) -> None:
    """It says what is needed, what was found and what to do; nothing is run."""
    result = make(tmp_path, target, python3=TOO_OLD, python3_13=BROKEN)
    assert result.returncode != 0
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "asyncflask needs CPython 3.11 or newer" in line
    assert "found here: CPython 3.8.18." in line
    assert line.endswith("make PYTHON=/path/to/python.  Stop.")


@pytest.mark.parametrize("target", ["test-ecosystem", "compatibility"])
def test_other_peoples_packages_want_a_newer_one(target: str, tmp_path: Path) -> None:
    """Quart does; the sentence says so before anything is installed."""
    is_fitting = sys.version_info >= (3, 13)
    (tmp_path / "python3").symlink_to(sys.executable)
    result = make(tmp_path, target)
    assert (result.returncode == 0) == is_fitting
    assert (f"{target} needs CPython 3.13 or newer" in result.stderr) != is_fitting


def test_no_python_at_all_is_told(tmp_path: Path) -> None:
    """The sentence is the same."""
    assert "found here: no Python." in make(tmp_path, "test").stderr


@pytest.mark.parametrize("target", ["", "help", "clean"])
def test_some_targets_need_no_python(target: str, tmp_path: Path) -> None:
    """Help and cleaning up always work."""
    assert make(tmp_path, *target.split(), python3=TOO_OLD).returncode == 0


def test_a_python_that_fits_is_found(tmp_path: Path) -> None:
    """Those that do not run or do not fit are passed over, and the environment is by version."""
    result = make(tmp_path, "python", python3_14=BROKEN, python3=TOO_OLD, python=FITTING)
    assert result.stdout == f"echo python {VERSION}\n"


def test_a_python_can_be_named(tmp_path: Path) -> None:
    """One that is named is taken, or refused; no other is looked for."""
    assert make(tmp_path, "python", f"PYTHON={sys.executable}").returncode == 0
    assert make(tmp_path, "python", "PYTHON=old", old=TOO_OLD, python3=FITTING).returncode != 0


def test_running_installs_less_than_testing(tmp_path: Path) -> None:
    """``make run`` needs no test tools."""
    environment = f".venv/{VERSION}"
    (tmp_path / "python3").symlink_to(sys.executable)
    run = make(tmp_path, "run", "--always-make").stdout
    test = make(tmp_path, "test", "--always-make").stdout
    assert "--editable '.[standard]'" in run
    assert (
        f"{environment}/bin/asyncflask --app examples.board run --host 127.0.0.1 --port 5000" in run
    )
    assert "--editable '.[standard,dev]'" in test
    assert f"{environment}/bin/python -m pytest" in test
