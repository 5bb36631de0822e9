"""A block's accepted rows to its summary: integer sums per cell, the same however the records arrived.

Pure: the summary depends on the records of the block, on the ids of the blocks of its duplicate horizon and on the
configuration. The open block keeps its rows and is summarised anew each time; it never adds to an earlier summary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.blocks import Entries
from monitor.layout import (
    ACTIONS,
    LATENCY_UNIT,
    LIMB_BITS,
    SCORE_UNIT,
    SQUARED_WEIGHT_UNIT,
    WEIGHT_UNIT,
    CategoricalFeature,
    Feature,
    Group,
    Layout,
)
from monitor.packing import Packed, pack
from monitor.rows import DecisionRows, FeedbackRows, Rows

Ints = npt.NDArray[np.int64]

MINUTE_MS: Final = 60_000
DENSE_LIMIT: Final = 4_000_000
"""Up to so many (cell, column) places sums are taken in a dense array (32 MB), beyond by sorting."""

MISSING: Final = 0
OUT_OF_RANGE: Final = 1
FIRST_BIN: Final = 2
"""Columns of a feature group: missing, out of range, then the bins. A value out of range has a bin as well."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one model in one block, and their sums."""

    key: Packed
    minute: Packed
    cohort: Entries
    arrival: Entries


class Sums:
    """Collects (cell, column) places with values; the order in which they are added does not matter."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._counted: list[Ints] = []
        self._summed: list[tuple[Ints, Ints]] = []

    def count(self, cell: Ints, column: Ints) -> None:
        """Add one at each place."""
        self._counted.append(cell * self._width + column)

    def add(self, cell: Ints, column: Ints | int, value: Ints) -> None:
        """Add `value` at each place."""
        self._summed.append((cell * self._width + column, value))

    def add_wide(self, cell: Ints, group: Group, column: Ints | int, value: Ints) -> None:
        """Add `value` to the sums of a wide group; `column` counts among its high limbs."""
        self.add(cell, group.start + column, value >> LIMB_BITS)
        self.add(cell, group.start + group.width // 2 + column, value & (2**LIMB_BITS - 1))

    def entries(self, cells: int) -> Entries:
        """The sums that are not zero, ordered by cell, then column."""
        place, value = self._reduce(cells * self._width)
        return Entries(pack(place // self._width), pack(place % self._width), pack(value))

    def _reduce(self, size: int) -> tuple[Ints, Ints]:
        counted = np.concatenate(self._counted) if self._counted else np.empty(0, dtype=np.int64)
        if size <= DENSE_LIMIT:
            dense = np.bincount(counted, minlength=size).astype(np.int64, copy=False)
            for place, value in self._summed:
                np.add.at(dense, place, value)
            places = np.flatnonzero(dense)
            return places, dense[places]
        place = np.concatenate([counted, *(place for place, _ in self._summed)])
        value = np.concatenate([np.ones(len(counted), dtype=np.int64), *(value for _, value in self._summed)])
        return sum_by_place(place, value)


def sum_by_place(place: Ints, value: Ints) -> tuple[Ints, Ints]:
    """Sum values of equal places; returns the places in ascending order with their sums, without zero sums."""
    if place.size == 0:
        return place, value
    order = np.argsort(place, kind="stable")
    place, value = place[order], value[order]
    starts = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
    sums = np.add.reduceat(value, starts)
    keep = sums != 0
    return place[starts][keep], sums[keep]


def fixed(values: npt.NDArray[np.float64], unit: float) -> Ints:
    """Fixed-point integers: `values` in multiples of `unit`, rounded to the nearest."""
    return np.rint(values / unit).astype(np.int64)


def summarise(rows: Rows, group: Callable[[Layout], Group] | None, layout: Layout) -> Cells:
    """Sums per cell of one model's rows. `group` picks the column group of feedback; None for decisions."""
    minute = rows.occurred_ms // MINUTE_MS
    if isinstance(rows, DecisionRows):
        cell, keys, minutes = _number_cells(rows.key, minute)
        cohort = _decision_sums(rows, cell, layout)
        arrival = Sums(layout.width)
    elif isinstance(rows, FeedbackRows) and group is not None:
        labelled = rows.verdict >= 0
        both = np.concatenate([minute, rows.timestamp_ms[labelled] // MINUTE_MS])
        cell, keys, minutes = _number_cells(np.concatenate([rows.key, rows.key[labelled]]), both)
        cohort = Sums(layout.width)
        cohort.count(cell[: len(minute)], group(layout).start + rows.column)
        _add_labels(cohort, rows, cell[: len(minute)][labelled], layout)
        arrival = Sums(layout.width)
        _add_labels(arrival, rows, cell[len(minute) :], layout)
    else:
        raise TypeError(f"summarise: expected decision rows, or feedback rows with a group, got {type(rows).__name__}")
    return Cells(pack(keys), pack(minutes), cohort.entries(len(keys)), arrival.entries(len(keys)))


def _number_cells(key: Ints, minute: Ints) -> tuple[Ints, Ints, Ints]:
    """Number the distinct (key, minute) pairs in their order: the cell of each row, and key and minute of each cell."""
    order = np.lexsort((minute, key))
    key, minute = key[order], minute[order]
    new = np.r_[True, (key[1:] != key[:-1]) | (minute[1:] != minute[:-1])] if len(key) else np.empty(0, dtype=np.bool_)
    cell = np.empty(len(key), dtype=np.int64)
    cell[order] = np.cumsum(new) - 1
    return cell, key[new], minute[new]


def _decision_sums(rows: DecisionRows, cell: Ints, layout: Layout) -> Sums:
    sums = Sums(layout.width)
    sums.count(cell, layout.actions.start + rows.column)
    sums.count(cell, layout.score.start + np.searchsorted(layout.score_edges, rows.score, side="left"))
    sums.add_wide(cell, layout.score_sum, 0, fixed(rows.score, SCORE_UNIT))
    told = ~np.isnan(rows.latency)
    if told.any():
        latency = rows.latency[told]
        bins = np.searchsorted(layout.latency_edges, latency, side="left")
        sums.count(cell[told], layout.latency.start + bins)
        sums.add(cell[told], layout.latency_sum.start, fixed(latency, LATENCY_UNIT))
    for feature, group in zip(layout.features, layout.feature_groups, strict=True):
        missing, outside, bins = _feature_columns(feature, rows)
        sums.count(cell[missing], np.full(int(missing.sum()), group.start + MISSING))
        sums.count(cell[outside], np.full(int(outside.sum()), group.start + OUT_OF_RANGE))
        present = ~missing
        sums.count(cell[present], group.start + FIRST_BIN + bins[present])
    return sums


def _feature_columns(feature: Feature, rows: DecisionRows) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Ints]:
    """(missing, out of range, bin) of each row. A value of the wrong type is out of range and has the last bin."""
    values = [None if told is None else told.get(feature.name) for told in rows.features]
    missing = np.array([value is None for value in values], dtype=np.bool_)
    if isinstance(feature, CategoricalFeature):
        places = {category: index for index, category in enumerate(feature.categories)}
        last = len(feature.categories)
        bins = np.array(
            [places.get(value, last) if isinstance(value, str) else last for value in values], dtype=np.int64
        )
        return missing, ~missing & (bins == last), bins
    numbers = np.array([value if isinstance(value, float) else np.nan for value in values], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        outside = ~missing & ~((numbers >= feature.low) & (numbers <= feature.high))
    bins = np.searchsorted(np.asarray(feature.edges), np.where(np.isnan(numbers), np.inf, numbers), side="left")
    return missing, outside, bins.astype(np.int64)


def _add_labels(sums: Sums, rows: FeedbackRows, cell: Ints, layout: Layout) -> None:
    """Count and weigh the labels of known inclusion probability; `cell` has one entry a labelled row."""
    labelled = rows.verdict >= 0
    positive = np.array([action in layout.positive_actions for action in ACTIONS], dtype=np.int64)
    column = 2 * positive[rows.action[labelled]] + rows.verdict[labelled]
    weight = 1.0 / rows.probability[labelled]
    sums.count(cell, layout.labels.start + column)
    sums.add_wide(cell, layout.weights, column, fixed(weight, WEIGHT_UNIT))
    sums.add_wide(cell, layout.squared_weights, column, fixed(weight * weight, SQUARED_WEIGHT_UNIT))
