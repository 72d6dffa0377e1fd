"""From a rule to the segments that the matcher compares with the segments of a path."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.routing import ValidationError

from asyncflask.routing.builder import Piece
from asyncflask.routing.converters import Parser, parser_of

#: The rank of a segment: literals first, then variables by weight, then the rest of a mount.
LITERAL: tuple[Any, ...] = (0,)
REST: tuple[Any, ...] = (2,)

#: What a segment gives: the name of a value and its parser, or None and a parser of a dictionary.
Field = tuple[str | None, Parser]


#: The longest text that is shared out among several variables, as in ``/<a>-<b>``; longer ones do
#: not match.
MOST_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class Segment:
    """One place between two slashes of a pattern.

    ``rank`` orders it against others in the same place. ``text`` is set for a literal, ``field``
    for variables. A ``final`` one takes the rest of the path.
    """

    rank: tuple[Any, ...]
    text: str | None = None
    field: Field | None = None
    final: bool = False


def segments_of(pieces: Iterable[Piece]) -> Iterator[Segment]:
    """Split a pattern at its slashes.

    ``/a/<int:b>.json`` gives the literals ``""`` and ``"a"``, and a variable segment. A variable
    that can match slashes takes what follows it into its own, final segment.
    """
    current: list[Piece] = []
    final = False
    for piece in pieces:
        if not isinstance(piece, str):
            current.append(piece)
            final = final or not piece[1].part_isolating
        elif final:
            current.append(piece)
        else:
            first, *others = piece.split("/")
            current.append(first)
            for text in others:
                yield _segment(current, final=False)
                current = [text]
    yield _segment(current, final)


def other_slash(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pattern with its last slash taken away, or with one added if it has none."""
    *others, last = pieces
    if not isinstance(last, str):
        return [*pieces, "/"]
    if not last.endswith("/"):
        return [*others, last + "/"]
    return [*others, last[:-1]]


def _segment(pieces: Sequence[Piece], final: bool) -> Segment:
    # An empty last literal is what is left of a slash behind a final variable: see other_slash.
    cut = final and pieces[-1] == ""
    pieces = [piece for piece in pieces if piece != ""]
    variables = [piece for piece in pieces if not isinstance(piece, str)]
    if not variables:
        return Segment(LITERAL, text="".join(pieces))  # type: ignore[arg-type]  # all are texts
    field: Field
    if len(pieces) == 1 and not cut:
        name, converter = variables[0]
        field = name, parser_of(converter)
    else:
        field = None, _mixed_parser(pieces, final, cut)
    return Segment(_rank(pieces), field=field, final=final)


def _rank(pieces: Iterable[Piece]) -> tuple[Any, ...]:
    """Order variable segments as Werkzeug does.

    More literal texts first, then longer ones, then more variables, then lighter converters.
    """
    lengths: list[int] = []
    weights: list[int] = []
    for piece in pieces:
        if isinstance(piece, str):
            lengths += [-len(text) for text in piece.split("/") if text]
        else:
            weights.append(piece[1].weight)
    return 1, -len(lengths), tuple(lengths), -len(weights), tuple(weights)


def _mixed_parser(pieces: Sequence[Piece], final: bool, cut: bool) -> Parser:
    """Return a parser for a segment with literals or several variables; it gives a dictionary."""
    regex = ""
    converters: list[tuple[str, str, Callable[[str], Any]]] = []
    for piece in pieces:
        if isinstance(piece, str):
            regex += re.escape(piece)
        else:
            name, converter = piece
            group = f"value_{len(converters)}"
            regex += f"(?P<{group}>{converter.regex})"
            converters.append((group, name, converter.to_python))
    if cut:
        regex += "(?<!/)"
    elif final and regex.endswith("/"):
        # "/w/<path:p>/" takes exactly one slash, so that the others can be merged.
        regex = f"{regex[:-1]}(?<!/)/"
    fullmatch = re.compile(regex).fullmatch
    # Several variables can share a text in many ways, which a hostile path makes the regular
    # expression try: its cost grows with a power of the length.
    most = sys.maxsize if len(converters) < 2 else MOST_CHARACTERS

    def parse(text: str) -> dict[str, Any]:
        match = fullmatch(text) if len(text) <= most else None
        if match is None:
            raise ValidationError
        return {name: to_python(match[group]) for group, name, to_python in converters}

    return parse
