"""Views that are classes."""

from __future__ import annotations

from asyncflask.views import MethodView as MethodView
from asyncflask.views import View as View
from asyncflask.views import http_method_funcs as http_method_funcs
