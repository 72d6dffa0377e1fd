"""Static files of an application or a blueprint."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from asyncflask.files import send_from_directory

if TYPE_CHECKING:
    from asyncflask.messages.response import Response
    from asyncflask.registrar import Registrar


def send_static_file(owner: Registrar, filename: str) -> Awaitable[Response]:
    """Send a file of the static folder: the view of the ``static`` endpoints.

    In ``async def`` code the result is awaited.

    :param owner: the application or blueprint that the folder belongs to.
    :param filename: the file in it, see :func:`asyncflask.send_from_directory`.
    :raises RuntimeError: there is no static folder.
    :raises NotFound: there is no such file.
    """
    if owner.static_folder is None:
        raise RuntimeError(f"{owner!r} has no static files: set its 'static_folder' to serve some.")
    max_age = owner.get_send_file_max_age(filename)
    return send_from_directory(owner.static_folder, filename, max_age=max_age)
