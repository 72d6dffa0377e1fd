"""Old and new routes are one site: one session, one set of flashed messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asyncflask.testing import SyncClient
from examples.strangler.new import app


@pytest.fixture
def client() -> Iterator[SyncClient]:
    """A browser."""
    with app.sync_test_client() as client:
        yield client


def test_a_login_on_the_old_site_counts_on_the_new_one(client: SyncClient) -> None:
    """With the message that was flashed, which is shown once."""
    answer = client.post("/login", data={"user": "Ada"}, follow_redirects=True)
    assert answer.url.path == "/cart"
    assert answer.get_json() == {"user": "Ada", "items": [], "messages": ["Welcome back."]}
    assert client.get("/cart").get_json()["messages"] == []
    assert client.get("/").text == "Hello Ada! "


def test_what_the_new_site_has_flashed_is_shown_by_the_old_one(client: SyncClient) -> None:
    """And its session is the same."""
    client.post("/login", data={"user": "Ada"})
    client.get("/cart")
    answer = client.post("/cart", data={"item": "tea"}, follow_redirects=True)
    assert answer.text == "Hello Ada! tea is in your cart."
    assert client.get("/cart").get_json()["items"] == ["tea"]


def test_what_has_not_moved_is_the_old_sites(client: SyncClient) -> None:
    """Streams, paths that nobody has, and methods that have not moved."""
    assert len(client.get("/report").text.splitlines()) == 1000
    assert client.get("/nowhere").status_code == 404
    assert client.delete("/cart").status_code == 404
