"""Blueprints: parts of an application, registered under a name and a URL prefix."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from starlette.middleware import Middleware

from asyncflask.exceptions import SetupError
from asyncflask.messages.connection import blueprint_names
from asyncflask.registrar import (
    Registrar,
    checked_middleware,
    endpoint_of,
    exception_class_and_code,
    named,
    setupmethod,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from asyncflask.app import Flask
    from asyncflask.typing import ViewFunction

F = TypeVar("F", bound=Callable[..., Any])
DeferredSetupFunction = Callable[["BlueprintSetupState"], None]

_unset: Any = ...  # as in Quart


class BlueprintSetupState:
    """One registration of a blueprint: what :meth:`Blueprint.record` functions are given.

    ``app`` and ``blueprint``, the ``options`` of the registration, the resulting ``url_prefix``,
    ``subdomain``, ``url_defaults`` and dotted name, and whether it is the ``first_registration``.
    """

    def __init__(
        self, blueprint: Blueprint, app: Flask, options: dict[str, Any], first_registration: bool
    ) -> None:
        self.app = app
        self.blueprint = blueprint
        self.options = options
        self.first_registration = first_registration
        self.subdomain = _chosen(options, "subdomain", blueprint)
        self.url_prefix = _chosen(options, "url_prefix", blueprint)
        self.name: str = options.get("name", blueprint.name)
        self.name_prefix: str = options.get("name_prefix", "")
        self.url_defaults = {**blueprint.url_values_defaults, **options.get("url_defaults", {})}

    @property
    def dotted_name(self) -> str:
        """The name the blueprint is registered under, with those of its parents."""
        return f"{self.name_prefix}.{self.name}".lstrip(".")

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ViewFunction | None = None,
        **options: Any,
    ) -> None:
        """Add a rule to the application with this registration's prefix, name and defaults."""
        if self.url_prefix is not None:
            rule = f"{self.url_prefix.rstrip('/')}/{rule.lstrip('/')}" if rule else self.url_prefix
        options.setdefault("subdomain", self.subdomain)
        if endpoint is None:
            if view_func is None:
                raise SetupError(f"The rule {rule!r} needs a view or an endpoint.")
            endpoint = endpoint_of(view_func)
        options["defaults"] = {**self.url_defaults, **(options.get("defaults") or {})}
        self.app.add_url_rule(
            rule, f"{self.dotted_name}.{endpoint}".lstrip("."), view_func, **options
        )

    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Mount an ASGI application with this registration's prefix, subdomain and middleware."""
        names = reversed(blueprint_names(f"{self.dotted_name}."))
        self.app._add_mount(
            f"{(self.url_prefix or '').rstrip('/')}/{path.lstrip('/')}",
            app,
            name and f"{self.dotted_name}.{name}",
            subdomain=self.subdomain,
            middleware=[
                middleware
                for outer in names
                for middleware in self.app.blueprints[outer].user_middleware
            ],
        )


class Blueprint(Registrar):
    """A part of an application: views, hooks and handlers that are registered together.

    :param name: prefixed to the endpoints, as ``name.endpoint``. Must not have a dot.
    :param import_name: the name of the module it is made in, usually ``__name__``.
    :param url_prefix: prefixed to the rules.
    :param subdomain: the subdomain of the rules.
    :param url_defaults: default values for the views' arguments.
    :param cli_group: the group its commands stand in; its name by default, None for none.
    :param middleware: Starlette middleware around its views and hooks, the first outermost. It
        stands inside that of the application and of the blueprints this one is nested in.

    The folders are :class:`Registrar`'s; templates of the application come first.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _unset,
        *,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        super().__init__(
            import_name,
            static_folder=static_folder,
            static_url_path=static_url_path,
            template_folder=template_folder,
            root_path=root_path,
        )
        if not name:
            raise ValueError("A blueprint needs a name: it is the prefix of its endpoints.")
        if "." in name:
            raise ValueError(
                f"The blueprint name {name!r} must not have a dot: dots part the names of nested "
                "blueprints."
            )
        self.name = name
        self.url_prefix = url_prefix
        self.subdomain = subdomain
        self.url_values_defaults = url_defaults or {}
        self.cli_group = cli_group
        self.user_middleware = checked_middleware(middleware)
        self.deferred_functions: list[DeferredSetupFunction] = []
        self._blueprints: list[tuple[Blueprint, dict[str, Any]]] = []
        self._registered = False

    def _check_setup_finished(self, method: str) -> None:
        if self._registered:
            raise SetupError(
                f"The setup method '{method}' was called on the blueprint {self.name!r} after it "
                "was registered, so it would have no effect. Register the blueprint after "
                "everything on it is set up."
            )

    @setupmethod
    def record(self, func: DeferredSetupFunction) -> None:
        """Call ``func(state)`` at each registration of the blueprint."""
        self.deferred_functions.append(func)

    @setupmethod
    def record_once(self, func: DeferredSetupFunction) -> None:
        """Call ``func(state)`` at the first registration of the blueprint only."""

        def first(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(first)

    def make_setup_state(
        self, app: Flask, options: dict[str, Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """Return the state of a registration; subclasses may return another."""
        return BlueprintSetupState(self, app, options, first_registration)

    @setupmethod
    def add_middleware(self, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        """Put ASGI middleware around the blueprint; the last one added is the outermost."""
        self.user_middleware.insert(0, Middleware(middleware_class, *args, **kwargs))

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ViewFunction | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Add a rule, as ``Flask.add_url_rule`` does, at each registration of the blueprint.

        :raises ValueError: a dot in the endpoint or in the view's name.
        """
        for what, name in (("endpoint", endpoint), ("view", getattr(view_func, "__name__", None))):
            if name and "." in name:
                raise ValueError(
                    f"The {what} name {name!r} must not have a dot: dots part the names of "
                    "blueprints."
                )
        self.record(
            lambda state: state.add_url_rule(
                rule,
                endpoint,
                view_func,
                provide_automatic_options=provide_automatic_options,
                **options,
            )
        )

    @setupmethod
    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Mount an ASGI application below the prefix, as ``Flask.mount`` does.

        The blueprint's middleware stands around it. Hooks and error handlers of the blueprint are
        for views.
        """
        self.record(lambda state: state.mount(path, app, name))

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Nest a blueprint in this one; the options are those of ``Flask.register_blueprint``.

        :raises ValueError: the blueprint itself.
        """
        if blueprint is self:
            raise ValueError("Cannot register a blueprint on itself.")
        self._blueprints.append((blueprint, options))

    def register(self, app: Flask, options: dict[str, Any]) -> None:
        """Put everything on ``app``: what ``app.register_blueprint(blueprint, **options)`` does.

        :raises ValueError: the name is taken.
        """
        first = not any(blueprint is self for blueprint in app.blueprints.values())
        state = self.make_setup_state(app, options, first)
        name = state.dotted_name
        if name in app.blueprints:
            which = "this" if app.blueprints[name] is self else "another"
            raise ValueError(
                f"The name {name!r} is taken by {which} blueprint. Register it under another with "
                "'name='."
            )
        app.blueprints[name] = self
        self._registered = True
        if self.has_static_folder:
            state.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                endpoint="static",
                view_func=self.send_static_file,
            )
        self._merge_into(app, name)
        for deferred in self.deferred_functions:
            deferred(state)
        self._add_commands(app, state)
        for child, child_options in self._blueprints:
            child.register(app, _nested_options(state, child, child_options))

    def send_static_file(self, filename: str) -> Any:
        """The view of the blueprint's static files."""
        from asyncflask.static import send_static_file

        return send_static_file(self, filename)

    def _merge_into(self, app: Flask, name: str) -> None:
        def own(key: str | None) -> str:
            return name if key is None else f"{name}.{key}"

        for key, by_code in self.error_handler_spec.items():
            for code, handlers in by_code.items():
                app.error_handler_spec[own(key)][code].update(handlers)
        app.view_functions.update(self.view_functions)
        for attribute in self._hooks:
            target = getattr(app, attribute)
            for key, functions in getattr(self, attribute).items():
                target[own(key)].extend(functions)

    def _add_commands(self, app: Flask, state: BlueprintSetupState) -> None:
        if "cli" not in self.__dict__ or not self.cli.commands:
            return
        group = state.options.get("cli_group", self.cli_group)
        if group is None:
            app.cli.commands.update(self.cli.commands)
        else:
            self.cli.name = state.dotted_name if group is _unset else group
            app.cli.add_command(self.cli)

    # Registrations for the whole application.

    def _on_app(self, attribute: str, f: F) -> F:
        self.record_once(lambda state: getattr(state.app, attribute)[None].append(f))
        return f

    def _on_serving(self, attribute: str, f: F) -> F:
        self.record_once(lambda state: getattr(state.app, attribute).append(f))
        return f

    @setupmethod
    def before_app_request(self, f: F) -> F:
        """``before_request`` for every request of the application."""
        return self._on_app("before_request_funcs", f)

    @setupmethod
    def after_app_request(self, f: F) -> F:
        """``after_request`` for every request of the application."""
        return self._on_app("after_request_funcs", f)

    @setupmethod
    def teardown_app_request(self, f: F) -> F:
        """``teardown_request`` for every request of the application."""
        return self._on_app("teardown_request_funcs", f)

    @setupmethod
    def before_app_websocket(self, f: F) -> F:
        """``before_websocket`` for every WebSocket of the application."""
        return self._on_app("before_websocket_funcs", f)

    @setupmethod
    def after_app_websocket(self, f: F) -> F:
        """``after_websocket`` for every WebSocket of the application."""
        return self._on_app("after_websocket_funcs", f)

    @setupmethod
    def teardown_app_websocket(self, f: F) -> F:
        """``teardown_websocket`` for every WebSocket of the application."""
        return self._on_app("teardown_websocket_funcs", f)

    @setupmethod
    def before_app_serving(self, f: F) -> F:
        """``before_serving`` of the application."""
        return self._on_serving("before_serving_funcs", f)

    @setupmethod
    def while_app_serving(self, f: F) -> F:
        """``while_serving`` of the application."""
        return self._on_serving("while_serving_gens", f)

    @setupmethod
    def after_app_serving(self, f: F) -> F:
        """``after_serving`` of the application."""
        return self._on_serving("after_serving_funcs", f)

    @setupmethod
    def app_context_processor(self, f: F) -> F:
        """``context_processor`` for every template of the application."""
        return self._on_app("template_context_processors", f)

    @setupmethod
    def app_url_value_preprocessor(self, f: F) -> F:
        """``url_value_preprocessor`` for every request of the application."""
        return self._on_app("url_value_preprocessors", f)

    @setupmethod
    def app_url_defaults(self, f: F) -> F:
        """``url_defaults`` for every URL of the application."""
        return self._on_app("url_default_functions", f)

    @setupmethod
    def app_errorhandler(self, code_or_exception: int | type[Exception]) -> Callable[[F], F]:
        """``errorhandler`` for every request of the application."""
        exception_class_and_code(code_or_exception)

        def decorator(f: F) -> F:
            def register(state: BlueprintSetupState) -> None:
                state.app.register_error_handler(code_or_exception, f)

            self.record_once(register)
            return f

        return decorator

    @overload
    def app_template_filter(self, name: F) -> F: ...

    @overload
    def app_template_filter(self, name: str | None = None) -> Callable[[F], F]: ...

    def app_template_filter(self, name: Any = None) -> Any:
        """``template_filter`` of the application."""
        return named(name, self.add_app_template_filter)

    def add_app_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`app_template_filter` as a call."""
        self.record_once(lambda state: state.app.add_template_filter(f, name))

    @overload
    def app_template_test(self, name: F) -> F: ...

    @overload
    def app_template_test(self, name: str | None = None) -> Callable[[F], F]: ...

    def app_template_test(self, name: Any = None) -> Any:
        """``template_test`` of the application."""
        return named(name, self.add_app_template_test)

    def add_app_template_test(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`app_template_test` as a call."""
        self.record_once(lambda state: state.app.add_template_test(f, name))

    @overload
    def app_template_global(self, name: F) -> F: ...

    @overload
    def app_template_global(self, name: str | None = None) -> Callable[[F], F]: ...

    def app_template_global(self, name: Any = None) -> Any:
        """``template_global`` of the application."""
        return named(name, self.add_app_template_global)

    def add_app_template_global(self, f: Callable[..., Any], name: str | None = None) -> None:
        """:meth:`app_template_global` as a call."""
        self.record_once(lambda state: state.app.add_template_global(f, name))


def _chosen(options: dict[str, Any], name: str, blueprint: Blueprint) -> str | None:
    """An option of a registration, or the blueprint's own where it is None."""
    chosen: str | None = options.get(name)
    return getattr(blueprint, name) if chosen is None else chosen


def _nested_options(
    state: BlueprintSetupState, child: Blueprint, options: dict[str, Any]
) -> dict[str, Any]:
    """The options of a nested registration: prefixes and subdomains are joined."""
    options = {**options, "name_prefix": state.dotted_name}
    prefix = _chosen(options, "url_prefix", child)
    if state.url_prefix is not None:
        prefix = (
            state.url_prefix
            if prefix is None
            else f"{state.url_prefix.rstrip('/')}/{prefix.lstrip('/')}"
        )
    subdomain = _chosen(options, "subdomain", child)
    if state.subdomain is not None:
        subdomain = state.subdomain if subdomain is None else f"{subdomain}.{state.subdomain}"
    return {**options, "url_prefix": prefix, "subdomain": subdomain}
