"""One call of a WSGI application: the server's side of PEP 3333."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from asyncflask.concurrency import wait_for
from asyncflask.messages.response import has_body
from asyncflask.wsgi.framing import Framing
from asyncflask.wsgi.scope import CHUNK_SIZE, HOP_BY_HOP

if TYPE_CHECKING:
    from starlette.types import Message, Send

    from asyncflask.wsgi.adapter import WSGIApp
    from asyncflask.wsgi.input import Input

# Not 1xx: what comes behind it would be taken for the response.
_STATUS = re.compile(r"([2-9]\d\d)(?: [^\x00-\x1f\x7f]*)?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00\r\n]*")

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
_Headers = list[tuple[str, str]]


class ProtocolError(RuntimeError):
    """A WSGI application does what PEP 3333 forbids."""


class _GoneError(Exception):
    """The client has gone, so the rest of the response is not wanted."""


class FileWrapper:
    """``wsgi.file_wrapper``: reads a file in pieces that are worth a change of thread.

    :param file: a binary file, closed at the end of the response.
    :param block_size: ignored: applications ask for 8 KiB.
    """

    def __init__(self, file: IO[bytes], block_size: int = CHUNK_SIZE) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(CHUNK_SIZE), b"")

    def close(self) -> None:
        """Close the file."""
        close = getattr(self._file, "close", None)
        if close is not None:
            close()


class Call:
    """Calls a WSGI application in a thread and sends its response from there.

    :param app: the WSGI application.
    :param environ: the request.
    :param body: the request's body, and whether the client is still there.
    :param send: the ASGI server's ``send``.
    :param loop: the loop of the request.
    """

    def __init__(
        self,
        app: WSGIApp,
        environ: dict[str, Any],
        body: Input,
        send: Send,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        #: What went wrong, once :meth:`run` has returned.
        self.error: Exception | None = None
        self._app = app
        self._environ = environ
        self._body = body
        self._send = send
        self._loop = loop
        self._status = 0
        self._headers: _Headers = []
        self._started = False
        self._framing: Framing  # since the start
        self._bodiless = environ["REQUEST_METHOD"] == "HEAD"

    def run(self) -> None:
        """Call the application and send its response, in a thread. Nothing is raised."""
        try:
            self._respond()
        except _GoneError:
            pass
        except Exception as exc:
            self.error = exc
        except BaseException as exc:  # an exit would end the server
            self.error = RuntimeError(f"The WSGI application has raised {exc!r}.")
            self.error.__cause__ = exc

    def _respond(self) -> None:
        result = self._app(self._environ, self._start_response)
        try:
            self._send_body(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _send_body(self, result: Iterable[bytes]) -> None:
        chunks = iter(result)
        if isinstance(result, list | tuple) and len(result) == 1 and not self._started:
            self._send_whole(next(chunks))
            return
        for chunk in chunks:
            if self._body.gone:
                raise _GoneError
            if self._write(chunk) and self._bodiless:
                break
        self._begin(b"", is_last=True)
        self._pass_on({"type": "http.response.body"})

    def _send_whole(self, chunk: bytes) -> None:
        _check_chunk(chunk)
        named = any(name.lower() == "content-length" for name, _ in self._headers)
        if not (named or self._bodiless) and has_body(self._status):
            self._headers.append(("Content-Length", str(len(chunk))))
        self._begin(chunk, is_last=True)
        body = b"" if self._bodiless else chunk
        self._pass_on({"type": "http.response.body", "body": body})

    def _start_response(
        self, status: str, headers: _Headers, exc_info: _ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """What the application tells status and headers, and may write with."""
        if exc_info is not None:
            if self._started:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self._status:
            raise ProtocolError(
                "start_response() was called a second time, without the exc_info that says why."
            )
        match = _STATUS.fullmatch(status)
        if match is None:
            raise ProtocolError(f"{status!r} is not a status: it has to be like '200 OK'.")
        for name, value in headers:
            if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
                raise ProtocolError(f"({name!r}, {value!r}) cannot be sent as a header.")
        self._status = int(match[1])
        self._headers = list(headers)
        return self._write

    def _write(self, chunk: bytes) -> bool:
        """Send a piece of the body; an empty one does not count."""
        _check_chunk(chunk)
        if not chunk:
            return False
        self._begin(chunk, is_last=False)
        if not self._bodiless:
            self._pass_on({"type": "http.response.body", "body": chunk, "more_body": True})
        return True

    def _begin(self, chunk: bytes, *, is_last: bool) -> None:
        """Before a piece of the body: send status and headers if it is the first and fits them."""
        if self._started:
            self._framing.count(chunk, is_last=is_last)
            return
        if not self._status:
            raise ProtocolError("The WSGI application has not called start_response().")
        self._bodiless = self._bodiless or not has_body(self._status)
        headers = [
            (name.lower().encode("latin-1"), value.strip().encode("latin-1"))
            for name, value in self._headers
        ]
        headers = [pair for pair in headers if pair[0] not in HOP_BY_HOP]
        self._framing = Framing(headers, bodiless=self._bodiless)
        self._framing.count(chunk, is_last=is_last)
        self._started = True
        start = {"type": "http.response.start", "status": self._status, "headers": headers}
        self._pass_on(start)

    def _pass_on(self, message: Message) -> None:
        if self._body.gone:
            raise _GoneError

        async def send() -> None:
            if message.get("more_body"):
                self._body.watch()
            await self._send(message)

        try:
            wait_for(send, self._loop)
        except OSError:  # how some servers say it
            raise _GoneError from None


def _check_chunk(chunk: object) -> None:
    if not isinstance(chunk, bytes):
        raise ProtocolError(
            f"The WSGI application has given {type(chunk).__name__} where bytes are due."
        )
