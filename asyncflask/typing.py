"""Types for annotations: what views may return, and the shapes of hooks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from msgspec import Struct
    from starlette.types import ASGIApp
    from werkzeug.datastructures import Headers
    from werkzeug.sansio.response import Response as SansIOResponse

    from asyncflask.messages.response import Response

T = TypeVar("T")

#: A value, or something to await for it: ``def`` and ``async def`` functions alike.
MaybeAwaitable: TypeAlias = "T | Awaitable[T]"

#: Header arguments: a mapping, pairs, or Werkzeug's ``Headers``.
HeadersValue: TypeAlias = (
    "Headers | Mapping[str, str | Sequence[str]] | Sequence[tuple[str, str | Sequence[str]]]"
)

#: What the body part of a return value may be. Anything else that JSON can carry works too.
ResponseValue: TypeAlias = (
    "Response | SansIOResponse | ASGIApp | str | bytes | bytearray | list[Any] | Mapping[str, Any] "
    "| DataclassInstance | Struct "
    "| Iterable[str] | Iterable[bytes] | AsyncIterable[str] | AsyncIterable[bytes]"
)

#: What a view may return.
ResponseReturnValue: TypeAlias = (
    "ResponseValue | tuple[ResponseValue, int] | tuple[ResponseValue, HeadersValue] "
    "| tuple[ResponseValue, int, HeadersValue]"
)

ViewFunction: TypeAlias = Callable[..., Any]
BeforeRequestFunction: TypeAlias = Callable[[], Any]
AfterRequestFunction: TypeAlias = Callable[[Any], Any]
TeardownFunction: TypeAlias = Callable[["BaseException | None"], Any]
ErrorHandler: TypeAlias = Callable[[Any], Any]
TemplateContextProcessor: TypeAlias = Callable[[], Any]
URLValuePreprocessor: TypeAlias = Callable[["str | None", "dict[str, Any] | None"], Any]
URLDefaultFunction: TypeAlias = Callable[[str, "dict[str, Any]"], None]
