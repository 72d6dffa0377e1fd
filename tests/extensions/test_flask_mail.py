"""Flask-Mail: to a real server on this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from flask import Flask, current_app, render_template_string
from flask_mail import Mail, Message

import asyncflask
from tests.ecosystem.serving import serving

pytestmark = pytest.mark.neighbour("Flask-Mail", kind="extension")


class Inbox:
    """Takes mail."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    """A server, and its port."""
    inbox = Inbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield inbox, port
    controller.stop()


@pytest.fixture
def app(inbox: tuple[Inbox, int]) -> Flask:
    """Views of both kinds send; what blocks is done in a worker."""
    app = Flask(__name__)
    app.config.update(
        MAIL_SERVER="127.0.0.1", MAIL_PORT=inbox[1], MAIL_DEFAULT_SENDER="shop@example.com"
    )
    mail = Mail(app)

    @app.get("/def/<name>")
    def in_def(name: str) -> str:
        message = Message(f"Hello {name}", recipients=[f"{name}@example.com"])
        message.html = render_template_string("<b>{{ name }}</b>", name=name)
        message.attach("tea.txt", "text/plain", "green")
        mail.send(message)
        return ""

    @app.get("/async/<name>")
    async def in_async(name: str) -> str:
        message = Message(f"Hello {name}", recipients=[f"{name}@example.com"])
        message.html = await render_template_string("<b>{{ name }}</b>", name=name)
        message.attach("tea.txt", "text/plain", "green")
        await asyncflask.run_sync(mail.send)(message)
        return ""

    @app.get("/recorded")
    async def recorded() -> Any:
        extension = current_app.extensions["mail"]
        with mail.record_messages() as outbox:
            extension.suppress = True
            await asyncflask.run_sync(mail.send)(Message("x", recipients=["a@example.com"]))
            extension.suppress = False
        return [message.subject for message in outbox]

    return app


@pytest.mark.parametrize("kind", ["def", "async"])
async def test_mail_is_sent(app: Flask, inbox: tuple[Inbox, int], kind: str) -> None:
    """Fifty at once, each to who it is for."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            sent = [client.get(f"/{kind}/user{i}") for i in range(50)]
            assert {response.status_code for response in await asyncio.gather(*sent)} == {200}
    found = {mail["To"]: mail for mail in inbox[0].mails}
    assert len(found) == len(inbox[0].mails) == 50
    mail = found["user7@example.com"]
    assert (mail["Subject"], mail["From"]) == ("Hello user7", "shop@example.com")
    parts = {part.get_content_type(): part for part in mail.walk()}
    assert b"<b>user7</b>" in parts["text/html"].get_payload(decode=True)
    assert parts["text/plain"].get_payload(decode=True).strip() == b"green"


async def test_tests_can_look_at_what_would_be_sent(app: Flask) -> None:
    """By a signal."""
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/recorded")).json() == ["x"]
