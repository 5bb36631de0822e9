"""Jeffreys interval of a proportion, for real-valued (effective) sample sizes.

Also the equal-tailed Bayesian interval under the prior Beta(1/2, 1/2). Take it where a share is near 0 or 1 and
Wilson's limit reaches too far (0 of 20: .117 against .161), or where the two tails should miss equally often.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import require_fraction
from detectors.intervals.interval import Interval, counts


def jeffreys(successes: npt.ArrayLike, observations: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Quantiles alpha/2 and 1 - alpha/2 of Beta(k + 1/2, n - k + 1/2); lower := 0 for k = 0, upper := 1 for k = n.

    Without that modification a share of exactly 0 or 1 would never be covered. `successes` (k) and `observations` (n)
    broadcast and need not be whole. NaN where n is 0 or either input is NaN. Coverage is near the nominal one on
    average over shares and can be some points below it for a single one: with 0 of 20 seen, a share of .13 is excluded.

    For k > 0 of less than about .0005 at 95 % (.009 at 80 %, .08 at 50 %), and n - k likewise, a quantile lies beyond
    k/n; the limit is then k/n, so that an estimate is never outside its own interval.

    Source: Brown, Cai and DasGupta 2001, Statistical Science 16, section 4.1.
    Raises ValueError for n < 0 or infinite, for k outside [0, n] and for a confidence outside (0, 1).

    >>> interval = jeffreys([81, 0, 0], [263, 20, 0])
    >>> interval.lower.round(4).tolist(), interval.upper.round(4).tolist()
    ([0.2545, 0.0, nan], [0.3656, 0.1166, nan])
    """
    tail = 0.5 - 0.5 * require_fraction("confidence", confidence)
    k, n = counts(successes, observations)
    hits = np.clip(k, 0.0, n)
    misses = n - hits
    lower = np.where(hits == 0, 0.0, scipy.special.betaincinv(hits + 0.5, misses + 0.5, tail))
    upper = np.where(misses == 0, 1.0, scipy.special.betainccinv(hits + 0.5, misses + 0.5, tail))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / n
    lower, upper = np.minimum(lower, share), np.maximum(upper, share)
    known = (n > 0) & ~np.isnan(k)
    return Interval(lower=lower, upper=upper).where(known)
