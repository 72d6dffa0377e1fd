"""``Request``, ``Response`` and ``Websocket``, where Flask and Quart have them: re-exports only."""

from __future__ import annotations

from asyncflask.messages.request import Request as Request
from asyncflask.messages.response import Response as Response
from asyncflask.messages.websocket import Websocket as Websocket
