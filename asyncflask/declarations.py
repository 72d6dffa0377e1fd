"""What only an application registers: rules, blueprints, serving hooks, additions to templates."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from asyncflask.exceptions import SetupError
from asyncflask.registrar import Registrar, endpoint_of, named, setupmethod
from asyncflask.routing import Map, Rule
from asyncflask.templating import add_to_environment
from asyncflask.typing import TeardownFunction, ViewFunction

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.blueprints import Blueprint
    from asyncflask.config import Config
    from asyncflask.jinja import Environment

F = TypeVar("F", bound=Callable[..., Any])


class Declarations(Registrar):
    """The registrations of an application, until it starts. The folders are ``Registrar``'s."""

    _declarations = (*Registrar._declarations, "teardown_appcontext_funcs")
    url_rule_class = Rule
    url_map_class = Map

    url_map: Map
    config: Config
    jinja_env: Environment

    def __init__(
        self,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        self.blueprints: dict[str, Blueprint] = {}
        self.teardown_appcontext_funcs: list[TeardownFunction] = []
        self.shell_context_processors: list[Callable[[], dict[str, Any]]] = []
        self.url_build_error_handlers: list[Callable[[Exception, str, dict[str, Any]], str]] = []
        self.before_serving_funcs: list[Callable[[], Any]] = []
        self.after_serving_funcs: list[Callable[[], Any]] = []
        self.while_serving_gens: list[Callable[[], AsyncIterator[None] | Iterator[None]]] = []

    @property
    def _has_started(self) -> bool:
        raise NotImplementedError

    def _add_route(self, rule: Rule) -> None:
        """Let the router know of a rule that was added to the map."""
        raise NotImplementedError

    def _check_setup_finished(self, method: str) -> None:
        if self._has_started:
            raise SetupError(
                f"The setup method '{method}' was called on the application {self.name!r} after it "
                "has started, so it would have no effect. Register views, hooks and blueprints "
                "before the application serves its first request."
            )

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ViewFunction | None = None,
        provide_automatic_options: bool | None = None,
        *,
        on_disconnect: Literal["finish", "cancel"] = "finish",
        **options: Any,
    ) -> None:
        """Add a rule and register its view.

        :param rule: such as ``/post/<int:post_id>``; it starts with a slash.
        :param endpoint: the name for ``url_for``; the view's name by default.
        :param view_func: ``def`` or ``async def``; its arguments are the rule's variables.
        :param provide_automatic_options: answer OPTIONS with the allowed methods.
        :param on_disconnect: ``"cancel"`` cancels the view, which has to be ``async def``, when the
            client leaves; otherwise it finishes.
        :param options: of the rule: ``methods``, ``defaults``, ``strict_slashes``,
            ``merge_slashes``, ``redirect_to``, ``alias``, ``build_only``, ``host``, ``subdomain``.
        :raises SetupError: the endpoint has another view already.
        """
        if endpoint is None:
            if view_func is None:
                raise SetupError(f"The rule {rule!r} needs a view or an endpoint.")
            endpoint = endpoint_of(view_func)
        if on_disconnect not in ("finish", "cancel"):
            raise ValueError(
                f"'on_disconnect' of the rule {rule!r} is 'finish' or 'cancel', not "
                f"{on_disconnect!r}."
            )
        methods = _methods_of(rule, options.pop("methods", None), view_func)
        if provide_automatic_options is None:
            provide_automatic_options = getattr(view_func, "provide_automatic_options", None)
        if provide_automatic_options is None:
            provide_automatic_options = (
                "OPTIONS" not in methods and self.config["PROVIDE_AUTOMATIC_OPTIONS"]
            )
        methods |= set(getattr(view_func, "required_methods", ()))
        if provide_automatic_options:
            methods.add("OPTIONS")
        made = self.url_rule_class(rule, endpoint=endpoint, methods=methods, **options)
        made.provide_automatic_options = bool(provide_automatic_options)
        made.on_disconnect = on_disconnect
        if view_func is not None:
            self._check_free(endpoint, view_func)
        self.url_map.add(made)
        self._add_route(made)
        if view_func is not None:
            self.view_functions[endpoint] = view_func

    def _check_free(self, endpoint: str, view: ViewFunction) -> None:
        before = self.view_functions.get(endpoint)
        if before is not None and before != view:
            if _where(before) == _where(view):
                mend = "Is a decorator without functools.wraps on both? Give it that."
            else:
                mend = "Give one of the rules another 'endpoint'."
            raise SetupError(
                f"The endpoint {endpoint!r} has a view already: {_where(before)}. "
                f"{_where(view)} would replace it. {mend}"
            )

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint.

        :param options: ``url_prefix``, ``subdomain``, ``url_defaults``, ``name`` (to register it
            more than once) and ``cli_group``, in place of the blueprint's own.
        """
        blueprint.register(cast("Flask", self), options)

    def iter_blueprints(self) -> Iterable[Blueprint]:
        """The registered blueprints, in order."""
        return self.blueprints.values()

    @setupmethod
    def teardown_appcontext(self, f: F) -> F:
        """Run ``f(exception_or_None)`` at the end of each context, after ``teardown_request``."""
        self.teardown_appcontext_funcs.append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: F) -> F:
        """Add what ``f()`` returns to the names in the shell."""
        self.shell_context_processors.append(f)
        return f

    @setupmethod
    def before_serving(self, f: F) -> F:
        """Run ``f()`` at start, before the first request."""
        self.before_serving_funcs.append(f)
        return f

    @setupmethod
    def after_serving(self, f: F) -> F:
        """Run ``f()`` at shutdown, after the last request."""
        self.after_serving_funcs.append(f)
        return f

    @setupmethod
    def while_serving(self, f: F) -> F:
        """Run the generator function ``f``: up to its ``yield`` at start, the rest at shutdown."""
        self.while_serving_gens.append(f)
        return f

    @overload
    def template_filter(self, name: F) -> F: ...

    @overload
    def template_filter(self, name: str | None = None) -> Callable[[F], F]: ...

    @setupmethod
    def template_filter(self, name: Any = None) -> Any:
        """Register a template filter under ``name``, or the function's own."""
        return named(name, self.add_template_filter)

    @overload
    def template_test(self, name: F) -> F: ...

    @overload
    def template_test(self, name: str | None = None) -> Callable[[F], F]: ...

    @setupmethod
    def template_test(self, name: Any = None) -> Any:
        """Register a template test under ``name``, or the function's own."""
        return named(name, self.add_template_test)

    @overload
    def template_global(self, name: F) -> F: ...

    @overload
    def template_global(self, name: str | None = None) -> Callable[[F], F]: ...

    @setupmethod
    def template_global(self, name: Any = None) -> Any:
        """Register a global of templates under ``name``, or the function's own."""
        return named(name, self.add_template_global)

    @setupmethod
    def add_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`template_filter` as a call."""
        add_to_environment(cast("Flask", self), "filters", f, name)

    @setupmethod
    def add_template_test(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`template_test` as a call."""
        add_to_environment(cast("Flask", self), "tests", f, name)

    @setupmethod
    def add_template_global(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`template_global` as a call."""
        add_to_environment(cast("Flask", self), "globals", f, name)


def _methods_of(rule: str, methods: Any, view: ViewFunction | None) -> set[str]:
    if methods is None:
        methods = getattr(view, "methods", None) or ("GET",)
    if isinstance(methods, str):
        raise TypeError(
            f"The rule {rule!r} has methods={methods!r}. Write a list: methods=[{methods!r}]."
        )
    return {method.upper() for method in cast("Collection[str]", methods)}


def _where(view: ViewFunction) -> str:
    code = getattr(view, "__code__", None)
    name = getattr(view, "__qualname__", repr(view))
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
