"""Two-sample Kolmogorov-Smirnov distance of two histograms over the same ordered bins.

Binning can only hide distance, never add it: the p-value is conservative, and a shift inside one bin is not seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import require_fraction
from detectors.comparison.distance import Distance, cumulative_difference, histograms
from detectors.comparison.minimum_sample import POWER_QUANTILE, current_needed, require_effect


def ks(
    reference: npt.ArrayLike, current: npt.ArrayLike, *, alpha: float = 0.05, smallest_effect: float = 0.1
) -> Distance:
    """D = max over bin edges of |F(x) - G(x)| with the asymptotic p-value Q(sqrt(nm / (n + m)) D).

    `reference` and `current` are counts of shape (..., bins) in the order of the bins; leading axes broadcast. Q is the
    survival function of Kolmogorov's distribution (Smirnov 1948). The binned D is at most the D of the raw values and
    falls short of it by at most the largest share that one bin holds on either side, so the test rejects too rarely,
    not too often: measured at a nominal 5 % with 1000 a side, .6 % with 2 equal bins, 1.2 % with 5, 1.8 % with 10,
    2.4 % with 20, 3.4 % with 64, 3.9 % with 256, and never where one bin holds 90 %. `permutation_test` puts that
    right. The law is asymptotic: use it from some 25 observations a side.

    Effect size: D itself. `minimum_sample` holds for every shape of shift: it asks that the difference at the point
    where it is largest, with a standard deviation of at most sqrt(1/n + 1/m) / 2, be significant. Errors as
    `chi_square`.

    >>> drift = ks([50, 30, 20], [[50, 30, 20], [20, 30, 50], [0, 0, 0]])
    >>> drift.statistic.round(3).tolist(), drift.threshold.round(4).tolist()
    ([0.0, 0.3, nan], [0.1921, 0.1921, nan])
    >>> drift.p_value.round(5).tolist()
    [1.0, 0.00025, nan]
    """
    require_fraction("alpha", alpha)
    require_effect(smallest_effect)
    pair = histograms(reference, current)
    statistic = np.abs(cumulative_difference(pair)).max(axis=-1)
    statistic = np.where(pair.comparable, statistic, np.nan)
    root_scale = np.sqrt(pair.sampling_scale)
    critical = scipy.special.kolmogi(alpha)
    reached = smallest_effect / (critical + 0.5 * POWER_QUANTILE)
    return Distance(
        statistic=statistic,
        p_value=scipy.special.kolmogorov(statistic / root_scale),
        threshold=root_scale * critical,
        effect_size=statistic,
        minimum_sample=current_needed(pair, reached**2, at_least=25),
    )
