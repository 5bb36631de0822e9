"""Hotelling's T^2: did the mean of the embeddings move, measured along all directions by their own spread?

It needs more vectors than dimensions by far; where it has not, `mean_shift` still works.
"""

from __future__ import annotations

import numpy as np
import scipy

from detectors.arrays import require_fraction
from detectors.comparison import Distance
from detectors.comparison.minimum_sample import POWER, require_effect
from detectors.embedding.moments import Moments, pooled_covariance


def hotelling(reference: Moments, current: Moments, *, alpha: float = 0.05, smallest_effect: float = 0.5) -> Distance:
    """T^2 = nm / (n + m) D^2 with D^2 = (m1 - m2)^T S^-1 (m1 - m2), S the pooled covariance; arrays of shape ().

    Without a shift (n + m - d - 1) / ((n + m - 2) d) T^2 is F with d and n + m - d - 1 degrees of freedom (Hotelling
    1931), exactly for normal vectors with one covariance, and nearly so for others from some n, m = 10 d; unequal
    covariances matter little at n = m, and much where the smaller sample spreads more.

    Effect size: D, the distance in standard deviations (Mahalanobis); biased upward, D^2 by about d (1/n + 1/m).
    `minimum_sample`: the least m for a true D of `smallest_effect`, by the noncentral F.

    Undefined (NaN) where n + m < d + 2 or where S has no inverse (a constant or copied dimension). ValueError for
    dimensions that differ and for fewer than two vectors on a side.

    >>> from detectors.embedding import moments
    >>> rng = np.random.default_rng(1)
    >>> found = hotelling(moments(rng.normal(size=(300, 4))), moments(rng.normal(0.3, 1.0, (200, 4))))
    >>> bool(found.p_value < 0.001), float(found.minimum_sample)
    (True, 58.0)
    """
    require_fraction("alpha", alpha)
    require_effect(smallest_effect)
    covariance = pooled_covariance(reference, current)
    n, m, d = reference.count, current.count, reference.dimension
    needed = np.float64(_needed(n, d, alpha=alpha, effect=smallest_effect))
    spare = n + m - d - 1
    spread = np.sqrt(np.diag(covariance))
    if spare < 1 or not np.all(spread > 0):
        return _undefined(needed)
    # Scaled to correlations: units of the dimensions then do not decide what counts as singular.
    correlation = covariance / np.outer(spread, spread)
    values, vectors = np.linalg.eigh(correlation)
    if values[0] <= values[-1] * d * np.finfo(np.float64).eps:
        return _undefined(needed)
    along = vectors.T @ ((reference.mean - current.mean) / spread)
    squared = float((along**2 / values).sum())
    statistic = squared * n * m / (n + m)
    to_f = spare / ((n + m - 2.0) * d)
    return Distance(
        statistic=np.asarray(statistic),
        p_value=np.asarray(scipy.special.fdtrc(d, spare, statistic * to_f)),
        threshold=np.asarray(scipy.special.fdtri(d, spare, 1.0 - alpha) / to_f),
        effect_size=np.asarray(np.sqrt(squared)),
        minimum_sample=np.asarray(needed),
    )


def _undefined(needed: np.float64) -> Distance:
    nan = np.asarray(np.nan)
    return Distance(statistic=nan, p_value=nan, threshold=nan, effect_size=nan, minimum_sample=np.asarray(needed))


def _needed(n: int, d: int, *, alpha: float, effect: float) -> float:
    """The least m with power POWER at a distance of `effect`; infinite where no m has it."""

    def power(m: float) -> float:
        spare = n + m - d - 1
        critical = float(scipy.special.fdtri(d, spare, 1.0 - alpha))
        return float(1.0 - scipy.special.ncfdtr(d, spare, effect**2 * n * m / (n + m), critical))

    # Upward, and only what is reached counts: SciPy's function is NaN at some of its arguments.
    low = float(max(1, d + 1 - n))
    high = low + 1.0
    while not power(high) >= POWER:
        if high >= 1e9:
            return float("inf")
        low, high = high, min(2.0 * high, 1e9)
    while high - low > 1.0:
        middle = float(np.floor(0.5 * (low + high)))
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
