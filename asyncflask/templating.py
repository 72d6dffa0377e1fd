"""Jinja templates: the functions that render. Their environment is in :mod:`asyncflask.jinja`.

In ``def`` code they give text; in ``async def`` code they are awaited, which awaits what context
processors and signal receivers return. Templates themselves are compiled for synchronous
rendering, unless ``app.jinja_options["enable_async"]`` is set.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from asyncflask.concurrency import Pending, is_async_callable, running_loop
from asyncflask.ctx import current
from asyncflask.exceptions import SetupError
from asyncflask.globals import current_app
from asyncflask.helpers import stream_with_context
from asyncflask.signals import before_render_template, template_rendered

if TYPE_CHECKING:
    from blinker import Signal
    from jinja2 import Template
    from jinja2.runtime import Context

    from asyncflask.app import Flask
    from asyncflask.jinja import DispatchingJinjaLoader as DispatchingJinjaLoader
    from asyncflask.jinja import Environment as Environment
    from asyncflask.jinja import TemplateName as TemplateName
else:

    def __getattr__(name: str) -> Any:
        # Names that are made of Jinja's, which is imported when it is used.
        if name in ("DispatchingJinjaLoader", "Environment", "TemplateName"):
            from asyncflask import jinja

            return getattr(jinja, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


#: What rendering does, step by step: each result that may have to be awaited is yielded, and its
#: value sent back. So it is written once for ``def`` and ``async def`` code.
Steps = Generator[Any, Any, Any]


def add_to_environment(app: Flask, kind: str, f: Callable[..., Any], name: str | None) -> None:
    """Give the templates of ``app`` a function.

    :param kind: ``"filters"``, ``"tests"`` or ``"globals"``.
    :param name: in templates; the function's own by default.
    :raises SetupError: it is ``async def``, and templates are rendered synchronously.
    """
    environment = app.jinja_env
    name = name or f.__name__
    if is_async_callable(f) and not environment.is_async:
        raise SetupError(
            f"{name!r} in the {kind} of templates is 'async def', and templates await nothing. "
            "Make it 'def', or turn on asynchronous templates before: "
            'app.jinja_options = {"enable_async": True}.'
        )
    getattr(environment, kind)[name] = f


def render_template(template_name_or_list: TemplateName, **context: Any) -> Awaitable[str]:
    """Render a template. In ``async def`` code: ``await render_template(...)``.

    :param template_name_or_list: its name; of several, the first that exists is taken.
    :param context: the variables of the template.
    :raises TemplateNotFound: there is none; it says where it was looked for.
    """
    return _by_the_rule(
        lambda app: _render(app, _get_template(app, template_name_or_list), context),
        "render_template(...)",
    )


def render_template_string(source: str, **context: Any) -> Awaitable[str]:
    """Render a template given as text, with escaping. In ``async def`` code it is awaited.

    :param source: the template. Never the client's: templates can run code.
    :param context: the variables of the template.
    """
    return _by_the_rule(
        lambda app: _render(app, app.jinja_env.from_string(source), context),
        "render_template_string(...)",
    )


def stream_template(
    template_name_or_list: TemplateName, **context: Any
) -> Awaitable[AsyncIterator[str]]:
    """Render a template piece by piece, to be returned from a view.

    In ``async def`` code: ``return await stream_template(...)``, and the pieces come from an async
    iterator; in ``def`` code from an iterator.

    :param template_name_or_list: its name; of several, the first that exists is taken.
    :param context: the variables of the template.
    :raises TemplateNotFound: there is none; it says where it was looked for.
    """
    return _by_the_rule(
        lambda app: _stream(app, _get_template(app, template_name_or_list), context),
        "stream_template(...)",
    )


def stream_template_string(source: str, **context: Any) -> Awaitable[AsyncIterator[str]]:
    """:func:`stream_template` for a template given as text.

    :param source: the template. Never the client's: templates can run code.
    :param context: the variables of the template.
    """
    return _by_the_rule(
        lambda app: _stream(app, app.jinja_env.from_string(source), context),
        "stream_template_string(...)",
    )


def render_block(template_name_or_list: TemplateName, block: str, **context: Any) -> Awaitable[str]:
    """Render one block of a template, for a page that is updated in pieces.

    In ``async def`` code it is awaited. The block is what it is in the whole page: of a template
    that extends others it is the innermost one, with ``super()``. What stands at the top of the
    templates, before any text, is done first: imports and ``set``.

    :param template_name_or_list: its name; of several, the first that exists is taken.
    :param block: the name of the block.
    :param context: the variables of the template.
    :raises TemplateNotFound: there is none; it says where it was looked for.
    :raises LookupError: it has no such block; it says which it has.
    """
    return _by_the_rule(
        lambda app: _render_block(app, _get_template(app, template_name_or_list), block, context),
        "render_block(...)",
    )


def get_template_attribute(template_name: str, attribute: str) -> Any:
    """Return a macro or variable that a template exports, to use it in Python.

    With asynchronous templates it is awaited in ``async def`` code.

    :param template_name: the template's name.
    :param attribute: the name in the template.
    :raises TemplateNotFound: there is no such template.
    :raises AttributeError: it exports no such name.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
    template = app.jinja_env.get_template(template_name)
    if not app.jinja_env.is_async:
        return getattr(template.module, attribute)

    async def make() -> Any:
        return getattr(await template.make_module_async(), attribute)

    return app.ensure_sync(make)()


def _by_the_rule(steps: Callable[[Flask], Steps], expression: str) -> Awaitable[Any]:
    """Take the steps in ``def`` code; in ``async def`` code return what takes them when awaited."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
    if running_loop() is None:
        # What 'def' code gets is the value itself, typed for it in `asyncflask.sync`.
        return cast("Awaitable[Any]", _run(app, steps(app)))

    def make() -> Awaitable[Any]:
        if app.config["TEMPLATES_IN_WORKER"]:
            return app.run_sync(lambda: _run(app, steps(app)))
        return _run_async(steps(app))

    return cast("Awaitable[Any]", Pending(make, expression, depth=3))


def _run(app: Flask, steps: Steps) -> Any:
    value = None
    while True:
        if value is not None and inspect.isawaitable(value):
            value = app.ensure_sync(_wait_for)(value)
        try:
            value = steps.send(value)
        except StopIteration as end:
            return end.value


async def _run_async(steps: Steps, value: Any = None) -> Any:
    while True:
        if value is not None and value is not _DONE and inspect.isawaitable(value):
            value = await value
        try:
            value = steps.send(value)
        except StopIteration as end:
            return end.value


async def _wait_for(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _get_template(app: Flask, name_or_list: TemplateName) -> Template:
    return app.jinja_env.get_or_select_template(name_or_list)


def _render_block(app: Flask, template: Template, name: str, values: dict[str, Any]) -> Steps:
    context = yield from _complete(app, values)
    yield from _announce(before_render_template, app, template, context)
    page = template.new_context(context)
    try:
        # Up to the first text: by then all templates that are extended have added their blocks.
        start: Any = template.root_render_func(page)
        if template.environment.is_async:
            yield anext(start, None)
            yield start.aclose()
        else:
            next(start, None)
            start.close()
        block = _find_block(template, page, name)(page)
        if template.environment.is_async:
            pieces = yield _collect(block)
        else:
            pieces = list(block)
    except Exception:
        template.environment.handle_exception()
    yield from _announce(template_rendered, app, template, context)
    return template.environment.concat(pieces)


def _find_block(template: Template, page: Context, name: str) -> Callable[[Context], Any]:
    if name in page.blocks:
        return page.blocks[name][0]
    names = ", ".join(sorted(page.blocks)) or "none"
    near = difflib.get_close_matches(name, page.blocks, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise LookupError(f"{template.name!r} has no block {name!r}. Its blocks: {names}.{hint}")


async def _collect(pieces: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in pieces]


def _render(app: Flask, template: Template, values: dict[str, Any]) -> Steps:
    context = yield from _complete(app, values)
    yield from _announce(before_render_template, app, template, context)
    if template.environment.is_async:
        text = yield template.render_async(context)
    else:
        text = template.render(context)
    yield from _announce(template_rendered, app, template, context)
    return text


def _stream(app: Flask, template: Template, values: dict[str, Any]) -> Steps:
    context = yield from _complete(app, values)
    yield from _announce(before_render_template, app, template, context)
    pieces: Any
    if running_loop() is None:
        pieces = _pieces(app, template, context)
    else:
        pieces = _async_pieces(app, template, context)
    return stream_with_context(pieces) if current.get().connection_context else pieces


def _pieces(app: Flask, template: Template, context: dict[str, Any]) -> Iterator[str]:
    if template.environment.is_async:
        yield from _from_async(app, template.generate_async(context))
    else:
        yield from template.generate(context)
    _run(app, _announce(template_rendered, app, template, context))


def _from_async(app: Flask, pieces: AsyncIterator[str]) -> Iterator[str]:
    async def step() -> Any:
        return await anext(pieces, None)

    if current.get().loop is None:
        # Each wait would have a loop of its own, and an async generator knows only one.
        yield from app.ensure_sync(_collect)(pieces)
        return
    take = app.ensure_sync(step)
    while (piece := take()) is not None:
        yield piece


async def _async_pieces(
    app: Flask, template: Template, context: dict[str, Any]
) -> AsyncIterator[str]:
    if template.environment.is_async:
        async for piece in template.generate_async(context):
            yield piece
    else:
        for piece in template.generate(context):
            yield piece
    await _run_async(_announce(template_rendered, app, template, context))


def _complete(app: Flask, values: dict[str, Any]) -> Steps:
    """Return the whole context: ``values``, and what is added to them."""
    context = dict(values)
    yield app.update_template_context(context)
    return context


class _Done:
    """Awaited where nothing is left to be done."""

    def __await__(self) -> Iterator[Any]:
        return iter(())


_DONE = _Done()


def update_template_context(app: Flask, context: dict[str, Any]) -> Awaitable[None]:
    """Add ``g``, ``request`` and what context processors give, except for names it has already.

    In ``async def`` code the result is awaited; it need not be, where no processor is ``async
    def``.

    :raises TypeError: a context processor did not return a dictionary.
    """
    steps = _update(app, context)
    if running_loop() is None:
        return cast("Awaitable[None]", _run(app, steps))
    value = None
    while not inspect.isawaitable(value):
        try:
            value = steps.send(value)
        except StopIteration:
            return cast("Awaitable[None]", _DONE)
    return _run_async(steps, value)


def _update(app: Flask, context: dict[str, Any]) -> Steps:
    given = context.copy()
    here = current.get()
    context["g"] = here.g
    names: tuple[str | None, ...] = (None,)
    inside = here.connection_context
    if inside is not None:
        context["websocket" if here.request_context is None else "request"] = inside.connection
        if app.template_context_processors:
            names = (None, *reversed(inside.connection.blueprints))
    for name in names:
        for processor in app.template_context_processors.get(name, ()):
            added = yield processor()
            if not isinstance(added, Mapping):
                raise TypeError(
                    f"The context processor {getattr(processor, '__name__', processor)!r} returned "
                    f"{type(added).__name__!r}. It has to return a dictionary of variables."
                )
            context.update(added)
    context.update(given)


def _announce(
    signal: Signal, app: Flask, template: Template, context: dict[str, Any]
) -> Generator[Any, Any, None]:
    if signal.receivers:
        for receiver in signal.receivers_for(app):
            yield receiver(app, template=template, context=context)
