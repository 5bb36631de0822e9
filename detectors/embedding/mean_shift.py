"""Did the mean of the vectors move? A test by plain distance that needs no inverse, so it works for n below d.

The law is that of a weighted sum of chi-squares with the eigenvalues of the covariance as weights: embeddings have few
large ones, and a normal approximation would then reject far too often.
"""

from __future__ import annotations

import numpy as np
import scipy

from detectors.arrays import require_fraction
from detectors.comparison import Distance
from detectors.comparison.minimum_sample import noncentrality, require_effect
from detectors.embedding.moments import Moments, pooled_covariance


def mean_shift(reference: Moments, current: Moments, *, alpha: float = 0.05, smallest_effect: float = 0.1) -> Distance:
    """|m1 - m2|^2 less its mean without a shift, tr(S1)/n + tr(S2)/m: an unbiased estimate of the squared distance.

    Arrays of shape (). The statistic may be negative. Under no shift |m1 - m2|^2 / (1/n + 1/m) is a sum of chi-squares
    weighted with the eigenvalues of S; it is taken for the chi-square with the same first three moments, which follow
    from traces of S, S^2, S^3 (Hall 1983, Buckley and Eagleson 1988, Australian Journal of Statistics 30). The traces
    are corrected for the noise in S as for normal vectors. Needs one covariance on both sides where n and m differ.

    Effect size: distance of the means in units of the total standard deviation sqrt(tr S), 0 where the estimate of its
    square is negative. `minimum_sample`: the least m for an effect of `smallest_effect`, as if it lay evenly over the
    directions; a shift along the largest eigenvector needs more.

    ValueError for dimensions that differ and for fewer than two vectors on a side; NaN where nothing varies.

    >>> from detectors.embedding import moments
    >>> rng = np.random.default_rng(2)
    >>> found = mean_shift(moments(rng.normal(size=(60, 200))), moments(rng.normal(0.2, 1.0, (50, 200))))
    >>> bool(found.p_value < 0.001), bool(found.statistic > found.threshold)
    (True, True)
    """
    require_fraction("alpha", alpha)
    require_effect(smallest_effect)
    covariance = pooled_covariance(reference, current)
    n, m = reference.count, current.count
    scale = 1.0 / n + 1.0 / m
    total, second, third = _traces(covariance, n + m - 2)
    if not total > 0:
        nan = np.asarray(np.nan)
        return Distance(statistic=nan, p_value=nan, threshold=nan, effect_size=nan, minimum_sample=nan)
    apart = reference.mean - current.mean
    noise = float(np.trace(reference.covariance)) / n + float(np.trace(current.covariance)) / m
    statistic = float((apart * apart).sum()) - noise
    # The weighted sum, less its mean, is stretch (chi-square - freedom).
    freedom, stretch = second**3 / third**2, third / second
    needed = smallest_effect**2 * total / (second / total * noncentrality(round(total**2 / second, 6), alpha))
    left = needed - 1.0 / n
    return Distance(
        statistic=np.asarray(statistic),
        p_value=np.asarray(scipy.special.chdtrc(freedom, max(statistic / (scale * stretch) + freedom, 0.0))),
        threshold=np.asarray(scale * stretch * (float(scipy.special.chdtri(freedom, alpha)) - freedom)),
        effect_size=np.asarray(np.sqrt(max(statistic, 0.0) / total)),
        minimum_sample=np.asarray(max(2.0, np.ceil(1.0 / left)) if left > 0 else np.inf),
    )


def _traces(covariance: np.ndarray, freedom: int) -> tuple[float, float, float]:
    """tr S, and tr S^2 and tr S^3 of the true covariance, from a sample one with so many degrees of freedom.

    From the mean of powers of a Wishart matrix: E tr S^2 = (1 + 1/v) t2 + t1^2 / v and E tr S^3 = (1 + 3/v + 4/v^2) t3
    + 3 (1 + 1/v) / v t1 t2 + t1^3 / v^2. Held within what traces of a covariance can be.
    """
    v, d = float(freedom), float(len(covariance))
    first = float(np.trace(covariance))
    if not first > 0:
        return 0.0, 0.0, 0.0
    square = covariance @ covariance
    raw_second, raw_third = float(np.trace(square)), float((square * covariance).sum())
    second = (raw_second - first**2 / v) / (1.0 + 1.0 / v)
    second = float(np.clip(second, first**2 / d, first**2))
    third = raw_third - 3.0 * (1.0 + 1.0 / v) / v * first * second - first**3 / v**2
    third /= 1.0 + 3.0 / v + 4.0 / v**2
    return first, second, float(np.clip(third, second**2 / first, second**1.5))
