"""Sparse integer sums of one cohort: places (row * width + column) with their values.

Additions are collected and merged now and then, so adding costs what is added, not what is there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.summarise import sum_by_place

Ints = npt.NDArray[np.int64]

MERGE_AT: Final = 4096
"""Collected additions are merged when they outnumber this and half of what is held."""


class Tally:
    """Sums by place. Two tallies with the same sums have the same `items`, however they came about."""

    __slots__ = ("_added", "_pending", "_place", "_value")

    def __init__(self, place: Ints | None = None, value: Ints | None = None) -> None:
        self._place = np.empty(0, dtype=np.int64) if place is None else place
        self._value = np.empty(0, dtype=np.int64) if value is None else value
        self._pending: list[tuple[Ints, Ints]] = []
        self._added = 0

    def add(self, place: Ints, value: Ints) -> None:
        """Add values at places; places may repeat."""
        self._pending.append((place, value))
        self._added += len(place)
        if self._added > MERGE_AT and 2 * self._added > len(self._place):
            self._merge()

    def items(self) -> tuple[Ints, Ints]:
        """Places in ascending order and their values, none of them zero."""
        self._merge()
        return self._place, self._value

    def _merge(self) -> None:
        if self._pending:
            places, values = zip(*self._pending, strict=True)
            self._place, self._value = sum_by_place(
                np.concatenate([self._place, *places]), np.concatenate([self._value, *values])
            )
            self._pending.clear()
            self._added = 0
