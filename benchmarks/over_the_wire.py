"""Over the wire: requests per second of a server pinned to one core; its client has another.

ASGI peers run under uvicorn with uvloop and httptools, the others on their own servers, all with
one worker and no access log. HTTP is asked by ``wrk``, whose script is given the raw requests; a
WebSocket by a client here that sends prepared frames, and compares bytes. The servers of a
scenario run side by side and take turns; the best round counts, for what else a machine does only
lowers a rate.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.scenarios import BROWSER, MESSAGES, Request, Scenario

CONNECTIONS = 16
#: How long a turn takes, in seconds.
TURN = 0.7
#: How many requests are checked before anything is timed.
SAMPLE = 8

_SCRIPT = """
local file = io.open("{path}", "rb")
local all = file:read("*a")
file:close()
local requests, start = {{}}, 1
for _, size in ipairs({{ {sizes} }}) do
  requests[#requests + 1] = all:sub(start, start + size - 1)
  start = start + size
end
local place = 0
request = function()
  place = place % #requests + 1
  return requests[place]
end
done = function(summary, latency, _)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration,
    e.connect + e.write + e.status + e.timeout))
end
"""


def missing() -> str | None:
    """Return why this cannot be measured here, and what to do."""
    if shutil.which("wrk") is None:
        return (
            "wrk is not installed, so nothing is measured over the wire. Install it "
            "(apt-get install wrk, brew install wrk), or choose --way in-process."
        )
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        return "Over the wire takes Linux and two cores: one for the server, one for its client."
    return None


def _cores() -> tuple[set[int], set[int]]:
    server, client = sorted(os.sched_getaffinity(0))[:2]
    return {server}, {client}


def _command(peer: str, scenario: str, port: int) -> list[str]:
    module = importlib.import_module(f"benchmarks.peers.{peer}")
    if hasattr(module, "command"):
        command: list[str] = module.command(scenario, port)
        return command
    return [
        *(sys.executable, "-m", "uvicorn", f"benchmarks.peers.{peer}:{scenario}", "--factory"),
        *("--ws-ping-interval", "600"),  # no pings between the echoes
        *("--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "critical"),
    ]


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, all different: they are held until the last is found."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


class Server:
    """A peer's server for a scenario; it ends with the block."""

    def __init__(self, peer: str, scenario: Scenario, port: int) -> None:
        self.peer = peer
        self.port = port
        self.rates: list[float] = []
        self._scenario = scenario

    def __enter__(self) -> Server:
        core, _ = _cores()
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            _command(self.peer, self._scenario.name, self.port),
            stdout=self._output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, core),
        )
        return self

    def __exit__(self, *details: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()

    def wait(self, seconds: float = 60) -> None:
        """Wait until it listens.

        :raises RuntimeError: it has ended, or takes too long.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        self._output.seek(0)
        said = self._output.read().decode(errors="replace")[-2000:]
        raise RuntimeError(f"{self.peer} does not serve {self._scenario.name}: {said}")

    def ask(self, request: Request) -> list[tuple[str, str]]:
        """Make a request and check its answer; return its headers."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = dict(request.headers)
            client.request(request.method, request.target, b"".join(request.body), headers)
            answer = client.getresponse()
            kind = answer.headers.get("content-type", "")
            self._scenario.check(self.peer, request, answer.status, kind, answer.read())
            return answer.getheaders()
        finally:
            client.close()

    def check(self) -> list[Request]:
        """Check a sample of the answers; return the requests to make.

        :raises ValueError: one is wrong.
        """
        requests = list(self._scenario.requests)
        if not self._scenario.chained:
            for request in requests[:SAMPLE]:
                self.ask(request)
            return requests
        first, chain = requests[0], []
        headers = self.ask(first)
        for number in range(32):
            cookies = {name.lower(): value for name, value in headers}
            cookie = cookies["set-cookie"].partition(";")[0]
            chain.append(first.with_cookie(cookie, str(number + 2)))
            headers = self.ask(chain[-1])
        return chain


def raw(request: Request, port: int) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{request.method} {request.target} HTTP/1.1", f"host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in (*BROWSER[1:], *request.headers)]
    return "\r\n".join((*lines, "", "")).encode() + b"".join(request.body)


def _wrk(script: Path, port: int, seconds: float) -> float:
    """Return the requests per second.

    :raises RuntimeError: some of them have failed.
    """
    _, core = _cores()
    output = subprocess.run(
        # wrk takes whole seconds; it is interrupted, and then reports.
        [
            *("timeout", "-s", "INT", str(seconds), "wrk", "-t1", f"-c{CONNECTIONS}", "-d60s"),
            *("-s", str(script), f"http://127.0.0.1:{port}/"),
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    ).stdout
    for line in output.splitlines():
        if line.startswith("RESULT "):
            count, duration, errors = (int(each) for each in line.split()[1:])
            if not errors and count:
                return count / duration * 1e6
    raise RuntimeError(f"wrk: {output}")


@contextlib.contextmanager
def _http(server: Server) -> Iterator[Callable[[float], float]]:
    requests = [raw(request, server.port) for request in server.check()]
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder, "requests"), Path(folder, "script.lua")
        data.write_bytes(b"".join(requests))
        sizes = ", ".join(str(len(each)) for each in requests)
        script.write_text(_SCRIPT.format(path=data, sizes=sizes))
        yield lambda seconds: _wrk(script, server.port, seconds)


def _frames() -> tuple[bytes, bytes]:
    """Return what a client sends, and the bytes that have to come back (RFC 6455, 5.2)."""
    sent = echoed = b""
    for number in range(MESSAGES):
        text = f"message {number}".encode()
        sent += bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text  # a mask of zeros
        echoed += bytes([0x81, len(text)]) + text
    return sent, echoed


def _connect(server: Server) -> socket.socket:
    """Return a connection that has become a WebSocket."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\n"
        b"upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        answer += byte
    if not answer.startswith(b"HTTP/1.1 101"):
        raise ValueError(f"{server.peer} answers a handshake with {answer!r}")
    return connection


def _without_ping(frames: bytes) -> bytes:
    """Leave out the ping that a server has sent between two turns (RFC 6455, section 5.5.2)."""
    return frames[2 + frames[1] :] if frames[:1] == b"\x89" and len(frames) > 1 else frames


@contextlib.contextmanager
def _websocket(server: Server) -> Iterator[Callable[[float], float]]:
    """One connection after the other sends all messages, and then each reads its echoes."""
    sent, echoed = _frames()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(_connect(server)) for _ in range(CONNECTIONS)]

        def exchange(seconds: float) -> float:
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < seconds:
                for connection in connections:
                    connection.sendall(sent)
                for connection in connections:
                    back = _without_ping(connection.recv(len(echoed)))
                    while len(back) < len(echoed) and (more := connection.recv(len(echoed))):
                        back = _without_ping(back + more)
                    if back != echoed:
                        raise ValueError(f"{server.peer} echoes {back!r}")
                count += len(connections)
            return count / (time.perf_counter() - started)

        def take_turn(seconds: float) -> float:
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, _cores()[1])
            try:
                return exchange(seconds)
            finally:
                os.sched_setaffinity(0, before)

        yield take_turn


def measure(
    scenario: Scenario,
    peers: list[str],
    *,
    rounds: int,
    show: Callable[[int], None] = lambda done: None,
) -> dict[str, float]:
    """Return the requests per second of each peer (of a WebSocket: the rounds of its echoes).

    :raises ValueError: an answer is wrong.
    :raises RuntimeError: a server does not start, or requests fail.
    """
    client = _websocket if scenario.type == "websocket" else _http
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(Server(peer, scenario, port))
            for peer, port in zip(peers, _free_ports(len(peers)), strict=True)
        ]
        for server in servers:
            server.wait()
        turns = []
        for server in servers:
            turn = stack.enter_context(client(server))
            turn(0.2)
            turns.append((server, turn))
        for number in range(rounds):
            show(number)
            for server, turn in turns:
                server.rates.append(turn(TURN))
        return {server.peer: max(server.rates) for server in servers}
