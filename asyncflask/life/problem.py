"""The standard answer to an HTTP exception: a page, or RFC 9457 JSON where that is preferred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from asyncflask.ctx import current_connection

if TYPE_CHECKING:
    from asyncflask.app import Flask
    from asyncflask.ctx import ConnectionContext
    from asyncflask.messages.response import Response

PROBLEM_JSON = "application/problem+json"


def default_response(app: Flask, exc: HTTPException) -> Response:
    """Return the response that stands for ``exc`` where no error handler answers it."""
    if isinstance(exc, RequestRedirect):
        return app.redirect(exc.new_url, exc.code)
    connection = current_connection()
    scope: Any = None if connection is None else connection.scope
    # A subclass may make its response in a way of its own, and not call `__init__`.
    if type(exc).get_response is not HTTPException.get_response:
        return app.make_response(exc.get_response((scope or {}).get("wsgi.environ")))
    if exc.response is not None:
        return app.make_response(exc.response)
    headers = Headers(exc.get_headers(None, scope))
    if connection is None or not (app.config["PROBLEM_DETAILS"] and _prefers_json(connection)):
        response = app.response_class(exc.get_body(None, scope), headers=headers)
    else:
        headers.remove("Content-Type")
        problem = {
            "type": "about:blank",
            "title": exc.name,
            "status": exc.code,
            "detail": exc.description,
        }
        response = app.response_class(
            app.json.dumps(problem), headers=headers, content_type=PROBLEM_JSON
        )
    response.status_code = exc.code or 500
    return response


def _prefers_json(context: ConnectionContext) -> bool:
    accept = next((v for k, v in context.scope["headers"] if k == b"accept"), b"")
    if b"json" not in accept:  # browsers and tools that take anything get the page
        return False
    accepts = context.connection.accept_mimetypes
    json = max(accepts.quality(PROBLEM_JSON), accepts.quality("application/json"))
    return json > accepts["text/html"]
