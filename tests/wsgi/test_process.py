"""One loop and one start of an application for all threads of a process."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import Client

from asyncflask import Flask, request
from asyncflask.wsgi.process import this_process


def make_app(events: list[str]) -> Flask:
    app = Flask("served", static_folder=None)

    @app.while_serving
    async def serving() -> Any:
        events.append("start")
        yield
        events.append("end")

    @app.get("/")
    async def index() -> str:
        return f"{threading.get_ident()} {threading.current_thread().name}"

    @app.get("/def")
    def in_pool() -> Any:
        def numbers() -> Any:
            yield threading.current_thread().name

        return numbers()

    return app


def test_all_threads_share_one_loop_and_one_start() -> None:
    """Also when they come at once; the end of the process shuts down."""
    events: list[str] = []
    app = make_app(events)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: Client(app.wsgi_app).get("/").text, range(40)))
    assert len(set(answers)) == 1
    assert events == ["start"]
    this_process().end()
    assert events == ["start", "end"]
    assert Client(app.wsgi_app).get("/").text.endswith("asyncflask-wsgi")
    assert events == ["start", "end", "start"]


def test_the_state_of_the_lifespan_is_in_every_request() -> None:
    """In a copy, as with ASGI servers."""

    async def lifespan(app: Any) -> Any:
        yield {"shared": []}

    app = Flask("state", lifespan=lifespan)

    @app.get("/")
    def index() -> Any:
        request.scope["state"]["shared"].append(1)
        request.scope["state"]["own"] = 1
        return {"shared": request.scope["state"]["shared"]}

    client = Client(app.wsgi_app)
    assert client.get("/").get_json() == {"shared": [1]}
    assert client.get("/").get_json() == {"shared": [1, 1]}
    assert "own" not in this_process().state_of(app)


def test_one_that_cannot_start_tries_again() -> None:
    """Each request gets the error until it can."""
    app = Flask("failing")
    tries: list[int] = []

    @app.before_serving
    def start() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("no database")

    client = Client(app.wsgi_app)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no database"):
            client.get("/")
    assert client.get("/").status_code == 404
    assert len(tries) == 3


def test_a_shutdown_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody else would hear of it."""
    app = Flask("failing")
    app.logger.propagate = True

    @app.after_serving
    async def end() -> None:
        raise RuntimeError("too late")

    Client(app.wsgi_app).get("/")
    this_process().end()
    assert "too late" in caplog.text


def test_a_start_that_is_torn_away_is_told() -> None:
    """The process ends while an application starts."""
    app = Flask("slow")
    begun = threading.Event()

    @app.before_serving
    async def start() -> None:
        begun.set()
        await asyncio.sleep(60)

    errors: list[BaseException] = []

    def visit() -> None:
        try:
            Client(app.wsgi_app).get("/")
        except BaseException as exc:
            errors.append(exc)

    thread = threading.Thread(target=visit)
    thread.start()
    assert begun.wait(5)
    this_process().end()
    thread.join(5)
    assert len(errors) == 1


def collected(app: list[Flask]) -> bool:
    """Let go of the application in the list, and say whether it has been freed."""
    used = weakref.ref(app.pop())
    gc.collect()
    return used() is None


def test_an_application_that_nobody_uses_is_freed() -> None:
    """What has waited with it for the end of the process ends, too."""
    loop = this_process().loop
    before = asyncio.all_tasks(loop)
    app = [Flask("forgotten", static_folder=None)]
    assert Client(app[0].wsgi_app).get("/").status_code == 404
    waiting = asyncio.all_tasks(loop) - before
    assert len(waiting) == 1
    assert collected(app)

    async def see() -> None:
        await asyncio.wait(waiting, timeout=5)

    asyncio.run_coroutine_threadsafe(see(), loop).result()
    assert waiting.pop().done()


@pytest.mark.parametrize("kind", ["hook", "mounted"])
def test_one_that_has_to_be_shut_down_is_kept(kind: str) -> None:
    """Until the end of the process, though nobody else refers to it."""
    events: list[str] = []
    served = make_app(events)
    if kind == "mounted":
        host = Flask("host", static_folder=None)
        host.mount("/in", served)
        served = host
    app = [served]
    del served
    assert Client(app[0].wsgi_app).get("/nowhere").status_code == 404
    assert not collected(app)
    this_process().end()
    assert events == ["start", "end"]


def test_one_without_hooks_finishes_its_tasks_at_the_end() -> None:
    """It is shut down as any other, for as long as it is used."""
    app = Flask("with_tasks", static_folder=None)
    events: list[str] = []

    async def task() -> None:
        await app.draining.wait()
        events.append("done")

    @app.get("/")
    async def index() -> str:
        app.add_background_task(task)
        return "begun"

    for _ in range(2):  # it starts again after the end
        assert Client(app.wsgi_app).get("/").text == "begun"
        this_process().end()
    assert events == ["done", "done"]


def in_child(function: Callable[[], str]) -> str:
    """Run ``function`` in a fork of this process, and return what it returns."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writing, function().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_begins_anew() -> None:
    """It uses neither the loop nor the worker threads of its parent, which goes on as before."""
    events: list[str] = []
    app, other = make_app(events), Flask("without_hooks")
    client = Client(app.wsgi_app)
    client.get("/def")
    Client(other.wsgi_app).get("/")

    def visit() -> str:
        answers = [client.get("/").text.split()[1], client.get("/def").text]
        this_process().end()
        return " ".join([*answers, *events])

    assert in_child(visit) == "asyncflask-wsgi served-stream-1 start start end"
    assert client.get("/").text.endswith("asyncflask-wsgi")
    assert events == ["start"]
