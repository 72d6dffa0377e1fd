"""WSGI over the wire, both ways: gunicorn and wsgiref serve ours; uvicorn a Flask one.

More servers, and more of each, are in ``tests/ecosystem/test_servers.py``.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.programs import Program, Start, start, wait_for

__all__ = ["start"]

PROGRAM = """
import threading, time
from starlette.responses import FileResponse
from asyncflask import Flask, request
import flask
from asyncflask.wsgi import WSGIAdapter

app = Flask(__name__, static_folder=None)
app.add_route("/file", lambda request: FileResponse(__file__))
wsgi = app.wsgi_app
legacy = flask.Flask(__name__)
app.mount("/legacy", WSGIAdapter(legacy))

@app.while_serving
async def serving():
    print("STARTED", flush=True)
    yield
    print("ENDED", flush=True)

@app.get("/")
async def index():
    return threading.current_thread().name

@app.get("/def")
def in_thread():
    return threading.current_thread().name

@app.post("/size")
async def size():
    total = 0
    async for chunk in request.body:
        total += len(chunk)
    return str(total)

@app.post("/form")
def form():
    return request.form["a"]

@app.get("/endless")
def endless():
    def ticks():
        try:
            while True:
                yield "tick" * 1000
        finally:
            print("CLOSED", flush=True)
    return ticks()

@app.get("/error")
async def error():
    raise ZeroDivisionError

@legacy.post("/size")
def legacy_size():
    total = 0
    while chunk := flask.request.stream.read(1000):
        total += len(chunk)
    return str(total)

@legacy.get("/endless")
def legacy_endless():
    return endless()

def faulty(environ, start_response):
    fault = environ["PATH_INFO"]
    if fault != "/never":
        start_response("200 OK", [("Content-Type", "text/plain")])
    if fault == "/twice":
        start_response("200 OK", [("Content-Type", "text/plain")])
    return iter(["text"]) if fault == "/text" else broken(fault)

def broken(fault):
    yield b"half of it"
    if fault == "/late":
        raise ZeroDivisionError

app.mount("/faulty", WSGIAdapter(faulty))
"""

WSGIREF = """
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server
from wsgiref.validate import validator
from served import app

class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

make_server("127.0.0.1", int(sys.argv[1]), validator(app.wsgi_app), Server).serve_forever()
"""

GUNICORN = ["-m", "gunicorn", "served:wsgi", "--no-control-socket", "--bind"]
SERVERS: dict[str, list[str]] = {
    "gunicorn-preload": [*GUNICORN, "{address}", "--threads", "2", "--preload"],
    "wsgiref": ["wsgiref_server.py", "{port}"],
    "uvicorn": ["-m", "uvicorn", "--port", "{port}", "served:app"],
}


class Site:
    def __init__(self, name: str, program: Program, port: int) -> None:
        self.name = name
        self.program = program
        self.port = port

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        chunked = not (body is None or isinstance(body, bytes))
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(connection):
            connection.request(method, path, body, names, encode_chunked=chunked)
            with connection.getresponse() as response:
                return response.status, response.headers, response.read()

    def is_up(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True


@pytest.fixture(params=SERVERS)
def site(request: Any, start: Start, tmp_path: Path) -> Site:
    (tmp_path / "served.py").write_text(PROGRAM)
    (tmp_path / "wsgiref_server.py").write_text(WSGIREF)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {"address": f"127.0.0.1:{port}", "port": port}
    arguments = [argument.format(**places) for argument in SERVERS[request.param]]
    program = start(*arguments, PYTHONPATH=os.pathsep.join([str(tmp_path), str(Path.cwd())]))
    site = Site(request.param, program, port)
    wait_for(lambda: site.is_up() or program.process.poll())
    return site


def test_a_site_on_each_server(site: Site) -> None:
    """Threads, uploads, files, errors, a client that goes away, and the end."""
    on_asgi = site.name == "uvicorn"
    loop = b"MainThread" if on_asgi else b"asyncflask-wsgi"
    for _ in range(3):
        assert site.request("GET", "/")[2] == loop
    thread = site.request("GET", "/def")[2]
    assert thread != loop
    assert thread.startswith(b"served-worker") == on_asgi
    check_uploads(site)
    status, headers, body = site.request("GET", "/file")
    assert (status, body.decode()) == (200, PROGRAM)
    assert headers["Content-Length"] == str(len(PROGRAM))
    assert site.request("HEAD", "/file")[2] == b""
    assert site.request("GET", "/error")[0] == 500
    assert site.request("GET", "/legacy/none")[0] == 404
    if not on_asgi:
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
        assert site.request("GET", "/", **upgrade)[0] == 501
    check_faults(site)
    for path in ("/endless", "/legacy/endless"):
        leave_a_stream(site, path)
    wait_for(lambda: site.program.output.count("CLOSED") == 2)
    assert site.request("GET", "/")[0] == 200
    site.program.signal(signal.SIGTERM)
    assert site.program.output.count("STARTED") == 1
    if site.name != "wsgiref":  # it is just killed
        assert site.program.output.count("ENDED") == 1


def check_uploads(site: Site) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert site.request("POST", "/form", b"a=b", **form)[2] == b"b"
    for path in ("/size", "/legacy/size"):
        assert site.request("POST", path, b"x" * 300_000)[2] == b"300000"
        if site.name != "wsgiref":  # which does not know chunked bodies
            chunks = iter([b"x" * 1000] * 300)
            answer = site.request("POST", path, chunks, Transfer_Encoding="chunked")
            assert answer[2] == b"300000", answer


def check_faults(site: Site) -> None:
    """A WSGI application that errs is a 500, or breaks off; why is in the log."""
    for fault, message in [
        ("never", "has not called start_response()"),
        ("twice", "start_response() was called a second time"),
        ("text", "has given str where bytes are due"),
    ]:
        assert site.request("GET", f"/faulty/{fault}")[0] == 500
        site.program.wait_for_output(message)
    assert site.request("GET", "/faulty/none")[2] == b"half of it"
    if site.name != "wsgiref":  # without chunks, nobody can tell
        with pytest.raises(http.client.IncompleteRead):
            site.request("GET", "/faulty/late")


def leave_a_stream(site: Site, path: str) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = b""
        while b"tick" not in received:
            received += client.recv(1000)
        assert re.match(rb"HTTP/1.[01] 200 OK", received)
