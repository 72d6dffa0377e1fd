"""Server-sent events: a stream of events to a browser's ``EventSource``.

The format is that of the HTML standard, section 9.2 (https://html.spec.whatwg.org/#server-sent-events).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import asyncflask.json as json
from asyncflask.concurrency import OpenedIterator, ThreadedIterator, aclose_iterable
from asyncflask.globals import current_app

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.messages.response import Response

#: The ends of lines of the format. ``str.splitlines`` knows others, which are text here.
_LINE_END = re.compile(r"\r\n|\r|\n")

_HEADERS = {
    # Not to be stored by anyone, nor compressed on the way, which would hold events back.
    "Cache-Control": "no-cache, no-transform",
    # nginx is not to wait until it has a buffer full.
    "X-Accel-Buffering": "no",
}

_KEEP_ALIVE = b":\n\n"

_end: Any = object()


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event.

    :param data: text is sent as it is, anything else as JSON. None: no data, and unless the event
        has a name browsers are told of nothing.
    :param event: its name, for ``addEventListener``; browsers take ``message`` by default.
    :param id: what the browser sends as ``Last-Event-ID`` when it connects again.
    :param retry: how many milliseconds the browser waits until it connects again.
    :param comment: text that browsers skip.
    :raises ValueError: a line break in ``event`` or ``id``, which would begin another field, or a
        NUL in ``id``; or ``retry`` is no number of milliseconds.
    """

    data: Any = None
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("event", self.event), ("id", self.id)):
            if value is not None and not {"\r", "\n", "\0"}.isdisjoint(str(value)):
                raise ValueError(
                    f"The {name} of a server-sent event is one line, and {value!r} is not."
                )
        if self.retry is not None and (not isinstance(self.retry, int) or self.retry < 0):
            raise ValueError(f"'retry' is a number of milliseconds, not {self.retry!r}.")

    def encode(self) -> bytes:
        """Return the event as it is sent: ``b"id: 7\\ndata: hello\\n\\n"``."""
        lines: list[str] = []
        if self.comment is not None:
            lines.extend(f": {line}" for line in _LINE_END.split(self.comment))
        for name, value in (("retry", self.retry), ("id", self.id), ("event", self.event)):
            if value is not None:
                lines.append(f"{name}: {value}")
        data = self.data
        if data is None and self.event is not None:
            data = ""  # browsers drop an event without data
        if data is not None:
            text = data if isinstance(data, str) else json.dumps(data)
            lines.extend(f"data: {line}" for line in _LINE_END.split(text))
        return "\n".join((*lines, "", "")).encode()


def stream_events(
    events: AsyncIterable[Any] | Iterable[Any], *, keep_alive: float | None = 15
) -> Response:
    """Return a response that sends server-sent events as they are made.

    It ends with ``events``, when the client leaves, or when the application begins to shut down;
    an async generator is cancelled then, at its ``await``. ``request``, ``session`` and ``g`` stay
    in place to the end.

    :param events: an async generator, or a sync one, which is pulled in a thread of the stream
        pool. It yields :class:`ServerSentEvent`, or only the data of events.
    :param keep_alive: after so many seconds without an event a comment is sent, so that proxies
        do not take the connection for dead and a client that is gone is noticed. None: never.
    :raises TypeError: ``events`` cannot be iterated over.
    :raises ValueError: ``keep_alive`` is not positive.
    """
    if not isinstance(events, AsyncIterable | Iterable):
        raise TypeError(
            f"{events!r} is no generator of events. Call a generator function: "
            "stream_events(events())."
        )
    if keep_alive is not None and keep_alive <= 0:
        raise ValueError(f"'keep_alive' is a number of seconds above 0, or None: not {keep_alive}.")
    app: Flask = cast(Any, current_app)._get_current_object()
    response = app.response_class(
        _Events(events, keep_alive, app), headers=_HEADERS, content_type="text/event-stream"
    )
    response.timeout = None
    return response


class _Events(OpenedIterator):
    """Events in their encoded form, with what keeps the connection alive between them.

    They are made in a task of their own, so that waiting for the next one can be given up without
    cancelling it. The task goes on when the last event was sent, not before.
    """

    def __init__(
        self, events: AsyncIterable[Any] | Iterable[Any], keep_alive: float | None, app: Flask
    ) -> None:
        self._source: Any = events
        self._keep_alive = keep_alive
        self._app = app
        self._made: asyncio.Queue[bytes] = asyncio.Queue()
        self._maker: asyncio.Task[None] | None = None
        self._is_sending = False
        self._is_closing = False
        self._has_begun = False

    async def open(self) -> None:
        if not isinstance(self._source, AsyncIterable):
            threaded = ThreadedIterator(self._source, self._app.stream_pool)
            await threaded.open()
            self._source = threaded
        self._maker = asyncio.create_task(self._make())
        self._stopper = asyncio.create_task(self._stop_at_shutdown(self._maker))
        self._maker.add_done_callback(self._note_end)

    def _note_end(self, _maker: asyncio.Task[None]) -> None:
        self._stopper.cancel()
        self._made.put_nowait(_end)

    async def _make(self) -> None:
        self._has_begun = True
        try:
            async for event in self._source:
                if self._is_closing:  # it was cancelled, and goes on
                    return
                if not isinstance(event, ServerSentEvent):
                    event = ServerSentEvent(event)
                self._made.put_nowait(event.encode())
                await self._made.join()
        finally:
            # In the task that has run it: a timeout or a task group may span its yields.
            await aclose_iterable(self._source)

    async def _stop_at_shutdown(self, maker: asyncio.Task[None]) -> None:
        await self._app.draining.wait()
        maker.cancel()

    async def __anext__(self) -> bytes:
        if self._maker is None:
            if self._has_begun:
                raise StopAsyncIteration
            await self.open()
        if self._is_sending:
            self._is_sending = False
            self._made.task_done()
        try:
            async with asyncio.timeout(self._keep_alive):
                made = await self._made.get()
        except TimeoutError:
            return _KEEP_ALIVE
        if made is _end:
            self._finish()
            raise StopAsyncIteration
        self._is_sending = True
        return made

    async def aclose(self) -> None:
        self._is_closing = True
        if self._maker is not None:
            self._maker.cancel()
            await asyncio.wait({self._maker})
        if not self._has_begun:
            await aclose_iterable(self._source)
        self._finish()

    def _finish(self) -> None:
        """Raise what the events have raised, once."""
        maker, self._maker = self._maker, None
        if maker is not None and not maker.cancelled():
            maker.result()
