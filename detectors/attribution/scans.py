"""Tests of every segment at once: did its rate change, did its share change, beyond what a model of cells expects?

Both give each segment a signed z whose square is (close to) a likelihood ratio, so that segments of any size, parent
and child, are compared by how much of the data they explain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, Ints
from detectors.attribution.crossings import Crossings
from detectors.estimation import hajek


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One number for each segment: `effect` (of rates: difference; of shares: log odds ratio), its error, `z`.

    NaN where a segment cannot be tested: too few labels, or nothing outside it.
    """

    effect: Floats
    standard_error: Floats
    z: Floats


@dataclass(frozen=True, slots=True, eq=False)
class RateSums:
    """Cells of two windows, (2, cells): weights and squares by verdict, and the rate that a model expects."""

    positive: Floats
    negative: Floats
    square_positive: Floats
    square_negative: Floats
    expected: Floats


def scan_rates(sums: RateSums, found: Crossings, *, least_labels: float) -> Scan:
    """effect = mean over strata of (r1 - e1) - (r0 - e0): a segment's rate in each window against what is expected.

    Expectations standardise: a change of mix inside a segment moves r and e alike. Strata (versions and reviewers) are
    compared each with itself, because what is expected of a new version is known from the current window alone; one
    that a window does not have says nothing. Weights are Mantel and Haenszel's, n0 n1 / (n0 + n1), effective labels.
    z is the signed root of the likelihood ratio of two binomials with the sizes and the difference that result: its
    tails hold where verdicts of one kind are few. The error is that of a difference of proportions.
    """
    labels = sums.positive + sums.negative
    rows = found.sums_by_stratum(
        *sums.positive, *sums.negative, *sums.square_positive, *sums.square_negative, *(labels * sums.expected)
    ).reshape(5, 2, len(found.values), -1)
    estimate = hajek(rows[0], rows[1], square_violating=rows[2], square_benign=rows[3])
    size, weight = estimate.interval_n, rows[0] + rows[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = estimate.estimate - rows[4] / weight
        pair = np.where((size > 0).all(axis=0), size[0] * size[1] / (size[0] + size[1]), 0.0)
        both = pair.sum(axis=-1)
        effect = np.where(pair > 0, pair * (excess[1] - excess[0]), 0.0).sum(axis=-1) / both
        middle = np.where(pair > 0, pair * rows[4].sum(axis=0) / weight.sum(axis=0), 0.0).sum(axis=-1) / both
        ratio = size.sum(axis=-1) / size.sum(axis=-1)[::-1]
        sizes = both * (1.0 + ratio)
        # Both rates around the expected one, the better known one nearer to it.
        part = np.stack([-sizes[1], sizes[0]]) / sizes.sum(axis=0)
        adjusted = np.clip(middle + part * effect, 0.0, 1.0)
        pooled = (sizes * adjusted).sum(axis=0) / sizes.sum(axis=0)
        likelihood = 2.0 * (sizes * _divergence(adjusted, pooled)).sum(axis=0)
        # Half a label of either verdict: an error of 0 would be a lie where all labels agree.
        spread = (sizes * adjusted + 0.5) * (sizes * (1.0 - adjusted) + 0.5) / (sizes + 1.0) ** 2
        error = np.sqrt((spread / sizes).sum(axis=0))
    usable = (np.where(pair > 0, estimate.effective_n, 0.0).sum(axis=-1) >= least_labels).all(axis=0)
    z = np.sign(effect) * np.sqrt(np.maximum(likelihood, 0.0))
    return Scan(*(np.where(usable, values, np.nan) for values in (effect, error, z)))


def scan_shares(observed: Floats, variance: Floats, *, expected: Floats, whole: Ints, found: Crossings) -> Scan:
    """effect = log odds of a segment in its whole, current against reference, beyond the same of what is `expected`.

    `observed`, `variance` (of each cell's sum) and `expected` are (2, cells); `whole` (segments,) is the row of the
    segment that each one is a share of. Half of a mean unit (variance over sum) is added on either side.
    """
    rows = found.sums(*observed, *variance, *expected).reshape(3, 2, -1)
    inside, outside = rows, np.maximum(rows[:, :, whole] - rows, 0.0)
    unit = half_unit(observed, variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.log((inside[0] + unit) / (outside[0] + unit)) - np.log((inside[2] + unit) / (outside[2] + unit))
        spread = sum(
            (side[1] + 2.0 * unit**2) / (side[0] + unit) ** 2 for side in (inside, outside)
        )  # Variances of the logarithms of two independent sums.
        effect, error = odds[1] - odds[0], np.sqrt(np.sum(spread, axis=0))
    seen = ((inside[0] + inside[2]) > 0).any(axis=0) & ((outside[0] + outside[2]) > 1e-9 * rows[0]).any(axis=0)
    effect, error = np.where(seen, effect, np.nan), np.where(seen, error, np.nan)
    return Scan(effect=effect, standard_error=error, z=effect / error)


def half_unit(observed: Floats, variance: Floats) -> Floats:
    """Half of what one decision or label adds to a sum, on average, in each window, (2, 1)."""
    found: Floats = 0.5 * variance.sum(axis=1, keepdims=True) / np.maximum(observed.sum(axis=1, keepdims=True), 1e-300)
    return found


def log_p_value(z: npt.ArrayLike) -> Floats:
    """Logarithm of the two-sided normal p-value, which has no smallest value."""
    found: Floats = np.log(2.0) + scipy.special.log_ndtr(-np.abs(np.asarray(z, dtype=np.float64)))
    return found


def _divergence(share: Floats, other: Floats) -> Floats:
    found: Floats = scipy.special.rel_entr(share, other) + scipy.special.rel_entr(1.0 - share, 1.0 - other)
    return found
