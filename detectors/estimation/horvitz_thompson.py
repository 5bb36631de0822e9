"""Horvitz-Thompson totals and means: violating volume, violating views, and their means over known populations.

Unbiased whatever the weights, and wasteful where what is counted is common: it does not use that the weights should add
up to the population. For a share take `hajek` or `post_stratified`; this one is for volumes of rare things.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import binary, none_without, nonnegative, nonnegative_squares, probabilities, single, some_with
from detectors.estimation.estimate import Estimate, Reason, reasons


def horvitz_thompson_total(
    weighted: npt.ArrayLike,
    square: npt.ArrayLike,
    *,
    correction: npt.ArrayLike,
    labels: npt.ArrayLike,
) -> Estimate:
    """Total = sum w y with w = 1/pi, variance sum (1 - pi)(w y)^2 = sum w^2 y^2 - sum w y^2 under Poisson sampling.

    `weighted` is sum w y, `square` sum (w y)^2, `correction` sum w y^2 (equal to `weighted` where y is 0 or 1) and
    `labels` the number of labels, of either verdict: it tells a total of 0 from one that is not known. y >= 0 is 1 or
    the views of a violating item and 0 for a benign one. Arrays broadcast, a series each. `effective_n` is the
    effective number of violating labels (sum w y)^2 / sum (w y)^2; `interval_n` is NaN: take `total_interval`.

    All decisions must have had a chance to be reviewed: traffic with pi = 0 is missing from the total unseen.
    Source: Horvitz and Thompson 1952, JASA 47. Raises ValueError for sums that are negative or not finite, for sums
    without labels, and for a `weighted` without its `square`.

    >>> sums = np.array([300.0, 0.0, 0.0])
    >>> found = horvitz_thompson_total(sums, 100.0 * sums, correction=sums, labels=[90, 40, 0])
    >>> found.estimate.tolist(), found.variance.tolist(), found.reason.tolist()
    ([300.0, 0.0, nan], [29700.0, 0.0, nan], [0, 0, 1])
    """
    total, total2, fpc, count = np.broadcast_arrays(
        nonnegative("weighted", weighted),
        nonnegative_squares("square", square),
        nonnegative("correction", correction),
        nonnegative("labels", labels),
    )
    seen = count > 0
    for name, sums in (("weighted", total), ("square", total2), ("correction", fpc)):
        none_without(name, sums, seen)
    some_with("square", total2, total > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(total2 > 0, total**2 / total2, 0.0)
    return Estimate(
        estimate=np.where(seen, total, np.nan),
        # Fixed-point sums may leave w^2 - w a hair below zero where pi = 1.
        variance=np.where(seen, np.maximum(total2 - fpc, 0.0), np.nan),
        effective_n=effective,
        interval_n=np.full(total.shape, np.nan),
        reason=reasons((~seen, Reason.NO_LABELS)),
    )


def horvitz_thompson_mean(
    weighted: npt.ArrayLike,
    square: npt.ArrayLike,
    *,
    correction: npt.ArrayLike,
    labels: npt.ArrayLike,
    population: npt.ArrayLike,
) -> Estimate:
    """`horvitz_thompson_total` over a known population: N decisions, or all views for the share of violating views.

    The mean may exceed 1, because the weights of a sample need not add up to N. EMPTY_POPULATION where it is 0.

    >>> found = horvitz_thompson_mean(300.0, 30_000.0, correction=300.0, labels=90, population=[10_000.0, 0.0])
    >>> found.estimate.tolist(), found.reason.tolist()
    ([0.03, nan], [0, 5])
    """
    size = nonnegative("population", population)
    total = horvitz_thompson_total(weighted, square, correction=correction, labels=labels)
    reason = reasons((size == 0, Reason.EMPTY_POPULATION), (total.reason > 0, Reason.NO_LABELS))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, variance = total.estimate / size, total.variance / size**2
    known = reason == Reason.IDENTIFIED
    return Estimate(
        estimate=np.where(known, mean, np.nan),
        variance=np.where(known, variance, np.nan),
        effective_n=np.broadcast_to(total.effective_n, reason.shape),
        interval_n=np.full(reason.shape, np.nan),
        reason=reason,
    )


def horvitz_thompson_from_labels(
    violating: npt.ArrayLike, inclusion_probability: npt.ArrayLike, *, exposure: npt.ArrayLike = 1.0
) -> Estimate:
    """The total from single labels (n,): `violating` 0/1, `inclusion_probability` in (0, 1], `exposure` (views) >= 0.

    >>> found = horvitz_thompson_from_labels([1, 0, 1], [0.5, 0.1, 1.0], exposure=[10, 3, 7])
    >>> float(found.estimate), float(found.variance)
    (27.0, 200.0)
    """
    y, pi, views = single(
        violating=binary("violating", violating),
        inclusion_probability=probabilities("inclusion_probability", inclusion_probability),
        exposure=nonnegative("exposure", exposure),
    )
    y = y * views
    return horvitz_thompson_total(np.sum(y / pi), np.sum((y / pi) ** 2), correction=np.sum(y**2 / pi), labels=y.size)
