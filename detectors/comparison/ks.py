"""Two-sample Kolmogorov-Smirnov distance of two histograms over the same ordered bins.

Binning can only hide distance, never add it: the p-value is conservative, and a shift inside one bin is not seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import require_fraction
from detectors.comparison.distance import Distance, histograms


def ks(reference: npt.ArrayLike, current: npt.ArrayLike, *, alpha: float = 0.05) -> Distance:
    """D = max over bin edges of |F(x) - G(x)| with the asymptotic p-value Q(sqrt(nm / (n + m)) D).

    `reference` and `current` are counts of shape (..., bins) in the order of the bins; leading axes broadcast. Q is the
    survival function of Kolmogorov's distribution (Smirnov 1948). The binned D is at most the D of the raw values and
    falls short of it by at most the largest share that one bin holds on either side, so the test rejects too rarely,
    not too often. The law is asymptotic: use it from some 25 observations a side.

    Raises ValueError for negative or non-finite counts, for bins that differ and for an `alpha` outside (0, 1).

    >>> drift = ks([50, 30, 20], [[50, 30, 20], [20, 30, 50], [0, 0, 0]])
    >>> drift.statistic.round(3).tolist(), drift.threshold.round(4).tolist()
    ([0.0, 0.3, nan], [0.1921, 0.1921, nan])
    >>> drift.p_value.round(5).tolist()
    [1.0, 0.00025, nan]
    """
    require_fraction("alpha", alpha)
    pair = histograms(reference, current)
    with np.errstate(invalid="ignore"):
        below_reference = np.cumsum(pair.reference, axis=-1) / pair.reference_total[..., None]
        below_current = np.cumsum(pair.current, axis=-1) / pair.current_total[..., None]
    statistic = np.abs(below_reference - below_current).max(axis=-1)
    statistic = np.where(pair.comparable, statistic, np.nan)
    root_scale = np.sqrt(pair.sampling_scale)
    return Distance(
        statistic=statistic,
        p_value=scipy.special.kolmogorov(statistic / root_scale),
        threshold=root_scale * scipy.special.kolmogi(alpha),
    )
