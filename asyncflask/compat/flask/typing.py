"""Types for annotations, by Flask's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from asyncflask.compat.flask.wrappers import Response
from asyncflask.typing import AfterRequestFunction as AfterRequestCallable
from asyncflask.typing import BeforeRequestFunction as BeforeRequestCallable
from asyncflask.typing import ErrorHandler as ErrorHandlerCallable
from asyncflask.typing import TeardownFunction as TeardownCallable
from asyncflask.typing import TemplateContextProcessor as TemplateContextProcessorCallable
from asyncflask.typing import URLDefaultFunction as URLDefaultCallable
from asyncflask.typing import URLValuePreprocessor as URLValuePreprocessorCallable
from asyncflask.typing import ViewFunction as RouteCallable

#: At run time ``Any``: extensions make unions of these, which names in quotes do not take part in.
ResponseValue: TypeAlias = Any
ResponseReturnValue: TypeAlias = Any
HeaderValue: TypeAlias = str | list[str] | tuple[str, ...]
HeadersValue: TypeAlias = Mapping[str, HeaderValue] | Sequence[tuple[str, HeaderValue]]
ResponseClass = TypeVar("ResponseClass", bound=Response)
AppOrBlueprintKey: TypeAlias = str | None
BeforeFirstRequestCallable: TypeAlias = Callable[[], Any]
ShellContextProcessorCallable: TypeAlias = Callable[[], dict[str, Any]]
TemplateFilterCallable: TypeAlias = Callable[..., Any]
TemplateGlobalCallable: TypeAlias = Callable[..., Any]
TemplateTestCallable: TypeAlias = Callable[..., bool]

__all__ = [
    "AfterRequestCallable",
    "AppOrBlueprintKey",
    "BeforeFirstRequestCallable",
    "BeforeRequestCallable",
    "ErrorHandlerCallable",
    "HeaderValue",
    "HeadersValue",
    "ResponseClass",
    "ResponseReturnValue",
    "ResponseValue",
    "RouteCallable",
    "ShellContextProcessorCallable",
    "TeardownCallable",
    "TemplateContextProcessorCallable",
    "TemplateFilterCallable",
    "TemplateGlobalCallable",
    "TemplateTestCallable",
    "URLDefaultCallable",
    "URLValuePreprocessorCallable",
]
