"""Jinja templates: plain values in ``def`` code, ``await render_template()`` in ``async def``.

Templates are compiled for synchronous rendering, which is faster and lets macros be imported.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from jinja2 import BaseLoader, Template, TemplateNotFound
from jinja2 import Environment as BaseEnvironment

from asyncflask.concurrency import Pending, running_loop
from asyncflask.ctx import AppContext, current
from asyncflask.globals import current_app, g, request, session
from asyncflask.helpers import get_flashed_messages, stream_with_context, url_for
from asyncflask.signals import before_render_template, template_rendered

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.registrar import Registrar

TemplateName = str | Template | list[str | Template]


class Environment(BaseEnvironment):
    """Jinja's environment, with templates of the application and its blueprints.

    :param app: the application.
    :param options: Jinja's.
    """

    def __init__(self, app: Flask, **options: Any) -> None:
        options.setdefault("loader", DispatchingJinjaLoader(app))
        super().__init__(**options)
        self.app = app


class DispatchingJinjaLoader(BaseLoader):
    """Looks for templates in the application's folder, then in those of its blueprints."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def get_source(
        self, environment: BaseEnvironment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return the source of a template, as Jinja's loaders do.

        :raises TemplateNotFound: the message names the folders that were looked at.
        """
        for _, loader in self._loaders():
            try:
                return loader.get_source(environment, template)
            except TemplateNotFound:
                continue
        folders = [
            str(folder) for _, loader in self._loaders() for folder in getattr(loader, "searchpath", ())
        ]
        places = ", ".join(folders) or "no folder: none has a template folder"
        raise TemplateNotFound(template, f"The template {template!r} was not found in {places}.")

    def _loaders(self) -> Iterator[tuple[Registrar, BaseLoader]]:
        for owner in (self.app, *self.app.iter_blueprints()):
            if owner.jinja_loader is not None:
                yield owner, owner.jinja_loader

    def list_templates(self) -> list[str]:
        """Return the names of all templates."""
        return sorted({name for _, loader in self._loaders() for name in loader.list_templates()})


def create_environment(app: Flask) -> Environment:
    """Make the environment of an application, with Flask's globals and filters."""
    options = dict(app.jinja_options)
    options.setdefault("autoescape", app.select_jinja_autoescape)
    if "auto_reload" not in options:
        auto_reload = app.config["TEMPLATES_AUTO_RELOAD"]
        options["auto_reload"] = app.debug if auto_reload is None else auto_reload
    environment = app.jinja_environment(app, **options)
    environment.globals.update(
        url_for=app.url_for,
        get_flashed_messages=get_flashed_messages,
        config=app.config,
        # The context processors replace these; imported templates, which they do not reach,
        # find the proxies.
        request=request,
        session=session,
        g=g,
    )
    environment.policies["json.dumps_function"] = app.json.dumps
    return environment


def render_template(template_name_or_list: TemplateName, **context: Any) -> Awaitable[str]:
    """Render a template: ``await`` it in ``async def`` code, a plain call in ``def`` code.

    :param template_name_or_list: a name below the template folder, or names of which the first
        that exists is taken.
    :param context: the variables of the template.
    :raises jinja2.TemplateNotFound: there is no such template.
    """
    app = _current_app()
    get = partial(app.jinja_env.get_or_select_template, cast(Any, template_name_or_list))
    return _answer(app, get, context, "render_template(...)")


def render_template_string(source: str, **context: Any) -> Awaitable[str]:
    """:func:`render_template` for a template given as text; it is escaped as HTML."""
    app = _current_app()
    return _answer(
        app, partial(app.jinja_env.from_string, source), context, "render_template_string(...)"
    )


def stream_template(
    template_name_or_list: TemplateName, **context: Any
) -> Awaitable[AsyncIterator[str]]:
    """Render a template piece by piece, for a streamed response.

    ``await`` it in ``async def`` code, for an async iterator; a plain call in ``def`` code, for an
    iterator.
    """
    app = _current_app()
    get = partial(app.jinja_env.get_or_select_template, cast(Any, template_name_or_list))
    return _answer_stream(app, get, context, "stream_template(...)")


def stream_template_string(source: str, **context: Any) -> Awaitable[AsyncIterator[str]]:
    """:func:`stream_template` for a template given as text."""
    app = _current_app()
    return _answer_stream(
        app, partial(app.jinja_env.from_string, source), context, "stream_template_string(...)"
    )


def get_template_attribute(template_name: str, attribute: str) -> Any:
    """Return a macro or variable that a template exports."""
    return getattr(current_app.jinja_env.get_template(template_name).module, attribute)


def _current_app() -> Flask:
    return cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]


def _answer(
    app: Flask, get: Callable[[], Template], context: dict[str, Any], expression: str
) -> Awaitable[str]:
    if running_loop() is not None:
        return Pending(partial(_render, app, get, context), expression)
    _update_context_in_place(app, context)
    template = get()
    _announce_in_place(app, before_render_template, template, context)
    text = template.render(context)
    _announce_in_place(app, template_rendered, template, context)
    return cast("Awaitable[str]", text)


async def _render(app: Flask, get: Callable[[], Template], context: dict[str, Any]) -> str:
    await _update_context(app, context)
    template = get()
    await _announce(app, before_render_template, template, context)
    text = template.render(context)
    await _announce(app, template_rendered, template, context)
    return text


def _answer_stream(
    app: Flask, get: Callable[[], Template], context: dict[str, Any], expression: str
) -> Awaitable[AsyncIterator[str]]:
    if running_loop() is not None:
        return Pending(partial(_stream, app, get, context), expression)
    _update_context_in_place(app, context)
    template = get()

    def generate() -> Iterator[str]:
        _announce_in_place(app, before_render_template, template, context)
        yield from template.generate(context)
        _announce_in_place(app, template_rendered, template, context)

    return cast("Awaitable[AsyncIterator[str]]", _kept(generate()))


async def _stream(
    app: Flask, get: Callable[[], Template], context: dict[str, Any]
) -> AsyncIterator[str]:
    await _update_context(app, context)
    template = get()

    async def generate() -> AsyncIterator[str]:
        await _announce(app, before_render_template, template, context)
        for piece in template.generate(context):
            yield piece
        await _announce(app, template_rendered, template, context)

    return cast("AsyncIterator[str]", _kept(generate()))


def _kept(generator: Any) -> Any:
    """Keep the request's context for the generator where there is a request."""
    context = current.get()
    return generator if context.request_context is None else stream_with_context(generator)


def _processed(app: Flask) -> Iterator[Any]:
    """What the context adds to a template: its own objects, then each processor's result."""
    context = current.get()
    yield _standard_variables(context)
    names: tuple[str | None, ...] = (None,)
    request_context = context.request_context
    if request_context is not None and request_context.endpoint.name:
        parts = request_context.endpoint.name.split(".")[:-1]
        names = (None, *(".".join(parts[: n + 1]) for n in range(len(parts))))
    for name in names:
        for function in app.template_context_processors.get(name, ()):
            yield function()


def _standard_variables(context: AppContext) -> dict[str, Any]:
    variables: dict[str, Any] = {"g": context.g}
    if context.request_context is not None:
        # The proxy of the session: one that is not used is not opened.
        variables.update(request=context.request, session=session)
    return variables


async def _update_context(app: Flask, variables: dict[str, Any]) -> None:
    """Add what the context processors give; what the caller gave stays."""
    given = dict(variables)
    for result in _processed(app):
        variables.update(await result if inspect.isawaitable(result) else result)
    variables.update(given)


def _update_context_in_place(app: Flask, variables: dict[str, Any]) -> None:
    given = dict(variables)
    for result in _processed(app):
        variables.update(app.wait(result) if inspect.isawaitable(result) else result)
    variables.update(given)


async def _announce(app: Flask, signal: Any, template: Template, context: dict[str, Any]) -> None:
    if signal.receivers:
        for receiver in signal.receivers_for(app):
            result = receiver(app, template=template, context=context)
            if inspect.isawaitable(result):
                await result


def _announce_in_place(app: Flask, signal: Any, template: Template, context: dict[str, Any]) -> None:
    if signal.receivers:
        for receiver in signal.receivers_for(app):
            result = receiver(app, template=template, context=context)
            if inspect.isawaitable(result):
                app.wait(result)
