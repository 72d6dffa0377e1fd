"""``Request`` and ``Response``, where Flask has them. This module only re-exports."""

from __future__ import annotations

from asyncflask.messages.request import Request as Request
from asyncflask.messages.response import Response as Response
