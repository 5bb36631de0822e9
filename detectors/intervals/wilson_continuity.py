"""Wilson interval with continuity correction: as cautious as Clopper-Pearson, without beta functions.

Made to imitate the exact interval. Take it only to compare with figures that were made by it (R's `prop.test`); for
caution take `clopper_pearson`, for a report `wilson`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, require_fraction
from detectors.intervals.interval import Interval, counts


def wilson_continuity(successes: npt.ArrayLike, observations: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Lower (2k + z^2 - 1 - z sqrt(z^2 - 2 - 1/n + 4p(n - k + 1))) / 2(n + z^2); upper as one minus that of n - k.

    `successes` (k) and `observations` (n) broadcast and need not be whole; p = k/n. NaN where n is 0 or either input is
    NaN. The lower limit is exactly 0 for k = 0, the upper exactly 1 for k = n. The correction of half an observation
    has no meaning where n is not a count: with effective sample sizes prefer `wilson`.

    Source: Fleiss 1981, Statistical Methods for Rates and Proportions; Newcombe 1998, method 4.
    Raises ValueError for n < 0 or infinite, for k outside [0, n] and for a confidence outside (0, 1).

    >>> interval = wilson_continuity([81, 0, 0], [263, 20, 0])
    >>> interval.lower.round(4).tolist(), interval.upper.round(4).tolist()
    ([0.2535, 0.0, nan], [0.3682, 0.2005, nan])
    """
    require_fraction("confidence", confidence)
    k, n = counts(successes, observations)
    z = scipy.special.ndtri(0.5 + 0.5 * confidence)
    hits = np.clip(k, 0.0, n)
    known = (n > 0) & ~np.isnan(k)
    lower = _lower(hits, n, z)
    upper = 1.0 - _lower(n - hits, n, z)
    return Interval(lower=lower, upper=upper).where(known)


def _lower(k: Floats, n: Floats, z: float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(z * z - 2.0 - 1.0 / n + 4.0 * (k / n) * (n - k + 1.0), 0.0))
        limit = (2.0 * k + z * z - 1.0 - z * root) / (2.0 * (n + z * z))
        # Fewer than half a success is within the correction.
        return np.where(k == 0, 0.0, np.clip(limit, 0.0, k / n))
