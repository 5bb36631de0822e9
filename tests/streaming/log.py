"""Record batches as Kafka keeps them, made with aiokafka's own builder, for tests that need no broker."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from monitor.streaming.fetch import BatchRecords

TP = TopicPartition("decisions", 3)
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
COMMIT, ABORT = 1, 0


def batch(
    base: int,
    values: Sequence[bytes | None],
    *,
    producer: int = -1,
    transactional: bool = False,
    kept: Sequence[int] | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """One batch at offset `base`; `kept` are the indexes that compaction left."""
    builder = DefaultRecordBatchBuilder(2, 0, transactional, producer, 0, 0, 1 << 24)
    last = len(values) - 1
    for index, value in enumerate(values):
        if kept is None or index in kept:
            assert builder.append(index, 1000 + base + index, b"k%d" % (base + index), value, list(headers))
    return _placed(bytearray(builder.build()), base, last)


def marker(base: int, *, producer: int, kind: int) -> bytes:
    """The control batch that ends a transaction: `COMMIT` or `ABORT`."""
    builder = DefaultRecordBatchBuilder(2, 0, True, producer, 0, 0, 1 << 10)
    builder.append(0, 1000, struct.pack(">hh", 0, kind), b"\0" * 6, [])
    data = bytearray(builder.build())
    attributes = struct.unpack_from(">h", data, 21)[0]
    struct.pack_into(">h", data, 21, attributes | 0x20)
    return _placed(data, base, 0)


def _placed(data: bytearray, base: int, last_delta: int) -> bytes:
    struct.pack_into(">q", data, 0, base)
    struct.pack_into(">i", data, 23, last_delta)
    return bytes(data)


def read(
    *batches: bytes,
    fetch_offset: int = 0,
    aborted: Sequence[tuple[int, int]] = (),
    isolation: int = READ_COMMITTED,
    check_crcs: bool = False,
) -> Any:
    """`BatchRecords` over what a fetch brought; CRCs are those of the builder, wrong after placing."""
    data = b"".join(batches)
    return BatchRecords(TP, MemoryRecords(data), data, list(aborted), fetch_offset, None, None, check_crcs, isolation)
