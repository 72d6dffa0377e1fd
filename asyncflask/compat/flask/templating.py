"""Templates."""

from __future__ import annotations

from asyncflask.jinja import DispatchingJinjaLoader as DispatchingJinjaLoader
from asyncflask.jinja import Environment as Environment
from asyncflask.templating import render_template as render_template
from asyncflask.templating import render_template_string as render_template_string
from asyncflask.templating import stream_template as stream_template
from asyncflask.templating import stream_template_string as stream_template_string
