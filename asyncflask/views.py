"""Class-based views: a class that handles requests, as Flask's ``views``.

Their methods follow the rule for functions: ``async def`` runs on the event loop, ``def`` in a
worker thread, even where one class has both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, ClassVar, cast

from asyncflask.concurrency import is_async_callable, running_loop
from asyncflask.globals import current_app, request

if TYPE_CHECKING:
    from asyncflask.typing import ViewFunction

#: The methods of a :class:`MethodView` that are found by themselves; others are listed in
#: ``methods``.
http_method_funcs = frozenset({"get", "post", "head", "options", "delete", "put", "trace", "patch"})


class View:
    """A view as a class: override :meth:`dispatch_request`, and register :meth:`as_view`.

    ::

        class Hello(View):
            async def dispatch_request(self, name):
                return f"Hello, {name}!"


        app.add_url_rule("/hello/<name>", view_func=Hello.as_view("hello"))
    """

    #: The methods that the view is registered for; GET by default.
    methods: ClassVar[Collection[str] | None] = None
    #: Whether OPTIONS is answered automatically; None: as the configuration says.
    provide_automatic_options: ClassVar[bool | None] = None
    #: Decorators for the view function, the innermost first.
    decorators: ClassVar[list[Callable[..., Any]]] = []
    #: Make an instance for each request. With False there is one, which must not keep what
    #: belongs to a request.
    init_every_request: ClassVar[bool] = True

    # Typed so that subclasses may declare their own parameters.
    def dispatch_request(self, *args: Any, **kwargs: Any) -> Any:
        """Handle a request, ``def`` or ``async def``; it is given the variables of the rule.

        :returns: what views may return.
        """
        raise NotImplementedError(f"{type(self).__name__!r} has no 'dispatch_request' method.")

    @classmethod
    def as_view(cls, name: str, *class_args: Any, **class_kwargs: Any) -> ViewFunction:
        """Make a view function of the class.

        :param name: its name, the endpoint by default.
        :param class_args: for the class, when an instance is made.
        :param class_kwargs: likewise.
        :returns: the function; its ``view_class`` can be replaced. ``decorators`` are given one
            that is awaited in ``async def`` code, and gives the value in ``def`` code.
        """
        only = None if cls.init_every_request else cls(*class_args, **class_kwargs)

        def handler() -> Callable[..., Any]:
            instance = only
            if instance is None:
                instance = cast("View", view.view_class(*class_args, **class_kwargs))
            return instance._handler()

        async def view_on_loop(**kwargs: Any) -> Any:
            return await _call(handler(), **kwargs)

        def view_anywhere(**kwargs: Any) -> Any:
            return _call(handler(), **kwargs)

        view: Any = view_on_loop if cls._is_async() and not cls.decorators else view_anywhere
        view.__name__ = name
        view.__module__ = cls.__module__
        for decorator in cls.decorators:
            view = decorator(view)
        view.view_class = cls
        view.__name__ = name
        view.__doc__ = cls.__doc__
        view.__module__ = cls.__module__
        view.methods = cls.methods
        view.provide_automatic_options = cls.provide_automatic_options
        return cast("ViewFunction", view)

    def _handler(self) -> Callable[..., Any]:
        """The method that handles this request."""
        return self.dispatch_request

    @classmethod
    def _is_async(cls) -> bool:
        return is_async_callable(cls.dispatch_request)


class MethodView(View):
    """A view with a method for each HTTP method: ``get`` handles GET, ``post`` POST and so on.

    ``methods`` are those that the class and its bases have, unless it is set. HEAD is handled by
    ``get`` where there is no ``head``.

    ::

        class Counter(MethodView):
            async def get(self):
                return str(session.get("count", 0))

            def post(self):
                session["count"] = session.get("count", 0) + 1
                return redirect(url_for("counter"))


        app.add_url_rule("/counter", view_func=Counter.as_view("counter"))
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "methods" not in cls.__dict__:
            methods = {name.upper() for name in http_method_funcs if hasattr(cls, name)}
            for base in cls.__bases__:
                methods.update(getattr(base, "methods", None) or ())
            if methods:
                cls.methods = methods

    def dispatch_request(self, *args: Any, **kwargs: Any) -> Any:
        """Handle a request with the method of its name."""
        return _call(self._method(), *args, **kwargs)

    def _handler(self) -> Callable[..., Any]:
        return self._method() if self._chooses_by_method() else self.dispatch_request

    def _method(self) -> Callable[..., Any]:
        found = _method_of(self, request.method)
        if found is None:
            raise NotImplementedError(
                f"{type(self).__name__!r} is registered for {request.method}, but it has no method "
                f"{request.method.lower()!r}."
            )
        return found

    @classmethod
    def _chooses_by_method(cls) -> bool:
        return cls.dispatch_request is MethodView.dispatch_request

    @classmethod
    def _is_async(cls) -> bool:
        if not cls._chooses_by_method():
            return super()._is_async()
        return set(cls.methods or ()) == cls._async_methods() != set()

    @classmethod
    def _async_methods(cls) -> set[str]:
        """The HTTP methods that are handled by ``async def`` methods."""
        if not cls._chooses_by_method():
            return set()
        methods = set(cls.methods or ())
        return {method for method in methods if is_async_callable(_method_of(cls, method))}


def _method_of(owner: Any, http_method: str) -> Callable[..., Any] | None:
    found = getattr(owner, http_method.lower(), None)
    if found is None and http_method == "HEAD":
        found = getattr(owner, "get", None)
    return cast("Callable[..., Any] | None", found)


def _call(handler: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a handler in its place: for its value, on the event loop for an awaitable."""
    if running_loop() is None:
        return current_app.ensure_sync(handler)(*args, **kwargs)
    if is_async_callable(handler):
        return handler(*args, **kwargs)
    return current_app.run_sync(functools.partial(handler, *args, **kwargs))


def methods_on_loop(view: ViewFunction) -> set[str]:
    """Return the HTTP methods of a ``def`` view that are to run on the event loop all the same.

    They are the ``async def`` methods of a :class:`MethodView` that has ``def`` methods, too. A
    decorator around it decides by its own kind.
    """
    view_class = getattr(view, "view_class", None)
    if (
        not (isinstance(view_class, type) and issubclass(view_class, MethodView))
        or view_class.decorators
        or hasattr(view, "__wrapped__")
        or is_async_callable(view)
    ):
        return set()
    methods = view_class._async_methods()
    return methods | {"HEAD"} if "GET" in methods and not hasattr(view_class, "head") else methods
