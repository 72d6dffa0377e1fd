"""The facts that are gathered from an exception."""

from __future__ import annotations

import importlib
import json
import linecache
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader, Environment, FileSystemLoader

from asyncflask.debug import failure
from asyncflask.debug.failure import Failure, Frame, describe, safe_repr


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise RuntimeError("nothing was raised")


def frames(described: Failure) -> list[Frame]:
    return [frame for section in described.sections for frame in section.frames]


def marked(frame: Frame) -> str:
    return next(line.marked for line in frame.lines if line.current)


def test_kind_and_message() -> None:
    """An exception is named by its kind, with the module where it is not a built-in one."""
    plain, own = ValueError("bad: worse"), json.JSONDecodeError("no", "x", 0)
    assert [(f.kind, f.message) for f in describe(plain)] == [("ValueError", "bad: worse")]
    [described] = describe(own)
    assert described.kind == "json.decoder.JSONDecodeError"
    assert described.message == "no: line 1 column 1 (char 0)"
    assert describe(KeyError())[0].message == ""


def test_notes_and_suggestions_are_in_the_message() -> None:
    """What Python adds to a message is kept: notes, and the nearest name."""
    noted = ValueError()
    noted.add_note("look here")
    assert describe(noted)[0].message == "look here"

    def misspelt() -> object:
        number = 1
        return numbr + number  # type: ignore[name-defined]  # noqa: F821

    error = caught(misspelt)
    # "Did you mean: 'number'?" comes with Python 3.12.
    assert traceback.format_exception(error)[-1] == f"NameError: {describe(error)[0].message}\n"


def test_frame_with_source_and_the_part_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame shows lines around the one that failed, and marks the expression in it."""
    monkeypatch.chdir(Path(__file__).parents[1])

    def divide() -> float:
        nothing = 0
        return 1 + (1 / nothing) + 1

    [described] = describe(caught(divide))
    frame = described.culprit
    assert frame is not None
    assert frame.function.endswith("divide")
    assert "<locals>" not in frame.function
    assert frame.filename == __file__
    assert frame.shown == "debug/test_failure.py"
    assert frame.library == ""
    assert marked(frame) == "1 / nothing"
    assert len(frame.lines) == 11
    assert dict(frame.variables) == {"nothing": "0"}


def test_the_mark_counts_characters() -> None:
    """Characters of several bytes before the expression do not shift the mark."""

    def divide() -> tuple[str, float]:
        nothing = 0
        return "Größe ✓", 1 / nothing

    culprit = describe(caught(divide))[0].culprit
    assert culprit is not None
    assert marked(culprit) == "1 / nothing"


def test_a_line_that_failed_as_a_whole_is_not_marked() -> None:
    """The line is told anyway."""

    def fail() -> None:
        raise ValueError

    culprit = describe(caught(fail))[0].culprit
    assert culprit is not None
    assert marked(culprit) == ""


def test_an_expression_over_several_lines_is_not_marked() -> None:
    """Only its first line is the current one."""

    def fail() -> int:
        return (
            int(
                "x",
            )
            + 1
        )

    culprit = describe(caught(fail))[0].culprit
    assert culprit is not None
    assert marked(culprit) == ""


def test_tabs(tmp_path: Path) -> None:
    """A line with tabs is shown expanded, without a mark, whose column is not known."""
    file = tmp_path / "tabbed.py"
    file.write_text("def fail():\n\treturn 1 + 1 / 0\n")
    namespace: dict[str, Any] = {}
    exec(compile(file.read_text(), file, "exec"), namespace)
    culprit = describe(caught(namespace["fail"]))[0].culprit
    assert culprit is not None
    assert culprit.shown == str(file)
    assert [(line.before, line.marked) for line in culprit.lines] == [
        ("def fail():", ""),
        ("        return 1 + 1 / 0", ""),
    ]


def test_source_that_is_not_there() -> None:
    """Code without a file gives a frame without lines."""
    namespace: dict[str, Any] = {}
    exec(compile("def fail():\n  1 / 0", "<typed>", "exec"), namespace)
    culprit = describe(caught(namespace["fail"]))[0].culprit
    assert culprit is not None
    assert (culprit.filename, culprit.lines) == ("<typed>", ())


def test_code_without_positions() -> None:
    """Code that was stripped of column numbers is shown without a mark."""

    def divide() -> float:
        nothing = 0
        return 1 + 1 / nothing

    divide.__code__ = divide.__code__.replace(co_linetable=b"")
    error = caught(divide)
    assert error.__traceback__ is not None
    assert describe(error)[0].kind == "ZeroDivisionError"


def test_libraries_are_told_apart_and_folded() -> None:
    """Frames of libraries are grouped; the culprit is the last one of the developer's code."""
    [described] = describe(caught(lambda: json.loads("{")))
    own, library = described.sections
    assert not own.libraries
    assert library.libraries == ("Python",)
    assert library.frames[-1].shown == "json/decoder.py"
    assert described.culprit is own.frames[-1]


@pytest.mark.parametrize(
    ("filename", "library", "shown"),
    [
        ("/v/lib/python3.13/site-packages/starlette/x.py", "starlette", "starlette/x.py"),
        ("/usr/lib/python3/dist-packages/six.py", "six", "six.py"),
        ("C:\\v\\Lib\\site-packages\\click\\core.py", "click", "click/core.py"),
        ("<frozen importlib._bootstrap>", "Python", "<frozen importlib._bootstrap>"),
        (failure.__file__, "asyncflask", "asyncflask/debug/failure.py"),
        ("/srv/shop/views.py", "", "/srv/shop/views.py"),
    ],
)
def test_files_of_libraries(filename: str, library: str, shown: str) -> None:
    """The library is named after its folder, and the path is shown from there."""
    namespace: dict[str, Any] = {}
    exec(compile("def fail():\n  1 / 0", filename, "exec"), namespace)
    frame = frames(describe(caught(namespace["fail"]))[0])[-1]
    assert (frame.library, frame.shown) == (library, shown)


def test_culprit_without_own_code_or_frames() -> None:
    """Where there are only library frames the last is the culprit; without frames there is none."""
    error = caught(lambda: json.loads("{"))
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next.tb_next  # type: ignore[union-attr]  # below
    culprit = describe(error)[0].culprit
    assert culprit is not None
    assert culprit.library == "Python"
    assert describe(ValueError())[0].culprit is None


def test_variables_at_module_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At module level only values are shown, not everything that was defined and imported."""
    (tmp_path / "broken.py").write_text("import os\ndef f(): pass\nlimit = 3\n1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    culprit = describe(caught(lambda: importlib.import_module("broken")))[0].culprit
    assert culprit is not None
    assert culprit.variables == (("limit", "3"),)


def test_variables_without_meaning() -> None:
    """Modules, and what Python itself names, are left out."""

    def fail() -> float:
        import math

        return sum(math.pi / n for n in [0])

    described = [dict(frame.variables) for frame in frames(describe(caught(fail))[0])[-2:]]
    assert described == [{}, {"n": "0"}]


def test_secret_variables_are_hidden() -> None:
    """Values whose name sounds like a secret are masked."""

    def fail() -> None:
        password = db_secret = API_KEY = "hunter2"
        raise ValueError(len(password + db_secret + API_KEY))

    culprit = describe(caught(fail))[0].culprit
    assert culprit is not None
    assert {value for _, value in culprit.variables} == {"(hidden)"}


def test_chain_of_causes_and_contexts() -> None:
    """The exception raised last comes first, then what led to it."""

    def fail() -> None:
        try:
            try:
                raise KeyError("a")
            except KeyError as error:
                raise ValueError("b") from error
        except ValueError:
            raise TypeError("c")  # noqa: B904

    described = describe(caught(fail))
    assert [(each.kind, each.relation) for each in described] == [
        ("TypeError", ""),
        ("ValueError", "Raised while handling"),
        ("KeyError", "Caused by"),
    ]


def test_suppressed_context_is_not_shown() -> None:
    """``raise ... from None`` hides what came before, as in Python's own tracebacks."""

    def fail() -> None:
        try:
            raise KeyError("a")
        except KeyError:
            raise ValueError("b") from None

    assert [each.kind for each in describe(caught(fail))] == ["ValueError"]


def test_chain_that_refers_to_itself() -> None:
    """A circle is walked once."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert [each.message for each in describe(first)] == ["first", "second"]


def test_long_chain_is_cut() -> None:
    """The number of exceptions is bounded."""
    chain: BaseException = ValueError(0)
    for number in range(1, 100):
        after = ValueError(number)
        after.__cause__ = chain
        chain = after
    assert len(describe(chain)) == failure.MAX_FAILURES


def test_members_of_groups() -> None:
    """The members of an exception group are described below it, each with its own chain."""
    inner = ExceptionGroup("inner", [KeyError("k")])
    group = ExceptionGroup("outer", [ValueError("v"), inner])
    [described] = describe(group)
    assert described.message == "outer (2 sub-exceptions)"
    (first,), (second,) = described.members
    assert first.kind == "ValueError"
    assert second.members[0][0].kind == "KeyError"


def test_each_exception_is_described_once() -> None:
    """A member that was taken out of its group is not repeated below the group."""
    member = ValueError("member")
    group = ExceptionGroup("group", [member, KeyError("other")])
    member.__context__ = group
    first, second = describe(member)
    assert (first.message, second.message) == ("member", "group (2 sub-exceptions)")
    assert [chain[0].kind for chain in second.members] == ["KeyError"]


def test_deep_recursion_leaves_out_the_middle() -> None:
    """Of a thousand frames the first and the last are shown, and how many are not."""

    def deep(n: int) -> int:
        return deep(n + 1)

    [described] = describe(caught(lambda: deep(0)))
    assert len(frames(described)) == failure.MAX_FRAMES
    assert sum(section.left_out for section in described.sections) > 100


def test_syntax_error_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of a syntax error is a frame of its own."""
    file = tmp_path / "wrong.py"
    file.write_text("a = 1\ndef f(:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    [described] = describe(caught(lambda: importlib.import_module("wrong")))
    assert described.kind == "SyntaxError"
    assert described.message == "invalid syntax"
    culprit = described.culprit
    assert culprit is not None
    assert (culprit.filename, culprit.line, culprit.function) == (str(file), 2, "")
    assert [line.number for line in culprit.lines] == [1, 2, 3]
    assert marked(culprit) == ":"


def test_syntax_error_without_a_file() -> None:
    """Code from elsewhere shows the line that the exception carries."""
    error = caught(lambda: compile("x = 1\ny = = 2\n", "<typed>", "exec"))
    culprit = describe(error)[0].culprit
    assert culprit is not None
    assert next(line for line in culprit.lines if line.current).number == 2
    assert marked(culprit) == "="
    # Made by hand it may carry next to nothing.
    bare = SyntaxError("odd", ("<made>", None, None, None))
    assert describe(bare)[0].culprit is not None
    assert describe(SyntaxError("odd"))[0].culprit is None


def test_error_in_a_template_file(tmp_path: Path) -> None:
    """An error in a template shows the template's line and the template's values."""
    (tmp_path / "page.html").write_text("<ul>\n{% for n in rows %}\n{{ 1 / n }}\n{% endfor %}\n")
    environment = Environment(loader=FileSystemLoader(tmp_path), autoescape=True)
    template = environment.get_template("page.html")
    culprit = describe(caught(lambda: template.render(rows=[0])))[0].culprit
    assert culprit is not None
    assert (Path(culprit.filename).name, culprit.line) == ("page.html", 3)
    assert culprit.function == "top-level template code"
    assert [line.before for line in culprit.lines if line.current] == ["{{ 1 / n }}"]
    assert dict(culprit.variables) == {"rows": "[0]", "n": "0"}


def test_syntax_error_in_a_template() -> None:
    """A template that cannot be compiled is described too, also without a file."""
    environment = Environment(loader=DictLoader({"a.html": "{% if %}"}), autoescape=True)
    [described] = describe(caught(lambda: environment.get_template("a.html")))
    assert described.kind == "jinja2.exceptions.TemplateSyntaxError"
    assert "Expected an expression" in described.message


class Loud:
    def __repr__(self) -> str:
        raise ValueError("no repr")


class Long:
    def __repr__(self) -> str:
        return "x" * 100_000


class Lying:
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


def test_repr_never_raises_and_is_bounded() -> None:
    """Whatever the object, its ``repr`` is a short string."""
    broken = "<Loud object whose repr raised ValueError>"
    assert safe_repr(Loud()) == broken
    assert safe_repr([Loud()]) == f"[{broken}]"
    assert safe_repr({1: Loud()}) == f"{{1: {broken}}}"
    for value in (Long(), "x" * 100_000, list(range(10**6)), [["x" * 2000] * 20] * 20):
        assert len(safe_repr(value)) <= failure.MAX_REPR + 3
    assert safe_repr("short") == "'short'"
    assert "Lying" in safe_repr(Lying())


@dataclass
class User:
    name: str
    password: str
    api_keys: list[str]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"SECRET_KEY": "abc", "DEBUG": True}, "{'DEBUG': True, 'SECRET_KEY': (hidden)}"),
        ({"db-password": b'it\'s "x"', "a": "b"}, "{'a': 'b', 'db-password': (hidden)}"),
        ({"SECRET_KEY_FALLBACKS": ["a", "b"]}, "{'SECRET_KEY_FALLBACKS': (hidden)}"),
        ({"SECRET_KEY": None}, "{'SECRET_KEY': None}"),
        (User("ada", "it's", ["k"]), "User(name='ada', password=(hidden), api_keys=(hidden))"),
        ("the password is long", "'the password is long'"),
    ],
)
def test_secrets_within_a_repr(value: object, shown: str) -> None:
    """Strings and lists under a name that sounds like a secret are masked."""
    assert safe_repr(value) == shown


def test_secret_that_is_cut() -> None:
    """A secret at the place where a long ``repr`` is cut is masked too."""

    class Settings(dict[str, str]):
        def __repr__(self) -> str:
            return f"<Settings {dict(self)!r}>"

    settings = Settings(padding="x" * (failure.MAX_REPR - 60), secret="y" * 100)
    assert "secret" in safe_repr(settings)
    assert "yy" not in safe_repr(settings)


def test_repr_of_an_odd_container() -> None:
    """A subclass that breaks the container's own methods is told like a broken ``repr``."""

    def fail(_: object) -> int:
        raise KeyError("no length")

    # The standard library goes by the name of the type.
    odd = type("dict", (dict,), {"__len__": fail, "__module__": "builtins"})
    assert "whose repr raised KeyError" in safe_repr(odd(a=1))


def test_changed_files_are_read_again(tmp_path: Path) -> None:
    """The source shown is the one on disk, not one that was read before it changed."""
    file = tmp_path / "changing.py"
    file.write_text("def fail():\n  1 / 0  # before\n")
    linecache.getlines(str(file))
    file.write_text("def fail():\n  1 / 0  # changed since\n")
    namespace: dict[str, Any] = {}
    exec(compile(file.read_text(), file, "exec"), namespace)
    culprit = describe(caught(namespace["fail"]))[0].culprit
    assert culprit is not None
    assert any("changed since" in line.before + line.after for line in culprit.lines)
