"""Forms: urlencoded and multipart, compared with Werkzeug's parsers, and their limits."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import logging
import threading
from typing import Any
from urllib.parse import parse_qsl

import flask
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage as BaseFileStorage
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import BadRequest, BadRequestKeyError, RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartEncoder, Preamble

import asyncflask.sync
from asyncflask import Flask
from asyncflask.concurrency import Pending
from asyncflask.exceptions import MissingAwaitError
from asyncflask.messages.body import Body
from asyncflask.messages.forms import (
    FileStorage,
    FormLimits,
    FormReader,
    ReadyCombinedMultiDict,
    ReadyMultiDict,
    parse_urlencoded,
)

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
flask_app = flask.Flask(__name__)


def part(value: bytes, disposition: str = 'form-data; name="a"', *headers: str) -> bytes:
    """Return one part of a multipart body with the boundary ``B``."""
    lines = [f"Content-Disposition: {disposition}", *headers, "", ""]
    return b"--B\r\n" + "\r\n".join(lines).encode() + value + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    """Return a whole multipart body with the boundary ``B``."""
    return b"".join(parts) + b"--B--\r\n"


def upload(content: bytes, filename: str = "f.txt") -> bytes:
    return part(content, f'form-data; name="f"; filename="{filename}"')


FIELD = part(b"1")
#: No content, and no line break for it: that of the delimiter ends the headers (RFC 2046, 5.1.1).
EMPTY = part(b"")[:-2]


@pytest.fixture
def make_reader(make_wire):
    """Make a reader of a form; it is closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def make(
            *chunks: bytes,
            mimetype: str = MULTIPART,
            boundary: str = "B",
            wire=None,
            **limits: int | None,
        ) -> FormReader:
            body = Body(wire or make_wire(*chunks or (b"",)))
            reader = FormReader(body, mimetype, {"boundary": boundary}, FormLimits(**limits))
            stack.callback(reader.close)
            return reader

        yield make


def read_with_flask(data: bytes, content_type: str):
    """Return what Flask makes of the same form."""
    with flask_app.test_request_context(method="POST", data=data, content_type=content_type):
        request = flask.request
        files = [
            (key, file.name, file.filename, file.content_type, list(file.headers), file.read())
            for key, file in request.files.items(multi=True)
        ]
        return list(request.form.items(multi=True)), files


def as_plain(form: ReadyMultiDict, files: ReadyMultiDict):
    """Return a form of ours in the same shape."""
    return list(form.items(multi=True)), [
        (key, file.name, file.filename, file.content_type, list(file.headers), file.read())
        for key, file in files.items(multi=True)
    ]


class TestTwoReaders:
    """Two tasks of a view ask for the form while it arrives."""

    async def test_both_get_the_same_form(self, make_reader, make_wire):
        """Whoever is done first."""
        wire = make_wire(b"a=1&b", more=True)
        reader = make_reader(mimetype="application/x-www-form-urlencoded", wire=wire)
        reading = [asyncio.ensure_future(reader.read()) for _ in range(2)]
        await asyncio.sleep(0)
        wire.send(b"=2", more=False)
        (form, files), other = await asyncio.gather(*reading)
        assert form is other[0]
        assert files is other[1]
        assert list(form.items()) == [("a", "1"), ("b", "2")]

    async def test_both_get_the_same_failure(self, make_reader, make_wire):
        """The second, who waited for the first, does not read on."""
        wire = make_wire(b"--B\r\n", more=True)
        reader = make_reader(wire=wire)
        reading = [asyncio.ensure_future(reader.read()) for _ in range(2)]
        await asyncio.sleep(0)
        wire.send(b"nonsense", more=False)
        first, second = await asyncio.gather(*reading, return_exceptions=True)
        assert isinstance(first, BadRequest)
        assert first is second


class TestReadyMultiDict:
    async def test_it_is_a_value_and_can_be_awaited(self):
        """Templates and helpers use a form that was read, with or without ``await``."""
        form = ReadyMultiDict([("a", "1"), ("a", "2")])
        assert await form is form
        assert isinstance(form, ImmutableMultiDict)
        assert form.getlist("a") == ["1", "2"]
        values = ReadyCombinedMultiDict([form])
        assert await values is values
        assert values["a"] == "1"

    def test_a_missing_key_is_a_bad_request(self):
        """As in Flask, the client hears of a field it did not send."""
        with pytest.raises(BadRequestKeyError):
            ReadyMultiDict([])["missing"]


class TestUrlencoded:
    @given(st.text(alphabet="ab=&+%0fFé;\N{SNOWMAN} ", max_size=40))
    def test_it_is_split_as_by_the_standard_library(self, text):
        """Whatever the text, the pairs are those that Werkzeug gets."""
        expected = parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote")
        assert parse_urlencoded(text) == expected

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"a=1&b=2&a=3",
            b"a=&b&=c&&",
            b"a+b=c+d%20e",
            b"a=%C3%A9&b=\xc3\xa9",
            b"a=%ff%C3&b=%zz%",
            b"a;b=c;d",
        ],
    )
    async def test_it_is_read_as_in_flask(self, make_reader, data):
        """Blank values, escapes good and bad, and raw UTF-8."""
        form, files = await make_reader(data, mimetype=URLENCODED).read()
        assert as_plain(form, files) == read_with_flask(data, URLENCODED)

    async def test_what_is_not_utf8_is_refused(self, make_reader):
        """Flask gives an empty form; here the client hears where the fault is."""
        with pytest.raises(BadRequest, match="not valid UTF-8, at byte 2"):
            await make_reader(b"a=\xff", mimetype=URLENCODED).read()

    async def test_its_size_is_limited(self, make_reader):
        """Counted in bytes as they arrive."""
        await make_reader(b"a=12", b"34", mimetype=URLENCODED, memory=6).read()
        with pytest.raises(RequestEntityTooLarge, match="5 bytes"):
            await make_reader(b"a=12", b"34", mimetype=URLENCODED, memory=5).read()

    async def test_the_number_of_fields_is_limited(self, make_reader):
        """A flood of tiny fields is refused before it is split."""
        await make_reader(b"a=1&b=2", mimetype=URLENCODED, parts=2).read()
        with pytest.raises(RequestEntityTooLarge, match="more than the 2 fields"):
            await make_reader(b"a=1&b=2&c=3", mimetype=URLENCODED, parts=2).read()


class TestReader:
    async def test_other_types_are_no_forms(self, make_reader):
        """The body is not touched."""
        reader = make_reader(b"a=1", mimetype="text/plain")
        form, files = await reader.read()
        assert len(form) == len(files) == 0
        assert await reader.body == b"a=1"

    async def test_it_reads_once(self, make_reader):
        """However often, and however many at once, ask for it."""
        reader = make_reader(multipart(FIELD))
        one, two = await asyncio.gather(reader.read(), reader.read())
        assert one[0] is two[0] is (await reader.read())[0] is reader.form
        assert one[1] is two[1] is reader.files

    @pytest.mark.parametrize("mimetype", [MULTIPART, URLENCODED])
    async def test_a_failure_is_kept(self, make_reader, mimetype):
        """What is wrong with a form is wrong at the second look too."""
        reader = make_reader(b"\xff", mimetype=mimetype)
        with pytest.raises(BadRequest) as first:
            await reader.read()
        with pytest.raises(BadRequest) as second:
            await reader.read()
        assert first.value is second.value

    @pytest.mark.parametrize("mimetype", [MULTIPART, URLENCODED])
    async def test_a_body_that_was_streamed_is_no_form_any_more(self, make_reader, mimetype):
        """The error says so, where half a form would be called malformed."""
        reader = make_reader(b"--B", b"--", mimetype=mimetype)
        await reader.body.next_chunk()
        with pytest.raises(RuntimeError, match="already streamed"):
            await reader.read()

    async def test_a_body_that_was_read_whole_still_is_one(self, make_reader):
        """Asking for the bytes first, to check a signature, does not spoil the form."""
        reader = make_reader(multipart(FIELD)[:20], multipart(FIELD)[20:])
        assert await reader.body == multipart(FIELD)
        assert (await reader.read())[0]["a"] == "1"

    async def test_a_cancelled_reader_leaves_the_rest_to_the_next(self, make_wire, make_reader):
        """A time limit around ``request.form`` loses nothing."""
        data = multipart(FIELD, upload(b"content"))
        wire = make_wire(data[:60], more=True)
        reader = make_reader(wire=wire)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 0.01)
        wire.send(data[60:], more=False)
        form, files = await reader.read()
        assert form["a"] == "1"
        assert files["f"].read() == b"content"


class TestMultipart:
    @pytest.mark.parametrize(
        "data",
        [
            multipart(),
            multipart(FIELD, part(b"2", 'form-data; name="b"'), FIELD),
            multipart(part(b"")),
            multipart(part(b"\r\n--Bx is not the boundary\r\n-")),
            multipart(part("é".encode(), 'form-data; name="é"')),
            multipart(part(b"\xff\xfe")),
            multipart(
                part(b"\xe9", 'form-data; name="a"', "Content-Type: text/plain; charset=iso-8859-1")
            ),
            multipart(
                part(b"\xe9", 'form-data; name="a"', "Content-Type: text/plain; charset=utf-7")
            ),
            multipart(part(b"1", 'form-data; name="a\\"b"')),
            multipart(part(b"1", "form-data; name=a")),
            multipart(part(b"1", 'form-data; name=""')),
            multipart(upload(b"content")),
            multipart(upload(b"")),
            multipart(upload(b"", filename="")),
            multipart(EMPTY),
            multipart(EMPTY, FIELD, EMPTY, upload(b"\r\n"), EMPTY, EMPTY),
            multipart(upload(b"x", filename="../../etc/passwd")),
            multipart(upload(b"x", filename="C:\\temp\\a.txt")),
            multipart(upload(b"x", filename='a\\"b;c.txt')),
            multipart(upload(b"x", filename="żółć.txt")),
            multipart(part(b"x", "form-data; name=f; filename*=UTF-8''%e2%82%ac%20rates.txt")),
            multipart(part(b"x", "form-data; name=f; filename=a; filename*=UTF-8''b.txt")),
            multipart(
                part(
                    b"{}",
                    'form-data; name="f"; filename="a.json"',
                    "Content-Type: application/json; charset=utf-8",
                    "Content-Length: 2",
                    "X-Other:  spaced  ",
                )
            ),
            multipart(FIELD) + b"epilogue",
            b"\r\n" + multipart(FIELD),
        ],
    )
    async def test_it_is_read_as_in_flask(self, make_reader, data):
        """Names, values, charsets, file names and headers, at once and byte by byte."""
        content_type = f"{MULTIPART}; boundary=B"
        expected = read_with_flask(data, content_type)
        assert as_plain(*await make_reader(data).read()) == expected
        by_byte = make_reader(*(data[i : i + 1] for i in range(len(data))), spool=1)
        assert as_plain(*await by_byte.read()) == expected

    @given(data=st.data())
    def test_any_form_in_any_division_is_read_as_by_werkzeug(self, data):
        """What Werkzeug's encoder writes comes out the same, in memory and on disk."""
        names = st.text(alphabet="abcé 1", min_size=1, max_size=5)
        content = st.binary(max_size=30) | st.sampled_from(
            [
                b"\r\n",
                b"\r\n--",
                b"\r\n--B",
                b"--B--",
                b"\r\n--Bx",
                b"-\r\n-",
                b"\r",
                b"\r\r\n--B",
                b"\r\n\r\n",
                b"\r\n\r\n--B",
                b"\r\n\r\n\r\n--BOUNDAR",
            ]
        )
        parts = data.draw(st.lists(st.tuples(names, st.none() | names, content), max_size=5))
        encoder = MultipartEncoder(b"BOUNDARY")
        encoded = encoder.send_event(Preamble(b""))
        for name, filename, value in parts:
            headers = BaseFileStorage().headers
            event = Field(name, headers) if filename is None else File(name, filename, headers)
            encoded += encoder.send_event(event)
            encoded += encoder.send_event(Data(value, more_data=False))
        encoded += encoder.send_event(Epilogue(b""))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=8)))
        chunks = [encoded[i:j] for i, j in zip([0, *cuts], [*cuts, len(encoded)], strict=True)]
        spool = data.draw(st.sampled_from([0, 5, 1000]))

        async def read():
            left = iter(chunks)

            async def receive():
                chunk = next(left, None)
                return {"type": "http.request", "body": chunk, "more_body": chunk is not None}

            parameters = {"boundary": "BOUNDARY"}
            reader = FormReader(Body(receive), MULTIPART, parameters, FormLimits(spool=spool))
            try:
                return as_plain(*await reader.read())
            finally:
                reader.close()

        expected = read_with_flask(encoded, f"{MULTIPART}; boundary=BOUNDARY")
        assert asyncio.run(read()) == expected
        assert len(expected[0]) + len(expected[1]) == len(parts)

    @given(
        pieces=st.lists(
            st.sampled_from(
                [
                    *(b"\r\n", b"\r", b"\n", b"-", b"x", b"--B", b"--B\r\n", b"--B--", b"--Bx"),
                    *(b"X:\r\n", b"\r\n\r\n", EMPTY, EMPTY[5:], upload(b"")),
                ]
            ),
            max_size=12,
        ),
        cuts=st.lists(st.integers(0, 400), max_size=8),
    )
    @example(pieces=[b"--B\r\n", b"\r\n"], cuts=[len(EMPTY) + 5])
    @example(pieces=[b"--Bx", b"\r\n"], cuts=[])
    def test_how_a_body_arrives_does_not_change_what_is_read(self, pieces, cuts):
        """Also of bodies that nobody should send: the same form, or the same error."""
        body = b"".join([EMPTY, *pieces, b"\r\n--B--\r\n"])

        async def read(*chunks):
            left = iter(chunks)

            async def receive():
                chunk = next(left, None)
                return {"type": "http.request", "body": chunk, "more_body": chunk is not None}

            reader = FormReader(Body(receive), MULTIPART, {"boundary": "B"}, FormLimits())
            try:
                return as_plain(*await reader.read())
            except BadRequest:
                return "malformed"
            finally:
                reader.close()

        whole = asyncio.run(read(body))
        places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
        divided = (body[i:j] for i, j in itertools.pairwise(places))
        assert asyncio.run(read(*divided)) == whole
        assert asyncio.run(read(*(body[i : i + 1] for i in range(len(body))))) == whole

    async def test_an_empty_body_is_an_empty_form(self, make_reader):
        """Clients that name the type and send nothing are let through."""
        form, files = await make_reader(b"").read()
        assert len(form) == len(files) == 0

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (FIELD, "ends before its closing boundary"),
            (multipart(FIELD)[:-4], "ends before its closing boundary"),
            (b"\r\n", "ends before its closing boundary"),
            (b"no boundary at all", "Expected boundary character"),
            (b"--B\r\nno header\r\n\r\n", "invalid character"),
            (multipart(b"--B\r\nX-Other: 1\r\n\r\n1\r\n"), "no Content-Disposition"),
            (multipart(part(b"1", "form-data")), "no name"),
            (multipart(FIELD).replace(b"\r\n", b"\n"), "Did not find CR"),
            (b"preamble\r\n" + multipart(FIELD), "Expected boundary character"),
            (multipart(part(b"\r\n--B no data")), "after boundary padding"),
            (multipart(part(b"1", 'form-data; name="a\n"')), "header that cannot be read"),
            (
                b'--B\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--B--',
                "header that cannot be read",
            ),
        ],
    )
    async def test_what_is_malformed_is_refused_with_the_reason(
        self, make_reader, caplog, data, reason
    ):
        """Flask gives an empty form, or reads on. The log is not written to by clients."""
        with caplog.at_level(logging.DEBUG), pytest.raises(BadRequest, match=reason):
            await make_reader(data).read()
        assert not [record for record in caplog.records if record.name != "asyncio"]

    @pytest.mark.parametrize(
        ("boundary", "reason"),
        [("", "names no boundary"), ("é", "not a valid one"), ("B" * 300, "not a valid one")],
    )
    async def test_a_bad_boundary_is_refused(self, make_reader, boundary, reason):
        """Without a boundary nothing can be told apart."""
        with pytest.raises(BadRequest, match=reason):
            await make_reader(multipart(FIELD), boundary=boundary).read()


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "allowed", "refused", "reason"),
        [
            ({"parts": 2}, [FIELD] * 2, [FIELD] * 3, "2 parts"),
            ({"parts": 2}, [FIELD] * 2, [upload(b"")] * 3, "2 parts"),
            ({"files": 2}, [upload(b""), *[FIELD] * 9] * 2, [upload(b"")] * 3, "2 files"),
            # A field takes its name and its value.
            ({"memory": 20}, [part(b"x" * 19)], [part(b"x" * 20)], "20 bytes"),
            ({"memory": 20}, [part(b"x" * 9)] * 2, [part(b"x" * 9)] * 3, "20 bytes"),
            ({"memory": 20}, [upload(b"x" * 99)], [part(b"", f"form-data; name={'a' * 21}")], "20"),
            (
                {"headers": 2},
                [part(b"", "form-data; name=a", "X: 1")],
                [part(b"", "form-data; name=a", "X: 1", "Y: 2")],
                "2 headers in one part",
            ),
            (
                {"header_size": 60},
                [part(b"", "form-data; name=a", "X: " + "x" * 59)],
                [part(b"", "form-data; name=a", "X: " + "x" * 60)],
                "larger than the 60 bytes",
            ),
            (
                {"header_size": 60},
                [FIELD],
                [b"--B\r\n" + b"X" * 61 + b": 1"],
                "larger than the 60 bytes",
            ),
        ],
    )
    async def test_what_passes_one_is_refused(self, make_reader, limits, allowed, refused, reason):
        """The limit itself is allowed, one more gets a 413 that names the limit."""
        await make_reader(multipart(*allowed), **limits).read()
        with pytest.raises(RequestEntityTooLarge, match=reason):
            await make_reader(multipart(*refused), **limits).read()
        chunks = (multipart(*refused)[i : i + 7] for i in range(0, 9999, 7))
        with pytest.raises(RequestEntityTooLarge, match=reason):
            await make_reader(*chunks, **limits).read()

    async def test_a_field_is_refused_as_it_arrives(self, make_reader, make_wire):
        """What is too large is not read to its end."""
        wire = make_wire(FIELD, part(b"x" * 50), b"never read", more=True)
        with pytest.raises(RequestEntityTooLarge):
            await make_reader(wire=wire, memory=20).read()
        assert len(wire.messages) == 1


class TestFiles:
    def on_disk(self, file: FileStorage) -> bool:
        return file.stream._rolled

    async def test_a_small_one_stays_in_memory(self, make_reader):
        """Up to the limit no temporary file is made."""
        _, files = await make_reader(multipart(upload(b"x" * 10)), spool=10).read()
        assert not self.on_disk(files["f"])
        assert files["f"].read() == b"x" * 10

    async def test_a_large_one_goes_to_disk_off_the_loop(self, make_reader, monkeypatch):
        """The moving and every write after it happen in another thread."""
        threads = set()
        do_all = "asyncflask.messages.forms._do_all"

        def spy(work):
            threads.add(threading.current_thread())
            for do in work:
                do()

        monkeypatch.setattr(do_all, spy)
        content = bytes(range(256)) * 8
        data = multipart(upload(content), FIELD, upload(b"small"))
        chunks = [data[i : i + 100] for i in range(0, len(data), 100)]
        form, files = await make_reader(*chunks, spool=300).read()
        large, small = files.getlist("f")
        assert self.on_disk(large)
        assert large.read() == content
        assert not self.on_disk(small)
        assert small.read() == b"small"
        assert form["a"] == "1"
        assert threads
        assert threading.main_thread() not in threads

    def test_without_a_loop_it_is_written_here(self, make_reader):
        """A request made by hand in a ``def`` test has files too."""
        reader = make_reader(multipart(upload(b"x" * 99)), spool=10)
        with pytest.raises(StopIteration) as stop:
            reader.read().send(None)
        _, files = stop.value.value
        assert self.on_disk(files["f"])
        assert files["f"].read() == b"x" * 99

    async def test_a_disk_that_fails_is_an_error_each_time(self, make_reader, monkeypatch):
        """Half a file is never given out."""

        def full(work):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("asyncflask.messages.forms._do_all", full)
        reader = make_reader(multipart(upload(b"x" * 99)), spool=10)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                await reader.read()

    async def test_closing_closes_every_file(self, make_reader):
        """Temporary files do not outlive the request."""
        reader = make_reader(multipart(upload(b"x" * 99), upload(b"x")), spool=10)
        _, files = await reader.read()
        streams = [file.stream for file in files.getlist("f")]
        reader.close()
        reader.close()
        assert all(stream.closed for stream in streams)

    async def test_a_failure_closes_them_too(self, make_reader):
        """Nothing of a truncated form is kept."""
        reader = make_reader(upload(b"x" * 99), spool=10)
        with pytest.raises(BadRequest):
            await reader.read()
        (_, file), *_ = reader._multipart.files
        assert file.stream.closed

    @pytest.mark.parametrize("fails", [False, True])
    async def test_a_cancelled_write_goes_on_and_is_taken_up(self, make_reader, monkeypatch, fails):
        """Cancelling leaves at once; the next reader waits for the thread, or closing does."""
        may_go_on = threading.Event()

        def slow(work):
            may_go_on.wait(5)
            if fails:
                raise OSError(28, "No space left on device")
            for do in work:
                do()

        monkeypatch.setattr("asyncflask.messages.forms._do_all", slow)
        reader = make_reader(multipart(upload(b"x" * 99)), spool=10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 0.02)
        (_, file), *_ = reader._multipart.files
        if fails:
            reader.close()
            assert not file.stream.closed
            writing = reader._multipart._writing
            may_go_on.set()
            await asyncio.wait([writing])
            await asyncio.sleep(0)
            assert file.stream.closed
        else:
            may_go_on.set()
            _, files = await reader.read()
            assert files["f"].read() == b"x" * 99

    async def test_saving_is_awaited_in_async_code(self, make_reader, tmp_path):
        """The copy is made in a thread; forgetting the ``await`` is an error."""
        _, files = await make_reader(multipart(upload(b"content"))).read()
        saving = files["f"].save(tmp_path / "copy")
        assert isinstance(saving, Pending)
        assert await saving is None
        assert (tmp_path / "copy").read_bytes() == b"content"
        with pytest.raises(MissingAwaitError, match=r"await file\.save"):
            bool(files["f"].save(tmp_path / "copy"))

    async def test_saving_is_plain_in_def_code(self, make_reader, tmp_path):
        """As in Flask, to a path or to a file."""
        _, files = await make_reader(multipart(upload(b"content"))).read()
        file = files["f"]
        target = io.BytesIO()

        def view():
            file.save(target)
            file.seek(0)
            return file.save(str(tmp_path / "copy"), buffer_size=3)

        assert await asyncio.to_thread(view) is None
        assert target.getvalue() == (tmp_path / "copy").read_bytes() == b"content"

    async def test_a_file_has_werkzeugs_attributes(self, make_reader):
        """Libraries that take Werkzeug's ``FileStorage`` take ours."""
        headers = ("Content-Type: text/plain; charset=utf-8", "Content-Length: 4")
        disposition = 'form-data; name="f"; filename="a.txt"'
        _, files = await make_reader(multipart(part(b"a\nb\n", disposition, *headers))).read()
        file = files["f"]
        assert isinstance(file, BaseFileStorage)
        assert file
        assert (file.name, file.filename, file.content_length) == ("f", "a.txt", 4)
        assert (file.mimetype, file.mimetype_params) == ("text/plain", {"charset": "utf-8"})
        assert file.headers["Content-Type"] == file.content_type == "text/plain; charset=utf-8"
        assert list(file) == [b"a\n", b"b\n"]
        assert file.seek(0) == 0
        assert file.stream.read() == b"a\nb\n"


@pytest.mark.parametrize("make", [flask.Flask, Flask])
@pytest.mark.parametrize("debug", [False, True])
def test_a_form_without_its_encoding_explains_itself(make: Any, debug: bool) -> None:
    """In debug mode; otherwise the client's 400 is all that is told."""
    app = make(__name__, static_folder=None)
    app.debug = app.testing = debug
    files: list[Any] = []

    @app.post("/")
    def index() -> str:
        request = asyncflask.sync.request if make is Flask else flask.request
        files.append(request.files.get("other"))
        return str(request.files["foo"].filename)

    client = app.sync_test_client() if make is Flask else app.test_client()
    if debug:
        with pytest.raises(KeyError, match=r"(?s)no file contents were transmitted.*'index\.txt'"):
            client.post("/", data={"foo": "index.txt"})
        with pytest.raises(KeyError):
            client.post("/", data={"bar": "index.txt"})
    else:
        assert client.post("/", data={"foo": "index.txt"}).status_code == 400
    assert files[0] is None


@pytest.mark.parametrize("name", ["form", "files", "values"])
@pytest.mark.parametrize("size", [10, 11])
@pytest.mark.parametrize("content_type", ["text/plain", "application/json", URLENCODED])
def test_a_large_body_of_another_type_is_refused_as_in_flask(
    name: str, size: int, content_type: str
) -> None:
    """Who asks for the form of a body that passes the limit gets a 413, form or not."""
    theirs, ours = flask.Flask(__name__), Flask(__name__)
    theirs.config["MAX_CONTENT_LENGTH"] = ours.config["MAX_CONTENT_LENGTH"] = 10

    @theirs.post("/")
    def their_view() -> str:
        return str(len(getattr(flask.request, name)))

    @ours.post("/")
    def our_view() -> str:
        return str(len(getattr(asyncflask.sync.request, name)))

    wanted = {"data": b"x" * size, "headers": {"Content-Type": content_type}}
    expected = theirs.test_client().post("/", **wanted).status_code
    with ours.sync_test_client() as client:
        response = client.post("/", **wanted)
    assert response.status_code == expected == (413 if size > 10 else 200)
