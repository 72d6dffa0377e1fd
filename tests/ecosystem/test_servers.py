"""The same application on every server: ASGI's and WSGI's, HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.ecosystem import faults, served
from tests.ecosystem.servers import IN_VAIN, LOOKS_WHOLE, PATIENCE, SERVERS, Server, Site
from tests.programs import wait_for


def on(chosen: Callable[[Server], bool]) -> pytest.MarkDecorator:
    """Run a test on each of these servers."""
    parameters = [
        pytest.param(
            name, marks=pytest.mark.neighbour(name, kind=server.kind, package=server.package)
        )
        for name, server in SERVERS.items()
        if chosen(server)
    ]
    return pytest.mark.parametrize("name", parameters, scope="module")


on_each = on(lambda server: True)
on_http_1 = on(lambda server: server.http == "1.1")
on_http_2 = on(lambda server: server.http == "2")
on_asgi = on(lambda server: server.kind == "ASGI server")
on_wsgi = on(lambda server: server.kind == "WSGI server")
on_sockets = on(lambda server: server.kind == "ASGI server" and server.http == "1.1")
on_processes = on(lambda server: server.has_processes)


@pytest.fixture(scope="module")
def running(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The application on a server, the same for many tests."""
    site = Site(name, tmp_path_factory.mktemp("server"))
    yield site
    site.end()


@pytest.fixture
def site(running: Site, request: pytest.FixtureRequest) -> Site:
    expect_failures(running, request)
    return running


@pytest.fixture
def own_site(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """One that the test may end."""
    site = Site(name, tmp_path)
    expect_failures(site, request)
    yield site
    site.end()


def expect_failures(site: Site, request: pytest.FixtureRequest) -> None:
    reason = site.server.fails.get(request.function.__name__)
    site.patience = IN_VAIN if reason else PATIENCE
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


# HTTP


@on_each
def test_a_connection_is_kept(site: Site) -> None:
    """Several requests go over one, and each gets its own answer."""
    with site.client() as client:
        used = set()
        for number in range(3):
            response = client.get(f"/seen/{number}")
            assert response.json()["rest"] == str(number)
            used.add(response.extensions["network_stream"].get_extra_info("client_addr"))
        assert response.http_version == f"HTTP/{site.server.http}"
        assert response.json()["http"] == site.server.http
    assert len(used) == 1


@on_each
def test_paths_and_headers_come_through(site: Site) -> None:
    """What is not ASCII, what is encoded, and what is sent twice."""
    with site.client() as client:
        headers = [("X-Twice", "1"), ("X-Twice", "2")]
        seen = client.post("/seen/%C3%A9%20%2B/%E2%82%AC?q=%C3%BC%26", headers=headers).json()
        assert seen["rest"] == "é +/€"
        assert seen["q"] == "ü&"
        assert seen["method"] == "POST"
        assert re.sub(", ?", ",", seen["twice"]) == "1,2"
        assert seen["url"] == f"{site.url}/seen/é%20+/€?q=ü%26"
        assert client.get("/cookies").headers.get_list("Set-Cookie") == [
            "a=1; Path=/",
            "b=2; Path=/",
        ]
        assert client.get("/nowhere").status_code == 404
        assert client.put("/cookies").status_code == 405


@on_each
def test_files(site: Site) -> None:
    """Whole, in part, and without their body."""
    whole = Path(served.__file__).read_bytes()
    with site.client() as client:
        assert client.get("/file").content == whole
        response = client.head("/file")
        assert (response.headers["Content-Length"], response.content) == (str(len(whole)), b"")
        response = client.get("/file", headers={"Range": "bytes=3-9"})
        assert (response.status_code, response.content) == (206, whole[3:10])


@on_each
def test_uploads_are_streamed(site: Site) -> None:
    """The view has the first piece while the client has yet to send the second."""
    upload_in_pieces(site, "/size/def", {"Content-Length": "700000"})


@on_each
def test_chunked_uploads_are_streamed(site: Site) -> None:
    """As those that say their length before."""
    upload_in_pieces(site, "/size", {})


def upload_in_pieces(site: Site, path: str, headers: dict[str, str]) -> None:
    told = site.has_told("GOT first")

    def pieces() -> Iterator[bytes]:
        yield b"first" * 20_000  # more than one read of a WSGI server
        site.told("GOT first", told + 1)
        yield b"second" * 100_000

    with site.client() as client:
        assert client.post(path, content=pieces(), headers=headers).text == "700000"


@on_each
def test_uploads_with_a_length(site: Site) -> None:
    """None, large ones, and forms with files."""
    with site.client() as client:
        assert client.post("/size", content=b"").text == "0"
        assert client.post("/size", content=b"x" * 300_000).text == "300000"
        form = client.post("/form", data={"a": "ü"}, files={"file": ("name", "é" * 100_000)})
        assert form.text == "ü " + "é" * 100_000


@on_each
def test_uploads_in_chunks(site: Site) -> None:
    """They are read to their end, and the next request on the connection is in its place."""
    with site.client() as client:
        for path in ("/size", "/size/def"):
            assert client.post(path, content=iter([b"x" * 300_000, b"y"])).text == "300001"


@on_http_1
def test_an_upload_that_nobody_reads(site: Site) -> None:
    """The client is answered, though it has not sent everything."""
    with site.connect() as client:
        client.sendall(
            b"POST /unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\nxyz"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 403")


@on_http_1
def test_a_client_that_asks_first(site: Site) -> None:
    """``Expect: 100-continue`` is answered when the view reads."""
    with site.connect() as client:
        client.sendall(
            b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"hello")
        assert received(client).endswith(b"5")


def received(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(10_000), b""))


@on_each
def test_responses_are_streamed(site: Site) -> None:
    """An endless one begins to arrive; a short one ends."""
    with site.client() as client:
        response = client.get("/parts")
        assert response.text == "part 0\npart 1\npart 2\n"
        assert "Content-Length" not in response.headers
        with client.stream("GET", "/ticks") as response:
            assert next(response.iter_raw()).startswith(b"tick")


@on_each
@pytest.mark.parametrize("path", ["/ticks", "/ticks/def"])
def test_a_client_that_goes_away_ends_a_stream(site: Site, path: str) -> None:
    """The generator of the view is closed."""
    told = site.has_told(f"CLOSED {path}\n")
    with site.client() as client, client.stream("GET", path) as response:
        next(response.iter_raw())
    site.told(f"CLOSED {path}\n", told + 1)


@on_asgi
async def test_a_client_that_goes_away_cancels_a_view(site: Site) -> None:
    """Where the view wants it."""
    waiting, told = site.has_told("WAITING"), site.has_told("CANCELLED")
    async with site.async_client() as client:
        task = asyncio.create_task(client.get("/cancelled"))
        await asyncio.to_thread(site.told, "WAITING", waiting + 1)
        task.cancel()
        await asyncio.wait({task})
    await asyncio.to_thread(site.told, "CANCELLED", told + 1)


@on_http_1
def test_an_upload_that_stops_half_way(site: Site) -> None:
    """It is not taken for a whole one."""
    told = site.has_told("LEFT")
    with site.connect() as client:
        client.sendall(b"POST /left HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
    site.told("LEFT", told + 1)
    with site.client() as client:
        assert client.get("/").text == "Hello!"


@on_each
def test_errors(site: Site) -> None:
    """One before the response is a 500; one in it breaks it off, so that the client can tell."""
    with site.client() as client:
        assert client.get("/error").status_code == 500
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/error/late")
        assert site.program.output.count("ZeroDivisionError") >= 2
        assert client.get("/").text == "Hello!"


@on_each
def test_faults_before_a_response_of_what_is_mounted(site: Site) -> None:
    """They are a 500, in the log, and others are served on."""
    with site.client() as client:
        for path, words in faults.ANSWERED.items():
            told = site.program.output.count(words)
            assert client.get(path).status_code == 500, path
            assert words == "" or site.program.output.count(words) > told, path
            assert client.get("/").text == "Hello!"


@on_http_1
def test_faults_in_a_response_of_what_is_mounted(site: Site) -> None:
    """They break it off, so that the client can tell, and nothing is read with the next one."""
    with site.client() as client:
        for path, words in faults.BROKEN_OFF.items():
            with pytest.raises(httpx.RemoteProtocolError):
                client.get(path)
            wait_for(lambda words=words: words in site.program.output)
            assert client.get("/").text == "Hello!"


@on_http_1
def test_an_upload_to_what_is_mounted_that_stops_half_way(site: Site) -> None:
    """It is the mistake of the client, and no error of the application."""
    errors = site.program.output.count("Traceback")
    for framing in (
        b"Content-Length: 9\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nno size\r\n",
    ):
        with site.connect() as client:
            client.sendall(b"POST /legacy/size HTTP/1.1\r\nHost: localhost\r\n" + framing)
            client.shutdown(socket.SHUT_WR)
            answer = received(client)
            assert not answer or re.match(rb"HTTP/1.1 (4\d\d|500) ", answer), answer
        with site.client() as other:
            assert other.get("/").text == "Hello!"
    assert site.program.output.count("Traceback") == errors


@on_http_2
async def test_requests_share_a_connection(site: Site) -> None:
    """One that takes longer does not hold up those behind it."""
    async with site.async_client() as client:
        slow = asyncio.create_task(client.get("/slow"))
        await asyncio.to_thread(site.told, "WORKING")
        quick = await client.get("/")
        assert not slow.done()
        addresses = [
            response.extensions["network_stream"].get_extra_info("client_addr")
            for response in (quick, await slow)
        ]
    assert addresses[0] == addresses[1]


# WebSockets


def open_socket(site: Site, path: str, **options: Any) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{site.port}{path}", open_timeout=PATIENCE, proxy=None, **options
    )


@on_sockets
def test_messages_go_both_ways(site: Site) -> None:
    """Text, bytes, empty ones, large ones and many of them; and the client's end."""
    told = site.has_told("SOCKET")
    with open_socket(site, "/echo") as ws:
        for message in ("hello", "ünïcødé", b"\0\xff", "", "é" * 100_000, *map(str, range(100))):
            ws.send(message)
            assert ws.recv(site.patience) == message
    site.told("SOCKET", told + 1)


@on_sockets
def test_a_socket_is_closed_by_the_view(site: Site) -> None:
    """With a code and a reason."""
    with open_socket(site, "/closing", subprotocols=["other", "chat"]) as ws:
        assert ws.subprotocol == "chat"
        ws.send("enough?")
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "enough")


@on_sockets
def test_a_handshake_has_headers(site: Site) -> None:
    """Those that the view accepts with."""
    with open_socket(site, "/closing", subprotocols=["chat"]) as ws:
        assert ws.response is not None
        assert ws.response.headers["X-Room"] == "blue"


@on_sockets
def test_a_socket_is_refused_with_a_page(site: Site) -> None:
    """An answer as to any other request, where the server has that extension of ASGI."""
    with pytest.raises(InvalidStatus) as refused:
        open_socket(site, "/nowhere")
    assert refused.value.response.status_code == 404
    assert b"Not Found" in refused.value.response.body


@on_wsgi
def test_there_are_no_sockets(site: Site) -> None:
    """WSGI has none; the answer says so."""
    with pytest.raises(InvalidStatus) as refused:
        open_socket(site, "/echo")
    assert refused.value.response.status_code == 501
    assert b"WebSockets need an ASGI server" in refused.value.response.body


# Threads and processes


@on_wsgi
def test_functions_have_their_places(site: Site) -> None:
    """The threads of a process share a loop and a start; ``def`` functions run in them."""
    with site.client() as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.get("/who").json(), range(40)))
        assert not re.match("served-worker|asyncflask-wsgi", client.get("/thread").text)
    assert {answer["thread"] for answer in answers} == {"asyncflask-wsgi"}
    processes = {answer["pid"] for answer in answers}
    assert len({(answer["pid"], answer["loop"]) for answer in answers}) == len(processes)
    started = re.findall(r"# STARTED (\d+)", site.program.output)
    assert len(started) == len(set(started))
    assert processes <= set(map(int, started))


@on_each
def test_start_and_shutdown(own_site: Site) -> None:
    """Once in each process."""
    site = own_site
    assert bool(site.has_told("STARTED")) == site.server.has_lifespan
    with site.client() as client:
        assert client.get("/").text == "Hello!"
    site.stop()
    site.program.process.wait(PATIENCE)
    processes = re.findall(r"# STARTED (\d+)", site.program.output)
    assert len(set(processes)) == len(processes) > 0
    assert sorted(re.findall(r"# ENDED (\d+)", site.program.output)) == sorted(processes)
    assert "Traceback" not in site.program.output


@on_each
def test_a_graceful_stop(own_site: Site) -> None:
    """What is under way is finished; new connections are not taken."""
    site = own_site
    with site.client() as client, ThreadPoolExecutor(1) as thread:
        slow = thread.submit(client.get, "/slow")
        site.told("WORKING")
        site.stop()
        assert slow.result().text == "done"
        site.program.process.wait(PATIENCE)
    with pytest.raises(OSError, match="refused"):
        site.connect()


@on_processes
@pytest.mark.parametrize("path", ["/die", "/asgi/dies-half-way", "/wsgi/dies-half-way"])
def test_a_worker_that_is_killed(own_site: Site, path: str) -> None:
    """Its client is told, and another takes its place, which starts the application anew."""
    site = own_site
    with site.client() as client:
        first = client.get("/who").json()["pid"]
        with suppress(httpx.TransportError):
            response = client.get(path)
            assert response.status_code >= 500 or LOOKS_WHOLE in site.server.fails.values()

        def other() -> Any:
            try:
                response = client.get("/who")
            except httpx.TransportError:
                return None
            return response.is_success and response.json()["pid"] != first

        wait_for(other)
    assert site.has_told("ENDED") == 0
