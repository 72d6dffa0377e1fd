"""Sends files: conditionally, in ranges, and from a folder without ever leaving it.

In ``def`` code the functions give a response; in ``async def`` code they are awaited, and the file
system is asked in a worker thread.
"""

from __future__ import annotations

import functools
import io
import mimetypes
import os
import posixpath
import re
import stat
import time
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote
from zlib import adler32

from werkzeug.datastructures import Headers
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join

from asyncflask.assets import SUFFIXES, choose_coding, existing_codings
from asyncflask.concurrency import Pending, running_loop
from asyncflask.globals import app_ctx

if TYPE_CHECKING:
    from asyncflask.ctx import AppContext
    from asyncflask.messages.request import Request
    from asyncflask.messages.response import Response

#: How much of a file is read at once, in bytes. One that is not larger is sent as a whole.
CHUNK_SIZE = 128 * 1024

PathOrFile = str | os.PathLike[str] | IO[bytes]
MaxAge = int | Callable[[str | None], int | None] | None


class FileBody:
    """An open file, or a part of it, as the body of a response: read piece by piece.

    :param file: a binary file.
    :param length: how many bytes are sent; None: all there are.
    :param offset: where to begin, in bytes; 0 does not move in the file.
    :param path: where the file is, if all of it is sent.
    """

    def __init__(
        self,
        file: IO[bytes],
        length: int | None = None,
        offset: int = 0,
        *,
        path: str | None = None,
    ) -> None:
        self.file = file
        self.length = length
        self.offset = offset
        self._path = path

    def current_path(self) -> str | None:
        """Return the path of a file that is sent whole, if it is still there."""
        if self._path is not None:
            try:
                if os.path.samestat(os.stat(self._path), os.fstat(self.file.fileno())):
                    return self._path
            except OSError:
                pass  # deleted: what is open can be sent
        return None

    def slice(self, start: int, stop: int) -> FileBody:
        """Return the part from ``start`` to ``stop``, in bytes."""
        return FileBody(self.file, stop - start, self.offset + start)

    def __iter__(self) -> Iterator[bytes]:
        """Read the file.

        :raises OSError: it has become shorter since it was measured.
        """
        left = self.length
        if self.offset:
            self.file.seek(self.offset)
        while left is None or left > 0:
            chunk = self.file.read(CHUNK_SIZE if left is None else min(CHUNK_SIZE, left))
            if not chunk:
                break
            yield chunk
            left = None if left is None else left - len(chunk)
        if left:
            raise OSError(f"The file became shorter while it was sent: {left} bytes are missing.")

    def read(self) -> bytes:
        """Read everything and close the file."""
        try:
            return b"".join(self)
        finally:
            self.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def send_file(
    path_or_file: PathOrFile,
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | float | None = None,
    max_age: MaxAge = None,
) -> Awaitable[Response]:
    """Send a file. In ``async def`` code: ``await send_file(...)``.

    Never pass a path that comes from the client: :func:`send_from_directory` is for those.

    :param path_or_file: a path, relative to ``app.root_path``; or a binary file, which is closed
        when it was sent.
    :param mimetype: the content type; guessed from the name by default.
    :param as_attachment: have the browser save the file instead of showing it.
    :param download_name: the name to save it under; the file's by default.
    :param conditional: answer conditional requests (304) and ranges (206, 416).
    :param etag: make an ETag from path, time and size; or the ETag to send.
    :param last_modified: when the file was changed; of a path by default as the system says.
    :param max_age: how many seconds the client may keep it, or a function of the path that says
        so; by default ``app.get_send_file_max_age``.
    :raises OSError: the file cannot be read.
    :raises TypeError: a file without a name needs ``mimetype``, as an attachment ``download_name``.
    :raises ValueError: the file is a text file.
    :raises RequestedRangeNotSatisfiable: the range lies outside of the file (416).
    """
    send = functools.partial(
        _send,
        path_or_file,
        mimetype=mimetype,
        as_attachment=as_attachment,
        download_name=download_name,
        conditional=conditional,
        etag=etag,
        last_modified=last_modified,
        max_age=max_age,
    )
    return by_the_rule(lambda context: send(context=context), "send_file(...)")


def send_from_directory(
    directory: str | os.PathLike[str], path: str | os.PathLike[str], **kwargs: Any
) -> Awaitable[Response]:
    """Send a file of a folder, safely. In ``async def`` code: ``await send_from_directory(...)``.

    :param directory: the folder, relative to ``app.root_path``. Never the client's choice.
    :param path: the file in it, as the client asks for it. Dotfiles (except below
        ``.well-known``), links that lead out of the folder and everything else that is not a file
        inside are not found.
    :param kwargs: those of :func:`send_file`; and ``precompressed``: with True, a sibling such as
        ``path + ".br"`` (``.zst``, ``.gz``) is sent to clients that accept its coding.
    :raises NotFound: there is no such file.
    """
    return by_the_rule(
        lambda context: send_found(context, directory, path, **kwargs), "send_from_directory(...)"
    )


def send_found(
    context: AppContext,
    directory: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    precompressed: bool = False,
    **kwargs: Any,
) -> Response:
    """Do the work of :func:`send_from_directory`, here and now."""
    root_path, folder, name = context.app.root_path, os.fspath(directory), os.fspath(path)
    shown, real = _find(root_path, folder, name)
    codings = existing_codings(shown) if precompressed else []
    if not codings:
        return _send(shown, context=context, real_path=real, **kwargs)
    request = _request_of(context)
    coding = None if request is None else choose_coding(request.accept_encodings, codings)
    if coding is not None:
        # Links may not leave the folder: not those of siblings, either.
        shown, real = _find(root_path, folder, name + SUFFIXES[coding])
    response = _send(shown, context=context, real_path=real, coding=coding, **kwargs)
    response.vary.add("Accept-Encoding")
    return response


def by_the_rule(send: Callable[[AppContext], Response], expression: str) -> Awaitable[Response]:
    """Do the work in ``def`` code; in ``async def`` code return what does it in a worker."""
    context: AppContext = app_ctx._get_current_object()  # type: ignore[attr-defined]
    if running_loop() is None:
        # What 'def' code gets is the response itself, typed for it in `asyncflask.sync`.
        return cast("Awaitable[Response]", send(context))
    return cast(
        "Awaitable[Response]",
        Pending(functools.partial(context.app.run_sync, send, context), expression),
    )


def _request_of(context: AppContext) -> Request | None:
    """The request whose conditions are answered; outside of requests there are none."""
    return None if context.request_context is None else context.request_context.request


# Finding the file.

_DRIVE = re.compile(r"[A-Za-z]:")


def _find(root_path: str, directory: str, path: str) -> tuple[str, str]:
    """Return the path of a file in ``directory``, as it is shown and as it is opened.

    :raises NotFound: it is no file, or lies outside.
    """
    is_folder = path.endswith("/")
    path = posixpath.normpath(path)
    joined = None if is_folder or _is_trick(path) else safe_join(directory, path)
    if joined is None:
        raise NotFound
    shown = os.path.join(root_path, joined)
    folder = os.path.join(root_path, directory)
    try:
        mode = _mode_without_links(folder, path)
        if mode is not None:
            real = shown
        else:
            real = os.path.realpath(shown)
            if not real.startswith(os.path.join(os.path.realpath(folder), "")):
                raise NotFound
            mode = os.stat(real).st_mode
    except (OSError, ValueError):  # it is not there, or has a name that no file can have
        raise NotFound from None
    # Only what is a plain file is opened: a pipe, say, would never end.
    if not stat.S_ISREG(mode):
        raise NotFound
    return shown, real


def _mode_without_links(folder: str, path: str) -> int | None:
    """Return the mode of a file in ``folder``; None where links are followed on the way to it.

    PERF: to resolve both takes ten times as many system calls (scenario: static file).
    """
    mode = 0
    for part in path.split("/"):
        folder = os.path.join(folder, part)
        found = os.lstat(folder)
        mode = found.st_mode
        # Windows has other links as well; they are reparse points, as its symbolic ones are.
        is_reparse_point = getattr(found, "st_reparse_tag", 0) != 0
        if stat.S_ISLNK(mode) or is_reparse_point:
            return None
    return mode


def _is_trick(path: str) -> bool:
    """Whether a normalised path has parts that no honest URL of a file has, on any system.

    ``..`` is a name with a dot in front, too. Device names of Windows are left to ``safe_join``.
    """
    return "\\" in path or any(
        (part.startswith(".") and part != ".well-known") or _DRIVE.match(part) is not None
        for part in path.split("/")
    )


class _Source(NamedTuple):
    """The file that is sent, opened and measured."""

    body: FileBody
    path: str | None
    modified: float | None


def _open(path_or_file: PathOrFile, root_path: str, real_path: str | None) -> _Source:
    if isinstance(path_or_file, str | os.PathLike):
        path = os.path.join(root_path, path_or_file)
        file: IO[bytes] = open(real_path or path, "rb")  # noqa: SIM115 - the response closes it
        found = os.fstat(file.fileno())
        body = FileBody(file, found.st_size, path=os.path.abspath(real_path or path))
        return _Source(body, path, found.st_mtime)
    if isinstance(path_or_file, io.TextIOBase):
        raise ValueError("Files must be opened in binary mode or use BytesIO.")
    if isinstance(path_or_file, io.BytesIO):
        offset = path_or_file.tell()
        length = path_or_file.getbuffer().nbytes - offset
        return _Source(FileBody(path_or_file, length, offset), None, None)
    return _Source(FileBody(path_or_file), None, None)


# Making the response.


def _send(
    path_or_file: PathOrFile,
    *,
    context: AppContext,
    real_path: str | None = None,
    coding: str | None = None,
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | float | None = None,
    max_age: MaxAge = None,
) -> Response:
    app = context.app
    suffix = "" if coding is None else SUFFIXES[coding]
    if download_name is None and isinstance(path_or_file, str | os.PathLike):
        download_name = os.path.basename(path_or_file).removesuffix(suffix)
    headers = Headers()
    mimetype = mimetype or _guess_type(download_name, as_attachment, headers)
    if coding is not None:
        headers.add("Content-Encoding", coding)  # beside that of a type such as .svgz
        etag = f"{etag}-{coding}" if isinstance(etag, str) else etag
    _name_download(headers, download_name, as_attachment)
    source = _open(path_or_file, app.root_path, real_path)
    try:
        response = app.response_class(
            source.body, mimetype=mimetype, headers=headers, direct_passthrough=True
        )
        _set_validators(response, source, etag, last_modified)
        if max_age is None:
            max_age = app.get_send_file_max_age
        if callable(max_age):
            max_age = max_age(source.path and source.path.removesuffix(suffix))
        _set_max_age(response, max_age)
        _set_body(response, source, context, conditional)
    except BaseException:
        source.body.close()
        raise
    return response


def _guess_type(name: str | None, as_attachment: bool, headers: Headers) -> str:
    if name is None:
        raise TypeError(
            "Unable to detect the MIME type because a file name is not available. Either set "
            "'download_name', pass a path instead of a file, or set 'mimetype'."
        )
    mimetype, encoding = mimetypes.guess_type(name)
    # Browsers would unpack an attachment (.tar.gz) while they save it.
    if encoding is not None and not as_attachment:
        headers["Content-Encoding"] = encoding
    return mimetype or "application/octet-stream"


def _name_download(headers: Headers, name: str | None, as_attachment: bool) -> None:
    """Set the ``Content-Disposition`` (RFC 6266, names in other alphabets by RFC 5987)."""
    if name is None:
        if as_attachment:
            raise TypeError(
                "No name provided for attachment. Either set 'download_name' or pass a path "
                "instead of a file."
            )
        return
    name = re.sub(r"[\x00-\x1f\x7f]", "_", name).encode(errors="replace").decode()
    names = {"filename": name}
    if not name.isascii():
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        names = {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"}
    headers.set("Content-Disposition", "attachment" if as_attachment else "inline", **names)


def _set_validators(
    response: Response,
    source: _Source,
    etag: bool | str,
    last_modified: datetime | float | None,
) -> None:
    modified = source.modified if last_modified is None else last_modified
    if modified is not None:
        response.last_modified = cast(datetime, modified)  # seconds do as well
    if isinstance(etag, str):
        response.set_etag(etag)
    elif etag and source.path is not None:
        # Flask's, so that what browsers have kept stays good.
        check = adler32(source.path.encode(errors="surrogateescape"))
        response.set_etag(f"{source.modified}-{source.body.length}-{check}")


def _set_max_age(response: Response, max_age: int | None) -> None:
    response.cache_control.no_cache = True if not max_age or max_age <= 0 else None
    if max_age is not None:
        if max_age > 0:
            response.cache_control.public = True
        response.cache_control.max_age = max_age
        response.expires = cast(datetime, int(time.time() + max_age))


def _set_body(response: Response, source: _Source, context: AppContext, conditional: bool) -> None:
    """Decide what is sent of the file: all of it, a range, or nothing."""
    size = source.body.length
    request = _request_of(context)
    sent_by_proxy = source.path is not None and context.app.config["USE_X_SENDFILE"]
    if size is not None and not sent_by_proxy:
        response.content_length = size
    if conditional and request is not None:
        ranges = size is not None and not sent_by_proxy
        if ranges:
            response.accept_ranges = "bytes"
        one = _is_one_range(request.headers.get("range", ""))
        response.make_conditional(request, accept_ranges=ranges and one, complete_length=size)
    status = response.status_code
    if status == 412:
        response.content_length = 0
    elif status == 200 and sent_by_proxy:
        response.headers["X-Sendfile"] = cast(str, source.path)
    if (
        status in (304, 412)
        or sent_by_proxy
        or (size is not None and request is not None and request.method == "HEAD")
    ):
        source.body.close()
        response.response = b""
        return
    body = cast(FileBody, response.response)
    if body.length is not None and body.length <= CHUNK_SIZE:
        response.response = body.read()


def _is_one_range(http_range: str) -> bool:
    """Whether a ``Range`` is one of bytes.

    Other units must be ignored, and several ranges may be (RFC 9110, section 14.2): their parts
    would need a body of its own kind, which can be larger than the file.
    """
    return http_range[:6].lower() == "bytes=" and "," not in http_range
