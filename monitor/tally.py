"""Sparse integer sums of one cohort: places (row * width + column) with their values.

Additions are collected and merged now and then, so adding costs what is added, not what is there. What is merged lies
compressed, some 2 bytes a place instead of 16: thousands of cohorts are held, and few of them are looked at.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.packing import Compressed, compress, expand
from monitor.summarise import sum_by_place

Ints = npt.NDArray[np.int64]

MERGE_AT: Final = 4096
"""Collected additions are merged when they outnumber this and half of what is held."""


class Tally:
    """Sums by place. Two tallies with the same sums have the same `items`, however they came about."""

    __slots__ = ("_added", "_held", "_pending", "_size")

    def __init__(self, place: Ints | None = None, value: Ints | None = None) -> None:
        none = np.empty(0, dtype=np.int64)
        self._hold(none if place is None else place, none if value is None else value)
        self._pending: list[tuple[Ints, Ints]] = []
        self._added = 0

    def add(self, place: Ints, value: Ints) -> None:
        """Add values at places; places may repeat."""
        self._pending.append((place, value))
        self._added += len(place)
        if self._added > MERGE_AT and 2 * self._added > self._size:
            self.items()

    def items(self) -> tuple[Ints, Ints]:
        """Places in ascending order and their values, none of them zero."""
        place, value = sums(self._held)
        if self._pending:
            places, values = zip(*self._pending, strict=True)
            place, value = sum_by_place(np.concatenate([place, *places]), np.concatenate([value, *values]))
            self._hold(place, value)
            self._pending.clear()
            self._added = 0
        return place, value

    def compressed(self) -> Compressed:
        """The same, as `sums` reads them."""
        if self._pending:
            self.items()
        return self._held

    def _hold(self, place: Ints, value: Ints) -> None:
        self._size = len(place)
        self._held = compress(np.diff(place, prepend=0), value)


def sums(compressed: Compressed) -> tuple[Ints, Ints]:
    """Places and values of a compressed tally. ValueError if this cannot be one."""
    steps, value = expand(compressed)
    return np.cumsum(steps), value
