"""Chi-square test that two histograms have one distribution, for categories and bins alike.

The statistic grows with the samples; Cohen's w does not. Cramer's V is not offered: it shrinks with unequal samples, so
that a large reference hides any shift.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, require_fraction
from detectors.comparison.distance import Distance, histograms
from detectors.comparison.minimum_sample import current_needed_chi_square, require_effect


def chi_square(
    reference: npt.ArrayLike, current: npt.ArrayLike, *, alpha: float = 0.05, smallest_effect: float = 0.3
) -> Distance:
    """Pearson's X^2 = nm / (n + m) sum (p - q)^2 / h, where h are the shares of both samples together.

    `reference` and `current` are counts of shape (..., bins), leading axes broadcast; the order of the bins is
    nothing. Without a shift X^2 is chi-square with B - 1 degrees of freedom (Pearson 1900, Philosophical Magazine 50),
    where B counts the bins not empty on both sides; with B = 1 there is no test: p-value and threshold are NaN. By
    simulation the size at a nominal 5 % is 4.7 to 5.3 % with 5 to 20 equal bins and five observations in each, unequal
    sides included. Thinner bins make it conservative for sides alike (2.9 % with 20 bins and 50 a side), and too eager
    for 200 against 10,000 where bins of the 200 expect less than one (7.3 %).

    Effect size: Cohen's w = sqrt(sum (p - q)^2 / h) = sqrt(X^2 (1/n + 1/m)); .1, .3 and .5 are small, medium and large
    (Cohen 1988). With n = m it is twice Cramer's V. PSI is near w^2, Hellinger near w / sqrt(8).

    Counts must be of independent decisions: ten reposts of one item count ten times and make p too small. Raises
    ValueError for negative or non-finite counts, for bins that differ, an `alpha` outside (0, 1) and a
    `smallest_effect` (Cohen's w, for `minimum_sample`) not above 0.

    >>> drift = chi_square([120, 100, 80, 60, 40], [100, 90, 90, 70, 50])
    >>> float(drift.statistic.round(7)), float(drift.p_value.round(7)), float(drift.effect_size.round(4))
    (4.8130748, 0.3070204, 0.1551)
    >>> float(drift.minimum_sample)
    199.0
    """
    require_fraction("alpha", alpha)
    require_effect(smallest_effect)
    pair = histograms(reference, current)
    p, q = pair.proportions()
    with np.errstate(divide="ignore", invalid="ignore"):
        together = (pair.reference + pair.current) / (pair.reference_total + pair.current_total)[..., None]
        terms = np.where(together > 0, (p - q) ** 2 / together, 0.0)
    squared_effect = np.where(pair.comparable, terms.sum(axis=-1), np.nan)
    statistic = squared_effect / pair.sampling_scale
    freedom = np.where(pair.comparable, pair.freedom, np.nan)
    threshold: Floats = np.asarray(scipy.special.chdtri(freedom, alpha), dtype=np.float64)
    return Distance(
        statistic=statistic,
        p_value=scipy.special.chdtrc(freedom, statistic),
        threshold=threshold,
        effect_size=np.sqrt(squared_effect),
        minimum_sample=current_needed_chi_square(pair, smallest_effect**2, alpha=alpha),
    )
