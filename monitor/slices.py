"""Byte strings that lie in one buffer: made one by one when somebody asks, which of most decisions nobody does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import overload

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Slices(Sequence[bytes | None]):
    """The bytes of `buffer` from each `begin` up to, not including, each `end`; None where the end is negative."""

    __slots__ = ("begin", "buffer", "end")

    def __init__(self, buffer: bytes, begin: Ints, end: Ints) -> None:
        self.buffer = buffer
        self.begin = begin
        self.end = end

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Slices:
        """The same byte strings in a buffer of their own."""
        if isinstance(values, Slices):
            return values
        sizes = np.array([-1 if value is None else len(value) for value in values], dtype=np.int64)
        end = np.cumsum(np.maximum(sizes, 0))
        begin = end - np.maximum(sizes, 0)
        return cls(b"".join(value for value in values if value is not None), begin, np.where(sizes < 0, -1, end))

    @classmethod
    def joined(cls, parts: Sequence[Slices]) -> Slices:
        """Those of all parts, in order. What lies in one buffer already is not copied."""
        buffers = {id(part.buffer): part.buffer for part in parts}
        shifts = dict(zip(buffers, accumulate(map(len, buffers.values()), initial=0), strict=False))
        begin = [part.begin + shifts[id(part.buffer)] for part in parts]
        end = [np.where(part.end < 0, -1, part.end + shifts[id(part.buffer)]) for part in parts]
        whole = b"".join(buffers.values()) if len(buffers) > 1 else parts[0].buffer
        return cls(whole, np.concatenate(begin), np.concatenate(end))

    def __len__(self) -> int:
        return len(self.begin)

    @overload
    def __getitem__(self, index: int) -> bytes | None: ...
    @overload
    def __getitem__(self, index: slice) -> Slices: ...
    def __getitem__(self, index: int | slice) -> bytes | Slices | None:
        if isinstance(index, slice):
            return Slices(self.buffer, self.begin[index], self.end[index])
        end = self.end[index]
        return None if end < 0 else self.buffer[self.begin[index] : end]

    def __iter__(self) -> Iterator[bytes | None]:
        buffer = self.buffer
        for begin, end in zip(self.begin.tolist(), self.end.tolist(), strict=True):
            yield None if end < 0 else buffer[begin:end]

    def __repr__(self) -> str:
        return f"<{len(self)} slices of {len(self.buffer)} bytes>"
