"""The framework's own errors. HTTP errors are Werkzeug's (``werkzeug.exceptions``)."""

from __future__ import annotations

from werkzeug.exceptions import ServiceUnavailable


class SetupError(AssertionError):
    """The application is put together in a way that cannot work.

    Raised for a duplicate endpoint, a registration after the start, a bad rule and the like.
    It is an ``AssertionError`` because that is what Flask raises for the same mistakes.
    """


class MissingAwaitError(RuntimeError):
    """A result that must be awaited in ``async def`` code was used without ``await``.

    The message names the line that made the result and what to write instead.
    """


class FormDataRoutingRedirect(AssertionError):
    """In debug mode: a request with a body would be redirected, and browsers would drop the body.

    :param method: of the request.
    :param url: what it asked for.
    :param new_url: where it would be sent.
    """

    def __init__(self, method: str, url: str, new_url: str) -> None:
        super().__init__(
            f"A {method} request to {url!r} would be redirected to the canonical URL {new_url!r}, "
            "and its body would be lost. Send it to the latter at once. (Debug mode says so; "
            "otherwise the client is redirected.)"
        )


class DebugFilesKeyError(KeyError, AssertionError):
    """In debug mode: a file was looked for in a form that cannot carry files.

    :param key: its name.
    :param mimetype: of the form.
    :param value: what the form has under that name.
    """

    def __init__(self, key: str, mimetype: str, value: str) -> None:
        super().__init__(key)
        self._message = (
            f"There is no file {key!r} in request.files, for the request was sent as {mimetype!r}, "
            "so no file contents were transmitted. Give the form the attribute "
            f'enctype="multipart/form-data". This was submitted: {value!r}.'
        )

    def __str__(self) -> str:
        return self._message


class WorkerPoolFullError(ServiceUnavailable):
    """No worker thread came free in time, so the client gets a 503 with ``Retry-After``.

    Raised when more requests wait for a thread than ``WORKER_QUEUE_SIZE``, or one waited longer
    than ``WORKER_QUEUE_TIMEOUT`` seconds.
    """

    description = "All worker threads are busy. Please try again in a moment."

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__(retry_after=retry_after)
