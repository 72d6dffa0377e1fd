"""What tests of WSGI share."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from asyncflask.wsgi.process import this_process


@pytest.fixture(autouse=True)
def process_ends() -> Iterator[None]:
    """Each test begins without a loop, as a process of a server does."""
    this_process().end()
    yield
    this_process().end()
    gc.collect(1)  # what the test has left is young; all of it takes seconds in a long run
    assert "asyncflask-wsgi" not in [thread.name for thread in threading.enumerate()]
