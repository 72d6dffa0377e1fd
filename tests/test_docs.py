"""The Python code of the README and of the documentation runs, and says the truth."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.document import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from asyncflask.config import DEFAULT_CONFIG

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]

sybil = Sybil(path=str(ROOT), parsers=[PythonCodeBlockParser()], document_types={".md": Document})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_code_blocks_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of one document share their names, from top to bottom."""
    monkeypatch.setattr(os, "environ", dict(os.environ))  # one sets a variable
    document = sybil.parse(ROOT / name)
    document.namespace["__name__"] = "documented"
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("name", [*DOCUMENTS, "CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name: str) -> None:
    """Links to files of the project, and to headings in them, are right."""
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text()):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            file = (ROOT / name).parent / path if path else ROOT / name
            assert file.is_file(), target
            assert not anchor or anchor in _anchors(file), target


def _anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_config_key_is_documented() -> None:
    """Each key has its line, and each line a key."""
    text = (ROOT / "docs/configuration.md").read_text()
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)) == set(DEFAULT_CONFIG)
