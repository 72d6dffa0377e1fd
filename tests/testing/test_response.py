"""TestResponse: httpx's response with Flask's names."""

from __future__ import annotations

import pytest

from asyncflask.testing._httpx import httpx
from asyncflask.testing.response import TestResponse


def make(content: bytes = b"", content_type: str | None = None, status: int = 200) -> TestResponse:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return TestResponse(status, headers=headers, content=content)


def test_the_body_is_there_under_flasks_names() -> None:
    """Bytes, or text decoded by the charset."""
    response = make("grün".encode(), "text/plain; charset=utf-8")
    assert response.data == response.get_data() == "grün".encode()
    assert response.get_data(as_text=True) == response.text == "grün"


def test_headers_have_their_properties() -> None:
    """``content_type``, ``mimetype``, ``content_length``, ``location``, ``status``."""
    response = TestResponse(
        302, headers={"Content-Type": "Text/HTML; charset=utf-8", "Location": "/x"}, content=b"hi"
    )
    assert response.content_type == "Text/HTML; charset=utf-8"
    assert response.mimetype == "text/html"
    assert response.content_length == 2
    assert response.location == "/x"
    assert response.status == "302 FOUND"


def test_headers_that_are_missing_are_none() -> None:
    """As in Flask's test response."""
    response = TestResponse(200, stream=httpx.ByteStream(b""))
    assert (response.content_type, response.mimetype) == (None, None)
    assert (response.content_length, response.location) == (None, None)


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json; v=1"])
def test_json_is_parsed(content_type: str) -> None:
    """By ``get_json()`` as Flask has it, and by ``json()`` as httpx has it."""
    response = make(b'{"a": 1}', content_type)
    assert response.is_json
    assert response.get_json() == response.json() == {"a": 1}


@pytest.mark.parametrize("content_type", [None, "text/plain", "text/x+json", "application/xml"])
def test_what_is_not_announced_as_json_is_none(content_type: str | None) -> None:
    """Unless it is asked for with ``force``."""
    response = make(b"[1]", content_type)
    assert not response.is_json
    assert response.get_json() is None
    assert response.get_json(force=True) == [1]


def test_json_that_is_not_valid_raises_unless_silent() -> None:
    """``ValueError`` is what the parser raises."""
    response = make(b"{", "application/json")
    with pytest.raises(ValueError, match="Expecting"):
        response.get_json()
    assert response.get_json(silent=True) is None


async def test_the_body_may_be_awaited() -> None:
    """As in Quart; it is the value all the same."""
    response = TestResponse(200, content="é".encode())
    assert response.get_data() == await response.get_data() == "é".encode()
    assert response.get_data(as_text=True) == await response.get_data(as_text=True) == "é"


def test_json_is_httpxs_call_and_flasks_value() -> None:
    """Tests of both kinds read the same response."""
    response = make(b'{"id": 5, "tags": ["a"]}', "application/json")
    assert response.json() == {"id": 5, "tags": ["a"]}
    assert response.json["id"] == response.json.get("id") == 5
    assert response.json == {"id": 5, "tags": ["a"]}
    assert response.json != {"id": 6}
    assert "id" in response.json
    assert list(response.json) == ["id", "tags"]
    assert len(response.json) == 2
    assert repr(response.json) == "{'id': 5, 'tags': ['a']}"
    with pytest.raises(KeyError):
        response.json["name"]
    with pytest.raises(TypeError, match="unhashable"):
        hash(response.json)


async def test_json_can_be_awaited_as_in_quart() -> None:
    """The value is there at once."""
    assert await make(b"[1]", "application/json").json == [1]


def test_json_of_another_type_is_none_for_flask() -> None:
    """httpx's call parses it all the same."""
    response = make(b"[1]", "text/plain")
    assert response.json == None  # noqa: E711  # `is` cannot be answered by an object
    assert not response.json
    assert response.json() == [1]
    with pytest.raises(ValueError, match="Expecting"):
        make(b"{", "text/plain").json()
