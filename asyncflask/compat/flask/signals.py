"""The signals."""

from __future__ import annotations

from blinker import Namespace

from asyncflask.signals import appcontext_popped as appcontext_popped
from asyncflask.signals import appcontext_pushed as appcontext_pushed
from asyncflask.signals import appcontext_tearing_down as appcontext_tearing_down
from asyncflask.signals import before_render_template as before_render_template
from asyncflask.signals import got_request_exception as got_request_exception
from asyncflask.signals import message_flashed as message_flashed
from asyncflask.signals import request_finished as request_finished
from asyncflask.signals import request_started as request_started
from asyncflask.signals import request_tearing_down as request_tearing_down
from asyncflask.signals import template_rendered as template_rendered

_signals = Namespace()
