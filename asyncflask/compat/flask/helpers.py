"""Functions for views, and those of Flask's own that extensions use."""

from __future__ import annotations

from asyncflask.files import send_file as send_file
from asyncflask.files import send_from_directory as send_from_directory
from asyncflask.helpers import abort as abort
from asyncflask.helpers import flash as flash
from asyncflask.helpers import get_debug_flag as get_debug_flag
from asyncflask.helpers import get_flashed_messages as get_flashed_messages
from asyncflask.helpers import get_load_dotenv as get_load_dotenv
from asyncflask.helpers import get_root_path as get_root_path
from asyncflask.helpers import make_response as make_response
from asyncflask.helpers import redirect as redirect
from asyncflask.helpers import stream_with_context as stream_with_context
from asyncflask.helpers import url_for as url_for
from asyncflask.messages.connection import blueprint_names
from asyncflask.templating import get_template_attribute as get_template_attribute


def _split_blueprint_path(name: str) -> list[str]:
    """Return a blueprint and those it is nested in: ``"a.b" -> ["a.b", "a"]``."""
    return [name, *blueprint_names(name)]
