"""The servers of ``test_servers.py``: how each is started, and what it is known not to do."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.programs import REPOSITORY, Program, wait_for

CERTIFICATE = REPOSITORY / "tests/devserver/certificate.pem"
KEY = REPOSITORY / "tests/devserver/key.pem"
#: Seconds that something on the network may take; and what is known never to come.
PATIENCE = 10
IN_VAIN = 2


@dataclass(frozen=True)
class Server:
    """A way to serve ``served.py``.

    :param package: what pip calls it.
    :param kind: a kind of neighbours.
    :param command: a module of Python, or a program, and its arguments.
    :param http: the version of HTTP that is spoken with it: "2" is over TLS.
    :param has_lifespan: whether it starts the application before the first request.
    :param has_processes: whether it replaces a worker process that has died.
    :param stop: what it takes for a graceful stop.
    :param fails: which tests fail, and why.
    """

    package: str
    kind: str
    command: str
    http: str = "1.1"
    has_lifespan: bool = True
    has_processes: bool = False
    stop: signal.Signals = signal.SIGTERM
    fails: dict[str, str] = field(default_factory=dict)

    def arguments(self, port: int, directory: Path) -> list[str]:
        """Return the arguments for Python."""
        command = self.command.format(
            port=port, certificate=CERTIFICATE, key=KEY, directory=directory
        )
        module, *options = shlex.split(command)
        if module == "-m":
            return [module, *options]
        program = [str(Path(sys.executable).with_name(module)), *options]
        if module == "mod_wsgi-express" and os.getuid() == 0:
            # Apache gives the rights of root up, and could not read Python's files in its home.
            unshare = shutil.which("unshare")
            assert unshare, "As root, mod_wsgi can only be tested with 'unshare'."
            program = [unshare, "--user", "--map-user=1000", "--map-group=1000", *program]
        return ["-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])", *program]


GUNICORN = "-m gunicorn --bind 127.0.0.1:{port} --no-control-socket "
NO_CHUNKS = "a chunked request is answered with 411"
WHOLE_BODIES = "it takes request bodies whole"
LEFT_OPEN = "an error within a response leaves its connection open"
NO_ANSWER = "no answer where an application returns without one"
LOOKS_WHOLE = "a response that is broken off looks whole"
NO_HEADERS = "headers of a WebSocket's handshake are lost"
ALWAYS_403 = "a WebSocket is refused with 403, whatever the view says"
TLS = "--certfile {certificate} --keyfile {key} "

SERVERS = {
    "asyncflask run": Server(
        "uvicorn", "ASGI server", "-m asyncflask --app tests.ecosystem.served run --port {port}"
    ),
    "uvicorn, h11 and websockets": Server(
        "uvicorn",
        "ASGI server",
        "-m uvicorn --http h11 --ws websockets-sansio --port {port} tests.ecosystem.served:app",
    ),
    "uvicorn, httptools and wsproto": Server(
        "uvicorn",
        "ASGI server",
        "-m uvicorn --http httptools --ws wsproto --port {port} tests.ecosystem.served:app",
    ),
    "uvicorn, workers": Server(
        "uvicorn",
        "ASGI server",
        "-m uvicorn --workers 2 --port {port} tests.ecosystem.served:app",
        has_processes=True,
    ),
    "hypercorn": Server(
        "hypercorn",
        "ASGI server",
        "-m hypercorn --bind 127.0.0.1:{port} tests.ecosystem.served:app",
    ),
    "hypercorn, HTTP/2": Server(
        "hypercorn",
        "ASGI server",
        "-m hypercorn --bind 127.0.0.1:{port} " + TLS + "tests.ecosystem.served:app",
        http="2",
        fails={
            "test_a_graceful_stop": "a connection that is kept holds up its end",
        },
    ),
    "granian": Server(
        "granian",
        "ASGI server",
        "-m granian --interface asgi --port {port} --respawn-failed-workers "
        "--respawn-interval 0.1 tests.ecosystem.served:app",
        has_processes=True,
        fails={
            "test_a_handshake_has_headers": NO_HEADERS,
        },
    ),
    "granian, HTTP/2": Server(
        "granian",
        "ASGI server",
        "-m granian --interface asgi --port {port} --ssl-certificate {certificate} "
        "--ssl-keyfile {key} tests.ecosystem.served:app",
        http="2",
        fails={
            "test_a_graceful_stop": "the client, h2 4.4, takes its goodbye for an error",
        },
    ),
    "daphne": Server(
        "daphne",
        "ASGI server",
        "-m daphne --port {port} tests.ecosystem.served:app",
        has_lifespan=False,
        fails={
            "test_uploads_are_streamed": WHOLE_BODIES,
            "test_chunked_uploads_are_streamed": WHOLE_BODIES,
            "test_an_upload_that_nobody_reads": WHOLE_BODIES,
            "test_an_upload_that_stops_half_way": WHOLE_BODIES,
            "test_errors": LEFT_OPEN,
            "test_faults_before_a_response_of_what_is_mounted": NO_ANSWER,
            "test_faults_in_a_response_of_what_is_mounted": LEFT_OPEN,
            "test_messages_go_both_ways": "empty WebSocket messages are lost",
            "test_a_socket_is_closed_by_the_view": "reasons for closing a WebSocket are lost",
            "test_a_handshake_has_headers": NO_HEADERS,
            "test_a_socket_is_refused_with_a_page": ALWAYS_403,
            "test_start_and_shutdown": "shutdown functions are not run",
            "test_a_graceful_stop": "requests under way are cut off when it ends",
        },
    ),
    "gunicorn, asgi": Server(
        "gunicorn",
        "ASGI server",
        GUNICORN + "--worker-class asgi tests.ecosystem.served:app",
        has_processes=True,
        fails={
            "test_a_socket_is_refused_with_a_page": ALWAYS_403,
        },
    ),
    "gunicorn, uvicorn-worker": Server(
        "uvicorn-worker",
        "ASGI server",
        GUNICORN + "--worker-class uvicorn_worker.UvicornWorker tests.ecosystem.served:app",
        has_processes=True,
    ),
    "gunicorn, sync": Server(
        "gunicorn",
        "WSGI server",
        GUNICORN + "tests.ecosystem.served:validated",
        has_lifespan=False,
        has_processes=True,
        fails={
            "test_a_connection_is_kept": "a connection for each request",
        },
    ),
    "gunicorn, gthread": Server(
        "gunicorn",
        "WSGI server",
        GUNICORN + "--threads 4 tests.ecosystem.served:wsgi",
        has_lifespan=False,
        has_processes=True,
    ),
    "gunicorn, preload": Server(
        "gunicorn",
        "WSGI server",
        GUNICORN + "--workers 2 --threads 4 --preload tests.ecosystem.served:wsgi",
        has_lifespan=False,
        has_processes=True,
    ),
    "granian, WSGI": Server(
        "granian",
        "WSGI server",
        "-m granian --interface wsgi --port {port} --blocking-threads 4 "
        "--respawn-failed-workers --respawn-interval 0.1 tests.ecosystem.served:wsgi",
        has_lifespan=False,
        has_processes=True,
        fails={
            "test_an_upload_to_what_is_mounted_that_stops_half_way": (
                "a chunked request that is broken off looks whole"
            ),
            "test_errors": LOOKS_WHOLE,
            "test_faults_in_a_response_of_what_is_mounted": LOOKS_WHOLE,
        },
    ),
    "waitress": Server(
        "waitress",
        "WSGI server",
        "-m waitress --listen 127.0.0.1:{port} tests.ecosystem.served:wsgi",
        has_lifespan=False,
        stop=signal.SIGINT,
        fails={
            "test_uploads_are_streamed": WHOLE_BODIES,
            "test_chunked_uploads_are_streamed": WHOLE_BODIES,
            "test_an_upload_that_nobody_reads": WHOLE_BODIES,
            "test_an_upload_that_stops_half_way": WHOLE_BODIES,
        },
    ),
    "uWSGI": Server(
        "uWSGI",
        "WSGI server",
        "uwsgi --http11-socket 127.0.0.1:{port} --master --threads 4 "
        "--hook-master-start 'unix_signal:15 gracefully_kill_them_all' "
        "--module tests.ecosystem.served:wsgi",
        has_lifespan=False,
        has_processes=True,
        fails={
            "test_uploads_in_chunks": NO_CHUNKS,
            "test_chunked_uploads_are_streamed": NO_CHUNKS,
            "test_a_client_that_asks_first": "no answer to Expect: 100-continue",
            "test_faults_before_a_response_of_what_is_mounted": NO_ANSWER,
            "test_errors": LOOKS_WHOLE,
            "test_faults_in_a_response_of_what_is_mounted": LOOKS_WHOLE,
        },
    ),
    "mod_wsgi": Server(
        "mod_wsgi-standalone",
        "WSGI server",
        "mod_wsgi-express start-server --application-type module tests.ecosystem.served "
        "--callable-object wsgi --host 127.0.0.1 --port {port} --server-root {directory}/apache "
        "--processes 1 --threads 4 --chunked-request --log-to-terminal",
        has_lifespan=False,
        stop=signal.SIGWINCH,
        has_processes=True,
        fails={
            "test_an_upload_that_nobody_reads": "the answer has to wait for the whole upload",
            "test_errors": LOOKS_WHOLE,
            "test_faults_in_a_response_of_what_is_mounted": LOOKS_WHOLE,
        },
    ),
}


class Site:
    """``served.py`` on one of the servers, in another process."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.server = SERVERS[name]
        #: Seconds that the test which runs has to wait for anything.
        self.patience = PATIENCE
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        arguments = self.server.arguments(self.port, directory)
        self.program = Program(arguments, directory)
        self.is_asgi = self.server.kind == "ASGI server"
        scheme = "https" if self.server.http == "2" else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        try:
            wait_for(self._is_up)
        except BaseException:
            self.end()
            raise

    def _is_up(self) -> bool:
        assert self.program.process.poll() is None, self.program.output
        try:
            socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
        except OSError:
            return False
        # A server that listens before its worker has started: gunicorn, granian.
        return not (self.is_asgi and self.server.has_lifespan) or self.has_told("STARTED")

    def has_told(self, words: str) -> int:
        """Return how often the application has printed this."""
        return self.program.output.count(f"# {words}")

    def told(self, words: str, times: int = 1) -> None:
        """Wait until the application has printed this."""
        deadline = time.monotonic() + self.patience
        while self.has_told(words) < times:
            assert time.monotonic() < deadline, f"Not told: {words!r}\n{self.program.output}"
            time.sleep(0.02)

    def client(self, **options: Any) -> httpx.Client:
        """Return a client that speaks the server's version of HTTP."""
        return httpx.Client(**self._options(), **options)

    def async_client(self) -> httpx.AsyncClient:
        """Return such a client for ``async def`` tests."""
        return httpx.AsyncClient(**self._options())

    def _options(self) -> dict[str, Any]:
        trusted = ssl.create_default_context(cafile=str(CERTIFICATE))
        is_2 = self.server.http == "2"
        return {
            "base_url": self.url,
            "verify": trusted,
            "http2": is_2,
            "http1": not is_2,
            "timeout": self.patience,
            "trust_env": False,
        }

    def connect(self) -> socket.socket:
        """Return a connection for what a good client does not send."""
        return socket.create_connection(("127.0.0.1", self.port), self.patience)

    def stop(self) -> None:
        """Ask the server to end."""
        os.kill(self.program.process.pid, self.server.stop)

    def end(self) -> None:
        """End the processes, whatever state they are in."""
        self.program.kill()
