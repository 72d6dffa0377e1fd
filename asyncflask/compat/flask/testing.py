"""The test client: Werkzeug's, through ``app.wsgi_app``, for plain ``def`` tests."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from werkzeug import test
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request as BaseRequest

from asyncflask.cli.runner import FlaskCliRunner as FlaskCliRunner
from asyncflask.compat.flask.globals import OUTER, outer_context
from asyncflask.ctx import current
from asyncflask.signals import appcontext_pushed
from asyncflask.testing.environ import EnvironBuilder as EnvironBuilder
from asyncflask.testing.kept import KeptContext
from asyncflask.wsgi.responding import PROPAGATE

if TYPE_CHECKING:
    from asyncflask.sessions import SessionMixin


def _share(_: Any) -> None:
    context: Any = current.get()
    outer = outer_context(context)
    if outer is not None:
        context._g = outer.g
        context.endpoint = replace(context.endpoint, teardown_appcontext=())


@cache
def _user_agent() -> str:
    return f"Werkzeug/{importlib.metadata.version('werkzeug')}"


class FlaskClient(Client):
    """Werkzeug's test client, with an application's defaults.

    In a ``with`` block ``request``, ``session`` and ``g`` of the last request can still be used.
    ``def`` functions run in the thread of the test; it must not be one where an event loop runs.

    :param args: and ``kwargs``: as for ``werkzeug.test.Client``.
    """

    application: Any  # the compatibility namespace's Flask

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.environ_base: dict[str, Any] = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": _user_agent(),
        }
        self.preserve_context = False
        #: What goes into the environ of each request besides.
        self._marks: dict[str, Any] = {PROPAGATE: True}
        self._kept = KeptContext(self.application, self._marks)

    def open(
        self,
        *args: Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: Any,
    ) -> TestResponse:
        """Make a request; the arguments are those of Werkzeug's client and of its builder.

        :param buffered: read the whole body and close the response.
        :param follow_redirects: the responses on the way are in ``response.history``.
        :returns: the response.
        :raises Exception: what left the application.
        """
        self._kept.release()
        with self._share_context():
            request = self._request_of(args, kwargs)
            response = super().open(request, buffered=buffered, follow_redirects=follow_redirects)
        response.json_module = self.application.json
        self._kept.push()
        return response

    def _request_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseRequest:
        first = args[0] if args else None
        if isinstance(first, test.EnvironBuilder):
            builder = copy(first)
            builder.environ_base = self._base(builder.environ_base)
            return builder.get_request()
        if isinstance(first, BaseRequest):
            request = copy(first)
            request.environ = self._base(request.environ)
            return request
        if isinstance(first, dict):
            builder = EnvironBuilder.from_environ(
                first, app=self.application, environ_base=self._base(None)
            )
        else:
            kwargs["environ_base"] = self._base(kwargs.get("environ_base"))
            builder = EnvironBuilder(self.application, *args, **kwargs)
        try:
            return builder.get_request()
        finally:
            builder.close()

    @contextmanager
    def _share_context(self) -> Iterator[None]:
        """Let requests in a block of ``with app.app_context():`` use that context's ``g``.

        Extensions that keep something for a context then keep it for that one, which the test sees,
        and the end of the block is the end of it. Flask does so up to 3.1.
        """
        outer = current.get(None)
        if outer is None or outer.app is not self.application:
            yield
            return
        self._marks[OUTER] = outer
        try:
            with appcontext_pushed.connected_to(_share, self.application):
                yield
        finally:
            self._marks.pop(OUTER, None)  # a redirect that was followed has done so

    def _base(self, environ: Any) -> dict[str, Any]:
        return {**self.environ_base, **(environ or {}), **self._marks}

    @contextmanager
    def session_transaction(self, *args: Any, **kwargs: Any) -> Iterator[SessionMixin]:
        """Open the session of this client, to read and change it; it is saved at the end.

        :param args: and ``kwargs``: of the request it is opened in, as for
            ``app.test_request_context``.
        :raises TypeError: the client has no cookies.
        :raises RuntimeError: the session interface gave none.
        """
        if self._cookies is None:
            raise TypeError(
                "Cookies are disabled, so there is no session. Make the client with "
                "'use_cookies=True'."
            )
        app = self.application
        builder = EnvironBuilder(app, *args, **kwargs)
        environ = builder.get_environ()
        builder.close()
        self._add_cookies_to_wsgi(environ)
        context = app.request_context(environ)
        interface = app.session_interface
        with context:
            session = app.ensure_sync(interface.open_session)(app, context.request)
        if session is None:
            raise RuntimeError(
                "Session backend did not open a session: its open_session() gave None."
            )
        yield session
        if interface.is_null_session(session):
            return
        response = app.response_class()
        with context:
            app.ensure_sync(interface.save_session)(app, session, response)
        host = context.request.host.partition(":")[0]
        cookies = response.headers.getlist("Set-Cookie")
        self._update_cookies_from_response(host, context.request.path, cookies)

    def __enter__(self) -> Self:
        self._kept.begin()
        self.preserve_context = True
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.preserve_context = False
        self._kept.end()
