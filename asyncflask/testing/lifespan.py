"""What starts an application and shuts it down around a test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from asyncflask.life.lifespan_protocol import Lifespan

if TYPE_CHECKING:
    from types import TracebackType

    from asyncflask.app import Flask
    from asyncflask.testing.client import FlaskClient


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
