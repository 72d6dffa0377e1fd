"""The framework's own errors, and what they tell."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import ServiceUnavailable

from asyncflask import (
    Flask,
    MissingAwaitError,
    SetupError,
    jsonify,
    render_template,
    render_template_string,
    request,
)
from asyncflask.exceptions import WorkerPoolFullError


def test_a_setup_error_is_what_flask_raises() -> None:
    """Code that expects Flask's `AssertionError` for the same mistakes goes on working."""
    assert issubclass(SetupError, AssertionError)
    assert issubclass(MissingAwaitError, RuntimeError)


def test_a_full_pool_is_a_503_with_a_time_to_come_back() -> None:
    """It is an HTTP exception, so error handlers see it as one."""
    error = WorkerPoolFullError(retry_after=7)
    assert isinstance(error, ServiceUnavailable)
    assert (error.code, error.retry_after) == (503, 7)
    assert dict(error.get_headers())["Retry-After"] == "7"
    assert "All worker threads are busy" in str(error)


@pytest.mark.parametrize("cls", [SetupError, MissingAwaitError])
def test_messages_are_kept(cls: type[Exception]) -> None:
    """The errors have no text of their own."""
    assert str(cls("what, where, what to do")) == "what, where, what to do"


# The forgotten `await`, as it happens in views.


def line_of(f: Any, marker: str) -> int:
    """Return the number of the line of `f` that has `marker`."""
    lines, start = inspect.getsourcelines(f)
    return start + next(number for number, line in enumerate(lines) if marker in line)


async def checks_truth() -> str:
    if request.form:  # here
        return "form"
    return "none"


async def takes_an_item() -> str:
    return request.form["x"]  # type: ignore[index, no-any-return]  # here


async def takes_an_attribute() -> Any:
    data = request.get_json()  # here
    return data.get("x")  # type: ignore[attr-defined]


async def returns_it() -> Any:
    return request.get_json()  # here


async def returns_it_with_a_status() -> Any:
    return request.get_json(), 201  # here


async def puts_it_into_a_dictionary() -> Any:
    return {"data": request.get_json()}  # here


async def puts_it_into_a_list() -> Any:
    return [request.json]  # here


async def puts_it_into_jsonify() -> Any:
    return jsonify(data=request.json)  # here


async def formats_it() -> str:
    return f"got {request.data!s}"  # here


async def adds_it() -> Any:
    return request.data + b"x"  # type: ignore[operator]  # here


async def compares_it() -> str:
    return "x" if request.data == b"x" else "y"  # type: ignore[comparison-overlap]  # here


async def iterates_it() -> Any:
    return [key for key in request.form]  # type: ignore[attr-defined]  # noqa: C416  # here


async def passes_it_to_a_template() -> str:
    return await render_template_string("{{ form }}", form=request.form)  # here


async def returns_a_template() -> Any:
    return render_template_string("x")  # here


@pytest.mark.parametrize(
    ("view", "expression", "what"),
    [
        (checks_truth, "request.form", "was tested for truth"),
        (takes_an_item, "request.form", "was used as a collection"),
        (takes_an_attribute, "request.get_json()", "was asked for its attribute 'get'"),
        (returns_it, "request.get_json()", "was returned by a view"),
        (returns_it_with_a_status, "request.get_json()", "was returned by a view"),
        (puts_it_into_a_dictionary, "request.get_json()", "was put into JSON"),
        (puts_it_into_a_list, "request.json", "was put into JSON"),
        (puts_it_into_jsonify, "request.json", "was put into JSON"),
        (formats_it, "request.data", "was made into text"),
        (adds_it, "request.data", "was used in an operation"),
        (compares_it, "request.data", "was compared"),
        (iterates_it, "request.form", "was used as a collection"),
        (passes_it_to_a_template, "request.form", "was made into text"),
        (returns_a_template, "render_template_string(...)", "was returned by a view"),
    ],
)
async def test_a_forgotten_await_says_where_and_what_to_write(
    view: Any, expression: str, what: str
) -> None:
    """The line that made the result, and the expression with its `await`."""
    app = Flask(__name__, static_folder=None)
    app.testing = True
    app.add_url_rule("/", "view", view, methods=["POST"])
    with pytest.raises(MissingAwaitError) as caught:
        await app.test_client().post("/", json={"x": 1})
    line = line_of(view, "# here")
    assert str(caught.value) == (
        f"{expression} {what}, but it has not been awaited (made at {__file__}:{line}). "
        f"In 'async def' code write: await {expression}"
    )


async def test_a_forgotten_await_within_a_template_names_the_line_of_the_template(
    tmp_path: Path,
) -> None:
    """A form that was read before the template is rendered is a value there."""
    (tmp_path / "page.html").write_text("one\ntwo\n{{ request.form['x'] }}\n")
    app = Flask(__name__, static_folder=None, template_folder=str(tmp_path))
    app.testing = True

    @app.post("/<int:early>")
    async def view(early: int) -> str:
        if early:
            await request.form
        return await render_template("page.html")

    client = app.test_client()
    with pytest.raises(MissingAwaitError, match=r"request\.form was used.*page\.html:3\)"):
        await client.post("/0", data={"x": "1"})
    assert (await client.post("/1", data={"x": "1"})).text == "one\ntwo\n1"


async def test_a_result_that_is_never_used_warns() -> None:
    """With the line that made it."""
    app = Flask(__name__, static_folder=None)

    @app.post("/")
    async def view() -> str:
        request.get_json()  # type: ignore[unused-awaitable]  # here
        return "done"

    with pytest.warns(RuntimeWarning, match=r"request\.get_json\(\) was never awaited") as caught:
        assert (await app.test_client().post("/", json={})).text == "done"
    assert (caught[0].filename, caught[0].lineno) == (__file__, line_of(view, "# here"))


def test_def_views_need_no_await() -> None:
    """The same names are values there."""
    app = Flask(__name__, static_folder=None)

    @app.post("/")
    def view() -> Any:
        data: Any = request.get_json()
        return {"got": data["x"], "page": render_template_string("{{ request.json.x }}")}

    response = app.sync_test_client().post("/", json={"x": 1})
    assert response.json() == {"got": 1, "page": "1"}
