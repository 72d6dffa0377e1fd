"""The debug page: what went wrong, for the developer's eyes only.

``access`` decides who may see it, ``failure`` gathers the facts from an exception, ``page`` renders
them with ``traceback.html``.
"""

from __future__ import annotations

from asyncflask.debug.access import is_loopback as is_loopback
from asyncflask.debug.access import may_show as may_show
from asyncflask.debug.page import render_error_page as render_error_page
from asyncflask.debug.page import render_error_text as render_error_text
from asyncflask.debug.page import versions as versions
