"""Post-stratified share from weighted labels: Hajek within score bins, and the bins in their true proportions.

Narrower than `hajek` by what the bins explain, and unbiased whatever review follows within them. Plain means of bins
are not: with segments reviewed ten times as often as others, their 95 % intervals covered 0 % of 2000 simulated truths.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import none_without, nonnegative, nonnegative_squares, some_with
from detectors.estimation.strata import collapse
from detectors.estimation.stratified import StratifiedEstimate, require_strata, summary


def post_stratified(
    sizes: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    weight_violating: npt.ArrayLike,
    weight_benign: npt.ArrayLike,
    square_violating: npt.ArrayLike,
    square_benign: npt.ArrayLike,
) -> StratifiedEstimate:
    """Share = sum (N_h/N) A_h / (A_h + B_h), with A_h and B_h the sums of w = 1/pi over labels of either verdict.

    The last axis is the score bins in their order; leading axes broadcast, a series each. `sizes` (N_h) are decisions,
    `labels` (n_h) the reviewed ones; the sums of w and w^2 are those of `hajek`, by bin. Multiply by N for a volume.
    The variance is sum (N_h/N)^2 times Hajek's of the bin times n_h / (n_h - 1); with equal weights in a bin it is that
    of the stratified share, sum (N_h/N)^2 (1 - n_h/N_h) p_h (1 - p_h) / (n_h - 1).

    A bin without labels takes the share of its neighbour, whose labels then stand for the decisions of both. One with a
    single label is joined to its neighbour for the variance: s (1 - s) n / (n - 1) there, n and s the labels of both
    and their mean share, each label counting one, for one of large weight says no more than another. `collapsed` counts
    both. TOO_FEW_LABELS with fewer than two in all.

    `interval_n` is share (1 - share) / variance for `wilson`: without finite population correction and with the share
    of each bin shrunk by one label to the whole, so that bins in which all labels agree do not count as certain. Its
    95 % intervals of precision cover 92.5 to 97 % from 50 labels of the rarer verdict on and 87 to 97 % below; near a
    share of 0 or 1 take `weighted_score`, which can be told typical weights.

    Source: Holt and Smith 1979, JRSS A 142; Sarndal, Swensson and Wretman 1992, section 7.6. Raises ValueError for sums
    that are negative or not finite, for more labels than decisions, for sums of weights without labels and labels
    without weight, and for weights without squares.

    >>> schools = post_stratified(
    ...     [4421, 755, 1018], [100, 50, 50],
    ...     weight_violating=[91 * 44.21, 26 * 15.1, 35 * 20.36], weight_benign=[9 * 44.21, 24 * 15.1, 15 * 20.36],
    ...     square_violating=[91 * 44.21**2, 26 * 15.1**2, 35 * 20.36**2],
    ...     square_benign=[9 * 44.21**2, 24 * 15.1**2, 15 * 20.36**2])
    >>> round(float(schools.estimate), 6), round(float(schools.variance) ** 0.5, 6)
    (0.827948, 0.024345)
    """
    size, count, violating, benign, violating2, benign2 = np.broadcast_arrays(
        nonnegative("sizes", sizes),
        nonnegative("labels", labels),
        nonnegative("weight_violating", weight_violating),
        nonnegative("weight_benign", weight_benign),
        nonnegative_squares("square_violating", square_violating),
        nonnegative_squares("square_benign", square_benign),
    )
    require_strata(size, count)
    weight = violating + benign
    none_without("weight_violating + weight_benign", weight, count > 0)
    some_with("weight_violating + weight_benign", weight, count > 0)
    some_with("square_violating", violating2, violating > 0)
    some_with("square_benign", benign2, benign > 0)
    population, reviewed = size.sum(axis=-1), count.sum(axis=-1)
    (n, big_n, a, b, a2, b2), emptied = collapse(count, size, violating, benign, violating2, benign2, least=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = a + b
        estimate = np.where(n > 0, big_n * a / weight, 0.0).sum(axis=-1) / population
        scale = np.where(n > 0, (big_n / weight) ** 2, 0.0)
        whole = ((estimate * reviewed + 0.5) / (reviewed + 1.0))[..., None]
        shrunk = (a / weight * n + whole) / (n + 1.0)
        spread = np.where(n > 0, scale * (a2 + b2) * shrunk * (1.0 - shrunk), 0.0).sum(axis=-1) / population**2
        smoothed = np.where(n > 0, big_n * shrunk, 0.0).sum(axis=-1) / population
        interval_n = smoothed * (1.0 - smoothed) / spread
        share = np.where(n > 0, a / weight, 0.0)
        # Decisions of a bin without labels were not reviewed at the rate of the neighbour that answers for them.
        correction = np.where((n > 0) & (big_n > size), big_n / weight, scale)
        left2, right2 = scale * a2 - correction * a, scale * b2 - correction * b
        alone = left2 * (1.0 - share) ** 2 + right2 * share**2
        (together, agreed, spread2, alone), single = collapse(n, n * share, left2 + right2, alone, least=2)
        mean = agreed / together
        within = np.maximum(np.where(together > n, spread2 * mean * (1.0 - mean), alone), 0.0)
        variance = np.where(together > 1, within * together / (together - 1.0), 0.0).sum(axis=-1) / population**2
    return summary(estimate, variance, size, count, population, reviewed, emptied + single, interval_n)
