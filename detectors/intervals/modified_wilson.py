"""Wilson's interval with exact limits where few labels are on one side: the score interval of few errors.

Wilson's limit beside 0 is too high for one, two or three successes: with an expected count just below .175 one
success excludes the truth, and 95 % limits cover 84 %. That is the usual case of a precision near 1, mirrored.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, require_fraction
from detectors.intervals.interval import Interval, counts
from detectors.intervals.wilson import wilson


def modified_wilson(successes: npt.ArrayLike, observations: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """`wilson`, but for k < z^2 + 1 the lower limit is at most the p with P(X >= k | p) = alpha; mirrored for n - k.

    `successes` (k) and `observations` (n) broadcast and need not be whole; z^2 is 3.8 at 95 %, so k is up to 4. NaN
    where n is 0 or either input is NaN. The lower limit is exactly 0 for k = 0, the upper exactly 1 for k = n.

    Why all of alpha in one tail: while fewer than z^2 successes are expected no count is small enough for Wilson's
    upper limit to exclude the truth, so that tail is empty. There 95 % limits cover at least 93.4 % from n = 50 on,
    96.7 % on average; Wilson's as little as 84 %. Elsewhere they are Wilson's: 95 % on average, 92 % for the worst p.
    Whole counts leave no choice where errors are rare: with n = 50 and p = .99 every interval that moves with the count
    covers either at most 91.1 % (Wilson's) or at least 98.6 % (this one).

    Source: Brown, Cai and DasGupta 2001, Statistical Science 16, section 4.1.1, who stop at k = 3 and take the Poisson
    tail, the limit for large n. With k = 4 left to Wilson coverage is 92.7 %. Raises ValueError for n < 0 or infinite,
    for k outside [0, n] and for a confidence outside (0, 1).

    >>> interval = modified_wilson([1, 3, 5, 0], [50, 50, 50, 0])
    >>> interval.lower.round(4).tolist(), interval.upper.round(4).tolist()
    ([0.001, 0.0166, 0.0435, nan], [0.105, 0.1622, 0.2136, nan])
    """
    alpha = 1.0 - require_fraction("confidence", confidence)
    few = scipy.special.ndtri(1.0 - 0.5 * alpha) ** 2 + 1.0
    k, n = counts(successes, observations)
    score = wilson(k, n, confidence=confidence)
    hits = np.clip(k, 0.0, n)
    return Interval(
        lower=np.minimum(score.lower, _exact(hits, n, few, alpha)),
        upper=np.maximum(score.upper, 1.0 - _exact(n - hits, n, few, alpha)),
    )


def _exact(hits: Floats, n: Floats, few: float, alpha: float) -> Floats:
    """The p with P(X >= hits | p) = alpha; 1 where there are enough hits or none."""
    limit = np.ones(np.shape(hits))
    sought = (hits > 0.0) & (hits < few)  # few, in most windows
    limit[sought] = scipy.special.betaincinv(hits[sought], n[sought] - hits[sought] + 1.0, alpha)
    return limit
