"""Static files of an application or a blueprint."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from asyncflask.assets import FOREVER, version_of
from asyncflask.files import by_the_rule, send_found

if TYPE_CHECKING:
    from asyncflask.ctx import AppContext
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
    folder = owner.static_folder
    if folder is None:
        raise RuntimeError(f"{owner!r} has no static files: set its 'static_folder' to serve some.")
    max_age = owner.get_send_file_max_age(filename)

    def send(context: AppContext) -> Response:
        config = context.app.config
        version = None
        if config["STATIC_HASHED_URLS"] and context.request_context is not None:
            version = context.request.args.get("v")

        def is_current() -> bool:
            return version is not None and version == version_of(folder, filename)

        # Asked before and after: one that is replaced while it is opened is not kept.
        was_current = is_current()
        response = send_found(
            context,
            folder,
            filename,
            max_age=max_age,
            precompressed=config["STATIC_PRECOMPRESSED"],
        )
        if was_current and is_current():
            _keep_for_ever(response)
        return response

    return by_the_rule(send, "send_static_file(...)")


def _keep_for_ever(response: Response) -> None:
    """Let everybody keep the response: what its URL stands for never changes (RFC 8246)."""
    del response.expires
    response.headers["Cache-Control"] = f"public, max-age={FOREVER}, immutable"
