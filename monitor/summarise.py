"""A block's accepted rows to its summary: integer sums per cell, the same however the records arrived.

Pure: the summary depends on the records of the block, on the ids of the blocks of its duplicate horizon and on the
configuration. The open block keeps its rows and is summarised anew each time; it never adds to an earlier summary.

A cell is a series in a minute. A row counts in one cell for each kind of segment, so that what the ledger folds grows
with the number of series, not with that of the combinations of languages, regions and so on.
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
from monitor.packing import pack
from monitor.rows import DecisionRows, FeedbackRows, Rows
from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS

Ints = npt.NDArray[np.int64]

MINUTE_MS: Final = 60_000
DENSE_LIMIT: Final = 4_000_000
"""Up to so many places sums are taken in a dense array (32 MB), beyond by sorting."""
DENSE_PER_ENTRY: Final = 32
"""Sorting an entry takes as long as looking through so many places of a dense array."""
EXACT: Final = 2**53
"""Integers up to this are sums that a double holds exactly."""

GROUPS: Final[dict[str, Callable[[Layout], Group] | None]] = {
    DECISIONS.topic: None,
    REVIEWS.topic: lambda layout: layout.reviews,
    APPEALS.topic: lambda layout: layout.appeals,
    REPORTS.topic: lambda layout: layout.reports,
    LAUNCHES.topic: None,
}
"""Column group that the rows of a topic count in; decisions have several."""

MISSING: Final = 0
OUT_OF_RANGE: Final = 1
FIRST_BIN: Final = 2
"""Columns of a feature group: missing, out of range, then the bins. A value out of range has a bin as well."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one model in one block, by series and minute, and their sums."""

    series: Ints
    minute: Ints
    cohort: Entries
    arrival: Entries


class Sums:
    """Collects (cell, column) places with values; the order in which they are added does not matter.

    Arrays of cells may have several lines, one for each kind of segment; columns and values are those of one line.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._counted: list[Ints] = []
        self._summed: list[tuple[Ints, Ints]] = []

    def count(self, cell: Ints, column: Ints) -> None:
        """Add one at each place."""
        self._counted.append((cell * self._width + column).ravel())

    def add(self, cell: Ints, column: Ints | int, value: Ints) -> None:
        """Add `value` at each place."""
        place = cell * self._width + column
        self._summed.append((place.ravel(), np.broadcast_to(value, place.shape).ravel()))

    def add_wide(self, cell: Ints, group: Group, column: Ints | int, value: Ints) -> None:
        """Add `value` to the sums of a wide group; `column` counts among its high limbs."""
        self.add(cell, group.start + column, value >> LIMB_BITS)
        self.add(cell, group.start + group.width // 2 + column, value & (2**LIMB_BITS - 1))

    def entries(self, cells: int) -> Entries:
        """The sums that are not zero, ordered by cell, then column."""
        return entries_of(*self._reduce(cells * self._width), self._width)

    def _reduce(self, size: int) -> tuple[Ints, Ints]:
        counted = np.concatenate(self._counted) if self._counted else np.empty(0, dtype=np.int64)
        if size <= DENSE_LIMIT:
            dense = np.bincount(counted, minlength=size).astype(np.int64, copy=False)
            if self._summed:
                place, value = (np.concatenate(told) for told in zip(*self._summed, strict=True))
                dense += dense_sums(place, value, size)
            places = np.flatnonzero(dense)
            return places, dense[places]
        place = np.concatenate([counted, *(place for place, _ in self._summed)])
        value = np.concatenate([np.ones(len(counted), dtype=np.int64), *(value for _, value in self._summed)])
        return sum_by_place(place, value)


def entries_of(place: Ints, value: Ints, width: int) -> Entries:
    """Sums at places of cells of `width` columns, in the order of the places."""
    return Entries(pack(place // width), pack(place % width), pack(value))


def dense_sums(place: Ints, value: Ints, size: int) -> Ints:
    """Sums of the values at each of `size` places. Exact: by doubles, which is fastest, only where they hold it."""
    bound = max(int(value.max()), -int(value.min())) * len(value) if len(value) else 0
    if bound < EXACT:
        return np.bincount(place, weights=value, minlength=size).astype(np.int64)
    dense = np.zeros(size, dtype=np.int64)
    np.add.at(dense, place, value)
    return dense


def sums_of(place: Ints, value: Ints, size: int) -> tuple[Ints, Ints]:
    """Sum values of equal places below `size`, as `sum_by_place`, in the way that is faster for so many."""
    if size > min(DENSE_LIMIT, DENSE_PER_ENTRY * len(place)):
        return sum_by_place(place, value)
    dense = dense_sums(place, value, size)
    places = np.flatnonzero(dense)
    return places, dense[places]


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


def number(code: Ints, size: int) -> tuple[Ints, Ints]:
    """Number distinct codes below `size` in ascending order: the codes, and the number of each entry of `code`."""
    if size > DENSE_LIMIT:
        distinct, of_each = np.unique(code, return_inverse=True)
        return distinct, of_each.reshape(code.shape)
    distinct = np.flatnonzero(np.bincount(code.ravel(), minlength=size))
    place = np.empty(size, dtype=np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[code]


def fixed(values: npt.NDArray[np.float64], unit: float) -> Ints:
    """Fixed-point integers: `values` in multiples of `unit`, rounded to the nearest."""
    return np.rint(values / unit).astype(np.int64)


def summarise(rows: Rows, series: Ints, group: Callable[[Layout], Group] | None, layout: Layout) -> Cells:
    """Sums per cell of one model's rows.

    `series` numbers the series that each row counts in, shape (kinds, rows). `group` picks the column group of
    feedback; None for decisions.
    """
    minute = rows.occurred_ms // MINUTE_MS
    arrival = Sums(layout.width)
    if isinstance(rows, DecisionRows):
        cell, numbers, minutes = _number_cells(series, minute)
        cohort = _decision_sums(rows, cell, layout)
    elif isinstance(rows, FeedbackRows) and group is not None:
        labelled = rows.verdict >= 0
        both = np.concatenate([minute, rows.timestamp_ms[labelled] // MINUTE_MS])
        cell, numbers, minutes = _number_cells(np.concatenate([series, series[:, labelled]], axis=1), both)
        decided, arrived = cell[:, : len(minute)], cell[:, len(minute) :]
        cohort = Sums(layout.width)
        cohort.count(decided, group(layout).start + rows.column)
        _add_labels(cohort, rows, decided[:, labelled], layout)
        _add_labels(arrival, rows, arrived, layout)
    else:
        raise TypeError(f"summarise: expected decision rows, or feedback rows with a group, got {type(rows).__name__}")
    return Cells(numbers, minutes, cohort.entries(len(numbers)), arrival.entries(len(numbers)))


def _number_cells(series: Ints, minute: Ints) -> tuple[Ints, Ints, Ints]:
    """Number the (series, minute) pairs in their order: the cell of each entry, and series and minute of each cell."""
    if not minute.size:
        return series, minute, minute
    begin = int(minute.min())
    minutes, of_row = number(minute - begin, int(minute.max()) - begin + 1)
    cells, cell = number(series * len(minutes) + of_row, (int(series.max()) + 1) * len(minutes))
    return cell, cells // len(minutes), minutes[cells % len(minutes)] + begin


def _decision_sums(rows: DecisionRows, cell: Ints, layout: Layout) -> Sums:
    sums = Sums(layout.width)
    sums.count(cell, layout.actions.start + rows.column)
    sums.count(cell, layout.score.start + np.searchsorted(layout.score_edges, rows.score, side="left"))
    sums.add_wide(cell, layout.score_sum, 0, fixed(rows.score, SCORE_UNIT))
    told = ~np.isnan(rows.latency)
    if told.any():
        latency, own = rows.latency[told], cell[:, told]
        sums.count(own, layout.latency.start + np.searchsorted(layout.latency_edges, latency, side="left"))
        sums.add(own, layout.latency_sum.start, fixed(latency, LATENCY_UNIT))
    for feature, group in zip(layout.features, layout.feature_groups, strict=True):
        missing, outside, bins = _feature_columns(feature, rows)
        sums.count(cell[:, missing], np.full(int(missing.sum()), group.start + MISSING))
        sums.count(cell[:, outside], np.full(int(outside.sum()), group.start + OUT_OF_RANGE))
        present = ~missing
        sums.count(cell[:, present], group.start + FIRST_BIN + bins[present])
    return sums


def _feature_columns(feature: Feature, rows: DecisionRows) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Ints]:
    """(missing, out of range, bin) of each row. A value of the wrong type is out of range and has the last bin."""
    if rows.features is None:
        nothing = np.zeros(len(rows.key), dtype=np.bool_)
        return ~nothing, nothing, np.zeros(len(rows.key), dtype=np.int64)
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
    """Count and weigh the labels of known inclusion probability; `cell` has one column a labelled row."""
    labelled = rows.verdict >= 0
    positive = np.array([action in layout.positive_actions for action in ACTIONS], dtype=np.int64)
    column = 2 * positive[rows.action[labelled]] + rows.verdict[labelled]
    weight = 1.0 / rows.probability[labelled]
    sums.count(cell, layout.labels.start + column)
    sums.add_wide(cell, layout.weights, column, fixed(weight, WEIGHT_UNIT))
    sums.add_wide(cell, layout.squared_weights, column, fixed(weight * weight, SQUARED_WEIGHT_UNIT))
