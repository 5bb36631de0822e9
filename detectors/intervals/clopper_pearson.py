"""Clopper-Pearson (exact) interval of a proportion, for real-valued (effective) sample sizes.

It never covers less than it says and therefore mostly more: 97 to 99 % for a nominal 95 % where few labels disagree.
Take it where a promise is checked against the interval (an audit, a contract), not for a chart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import require_fraction
from detectors.intervals.interval import Interval, counts


def clopper_pearson(successes: npt.ArrayLike, observations: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Beta quantiles: lower of Beta(k, n - k + 1) at alpha/2, upper of Beta(k + 1, n - k) at 1 - alpha/2.

    `successes` (k) and `observations` (n) broadcast and need not be whole: with an effective sample size it is the
    interval of Korn and Graubard, and the guarantee becomes a rule of thumb. NaN where n is 0 or either input is NaN.
    The lower limit is exactly 0 for k = 0, the upper exactly 1 for k = n.

    Source: Clopper and Pearson 1934, Biometrika 26; Korn and Graubard 1998, Survey Methodology 24.
    Raises ValueError for n < 0 or infinite, for k outside [0, n] and for a confidence outside (0, 1).

    >>> interval = clopper_pearson([81, 0, 0], [263, 20, 0])
    >>> interval.lower.round(4).tolist(), interval.upper.round(4).tolist()
    ([0.2527, 0.0, nan], [0.3676, 0.1684, nan])
    """
    tail = 0.5 - 0.5 * require_fraction("confidence", confidence)
    k, n = counts(successes, observations)
    hits = np.clip(k, 0.0, n)
    misses = n - hits
    # betaincinv is NaN for a parameter of 0, where the limit is the end of the unit interval.
    lower = np.where(hits > 0, scipy.special.betaincinv(np.where(hits > 0, hits, 1.0), misses + 1.0, tail), 0.0)
    upper = np.where(misses > 0, scipy.special.betainccinv(hits + 1.0, np.where(misses > 0, misses, 1.0), tail), 1.0)
    known = (n > 0) & ~np.isnan(k)
    return Interval(lower=lower, upper=upper).where(known)
