"""The Jinja environment of an application, and the loader that finds its templates.

PERF: all that needs Jinja is in this module, which is imported when a template is used first
(benchmark: footprint).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import BaseLoader, Template, TemplateNotFound, TemplatesNotFound
from jinja2 import Environment as BaseEnvironment
from jinja2.runtime import Context, new_context

from asyncflask.ctx import current_connection
from asyncflask.globals import g, request, session
from asyncflask.helpers import get_flashed_messages

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.registrar import Registrar

TemplateName = str | Template | list[str | Template]


class _Template(Template):
    """Jinja's template, whose context is made of plain dictionaries.

    PERF: its globals are a chain of them, which is copied key by key (scenario: template).
    """

    def new_context(
        self,
        vars: dict[str, Any] | None = None,
        shared: bool = False,
        locals: Mapping[str, Any] | None = None,
    ) -> Context:
        names: dict[str, Any] = {}
        for each in reversed(getattr(self.globals, "maps", (self.globals,))):
            names.update(each)
        return new_context(self.environment, self.name, self.blocks, vars, shared, names, locals)


class Environment(BaseEnvironment):
    """A Jinja environment that finds the templates of an application and its blueprints.

    :param app: the application.
    :param options: Jinja's; the loader is :class:`DispatchingJinjaLoader` by default.
    """

    template_class = _Template

    def __init__(self, app: Flask, **options: Any) -> None:
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()
        self.app = app
        super().__init__(**options)
        self._auto_reload: bool | None = options.get("auto_reload")

    @property
    def auto_reload(self) -> bool:
        """Whether changed files are noticed: as set, else as ``TEMPLATES_AUTO_RELOAD`` says now."""
        wanted = self._auto_reload
        if wanted is None:
            wanted = self.app.config["TEMPLATES_AUTO_RELOAD"]
        return self.app.debug if wanted is None else bool(wanted)

    @auto_reload.setter
    def auto_reload(self, value: bool | None) -> None:
        self._auto_reload = value

    def select_template(self, names: Any, *args: Any, **kwargs: Any) -> Template:
        """Return the first template of ``names`` that exists.

        :raises TemplatesNotFound: there is none; it says where they were looked for.
        """
        try:
            return super().select_template(names, *args, **kwargs)
        except TemplatesNotFound as error:
            if isinstance(self.loader, DispatchingJinjaLoader):
                error.message = f"{error.message}. {self.loader.describe()}"
            raise


class DispatchingJinjaLoader(BaseLoader):
    """Looks for a template in the application's folder, then in those of its blueprints.

    :param app: the application.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app

    def get_source(
        self, environment: BaseEnvironment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return a template's source, its file, and a function that says whether it is current.

        :raises TemplateNotFound: no folder has it; it says which they are.
        """
        if self.app.config["EXPLAIN_TEMPLATE_LOADING"]:
            self._explain(environment, template)
        for _, loader in self._loaders():
            try:
                return loader.get_source(environment, template)
            except TemplateNotFound:
                continue
        raise _NotFound(template, self)

    def _explain(self, environment: BaseEnvironment, template: str) -> None:
        """Log what each loader says to a name (``EXPLAIN_TEMPLATE_LOADING``)."""
        lines = [f"Locating template {template!r}:"]
        found = 0
        for number, (owner, loader) in enumerate(self._loaders(), 1):
            kind = "application" if owner is self.app else f"blueprint {owner.name!r}"
            module = repr(owner.import_name) if owner is self.app else f"({owner.import_name})"
            lines.append(f"{number:5}: trying loader of {kind} {module}")
            lines.extend(f"{'':7}{line}" for line in _describe_loader(loader))
            try:
                _, file, _ = loader.get_source(environment, template)
            except TemplateNotFound:
                lines.append(f"{'':7}-> no match")
            else:
                found += 1
                lines.append(f"{'':7}-> found ({file or '<string>'!r})")
        if found != 1:
            lines.append(
                "Warning: more than one loader has a template of this name."
                if found
                else "Error: the template could not be found."
            )
            lines.extend(_describe_blueprint())
        self.app.logger.info("\n".join(lines))

    def list_templates(self) -> list[str]:
        """Return the names of all templates."""
        return sorted({name for _, loader in self._loaders() for name in loader.list_templates()})

    def describe(self) -> str:
        """Say where templates are looked for, for messages."""
        places = [
            f"{', '.join(getattr(loader, 'searchpath', [repr(loader)]))} ({owner!r})"
            for owner, loader in self._loaders()
        ]
        return f"Looked in: {'; '.join(places)}." if places else "No template folder is set."

    def _loaders(self) -> Iterator[tuple[Registrar, BaseLoader]]:
        owners: list[Registrar] = [self.app, *self.app.iter_blueprints()]
        for owner in owners:
            if owner.jinja_loader is not None:
                yield owner, owner.jinja_loader


def _describe_loader(loader: BaseLoader) -> Iterator[str]:
    yield f"class: {type(loader).__module__}.{type(loader).__qualname__}"
    for name, value in sorted(vars(loader).items()):
        if isinstance(value, str | int | float) and not name.startswith("_"):
            yield f"{name}: {value!r}"
        elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            yield f"{name}:"
            yield from (f"  - {item}" for item in value)


def _describe_blueprint() -> Iterator[str]:
    """Say that a blueprint's view has asked, when it did, and where its templates belong."""
    asking = current_connection()
    if asking is not None and asking.connection.blueprint is not None:
        yield (
            "  It was looked up from an endpoint that belongs to the blueprint "
            f"{asking.connection.blueprint!r}. Is its file in another folder?"
        )
        yield "  See https://flask.palletsprojects.com/blueprints/#templates"


class _NotFound(TemplateNotFound):
    """Says where the template was looked for, and what may have been meant.

    Only when it is asked: names that are tried one after another are missing all the time.
    """

    def __init__(self, name: str, loader: DispatchingJinjaLoader) -> None:
        super().__init__(name)
        self._loader = loader

    def __str__(self) -> str:
        near = difflib.get_close_matches(str(self.name), self._loader.list_templates(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"{self.name!r} was not found. {self._loader.describe()}{hint}"


def create_environment(app: Flask) -> Environment:
    """Make the Jinja environment of ``app``, with ``app.jinja_options``.

    Escaped are the templates that ``app.select_jinja_autoescape`` chooses; changed files are
    noticed with ``TEMPLATES_AUTO_RELOAD``, by default in debug mode. Besides Jinja's globals there
    are ``url_for``, ``get_flashed_messages``, ``config``, ``request``, ``session`` and ``g``.
    """
    defaults = {"autoescape": app.select_jinja_autoescape}
    environment = app.jinja_environment(app, **{**defaults, **app.jinja_options})
    environment.globals.update(
        url_for=app.url_for,
        get_flashed_messages=get_flashed_messages,
        config=app.config,
        # Templates have the objects themselves, which are faster; imported ones have these.
        request=request,
        session=session,
        g=g,
    )
    # The provider may be replaced later; whether keys are sorted is its own business.
    environment.policies["json.dumps_function"] = lambda obj, **kw: app.json.dumps(obj, **kw)
    environment.policies["json.dumps_kwargs"] = {}
    return environment
