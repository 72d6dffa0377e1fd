"""Background tasks: what runs beside the requests of an application."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asyncflask.concurrency import awaited, of_this_loop
from asyncflask.concurrency.pool import stand_alone

if TYPE_CHECKING:
    from asyncflask.life.serving import Serving

_log = logging.getLogger("asyncflask")


class BackgroundTasks(set[asyncio.Task[Any]]):
    """The tasks of an application that outlive their requests, while they run.

    Each runs in a copy of the context it was added in, so ``g`` and ``request`` are still there.
    One that fails is given to the application's ``handle_background_exception``.

    :param app: the application.
    """

    def __init__(self, app: Serving) -> None:
        super().__init__()
        # No cycle: an application that is not served any more is freed at once, as in Flask.
        self._app: Serving = weakref.proxy(app)

    def start(self, name: str, run: Callable[[], Awaitable[Any]]) -> None:
        """Run ``run()`` as a task on the loop that runs here."""
        task = asyncio.get_running_loop().create_task(self._run(name, run), name=name)
        self.add(task)
        task.add_done_callback(self.discard)

    async def _run(self, name: str, run: Callable[[], Awaitable[Any]]) -> None:
        stand_alone()
        try:
            await run()
        except Exception as error:
            try:
                await awaited(self._app.handle_background_exception(error))
            except Exception:
                _log.exception("The failure of the background task %r could not be handled", name)

    async def drain(self, seconds: float | None) -> None:
        """Wait for the tasks, at most so many seconds; what is left is cancelled."""
        try:
            async with asyncio.timeout(seconds):
                while tasks := of_this_loop(self):  # tasks may add tasks
                    await asyncio.wait(tasks)
        except TimeoutError:
            late = of_this_loop(self)
            for task in late:
                _log.warning("The background task %r was cancelled at shutdown", task.get_name())
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
