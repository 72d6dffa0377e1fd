"""Runs the Python code of the README and of the documentation as tests.

The blocks of one document share their names, from top to bottom.
"""

from __future__ import annotations

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md", "docs/*.md"],
    setup=lambda namespace: namespace.update(__name__="documented"),
).pytest()
