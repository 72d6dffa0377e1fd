"""Serving with uvicorn: safe defaults, clear refusals, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from asyncflask.devserver import reloader, run
from asyncflask.devserver.server import WorthTelling
from tests.programs import Meanwhile, Start

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

HERE = Path(__file__).parent
CERTIFICATE, KEY = HERE / "certificate.pem", HERE / "key.pem"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the client's address and the scheme; echo WebSocket messages."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": str(len(message["text"]))})
    else:
        body = f"{scope['client'][0]} {scope['scheme']}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def fetch(url: str, **headers: str) -> tuple[str, dict[str, str]]:
    with urlopen(Request(url, headers=headers), timeout=60) as response:
        return response.read().decode(), {k.lower(): v for k, v in response.headers.items()}


def test_serves_until_it_is_stopped(meanwhile: Meanwhile) -> None:
    """The address is printed, requests are answered, and Ctrl-C ends it without a word."""
    answer, printed = meanwhile(lambda: run(app, port=0, name="shop"), fetch)
    body, headers = answer
    assert body == "127.0.0.1 http"
    assert "server" not in headers
    assert "date" in headers
    assert printed.startswith(" * Serving shop at http://127.0.0.1:")
    assert "Ctrl-C" in printed
    assert "Traceback" not in printed
    assert "startup" not in printed


def test_uvicorn_speaks_when_it_is_asked_to(meanwhile: Meanwhile) -> None:
    """With a log level of one's own, uvicorn tells of start and end as always."""
    _, printed = meanwhile(lambda: run(app, port=0, log_level="info"), fetch)
    assert "Application startup complete" in printed


def test_proxies_are_not_believed(meanwhile: Meanwhile) -> None:
    """X-Forwarded-For and -Proto of a proxy count only when the proxy is named."""

    def forwarded(url: str) -> str:
        return fetch(url, **{"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https"})[0]

    answer, _ = meanwhile(lambda: run(app, port=0), forwarded)
    assert answer == "127.0.0.1 http"
    answer, _ = meanwhile(lambda: run(app, port=0, trust_proxy="127.0.0.1"), forwarded)
    assert answer == "10.1.2.3 https"


def test_messages_are_bounded(meanwhile: Meanwhile) -> None:
    """A WebSocket message of more than 1 MiB closes the connection; a smaller one passes."""

    def talk(url: str) -> tuple[str | bytes, int]:
        with connect(url.replace("http", "ws"), compression=None) as websocket:
            websocket.send("x" * 1024 * 1024)
            answer = websocket.recv()
            # The server may close before it was given all of it.
            with contextlib.suppress(ConnectionClosedError):
                websocket.send("x" * (1024 * 1024 + 1))
            with pytest.raises(ConnectionClosedError) as caught:
                websocket.recv()
        assert caught.value.rcvd is not None
        return answer, caught.value.rcvd.code

    answer, _ = meanwhile(lambda: run(app, port=0, ws="websockets-sansio"), talk)
    assert answer == (str(1024 * 1024), 1009)


def test_idle_connections_are_closed(meanwhile: Meanwhile) -> None:
    """A connection is kept for a few seconds; here a tenth of one, as an option says."""

    def idle(url: str) -> bytes:
        connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port or 0))
        with connection:
            connection.settimeout(60)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while data := connection.recv(1000):
                received += data
            return received

    answer, _ = meanwhile(lambda: run(app, port=0, timeout_keep_alive=0.1), idle)
    assert answer.startswith(b"HTTP/1.1 200")


def test_https(meanwhile: Meanwhile) -> None:
    """With a certificate and its key it serves https."""

    def secure(url: str) -> str:
        context = ssl.create_default_context(cafile=CERTIFICATE)
        with urlopen(url, timeout=60, context=context) as response:
            return str(response.read().decode())

    answer, printed = meanwhile(lambda: run(app, port=0, certfile=CERTIFICATE, keyfile=KEY), secure)
    assert answer == "127.0.0.1 https"
    assert "https://127.0.0.1" in printed


def test_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    """A wrong or missing file is told in one sentence, before anything starts."""
    with pytest.raises(SystemExit, match=r"The certificate .* cannot be used"):
        run(app, port=0, certfile=KEY, keyfile=CERTIFICATE)
    with pytest.raises(SystemExit, match="No such file"):
        run(app, port=0, certfile=tmp_path / "missing.pem")


def test_port_in_use() -> None:
    """One sentence says so."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"^Port {port} at 127\.0\.0\.1 is in use: "):
            run(app, port=port)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_address_that_is_not_ours(host: str) -> None:
    """An address of another machine is told in one sentence."""
    with pytest.raises(SystemExit, match=f"cannot listen at {host}, port 0: "):
        run(app, host=host, port=0)


def test_port_out_of_range() -> None:
    """What is no port at all is told in one sentence."""
    with pytest.raises(SystemExit, match="from 0 to 65535"):
        run(app, port=70000)


def test_debug_mode_stays_on_this_machine(meanwhile: Meanwhile) -> None:
    """Debug mode is refused where others can reach it, unless that is permitted."""
    with pytest.raises(SystemExit, match=r"refused at 0\.0\.0\.0.*--allow-remote-debug"):
        run(app, host="0.0.0.0", port=0, debug=True)
    answer, printed = meanwhile(
        lambda: run(app, host="0.0.0.0", port=0, debug=True, allow_remote_debug=True), fetch
    )
    assert answer[0] == "127.0.0.1 http"
    assert " in debug mode at http://127.0.0.1:" in printed
    assert "and every other address of this machine." in printed


def test_unknown_option() -> None:
    """A misspelt option is refused, with the nearest one."""
    with pytest.raises(TypeError, match=r"no option 'certfiel'. Did you mean 'certfile'\?"):
        run(app, certfiel="x")
    with pytest.raises(TypeError, match=r"no option 'zzz'\.$"):
        run(app, zzz=1)


def test_serves_without_reloading_where_it_cannot(
    meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the program cannot be started again, it says so and serves."""
    monkeypatch.setattr(reloader, "obstacle", lambda: "of an obstacle.")
    answer, printed = meanwhile(lambda: run(app, port=0, reload=True), fetch)
    assert answer[0] == "127.0.0.1 http"
    assert "No reloading: of an obstacle." in printed


def test_serves_on_the_socket_of_the_process_that_watches(
    meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child of a reloader serves where its parent listens, and does not announce it again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setattr(reloader, "_inherited", str(os.dup(listener.fileno())))

        def announce_and_run() -> None:
            print(f"served at {address} ", file=sys.stderr)
            run(app, port=0, reload=True)

        answer, printed = meanwhile(announce_and_run, fetch)
    assert answer[0] == "127.0.0.1 http"
    assert printed == f"served at {address} \n"


def test_reloading_serves_in_another_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """This one only watches, and ends when the other one ends by itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", "pass"])
    with pytest.raises(SystemExit) as caught:
        run(app, port=0, reload=True)
    assert caught.value.code == 0


async def test_refuses_inside_a_running_loop() -> None:
    """Called from async code, or by a module that a server imports, it says what is wrong."""
    assert asyncio.get_running_loop().is_running()
    with pytest.raises(RuntimeError, match="__main__"):
        run(app, port=0)


def test_reloader_and_workers_exclude_each_other() -> None:
    """The mistake is told before anything starts."""
    with pytest.raises(SystemExit, match="Reloading serves with one process"):
        run(app, port=0, reload=True, workers=2)


def test_workers_need_a_name() -> None:
    """Workers import the application, so an object will not do."""
    with pytest.raises(SystemExit, match=r"asyncflask --app module:name run --workers 2"):
        run(app, port=0, workers=2)


WORKERS = """
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


def test_workers(meanwhile: Meanwhile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes answer at one address; Ctrl-C ends them all."""
    (tmp_path / "served_by_workers.py").write_text(WORKERS)
    monkeypatch.syspath_prepend(tmp_path)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def ask_until_two_answer(url: str) -> int:
        answers: set[str] = set()
        for _ in range(2000):
            # A connection each: the kernel hands them to whichever process is free.
            answers.add(fetch(url)[0])
            if len(answers) == 2:
                break
        return len(answers)

    answer, printed = meanwhile(
        lambda: run("served_by_workers:app", port=0, workers=2), ask_until_two_answer
    )
    assert answer == 2
    assert "Traceback" not in printed
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_workers_that_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """If the application cannot be imported, all ends, with uvicorn's exit code for that."""
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as caught:
        run("not_there:app", port=0, workers=2, timeout_worker_healthcheck=1)
    assert caught.value.code == 3
    assert "not_there" in capfd.readouterr().err


PROGRAM = """
import sys
sys.path.insert(0, {here!r})
from test_server import app
from asyncflask.devserver import reloader, run

async def slow(scope, receive, send):
    if scope["type"] == "http":
        import asyncio
        print("asked", flush=True)
        await asyncio.sleep(0.5)
    await app(scope, receive, send)

run(slow, port=0)
"""


def test_sigterm_lets_requests_finish(start: Start, tmp_path: Path) -> None:
    """SIGTERM, as from a service manager, ends the process after the requests at work."""
    (tmp_path / "program.py").write_text(PROGRAM.format(here=str(HERE)))
    program = start("program.py")
    url = urlsplit(program.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    connection.request("GET", "/")
    program.wait_for_output("asked")
    code = program.signal(signal.SIGTERM)
    assert connection.getresponse().read() == b"127.0.0.1 http"
    assert code == -signal.SIGTERM
    assert "Traceback" not in program.output


def test_failing_start_ends_the_server() -> None:
    """An application whose startup fails is not served."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(SystemExit) as caught:
        run(failing, port=0)
    assert caught.value.code == 3


def test_messages_worth_telling() -> None:
    """Warnings pass, and what explains a wait; the chatter of starts and stops does not."""

    def passes(level: int, message: str) -> bool:
        return WorthTelling().filter(logging.LogRecord("", level, "", 0, message, (), None))

    assert passes(logging.WARNING, "anything")
    assert passes(logging.INFO, "Waiting for connections to close. (CTRL+C to force quit)")
    assert not passes(logging.INFO, "Shutting down")
