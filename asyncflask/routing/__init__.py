"""Routing: rules, the table they are compiled to, and building URLs.

Pure: it knows nothing of Starlette, asyncio or contexts.

A ``Rule`` is read by ``syntax``, gets its ``converters`` from a ``Map``, is split into the
segments of ``pattern``, matched by ``matcher``, finished by ``redirects``, built by ``builder``.
"""

from __future__ import annotations

from werkzeug.routing import BaseConverter as BaseConverter
from werkzeug.routing import ValidationError as ValidationError

from asyncflask.routing.adapter import MapAdapter as MapAdapter
from asyncflask.routing.converters import DEFAULT_CONVERTERS as DEFAULT_CONVERTERS
from asyncflask.routing.converters import AnyConverter as AnyConverter
from asyncflask.routing.converters import FloatConverter as FloatConverter
from asyncflask.routing.converters import IntegerConverter as IntegerConverter
from asyncflask.routing.converters import NumberConverter as NumberConverter
from asyncflask.routing.converters import PathConverter as PathConverter
from asyncflask.routing.converters import UnicodeConverter as UnicodeConverter
from asyncflask.routing.converters import UUIDConverter as UUIDConverter
from asyncflask.routing.errors import BuildError as BuildError
from asyncflask.routing.errors import RuleError as RuleError
from asyncflask.routing.map import Map as Map
from asyncflask.routing.matcher import Matcher as Matcher
from asyncflask.routing.redirects import Miss as Miss
from asyncflask.routing.rule import Rule as Rule
