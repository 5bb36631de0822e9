"""Decisions of one open block, kept as the columns they came in, and how the block writes them into a bucket."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from monitor.join.entries import DECISION_VALUE, Decided
from monitor.join.forwarding import KEY_BYTES, DecisionChunk

_WIDTH: Final = DECISION_VALUE.itemsize


class Decisions:
    """The first copy of each decision of a block, with the time of the last one; times in ms of the log's clock."""

    def __init__(self, *, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._row: dict[bytes, int] = {}
        self._begins: list[int] = []
        """first row of each chunk"""
        self._chunks: list[npt.NDArray[np.void]] = []
        self._rows = 0
        self.begin_ms = -1
        """when the first chunk came"""
        self.end_ms = -1
        """when the last one came"""
        self._names: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._row)

    def take(self, chunk: DecisionChunk, now: int) -> list[bytes]:
        """Add a chunk that came at `now`; returns its keys."""
        whole = chunk.keys
        keys = [whole[at : at + KEY_BYTES] for at in range(0, len(whole), KEY_BYTES)]
        if not keys:
            return keys
        hashes = [xxh3_64_intdigest(names) for names in chunk.names]
        self._names.update(zip(hashes, chunk.names, strict=True))
        values = np.empty(len(keys), dtype=DECISION_VALUE)
        values["at_ms"] = now
        values["occurred_us"] = np.frombuffer(chunk.occurred_us, "<i8")
        values["score"] = np.frombuffer(chunk.score, "<f8")
        values["inclusion"] = np.frombuffer(chunk.inclusion, "<f8")
        values["names"] = np.array(hashes, dtype=np.uint64)[np.frombuffer(chunk.which, "<u2")]
        known = self._row
        if self._chunks and self.begin_ms + self._horizon_ms <= now:
            # Time has leapt within the block: what it began with may be gone.
            for key in keys:
                if key in known and self.get(key)[0] + self._horizon_ms <= now:  # type: ignore[index]
                    del known[key]
        again = [first for row, key in enumerate(keys, self._rows) if (first := known.setdefault(key, row)) != row]
        if not self._chunks:
            self.begin_ms = now
        self.end_ms = now
        self._begins.append(self._rows)
        self._chunks.append(values)
        self._rows += len(keys)
        for row in again:
            chunk_of, place = self._place(row)
            chunk_of["at_ms"][place] = now
        return keys

    def get(self, key: bytes) -> Decided | None:
        """The decision with a key."""
        row = self._row.get(key)
        if row is None:
            return None
        values, place = self._place(row)
        value: Decided = values[place].item()
        return value

    def _place(self, row: int) -> tuple[npt.NDArray[np.void], int]:
        at = bisect_right(self._begins, row) - 1
        return self._chunks[at], row - self._begins[at]

    def names(self, names: int) -> bytes | None:
        """The encoded names with a hash, if a decision of the block has them."""
        return self._names.get(names)

    def keys(self) -> Iterable[bytes]:
        """All keys."""
        return self._row.keys()

    def values(self, without: Iterable[bytes]) -> tuple[list[bytes], list[bytes], dict[int, bytes]]:
        """Keys, values to write and the names that these need, by hash; `without` are left out."""
        for key in without:
            del self._row[key]
        if not self._row:
            return [], [], {}
        rows = np.fromiter(self._row.values(), np.int64, len(self._row))
        values = np.concatenate(self._chunks)[rows]
        data = values.tobytes()
        parts = [data[at : at + _WIDTH] for at in range(0, len(data), _WIDTH)]
        used = np.unique(values["names"]).tolist()
        return list(self._row), parts, {names: self._names[names] for names in used}
