"""Attributes that are made at the first access."""

from __future__ import annotations

import pytest

from asyncflask.lazy import lazy


class Thing:
    """Counts how often its attribute is made."""

    made = 0

    @lazy
    def part(self) -> str:
        """A part of it."""
        self.made += 1
        return f"part {self.made}"


def test_it_is_made_once_per_instance() -> None:
    """At the first access; then it is a plain attribute of the instance."""
    thing, other = Thing(), Thing()
    assert "part" not in thing.__dict__
    assert (thing.part, thing.part, other.part) == ("part 1", "part 1", "part 1")
    assert thing.__dict__["part"] == "part 1"


def test_it_can_be_assigned_and_deleted() -> None:
    """An assigned value is not made; a deleted one is made again."""
    thing = Thing()
    thing.part = "mine"
    assert (thing.part, thing.made) == ("mine", 0)
    del thing.part
    assert (thing.part, thing.made) == ("part 1", 1)


def test_the_class_has_the_descriptor_and_its_docstring() -> None:
    """As a property does."""
    assert isinstance(Thing.part, lazy)
    assert Thing.part.__doc__ == "A part of it."


def test_an_error_is_raised_again_at_the_next_access() -> None:
    """Nothing is kept of a failure."""

    class Broken:
        @lazy
        def part(self) -> str:
            raise LookupError("not yet")

    broken = Broken()
    for _ in range(2):
        with pytest.raises(LookupError, match="not yet"):
            _ = broken.part
