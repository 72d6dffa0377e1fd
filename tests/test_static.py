"""Static files of applications and blueprints, beside Flask's."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import flask
import pytest

from asyncflask import Blueprint, Flask, Response, current_app, send_from_directory, url_for
from asyncflask.static import send_static_file
from asyncflask.testing._httpx import httpx
from tests.programs import Start
from tests.programs import start as start
from tests.wire import Wire


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of an application with two folders of static files."""
    for name in ("static/app.css", "static/.env", "static/sub/app.js", "own/bp.css", "secret"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"the content of {name}")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tmp_path


def build(framework: Any, blueprint_class: Any, root: Path) -> Any:
    """The same application, of ours or of Flask's."""
    app = framework(__name__, root_path=str(root))
    app.config["TESTING"] = True
    blueprint = blueprint_class(
        "bp", __name__, static_folder="own", url_prefix="/bp", root_path=str(root)
    )
    app.register_blueprint(blueprint)
    return app


PATHS = [
    "/static/app.css",
    "/static/sub/app.js",
    "/bp/own/bp.css",
    "/static/missing.css",
    "/static/",
    "/static/sub",
    "/bp/own/app.css",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_they_are_served_as_by_flask(root: Path, path: str, method: str) -> None:
    """To GET and HEAD only."""
    app, other = build(Flask, Blueprint, root), build(flask.Flask, flask.Blueprint, root)
    ours = await app.test_client().open(path, method=method)
    with other.test_client().open(path, method=method) as theirs:
        agree(ours, theirs, method)


def agree(ours: Any, theirs: Any, method: str) -> None:
    assert ours.status_code == theirs.status_code
    for name in ("ETag", "Last-Modified", "Content-Length", "Cache-Control"):
        if ours.status_code == 200 and method != "OPTIONS":
            assert ours.headers.get(name) == theirs.headers.get(name)
    allowed = theirs.headers.get("Allow")
    if allowed is not None:
        assert set(ours.headers["Allow"].split(", ")) == set(allowed.split(", "))
    if ours.status_code == 200:
        assert ours.content == theirs.data


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret",
        "/static/sub/../.env",
        "/static/.env",
        "/static//etc/passwd",
        "/static/..\\secret",
        "/bp/own/../secret",
    ],
)
async def test_tricks_are_not_found(root: Path, path: str) -> None:
    """As in `send_from_directory`, whatever a client sends."""
    wire = Wire(path)
    await build(Flask, Blueprint, root)(wire.scope, wire.receive, wire.send)
    assert wire.sent[0]["status"] in (308, 404)
    assert b"the content" not in wire.body


async def test_a_view_may_send_one_itself(root: Path) -> None:
    """Awaited in `async def` code, a value in `def` code."""
    app = build(Flask, Blueprint, root)

    @app.get("/async")
    async def async_view() -> Any:
        return await current_app.send_static_file("app.css")

    @app.get("/def")
    def def_view() -> Any:
        return current_app.send_static_file("app.css")

    client = app.test_client()
    for path in ("/async", "/def", "/static/app.css"):
        assert (await client.get(path)).text == "the content of static/app.css"
    async with app.test_request_context():
        assert url_for("static", filename="app.css") == "/static/app.css"
        assert url_for("bp.static", filename="bp.css") == "/bp/own/bp.css"


async def test_the_owner_says_how_long_they_are_kept(root: Path) -> None:
    """By a method that gets the file's name."""

    class Own(Flask):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            return 3600 if filename == "app.css" else None

    app = build(Own, Blueprint, root)
    client = app.test_client()
    assert "max-age=3600" in (await client.get("/static/app.css")).headers["cache-control"]
    assert (await client.get("/static/sub/app.js")).headers["cache-control"] == "no-cache"


async def ask(
    app: Flask, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Make a request; the body is as it was sent, not decompressed."""
    path, _, query = path.partition("?")
    wire = Wire(path, method)
    wire.scope["query_string"] = query.encode()
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    wire.scope["headers"].extend(raw)  # type: ignore[attr-defined]
    await app(wire.scope, wire.receive, wire.send)
    sent = {name.decode(): value.decode() for name, value in wire.sent[0]["headers"]}
    return wire.sent[0]["status"], sent, wire.body


class TestCompressedSiblings:
    """`STATIC_PRECOMPRESSED`."""

    @pytest.fixture
    def app(self, root: Path) -> Flask:
        for suffix, content in {"br": "in br", "zst": "in zstd", "gz": "in gzip"}.items():
            path = root / f"static/app.css.{suffix}"
            path.write_text(content)
            os.utime(path, (1_700_000_000, 1_700_000_000))
        (root / "own/bp.css.gz").write_text("bp's in gzip")
        app: Flask = build(Flask, Blueprint, root)
        app.config["STATIC_PRECOMPRESSED"] = True
        return app

    @pytest.mark.parametrize("coding", ["br", "zstd", "gzip"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_the_sibling_is_sent_in_place_of_the_file(
        self, app: Flask, coding: str, method: str
    ) -> None:
        """With the file's own type and name, and the sibling's length."""
        status, headers, body = await ask(
            app, "/static/app.css", method, accept_encoding=f"{coding}, deflate"
        )
        content = f"in {coding}".encode()
        assert (status, body) == (200, content if method == "GET" else b"")
        assert headers["content-encoding"] == coding
        assert headers["content-type"] == "text/css; charset=utf-8"
        assert headers["content-disposition"] == "inline; filename=app.css"
        assert headers["content-length"] == str(len(content))
        assert headers["vary"] == "Accept-Encoding"

    async def test_each_coding_has_its_own_etag(self, app: Flask) -> None:
        """Also where all files have the same time and length; each is a condition for itself."""
        etags = []
        for coding in ("", "br", "zstd", "gzip"):
            _, headers, _ = await ask(app, "/static/app.css", accept_encoding=coding)
            etags.append(headers["etag"])
            status, again, body = await ask(
                app, "/static/app.css", accept_encoding=coding, if_none_match=headers["etag"]
            )
            assert (status, body) == (304, b"")
            assert again["vary"] == "Accept-Encoding"
            assert not {"content-length", "content-encoding", "content-type"} & again.keys()
        assert len(set(etags)) == 4
        status, _, _ = await ask(
            app, "/static/app.css", accept_encoding="br", if_none_match=etags[0]
        )
        assert status == 200

    async def test_ranges_are_of_what_is_sent(self, app: Flask) -> None:
        """RFC 9110, section 14: of the encoded bytes."""
        status, headers, body = await ask(
            app, "/static/app.css", accept_encoding="zstd", range="bytes=3-4"
        )
        assert (status, body) == (206, b"zs")
        assert headers["content-range"] == "bytes 3-4/7"
        assert headers["content-encoding"] == "zstd"

    @pytest.mark.parametrize("accept", ["", "deflate", "gzip;q=0, br;q=0, zstd;q=0", "identity"])
    async def test_a_client_may_want_the_file_itself(self, app: Flask, accept: str) -> None:
        """The answer says that it depends on what is accepted, all the same."""
        for headers in ({"accept_encoding": accept}, {}):
            status, sent, body = await ask(app, "/static/app.css", **headers)
            assert (status, body) == (200, b"the content of static/app.css")
            assert "content-encoding" not in sent
            assert sent["vary"] == "Accept-Encoding"

    async def test_a_file_without_siblings_is_sent_as_ever(self, app: Flask) -> None:
        """Also where the client accepts nothing else: no request fails for it."""
        for accept in ("br, gzip", "identity;q=0"):
            status, sent, body = await ask(app, "/static/sub/app.js", accept_encoding=accept)
            assert (status, body) == (200, b"the content of static/sub/app.js")
            assert not {"content-encoding", "vary"} & sent.keys()

    async def test_the_sibling_itself_is_a_file(self, app: Flask, root: Path) -> None:
        """No sibling of a sibling is looked for."""
        (root / "static/app.css.gz.br").write_text("never")
        _, headers, body = await ask(app, "/static/app.css.gz", accept_encoding="br, gzip")
        assert body == b"in gzip"
        assert "vary" not in headers

    async def test_a_blueprint_has_them_too(self, app: Flask) -> None:
        """And a view that asks for them."""

        @app.get("/view")
        async def view() -> Any:
            return await send_from_directory("static", "app.css", precompressed=True, max_age=5)

        _, headers, body = await ask(app, "/bp/own/bp.css", accept_encoding="gzip")
        assert (headers["content-encoding"], body) == ("gzip", b"bp's in gzip")
        _, headers, body = await ask(app, "/view", accept_encoding="gzip")
        assert (headers["cache-control"], body) == ("public, max-age=5", b"in gzip")

    async def test_the_age_is_decided_by_the_files_own_name(self, root: Path) -> None:
        """Not by the sibling's."""
        asked = []

        class Own(Flask):
            def get_send_file_max_age(self, filename: str | None) -> int | None:
                asked.append(os.path.basename(filename or ""))
                return None

        (root / "static/app.css.br").write_text("in br")
        app = build(Own, Blueprint, root)

        @app.get("/view")
        async def view() -> Any:
            return await send_from_directory("static", "app.css", precompressed=True)

        await ask(app, "/view", accept_encoding="br")
        assert asked == ["app.css"]

    async def test_other_etags_and_codings(self, app: Flask, root: Path) -> None:
        """An own ETag is made one for the coding, and a type that has a coding keeps it."""
        (root / "static/image.svgz").write_text("packed")
        (root / "static/image.svgz.br").write_text("packed in br")

        @app.get("/view")
        async def view() -> Any:
            return await send_from_directory("static", "app.css", precompressed=True, etag="own")

        assert (await ask(app, "/view"))[1]["etag"] == '"own"'
        assert (await ask(app, "/view", accept_encoding="br"))[1]["etag"] == '"own-br"'
        wire = Wire("/static/image.svgz")
        wire.scope["headers"].append((b"accept-encoding", b"br"))  # type: ignore[attr-defined]
        await app(wire.scope, wire.receive, wire.send)
        sent = [value for name, value in wire.sent[0]["headers"] if name == b"content-encoding"]
        assert sent == [b"gzip", b"br"]
        assert (b"content-type", b"image/svg+xml; charset=utf-8") in wire.sent[0]["headers"]

    async def test_a_sibling_may_not_lead_out_of_the_folder(self, app: Flask, root: Path) -> None:
        """As no link may."""
        (root / "static/app.css.br").unlink()
        (root / "static/app.css.br").symlink_to(root / "secret")
        status, _, body = await ask(app, "/static/app.css", accept_encoding="br")
        assert status == 404
        assert b"the content" not in body

    async def test_a_proxy_is_told_the_sibling(self, app: Flask, root: Path) -> None:
        """With `USE_X_SENDFILE`."""
        app.config["USE_X_SENDFILE"] = True
        _, headers, body = await ask(app, "/static/app.css", accept_encoding="br")
        assert headers["x-sendfile"] == str(root / "static/app.css.br")
        assert (headers["content-encoding"], body) == ("br", b"")

    async def test_nothing_of_it_without_the_setting(self, app: Flask) -> None:
        """The default."""
        app.config["STATIC_PRECOMPRESSED"] = False
        _, headers, body = await ask(app, "/static/app.css", accept_encoding="br")
        assert body == b"the content of static/app.css"
        assert not {"content-encoding", "vary"} & headers.keys()


class TestHashedURLs:
    """`STATIC_HASHED_URLS`."""

    @pytest.fixture
    def app(self, root: Path) -> Flask:
        app: Flask = build(Flask, Blueprint, root)
        app.config["STATIC_HASHED_URLS"] = True
        return app

    @pytest.mark.parametrize(
        ("endpoint", "filename", "path"),
        [
            ("static", "app.css", "/static/app.css"),
            ("static", "sub/app.js", "/static/sub/app.js"),
            ("bp.static", "bp.css", "/bp/own/bp.css"),
        ],
    )
    async def test_a_url_with_its_hash_is_kept_for_ever(
        self, app: Flask, endpoint: str, filename: str, path: str
    ) -> None:
        """Without asking again (RFC 8246); it changes with the file."""
        async with app.test_request_context():
            url = url_for(endpoint, filename=filename)
            assert url_for(endpoint, filename=filename, _anchor="x") == f"{url}#x"
        assert url.startswith(f"{path}?v=")
        status, headers, _ = await ask(app, url)
        assert status == 200
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "expires" not in headers
        status, headers, _ = await ask(app, url, if_none_match=headers["etag"])
        assert status == 304
        assert "immutable" in headers["cache-control"]

    async def test_a_hash_of_another_state_is_not_kept(self, app: Flask, root: Path) -> None:
        """The file is sent as without a hash: a page may be older or newer than it."""
        app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 60
        async with app.test_request_context():
            old = url_for("static", filename="app.css")
            (root / "static/app.css").write_text("new")
            assert url_for("static", filename="app.css") != old
        for url in (old, "/static/app.css?v=", "/static/app.css?v=x", "/static/app.css"):
            status, headers, body = await ask(app, url)
            assert (status, body) == (200, b"new")
            assert headers["cache-control"] == "public, max-age=60"

    async def test_a_file_that_is_replaced_while_it_is_opened_is_not_kept(
        self, app: Flask, root: Path
    ) -> None:
        """Under the hash of the new one the old one was sent."""
        file = root / "static/app.css"
        old = file.read_bytes()
        file.write_text("new")
        async with app.test_request_context():
            url = url_for("static", filename="app.css")
        file.write_bytes(old)

        class Replacing(Response):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                (root / "new").write_text("new")
                (root / "new").rename(file)

        app.response_class = Replacing
        _, headers, body = await ask(app, url)
        assert (headers["cache-control"], body) == ("no-cache", old)
        app.response_class = Response
        assert "immutable" in (await ask(app, url))[1]["cache-control"]

    async def test_what_is_missing_has_no_hash(self, app: Flask) -> None:
        """Its URL is what it was, and still not found."""
        async with app.test_request_context():
            assert url_for("static", filename="missing.css") == "/static/missing.css"
        assert (await ask(app, "/static/missing.css?v=None"))[0] == 404

    async def test_siblings_are_kept_with_it(self, app: Flask, root: Path) -> None:
        """Both settings go together."""
        app.config["STATIC_PRECOMPRESSED"] = True
        (root / "static/app.css.br").write_text("in br")
        async with app.test_request_context():
            url = url_for("static", filename="app.css")
        _, headers, body = await ask(app, url, accept_encoding="br")
        assert (headers["vary"], body) == ("Accept-Encoding", b"in br")
        assert "immutable" in headers["cache-control"]

    async def test_nothing_of_it_without_the_setting(self, app: Flask) -> None:
        """The default."""
        async with app.test_request_context():
            url = url_for("static", filename="app.css")
            app.config["STATIC_HASHED_URLS"] = False
            assert url_for("static", filename="app.css") == "/static/app.css"
        assert (await ask(app, url))[1]["cache-control"] == "no-cache"


SERVED = """
import threading

from asyncflask import Flask, render_block, stream_template_string, url_for
from asyncflask.views import MethodView

app = Flask(__name__)
app.config.update(STATIC_PRECOMPRESSED=True, STATIC_HASHED_URLS=True)


class Item(MethodView):
    async def get(self):
        return await stream_template_string(
            "{{ url_for('static', filename='app.css') }} {{ thread }}",
            thread=threading.current_thread().name,
        )

    def post(self):
        return render_block("page.html", "part", thread=threading.current_thread().name)


app.add_url_rule("/", view_func=Item.as_view("item"))

if __name__ == "__main__":
    app.run(port=0)
"""


def test_over_the_wire(root: Path, start: Start) -> None:
    """A class with methods of both kinds, a streamed template, a block, and files with siblings."""
    (root / "app.py").write_text(SERVED)
    (root / "templates").mkdir()
    (root / "templates/page.html").write_text("all {% block part %}part {{ thread }}{% endblock %}")
    (root / "static/app.css.gz").write_bytes(gzip.compress(b"compressed"))
    program = start("app.py")
    with httpx.Client(base_url=program.url) as client:
        url, thread = client.get("/").text.split()
        assert thread == "MainThread"
        assert client.post("/").text == "part app-worker-1"
        kept = client.get(url, headers={"Accept-Encoding": "gzip"})
        assert kept.headers["content-encoding"] == "gzip"
        assert kept.headers["vary"] == "Accept-Encoding"
        assert kept.text == "compressed"
        assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
        unchanged = client.get(
            url, headers={"Accept-Encoding": "gzip", "If-None-Match": kept.headers["etag"]}
        )
        assert unchanged.status_code == 304
        assert "content-length" not in unchanged.headers
        part = client.get(
            "/static/app.css", headers={"Range": "bytes=4-10", "Accept-Encoding": "identity"}
        )
        assert (part.status_code, part.text) == (206, "content")
        beyond = client.get("/static/app.css", headers={"Range": "bytes=999-"})
        assert beyond.status_code == 416
        head = client.head("/static/app.css", headers={"Accept-Encoding": "gzip"})
        assert head.headers["content-length"] == kept.headers["content-length"]
        assert client.post("/static/app.css").status_code == 405


def test_without_a_folder_the_error_says_what_to_set() -> None:
    """For an application that has none."""
    app = Flask(__name__, static_folder=None)
    with app.test_request_context(), pytest.raises(RuntimeError, match="'static_folder'"):
        send_static_file(app, "x")
