"""Attributes that are made at the first access."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):
    """A method whose result takes its place in the instance at the first access.

    It can be assigned to and deleted like a plain attribute.

    PERF: later accesses are plain attribute look-ups, and there is no lock as in
    ``functools.cached_property`` on Python 3.11 (scenarios: headers, session).
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> lazy[T] | T:
        if instance is None:
            return self
        value = self._make(instance)
        # PERF: unlike `instance.__dict__[name] = value` it makes no dictionary object.
        setattr(instance, self._name, value)
        return value

    if TYPE_CHECKING:
        # The instance's dictionary takes the value: there is no `__set__` at run time.
        def __set__(self, instance: object, value: T) -> None: ...
