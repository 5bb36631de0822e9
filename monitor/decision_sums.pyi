"""Types of the compiled sums of decisions (decision_sums.pyx)."""

import numpy as np
import numpy.typing as npt

from monitor.layout import Layout
from monitor.rows import DecisionRows

def mark(key: npt.NDArray[np.int64], series_of: npt.NDArray[np.int64], met: npt.NDArray[np.uint8]) -> None:
    """Write 1 into `met` for each series that rows with these codes count in.

    `series_of` has shape (codes, kinds of segments).
    """

def add(
    rows: DecisionRows,
    series_of: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    layout: Layout,
    first_minute: int,
    minutes: int,
    sums: npt.NDArray[np.int64],
) -> None:
    """Add what `monitor.summarise` counts and sums of rows, but for features, to `sums`: (series x minutes, width).

    A row counts in line `place[series] * minutes + minute - first_minute` for each of its series. All rows have to be
    of the minutes from `first_minute` on, scores to be from 0 to 1.
    """
