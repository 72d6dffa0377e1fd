"""What people see."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from asyncflask import Flask
from asyncflask.testing import SyncClient
from examples.board import create_app

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


def pin(client: SyncClient, **fields: object) -> str:
    """Pin a note and return the page that follows."""
    response = client.post("/", data={"text": "Hello", **fields}, follow_redirects=True)
    assert response.status_code == 200
    return response.text


def test_a_new_board_welcomes(client: SyncClient) -> None:
    """The page shows the first note and the form."""
    page = client.get("/").text
    assert "Welcome! Pin a note" in page
    assert '<textarea name="text"' in page


def test_a_note_is_pinned(client: SyncClient) -> None:
    """A note stands on the board afterwards, with a message to its writer, who is remembered."""
    page = pin(client, text=" Tea at <four> ", author="Ada", color="sea")
    assert "Your note is on the board." in page
    assert "Tea at &lt;four&gt;" in page
    assert '<article class="note sea"' in page
    assert 'name="author" maxlength="40" value="Ada"' in page
    # The message is shown once.
    assert "Your note is on the board." not in client.get("/").text


def test_the_name_may_be_left_out(client: SyncClient) -> None:
    """A note without a name is by someone."""
    assert "Someone" in pin(client, author="  ")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": "  "}, "A note needs some text."),
        ({"text": "x" * 501}, "A note has at most 500 characters."),
        ({"author": "x" * 41}, "A name has at most 40 characters."),
        ({"color": "mud"}, "A note is one of: sun, sea, rose, leaf."),
        ({"picture": (io.BytesIO(b"#!/bin/sh"), "cat.png")}, "That is not a PNG, JPEG or GIF"),
    ],
)
def test_a_wrong_note_is_told(client: SyncClient, fields: dict[str, str], message: str) -> None:
    """What is wrong is said on the page, and nothing is kept."""
    page = pin(client, **fields)
    assert message in page
    assert page.count("<article") == 1


def test_a_form_without_text_is_a_bad_request(client: SyncClient) -> None:
    """A form that is not ours gets an error page."""
    response = client.post("/", data={"note": "?"})
    assert response.status_code == 400
    assert "<h2>Bad Request</h2>" in response.text


def test_a_picture_is_kept_and_served(client: SyncClient, tmp_path: Path) -> None:
    """A picture gets a name of ours and is served under it."""
    page = pin(client, picture=(io.BytesIO(PNG), "../../evil.png"))
    match = re.search(r'src="(/pictures/[0-9a-f]{16}\.png)"', page)
    assert match
    response = client.get(match[1])
    assert response.content == PNG
    assert response.headers["Content-Type"] == "image/png"
    assert "max-age=31536000" in response.headers["Cache-Control"]
    assert [path.read_bytes() for path in (tmp_path / "pictures").iterdir()] == [PNG]


def test_an_empty_file_field_is_no_picture(client: SyncClient) -> None:
    """Browsers send the field even if no file was chosen."""
    field = "--x\r\nContent-Disposition: form-data; name={}\r\n\r\n{}\r\n"
    body = (
        field.format('"text"', "Hello") + field.format('"picture"; filename=""', "") + "--x--\r\n"
    )
    client.post("/", data=body.encode(), content_type="multipart/form-data; boundary=x")
    page = client.get("/").text
    assert "Your note is on the board." in page
    assert "/pictures/" not in page


def test_a_large_upload_is_refused(client: SyncClient) -> None:
    """More than four MiB get a 413, on a page."""
    response = client.post("/", data={"text": "x", "picture": (io.BytesIO(b"x" * 2**22), "x.png")})
    assert response.status_code == 413
    assert '<p class="code">413</p>' in response.text


def test_papers_can_be_picked(client: SyncClient) -> None:
    """The board shows one color on request."""
    pin(client, text="blue", color="sea")
    page = client.get("/?color=sea").text
    assert page.count("<article") == 1
    assert "blue" in page
    assert "Nothing here yet." in client.get("/?color=leaf").text
    assert client.get("/?color=mud").status_code == 404


def test_a_note_has_a_page(client: SyncClient) -> None:
    """Its page shows the note; an unknown note is a 404 that explains."""
    assert "Welcome!" in client.get("/notes/1").text
    response = client.get("/notes/99")
    assert response.status_code == 404
    assert "not on the board any more" in response.text


def test_the_writer_takes_a_note_off(client: SyncClient, tmp_path: Path) -> None:
    """The writer finds a button for it; note and picture are gone afterwards."""
    page = pin(client, picture=(io.BytesIO(PNG), "a.png"))
    match = re.search(r'action="(/notes/\d+/remove)"', page)
    assert match
    page = client.post(match[1], follow_redirects=True).text
    assert "The note is off the board." in page
    assert "Hello" not in page
    assert list((tmp_path / "pictures").iterdir()) == []
    # A second time it is nobody's.
    assert client.post(match[1]).status_code == 403


def test_others_cannot_take_a_note_off(app: Flask, client: SyncClient) -> None:
    """Another visitor has no button, and no success without it."""
    pin(client)
    with app.sync_test_client() as other:
        assert "/remove" not in other.get("/").text
        assert other.post("/notes/1/remove").status_code == 403


def test_unknown_pages_and_files_are_404(client: SyncClient) -> None:
    """Errors have a page of ours with a way back."""
    for path in ("/nowhere", "/pictures/none.png", "/static/none.css"):
        response = client.get(path)
        assert response.status_code == 404
        assert "Back to the board" in response.text


def test_pages_load_nothing_from_elsewhere(client: SyncClient) -> None:
    """The policy for browsers is set on every response, and the files it permits exist."""
    response = client.get("/")
    assert response.headers["Content-Security-Policy"] == "default-src 'self'"
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', response.text):
        assert client.get(path).status_code == 200


def test_the_secret_key_is_made_once(tmp_path: Path) -> None:
    """Sessions outlive a restart, because the key is kept; others cannot read it."""
    first = create_app({"DATA": str(tmp_path)})
    second = create_app({"DATA": str(tmp_path)})
    assert first.secret_key == second.secret_key
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
    assert create_app({"DATA": str(tmp_path), "SECRET_KEY": "given"}).secret_key == "given"
