"""Serving on the event loop that runs already: ``await app.run_task()``."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from asyncflask import Flask, request

HERE = Path(__file__).parent
CERTIFICATE, KEY = HERE / "certificate.pem", HERE / "key.pem"


async def address(capsys: pytest.CaptureFixture[str]) -> str:
    """Wait for the line that tells where the server listens."""
    printed = ""
    async with asyncio.timeout(20):
        while "Press Ctrl-C" not in printed:
            await asyncio.sleep(0.01)
            printed += capsys.readouterr().err
    return printed.partition(" at ")[2].partition(". Press")[0]


@pytest.mark.parametrize("secure", [False, True])
async def test_it_serves_beside_other_tasks(
    secure: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until the trigger returns; streams are told before the server waits for them."""
    app = Flask(__name__)
    trigger = asyncio.Event()

    @app.get("/")
    async def index() -> Any:
        async def stream() -> Any:
            yield f"{request.scheme} "
            trigger.set()
            await app.draining.wait()
            yield "end"

        return stream()

    options: dict[str, Any] = {}
    verify: Any = True
    if secure:
        options = {"certfile": str(CERTIFICATE), "keyfile": str(KEY)}
        verify = ssl.create_default_context(cafile=CERTIFICATE)
        verify.check_hostname = False
    serving = asyncio.create_task(
        app.run_task(port=0, debug=False, shutdown_trigger=trigger.wait, **options)
    )
    url = await address(capsys)
    async with httpx.AsyncClient(verify=verify) as client:
        response = await client.get(url)
    assert response.text == f"{'https' if secure else 'http'} end"
    async with asyncio.timeout(20):
        await serving


@pytest.mark.parametrize("has_trigger", [False, True])
async def test_it_ends_with_its_task(has_trigger: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """A trigger that never comes is not waited for; there need not be one."""
    app = Flask(__name__)
    app.get("/")(lambda: "index")
    trigger = asyncio.Event().wait if has_trigger else None
    serving = asyncio.create_task(app.run_task(port=0, shutdown_trigger=trigger))
    url = await address(capsys)
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).text == "index"
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert [task for task in asyncio.all_tasks() if "stop_when" in repr(task)] == []


async def test_clients_can_be_asked_for_certificates(capsys: pytest.CaptureFixture[str]) -> None:
    """Who shows none is not served."""
    app = Flask(__name__)
    trigger = asyncio.Event()
    serving = asyncio.create_task(
        app.run_task(
            port=0,
            ca_certs=str(CERTIFICATE),
            certfile=str(CERTIFICATE),
            keyfile=str(KEY),
            shutdown_trigger=trigger.wait,
        )
    )
    url = await address(capsys)
    verify = ssl.create_default_context(cafile=CERTIFICATE)
    verify.check_hostname = False
    async with httpx.AsyncClient(verify=verify) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(url)
    trigger.set()
    async with asyncio.timeout(20):
        await serving


async def test_what_cannot_be_served_is_refused() -> None:
    """As by `app.run()`."""
    app = Flask(__name__)
    with pytest.raises(SystemExit, match="Debug mode is refused"):
        await app.run_task("0.0.0.0", debug=True)
    with pytest.raises(TypeError, match="Did you mean 'reload'"):
        await app.run_task(relaod=True)
    with pytest.raises(RuntimeError, match=r"await app\.run_task"):
        app.run(port=0, load_dotenv=False)
