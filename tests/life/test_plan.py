"""How registrations become endpoints, once, when the application starts."""

from __future__ import annotations

from typing import Any

import pytest

from asyncflask import Blueprint, Flask, Response
from asyncflask.exceptions import SetupError
from asyncflask.life.plan import Plan, build_endpoint


def make_app() -> Flask:
    return Flask(__name__, static_folder=None)


async def view() -> str:
    return "ok"


def threaded_view() -> str:
    return "ok"


async def before() -> None: ...


def threaded_before() -> None: ...


async def after(response: Response) -> Response:
    return response


async def teardown(exc: BaseException | None) -> None: ...


def test_an_endpoint_without_hooks_is_the_view_itself() -> None:
    """Nothing is wrapped around an `async def` view, and nothing runs beside it."""
    endpoint = build_endpoint(make_app(), "index", view)
    assert (endpoint.name, endpoint.function, endpoint.view) == ("index", view, view)
    assert endpoint.before == endpoint.after == endpoint.preprocessors == ()
    assert endpoint.teardown_request == endpoint.teardown_appcontext == ()
    assert (endpoint.prelude, endpoint.elsewhere, endpoint.keep_worker) == (False, False, False)
    assert endpoint.direct


def test_a_def_function_makes_the_request_a_journey() -> None:
    """A worker is kept only where the view is `def`."""
    app = make_app()
    endpoint = build_endpoint(app, "index", threaded_view)
    assert (endpoint.elsewhere, endpoint.keep_worker) == (True, True)
    assert endpoint.function is threaded_view
    app.before_request(threaded_before)
    endpoint = build_endpoint(app, "index", view)
    assert (endpoint.elsewhere, endpoint.keep_worker, endpoint.prelude) == (True, False, True)


def test_hooks_are_flattened_in_the_order_they_run() -> None:
    """The application's and the blueprints'; those of other blueprints are not there."""
    app, inner, other = make_app(), Blueprint("inner", __name__), Blueprint("other", __name__)
    outer = Blueprint("outer", __name__)
    hooks: dict[str, list[Any]] = {}
    for name, registrar in {"app": app, "outer": outer, "inner": inner, "other": other}.items():

        async def own_before() -> None: ...

        async def own_after(response: Response) -> Response:
            return response

        async def own_teardown(exc: BaseException | None) -> None: ...

        def preprocess(endpoint: str | None, values: dict[str, Any] | None) -> None: ...

        registrar.before_request(own_before)  # type: ignore[attr-defined]
        registrar.after_request(own_after)  # type: ignore[attr-defined]
        registrar.teardown_request(own_teardown)  # type: ignore[attr-defined]
        registrar.url_value_preprocessor(preprocess)  # type: ignore[attr-defined]
        hooks[name] = [own_before, own_after, own_teardown, preprocess]
    app.teardown_appcontext(teardown)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.register_blueprint(other)
    endpoint = build_endpoint(app, "outer.inner.index", view)
    outward = ["app", "outer", "inner"]
    inward = outward[::-1]
    assert endpoint.before == tuple(hooks[name][0] for name in outward)
    assert endpoint.after == tuple(hooks[name][1] for name in inward)
    assert endpoint.teardown_request == tuple(hooks[name][2] for name in inward)
    assert endpoint.teardown_appcontext == (teardown,)
    assert endpoint.preprocessors == tuple(hooks[name][3] for name in outward)
    assert not endpoint.direct
    assert build_endpoint(app, None, view).before == (hooks["app"][0],)


def test_plain_values_are_sent_directly_only_if_nobody_sees_a_response() -> None:
    """An after function, another class or another `make_response` does."""
    app = make_app()
    assert build_endpoint(app, "index", view).direct
    app.after_request(after)
    assert not build_endpoint(app, "index", view).direct

    class Other(Response): ...

    special = make_app()
    special.response_class = Other
    assert not build_endpoint(special, "index", view).direct
    replaced = make_app()
    replaced.make_response = replaced.make_response  # type: ignore[method-assign]
    assert not build_endpoint(replaced, "index", view).direct


def test_the_plan_has_an_endpoint_for_each_view_and_for_none() -> None:
    """Requests without a match run the application's hooks; foreign routes have none of them."""
    app = make_app()
    app.add_url_rule("/", "index", view)
    app.before_request(before)
    app.teardown_request(teardown)
    plan = Plan(app)
    assert list(plan.endpoints) == ["index"]
    (rule,) = app.url_map.iter_rules("index")
    assert plan.endpoint_of(rule) is plan.endpoints["index"]
    assert (plan.miss.name, plan.miss.before, plan.miss.teardown_request) == (
        None,
        (before,),
        (teardown,),
    )
    assert (plan.foreign.function, plan.foreign.elsewhere, plan.foreign.teardown_request) == (
        None,
        True,
        (),
    )
    options = plan.options_for(plan.endpoint_of(rule))
    assert (options.name, options.before) == ("index", (before,))


async def test_a_rule_without_a_view() -> None:
    """The application starts; who asks for it gets an error that says what to do."""
    app = make_app()
    app.config["TESTING"] = True
    app.add_url_rule("/<x>", "forgotten")
    app.add_url_rule("/", "index", view)
    client = app.test_client()
    assert (await client.get("/")).text == "ok"
    with pytest.raises(
        SetupError, match=r"endpoint 'forgotten', but it has no view.*@app\.endpoint"
    ):
        await client.get("/x")
    assert (await client.options("/x")).status_code == 200


async def test_a_view_can_be_registered_after_its_rule() -> None:
    """With `@app.endpoint`."""
    app = make_app()
    app.add_url_rule("/", "later")
    app.endpoint("later")(view)
    assert (await app.test_client().get("/")).text == "ok"


def test_declarations_are_read_only_once_the_application_has_started() -> None:
    """Flask's dictionaries still can be read; changing them is an error that says why."""
    app = make_app()
    app.add_url_rule("/", "index", view)
    app.before_request(before)
    app.teardown_appcontext(teardown)
    app.register_error_handler(404, lambda exc: "missing")
    app.freeze()
    app.freeze()
    assert app.view_functions == {"index": view}
    assert list(app.before_request_funcs[None]) == [before]
    assert list(app.before_request_funcs["no_blueprint"]) == []
    assert app.before_request_funcs.get("no_blueprint") is None
    assert 404 in app.error_handler_spec[None]
    changes: list[Any] = [
        lambda: app.view_functions.update(other=view),
        lambda: app.view_functions.__setitem__("index", view),
        lambda: app.view_functions.pop("index"),
        lambda: app.before_request_funcs.setdefault("bp", []),
        lambda: app.before_request_funcs[None].append(before),
        lambda: app.before_request_funcs["bp"].append(before),
        lambda: app.before_request_funcs[None].insert(0, before),
        lambda: app.error_handler_spec[None][404].clear(),
        lambda: app.teardown_appcontext_funcs.append(teardown),  # type: ignore[attr-defined]
        lambda: app.before_request(before),
        lambda: app.add_url_rule("/late", "late", view),
        lambda: app.mount("/late", app),
        lambda: app.register_blueprint(Blueprint("late", __name__)),
    ]
    for change in changes:
        with pytest.raises(SetupError, match="started"):
            change()
