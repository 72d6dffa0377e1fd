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


class WorkerPoolFullError(ServiceUnavailable):
    """No worker thread came free in time, so the client gets a 503 with ``Retry-After``.

    Raised when more requests wait for a thread than ``WORKER_QUEUE_SIZE``, or one waited longer
    than ``WORKER_QUEUE_TIMEOUT`` seconds.
    """

    description = "All worker threads are busy. Please try again in a moment."

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__(retry_after=retry_after)
