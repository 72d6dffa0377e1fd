"""The server's side of ASGI's lifespan protocol: for mounted applications, and for tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from asyncflask.concurrency import finish

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

#: Seconds an application gets to return from its lifespan after its last message.
GRACE = 5.0


class Lifespan:
    """Runs the lifespan of an ASGI application in a task of its own.

    :param app: the ASGI application.
    :param state: filled by the application; every request gets a shallow copy.
    """

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        #: Whether it has answered at all: an application without a lifespan does not.
        self.answered = False
        #: What it says about its failure, where it says anything.
        self.reason = ""
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()

    async def start(self) -> None:
        """Return when the application has started, or returned because it has no lifespan.

        :raises Exception: what the application raised, with a note that it was at startup.
        :raises RuntimeError: the application reported a failure without raising.
        """
        self._task = asyncio.create_task(self._call())
        await self._pass_through("startup")

    async def stop(self) -> None:
        """Return when the application has shut down.

        :raises Exception: what the application raised, with a note that it was at shutdown.
        :raises RuntimeError: the application reported a failure without raising.
        """
        await self._pass_through("shutdown")

    async def _call(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        await self._app(scope, self._incoming.get, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"].startswith("lifespan."):  # some know no lifespan and send a page
            self.answered = True
        if not self._answer.done():
            self._answer.set_result(message)

    async def _pass_through(self, stage: Literal["startup", "shutdown"]) -> None:
        self._answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._incoming.put_nowait({"type": f"lifespan.{stage}"})
        either: set[asyncio.Future[Any]] = {self._task, self._answer}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await finish(self._task, 0)
            raise
        message = self._answer.result() if self._answer.done() else {"type": "none"}
        failed = message["type"].endswith(".failed")
        if message["type"] == "lifespan.startup.complete":
            return  # if it ends now, that is for the shutdown to tell
        self.reason = message.get("message", "")
        if failed or stage == "shutdown":
            await finish(self._task, GRACE)
        if self._task.done() and not self._task.cancelled():
            error = self._task.exception()
            if error is not None:
                error.add_note(f"The application raised this in its lifespan, at {stage}.")
                raise error
        if failed:
            why = f": {self.reason}" if self.reason else ". It does not say why."
            raise RuntimeError(f"The application failed at {stage}{why}")
