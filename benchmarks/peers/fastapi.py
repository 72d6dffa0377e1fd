"""FastAPI, with Pydantic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, UploadFile, WebSocket
from fastapi.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware

from benchmarks.scenarios import CHUNK, CHUNKS, DATA, FEW_ROUTES, HOOKS, ROUTES, ROWS, SECRET


def plain_text() -> FastAPI:
    app = FastAPI()

    @app.get("/", response_class=PlainTextResponse)
    async def hello() -> str:
        return "Hello, World!"

    return app


def json() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def hello() -> dict[str, str]:
        return {"message": "Hello, World!"}

    return app


def path_text() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{id}", response_class=PlainTextResponse)
    async def item(id: int) -> str:
        return str(id + 1)

    return app


class Named(BaseModel):
    id: int
    name: str


def path_json() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{id}")
    async def item(id: int) -> Named:
        return Named(id=id, name="item")

    return app


def query() -> FastAPI:
    app = FastAPI()

    @app.get("/search", response_class=PlainTextResponse)
    async def search(q: str, page: int, order: str, tag: str) -> str:
        return f"{q} {page} {order} {tag}"

    return app


def json_echo() -> FastAPI:
    app = FastAPI()

    @app.post("/echo")
    async def echo(value: dict[str, Any]) -> dict[str, Any]:
        return value

    return app


class Item(BaseModel):
    name: str
    price: float
    quantity: int
    tags: list[str]


def model() -> FastAPI:
    app = FastAPI()

    @app.post("/items", response_class=PlainTextResponse)
    async def create(item: Item) -> str:
        return f"{item.name} {item.price * item.quantity} {len(item.tags)}"

    return app


def form() -> FastAPI:
    app = FastAPI()

    @app.post("/form", response_class=PlainTextResponse)
    async def submit(name: Annotated[str, Form()], email: Annotated[str, Form()]) -> str:
        return f"{name} {email}"

    return app


def template() -> FastAPI:
    app = FastAPI()
    templates = Jinja2Templates(directory=DATA / "templates")

    @app.get("/", response_class=HTMLResponse)
    async def table(request: Request) -> Any:
        return templates.TemplateResponse(
            request=request, name="table.html", context={"title": "Table", "rows": ROWS}
        )

    return app


def session() -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)

    @app.get("/", response_class=PlainTextResponse)
    async def count(request: Request) -> str:
        request.session["count"] = request.session.get("count", 0) + 1
        return str(request.session["count"])

    return app


def routes(count: int = ROUTES) -> FastAPI:
    app = FastAPI()

    async def resource(id: int) -> str:
        return str(id)

    for number in range(count):
        app.get(f"/resource{number}/{{id}}", response_class=PlainTextResponse)(resource)
    return app


def few_routes() -> FastAPI:
    return routes(FEW_ROUTES)


def hooks() -> FastAPI:
    app = plain_text()

    async def hook(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    for _ in range(HOOKS):
        app.middleware("http")(hook)
    return app


def stream() -> FastAPI:
    app = FastAPI()

    async def generate() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    @app.get("/")
    async def chunks() -> StreamingResponse:
        return StreamingResponse(generate(), media_type="text/plain")

    return app


def threaded() -> FastAPI:
    app = FastAPI()

    @app.get("/", response_class=PlainTextResponse)
    def hello() -> str:
        return "Hello, World!"

    return app


def websocket() -> FastAPI:
    app = FastAPI()

    @app.websocket("/")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message)

    return app


def static() -> FastAPI:
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=DATA / "static"), name="static")
    return app


def upload() -> FastAPI:
    app = FastAPI()

    @app.post("/upload", response_class=PlainTextResponse)
    async def take(title: Annotated[str, Form()], file: UploadFile) -> str:
        return f"{title} {file.size}"

    return app
