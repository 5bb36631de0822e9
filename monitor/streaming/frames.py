"""Kafka's answers received into the memory that they stay in, for one aiokafka connection.

asyncio's stream copies each piece that arrives behind what came before, and the whole once more when it is complete;
an answer to a fetch is megabytes. Here its length is read, then the rest where it stays. Format: Kafka's documentation,
"Network": a signed big-endian 32-bit size, then so many bytes.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, Final

from aiokafka.conn import AIOKafkaProtocol

SIZE_BYTES: Final = 4


def unwritten_copied(size: int) -> tuple[bytearray, memoryview]:
    """Memory to write into; its bytes are copied when they are complete."""
    whole = bytearray(size)
    return whole, memoryview(whole)


try:
    from monitor.streaming.unpack import unwritten
except ImportError:
    unwritten = unwritten_copied  # type: ignore[assignment]


def receive_frames(connection: Any) -> None:
    """Let this aiokafka connection receive answers in place from now on; not yet while one of them is on its way."""
    if not connection.connected():  # it closed while we waited for another one: sending says so
        return
    transport = connection._writer.transport  # noqa: SLF001
    before = transport.get_protocol()
    if type(before) is AIOKafkaProtocol and not connection._requests:  # noqa: SLF001
        transport.set_protocol(Frames(before, connection))


class Frames(asyncio.BufferedProtocol):
    """Hands whole answers to the connection. Everything but what arrives is told to the protocol that was there."""

    def __init__(self, before: Any, connection: Any) -> None:
        self._before = before
        self._connection = weakref.ref(connection)  # which closes the transport when nobody holds it any more
        self._frame, self._room = unwritten(SIZE_BYTES)
        self._sized = False

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes belong."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have arrived there. ValueError, which ends the connection, where no size is."""
        self._room = self._room[nbytes:]
        if self._room:
            return
        frame = bytes(self._frame)
        if not self._sized:
            size = int.from_bytes(frame, signed=True)
            if size <= 0:
                raise ValueError(f"Kafka sent {size} as the size of an answer")
            self._frame, self._room = unwritten(size)
            self._sized = True
            return
        self._frame, self._room = unwritten(SIZE_BYTES)
        self._sized = False
        connection = self._connection()
        if connection is not None:
            connection._handle_frame(frame)  # noqa: SLF001

    def eof_received(self) -> bool | None:
        """The broker sends no more."""
        return bool(self._before.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """The end: the connection's reader, which reads nothing here, tells it."""
        self._before.connection_lost(exc)

    def pause_writing(self) -> None:
        """The transport holds too much."""
        self._before.pause_writing()

    def resume_writing(self) -> None:
        """The transport takes more."""
        self._before.resume_writing()
