"""Wilson score interval of a proportion, for real-valued (effective) sample sizes.

It holds at one look. Watched continuously, a 95 % interval excludes the truth at some moment in 40 % of streams: report
with it, do not raise alarms from it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import require_fraction
from detectors.intervals.interval import Interval, counts


def wilson(successes: npt.ArrayLike, observations: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Centre (p + z^2/2n) / (1 + z^2/n), half-width z / (1 + z^2/n) sqrt(p(1 - p)/n + z^2/4n^2), p = k/n.

    `successes` (k) and `observations` (n) broadcast and need not be whole: for weighted labels give n = the effective
    sample size and k = n times the weighted estimate. NaN where n is 0 or either input is NaN. The lower limit is
    exactly 0 for k = 0, the upper exactly 1 for k = n. Source: Wilson 1927, JASA 22; Newcombe 1998, Table I.

    Raises ValueError for n < 0 or infinite, for k outside [0, n] and for a confidence outside (0, 1).

    >>> interval = wilson([81, 0, 0], [263, 20, 0])
    >>> interval.lower.round(4).tolist(), interval.upper.round(4).tolist()
    ([0.2553, 0.0, nan], [0.3662, 0.1611, nan])
    """
    require_fraction("confidence", confidence)
    k, n = counts(successes, observations)
    z = scipy.special.ndtri(0.5 + 0.5 * confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.clip(k / n, 0.0, 1.0)
        shrink = 1.0 + z * z / n
        centre = (p + 0.5 * z * z / n) / shrink
        half = z / shrink * np.sqrt(p * (1.0 - p) / n + 0.25 * (z / n) ** 2)
    lower = np.where(p == 0.0, 0.0, np.clip(centre - half, 0.0, 1.0))
    upper = np.where(p == 1.0, 1.0, np.clip(centre + half, 0.0, 1.0))
    known = n > 0
    return Interval(lower=lower, upper=upper).where(known)
