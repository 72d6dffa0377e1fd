"""Bodies that are read before ``async def`` code, which extensions ask for without ``await``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asyncflask.compat.flask import Flask, request
from asyncflask.exceptions import MissingAwaitError
from asyncflask.testing import FlaskClient

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


def make_app(**config: Any) -> Flask:
    """An application with views that are ``async def``, and await nothing of the request."""
    app = Flask("ahead", static_folder=None)
    app.config.update(config)

    @app.post("/json")
    async def as_json() -> Any:
        return {"json": request.get_json()}

    @app.post("/default")
    async def default() -> Any:
        return {"json": request.get_json(silent=True) or "default"}

    @app.post("/form")
    async def form() -> Any:
        return request.form

    @app.post("/ignore")
    async def ignore() -> str:
        return "ignored"

    @app.post("/caught")
    async def caught() -> str:
        try:
            return request.form["a"]
        except Exception as exc:
            return type(exc).__name__

    @app.post("/parts")
    async def parts() -> Any:
        return {"size": sum([len(part) async for part in request.body])}

    return app


def loads_and_dumps(body: bytes) -> str:
    """What Flask makes of JSON that a view returns."""
    return json.dumps(json.loads(body), separators=(",", ":"))


@pytest.mark.parametrize(
    ("body", "value"),
    [(b"1", 1), (b"1.5", 1.5), (b'"a"', "a"), (b"[1]", [1]), (b'{"a": 1}', {"a": 1})],
)
async def test_json_is_a_value_of_its_kind(body: bytes, value: Any) -> None:
    """Which can be awaited as well, and be put into JSON again."""
    app = make_app()

    @app.post("/awaited")
    async def awaited() -> Any:
        found = request.get_json()
        assert await found == found
        return {"json": found}

    async with FlaskClient(app) as client:
        for path in ("/json", "/awaited"):
            answer = await client.post(path, content=body, headers=JSON)
            assert answer.json() == {"json": value}


@pytest.mark.parametrize("body", [b'{"a": 1}', b"[1, 2]", b'"a"'])
async def test_a_view_may_return_the_json(body: bytes) -> None:
    """A value that can be awaited is a value."""
    app = make_app()

    @app.post("/echo")
    async def echo() -> Any:
        return request.get_json()

    async with FlaskClient(app) as client:
        answer = await client.post("/echo", content=body, headers=JSON)
        assert answer.text.strip('"\n') == loads_and_dumps(body).strip('"')


@pytest.mark.parametrize("path", ["/form", "/in_thread", "/data"])
async def test_a_view_may_return_what_else_was_read(path: str) -> None:
    """A form as JSON, as in Flask; text and bytes as they are."""
    app = make_app()

    @app.post("/in_thread")
    def in_thread() -> Any:
        return request.form

    @app.post("/data")
    async def data() -> Any:
        return request.get_data()

    async with FlaskClient(app) as client:
        answer = await client.post(path, data={"a": "1"})
        assert answer.text.strip() == ("a=1" if path == "/data" else '{"a":"1"}')


@pytest.mark.parametrize(
    ("body", "headers"), [(b"null", JSON), (b"{", JSON), (b"", JSON), (b"a=b", FORM)]
)
async def test_none_is_false_and_can_be_awaited(body: bytes, headers: dict[str, str]) -> None:
    """So a default takes its place, whatever the client has sent."""
    app = make_app()

    @app.post("/asked")
    async def asked() -> Any:
        found: Any = request.get_json(silent=True)
        assert found == None  # noqa: E711 - an object can say so only where it is asked
        assert found != "None"
        assert (found != None) is False  # noqa: E711 - as above
        assert len({found, found}) == 1
        return {"json": await request.get_json(silent=True)}

    async with FlaskClient(app) as client:
        answer = await client.post("/default", content=body, headers=headers)
        assert answer.json() == {"json": "default"}
        answer = await client.post("/asked", content=body, headers=headers)
        assert answer.json() == {"json": None}


async def test_none_where_a_value_is_due_has_to_be_awaited() -> None:
    """The error says what to write."""
    app = make_app(TESTING=True)
    async with FlaskClient(app) as client:
        with pytest.raises(MissingAwaitError, match=r"await request\.get_json\(\)"):
            await client.post("/json", content=b"null", headers=JSON)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"nothing", MULTIPART, 400),
        (b"a=\xff", FORM, 400),
        (b"a=" + b"b" * 100, FORM, 413),
    ],
)
async def test_what_is_wrong_with_a_form_is_raised_where_it_is_used(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    """A view that does not want it answers, and hooks run before, as in Flask."""
    app = make_app(MAX_FORM_MEMORY_SIZE=50)
    seen: list[str] = []

    @app.before_request
    def see() -> None:
        seen.append(request.path)

    async with FlaskClient(app) as client:
        assert (await client.post("/ignore", data=body, headers=headers)).text == "ignored"
        assert (await client.post("/form", data=body, headers=headers)).status_code == status
        caught = await client.post("/caught", data=body, headers=headers)
        assert caught.text in ("BadRequest", "RequestEntityTooLarge")
        assert (await client.post("/json", data=body, headers=headers)).status_code == 415
    assert seen == ["/ignore", "/form", "/caught", "/json"]


@pytest.mark.parametrize("config", [{"MAX_JSON_LENGTH": 50}, {"MAX_CONTENT_LENGTH": 50}, {}])
@pytest.mark.parametrize("chunked", [True, False])
async def test_json_that_is_too_large_is_refused_where_it_is_used(
    config: dict[str, int], chunked: bool
) -> None:
    """Without any limit in the configuration 16 MiB are the most that is kept for a view."""
    size = 50 if config else 16 * 1024 * 1024

    def sent(length: int) -> Any:
        whole = b'"' + b"a" * (length - 2) + b'"'

        async def pieces() -> AsyncIterator[bytes]:
            for begin in range(0, len(whole), 1 << 20):
                yield whole[begin : begin + (1 << 20)]

        return pieces() if chunked else whole

    async with FlaskClient(make_app(**config)) as client:
        assert (await client.post("/json", content=sent(size), headers=JSON)).status_code == 200
        refused = await client.post("/json", content=sent(size + 1), headers=JSON)
        assert refused.status_code == 413
        answer = await client.post("/ignore", content=sent(size + 1), headers=JSON)
        assert answer.text == "ignored"


@pytest.mark.parametrize("path", ["/form", "/in_thread"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "wrapped"])
async def test_a_body_that_does_not_come_is_not_waited_for(path: str, wrapped: bool) -> None:
    """For ``BODY_TIMEOUT`` seconds only: clients that send nothing would hold all threads."""
    app = make_app()
    if wrapped:
        inner = app.wsgi_app
        app.wsgi_app = lambda *args: inner(*args)  # type: ignore[method-assign]
    assert app.config["BODY_TIMEOUT"] == 30
    app.config["BODY_TIMEOUT"] = 0.05

    @app.post("/in_thread")
    def in_thread() -> Any:
        return request.form

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a="
        await asyncio.sleep(5)

    async with FlaskClient(app) as client:
        answer = await client.post(path, content=pieces(), headers=FORM)
        assert answer.status_code == (400 if wrapped else 408)


async def test_a_view_takes_in_parts_what_is_too_large_to_be_kept() -> None:
    """As long as the size is announced: then nothing of it has been read."""
    size = 16 * 1024 * 1024 + 1
    async with FlaskClient(make_app()) as client:
        answer = await client.post("/parts", content=b"1" * size, headers=JSON)
        assert answer.request.headers["Content-Length"] == str(size)
        assert answer.json() == {"size": size}


async def test_a_body_that_a_hook_has_streamed_is_left_alone() -> None:
    """A decorator around an ``async def`` view reads ahead after the hooks."""
    app = make_app()

    @app.before_request
    def stream() -> None:
        assert request.stream.read() == b"{}"

    @app.post("/decorated")
    @app.ensure_sync
    async def decorated() -> str:
        return "fine"

    async with FlaskClient(app) as client:
        assert (await client.post("/decorated", content=b"{}", headers=JSON)).text == "fine"
