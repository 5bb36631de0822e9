"""Answers received in place: whole, in order, however the bytes arrive; and a connection that ends as before."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from unittest.mock import Mock, patch

import pytest
from aiokafka.conn import AIOKafkaConnection, AIOKafkaProtocol
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from monitor.streaming.frames import SIZE_BYTES, Frames, receive_frames, unwritten_copied
from tests.streaming.apps import until

HANDLED = [b"\0\0\0\1answer", b"\0\0\0\2" + bytes(range(256)) * 4000]


def framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(SIZE_BYTES, "big", signed=True) + frame


def arrive(frames: Frames, data: bytes, sizes: Sequence[int]) -> None:
    """As a transport hands them over: never more than there is room for, and than came by then."""
    at = 0
    for size in [*sizes, len(data)]:
        end = min(len(data), at + size)
        while at < end:
            room = frames.get_buffer(-1)
            count = min(len(room), end - at)
            room[:count] = data[at : at + count]
            frames.buffer_updated(count)
            at += count


@pytest.mark.parametrize("compiled", [True, False])
@given(sent=st.lists(st.binary(min_size=1, max_size=40), max_size=6), sizes=st.lists(st.integers(1, 50), max_size=20))
def test_answers_are_whole_and_in_order_however_they_arrive(
    compiled: bool, sent: list[bytes], sizes: list[int]
) -> None:
    connection = Mock()
    with nullcontext() if compiled else patch("monitor.streaming.frames.unwritten", unwritten_copied):
        arrive(Frames(Mock(), connection), b"".join(map(framed, sent)), sizes)
    assert sent == [call.args[0] for call in connection._handle_frame.call_args_list]
    assert all(type(call.args[0]) is bytes for call in connection._handle_frame.call_args_list)


@pytest.mark.parametrize("size", [0, -1, -(2**31)])
def test_a_size_that_is_none_is_refused(size: int) -> None:
    frames = Frames(Mock(), Mock())
    with pytest.raises(ValueError, match=f"Kafka sent {size} as the size of an answer"):
        arrive(frames, size.to_bytes(SIZE_BYTES, "big", signed=True), [])


def test_what_comes_for_a_connection_that_is_gone_is_dropped() -> None:
    class Connection: ...

    connection = Connection()
    frames = Frames(Mock(), connection)
    del connection
    arrive(frames, framed(b"late") + framed(b"later"), [])
    assert len(frames.get_buffer(-1)) == SIZE_BYTES


def test_memory_outlives_the_answer_that_it_was_for() -> None:
    frames = Frames(Mock(), connection := Mock())
    arrive(frames, framed(b"x" * 100)[:50], [])
    room = frames.get_buffer(-1)
    del frames
    room[:] = b"y" * len(room)  # a transport may hold it a little longer than we do
    assert room.tobytes() == b"y" * len(room)
    connection._handle_frame.assert_not_called()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Any, asyncio.StreamWriter]]:
    """An aiokafka connection as `connect` leaves it, without its first questions, and the broker's end of it."""
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda _, writer: accepted.set_result(writer), "127.0.0.1", 0)
    connection = AIOKafkaConnection(*server.sockets[0].getsockname()[:2])
    with patch.object(connection, "_do_version_lookup", _nothing):
        await connection.connect()
    broker = await accepted
    try:
        yield connection, broker
    finally:
        broker.close()
        connection.close()
        server.close()
        await server.wait_closed()


async def _nothing() -> None: ...


def expecting(connection: Any) -> list[bytes]:
    """What the connection is given for requests that wait for bytes as they are."""
    found: list[bytes] = []
    for _ in HANDLED:
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: found.append(done.result()))
        connection._requests.append((None, None, future))
    return found


async def test_a_connection_of_aiokafka_gets_its_answers_in_place() -> None:
    async with connected() as (connection, broker):
        receive_frames(connection)
        receive_frames(connection)  # of no further effect
        assert type(connection._writer.transport.get_protocol()) is Frames
        found = expecting(connection)
        broker.write(b"".join(map(framed, HANDLED)))
        await until(lambda: len(found) == len(HANDLED))
        assert found == HANDLED
        assert connection._requests == deque()
        assert connection.connected()


async def test_an_answer_that_is_on_its_way_ends_as_it_began() -> None:
    async with connected() as (connection, broker):
        found = expecting(connection)
        broker.write(framed(HANDLED[0])[:7])
        await until(lambda: len(connection._reader._buffer) == 3)  # the size was taken out of it
        receive_frames(connection)
        assert type(connection._writer.transport.get_protocol()) is AIOKafkaProtocol
        broker.write(framed(HANDLED[0])[7:] + framed(HANDLED[1]))
        await until(lambda: len(found) == len(HANDLED))
        assert found == HANDLED
        receive_frames(connection)
        assert type(connection._writer.transport.get_protocol()) is Frames


async def test_a_connection_that_closed_meanwhile_is_left_to_say_so_itself() -> None:
    async with connected() as (connection, _):
        connection.close()
        receive_frames(connection)
        with pytest.raises(KafkaConnectionError):
            connection.send(None)


@pytest.mark.parametrize(
    ("sent", "closed"),
    [(framed(b"whole")[:6], True), (b"", True), (b"\xff" * SIZE_BYTES, False), (framed(b"x"), False)],
)
async def test_an_end_or_an_answer_nobody_asked_for_closes_the_connection(sent: bytes, closed: bool) -> None:
    async with connected() as (connection, broker):
        receive_frames(connection)
        waiting = asyncio.get_running_loop().create_future()
        if sent != framed(b"x"):
            connection._requests.append((None, None, waiting))
        broker.write(sent)
        await broker.drain()
        if closed:
            broker.close()
        await until(lambda: not connection.connected())
        if sent != framed(b"x"):
            with pytest.raises(Exception, match="closed"):
                await waiting
