"""Two-sample Cramer-von Mises test of two histograms over the same ordered bins.

It adds up the difference of the distribution functions over all of their range, so it sees a broad, small shift that
Kolmogorov-Smirnov, which looks at the one largest difference, misses.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, require_fraction
from detectors.comparison.distance import Distance, cumulative_difference, histograms
from detectors.comparison.minimum_sample import POWER_QUANTILE, current_needed, require_effect

_TERMS = np.arange(20.0)[:, None]
_FACTORS = np.abs(scipy.special.binom(-0.5, _TERMS)) * np.sqrt(4.0 * _TERMS + 1.0)
_SERIES_UP_TO = 3.0


def cramer_von_mises(
    reference: npt.ArrayLike, current: npt.ArrayLike, *, alpha: float = 0.05, smallest_effect: float = 0.05
) -> Distance:
    """T = nm / (n + m) integral of (F - G)^2 dH, where H is the distribution of both samples together.

    `reference` and `current` are counts of shape (..., bins) in the order of the bins; leading axes broadcast. Over a
    bin the integrand is the mean of its values at both edges. Where each bin holds one observation this is the classic
    statistic to the last digit (Anderson 1962, Annals of Mathematical Statistics 33); with ties it is 0 for equal
    histograms, and does not change if the order of the bins is turned, neither of which the formula in ranks offers.

    The p-value is that of the limiting law (Anderson and Darling 1952, ibid. 23) at T with its exact mean and variance
    for n and m put right, good from 10 observations a side. Equal bins hardly touch it,
    unlike KS: measured at a nominal 5 %, from 2 to 256 bins and 50 to 1000 a side, 4.6 to 5.8 %. One bin that holds
    90 % of all makes it conservative (.2 %).

    Effect size: sqrt(T (1/n + 1/m)), the root mean square of F - G; a normal mean shifted by .17 standard deviations
    has .05. `minimum_sample` takes the shift for as broad as it can be, the least favourable case (measured
    power 79 to 80 %). Errors as `chi_square`.

    >>> drift = cramer_von_mises([50, 30, 20], [[50, 30, 20], [20, 30, 50], [0, 0, 0]])
    >>> drift.statistic.round(4).tolist(), drift.p_value.round(5).tolist()
    ([0.0, 2.925, nan], [1.0, 0.0, nan])
    """
    require_fraction("alpha", alpha)
    require_effect(smallest_effect)
    pair = histograms(reference, current)
    difference = cumulative_difference(pair)
    squares = difference**2
    before = np.concatenate([np.zeros_like(squares[..., :1]), squares[..., :-1]], axis=-1)
    n, m = pair.reference_total, pair.current_total
    both = n + m
    with np.errstate(divide="ignore", invalid="ignore"):
        together = (pair.reference + pair.current) / both[..., None]
        squared_effect = (together * 0.5 * (squares + before)).sum(axis=-1)
        squared_effect = np.where(pair.comparable, squared_effect, np.nan)
        statistic = squared_effect / pair.sampling_scale
        mean = (1.0 + 1.0 / both) / 6.0
        variance = (both + 1.0) * (4.0 * n * m * both - 3.0 * (n**2 + m**2) - 2.0 * n * m)
        spread = np.sqrt(np.where(pair.comparable, variance / (4.0 * both**2 * n * m), np.nan))
    # With one or two observations the variance is not positive; there is no law to speak of.
    spread = np.where(spread > 0, spread, np.nan)
    limit = critical_value(alpha)
    reached = smallest_effect**2 / _detectable(limit)
    return Distance(
        statistic=statistic,
        p_value=limit_tail((statistic - mean) / spread + 1.0 / 6.0),
        threshold=(limit - 1.0 / 6.0) * spread + mean,
        effect_size=np.sqrt(squared_effect),
        minimum_sample=current_needed(pair, reached, at_least=10),
    )


def limit_tail(x: npt.ArrayLike) -> Floats:
    """P(W > x) for W = integral of a squared Brownian bridge, the limiting law of the statistic; shape of `x`.

    Series of Anderson and Darling with Bessel functions up to 3, and beyond it the first term of the expansion at
    infinity, right to 1 % of its value there (1e-7 and less). 1 for x <= 0.

    >>> limit_tail([0.34730, 0.46136, 0.74346, 1.16786]).round(5).tolist()
    [0.1, 0.05, 0.01, 0.001]
    """
    values = np.asarray(x, dtype=np.float64)
    flat = values.reshape(1, -1)
    within = np.clip(flat, 1e-3, _SERIES_UP_TO)
    argument = (4.0 * _TERMS + 1.0) ** 2 / (16.0 * within)
    # kve is exp(z) K(z): the two exponentials of the formula become one.
    below = (_FACTORS * np.exp(-2.0 * argument) * scipy.special.kve(0.25, argument)).sum(axis=0) / (
        np.pi * np.sqrt(within[0])
    )
    far = np.sqrt(2.0) * scipy.special.erfc(np.pi * np.sqrt(np.maximum(flat[0], 0.0) / 2.0))
    tail = np.where(flat[0] <= _SERIES_UP_TO, np.clip(1.0 - below, 0.0, 1.0), far)
    return np.where(np.isnan(flat[0]), np.nan, tail).reshape(values.shape)


@lru_cache(maxsize=256)
def critical_value(alpha: float) -> float:
    """x with P(W > x) = `alpha`, by bisection.

    >>> round(critical_value(0.05), 5)
    0.46136
    """
    low, high = 0.0, 1.0
    while float(limit_tail(high)) > alpha:
        high *= 2.0
    while high - low > 1e-12 * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if float(limit_tail(middle)) > alpha else (low, middle)
    return high


def _detectable(limit: float) -> float:
    """x, the squared effect over 1/n + 1/m, from which on T exceeds `limit` with probability .8.

    A shift of the broadest kind adds x to the mean of T, 1/6, and 4 x / pi^2 to its variance, 1/45: the quadratic
    equation x + 1/6 - z sqrt(4 x / pi^2 + 1/45) = limit. Shifts of finer shape add less variance.
    """
    excess, slope, z = limit - 1.0 / 6.0, 4.0 / np.pi**2, POWER_QUANTILE
    half = excess + 0.5 * z**2 * slope
    return float(half + np.sqrt(half**2 - excess**2 + z**2 / 45.0))
