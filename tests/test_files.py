"""Sending files, beside Flask."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
import uvicorn
from werkzeug.exceptions import NotFound

from asyncflask import Flask, send_file, send_from_directory
from asyncflask.exceptions import MissingAwaitError
from asyncflask.files import CHUNK_SIZE, FileBody
from tests.wire import Wire, until

BIG = os.urandom(3 * CHUNK_SIZE + 17)
FILES = {
    "hello.txt": b"hello files",
    "style.css": b"body {}",
    "page.html": b"<p>",
    "data.json": b"{}",
    "archive.tar.gz": gzip.compress(b"packed"),
    "script.js": b"1",
    "image.png": b"png",
    "no_extension": b"x",
    "empty.txt": b"",
    "ü 日本.txt": "ü".encode(),
    "big.bin": BIG,
    "sub/deep.txt": b"deep",
    ".hidden": b"secret",
    "sub/.hidden": b"secret",
    ".well-known/security.txt": b"Contact",
    ".well-known/.hidden": b"secret",
    "con.txt": b"a device on Windows only",
}

KINDS = pytest.mark.parametrize("kind", ["def", "async def"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to be served, and a secret beside it."""
    folder = tmp_path / "files"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000.5, 1_700_000_000.5))
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def make_app(folder: Path, kind: str = "async def", **options: Any) -> Flask:
    """An application that sends the files of a folder from a view of a kind."""
    app = Flask(__name__, static_folder=None, root_path=str(folder.parent))
    app.config["TESTING"] = True

    def view(name: str) -> Any:
        return send_from_directory("files", name, **options)

    async def async_view(name: str) -> Any:
        return await send_from_directory("files", name, **options)

    app.add_url_rule("/<path:name>", "view", view if kind == "def" else async_view)
    return app


def make_flask(folder: Path, **options: Any) -> flask.Flask:
    app = flask.Flask(__name__, static_folder=None, root_path=str(folder.parent))

    def view(name: str) -> Any:
        return flask.send_from_directory("files", name, **options)

    app.add_url_rule("/<path:name>", "view", view)
    return app


def described(response: Any) -> Any:
    """What both frameworks must agree on."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    # Flask sets a date, which under ASGI is the server's to do.
    for of_one_alone in ("x-content-type-options", "connection", "date"):
        headers.pop(of_one_alone, None)
    if "expires" in headers:
        moment = parsedate_to_datetime(headers["expires"])
        headers["expires"] = round((moment - datetime.now(UTC)).total_seconds() / 60)
    if response.status_code in (404, 416):
        return response.status_code, headers.get("content-range")
    content = response.get_data()
    if isinstance(response, flask.Response) and "content-encoding" in headers and content:
        content = gzip.decompress(content)  # httpx has done so
    return response.status_code, headers, content


async def agree(
    ours: Flask,
    theirs: flask.Flask,
    path: str,
    headers: dict[str, str] | None = None,
    method: str = "GET",
) -> Any:
    """Make a request to both; they must answer the same."""
    response = await ours.test_client().open(path, method=method, headers=headers or {})
    with theirs.test_client().open(path, method=method, headers=headers) as expected:
        assert described(response) == described(expected)
    return response


class TestTheSameAsFlask:
    @KINDS
    @pytest.mark.parametrize("name", [name for name in FILES if "/." not in f"/{name}"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_headers_and_content(
        self, folder: Path, kind: str, name: str, method: str
    ) -> None:
        """Type, length, time, ETag, caching, name."""
        await agree(make_app(folder, kind), make_flask(folder), f"/{name}", method=method)

    @pytest.mark.parametrize("name", ["hello.txt", "big.bin", "empty.txt"])
    @pytest.mark.parametrize(
        "bytes_range",
        [
            "bytes=0-4",
            "bytes=0-0",
            "bytes=5-",
            "bytes=-5",
            "bytes=3-99999999",
            f"bytes=100-{CHUNK_SIZE + 200}",
            "bytes=99999999-",
            "bytes=5-1",
            "bytes=",
            "bytes=a-b",
        ],
    )
    async def test_ranges(self, folder: Path, name: str, bytes_range: str) -> None:
        """One range is 206, what cannot be satisfied is 416."""
        await agree(make_app(folder), make_flask(folder), f"/{name}", {"Range": bytes_range})

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_conditions(self, folder: Path, method: str) -> None:
        """By ETag and by time, alone and together with a range."""
        app, other = make_app(folder), make_flask(folder)
        first = await app.test_client().get("/hello.txt")
        etag, modified = first.headers["etag"], first.headers["last-modified"]
        earlier = "Thu, 01 Jan 2009 00:00:00 GMT"
        bytes_range = {"Range": "bytes=2-3"}
        conditions: list[dict[str, str]] = [
            {"If-None-Match": etag},
            {"If-None-Match": f'"x", {etag}'},
            {"If-None-Match": f"W/{etag}"},
            {"If-None-Match": '"x"'},
            {"If-None-Match": "*"},
            {"If-Modified-Since": modified},
            {"If-Modified-Since": earlier},
            {"If-Modified-Since": "nonsense"},
            {"If-None-Match": '"x"', "If-Modified-Since": modified},
            {"If-Match": etag},
            {**bytes_range, "If-Range": etag},
            {**bytes_range, "If-Range": '"x"'},
            {**bytes_range, "If-Range": modified},
            {**bytes_range, "If-Range": earlier},
        ]
        statuses = []
        for condition in conditions:
            response = await agree(app, other, "/hello.txt", condition, method)
            statuses.append(response.status_code)
            if response.status_code == 304:
                assert "content-length" not in response.headers
                assert "content-type" not in response.headers
                assert response.headers["etag"] == etag
        assert {200, 206, 304} == set(statuses)

    @pytest.mark.parametrize("bytes_range", ["bytes=0-1,3-4", "items=0-1", "nonsense"])
    async def test_other_ranges_are_answered_with_the_whole_file(
        self, folder: Path, bytes_range: str
    ) -> None:
        """Several, and other units (RFC 9110, section 14.2); Flask says 416."""
        app = make_app(folder)
        response = await app.test_client().get("/hello.txt", headers={"Range": bytes_range})
        assert (response.status_code, response.content) == (200, FILES["hello.txt"])
        assert response.headers["accept-ranges"] == "bytes"
        assert "content-range" not in response.headers

    async def test_a_precondition_that_fails(self, folder: Path) -> None:
        """Is 412; unlike Flask's, our answer does not carry the file."""
        headers = {"If-Match": '"x"'}
        response = await make_app(folder).test_client().get("/hello.txt", headers=headers)
        with make_flask(folder).test_client().get("/hello.txt", headers=headers) as expected:
            assert response.status_code == expected.status_code == 412
        assert response.content == b""
        assert response.headers["content-length"] == "0"

    @KINDS
    @pytest.mark.parametrize(
        "options",
        [
            {"mimetype": "text/x-own"},
            {"as_attachment": True},
            {"download_name": "other.pdf"},
            {"as_attachment": True, "download_name": "ü.txt"},
            {"conditional": False},
            {"etag": False},
            {"etag": "own"},
            {"last_modified": datetime(2020, 1, 1, tzinfo=UTC)},
            {"last_modified": 1_600_000_000},
            {"max_age": 3600},
            {"max_age": 0},
            {"max_age": lambda path: 60 if path.endswith("hello.txt") else None},
        ],
        ids=str,
    )
    async def test_options(self, folder: Path, kind: str, options: dict[str, Any]) -> None:
        """All of `send_file`."""
        app, other = make_app(folder, kind, **options), make_flask(folder, **options)
        await agree(app, other, "/hello.txt")
        await agree(app, other, "/hello.txt", {"Range": "bytes=0-1"})
        await agree(app, other, "/archive.tar.gz")

    @pytest.mark.parametrize("value", [None, 60, timedelta(days=1)])
    async def test_the_configured_max_age(self, folder: Path, value: Any) -> None:
        """Or what the application's method says."""
        app, other = make_app(folder), make_flask(folder)
        app.config["SEND_FILE_MAX_AGE_DEFAULT"] = value
        other.config["SEND_FILE_MAX_AGE_DEFAULT"] = value
        await agree(app, other, "/hello.txt")

    @pytest.mark.parametrize(
        "name",
        [
            "plain.txt",
            "two words.txt",
            'quoted "name".txt',
            "semi;colon.txt",
            "back\\slash.txt",
            "accent é.txt",
            "日本.txt",
            "ﬁ½.txt",
            "a%20b.txt",
        ],
    )
    @pytest.mark.parametrize("as_attachment", [False, True])
    async def test_download_names(self, folder: Path, name: str, as_attachment: bool) -> None:
        """Those in other alphabets in both forms (RFC 6266)."""
        options = {"download_name": name, "as_attachment": as_attachment}
        await agree(make_app(folder, **options), make_flask(folder, **options), "/hello.txt")


class TestNames:
    @pytest.mark.parametrize(
        ("name", "header"),
        [
            ("a\r\nSet-Cookie: b=c.txt", 'attachment; filename="a__Set-Cookie: b=c.txt"'),
            ("a\0b\x7f.txt", "attachment; filename=a_b_.txt"),
            ("a\udcffb.txt", 'attachment; filename="a?b.txt"'),
        ],
    )
    async def test_no_name_becomes_a_header_of_its_own(
        self, folder: Path, name: str, header: str
    ) -> None:
        """What no file name has is replaced."""
        app = make_app(folder, download_name=name, as_attachment=True)
        response = await app.test_client().get("/hello.txt")
        assert response.headers["content-disposition"] == header
        assert "set-cookie" not in response.headers

    def test_a_name_the_file_system_cannot_decode(self, folder: Path) -> None:
        """The file is sent all the same."""
        name = os.fsdecode(b"\xff.txt")
        (folder / name).write_bytes(b"odd")
        app = make_app(folder)
        with app.test_request_context():
            response: Any = send_file(folder / name)
        assert response.data == b"odd"
        assert response.headers["Content-Disposition"] == 'inline; filename="?.txt"'


TRICKS = [
    "../secret.txt",
    "sub/../../secret.txt",
    "..",
    ".",
    "sub/../.hidden",
    "/etc/passwd",
    "//etc/passwd",
    "..\\secret.txt",
    "sub\\deep.txt",
    "C:/secret.txt",
    "c:secret.txt",
    "sub/C:/secret.txt",
    "hello.txt\0",
    "hello.txt\0.png",
    "\0",
    "\udcff",
    "x" * 5000,
    "",
    "/",
    "sub",
    "sub/",
    "hello.txt/inside",
    "missing.txt",
    ".hidden",
    "sub/.hidden",
    ".well-known/.hidden",
    ".well-known",
    "link_out.txt",
    "link_folder/secret.txt",
    "link_loop",
    "pipe",
]


class TestSafety:
    @pytest.fixture
    def trapped(self, folder: Path) -> Path:
        """The folder with links and a pipe in it."""
        (folder / "link_out.txt").symlink_to(folder.parent / "secret.txt")
        (folder / "link_folder").symlink_to(folder.parent)
        (folder / "link_loop").symlink_to("link_loop")
        (folder / "link_in.txt").symlink_to(folder / "hello.txt")
        os.mkfifo(folder / "pipe")
        return folder

    @KINDS
    @pytest.mark.parametrize("path", TRICKS, ids=ascii)
    async def test_tricks_are_not_found(self, trapped: Path, kind: str, path: str) -> None:
        """Nothing outside of the folder, nothing hidden, nothing that is no plain file."""
        app = make_app(trapped)
        async with app.test_request_context():
            if kind == "def":
                sending: Any = asyncio.to_thread(send_from_directory, trapped, path)
            else:
                sending = send_from_directory("files", path)
            with pytest.raises(NotFound):
                await sending

    @pytest.mark.parametrize("path", ["/../secret.txt", "/sub/../../secret.txt", "/.hidden"])
    async def test_tricks_over_the_wire(self, trapped: Path, path: str) -> None:
        """Where no client tidies the path."""
        wire = Wire(path)
        await make_app(trapped)(wire.scope, wire.receive, wire.send)
        assert wire.sent[0]["status"] == 404

    @pytest.mark.parametrize(
        ("path", "content"),
        [
            ("link_in.txt", b"hello files"),
            (".well-known/security.txt", b"Contact"),
            ("sub//deep.txt", b"deep"),
            ("./sub/deep.txt", b"deep"),
            ("missing/../hello.txt", b"hello files"),
        ],
    )
    async def test_honest_paths_are_found(self, trapped: Path, path: str, content: bytes) -> None:
        """Links within the folder, and the one hidden folder that is meant to be public."""
        async with make_app(trapped).test_request_context():
            response = await send_from_directory("files", path)
            assert await response.get_data() == content

    async def test_the_folder_itself_may_be_a_link(self, folder: Path) -> None:
        """To where the current version lies, say."""
        (folder.parent / "current").symlink_to(folder)
        async with make_app(folder).test_request_context():
            response = await send_from_directory("current", "hello.txt")
            assert await response.get_data() == b"hello files"


class TestTheOneRule:
    async def test_in_async_def_code_a_worker_asks_the_file_system(self, folder: Path) -> None:
        """The loop goes on."""
        threads: list[int] = []

        def note_thread(path: str | None) -> None:
            threads.append(threading.get_ident())

        app = make_app(folder, max_age=note_thread)
        await app.test_client().get("/hello.txt")
        assert threads != [threading.get_ident()]
        assert len(threads) == 1

    @pytest.mark.parametrize("function", ["send_file", "send_from_directory"])
    async def test_a_forgotten_await_is_told(self, folder: Path, function: str) -> None:
        """With what to write."""
        app = make_app(folder)

        @app.get("/")
        async def index() -> Any:
            if function == "send_file":
                return send_file("files/hello.txt")
            return send_from_directory("files", "hello.txt")

        with pytest.raises(MissingAwaitError, match=rf"await {function}\(\.\.\.\)"):
            await app.test_client().get("/")

    @KINDS
    async def test_without_a_request_the_whole_file_is_sent(self, folder: Path, kind: str) -> None:
        """There are no conditions to answer; an application there must be."""
        app = make_app(folder)

        def in_def_code() -> Any:
            with app.app_context():
                return send_file("files/hello.txt")

        if kind == "def":
            response = await asyncio.to_thread(in_def_code)
        else:
            async with app.app_context():
                response = await send_file("files/hello.txt")
                other = await send_from_directory("files", "style.css", precompressed=True)
                assert other.data == b"body {}"
        assert (response.status_code, response.data) == (200, b"hello files")
        assert response.headers["ETag"]
        with pytest.raises(RuntimeError, match="outside of an application context"):
            send_file("x")


class Opaque(io.RawIOBase):
    """A file that does not know its length, and cannot seek."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


class TestFileObjects:
    @KINDS
    @pytest.mark.parametrize("content", [b"few bytes", BIG], ids=["small", "big"])
    @pytest.mark.parametrize("headers", [{}, {"Range": "bytes=2-5"}])
    async def test_bytes_in_memory(
        self, kind: str, content: bytes, headers: dict[str, str], tmp_path: Path
    ) -> None:
        """Have a length, and ranges."""
        app, other = make_app(tmp_path), flask.Flask(__name__)
        files: list[io.BytesIO] = []

        def make() -> io.BytesIO:
            files.append(io.BytesIO(content))
            return files[-1]

        @app.get("/")
        async def index() -> Any:
            if kind == "def":
                return await asyncio.to_thread(send_file, make(), "text/plain")
            return await send_file(make(), "text/plain")

        other.add_url_rule("/", "index", lambda: flask.send_file(make(), "text/plain"))
        await agree(app, other, "/", headers)
        assert all(file.closed for file in files)

    async def test_bytes_in_memory_from_where_they_stand(self, tmp_path: Path) -> None:
        """The length is that of the rest."""
        file = io.BytesIO(b"0123456789")
        file.seek(4)
        app = make_app(tmp_path)
        async with app.test_request_context(headers={"Range": "bytes=1-2"}):
            response = await send_file(file, download_name="x.txt")
        assert response.headers["Content-Range"] == "bytes 1-2/6"
        assert response.data == b"56"

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_a_file_of_unknown_length(self, method: str, tmp_path: Path) -> None:
        """Is sent to its end, without a length and without ranges."""
        file = Opaque(BIG)
        app = make_app(tmp_path)

        @app.get("/")
        async def index() -> Any:
            return await send_file(file, mimetype="text/plain")

        headers = {"Range": "bytes=0-1"}
        response = await app.test_client().open("/", method=method, headers=headers)
        assert response.status_code == 200
        assert response.content == (BIG if method == "GET" else b"")
        assert "content-length" not in response.headers
        assert "accept-ranges" not in response.headers
        assert file.closed

    async def test_a_text_file_is_refused(self, tmp_path: Path) -> None:
        """As in Flask."""
        async with make_app(tmp_path).test_request_context():
            with pytest.raises(ValueError, match="opened in binary mode"):
                await send_file(io.StringIO("x"), mimetype="text/plain")  # type: ignore[arg-type]

    async def test_a_file_needs_a_type_and_an_attachment_a_name(self, tmp_path: Path) -> None:
        """Which a path has."""
        async with make_app(tmp_path).test_request_context():
            with pytest.raises(TypeError, match="Unable to detect the MIME type"):
                await send_file(io.BytesIO())
            with pytest.raises(TypeError, match="No name provided for attachment"):
                await send_file(io.BytesIO(), mimetype="text/plain", as_attachment=True)
            response = await send_file(io.BytesIO(b"x"), mimetype="text/plain")
            assert "Content-Disposition" not in response.headers


class TestPaths:
    async def test_a_path_is_relative_to_the_application(self, folder: Path) -> None:
        """Text or `Path`."""
        async with make_app(folder).test_request_context():
            for path in ("files/hello.txt", Path("files/hello.txt"), folder / "hello.txt"):
                assert (await send_file(path)).data == b"hello files"

    async def test_a_file_that_is_not_there_is_an_error(self, folder: Path) -> None:
        """The path was the application's own: nobody asked for it."""
        async with make_app(folder).test_request_context():
            with pytest.raises(FileNotFoundError):
                await send_file("files/missing.txt")
            with pytest.raises(IsADirectoryError):
                await send_file("files", mimetype="text/plain")

    async def test_an_unknown_option_is_an_error(self, folder: Path) -> None:
        """As in Flask."""
        async with make_app(folder).test_request_context():
            with pytest.raises(TypeError, match="attachment_filename"):
                await send_from_directory("files", "hello.txt", attachment_filename="x")

    @pytest.mark.parametrize(
        ("headers", "status", "sent_by_proxy"),
        [
            ({}, 200, True),
            ({"Range": "bytes=0-1"}, 200, True),
            ({"If-None-Match": "*"}, 304, False),
        ],
    )
    async def test_a_proxy_may_send_the_file(
        self, folder: Path, headers: dict[str, str], status: int, sent_by_proxy: bool
    ) -> None:
        """With `USE_X_SENDFILE` it is told the path, and cuts ranges itself."""
        app = make_app(folder)
        app.config["USE_X_SENDFILE"] = True
        response = await app.test_client().get("/hello.txt", headers=headers)
        assert response.status_code == status
        assert response.content == b""
        path = str(folder / "hello.txt") if sent_by_proxy else None
        assert response.headers.get("x-sendfile") == path
        assert response.headers.get("content-length", "0") == "0"


class TestFileBody:
    def test_it_reads_in_pieces(self) -> None:
        """Of one size, none larger."""
        body = FileBody(io.BytesIO(BIG), len(BIG))
        pieces = list(body)
        assert b"".join(pieces) == BIG
        assert [len(piece) for piece in pieces] == [CHUNK_SIZE] * 3 + [17]

    def test_a_part_of_a_part(self) -> None:
        """Offsets add up."""
        body = FileBody(io.BytesIO(b"0123456789"), 8, offset=1).slice(2, 6).slice(1, 3)
        assert body.read() == b"45"
        assert body.file.closed

    def test_a_file_that_becomes_shorter(self) -> None:
        """Is an error, so that the client does not take it for the whole."""
        body = FileBody(io.BytesIO(b"short"), 10)
        with pytest.raises(OSError, match="5 bytes are missing"):
            list(body)

    async def test_a_client_that_goes_away_closes_the_file(self, folder: Path) -> None:
        """In the middle of a large one."""
        files: list[io.BytesIO] = []
        app = make_app(folder)

        @app.get("/")
        async def index() -> Any:
            files.append(io.BytesIO(bytes(50 * CHUNK_SIZE)))
            return await send_file(files[0], mimetype="text/plain")

        wire = Wire()
        blocked = asyncio.Event()

        async def send(message: Any) -> None:
            wire.sent.append(message)
            if len(wire.sent) > 3:
                blocked.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(app(wire.scope, wire.receive, send))
        await blocked.wait()
        assert not files[0].closed
        wire.gone.set()
        await task
        await until(lambda: files[0].closed)

    async def test_an_error_closes_the_file(self, folder: Path) -> None:
        """Such as a range that cannot be satisfied."""
        file = io.BytesIO(b"content")
        async with make_app(folder).test_request_context(headers={"Range": "bytes=99-"}):
            with pytest.raises(Exception, match="416"):
                await send_file(file, mimetype="text/plain")
        assert file.closed


class SlowWire(Wire):
    """A client that takes the first piece, and nothing more."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message.get("body"):
            await self.gone.wait()


@pytest.mark.parametrize("together", [True, False])
async def test_slow_clients_hold_no_thread(tmp_path: Path, together: bool) -> None:
    """A file takes one for each of its pieces only; clients may leave in the same moment."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * (CHUNK_SIZE * 3 + 1))
    app = Flask(__name__, static_folder=None)
    app.config.update(WORKER_THREADS=1, STREAM_THREADS=1, WORKER_QUEUE_SIZE=0)
    closed: list[bool] = []
    torn_down: list[BaseException | None] = []

    @app.teardown_request
    async def teardown(exc: BaseException | None) -> None:
        torn_down.append(exc)

    @app.get("/")
    async def view() -> Any:
        response = await send_file(path, "text/plain")
        body: Any = response.response
        response.call_on_close(lambda: closed.append(body.file.closed))
        return response

    wires = [SlowWire() for _ in range(5)]
    downloads = []
    for wire in wires:
        downloads.append(asyncio.create_task(app(wire.scope, wire.receive, wire.send)))  # type: ignore[arg-type]
        await until(lambda wire=wire: wire.body)  # type: ignore[misc]
    await until(lambda: app.stream_pool.busy == 0)
    other = Wire()
    await app(other.scope, other.receive, other.send)  # type: ignore[arg-type]
    assert other.body == path.read_bytes()
    for wire in wires:
        wire.gone.set()
        if not together:
            await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*downloads), 5)
    assert torn_down == [None] * 6
    await until(lambda: app.stream_pool.busy == 0)
    assert len(closed) == 6
    app.close_pools()


async def test_stalled_downloads_do_not_hold_up_others(tmp_path: Path) -> None:
    """Over the wire: 60 clients that read nothing, and two threads of each kind."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1024 * 1024))
    app = Flask(__name__, static_folder=None)
    app.config.update(WORKER_THREADS=2, STREAM_THREADS=2)
    bodies: list[Any] = []

    @app.get("/file")
    async def file() -> Any:
        response = await send_file(path, "application/octet-stream")
        bodies.append(response.response)
        return response

    @app.get("/view")
    def view() -> str:
        return "view"

    @app.get("/stream")
    def stream() -> Any:
        return (f"{number} " for number in range(3))

    with socket.socket() as listening:
        # Small buffers: what the kernel keeps of a response is no longer in the server.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        address = listening.getsockname()
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        stalled = [socket.socket() for _ in range(60)]
        for client in stalled:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, address)
            client.send(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: len(bodies) == 60 and app.stream_pool.busy == 0)
        url = f"http://127.0.0.1:{address[1]}"
        async with asyncio.timeout(10), httpx.AsyncClient(base_url=url, trust_env=False) as http:
            for _ in range(3):
                assert (await http.get("/file")).content == path.read_bytes()
                assert (await http.get("/view")).text == "view"
                assert (await http.get("/stream")).text == "0 1 2 "
        assert [body.file.closed for body in bodies] == [False] * 60 + [True] * 3
        for client in stalled:
            client.close()
        await until(lambda: all(body.file.closed for body in bodies))
        await until(lambda: app.stream_pool.busy == app.pool.busy == 0)
        assert app.stream_pool.threads <= 2
        server.should_exit = True
        await serving
