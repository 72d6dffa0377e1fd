"""What a rule may say, and the errors for what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from asyncflask.routing import BaseConverter, Map, Rule, RuleError
from asyncflask.routing.syntax import Variable, parse_rule


def test_a_rule_is_split_into_literals_and_variables() -> None:
    """Several variables may stand in one segment."""
    assert parse_rule("/a/<int:b>.<c>") == [
        "/a/",
        Variable("b", "int", position=3),
        ".",
        Variable("c", position=11),
    ]
    assert parse_rule("/a") == ["/a"]


@pytest.mark.parametrize(
    ("text", "args", "kwargs"),
    [
        ("", (), {}),
        ("1, 2.5, True, None", (1, 2.5, True, None), {}),
        ("a, 'b, c', \"d)e\"", ("a", "b, c", "d)e"), {}),
        ("min=-5, max = 7, name='x' ", (), {"min": -5, "max": 7, "name": "x"}),
        ("a-b,", ("a-b",), {}),
    ],
)
def test_converter_arguments_are_constants_numbers_and_texts(
    text: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """They are read as Werkzeug reads them; negative numbers work too."""
    variable = parse_rule(f"/<conv({text}):x>")[1]
    assert isinstance(variable, Variable)
    assert (variable.args, variable.kwargs) == (args, kwargs)


class Picky(BaseConverter):
    """A converter with a broken regular expression."""

    regex = "("


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("", "is empty"),
        ("a", "Write '/a'"),
        (None, "must be a string"),
        ("/a/<b", r"position 3\): '<' has no '>'"),
        ("/a/<b c>", r"position 3\): '<b c>' is not a variable"),
        ("/<a>/<a>", r"position 5\): the variable 'a' stands in it twice"),
        ("/<int(min=):a>", r"position 6\): cannot read the converter arguments from 'min='"),
        ("/<imt:a>", r"no converter 'imt'. Did you mean 'int'\?"),
        ("/<zzz:a>", "no converter 'zzz'. Known: any, default"),
        ("/<int(big=1):a>", "does not work with its arguments"),
        ("/<string(length=x):a>", "does not work with its arguments"),
        ("/<picky:a>", "does not work with its arguments"),
    ],
)
def test_a_bad_rule_says_where_and_what_to_write(string: Any, message: str) -> None:
    """The error names the rule, the position and the mend."""
    with pytest.raises(RuleError, match=message) as caught:
        Map([Rule(string)], converters={"picky": Picky})
    assert repr(string) in str(caught.value)
    assert caught.value.rule == string


def test_bad_rules_raise_the_types_that_werkzeug_raises() -> None:
    """So code that catches Werkzeug's and Flask's errors goes on working."""
    with pytest.raises(ValueError, match="slash"):
        Rule("a")
    with pytest.raises(LookupError, match="no converter"):
        Map([Rule("/<imt:a>")])
    with pytest.raises(TypeError, match=r"Write \['GET'\]"):
        Rule("/", methods="GET")


def test_websocket_rules_have_no_other_methods() -> None:
    """A handshake is a GET."""
    assert Rule("/", websocket=True, methods=["get"]).methods == {"GET", "HEAD"}
    with pytest.raises(RuleError, match="Leave methods out"):
        Rule("/", websocket=True, methods=["POST"])


def test_a_prefix_is_literal() -> None:
    """A mount cannot have variables; it always ends with a slash."""
    assert Rule("", prefix=True).rule == "/"
    assert Rule("/a", prefix=True).rule == "/a/"
    with pytest.raises(RuleError, match="cannot have variables"):
        Rule("/<a>", prefix=True)


def test_a_variable_is_in_the_host_or_in_the_path() -> None:
    """The same name in both is a mistake, and so are slashes in a host."""
    with pytest.raises(RuleError, match="its host and in its path"):
        Map([Rule("/<a>", host="<a>.com")], host_matching=True)
    with pytest.raises(RuleError, match="cannot have slashes"):
        Map([Rule("/", host="a.com/")], host_matching=True)
    with pytest.raises(RuleError, match="cannot have slashes"):
        Map([Rule("/", subdomain="<path:a>")])


def test_redirect_to_may_use_the_values_of_the_rule_only() -> None:
    """A name that the rule does not have is found when the rule is added."""
    with pytest.raises(RuleError, match=r"redirect_to has <b>, but the rule does not.*\['a'\]"):
        Map([Rule("/<a>", redirect_to="/x/<b>")])


def test_a_failed_rule_leaves_the_map_as_it_was() -> None:
    """And a rule can be in one map only."""
    url_map = Map()
    rule = Rule("/<imt:a>", endpoint="a")
    with pytest.raises(RuleError, match="imt"):
        url_map.add(rule)
    assert list(url_map.iter_rules()) == []
    url_map.converters["imt"] = url_map.converters["int"]
    url_map.add(rule)
    with pytest.raises(RuntimeError, match=r"Add rule.empty\(\)"):
        url_map.add(rule)
    other = Map([], converters={"imt": url_map.converters["int"]})
    other.add(rule.empty())
    assert [str(rule) for rule in other.iter_rules()] == ["/<imt:a>"]
