"""Values to counts over fixed bins: counts merge by addition, exactly and in any order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import Ints, finite


def bin_counts(
    values: npt.ArrayLike, cuts: npt.ArrayLike, *, series: npt.ArrayLike | None = None, series_count: int = 1
) -> Ints:
    """How many values lie in each bin; int64 counts of shape (series_count, cuts + 1), or (cuts + 1,) without `series`.

    `cuts` are k finite, increasing numbers that part the line into k + 1 bins, [cut, next cut) each; the first and the
    last are open, so that no value is lost (`numpy.histogram` drops what lies outside, and counts the last edge in).
    `values` has shape (n,). `series`, shape (n,), says to which of `series_count` rows each value belongs: one call
    for thousands of series. The same cuts must serve reference and current; cut at quantiles of the reference or at
    round numbers, and never anew for each window.

    Raises ValueError for values or cuts not finite, cuts not increasing, and series outside of range.

    >>> bin_counts([0.05, 0.1, 0.95, 1.0, 7.0], [0.1, 0.5, 1.0]).tolist()
    [1, 1, 1, 2]
    >>> bin_counts([0.2, 0.7, 0.8], [0.5], series=[0, 1, 1], series_count=2).tolist()
    [[1, 0], [0, 2]]
    """
    numbers, limits = finite("values", values), finite("cuts", cuts)
    if limits.ndim != 1 or not np.all(np.diff(limits) > 0):
        raise ValueError(f"cuts: shape {limits.shape}, allowed are strictly increasing numbers of shape (cuts,)")
    if numbers.ndim != 1:
        raise ValueError(f"values: shape {numbers.shape}, allowed is (n,)")
    bins = limits.size + 1
    place = np.searchsorted(limits, numbers, side="right")
    if series is None:
        return np.bincount(place, minlength=bins).astype(np.int64)
    rows = np.asarray(series)
    # An empty list has no integers to show: NumPy takes it for floats.
    if rows.shape != numbers.shape or (rows.size and not np.issubdtype(rows.dtype, np.integer)):
        raise ValueError(f"series: {rows.dtype} of shape {rows.shape}, allowed are integers of shape {numbers.shape}")
    if rows.size and not (rows.min() >= 0 and rows.max() < series_count):
        raise ValueError(f"series: found {rows.min()} to {rows.max()}, allowed is 0 to {series_count - 1}")
    # The caller's type of integer may be too narrow for the product.
    rows = rows.astype(np.int64)
    return np.bincount(rows * bins + place, minlength=series_count * bins).reshape(series_count, bins).astype(np.int64)
