"""The request: its attributes side by side with Flask's, and the one rule for its body."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import CombinedMultiDict, Headers, ImmutableMultiDict
from werkzeug.exceptions import (
    BadRequest,
    BadRequestKeyError,
    RequestEntityTooLarge,
    SecurityError,
    UnsupportedMediaType,
)

from asyncflask import Flask
from asyncflask.concurrency import Pending
from asyncflask.exceptions import MissingAwaitError
from asyncflask.messages.connection import RequestHeaders
from asyncflask.messages.forms import FileStorage, ReadyCombinedMultiDict, ReadyMultiDict
from asyncflask.messages.request import Request, SyncRequest

if TYPE_CHECKING:
    from typing import assert_type

    from werkzeug.datastructures import FileStorage as BaseFileStorage

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"
UPLOAD = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\ncontent\r\n--B--'
)

flask_app = flask.Flask(__name__)


def in_flask(path: str = "/", **options: Any) -> flask.ctx.RequestContext:
    """Return a Flask request context with the same Host as the requests here have."""
    options.setdefault("base_url", "http://example.org")
    return flask_app.test_request_context(path, **options)


class TestURL:
    @pytest.mark.parametrize("root", ["", "/api", "/é/v 1"])
    @pytest.mark.parametrize("path", ["/", "/users/1", "/é ü/%41", "//double", "/a;b=1,c"])
    @pytest.mark.parametrize("query", ["", "a=1&b=2&a=3", "q=%C3%A9+x&bad=%ff&z=%zz&e"])
    @pytest.mark.parametrize("host", ["example.org", "example.org:8080", "[::1]:80"])
    def test_its_parts_are_as_in_flask(self, make_request, root, path, query, host):
        """The same URL gives the same attributes, mounted or not."""
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": root.encode().decode("latin-1"),
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": query,
            "HTTP_HOST": host,
            "SERVER_NAME": "server",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
        }
        theirs = flask.Request(environ)
        ours = make_request(
            method="GET",
            headers={"Host": host},
            scope={"root_path": root, "path": root + path, "query_string": query.encode()},
        )
        for name in [
            "method",
            "path",
            "root_path",
            "script_root",
            "query_string",
            "args",
            "full_path",
            "url",
            "base_url",
            "root_url",
            "url_root",
            "host",
            "host_url",
            "scheme",
            "is_secure",
            "values",
        ]:
            assert getattr(ours, name) == getattr(theirs, name), name
        assert repr(ours) == repr(theirs)

    @pytest.mark.parametrize(
        ("root_path", "path", "expected"),
        [
            ("/api/", "/api/x", "/x"),
            ("/api", "/api", "/"),
            ("/api", "/apis", "/apis"),
            ("/api", "/x", "/x"),
            ("/", "/x", "/x"),
        ],
    )
    def test_the_root_path_is_taken_off_where_it_is_one(
        self, make_request, root_path, path, expected
    ):
        """Servers that leave it out of the path are understood too."""
        request = make_request(scope={"root_path": root_path, "path": path})
        assert request.path == expected

    def test_a_query_that_is_not_utf8_is_escaped(self, make_request):
        """A raw byte means what its escape means; Flask answers 500."""
        request = make_request(scope={"query_string": b"a=\xff"})
        assert request.args["a"] == "%FF"
        assert request.full_path == "/?a=%FF"

    def test_args_are_of_the_class_that_is_asked_for(self, make_request):
        """``parameter_storage_class`` is Werkzeug's setting."""

        class Custom(Request):
            parameter_storage_class = type("Mine", (ImmutableMultiDict,), {})

        request = make_request(request_class=Custom, scope={"query_string": b"a=1"})
        assert type(request.args).__name__ == "Mine"
        assert request.args.get("a", type=int) == 1
        with pytest.raises(BadRequestKeyError):
            request.args["missing"]

    def test_scheme_and_peers_come_from_the_server(self, make_request):
        """Websocket and https URLs are secure or not; addresses may be unknown."""
        scope = {"scheme": "https", "server": ["10.0.0.1", 8000], "client": ["10.0.0.2", 1234]}
        request = make_request(scope=scope | {"http_version": "2"})
        assert (request.scheme, request.is_secure, request.http_version) == ("https", True, "2")
        assert request.server == ("10.0.0.1", 8000)
        assert request.remote_addr == "10.0.0.2"
        assert request.access_route == ["10.0.0.2"]
        unknown = make_request(scope={"client": None, "server": None})
        assert unknown.remote_addr is unknown.server is None
        assert unknown.http_version == "1.1"

    @pytest.mark.parametrize(
        ("server", "host"), [(("h", 80), "h"), (("::1", 81), "[::1]:81"), (("/sock", None), "")]
    )
    def test_http_1_0_needs_no_host(self, make_request, server, host):
        """Without a Host header the server's address stands in."""
        request = make_request(scope={"headers": iter([]), "server": server})
        assert request.host == host
        assert request.url == f"http://{host}/"

    def test_only_trusted_hosts_are_answered(self, make_request, app):
        """``TRUSTED_HOSTS`` counts at the access; a request can have its own."""
        assert make_request().trusted_hosts is None
        app.config["TRUSTED_HOSTS"] = [".example.org"]
        assert make_request().host == "example.org"
        request = make_request(headers={"Host": "evil.example"})
        with pytest.raises(SecurityError):
            _ = request.host
        with pytest.raises(SecurityError):
            _ = request.url
        assert "invalid URL" in repr(request)
        other = make_request(headers={"Host": "evil.example"})
        other.trusted_hosts = ["evil.example"]
        assert other.host_url == "http://evil.example/"

    def test_a_lower_case_method_is_raised(self, make_request):
        """As in Werkzeug."""
        assert make_request(method="patch").method == "PATCH"


class TestHeaders:
    raw = ((b"host", b"a.org"), (b"x-many", b"1"), (b"etag", b"\xe9"), (b"x-many", b"2"))

    @pytest.fixture
    def headers(self):
        return RequestHeaders(list(self.raw))

    def test_they_are_as_in_flask(self, make_request):
        """The same names in the same case, looked up in any."""
        sent = {"X-Forwarded-For": "1.1.1.1, 2.2.2.2", "x-3d-ETAG": "x", "Accept": "*/*"}
        with in_flask(headers=sent) as context:
            theirs = context.request.headers
            ours = make_request(headers=sent).headers
            assert sorted(ours) == sorted(theirs)
            for name in ("host", "HOST", "x-forwarded-for", "X-3D-Etag"):
                assert ours[name] == theirs[name]
                assert ours.get(name) == theirs.get(name)
            with pytest.raises(KeyError):
                theirs["missing"]
            with pytest.raises(BadRequestKeyError):
                ours["missing"]

    def test_all_of_werkzeugs_reading_works(self, headers):
        """Look-ups by name, by position and by slice, with types and defaults."""
        assert headers["X-MANY"] == "1"
        assert headers.getlist("x-Many") == ["1", "2"]
        assert headers.getlist("x-many", type=int) == [1, 2]
        assert headers.get("x-many", type=int) == 1
        assert headers.get("host", -1, int) == -1
        assert headers.get("nöne☃") is None
        assert headers.get("none", "x") == "x"
        assert "ETag" in headers
        assert "x-none" not in headers
        assert headers[0] == ("Host", "a.org")
        assert list(headers[1:3]) == [("X-Many", "1"), ("Etag", "é")]
        assert len(headers) == len(list(headers)) == 4
        assert list(headers.keys()) == ["Host", "X-Many", "Etag", "X-Many"]
        assert headers == RequestHeaders(list(self.raw))

    def test_they_can_be_changed(self, headers):
        """As Quart's: every way of asking sees it, and the scope does not. So can a copy be."""
        headers["X-New"] = "é"
        headers.add("X-Many", "3")
        del headers["Host"]
        headers.setdefault("X-New", "other")
        assert (headers["x-new"], headers.get("Host"), "host" in headers) == ("é", None, False)
        assert headers.getlist("X-Many") == ["1", "2", "3"]
        assert headers.pop("X-New") == "é"
        assert len(headers) == len(list(headers)) == 4
        headers.clear()
        assert (list(headers), len(headers), "etag" in headers) == ([], 0, False)

    def test_a_copy_is_its_own(self, headers):
        """Of the kind that responses have."""
        copy = headers.copy()
        assert type(copy) is Headers
        copy["X-New"] = "1"
        assert "X-New" not in headers
        assert (headers | {"X-Other": "1"})["x-other"] == "1"

    def test_what_werkzeug_makes_of_them_is_there(self, make_request):
        """Each attribute is what Flask's request has for the same headers."""
        sent = {
            "Accept": "text/html;q=0.5, application/json",
            "Accept-Charset": "utf-8",
            "Accept-Encoding": "gzip, br;q=0.1",
            "Accept-Language": "de, en;q=0.5",
            "Access-Control-Request-Headers": "x-a, x-b",
            "Access-Control-Request-Method": "PUT",
            "Authorization": "Basic dXNlcjpwYXNz",
            "Cache-Control": "no-cache, max-age=5",
            "Content-Encoding": "gzip",
            "Content-MD5": "abc",
            "Cookie": 'a=1; b="x y"; a=2',
            "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
            "If-Match": '"a", "b"',
            "If-Modified-Since": "Wed, 21 Oct 2015 07:28:00 GMT",
            "If-None-Match": 'W/"a"',
            "If-Range": '"a"',
            "If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT",
            "Max-Forwards": "5",
            "Origin": "https://example.org",
            "Pragma": "no-cache",
            "Range": "bytes=0-9",
            "Referer": "https://example.org/x",
            "User-Agent": "test/1.0",
            "X-Forwarded-For": "1.1.1.1, 2.2.2.2",
        }
        content_type = "application/problem+JSON; charset=utf-8"
        ours = make_request(headers=sent, content_type=content_type)
        with in_flask(method="POST", headers=sent, content_type=content_type) as context:
            theirs = context.request
            for name in [
                "accept_charsets",
                "accept_encodings",
                "accept_languages",
                "accept_mimetypes",
                "access_route",
                "access_control_request_headers",
                "access_control_request_method",
                "cache_control",
                "content_encoding",
                "content_md5",
                "content_type",
                "cookies",
                "date",
                "is_json",
                "if_modified_since",
                "if_unmodified_since",
                "max_forwards",
                "mimetype",
                "mimetype_params",
                "origin",
                "pragma",
                "referrer",
            ]:
                assert getattr(ours, name) == getattr(theirs, name), name
            for name in [
                "authorization",
                "if_match",
                "if_none_match",
                "if_range",
                "range",
                "user_agent",
            ]:
                assert str(getattr(ours, name)) == str(getattr(theirs, name)), name
        assert ours.date == datetime(2015, 10, 21, 7, 28, tzinfo=UTC)
        assert ours.authorization.password == "pass"
        assert ours.accept_mimetypes.best == "application/json"
        assert ours.cookies.getlist("a") == ["1", "2"]

    @pytest.mark.parametrize("value", [None, "12", "0", "-1", "abc", "1_0", " 3 "])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_the_declared_size_is_as_in_flask(self, make_request, value, chunked):
        """A size that is none is 0; with chunks there is none to know."""
        sent = {"Transfer-Encoding": "chunked"} if chunked else {}
        environ = {"HTTP_TRANSFER_ENCODING": "chunked"} if chunked else {}
        if value is not None:
            sent["Content-Length"] = environ["CONTENT_LENGTH"] = value
        assert make_request(headers=sent).content_length == flask.Request(environ).content_length

    def test_cookies_in_several_headers_are_joined(self, make_request):
        """HTTP/2 clients may send each cookie in its own header."""
        headers = [(b"cookie", b"a=1"), (b"cookie", b"b=2")]
        assert make_request(scope={"headers": headers}).cookies.to_dict() == {
            "a": "1",
            "b": "2",
        }

    def test_an_environ_can_be_had(self, make_request):
        """Code that reads WSGI keys finds what Flask's request has."""
        sent = {"X-A": "1", "Content-Length": "3", "Cookie": "a=1"}
        with in_flask(
            "/é/x?q=%20",
            method="POST",
            base_url="http://example.org/roöt",
            headers=sent,
            data=b"abc",
            content_type="text/plain",
            environ_base={"REMOTE_ADDR": "10.0.0.2", "REMOTE_PORT": "1234"},
        ) as context:
            theirs = context.request.environ
        ours = make_request(
            headers=sent,
            content_type="text/plain",
            scope={
                "root_path": "/roöt",
                "path": "/roöt/é/x",
                "query_string": b"q=%20",
                "client": ("10.0.0.2", 1234),
                "server": ("example.org", 80),
            },
        ).environ
        assert isinstance(ours.pop("werkzeug.request"), Request)
        threads = [ours.pop("wsgi.multithread"), theirs["wsgi.multithread"]]
        assert threads == [True, False]
        assert ours == {key: theirs[key] for key in ours}

    def test_an_environ_takes_no_forged_names(self, make_request):
        """A name with an underscore would pass for one with a hyphen."""
        headers = [(b"x_user", b"evil"), (b"x-a", b"1"), (b"x-a", b"2")]
        headers += [(b"cookie", b"a=1"), (b"cookie", b"b=2")]
        environ = make_request(scope={"headers": headers, "server": ("/sock", None)}).environ
        assert {k: v for k, v in environ.items() if k.startswith("HTTP_")} == {
            "HTTP_X_A": "1,2",
            "HTTP_COOKIE": "a=1; b=2",
        }
        assert environ["SERVER_PORT"] == "0"
        assert "REMOTE_ADDR" not in environ


class TestMatch:
    def test_it_comes_from_the_scope(self, make_request):
        """The rule that was matched and what it says, as Flask names them."""
        rule = SimpleNamespace(endpoint="site.admin.users", rule="/users/<int:id>")
        scope = {"route": SimpleNamespace(rule=rule), "path_params": {"id": 5}}
        request = make_request(scope=scope)
        assert request.url_rule is rule
        assert request.endpoint == "site.admin.users"
        assert request.blueprint == "site.admin"
        assert request.blueprints == ["site.admin", "site"]
        assert request.view_args == {"id": 5}
        request.view_args = {"id": 6}
        assert request.view_args == {"id": 6}
        assert request.routing_exception is None
        request.routing_exception = BadRequest()

    @pytest.mark.parametrize("scope", [{}, {"route": object(), "path_params": {"path": "x"}}])
    def test_without_a_rule_there_is_none(self, make_request, scope):
        """Nothing was matched, or only a route of somebody else's that we are mounted at."""
        request = make_request(scope=scope)
        assert request.url_rule is request.endpoint is request.view_args is None
        assert request.blueprint is None
        assert request.blueprints == []

    def test_an_endpoint_outside_of_blueprints_has_none(self, make_request):
        """A plain endpoint belongs to the application."""
        route = SimpleNamespace(rule=SimpleNamespace(endpoint="index"))
        request = make_request(scope={"route": route})
        assert request.blueprint is None


class TestOneRule:
    """What needs the body is awaited in ``async def`` code, and plain in ``def`` code."""

    names = ("form", "files", "values", "data", "json")

    async def test_async_code_awaits(self, make_request):
        """Every one of them is an awaitable, and says so when the ``await`` is missing."""
        request = make_request(b"{}", content_type="application/json")
        for name in self.names:
            pending = getattr(request, name)
            assert isinstance(pending, Pending)
            with pytest.raises(MissingAwaitError, match=rf"await request\.{name}"):
                bool(pending)
        assert await request.json == await request.get_json() == {}
        assert await request.get_data() == await request.data == b"{}"
        assert await request.get_data(as_text=True) == "{}"
        assert await request.form == await request.files == {}
        assert len(await request.values) == 0

    async def test_def_code_gets_values(self, make_request):
        """In a worker thread the loop does the reading while the thread waits."""

        def view(request):
            values = {name: getattr(request, name) for name in self.names[:3]}
            assert not any(isinstance(value, Pending) for value in values.values())
            assert request.form["a"] == request.values["a"] == "1"
            return request.files["f"].read(), request.data, request.get_data()

        request = make_request(UPLOAD, content_type=MULTIPART, loop=asyncio.get_running_loop())
        assert await asyncio.to_thread(view, request) == (b"content", b"", b"")
        request.close()

    async def test_def_code_gets_json(self, make_request):
        """``request.json["x"]`` as in Flask."""

        def view(request):
            return (
                request.json["a"],
                request.get_json(),
                request.data,
                request.get_data(as_text=True),
            )

        loop = asyncio.get_running_loop()
        request = make_request(b'{"a":1}', content_type="application/json", loop=loop)
        expected = (1, {"a": 1}, b'{"a":1}', '{"a":1}')
        assert await asyncio.to_thread(view, request) == expected

    def test_without_a_loop_a_request_made_by_hand_is_read(self, make_request):
        """``with app.test_request_context(data=...)`` in a ``def`` test."""
        request = make_request(b"a=1", content_type=URLENCODED)
        assert request.form["a"] == "1"
        upload = make_request(UPLOAD, content_type=MULTIPART)
        assert upload.files["f"].read() == b"content"
        upload.close()

    async def test_what_was_read_is_a_value_everywhere(self, make_request):
        """Templates and helpers use it with and without ``await``."""
        request = make_request(UPLOAD, content_type=MULTIPART)
        assert request.form_reader is None
        await request.form
        assert request.form["a"] == "1"
        assert await request.form is request.form
        assert request.files["f"].filename == "f.txt"
        assert await request.files is request.files
        raw = make_request(b"raw")
        await raw.get_data()
        assert raw.data.upper() == b"RAW"
        assert await raw.data == b"raw"
        request.close()

    def test_there_is_one_class_at_run_time(self):
        """The two names are for type checkers."""
        assert SyncRequest is Request

    async def test_the_types_tell_the_two_apart(self, make_request):
        """``await`` has the type that ``def`` code sees without."""
        if TYPE_CHECKING:
            request: Request = make_request()
            assert_type(await request.form, ReadyMultiDict[str, str])
            assert_type((await request.files)["f"], FileStorage)
            assert_type(await (await request.files)["f"].save("x"), None)
            assert_type(await request.values, ReadyCombinedMultiDict[str, str])
            assert_type(await request.data, bytes)
            assert_type(await request.get_data(), bytes)
            assert_type(await request.get_data(as_text=True), str)
            assert_type(request.method, str)
            sync: SyncRequest = make_request()
            assert_type(sync.form, ImmutableMultiDict[str, str])
            assert_type(sync.files["f"], BaseFileStorage)
            assert_type(sync.values, CombinedMultiDict[str, str])
            assert_type(sync.get_data(as_text=True), str)


class TestData:
    @pytest.mark.parametrize("content_type", [None, "text/plain", "application/json"])
    def test_it_is_the_body(self, make_request, content_type):
        """As Flask's: bytes, or text when asked for."""
        with in_flask(method="POST", data=b"\xc3\xa9\xff", content_type=content_type) as context:
            theirs = context.request
            ours = make_request(b"\xc3\xa9\xff", content_type=content_type)
            assert ours.get_data(as_text=True) == theirs.get_data(as_text=True) == "é�"
            assert ours.data == theirs.data
            assert ours.get_data() == ours.get_data(cache=False) == theirs.get_data()
            assert ours.form == theirs.form

    @pytest.mark.parametrize(("data", "content_type"), [(b"a=1", URLENCODED), (UPLOAD, MULTIPART)])
    @pytest.mark.parametrize("first", ["get_data", "data", "form", "parse"])
    def test_with_a_form_it_depends_on_what_comes_first(
        self, make_request, data, content_type, first
    ):
        """As in Flask: bytes that were asked for first stay, a form that was parsed leaves none."""

        def read(request):
            if first == "get_data":
                request.get_data()
            elif first == "parse":
                assert request.get_data(parse_form_data=True) == b""
            else:
                _ = getattr(request, first)
            return request.data, request.form["a"]

        ours = make_request(data, content_type=content_type)
        with in_flask(method="POST", data=data, content_type=content_type) as context:
            expected = (data if first == "get_data" else b"", "1")
            assert read(ours) == read(context.request) == expected
        ours.close()

    def test_the_bytes_of_a_parsed_form_can_be_had(self, make_request):
        """Flask gives nothing; those of a multipart form were never kept."""
        urlencoded = make_request(b"a=1", content_type=URLENCODED)
        assert urlencoded.form["a"] == "1"
        assert urlencoded.get_data() == b"a=1"
        multipart = make_request(UPLOAD, content_type=MULTIPART)
        assert multipart.form["a"] == "1"
        assert multipart.get_data() == b""
        multipart.close()

    async def test_uncached_data_is_not_kept_for_data(self, make_request):
        """``cache=False`` leaves :attr:`data` to the form."""
        request = make_request(b"a=1", content_type=URLENCODED)
        assert await request.get_data(cache=False) == b"a=1"
        assert await request.data == b""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
    def test_values_are_args_and_form(self, make_request, method):
        """A form in a GET or HEAD is left out (in a HEAD, Flask takes it)."""
        request = make_request(
            b"a=2&b=3", method=method, content_type=URLENCODED, scope={"query_string": b"a=1"}
        )
        with in_flask("/?a=1", method=method, data=b"a=2&b=3", content_type=URLENCODED) as context:
            if method != "HEAD":
                assert request.values == context.request.values
        expected = [("a", "1"), ("a", "2"), ("b", "3")]
        values = list(request.values.items(multi=True))
        assert values == (expected[:1] if method in {"GET", "HEAD"} else expected)


class TestJSON:
    @pytest.mark.parametrize(
        "content_type", ["application/json", "application/vnd.api+json; charset=utf-8"]
    )
    async def test_it_is_loaded_and_kept(self, make_request, content_type):
        """The same object comes at each call, unless it is not to be kept."""
        request = make_request(b'{"a": [1, null]}', content_type=content_type)
        value = await request.get_json()
        assert value == {"a": [1, None]}
        assert await request.json is await request.get_json(silent=True) is value
        assert await request.get_json(cache=False) is not value
        assert await request.get_json() is value

    @pytest.mark.parametrize("content_type", [None, "text/plain", URLENCODED])
    async def test_another_type_gets_415_unread(self, make_request, make_wire, content_type):
        """The body is not received for it."""
        wire = make_wire(b"{}")
        request = make_request(wire=wire, content_type=content_type)
        with pytest.raises(UnsupportedMediaType, match="Content-Type was not 'application/json'"):
            await request.json
        assert await request.get_json(silent=True) is None
        assert wire.calls == 0
        assert await request.get_json(force=True) == {}

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"{'a': 1}", b"[NaN]", b"[Infinity]", b"\xff", b"1 2", b"[" * 100_000],
        ids=["empty", "open", "quotes", "nan", "infinity", "utf8", "rest", "deep"],
    )
    @pytest.mark.parametrize("debug", [False, True])
    async def test_what_is_no_json_gets_400(self, make_request, app, data, debug):
        """With the details in debug mode only; silent, it is None."""
        app.debug = debug
        request = make_request(data, content_type="application/json")
        for _ in range(2):
            with pytest.raises(BadRequest) as caught:
                await request.json
            if debug:
                assert caught.value.description.startswith("Failed to decode JSON object: ")
            else:
                assert caught.value.description == "The request body is not valid JSON."
        assert await request.get_json(silent=True) is None
        assert await request.get_json(silent=True, cache=False) is None

    async def test_nesting_too_deep_for_the_provider_gets_400(self, make_request, app):
        """A provider that runs out of stack is not a server error."""

        def loads(data):
            raise RecursionError

        app.json, app.debug = SimpleNamespace(loads=loads), True
        with pytest.raises(BadRequest, match="nested too deeply"):
            await make_request(b"[]", content_type="application/json").json

    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_the_answer_to_a_failure_can_be_replaced(self, make_request, asynchronous):
        """By a ``def`` or ``async def`` method; what it returns is kept as in Flask."""
        calls = []

        class Custom(Request):
            def on_json_loading_failed(self, e):
                calls.append(e)

                async def value():
                    return "instead"

                return value() if asynchronous else "instead"

        request = make_request(b"{", content_type="application/json", request_class=Custom)
        assert await request.json == await request.json == "instead"
        assert len(calls) == 1
        assert isinstance(calls[0], ValueError)
        assert await make_request(request_class=Custom).json == "instead"
        assert calls[1] is None

    async def test_its_size_can_be_limited_by_itself(self, make_request, app):
        """``MAX_JSON_LENGTH`` counts for JSON, not for the body; silence does not help."""
        app.config["MAX_JSON_LENGTH"] = 5
        assert await make_request(b"[1,2]", content_type="application/json").json == [1, 2]
        request = make_request(b"[1,2,3]", content_type="application/json")
        with pytest.raises(RequestEntityTooLarge, match="5 bytes"):
            await request.get_json(silent=True)
        assert await request.get_data() == b"[1,2,3]"

    @given(st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=5))
    def test_any_value_comes_as_it_was_sent(self, value):
        """What ``json.dumps`` writes is what is loaded, in a request without an event loop."""
        from asyncflask.config import DEFAULT_CONFIG
        from asyncflask.json.provider import DefaultJSONProvider

        async def receive():
            return {"type": "http.request", "body": json.dumps(value).encode()}

        app = SimpleNamespace(config=DEFAULT_CONFIG, json=DefaultJSONProvider(None), debug=False)
        scope = {"type": "http", "path": "/", "headers": [(b"content-type", b"application/json")]}
        assert Request(scope, receive, app=app).json == value


class TestLimits:
    @pytest.mark.parametrize(
        ("key", "attribute"),
        [
            ("MAX_CONTENT_LENGTH", "max_content_length"),
            ("MAX_FORM_MEMORY_SIZE", "max_form_memory_size"),
            ("MAX_FORM_PARTS", "max_form_parts"),
        ],
    )
    async def test_a_request_can_have_its_own(self, make_request, app, key, attribute):
        """They come from the config; a view may set others, and None for no limit at all."""
        app.config[key] = 2

        def request():
            return make_request(b"a=1&b=2&c=3", content_type=URLENCODED)

        assert getattr(request(), attribute) == 2
        with pytest.raises(RequestEntityTooLarge):
            await request().form
        for limit in (50, None):
            other = request()
            setattr(other, attribute, limit)
            assert getattr(other, attribute) is limit
            assert (await other.form)["c"] == "3"

    async def test_the_bodys_can_be_changed_late(self, make_request, app):
        """Even after somebody looked at the body, before it is read."""
        app.config["MAX_CONTENT_LENGTH"] = 2
        request = make_request(b"123", headers={"Content-Length": "3"})
        assert request.body.limit == 2
        request.max_content_length = 3
        assert await request.body == b"123"

    async def test_a_declared_size_above_it_is_refused_unread(self, make_request, make_wire):
        """413 before the first ``receive()``, whoever asks; chunked bodies are counted."""
        wire = make_wire(b"1" * 10)
        for name in ("data", "form", "json"):
            headers = {"Content-Length": str(17 * 1024 * 1024)}
            content_type = "application/json" if name == "json" else MULTIPART
            request = make_request(wire=wire, headers=headers, content_type=content_type)
            with pytest.raises(RequestEntityTooLarge):
                await getattr(request, name)
        assert wire.calls == 0
        chunked = make_request(
            b"12", headers={"Content-Length": "9" * 9, "Transfer-Encoding": "chunked"}
        )
        assert await chunked.body == b"12"

    async def test_the_configured_form_limits_reach_the_parser(self, make_request, app):
        """Each of the finer ones is used."""
        for key in ("MAX_FORM_FILES", "MAX_FORM_PART_HEADERS", "MAX_FORM_PART_HEADER_SIZE"):
            before, app.config[key] = app.config[key], 0
            request = make_request(UPLOAD, content_type=MULTIPART)
            with pytest.raises(RequestEntityTooLarge):
                await request.form
            app.config[key] = before
        app.config["FORM_SPOOL_SIZE"] = 3
        request = make_request(UPLOAD, content_type=MULTIPART)
        assert (await request.files)["f"].stream._rolled
        request.close()

    async def test_the_time_is_configured(self, make_request, app, make_wire):
        """``BODY_TIMEOUT`` is the body's."""
        app.config["BODY_TIMEOUT"] = 0.01
        request = make_request(wire=make_wire(b"1", more=True))
        with pytest.raises(Exception, match=r"0\.01 seconds"):
            await request.body


class TestStream:
    async def test_def_code_reads_the_body_as_a_file(self, make_request):
        """As in Flask; it is one file, however often it is asked for."""

        def view(request):
            return request.stream.readline(), request.stream.read(2), list(request.stream)

        loop = asyncio.get_running_loop()
        request = make_request(b"one\ntw", b"o\nthree", loop=loop)
        assert await asyncio.to_thread(view, request) == (b"one\n", b"tw", [b"o\n", b"three"])

    def test_after_the_whole_it_has_the_whole(self, make_request):
        """Flask's is at its end then."""
        request = make_request(b"one")
        assert request.get_data() == request.stream.read() == b"one"

    def test_after_a_form_it_is_at_its_end(self, make_request):
        """As in Flask."""
        request = make_request(UPLOAD, content_type=MULTIPART)
        assert request.form["a"] == "1"
        assert request.stream.read() == b""
        request.close()

    async def test_async_code_is_told_what_to_write(self, make_request):
        """Reading it would block the loop."""
        with pytest.raises(RuntimeError, match=r"request\.body"):
            _ = make_request(b"one").stream

    async def test_async_code_iterates_over_the_body(self, make_request):
        """``async for chunk in request.body``."""
        request = make_request(b"one", b"two")
        assert [chunk async for chunk in request.body] == [b"one", b"two"]
        with pytest.raises(RuntimeError, match="already streamed"):
            await request.get_data()

    async def test_a_library_can_read_it(self, make_request):
        """It is a real binary file, for ``csv``, ``zipfile`` and the like."""

        def view(request):
            return io.TextIOWrapper(request.stream, encoding="utf-8").readlines()

        request = make_request("é\n".encode()[:1], "é\nb".encode()[1:])
        request.loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(view, request) == ["é\n", "b"]


class TestClose:
    async def test_it_closes_the_uploads(self, make_request):
        """Dispatch calls it when there is a ``form_reader``; without a form it does nothing."""
        request = make_request(UPLOAD, content_type=MULTIPART)
        request.close()
        file = (await request.files)["f"]
        assert request.form_reader is not None
        request.close()
        assert file.stream.closed


class TestCost:
    def test_making_one_computes_nothing(self, make_request):
        """Only the parameters are stored; the scope is not even read."""
        request = Request({}, app=None)
        assert set(vars(request)) == {"scope", "receive", "app", "loop"}

    def test_a_value_is_computed_once(self, make_request):
        """And may be replaced, as in Werkzeug."""
        request = make_request(scope={"query_string": b"a=1"})
        assert request.args is request.args
        assert request.headers is request.headers
        request.method = "PUT"
        assert request.method == "PUT"
        assert Request.args.__doc__.startswith("The parameters")


class TestWithoutAnApplication:
    """A request made by hand belongs to whichever context is active; Flask's does, too."""

    def test_limits(self):
        """Werkzeug's outside, the configuration's inside, and its own everywhere; side by side."""

        def limits(request, app):
            names = ("max_content_length", "max_form_memory_size", "max_form_parts")
            app.config.update(MAX_CONTENT_LENGTH=10, MAX_FORM_MEMORY_SIZE=20, MAX_FORM_PARTS=30)
            found = []
            for _ in range(2):
                found.append([getattr(request, name) for name in names])
                with app.app_context():
                    found.append([getattr(request, name) for name in names])
                for name, limit in zip(names, (90, 80, 70), strict=True):
                    setattr(request, name, limit)
            return found

        assert limits(Request({}), Flask("limits")) == limits(
            flask.Request({}), flask.Flask("limits")
        )
        assert Request.max_form_parts is None  # asked of the class, as tools do

    def test_json(self):
        """The provider is the current application's, and says more in its debug mode."""
        app = Flask("json")
        app.debug = True

        async def receive():
            return {"type": "http.request", "body": b"{"}

        def make():
            return Request({"headers": [(b"content-type", b"application/json")]}, receive)

        with pytest.raises(BadRequest, match="is not valid JSON"):
            make().get_json()
        with app.app_context(), pytest.raises(BadRequest, match="Failed to decode JSON object"):
            make().get_json()


@given(
    st.lists(
        st.lists(
            st.sampled_from(["sid", "sid2", "=", ";", " ", "\t", '"', "\\", "v", "\u00fc", "; "])
        ).map("".join),
        max_size=3,
    )
)
def test_one_cookie_is_found_as_all_cookies_have_it(headers: list[str]) -> None:
    """In any text, and in several headers."""
    raw = [(b"accept", b"*/*"), *((b"cookie", each.encode("latin-1")) for each in headers)]
    expected = Request({"type": "http", "headers": raw}).cookies.get("sid")
    assert Request({"type": "http", "headers": raw})._cookie("sid") == expected


def test_one_cookie_is_looked_for_where_all_of_them_are() -> None:
    """Where somebody has changed the headers or the cookies, or a class has its own."""
    scope = {"type": "http", "headers": [(b"cookie", b"sid=1")]}
    assert Request(scope)._cookie("sid") == "1"
    request = Request(scope)
    request.headers["Cookie"] = "sid=2"
    assert request._cookie("sid") == "2"
    request = Request(scope)
    request.cookies = ImmutableMultiDict({"sid": "3"})
    assert request._cookie("sid") == "3"

    class Own(Request):
        cookies = ImmutableMultiDict({"sid": "4"})  # type: ignore[assignment]

    assert Own(scope)._cookie("sid") == "4"
