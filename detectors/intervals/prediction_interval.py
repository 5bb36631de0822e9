"""Prediction interval: where the next of some like values will lie, a band for the figures of later chunks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import finite, require_fraction
from detectors.intervals.interval import Interval


def prediction_interval(values: npt.ArrayLike, *, confidence: float = 0.99) -> Interval:
    """mean +- t s sqrt(1 + 1/m), s with divisor m - 1 and t of Student's law with m - 1 degrees of freedom.

    `values` (..., m): a figure of m past chunks of one size; leading axes are series. The figure of one more chunk is
    inside with probability `confidence`, exactly if all are independent and normal with one mean and variance: means of
    many rows of a stream without rhythm. It says nothing of many chunks together, and with few past ones it is wide.
    NaN below two values.

    "Mean +- 3 standard deviations", s with divisor m, is this with t = 3 sqrt((m - 1) / (m + 1)): with 10 chunks a
    false alarm in 42 chunks, not one in 370, as with many.

    Source: Hahn and Meeker 1991, Statistical Intervals, 4.8. Raises ValueError for NaN, infinity, a single number
    without an axis and a confidence outside (0, 1).

    >>> interval = prediction_interval([0.90, 0.92, 0.91, 0.93, 0.89], confidence=0.95)
    >>> interval.lower.round(4).item(), interval.upper.round(4).item()
    (0.8619, 0.9581)
    """
    tail = 0.5 - 0.5 * require_fraction("confidence", confidence)
    figures = finite("values", values)
    if figures.ndim == 0:
        raise ValueError("values: got a single number, allowed is (..., m)")
    m = figures.shape[-1]
    if m < 2:
        nan = np.full(figures.shape[:-1], np.nan)
        return Interval(lower=nan, upper=nan)
    mean = figures.mean(axis=-1)
    half = -scipy.special.stdtrit(m - 1, tail) * np.sqrt(1.0 + 1.0 / m) * figures.std(axis=-1, ddof=1)
    return Interval(lower=np.asarray(mean - half), upper=np.asarray(mean + half))
