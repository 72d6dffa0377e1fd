"""The server's side of ASGI's lifespan protocol: starts an application and shuts it down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Self

from asyncflask.testing.exchange import finish

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import ASGIApp, Message

    from asyncflask.app import Flask
    from asyncflask.testing.client import FlaskClient

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
        if failed or stage == "shutdown":
            await finish(self._task, GRACE)
        if self._task.done() and not self._task.cancelled():
            error = self._task.exception()
            if error is not None:
                error.add_note(f"The application raised this in its lifespan, at {stage}.")
                raise error
        if failed:
            raise RuntimeError(f"The application failed at {stage}: {message.get('message', '')}")


class TestApp:
    """Runs the lifespan of an application around a test; Quart's.

    ::

        async with app.test_app() as test_app:
            response = await test_app.test_client().get("/")

    :param app: the application.
    :param startup_timeout: seconds that it may take to start.
    :param shutdown_timeout: seconds that it may take to shut down.
    """

    #: Not a test class, whatever pytest makes of the name.
    __test__ = False

    def __init__(
        self, app: Flask, *, startup_timeout: float = 6.0, shutdown_timeout: float = 6.0
    ) -> None:
        self.app = app
        self._timeouts = startup_timeout, shutdown_timeout
        self._state: dict[str, Any] = {}
        self._lifespan = Lifespan(app, self._state)

    def test_client(self, use_cookies: bool = True, **kwargs: Any) -> FlaskClient:
        """Return a client of the application: ``app.test_client()``."""
        scope_base = {"state": self._state, **(kwargs.pop("scope_base", None) or {})}
        return self.app.test_client(use_cookies, scope_base=scope_base, **kwargs)

    async def startup(self) -> None:
        """Start the application.

        :raises TimeoutError: it takes too long.
        """
        await asyncio.wait_for(self._lifespan.start(), self._timeouts[0])

    async def shutdown(self) -> None:
        """Shut the application down.

        :raises TimeoutError: it takes too long.
        """
        await asyncio.wait_for(self._lifespan.stop(), self._timeouts[1])

    async def __aenter__(self) -> Self:
        await self.startup()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shutdown()
