"""Flask's dictionaries of an application that has started, which still can be written, as there.

Decorators refuse to register then, in Flask too; but some extensions write into the dictionaries
while requests are served: Flask-Caching adds a hook when its first view is found in the cache.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from asyncflask.registrar import ReadOnlyList

#: What a change is made in; at its end the application goes by what is declared then.
Changing = Callable[[], AbstractContextManager[None]]


def _change(method: Callable[..., Any]) -> Any:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with self.changing():
            return method(self, *args, **kwargs)

    return call


class LiveList(list[Any]):
    """Functions that an application which has started goes by.

    :param declared: the functions.
    :param changing: what each change is made in.
    """

    def __init__(self, declared: list[Any] | ReadOnlyList, changing: Changing) -> None:
        super().__init__(declared)
        self.changing = changing

    append, extend, insert = _change(list.append), _change(list.extend), _change(list.insert)
    remove, pop, clear = _change(list.remove), _change(list.pop), _change(list.clear)
    reverse, sort = _change(list.reverse), _change(list.sort)
    __setitem__, __delitem__ = _change(list.__setitem__), _change(list.__delitem__)
    __iadd__ = _change(list.__iadd__)


class LiveDict(dict[Any, Any]):
    """Declarations that an application which has started goes by.

    :param declared: what was declared; its lists and dictionaries become live too.
    :param changing: what each change is made in.
    :param default: makes what is missing, as for ``collections.defaultdict``.
    """

    def __init__(
        self, declared: dict[Any, Any], changing: Changing, default: Callable[[], Any] | None
    ) -> None:
        super().__init__({key: live(value, changing) for key, value in declared.items()})
        self.changing = changing
        self.default_factory = default

    def __missing__(self, key: Any) -> Any:
        if self.default_factory is None:
            raise KeyError(key)
        # Empty, so nothing has changed for the application yet.
        return super().setdefault(key, live(self.default_factory(), self.changing))

    def __setitem__(self, key: Any, value: Any) -> None:
        with self.changing():
            super().__setitem__(key, live(value, self.changing))

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return what is there; if there is nothing, put ``default`` there."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set all that ``dict(*args, **kwargs)`` has, as one change."""
        added = {key: live(value, self.changing) for key, value in dict(*args, **kwargs).items()}
        with self.changing():
            super().update(added)

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]  # of any mapping
        self.update(other)
        return self

    __delitem__, pop = _change(dict.__delitem__), _change(dict.pop)
    popitem, clear = _change(dict.popitem), _change(dict.clear)


def live(declared: Any, changing: Changing) -> Any:
    """Return a list or a dictionary of declarations as one whose changes count at once.

    :param declared: as an application has it before its start or, read-only, after it.
    :param changing: what each change is made in.
    """
    if isinstance(declared, dict):
        default = getattr(declared, "default_factory", None)
        return LiveDict(declared, changing, default)
    if isinstance(declared, list | ReadOnlyList):
        return LiveList(declared, changing)
    return declared
