"""The cells of decisions by the compiled loop (decision_sums.pyx): the same as `monitor.summarise` makes of them.

Where it was not compiled, where features are counted, and where the decisions of a block are spread over so many
minutes that most sums would be zero, it makes none, and `summarise` does.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.blocks import NO_ENTRIES
from monitor.layout import Layout
from monitor.rows import DecisionRows, Ints, Rows
from monitor.summarise import MINUTE_MS, Cells, entries_of

try:
    from monitor import decision_sums as _decision_sums
except ImportError:
    _decision_sums = None  # type: ignore[assignment]

COMPILED: Final = _decision_sums is not None
"""Whether the loop is there."""
SUMS_PER_ROW: Final = 256
"""Looking through so many sums takes as long as counting a row column by column."""


def series_met(rows: Rows, series_of: Ints, series: int) -> list[int]:
    """Which of so many series rows count in, ascending; `series_of` has shape (codes, kinds of segments)."""
    met = np.zeros(series, dtype=np.bool_)
    if COMPILED:
        _decision_sums.mark(rows.key, series_of, met.view(np.uint8))
    else:
        met[series_of[rows.key]] = True
    return np.flatnonzero(met).tolist()


def decision_cells(rows: DecisionRows, series_of: Ints, place: Ints, series: int, layout: Layout) -> Cells | None:
    """The cells of rows that count in so many `series`, each of which has its `place` in the block."""
    if not COMPILED or layout.features or not len(rows.key):
        return None
    first_minute, last_minute = (int(edge) // MINUTE_MS for edge in (rows.occurred_ms.min(), rows.occurred_ms.max()))
    minutes = last_minute - first_minute + 1
    if series * minutes * layout.width > SUMS_PER_ROW * len(rows.key):
        return None
    sums = np.zeros((series * minutes, layout.width), dtype=np.int64)
    _decision_sums.add(rows, series_of, place, layout, first_minute, minutes, sums)
    cells = np.flatnonzero(sums[:, layout.actions.columns].any(axis=1))  # a decision has one action
    if len(cells) < len(sums):
        sums = sums[cells]
    told = np.flatnonzero(sums)
    cohort = entries_of(told, sums.ravel()[told], layout.width)
    return Cells(cells // minutes, cells % minutes + first_minute, cohort, arrival=NO_ENTRIES)
