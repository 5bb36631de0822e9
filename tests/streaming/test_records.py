"""The compiled reader of records says what aiokafka's own says, and refuses what is damaged."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock, patch

import numpy as np
import pytest
from aiokafka.codec import gzip_encode
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from monitor.streaming import unpack_plain
from monitor.streaming.records import Records, is_as_written, read_records
from monitor.streaming.unpack import unpack
from tests.core.strategies import examples, seeds

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
HEADER_BYTES = 61
CHECKSUM_AT = 17

texts = st.one_of(st.none(), st.binary(max_size=300))
records = st.tuples(
    st.integers(-(2**40), 2**40), texts, texts, st.lists(st.tuples(st.text(max_size=9), texts), max_size=3)
)


def built(told: Sequence[Any], *, codec: int = 0, base: int = 1000) -> bytes:
    """A batch of the log at an offset."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 24)
    for index, (timestamp, key, value, headers) in enumerate(told):
        assert builder.append(index, timestamp + 2**41, key, value, headers)
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    return bytes(data)


def read(data: bytes, *, first_offset: int = 0, before: bytes = b"", after: bytes = b"") -> Records:
    whole = before + data + after
    batch = DefaultRecordBatch(data)
    return read_records(batch, whole, len(before), len(before) + len(data), first_offset=first_offset)


def listed(found: Records) -> list[Any]:
    return [list(column) for column in found[:4]] + [{at: list(told) for at, told in found.headers.items()}]


@pytest.mark.parametrize("codec", CODECS)
@examples(60)
@given(told=st.lists(records, min_size=1, max_size=12), first=st.integers(990, 1015), around=texts)
def test_records_are_those_of_aiokafka(codec: str, told: list[Any], first: int, around: bytes | None) -> None:
    data = built(told, codec=CODECS[codec])
    ours = read(data, first_offset=first, before=around or b"", after=b"behind")
    with patch("monitor.streaming.records.COMPILED", new=False):
        theirs = read(data, first_offset=first)
    assert listed(theirs) == listed(ours)


@examples(60)
@given(told=st.lists(records, min_size=1, max_size=6), first=st.integers(998, 1007))
def test_the_plain_reader_reads_what_the_compiled_one_does(told: list[Any], first: int) -> None:
    data = built(told)
    rows = np.zeros((2, 6, len(told)), dtype=np.int64)
    found = [
        reader(data, HEADER_BYTES, len(data), 1000, 5, first, one)
        for reader, one in zip((unpack, unpack_plain.unpack), rows, strict=True)
    ]
    assert found[0] == found[1]
    assert (rows[0, :, : found[0][0]] == rows[1, :, : found[0][0]]).all()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_a_header_may_be_named_by_any_bytes(packed: bool, compiled: bool) -> None:
    told: list[Any] = [(n, b"k", b"value", [("trace", b"x"), ("traXX", None)]) for n in range(3)]
    plain = built(told).replace(b"traXX", b"tr\xe9s\xff")
    data = bytearray(plain)
    if packed:
        data[HEADER_BYTES:] = gzip_encode(plain[HEADER_BYTES:])
        struct.pack_into(">i", data, 8, len(data) - 12)
        struct.pack_into(">h", data, 21, CODECS["gzip"])
    with patch("monitor.streaming.records.COMPILED", new=compiled):
        found = read(bytes(data))
    assert [b"value"] * 3 == [*found.values]
    assert {n: [("trace", b"x"), ("tr\\xe9s\\xff", None)] for n in range(3)} == dict(found.headers)


def test_where_the_broker_stamps_records_they_all_have_its_time() -> None:
    data = bytearray(built([(5, None, b"a", []), (7, None, b"b", [])]))
    struct.pack_into(">h", data, 21, 8)  # attributes: LogAppendTime
    struct.pack_into(">q", data, 35, 77)  # the batch's largest timestamp
    assert [77, 77] == [*read(bytes(data)).timestamps]


@examples(300)
@given(seed=seeds)
def test_damaged_records_are_read_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    told: list[Any] = [
        (n, b"k" * rng.randrange(3), b"v" * rng.randrange(200), [("h", b"x")] * rng.randrange(2)) for n in range(5)
    ]
    data = bytearray(built(told))
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(HEADER_BYTES, len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    end = rng.choice((len(data), rng.randrange(HEADER_BYTES, len(data))))
    rows = np.empty((6, rng.choice((5, 6))), dtype=np.int64)
    try:
        kept, _ = unpack(bytes(data), HEADER_BYTES, end, 0, 0, 0, rows)
    except ValueError:
        return
    begins, ends = rows[[2, 4], :kept], rows[[3, 5], :kept]
    assert ((ends == -1) | ((HEADER_BYTES <= begins) & (begins <= ends) & (ends <= end))).all()


@pytest.mark.parametrize("library", ["c", "python"])
@pytest.mark.parametrize("codec", CODECS)
@examples(40)
@given(told=st.lists(records, min_size=1, max_size=12), around=st.binary(max_size=9), draw=st.data())
def test_a_batch_is_as_written_where_aiokafka_says_so(
    library: str, codec: str, told: list[Any], around: bytes, draw: st.DataObject
) -> None:
    data = built(told, codec=CODECS[codec])
    at = draw.draw(st.integers(CHECKSUM_AT, len(data) - 1))
    damaged = data[:at] + bytes([data[at] ^ draw.draw(st.integers(1, 255))]) + data[at + 1 :]
    for each, expected in ((data, True), (damaged, False)):
        batch = DefaultRecordBatch(each)
        with patch("google_crc32c.implementation", library):
            found = is_as_written(batch, around + each + b"behind", len(around), len(around) + len(each))
        assert expected == batch.validate_crc() == found


def test_a_batch_of_an_older_version_is_left_to_aiokafka() -> None:
    for right in (True, False):
        assert right == is_as_written(Mock(magic=1, validate_crc=lambda right=right: right), b"", 0, 0)


@pytest.mark.parametrize("count", [4, 2**31 - 1])
def test_a_batch_that_holds_fewer_records_than_it_says_is_corrupt(count: int) -> None:
    data = bytearray(built([(0, None, b"value", [])] * 3))
    struct.pack_into(">i", data, 57, count)
    with pytest.raises(CorruptRecordException, match="batch"):
        read(bytes(data))


def test_a_header_without_a_name_is_corrupt() -> None:
    data = built([(0, None, b"value", [("name", b"x")])])
    named, nameless = b"\x08name", b"\x01name"  # its length, zigzag-coded: 4 and -1
    assert 1 == data.count(named)
    with pytest.raises(CorruptRecordException, match="no name"):
        read(data.replace(named, nameless))
