"""The scenarios: what is asked, and what has to come back.

Paths, queries, forms and cookies differ from request to request: a cache of whole requests is not
speed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

DATA = Path(__file__).parent / "data"

#: What the templates, the sessions and the streams of all peers are given.
ROWS = [{"id": i, "name": f"Item <{i}>", "price": i * 1.25} for i in range(20)]
SECRET = "a secret that is the same for all of them"
CHUNKS = 20
CHUNK = b"x" * 4096
ROUTES = 500
FEW_ROUTES = 10
HOOKS = 5
MESSAGES = 20

#: What every request has.
BROWSER = (
    ("host", "127.0.0.1:5000"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("connection", "keep-alive"),
)

TEXT = "text/plain"
HTML = "text/html"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and the answer it has to get."""

    path: str
    expected: Any
    method: str = "GET"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[bytes, ...] = ()

    @property
    def target(self) -> str:
        """The path with the query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def with_cookie(self, cookie: str, expected: Any) -> Request:
        """Return the same request with a cookie, which brings another answer."""
        return replace(self, headers=(*self.headers, ("cookie", cookie)), expected=expected)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that applications do.

    :param name: what the functions of the peers are called.
    :param title: what tables call it.
    :param requests: they are made in turn.
    :param kind: the media types that an answer may have; empty for any.
    """

    name: str
    title: str
    requests: tuple[Request, ...]
    kinds: tuple[str, ...] = (TEXT, HTML)
    type: str = "http"
    #: Each answer sets the cookie of the next request.
    chained: bool = False

    def check(self, peer: str, request: Request, status: int, kind: str, body: bytes) -> None:
        """See that an answer is right.

        :param kind: its content type.
        :raises ValueError: it is not.
        """
        media_type = kind.partition(";")[0]
        right = (
            status == 200
            and (not self.kinds or media_type in self.kinds)
            and self._decode(body) == request.expected
        )
        if not right:
            raise ValueError(
                f"{self.name}: {peer} answers {request.method} {request.target} with {status}, "
                f"{kind}, {body[:500]!r}; expected is {str(request.expected)[:500]}"
            )

    def _decode(self, body: bytes) -> Any:
        if self.kinds == (JSON,):
            return json.loads(body)
        return body.decode() if self.kinds else body


def _each(make: Callable[[int], Request], count: int = 256) -> tuple[Request, ...]:
    return tuple(make(number) for number in range(count))


def _query(number: int) -> Request:
    query = {"q": f"term{number}", "page": number % 9, "order": "name", "tag": f"t {number}"}
    return Request("/search", f"term{number} {number % 9} name t {number}", query=urlencode(query))


def _form(number: int) -> Request:
    values = {
        "name": f"Ada {number}",
        "email": f"ada{number}@example.org",
        "age": number,
        "ok": "1",
    }
    body = urlencode(values).encode()
    return _post(
        "/form", body, "application/x-www-form-urlencoded", f"Ada {number} ada{number}@example.org"
    )


def _echo(number: int) -> Request:
    value = {
        "id": number,
        "title": f"Document {number}",
        "tags": ["alpha", "beta", "gamma", f"tag-{number}"],
        "author": {"name": "Ada Lovelace", "email": "ada@example.org", "active": True},
        "scores": [number + i / 4 for i in range(20)],
        "text": "The quick brown fox jumps over the lazy dog. " * 14,
    }
    return _post("/echo", json.dumps(value).encode(), JSON, value)


def _model(number: int) -> Request:
    value = {
        "name": f"Item {number}",
        "price": number + 0.5,
        "quantity": 3,
        "tags": ["a", "b", f"c{number}"],
    }
    expected = f"Item {number} {(number + 0.5) * 3} 3"
    return _post("/items", json.dumps(value).encode(), JSON, expected)


def _upload(number: int) -> Request:
    boundary = "----benchmark"
    content = bytes(range(256)) * 4096
    body = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="title"\r\n\r\n'
        f"Upload {number}\r\n--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="file{number}.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    body += content + f"\r\n--{boundary}--\r\n".encode()
    return _post(
        "/upload",
        body,
        f"multipart/form-data; boundary={boundary}",
        f"Upload {number} {len(content)}",
    )


def _post(path: str, body: bytes, content_type: str, expected: Any) -> Request:
    size = 64 * 1024
    return Request(
        path,
        expected,
        method="POST",
        headers=(("content-type", content_type), ("content-length", str(len(body)))),
        body=tuple(body[start : start + size] for start in range(0, len(body), size)),
    )


def _page() -> str:
    from jinja2 import Environment, FileSystemLoader

    env = Environment(loader=FileSystemLoader(DATA / "templates"), autoescape=True)
    return env.get_template("table.html").render(title="Table", rows=ROWS)


_HELLO = (Request("/", "Hello, World!"),)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("plain_text", "plain text", _HELLO),
        Scenario("json", "JSON", (Request("/", {"message": "Hello, World!"}),), (JSON,)),
        Scenario(
            "path_text",
            "`int` in the path, text",
            _each(lambda n: Request(f"/items/{n * 7}", f"{n * 7 + 1}")),
        ),
        Scenario(
            "path_json",
            "`int` in the path, JSON",
            _each(lambda n: Request(f"/items/{n * 7}", {"id": n * 7, "name": "item"})),
            (JSON,),
        ),
        Scenario("query", "query arguments", _each(_query)),
        Scenario("json_echo", "JSON echo, 1 KB", _each(_echo), (JSON,)),
        Scenario("model", "validated model", _each(_model)),
        Scenario("form", "urlencoded form", _each(_form)),
        Scenario("template", "template, 20 rows", (Request("/", _page()),), (HTML,)),
        Scenario("session", "session cookie", (Request("/", "1"),), chained=True),
        Scenario(
            "routes",
            f"the last of {ROUTES} routes",
            _each(lambda n: Request(f"/resource{ROUTES - 1}/{n}", f"{n}")),
        ),
        Scenario(
            "few_routes",
            f"the last of {FEW_ROUTES} routes",
            _each(lambda n: Request(f"/resource{FEW_ROUTES - 1}/{n}", f"{n}")),
        ),
        Scenario("hooks", "five hooks before and after", _HELLO),
        Scenario("stream", "a stream of 20 chunks", (Request("/", CHUNK * CHUNKS),), ()),
        Scenario("threaded", "`def` view", _HELLO),
        Scenario("websocket", f"WebSocket, {MESSAGES} echoes", _HELLO, type="websocket"),
        Scenario(
            "static",
            "static file",
            (Request("/static/style.css", (DATA / "static/style.css").read_bytes()),),
            (),
        ),
        Scenario("upload", "1 MB upload", _each(_upload, 4)),
    )
}
