"""Class-based views, beside Flask's and Quart's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any, ClassVar

import flask
import flask.views
import pytest

from asyncflask import Blueprint, Flask, g, request, views
from asyncflask.concurrency import running_loop
from asyncflask.exceptions import SetupError
from asyncflask.views import MethodView, View


def place() -> str:
    """Where this code runs."""
    return "worker" if running_loop() is None else "loop"


@pytest.fixture
def app() -> Flask:
    made = Flask(__name__, static_folder=None)
    made.config["TESTING"] = True
    return made


# The same classes, of ours or of Flask's.


def basic(module: ModuleType, request: Any) -> Any:
    class Index(module.View):
        """About the class."""

        methods = ["GET", "POST"]  # noqa: RUF012 - as users write it

        def __init__(self, greeting: str, punctuation: str = "") -> None:
            self.text = f"{greeting}{punctuation}"

        def dispatch_request(self, **values: Any) -> Any:
            return f"{self.text} {request.method} {values}"

    return Index.as_view("index", "Hello", punctuation="!")


def by_method(module: ModuleType, request: Any) -> Any:
    class Index(module.MethodView):
        def get(self, number: int = 0) -> Any:
            return f"{request.method} {number}", {"X-Method": request.method}

        def post(self, number: int = 0) -> Any:
            return f"{request.method} {number}"

    class Better(Index):
        def delete(self, number: int = 0) -> Any:
            return "DELETE"

        def head(self, number: int = 0) -> Any:
            return "", {"X-Method": "own HEAD"}

    return Index.as_view("index"), Better.as_view("better")


def with_own_methods(module: ModuleType, request: Any) -> Any:
    class Base(module.MethodView):
        methods = ["GET", "PROPFIND"]  # noqa: RUF012

    class Child(Base):
        def get(self) -> Any:
            return "GET"

        def propfind(self) -> Any:
            return "PROPFIND"

    class Other(module.MethodView):
        def post(self) -> Any:
            return "POST"

    class Both(Child, Other):
        pass

    class Only(Child, Other):
        methods = ["GET"]  # noqa: RUF012

    class Nothing(module.MethodView):
        pass

    return [cls.as_view(cls.__name__.lower()) for cls in (Child, Both, Only, Nothing)]


def decorated(module: ModuleType, request: Any) -> Any:
    def parachute(f: Callable[..., Any]) -> Callable[..., Any]:
        def with_parachute(**values: Any) -> Any:
            return f"{f(**values)} with parachute of {f.__name__} in {f.__module__}"

        return with_parachute

    class Index(module.View):
        decorators = [parachute, parachute]  # noqa: RUF012

        def dispatch_request(self) -> Any:
            return "Awesome"

    return Index.as_view("index")


def with_options(module: ModuleType, request: Any) -> Any:
    class Never(module.View):
        provide_automatic_options = False

        def dispatch_request(self) -> Any:
            return "x"

    class Always(module.View):
        methods = ["OPTIONS"]  # noqa: RUF012
        provide_automatic_options = True

        def dispatch_request(self) -> Any:
            return "x"

    return Never.as_view("never"), Always.as_view("always")


def init_once(module: ModuleType, request: Any) -> Any:
    class Once(module.MethodView):
        init_every_request = False
        made = 0

        def __init__(self) -> None:
            type(self).made += 1

        def get(self) -> Any:
            return str(self.made)

    class Often(Once):
        init_every_request = True

    return Once.as_view("once"), Often.as_view("often")


def patched(module: ModuleType, request: Any) -> Any:
    class Index(module.View):
        def dispatch_request(self) -> Any:
            raise ZeroDivisionError

    class Other(module.View):
        def dispatch_request(self) -> Any:
            return "the other"

    view = Index.as_view("index")
    view.view_class = Other
    return view


class TestTheSameAsFlask:
    @pytest.mark.parametrize(
        "make", [basic, by_method, with_own_methods, decorated, with_options, init_once, patched]
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
    def test_requests(self, make: Any, method: str) -> None:
        """Methods, inheritance, decorators, instances, answers to OPTIONS."""
        ours, theirs = make(views, request), make(flask.views, flask.request)
        app, other = Flask("a", root_path="/"), flask.Flask("a", root_path="/")
        ours, theirs = [x if isinstance(x, list | tuple) else [x] for x in (ours, theirs)]
        for mine, its in zip(ours, theirs, strict=True):
            for attribute in ("__name__", "__doc__", "__module__", "provide_automatic_options"):
                assert getattr(mine, attribute) == getattr(its, attribute)
            assert set(mine.methods or ()) == set(its.methods or ())
            app.add_url_rule(f"/{mine.__name__}", view_func=mine)
            other.add_url_rule(f"/{mine.__name__}", view_func=its)
        client, their_client = app.sync_test_client(), other.test_client()
        for mine in ours:
            for _ in range(2):
                mine_says = client.open(f"/{mine.__name__}", method=method)
                it_says = their_client.open(f"/{mine.__name__}", method=method)
                assert mine_says.status_code == it_says.status_code
                if it_says.status_code == 200:
                    assert mine_says.content == it_says.data
                    assert mine_says.headers.get("x-method") == it_says.headers.get("x-method")
                mine_allows = mine_says.headers.get("allow", "").split(", ")
                assert sorted(mine_allows) == sorted(it_says.headers.get("allow", "").split(", "))

    def test_an_endpoint_is_taken_once(self, app: Flask) -> None:
        """Each `as_view` makes a function of its own."""

        class Index(View):
            def dispatch_request(self) -> str:
                return "x"  # pragma: no cover - never asked

        app.add_url_rule("/", view_func=Index.as_view("index"))
        with pytest.raises(SetupError, match="has a view already"):
            app.add_url_rule("/", view_func=Index.as_view("index"))

    def test_variables_and_blueprints(self) -> None:
        """Variables of the rule are arguments; a blueprint's name stands before the endpoint."""

        class Show(MethodView):
            def get(self, number: int) -> Any:
                return f"{number} {request.endpoint}"

        app = Flask(__name__, static_folder=None)
        blueprint = Blueprint("bp", __name__, url_prefix="/bp")
        blueprint.add_url_rule("/<int:number>", view_func=Show.as_view("show"))
        app.register_blueprint(blueprint)
        assert app.sync_test_client().get("/bp/7").text == "7 bp.show"


class Mixed(MethodView):
    """Has methods of both kinds."""

    async def get(self) -> str:
        return f"get {place()} {threading.current_thread().name}"

    def post(self) -> str:
        return f"post {place()}"


class AllAsync(MethodView):
    async def get(self) -> str:
        return f"get {place()}"

    async def post(self) -> str:
        return f"post {place()}"


class AllDef(MethodView):
    def get(self) -> str:
        return f"get {place()}"

    def post(self) -> str:
        return f"post {place()}"


class AsyncView(View):
    methods: ClassVar[list[str]] = ["GET", "POST"]

    async def dispatch_request(self) -> str:
        return f"{request.method.lower()} {place()}"


class DefView(View):
    methods: ClassVar[list[str]] = ["GET", "POST"]

    def dispatch_request(self) -> str:
        return f"{request.method.lower()} {place()}"


class OwnDispatch(Mixed):
    """Its own way of dispatching decides."""

    async def dispatch_request(self, **values: Any) -> str:
        return f"{await super().dispatch_request(**values)} by {place()}"


class OwnDefDispatch(Mixed):
    def dispatch_request(self, **values: Any) -> str:
        return f"{super().dispatch_request(**values)} by {place()}"


class TestTheRuleForFunctions:
    @pytest.mark.parametrize(
        ("view_class", "get", "post"),
        [
            (Mixed, "get loop MainThread", "post worker"),
            (AllAsync, "get loop", "post loop"),
            (AllDef, "get worker", "post worker"),
            (AsyncView, "get loop", "post loop"),
            (DefView, "get worker", "post worker"),
            (OwnDispatch, "get loop MainThread by loop", "post worker by loop"),
            (OwnDefDispatch, "get loop MainThread by worker", "post worker by worker"),
        ],
    )
    async def test_each_method_has_its_place(
        self, app: Flask, view_class: type[View], get: str, post: str
    ) -> None:
        """`async def` on the loop, `def` in a worker, within one class too."""
        app.add_url_rule("/", view_func=view_class.as_view("index"))
        client = app.test_client()
        assert (await client.get("/")).text == get
        assert (await client.post("/")).text == post
        assert (await client.head("/")).status_code == 200

    async def test_an_async_method_takes_no_worker(self, app: Flask) -> None:
        """Its request is like that of an `async def` view, though the class has `def` methods."""
        app.add_url_rule("/", view_func=Mixed.as_view("index"))
        app.freeze()
        found = {}
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            scope = app.test_request_context("/", method=method).scope
            found[method] = app.router.find(scope)
        for method, (route, endpoint, _, error) in found.items():
            assert error is None
            assert endpoint is not None
            assert (endpoint.elsewhere, endpoint.keep_worker) == ((method == "POST",) * 2)
            assert endpoint.name == route.name == "index"  # type: ignore[union-attr]
        assert found["GET"][1].function is app.view_functions["index"]  # type: ignore[union-attr]
        await app.test_client().get("/")
        assert app.pool.threads == 0

    async def test_an_own_head_has_its_own_place(self, app: Flask) -> None:
        """It is not taken for `get`."""
        seen = []

        class Index(MethodView):
            async def get(self) -> str:
                return "x"

            def head(self) -> str:
                seen.append(place())
                return ""

        app.add_url_rule("/", view_func=Index.as_view("index"))
        client = app.test_client()
        assert (await client.head("/")).status_code == 200
        assert (await client.get("/")).text == "x"
        assert seen == ["worker"]

    async def test_hooks_run_for_each_method(self, app: Flask) -> None:
        """All `def` functions of a request whose method is `def` run in one thread."""

        @app.before_request
        def before() -> None:
            g.thread = threading.get_ident()

        class Index(MethodView):
            async def get(self) -> str:
                return str(hasattr(g, "thread"))

            def post(self) -> str:
                return str(g.thread == threading.get_ident())

        app.add_url_rule("/", view_func=Index.as_view("index"))
        client = app.test_client()
        assert (await client.get("/")).text == (await client.post("/")).text == "True"

    @pytest.mark.parametrize("view_class", [Mixed, AllAsync, AllDef])
    async def test_decorators_decide_by_their_kind(
        self, app: Flask, view_class: type[MethodView]
    ) -> None:
        """A `def` one gets the value in a worker, an `async def` one awaits it on the loop."""

        def in_worker(f: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(f)
            def wrapper(**values: Any) -> Any:
                return f"{f(**values).split()[1]} in {place()}"

            return wrapper

        def on_loop(f: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(f)
            async def wrapper(**values: Any) -> Any:
                return f"{(await f(**values)).split()[1]} in {place()}"

            return wrapper

        class InWorker(view_class):  # type: ignore[misc, valid-type]
            decorators: ClassVar[list[Any]] = [in_worker]

        class OnLoop(view_class):  # type: ignore[misc, valid-type]
            decorators: ClassVar[list[Any]] = [on_loop]

        app.add_url_rule("/worker", view_func=InWorker.as_view("in_worker"))
        app.add_url_rule("/loop", view_func=OnLoop.as_view("on_loop"))
        paths = {"worker": "worker", "loop": "loop"}
        if view_class is not AllAsync:  # that one is like any `async def` view
            app.add_url_rule("/outside", view_func=in_worker(view_class.as_view("outside")))
            paths["outside"] = "worker"
        client = app.test_client()
        for method in ("get", "post"):
            is_def = view_class is AllDef or (view_class is Mixed and method == "post")
            where = "worker" if is_def else "loop"
            for path, decorator in paths.items():
                answer = await client.open(f"/{path}", method=method.upper())
                assert answer.text == f"{where} in {decorator}"

    async def test_a_class_of_the_other_kind_can_replace_it(self, app: Flask) -> None:
        """The function that was made before awaits it, or has it run in a worker."""
        for name, made, put in (("x", AllAsync, AllDef), ("y", AllDef, AllAsync)):
            view: Any = made.as_view(name)
            view.view_class = put
            app.add_url_rule(f"/{name}", view_func=view)
        client = app.test_client()
        assert (await client.get("/x")).text == "get worker"
        assert (await client.get("/y")).text == "get loop"

    def test_a_method_that_is_not_there_is_named(self, app: Flask) -> None:
        """It was announced in `methods`, and the class does not have it."""

        class Index(MethodView):
            methods: ClassVar[list[str]] = ["PUT"]

        class Nothing(View):
            pass

        app.add_url_rule("/", view_func=Index.as_view("index"))
        app.add_url_rule("/nothing", view_func=Nothing.as_view("nothing"))
        client = app.sync_test_client()
        with pytest.raises(NotImplementedError, match="registered for PUT, but it has no method"):
            client.put("/")
        with pytest.raises(NotImplementedError, match="'Nothing' has no 'dispatch_request'"):
            client.get("/nothing")
