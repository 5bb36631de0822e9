"""A number of labels over strata: the inclusion probabilities of least variance, none below a floor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, fractions, nonnegative, require_fraction


def allocate(budget: float, *, size: npt.ArrayLike, second_moment: npt.ArrayLike, floor: float = 0.01) -> Floats:
    """Inclusion probabilities (strata,) that minimise sum_h N_h m_h / pi_h with sum_h N_h pi_h = budget.

    `size` N_h are decisions in each stratum (score bin, segment, kind of disagreement), `second_moment` m_h the guessed
    mean square of what one label adds (`precision_second_moment`, `recall_second_moment`; s v(y) of a contrast). That
    is the variance of a Horvitz-Thompson total under Poisson sampling, less a constant. The solution is
    min(1, max(floor, c sqrt(m_h))) with c found exactly among its breakpoints: Neyman's allocation, clipped. The floor
    keeps weights below 1 / floor and strata observable where the guess is 0 but wrong. What is left once every stratum
    with m_h > 0 is labelled in full goes evenly to the others.

    Source: Neyman 1934, JRSS 97; Sarndal, Swensson and Wretman 1992, section 3.7. Raises ValueError for a budget below
    floor * sum(size) or above sum(size), and for negative or non-finite sizes and moments.

    >>> allocate(100, size=[1000, 100, 10], second_moment=[0.01, 0.16, 0.25], floor=0.01).round(4).tolist()
    [0.069, 0.2759, 0.3448]
    """
    n, m = np.broadcast_arrays(nonnegative("size", size), nonnegative("second_moment", second_moment))
    require_fraction("floor", floor)
    if n.ndim != 1 or not n.sum() > 0:
        raise ValueError(f"size: got shape {n.shape}, allowed is (strata,) with a sum above 0")
    if not floor * n.sum() <= budget <= n.sum():
        raise ValueError(f"budget: got {budget!r}, allowed is {floor * n.sum():g} (floor) to {n.sum():g} (all)")
    root = np.sqrt(m)
    known = root > 0

    def spent(scale: Floats) -> Floats:
        labels: Floats = (n * np.clip(scale[:, None] * root, floor, 1.0)).sum(axis=-1)
        return labels

    scales = np.unique(np.concatenate([[0.0], floor / root[known], 1.0 / root[known]]))
    totals = spent(scales)
    pi: Floats = np.clip(np.interp(budget, totals, scales) * root, floor, 1.0)
    left, rest = budget - totals[-1], n[~known].sum()
    if left > 0 and rest > 0:
        pi[~known] = min(1.0, floor + left / rest)
    return pi


def precision_second_moment(rate: npt.ArrayLike, *, precision: float) -> Floats:
    """Mean of (y - precision)^2 where `rate` is the share of violating: what a label adds to audited precision.

    >>> precision_second_moment([0.5, 0.95], precision=0.95).round(4).tolist()
    [0.4525, 0.0475]
    """
    y, p = fractions("rate", rate), fractions("precision", precision)
    return y * (1.0 - p) ** 2 + (1.0 - y) * p**2


def recall_second_moment(rate: npt.ArrayLike, *, acted: npt.ArrayLike, recall: float) -> Floats:
    """Mean of (y (a - recall))^2, a = 1 where the model acted: what a label adds to audited recall.

    >>> recall_second_moment([0.9, 0.01], acted=[1, 0], recall=0.8).round(4).tolist()
    [0.036, 0.0064]
    """
    y, a, r = fractions("rate", rate), fractions("acted", acted), fractions("recall", recall)
    return y * (a * (1.0 - r) ** 2 + (1.0 - a) * r**2)
