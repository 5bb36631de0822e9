"""What unpack.pyx does, in Python: slow, for batches that aiokafka's own reader cannot read where that is not compiled.

aiokafka takes the name of a header for UTF-8 and fails on another; producers may write any bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

TRUNCATED = "a record of the batch reaches beyond its end"


def unpack(
    data: bytes,
    begin: int,
    end: int,
    base_offset: int,
    base_timestamp: int,
    first_offset: int,
    rows: npt.NDArray[np.int64],
) -> tuple[int, dict[int, list[tuple[str, bytes | None]]]]:
    """As `unpack` of unpack.pyi."""
    reader = _Reader(data, begin, end)
    headers: dict[int, list[tuple[str, bytes | None]]] = {}
    kept = 0
    for _ in range(rows.shape[1]):
        following = reader.taken(reader.varint())
        reader.at += 1  # attributes, which mean nothing yet
        timestamp, offset = base_timestamp + reader.varint(), base_offset + reader.varint()
        key, value = reader.piece(), reader.piece()
        told = [_header(reader) for _ in range(reader.varint())]
        if reader.at > following:
            raise ValueError(TRUNCATED)
        reader.at = following
        if offset >= first_offset:
            rows[:, kept] = (offset, timestamp, *key, *value)
            if told:
                headers[kept] = told
            kept += 1
    return kept, headers


def _header(reader: _Reader) -> tuple[str, bytes | None]:
    begin, stop = reader.piece()
    if stop < 0:
        raise ValueError("a header of the batch has no name")
    value_begin, value_stop = reader.piece()
    name = reader.data[begin:stop].decode("utf-8", "backslashreplace")
    return name, None if value_stop < 0 else reader.data[value_begin:value_stop]


class _Reader:
    """Reads on from `at`, up to `end`. ValueError where that is not enough."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self._end = end

    def taken(self, size: int) -> int:
        """The place so many bytes on."""
        if not 0 <= size <= self._end - self.at:
            raise ValueError(TRUNCATED)
        return self.at + size

    def varint(self) -> int:
        """A zigzag-coded number."""
        coded = shift = 0
        while True:
            if self.at >= self._end or shift > 63:
                raise ValueError(TRUNCATED)
            one = self.data[self.at]
            self.at += 1
            coded |= (one & 0x7F) << shift
            shift += 7
            if one < 0x80:
                return (coded >> 1) ^ -(coded & 1)

    def piece(self) -> tuple[int, int]:
        """Where a key or a value lies, with its length before it; the end is -1 where there is none."""
        size = self.varint()
        begin = self.at
        if size == -1:
            return begin, -1
        self.at = self.taken(size)
        return begin, self.at
