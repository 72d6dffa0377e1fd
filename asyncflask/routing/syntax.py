"""The language of rules: ``/users/<int:id>.<ext>`` becomes literals and variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from asyncflask.routing.errors import RuleError

_VARIABLE = re.compile(
    r"<(?:(?P<converter>[a-z_]\w*)(?:\((?P<arguments>.*?)\))?:)?(?P<name>[a-z_]\w*)>",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_ARGUMENT = re.compile(
    r"""\s*(?:(?P<name>\w+)\s*=\s*)?
        (?:(?P<text>"[^"]*"|'[^']*')|(?P<bare>[^\s,"'=]+))
        \s*(?:,|\Z)""",
    re.ASCII | re.VERBOSE,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?", re.ASCII)
_CONSTANTS = {"None": None, "True": True, "False": False}


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a rule: ``<converter(arguments):name>`` or ``<name>``.

    ``position`` is the index of its ``<`` in the rule.
    """

    name: str
    converter: str = "default"
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    position: int = 0


def parse_rule(rule: str) -> list[str | Variable]:
    """Split a rule into literal texts and variables.

    ``/a/<int:b>.<c>`` gives ``["/a/", Variable("b", "int"), ".", Variable("c")]``.

    :raises RuleError: it is malformed; the message says where and what to write.
    """
    tokens: list[str | Variable] = []
    names: set[str] = set()
    position = 0
    while position < len(rule):
        start = rule.find("<", position)
        if start < 0:
            tokens.append(rule[position:])
            break
        if start > position:
            tokens.append(rule[position:start])
        variable, position = _parse_variable(rule, start)
        if variable.name in names:
            raise RuleError(
                rule, f"the variable {variable.name!r} stands in it twice; rename one.", start
            )
        names.add(variable.name)
        tokens.append(variable)
    return tokens


def _parse_variable(rule: str, start: int) -> tuple[Variable, int]:
    match = _VARIABLE.match(rule, start)
    if match is None:
        end = rule.find(">", start)
        if end < 0:
            raise RuleError(rule, "'<' has no '>' that closes it. Write '<name>'.", start)
        raise RuleError(
            rule,
            f"{rule[start : end + 1]!r} is not a variable. Write '<name>', '<converter:name>' or "
            "'<converter(arguments):name>' with names of ASCII letters, digits and '_'.",
            start,
        )
    converter, arguments, name = match.group("converter", "arguments", "name")
    args, kwargs = _parse_arguments(rule, arguments or "", match.start("arguments"))
    return Variable(name, converter or "default", args, kwargs, start), match.end()


def _parse_arguments(rule: str, text: str, start: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    position = 0
    while position < len(text.rstrip()):
        match = _ARGUMENT.match(text, position)
        if match is None:
            raise RuleError(
                rule,
                f"cannot read the converter arguments from {text[position:]!r} on. "
                'Write them as (1, max=20, "text").',
                start + position,
            )
        name, quoted, bare = match.group("name", "text", "bare")
        value = _value(bare) if quoted is None else quoted[1:-1]
        if name:
            kwargs[name] = value
        else:
            args.append(value)
        position = match.end()
    return tuple(args), kwargs


def _value(text: str) -> Any:
    """Read an unquoted argument: a constant, a number, or the text itself."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text
