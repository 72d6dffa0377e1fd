"""In process: the CPU time of ``app(scope, receive, send)``, of all threads, on one event loop.

Every answer is checked before anything is timed. The candidates of a scenario take turns, round
by round, and the median of a candidate's rounds counts, so a slow minute of the machine is
everybody's.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.scenarios import BROWSER, MESSAGES, Request, Scenario

App = Callable[[Any, Any, Any], Awaitable[None]]

#: How long a candidate's turn takes, in seconds.
TURN = 0.05

_HEADERS = [(name.encode(), value.encode()) for name, value in BROWSER]


class Exchange:
    """A request that has arrived, and its answer: when that is complete, the client goes away."""

    __slots__ = ("_complete", "_messages", "_next", "_waiting", "scope")

    def __init__(self, scope: dict[str, Any], messages: Sequence[dict[str, Any]]) -> None:
        # A state of its own, as servers do: Litestar keeps the parsed body there.
        self.scope = dict(scope, state={})
        self._messages = messages
        self._next = 0
        self._complete = False
        self._waiting: asyncio.Future[None] | None = None

    async def receive(self) -> dict[str, Any]:
        place = self._next
        if place == len(self._messages) - 1 and not self._complete:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self._next = place + 1
        return self._messages[place]

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._end()

    def _end(self) -> None:
        self._complete = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Conversation(Exchange):
    """A WebSocket: when all messages have come back, the client closes it."""

    __slots__ = ("_echoes",)

    def __init__(self, scope: dict[str, Any], messages: Sequence[dict[str, Any]]) -> None:
        super().__init__(scope, messages)
        self._echoes = 0

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            self._echoes += 1
            if self._echoes == MESSAGES:
                self._end()


_KINDS = {"http": Exchange, "websocket": Conversation}


class Candidate:
    """A peer's application for a scenario, ready to be timed."""

    def __init__(self, peer: str, scenario: Scenario, app: App) -> None:
        self.peer = peer
        self.app = app
        self.times: list[float] = []
        self._scenario = scenario
        self._exchange = _KINDS[scenario.type]
        self._prepared: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        self._count = 0

    async def check(self) -> None:
        """See that every request gets its answer.

        :raises ValueError: one does not.
        """
        requests = self._scenario.requests
        if self._scenario.chained:
            requests = await self._chain(requests[0])
        for request in requests:
            await self._ask(request)
        self._prepared = [(self._scope(each), self._messages(each)) for each in requests]

    async def _chain(self, first: Request, length: int = 64) -> tuple[Request, ...]:
        requests = []
        headers = await self._ask(first)
        for number in range(length):
            cookie = dict(headers)[b"set-cookie"].decode().partition(";")[0]
            requests.append(first.with_cookie(cookie, str(number + 2)))
            headers = await self._ask(requests[-1])
        return tuple(requests)

    async def _ask(self, request: Request) -> list[tuple[bytes, bytes]]:
        sent: list[dict[str, Any]] = []

        exchange = self._exchange(self._scope(request), self._messages(request))

        async def send(message: dict[str, Any]) -> None:
            sent.append(dict(message))
            await exchange.send(message)

        await self.app(exchange.scope, exchange.receive, send)
        if self._scenario.type == "websocket":
            echoes = [message.get("text") for message in sent[1:]]
            if sent[0]["type"] != "websocket.accept" or echoes[:MESSAGES] != _TEXTS:
                raise ValueError(f"{self.peer}: {sent}")
            return []
        body = b"".join(message.get("body", b"") for message in sent[1:])
        headers = [(bytes(name).lower(), value) for name, value in sent[0]["headers"]]
        kind = dict(headers)[b"content-type"].decode()
        self._scenario.check(self.peer, request, sent[0]["status"], kind, body)
        if sent[-1].get("more_body", False):
            raise ValueError(f"{self.peer} does not end its answer: {sent}")
        return headers

    def _scope(self, request: Request) -> dict[str, Any]:
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        scope = {
            "type": self._scenario.type,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 5000),
            "client": ("127.0.0.1", 40000),
            "scheme": "http",
            "method": request.method,
            "root_path": "",
            "path": request.path,
            "raw_path": request.path.encode(),
            "query_string": request.query.encode(),
            "headers": _HEADERS + headers,
            "state": {},
        }
        if self._scenario.type == "websocket":
            del scope["method"]
            scope.update(scheme="ws", subprotocols=[])
        return scope

    def _messages(self, request: Request) -> list[dict[str, Any]]:
        if self._scenario.type == "websocket":
            texts = [{"type": "websocket.receive", "text": text} for text in _TEXTS]
            end = {"type": "websocket.disconnect", "code": 1000, "reason": ""}
            return [{"type": "websocket.connect"}, *texts, end]
        chunks = request.body or (b"",)
        arriving = [
            {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
            for place, chunk in enumerate(chunks)
        ]
        return [*arriving, {"type": "http.disconnect"}]

    async def run_once(self) -> None:
        """Make one request, the last of the scenario's."""
        exchange = self._exchange(*self._prepared[-1])
        await self.app(exchange.scope, exchange.receive, exchange.send)

    async def calibrate(self) -> None:
        """Find out how many requests a turn has."""
        self._count = 1
        while await self._run() * self._count < TURN:
            self._count *= 2

    async def take_turn(self) -> None:
        """Time the requests of a turn."""
        self.times.append(await self._run())

    async def _run(self) -> float:
        """Return the CPU seconds per request."""
        app, prepared, count, make = self.app, self._prepared, self._count, self._exchange
        gc.collect()
        started = time.process_time()
        for number in range(count):
            exchange = make(*prepared[number % len(prepared)])
            await app(exchange.scope, exchange.receive, exchange.send)
        return (time.process_time() - started) / count

    @property
    def microseconds(self) -> float:
        """The median of the turns."""
        return statistics.median(self.times) * 1e6


_TEXTS = [f"message {number}" for number in range(MESSAGES)]


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Start an application as a server does, and shut it down."""
    asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answered = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        answered.set()

    async def live() -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        with contextlib.suppress(Exception):  # it has none
            await app(scope, asked.get, send)
        answered.set()

    task = asyncio.create_task(live())
    for message in ("lifespan.startup", "lifespan.shutdown"):
        answered.clear()
        if not task.done():
            asked.put_nowait({"type": message})
            await answered.wait()
        if message == "lifespan.startup":
            yield
    await task


async def measure(
    scenario: Scenario,
    apps: dict[str, App],
    *,
    rounds: int,
    show: Callable[[int], None] = lambda done: None,
) -> dict[str, float]:
    """Return the microseconds per request of each application.

    :param apps: by peer.
    :param rounds: how many turns each gets.
    :param show: called with how many rounds are done.
    :raises ValueError: one does not answer as the scenario wants.
    """
    candidates = [Candidate(peer, scenario, app) for peer, app in apps.items()]
    async with contextlib.AsyncExitStack() as stack:
        for each in candidates:
            await stack.enter_async_context(lifespan(each.app))
            await each.check()
            await each.calibrate()
        gc.freeze()
        for number in range(rounds):
            show(number)
            for each in candidates:
                await each.take_turn()
        gc.unfreeze()
    return {each.peer: each.microseconds for each in candidates}
