"""One batch of Kafka's log: whether it is as it was written, and its records as columns.

These come by the compiled reader (unpack.pyx) where it is there. Of a header's name that is not UTF-8, the bytes that
are none are told escaped.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import CorruptRecordException

from monitor.slices import Slices
from monitor.streaming import unpack_plain

try:
    from monitor.streaming import unpack as _unpack
except ImportError:
    _unpack = None  # type: ignore[assignment]

COMPILED: Final = _unpack is not None
"""Whether the compiled reader is there."""

Headers = Sequence[tuple[str, bytes | None]]

_SIZE: Final = slice(8, 12)
"""Where a batch of any version says how many bytes follow."""
_CRC: Final = slice(17, 21)
"""Where the checksum of a batch of version 2 stands; it is that of all that follows."""
_RECORD_COUNT: Final = slice(57, 61)
"""Where the number of records stands in a batch of version 2; the records follow."""
_LEAST_RECORD: Final = 7
"""Bytes of the smallest record."""
_LOG_APPEND_TIME: Final = 1
_DECODE: Final[dict[int, Callable[[bytes], bytes]]] = {
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}
"""By the number of the codec in a batch's attributes."""


class Records(NamedTuple):
    """Records in offset order; timestamps are Kafka's, milliseconds since the epoch; headers by index."""

    offsets: array[int]
    timestamps: array[int]
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    headers: Mapping[int, Headers]


def no_numbers() -> array[int]:
    """An empty column of offsets or timestamps: plain integers to who takes one, 64 bits each to who takes them all."""
    return array("q")


def batch_end(data: bytes, begin: int) -> int:
    """Where the batch ends that begins there."""
    return begin + _SIZE.stop + _number(data, begin, _SIZE)


def is_as_written(batch: Any, data: bytes, begin: int, end: int) -> bool:
    """Whether aiokafka's `batch`, which lies in `data` from `begin` to `end`, has the checksum that it says.

    The processor's own instruction takes a seventh of the time; where the library has only Python, aiokafka looks.
    """
    if batch.magic < 2 or google_crc32c.implementation != "c":
        return bool(batch.validate_crc())
    checked = np.frombuffer(data, np.uint8, end - begin - _CRC.stop, begin + _CRC.stop)  # no copy, as a slice would be
    checksum: int = google_crc32c.value(checked)
    return checksum == _number(data, begin, _CRC)


def read_records(batch: Any, data: bytes, begin: int, end: int, *, first_offset: int) -> Records:
    """The records at `first_offset` and beyond of aiokafka's `batch`, which lies in `data` from `begin` to `end`.

    Raises aiokafka's CorruptRecordException for a malformed batch.
    """
    if COMPILED and batch.magic >= 2:
        unpack = _unpack.unpack
    else:
        try:
            return _one_by_one(batch, first_offset)
        except UnicodeDecodeError as error:  # the name of a header
            if batch.magic < 2:
                raise CorruptRecordException(str(error)) from error
            unpack = unpack_plain.unpack
    count = _number(data, begin, _RECORD_COUNT)
    begin += _RECORD_COUNT.stop
    if batch.compression_type:
        data = bytes(_DECODE[batch.compression_type](data[begin:end]))
        begin, end = 0, len(data)
    if count * _LEAST_RECORD > end - begin:
        raise CorruptRecordException(f"a batch of {end - begin} bytes cannot hold {count} records")
    rows = np.empty((6, count), dtype=np.int64)
    try:
        kept, headers = unpack(data, begin, end, batch.base_offset, batch.first_timestamp, first_offset, rows)
    except ValueError as error:
        raise CorruptRecordException(str(error)) from error
    offsets, timestamps, key_begin, key_end, value_begin, value_end = rows[:, :kept]
    if batch.timestamp_type == _LOG_APPEND_TIME:
        timestamps = np.full(kept, batch.max_timestamp)
    values, keys = Slices(data, value_begin, value_end), Slices(data, key_begin, key_end)
    return Records(_column(offsets), _column(timestamps), values, keys, headers)


def _number(data: bytes, begin: int, place: slice) -> int:
    return int.from_bytes(data[begin + place.start : begin + place.stop])


def _column(numbers: npt.NDArray[np.int64]) -> array[int]:
    return array("q", numbers.tobytes())


def _one_by_one(batch: Any, first_offset: int) -> Records:
    offsets, timestamps = no_numbers(), no_numbers()
    values: list[bytes | None] = []
    keys: list[bytes | None] = []
    headers: dict[int, Headers] = {}
    # Each record dies before the next is made; kept alive they cost twice as much, in the collector.
    for record in batch:
        offset = record.offset
        if offset < first_offset:
            continue
        if record.headers:
            headers[len(offsets)] = record.headers
        offsets.append(offset)
        timestamps.append(record.timestamp)
        values.append(record.value)
        keys.append(record.key)
    return Records(offsets, timestamps, values, keys, headers)
