"""The body: whole, in parts, as a file, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections import UserDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    RequestEntityTooLarge,
    RequestTimeout,
)

from asyncflask.concurrency import resolve
from asyncflask.messages.body import READ_AHEAD, Body, BodyFile, no_body


async def in_parts(body: Body) -> list[bytes]:
    return [chunk async for chunk in body]


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


class TestAtOnce:
    """``read_now()``, which gives bytes where it can, and what reads them where it cannot."""

    async def test_one_complete_message_is_the_body(self, make_wire):
        """It is asked for once."""
        wire = make_wire(b"all")
        body = Body(wire, content_length=3)
        assert body.read_now() == b"all"
        assert body.whole == await body == b"all"
        assert wire.calls == 1

    @pytest.mark.parametrize(
        ("chunks", "length"),
        [((b"al", b"l"), 3), ((b"all",), None), ((bytearray(b"all"),), 3)],
        ids=["parts", "no length", "no bytes"],
    )
    async def test_what_is_not_simple_is_awaited(self, make_wire, chunks, length):
        """The same comes out, and again at the next call."""
        body = Body(make_wire(*chunks), content_length=length)
        assert await body.read_now() == b"all"
        assert await body.read_now() == b"all"

    async def test_what_has_not_arrived_is_waited_for(self, make_wire):
        """Also where the server has awaitables of its own."""
        wire = make_wire()
        reading = Body(wire, content_length=3).read_now()
        asyncio.get_running_loop().call_soon(lambda: wire.send(b"all", more=False))
        assert await reading == b"all"
        message = asyncio.get_running_loop().create_future()
        message.set_result(UserDict({"type": "http.request", "body": b"all"}))
        assert await Body(lambda: message, content_length=3).read_now() == b"all"

    async def test_it_raises_what_read_raises(self, make_wire):
        """Too large by its own limit or by another, too short, or given out in parts."""
        with pytest.raises(RequestEntityTooLarge, match="2 bytes"):
            Body(make_wire(b"all"), 2, 3).read_now()
        body = Body(make_wire(b"all"), content_length=3)
        with pytest.raises(RequestEntityTooLarge, match="2 bytes"):
            body.read_now(2)
        assert body.read_now() == b"all"
        with pytest.raises(RequestEntityTooLarge, match="2 bytes"):
            await body.read_now(2)
        with pytest.raises(BadRequest, match="3 of the 4 bytes"):
            await Body(make_wire(b"all"), content_length=4).read_now()
        body = Body(make_wire(b"all"), content_length=3)
        await in_parts(body)
        with pytest.raises(RuntimeError, match="already streamed"):
            await body.read_now()


class TestWhole:
    async def test_it_is_all_that_was_sent(self, make_wire):
        """``await body`` joins the parts."""
        assert await Body(make_wire(b"one ", b"two ", b"three")) == b"one two three"

    async def test_it_is_the_same_at_each_await(self, make_wire):
        """The bytes are kept, and the server is not asked again."""
        wire = make_wire(b"kept")
        body = Body(wire)
        assert body.whole is None
        assert await body is await body is body.whole
        assert wire.calls == 1

    async def test_it_may_be_empty(self):
        """A request without a body has an empty one."""
        assert await Body(no_body) == b""

    async def test_it_can_be_iterated_afterwards(self, make_wire):
        """Bytes that were read whole are one part, as often as one likes."""
        body = Body(make_wire(b"one", b"two"))
        await body
        assert await in_parts(body) == [b"onetwo"]
        assert await in_parts(body) == [b"onetwo"]

    async def test_an_empty_one_has_no_parts(self):
        """No part is empty."""
        body = Body(no_body)
        assert await body == b""
        assert await in_parts(body) == []

    async def test_keys_may_be_missing_in_messages(self, make_wire):
        """ASGI gives ``body`` and ``more_body`` defaults."""
        wire = make_wire(b"text", more=True)
        wire.messages.append({"type": "http.request"})
        assert await Body(wire) == b"text"

    async def test_two_readers_get_the_same(self, make_wire):
        """Both wait for one reading."""
        wire = make_wire(b"one", more=True)
        body = Body(wire)
        readers = [asyncio.ensure_future(body.read()) for _ in range(3)]
        await settle()
        wire.send(b"two", more=False)
        assert await asyncio.gather(*readers) == [b"onetwo"] * 3
        assert wire.calls == 2

    async def test_a_server_may_have_awaitables_of_its_own(self):
        """`receive` need not be a coroutine function; a part may be here or not."""
        loop = asyncio.get_running_loop()
        arriving = [loop.create_future() for _ in range(2)]
        body = Body(iter(arriving).__next__, timeout=5)
        arriving[0].set_result({"type": "http.request", "body": b"one", "more_body": True})
        reader = asyncio.ensure_future(body.read())
        await settle()
        arriving[1].set_result({"type": "http.request", "body": b"two", "more_body": False})
        assert await reader == b"onetwo"

    async def test_a_cancelled_reader_loses_nothing(self, make_wire):
        """What it had read is there for the next one."""
        wire = make_wire(b"one", more=True)
        body = Body(wire)
        reader = asyncio.ensure_future(body.read())
        await settle()
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader
        wire.send(b"two", more=False)
        assert await body == b"onetwo"

    async def test_it_cannot_be_taken_in_parts_at_the_same_time(self, make_wire):
        """Taking parts away from a reader of the whole is refused; iterating waits for it."""
        wire = make_wire(b"one", more=True)
        body = Body(wire)
        reader = asyncio.ensure_future(body.read())
        await settle()
        with pytest.raises(RuntimeError, match="is read whole"):
            await body.next_chunk()
        iterating = asyncio.ensure_future(in_parts(body))
        wire.send(b"two", more=False)
        assert await iterating == [b"onetwo"]
        assert await reader == b"onetwo"

    def test_it_needs_no_loop_when_it_is_here(self, make_wire):
        """A request made by hand can be read without a running loop."""
        body = Body(make_wire(b"here"), timeout=30)
        assert resolve(body.read, loop=None, expression="body") == b"here"

    def test_waiting_without_a_loop_is_refused(self):
        """Where it would have to wait, the error says that a loop is missing."""

        async def receive():
            await asyncio.sleep(0)

        body = Body(receive, timeout=30)
        with pytest.raises(RuntimeError, match="needs an event loop"):
            resolve(body.read, loop=None, expression="body")

    async def test_it_shows_how_much_has_arrived(self, make_wire):
        """The representation helps in a debugger and holds no content."""
        body = Body(make_wire(b"secret", b"!"))
        assert repr(body) == "<Body arriving, 0 bytes so far>"
        await body
        assert repr(body) == "<Body complete, 7 bytes so far>"

    @given(chunks=st.lists(st.binary(max_size=20), min_size=1, max_size=10))
    def test_any_division_gives_the_same_bytes(self, chunks):
        """Neither the number of parts nor empty ones matter."""
        messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        messages[-1]["more_body"] = False

        async def read() -> tuple[bytes, list[bytes]]:
            whole = Body(iterator(messages))
            parts = Body(iterator(messages))
            return await whole, await in_parts(parts)

        def iterator(messages):
            left = iter(messages)

            async def receive():
                return next(left)

            return receive

        whole, parts = asyncio.run(read())
        assert whole == b"".join(chunks)
        assert parts == [chunk for chunk in chunks if chunk]


class TestParts:
    async def test_they_come_as_they_arrive(self, make_wire):
        """A part is given out before the next one is there."""
        wire = make_wire(b"one", b"", more=True)
        parts = aiter(Body(wire))
        assert await anext(parts) == b"one"
        coming = asyncio.ensure_future(anext(parts))
        await settle()
        assert not coming.done()
        wire.send(b"two", more=False)
        assert await coming == b"two"
        with pytest.raises(StopAsyncIteration):
            await anext(parts)

    async def test_the_whole_cannot_be_had_any_more(self, make_wire):
        """The error says why, where emptiness would hide a bug."""
        body = Body(make_wire(b"one", b"two"))
        async for _ in body:
            break
        assert body.streamed
        with pytest.raises(RuntimeError, match=r"already streamed.*get_data"):
            await body

    async def test_iterating_twice_is_refused(self, make_wire):
        """A second loop over a body that was given out would be silently empty."""
        body = Body(make_wire(b"one"))
        assert await in_parts(body) == [b"one"]
        with pytest.raises(RuntimeError, match="already streamed"):
            await in_parts(body)

    async def test_iterating_can_be_taken_up_again(self, make_wire):
        """A second loop goes on where the first one left."""
        body = Body(make_wire(b"one", b"two", b"three"))
        async for _ in body:
            break
        assert await in_parts(body) == [b"two", b"three"]

    async def test_two_tasks_cannot_take_them(self, make_wire):
        """Each would miss some, so the second is refused; the first goes on."""
        wire = make_wire(more=True)
        body = Body(wire)
        first = asyncio.ensure_future(in_parts(body))
        await settle()
        with pytest.raises(RuntimeError, match="Two tasks"):
            await in_parts(body)
        wire.send(b"one", more=False)
        assert await first == [b"one"]

    async def test_a_cancelled_taker_loses_nothing(self, make_wire):
        """The same iterator can be asked again."""
        wire = make_wire(more=True)
        parts = aiter(Body(wire))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(parts), 0.01)
        wire.send(b"one", more=False)
        assert [chunk async for chunk in parts] == [b"one"]


class TestLimit:
    async def test_a_declared_size_above_it_is_refused_unread(self, make_wire):
        """The answer is 413 before the first ``receive()``."""
        wire = make_wire(b"123456")
        body = Body(wire, limit=5, content_length=6)
        with pytest.raises(RequestEntityTooLarge, match="larger than the 5 bytes"):
            await body
        with pytest.raises(RequestEntityTooLarge):
            await in_parts(Body(wire, limit=5, content_length=6))
        assert wire.calls == 0

    async def test_it_is_counted_as_the_bytes_arrive(self, make_wire):
        """Without a declared size the reading stops where the limit is passed."""
        wire = make_wire(b"123", b"456", b"789")
        body = Body(wire, limit=5)
        for _ in range(2):
            with pytest.raises(RequestEntityTooLarge):
                await body
        assert wire.calls == 2

    async def test_parts_end_where_it_is_passed(self, make_wire):
        """What came before the limit was given out."""
        parts = aiter(Body(make_wire(b"123", b"456"), limit=5))
        assert await anext(parts) == b"123"
        with pytest.raises(RequestEntityTooLarge):
            await anext(parts)

    async def test_a_body_of_just_that_size_passes(self, make_wire):
        """The limit itself is allowed."""
        assert await Body(make_wire(b"123", b"45"), limit=5, content_length=5) == b"12345"

    async def test_it_can_be_changed_before_the_reading(self, make_wire):
        """A view may allow more than the application."""
        body = Body(make_wire(b"123456"), limit=5, content_length=6)
        body.limit = 6
        assert await body == b"123456"

    @pytest.mark.parametrize("content_length", [None, 6])
    async def test_a_reader_can_have_a_lower_one(self, make_wire, content_length):
        """It is refused more; another one can still read all."""
        wire = make_wire(b"123", b"456")
        body = Body(wire, limit=10, content_length=content_length)
        with pytest.raises(RequestEntityTooLarge, match="larger than the 5 bytes"):
            await body.read(5)
        assert wire.calls == (0 if content_length else 2)
        assert await body == b"123456"
        with pytest.raises(RequestEntityTooLarge, match="larger than the 4 bytes"):
            await body.read(4)


class TestFailures:
    async def test_silence_ends_in_408(self, make_wire):
        """Nobody waits for a client that sends nothing; later readers hear the same."""
        body = Body(make_wire(b"one", more=True), timeout=0.02)
        for _ in range(2):
            with pytest.raises(RequestTimeout, match=r"for 0\.02 seconds"):
                await body

    async def test_a_slow_client_is_served(self, make_wire):
        """The time is counted from one part to the next."""
        wire = make_wire(more=True)
        reader = asyncio.ensure_future(Body(wire, timeout=0.5).read())
        for more in (True, True, True, False):
            await asyncio.sleep(0.15)
            wire.send(b"x", more=more)
        assert await reader == b"xxxx"

    async def test_no_timeout_waits(self, make_wire):
        """None is no timeout."""
        wire = make_wire(more=True)
        reader = asyncio.ensure_future(Body(wire, timeout=None).read())
        await asyncio.sleep(0.02)
        wire.send(b"late", more=False)
        assert await reader == b"late"

    async def test_a_timeout_of_the_servers_is_not_ours(self):
        """An error out of ``receive()`` passes unchanged."""

        async def receive():
            await asyncio.sleep(0)
            raise TimeoutError("the server's")

        with pytest.raises(TimeoutError, match="the server's"):
            await Body(receive, timeout=5)

    async def test_a_client_that_goes_away_is_an_error(self, make_wire):
        """An upload that broke off is not taken for a complete one."""
        wire = make_wire(b"one", more=True)
        wire.leave()
        body = Body(wire)
        for _ in range(2):
            with pytest.raises(ClientDisconnected, match="went away"):
                await body

    async def test_parts_before_the_departure_are_given_out(self, make_wire):
        """Then the error comes, in place of the end."""
        wire = make_wire(b"one", more=True)
        wire.leave()
        parts = aiter(Body(wire))
        assert await anext(parts) == b"one"
        with pytest.raises(ClientDisconnected):
            await anext(parts)

    async def test_less_than_was_declared_is_an_error(self, make_wire):
        """A truncated body gets 400 with both sizes."""
        body = Body(make_wire(b"12", b"34"), content_length=6)
        with pytest.raises(BadRequest, match="after 4 of the 6 bytes"):
            await body

    async def test_more_than_was_declared_is_read(self, make_wire):
        """Middleware that unpacks bodies may leave the old Content-Length."""
        assert await Body(make_wire(b"123456"), content_length=3) == b"123456"


class TestDisconnected:
    async def test_it_ends_when_the_client_leaves(self, make_wire):
        """A response that streams on can stop."""
        wire = make_wire(b"")
        body = Body(wire)
        waiting = asyncio.ensure_future(body.disconnected())
        await settle()
        assert not waiting.done()
        wire.leave()
        await waiting
        await body.disconnected()

    async def test_what_arrives_meanwhile_is_kept_for_a_reader(self, make_wire):
        """Waiting steals nothing, before, while and after somebody reads."""
        wire = make_wire(b"one", more=True)
        body = Body(wire)
        waiting = asyncio.ensure_future(body.disconnected())
        await settle()
        reader = asyncio.ensure_future(body.read())
        await settle()
        wire.send(b"two")
        await settle()
        wire.send(b"three", more=False)
        assert await reader == b"onetwothree"
        wire.leave()
        await waiting

    async def test_parts_are_kept_in_order(self, make_wire):
        """An iterating reader gets what was kept first."""
        wire = make_wire(b"one", b"two", more=True)
        body = Body(wire)
        waiting = asyncio.ensure_future(body.disconnected())
        await settle()
        wire.send(b"three", more=False)
        assert await in_parts(body) == [b"one", b"two", b"three"]
        wire.leave()
        await waiting

    async def test_it_keeps_no_more_than_so_much(self, make_wire):
        """With enough kept it takes no more, until the one who has begun to read makes room."""
        chunk = b"x" * (READ_AHEAD // 2)
        wire = make_wire(b"0", chunk, chunk, chunk, chunk)
        wire.leave()
        body = Body(wire)
        assert await body.next_chunk() == b"0"
        waiting = asyncio.ensure_future(body.disconnected())
        await settle()
        assert wire.calls == 3
        assert await body.next_chunk() == chunk
        await settle()
        assert wire.calls == 4
        assert b"".join(await in_parts(body)) == chunk * 3
        await waiting

    async def test_a_reader_that_notices_it_tells(self, make_wire):
        """Whoever receives the departure, everybody who waits for it knows."""
        wire = make_wire(b"x" * READ_AHEAD, more=True)
        body = Body(wire)
        reader = asyncio.ensure_future(body.read())
        await settle()
        waiting = [asyncio.ensure_future(body.disconnected()) for _ in range(2)]
        await settle()
        wire.leave()
        with pytest.raises(ClientDisconnected):
            await reader
        await asyncio.gather(*waiting)

    async def test_a_refused_upload_is_drained(self, make_wire):
        """After a 413 the rest is dropped, and the departure is noticed behind it."""
        wire = make_wire(b"123456", b"7", b"8", more=True)
        body = Body(wire, limit=5)
        with pytest.raises(RequestEntityTooLarge):
            await body
        wire.leave()
        await body.disconnected()
        assert not wire.messages

    async def test_a_server_with_nothing_to_tell_is_not_asked_forever(self):
        """An endless supply of empty messages after the end does not spin."""
        calls = 0

        async def receive():
            nonlocal calls
            calls += 1
            return {"type": "http.request"}

        waiting = asyncio.ensure_future(Body(receive).disconnected())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert calls == 2
        waiting.cancel()

    async def test_a_reader_is_not_kept_waiting_past_its_time(self, make_wire):
        """Waiting for a message that somebody else asked for has the same timeout."""
        body = Body(make_wire(more=True), timeout=0.02)
        waiting = asyncio.ensure_future(body.disconnected())
        await settle()
        with pytest.raises(RequestTimeout):
            await body
        waiting.cancel()


class TestOtherLoop:
    async def test_the_body_is_read_on_its_own_loop(self, make_wire):
        """``asyncio.run`` in a ``def`` view can await the body and iterate over it."""
        loop = asyncio.get_running_loop()
        loops = []

        def wire_of(*chunks):
            wire = make_wire(*chunks)

            async def receive():
                loops.append(asyncio.get_running_loop())
                await asyncio.sleep(0)
                return await wire()

            return receive

        async def elsewhere():
            whole = await Body(wire_of(b"one", b"two"), loop=loop)
            return whole, await in_parts(Body(wire_of(b"one", b"two"), loop=loop))

        def view():
            return asyncio.run(elsewhere())

        assert await asyncio.to_thread(view) == (b"onetwo", [b"one", b"two"])
        assert set(loops) == {loop}

    async def test_on_its_own_loop_it_is_read_directly(self, make_wire):
        """Naming the loop changes nothing there."""
        assert await Body(make_wire(b"one"), loop=asyncio.get_running_loop()) == b"one"


class TestFile:
    @pytest.fixture
    def file_of(self, make_wire):
        def make(*chunks, loop=None, **options):
            return io.BufferedReader(BodyFile(Body(make_wire(*chunks), **options), loop))

        return make

    def test_it_reads_like_a_file(self, file_of):
        """``read(n)``, ``readline``, ``readinto`` and iteration do not see the parts."""
        file = file_of(b"first li", b"ne\nsecond", b" line\nthe", b" rest\nend")
        assert file.readable()
        assert file.read(3) == b"fir"
        assert file.readline() == b"st line\n"
        buffer = bytearray(4)
        assert file.readinto(buffer) == 4
        assert buffer == b"seco"
        assert list(file) == [b"nd line\n", b"the rest\n", b"end"]
        assert file.read() == file.read(1) == b""

    def test_a_large_part_is_read_piece_by_piece(self, file_of):
        """What does not fit into the reader's buffer stays for the next time."""
        file = file_of(b"x" * 50_000, b"y")
        assert file.read(1) == b"x"
        assert file.read() == b"x" * 49_999 + b"y"

    async def test_it_waits_for_the_loop(self, make_wire):
        """A ``def`` view reads while the parts are still arriving."""
        loop = asyncio.get_running_loop()
        wire = make_wire(b"one ", more=True)
        file = io.BufferedReader(BodyFile(Body(wire, loop=loop), loop))
        reading = asyncio.ensure_future(asyncio.to_thread(file.read))
        await asyncio.sleep(0.02)
        wire.send(b"two", more=False)
        assert await reading == b"one two"

    def test_the_bodys_errors_come_out_of_it(self, file_of):
        """A limit that is passed raises in the ``read`` that meets it."""
        file = file_of(b"123", b"456", limit=5)
        with pytest.raises(RequestEntityTooLarge):
            file.read()

    async def test_reading_it_on_a_loop_is_refused(self, file_of):
        """The error says what ``async def`` code writes instead."""
        with pytest.raises(RuntimeError, match=r"async for chunk in request\.body"):
            file_of(b"one").read()


async def test_a_body_that_nobody_reads_does_not_hide_that_the_client_has_gone() -> None:
    """It is thrown away past the read-ahead, and a reader that comes then is told."""
    chunk = bytes(40_000)
    arrived = [{"type": "http.request", "body": chunk, "more_body": True} for _ in range(5)]
    messages: list[Any] = [*arrived, {"type": "http.disconnect"}]

    async def receive() -> Any:
        await asyncio.sleep(0)
        return messages.pop(0)

    body = Body(receive)
    async with asyncio.timeout(5):
        await body.disconnected()
    assert messages == []
    for read in (body.read, body.next_chunk):
        with pytest.raises(RuntimeError, match="thrown away"):
            await read()
