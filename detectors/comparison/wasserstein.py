"""Wasserstein-1 (earth mover's) distance of two histograms over the same bins, in the units of the bin edges.

Mass is placed at the middle of its bin, so the result differs from that of the raw values by at most one bin width.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import require_fraction
from detectors.comparison.distance import Distance, cumulative_difference, histograms
from detectors.comparison.minimum_sample import POWER_QUANTILE, current_needed, require_effect


def wasserstein(
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    *,
    edges: npt.ArrayLike,
    alpha: float = 0.05,
    smallest_effect: float = 0.25,
) -> Distance:
    """W1 = sum over neighbouring bins of |F - G| times the distance of their middles.

    `reference` and `current` are counts of shape (..., bins), leading axes broadcast; `edges` are the bins + 1 finite,
    increasing bin edges. It has no sampling law that is free of the distribution: p-value and threshold are NaN;
    `permutation_test` finds them.

    Effect size: W1 in standard deviations of the reference (of its bin middles), infinite where the reference has all
    of its observations in one bin and the current has not. `minimum_sample` is for a permutation test of a mean moved
    by `smallest_effect`: 1.15 times what a test of normal means of level `alpha` needs, by measurement.

    Middles rather than the integral of an interpolated distribution function: the result is then exactly the distance
    of two discrete distributions (SciPy gives the same), a metric, and zero only for equal histograms. Moving mass to
    the middle costs at most half a bin width a side, hence the bound of one (widest) bin width on the error.

    Raises ValueError for negative or non-finite counts and for edges not finite, not increasing or not bins + 1.

    >>> drift = wasserstein([4, 0, 0], [[0, 4, 0], [0, 0, 4], [0, 0, 0]], edges=[0.0, 0.1, 0.2, 0.3])
    >>> drift.statistic.round(6).tolist()
    [0.1, 0.2, nan]
    """
    limits = np.asarray(edges, dtype=np.float64)
    if limits.ndim != 1 or limits.size < 2 or not np.all(np.isfinite(limits)) or not np.all(np.diff(limits) > 0):
        raise ValueError(f"edges: shape {limits.shape}, allowed are at least two finite, strictly increasing numbers")
    return wasserstein_on_points(
        reference,
        current,
        points=0.5 * (limits[:-1] + limits[1:]),
        alpha=alpha,
        smallest_effect=smallest_effect,
    )


def wasserstein_on_points(
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    *,
    points: npt.ArrayLike,
    alpha: float = 0.05,
    smallest_effect: float = 0.25,
) -> Distance:
    """W1 of two discrete distributions with weights `reference` and `current`, shape (..., points), on common `points`.

    Exact. `points` must be finite and increasing. NaN where a side has no weight; p-value and threshold are NaN.
    Formula: W1 = integral of |F - G| (Vallender 1974, Theory of Probability and its Applications 18).

    >>> float(wasserstein_on_points([3, 1], [2, 2], points=[0, 1]).statistic)
    0.25
    """
    require_fraction("alpha", alpha)
    require_effect(smallest_effect)
    where = np.asarray(points, dtype=np.float64)
    pair = histograms(reference, current)
    if where.shape != pair.reference.shape[-1:]:
        raise ValueError(f"points (or middles of the edges): {where.shape}, allowed is {pair.reference.shape[-1:]}")
    steps = np.diff(where)
    if not np.all(np.isfinite(where)) or not np.all(steps > 0):
        raise ValueError("points (or edges): allowed are finite and strictly increasing numbers")
    # Not a matrix product: BLAS rounds a row otherwise with its place in the array, and a replay has to give the same.
    statistic = (np.abs(cumulative_difference(pair)[..., :-1]) * steps).sum(axis=-1)
    statistic = np.where(pair.comparable, statistic, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = pair.reference / pair.reference_total[..., None]
        mean = (share * where).sum(axis=-1)
        deviation = np.sqrt((share * (where - mean[..., None]) ** 2).sum(axis=-1))
        effect_size = np.where(statistic == 0, 0.0, statistic / deviation)
    undefined = np.full_like(statistic, np.nan)
    reached = smallest_effect / (scipy.special.ndtri(1.0 - 0.5 * alpha) + POWER_QUANTILE)
    return Distance(
        statistic=statistic,
        p_value=undefined,
        threshold=undefined,
        effect_size=effect_size,
        minimum_sample=current_needed(pair, reached**2 / 1.15, at_least=25),
    )
