"""The facts of an exception, as plain records: its chain, its frames, their source and locals.

Nothing here may fail on account of the exception: a ``repr`` that raises or is huge, a missing
source file and a chain that refers to itself are all usual in a program that just broke.
"""

from __future__ import annotations

import linecache
import os
import re
import reprlib
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from types import CodeType, FrameType, ModuleType, TracebackType

CONTEXT_LINES = 5
MAX_FRAMES = 60
MAX_FAILURES = 16
MAX_VARIABLES = 60
MAX_REPR = 2000

MASK = "(hidden)"
_words = "passw|passphrase|secret|api_?key|private_?key|credential|authorization"
_secret = re.compile(_words, re.IGNORECASE)
# Within the repr of a dictionary or a data class: a name like that, and its string or list.
_secret_item = re.compile(
    rf"""([\w-]*(?:{_words})[\w-]*["']?\s*[:=]\s*)"""
    r"""(?:b?'(?:[^'\\]|\\.)*'?|b?"(?:[^"\\]|\\.)*"?|\[[^\]]*\]?|\([^)]*\)?)""",
    re.IGNORECASE | re.DOTALL,
)

_package = str(Path(__file__).parents[1])
_stdlib = sysconfig.get_path("stdlib")


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of source, in three parts: ``marked`` is what was being evaluated."""

    number: int
    before: str
    marked: str
    after: str
    current: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """A call in a traceback. ``library`` is empty for the developer's own code."""

    filename: str
    shown: str
    library: str
    line: int
    function: str
    lines: tuple[SourceLine, ...]
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Neighbouring frames, either of the developer's code or of ``libraries``.

    One without frames stands for as many as were ``left_out``.
    """

    frames: tuple[Frame, ...] = ()
    libraries: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception. ``relation`` says how it led to the one shown before it."""

    kind: str
    message: str
    relation: str
    sections: tuple[Section, ...]
    members: tuple[tuple[Failure, ...], ...] = ()

    @property
    def culprit(self) -> Frame | None:
        """The last frame of the developer's code, or else the last frame."""
        frames = [frame for section in self.sections for frame in section.frames]
        own = [frame for frame in frames if not frame.library]
        return next(reversed(own or frames), None)


def describe(error: BaseException) -> tuple[Failure, ...]:
    """Describe an exception and those that led to it; the one raised last comes first.

    Each exception is described once, wherever it comes up first.
    """
    return _describe_chain(error, MAX_FAILURES, set())


def safe_repr(value: object) -> str:
    """Return a ``repr`` of bounded length, with secrets in it masked.

    It never raises: a ``repr`` that does is told instead.
    """
    return _reprs.repr(value)


def _describe_chain(error: BaseException, limit: int, seen: set[int]) -> tuple[Failure, ...]:
    chain = list(islice(_chain(error, seen), limit))
    return tuple(_describe_one(each, relation, limit, seen) for each, relation in chain)


def _chain(error: BaseException, seen: set[int]) -> Iterator[tuple[BaseException, str]]:
    each: BaseException | None = error
    relation = ""
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each, relation
        if each.__cause__ is not None:
            each, relation = each.__cause__, "Caused by"
        elif each.__suppress_context__:
            return
        else:
            each, relation = each.__context__, "Raised while handling"


def _describe_one(error: BaseException, relation: str, limit: int, seen: set[int]) -> Failure:
    kind, message = _summary(error)
    members = error.exceptions[:limit] if isinstance(error, BaseExceptionGroup) else ()
    # Half as many at each level keeps a tree of groups small.
    described = [_describe_chain(member, limit // 2, seen) for member in members]
    return Failure(
        kind=kind,
        message=message,
        relation=relation,
        sections=tuple(_sections(error)),
        members=tuple(filter(None, described)),
    )


def _summary(error: BaseException) -> tuple[str, str]:
    module, kind = type(error).__module__, type(error).__qualname__
    if module not in ("builtins", "__main__"):
        kind = f"{module}.{kind}"
    # The standard library adds notes and "Did you mean ...?"; limit=0 spares it the frames. What
    # precedes the kind is the place of a syntax error, which gets a frame here.
    brief = traceback.TracebackException(type(error), error, error.__traceback__, limit=0)
    text = "".join(brief.format_exception_only())
    return kind, text.partition(kind)[2].removeprefix(":").strip()


def _sections(error: BaseException) -> Iterator[Section]:
    places = list(_walk(error.__traceback__))
    head, left_out, tail = places, 0, places[:0]
    if len(places) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        head, left_out, tail = places[:half], len(places) - 2 * half, places[-half:]
    yield from _folded([_frame(*place) for place in head])
    if left_out:
        yield Section(left_out=left_out)
    last = [_frame(*place) for place in tail]
    if isinstance(error, SyntaxError) and error.filename:
        last.append(_place_of_syntax_error(error, error.filename))
    yield from _folded(last)


def _walk(tb: TracebackType | None) -> Iterator[tuple[FrameType, int, int]]:
    while tb is not None:
        # Generated code may have no line numbers.
        yield tb.tb_frame, tb.tb_lasti, tb.tb_lineno or tb.tb_frame.f_code.co_firstlineno
        tb = tb.tb_next


def _folded(frames: Sequence[Frame]) -> Iterator[Section]:
    for is_library, neighbours in groupby(frames, key=lambda frame: bool(frame.library)):
        group = tuple(neighbours)
        names = dict.fromkeys(frame.library for frame in group) if is_library else ()
        yield Section(group, tuple(names))


def _frame(frame: FrameType, last_instruction: int, line: int) -> Frame:
    code, filename = frame.f_code, frame.f_code.co_filename
    from_template = "__jinja_exception__" in frame.f_globals
    linecache.checkcache(filename)
    # Jinja points its frames at the template's line; the columns are those of its own code.
    columns = None if from_template else _columns(code, last_instruction, line)
    return Frame(
        filename=filename,
        shown=_shorten(filename),
        library=_library(filename),
        line=line,
        function=code.co_name if from_template else code.co_qualname.replace(".<locals>", ""),
        lines=_source(linecache.getlines(filename, frame.f_globals), line, columns),
        variables=tuple(_variables(frame)),
    )


def _place_of_syntax_error(error: SyntaxError, filename: str) -> Frame:
    line = error.lineno or 1
    lines = linecache.getlines(filename) or [*[""] * (line - 1), error.text or ""]
    start = (error.offset or 1) - 1
    on_one_line = error.end_lineno == error.lineno and error.end_offset is not None
    end = max((error.end_offset or 0) - 1, start + 1) if on_one_line else start + 1
    return Frame(
        filename=filename,
        shown=_shorten(filename),
        library=_library(filename),
        line=line,
        function="",
        lines=_source(lines, line, (start, end)),
    )


def _columns(code: CodeType, last_instruction: int, line: int) -> tuple[int, int] | None:
    places = islice(code.co_positions(), last_instruction // 2, None)
    first, last, start, end = next(places, (None, None, None, None))
    if first != line or last != line or start is None or end is None:
        return None
    # The columns count bytes of UTF-8.
    text = linecache.getline(code.co_filename, line).encode()
    return len(text[:start].decode(errors="replace")), len(text[:end].decode(errors="replace"))


def _source(
    lines: Sequence[str], line: int, columns: tuple[int, int] | None
) -> tuple[SourceLine, ...]:
    first = max(line - CONTEXT_LINES, 1)
    part = [text.rstrip().expandtabs(8) for text in lines[first - 1 : line + CONTEXT_LINES]]
    indent = min((len(text) - len(text.lstrip()) for text in part if text), default=0)
    found = []
    for number, text in enumerate(part, first):
        shown = text[indent:]
        current = number == line
        parts = (shown, "", "")
        if current and columns is not None and "\t" not in lines[line - 1]:
            parts = _marked(shown, *(max(column - indent, 0) for column in columns))
        found.append(SourceLine(number, *parts, current))
    return tuple(found)


def _marked(text: str, start: int, end: int) -> tuple[str, str, str]:
    before, marked, after = text[:start], text[start:end], text[end:]
    # To mark all of a line tells no more than the line's own colour does.
    return (before, marked, after) if before.strip() or after.strip() else (text, "", "")


def _variables(frame: FrameType) -> Iterator[tuple[str, str]]:
    # A module and a template are full of functions and classes that say nothing about the error.
    # "__name__" and ".0", an iterator without a name, say nothing either.
    values_only = frame.f_code.co_name == "<module>" or "__jinja_exception__" in frame.f_globals
    shown = (
        (name, value)
        for name, value in list(frame.f_locals.items())
        if not name.startswith(("__", "."))
        and not isinstance(value, ModuleType)
        and not (values_only and callable(value))
    )
    for name, value in islice(shown, MAX_VARIABLES):
        yield name, MASK if _secret.search(name) else safe_repr(value)


def _library(filename: str) -> str:
    """Name the library that a file belongs to; empty for the developer's own.

    ``/venv/lib/python3.13/site-packages/starlette/routing.py`` gives ``starlette``.
    """
    _, found, rest = filename.replace("\\", "/").rpartition("-packages/")
    if found:
        return rest.partition("/")[0].removesuffix(".py")
    if filename.startswith(_package + os.sep):
        return "asyncflask"
    if filename.startswith((_stdlib + os.sep, "<frozen ")):
        return "Python"
    return ""


def _shorten(filename: str) -> str:
    _, found, rest = filename.replace("\\", "/").rpartition("-packages/")
    if found:
        return rest
    for root in (os.curdir, _package + "/..", _stdlib):
        start = os.path.realpath(root) + os.sep
        if filename.startswith(start):
            return filename.removeprefix(start)
    return filename


class _Reprs(reprlib.Repr):
    """Large containers are cut before their members are asked for a ``repr``."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 30
        self.maxdeque = self.maxarray = 30
        self.maxstring = self.maxother = self.maxlong = MAX_REPR

    def repr(self, x: object) -> str:
        try:
            text = super().repr(x)
        except Exception as error:
            text = _broken_repr(x, error)
        masked = _secret_item.sub(rf"\1{MASK}", text[: MAX_REPR + 1])
        return masked if len(masked) <= MAX_REPR else f"{masked[:MAX_REPR]}..."

    def repr_instance(self, x: object, level: int) -> str:
        # The base class hides which error it was, and goes through the type's name only.
        try:
            return repr(x)
        except Exception as error:
            return _broken_repr(x, error)


_reprs = _Reprs()


def _broken_repr(value: object, error: Exception) -> str:
    return f"<{type(value).__name__} object whose repr raised {type(error).__name__}>"
