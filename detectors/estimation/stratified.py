"""Stratified mean and total of any amount from sums by stratum, with finite population correction.

Right only where all decisions of a stratum had the same chance to be reviewed. Score bins within which review follows
score or segment are no such strata: take `post_stratified`, which weighs within them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats, Ints, finite, none_without, nonnegative, nonnegative_squares
from detectors.estimation.estimate import Estimate, Reason, reasons
from detectors.estimation.strata import collapse


@dataclass(frozen=True, slots=True, eq=False)
class StratifiedEstimate(Estimate):
    """An Estimate, and `collapsed`: how many strata held too few labels and borrowed from neighbours.

    `complete`: whether all decisions were reviewed. Where they were not, a variance of 0 says only that the labels of
    each stratum agree.
    """

    collapsed: Ints
    complete: Bools


def stratified_mean(
    sizes: npt.ArrayLike, labels: npt.ArrayLike, *, total: npt.ArrayLike, squares: npt.ArrayLike
) -> StratifiedEstimate:
    """Mean = sum (N_h/N) ybar_h, variance sum (N_h/N)^2 (1 - n_h/N_h) s_h^2 / n_h; s_h^2 has divisor n_h - 1.

    The last axis is the strata, in an order in which neighbours are alike (score bins); leading axes broadcast, a
    series each. `sizes` (N_h) are decisions, `labels` (n_h <= N_h) the reviewed ones, `total` and `squares` the plain
    sums of y and y^2 over them; all four add up over workers and minutes.

    A stratum without labels takes the mean of its neighbour (joined to the next that has labels, at the end to the one
    before). One with a single label keeps its mean and takes its variance from the labels of its neighbour and itself.
    `collapsed` counts both. Squares hold a spread down to some 1e-8 sqrt(n) of the mean; of amounts that vary less take
    a usual one off before they are summed up, or the variance is 0. TOO_FEW_LABELS with fewer than two in all.
    `effective_n` is Kish's, N^2 / sum N_h^2/n_h; `interval_n` is NaN: for shares see `post_stratified`.

    Source: Cochran 1977, Sampling Techniques, sections 5.3 and 5A.12 (collapsed strata). Raises ValueError for sums
    that are not finite, negative counts, more labels than decisions, sums without labels, and squares too small for
    their total.

    >>> schools = stratified_mean(
    ...     [4421, 755, 1018], [100, 50, 50], total=[67443, 31291, 31830],
    ...     squares=[47038637, 20167941, 20940396])
    >>> round(float(schools.estimate), 4), round(float(schools.variance) ** 0.5, 3)
    (662.2874, 9.409)
    """
    size, count, sum_y, sum_yy = np.broadcast_arrays(
        nonnegative("sizes", sizes),
        nonnegative("labels", labels),
        finite("total", total),
        nonnegative_squares("squares", squares),
    )
    require_strata(size, count)
    none_without("total", sum_y, count > 0)
    none_without("squares", sum_yy, count > 0)
    if np.any(sum_y**2 > sum_yy * count * (1.0 + 1e-9)):
        raise ValueError("squares: found a sum smaller than total^2 / labels, allowed are sums of y^2 over the labels")
    population, reviewed = size.sum(axis=-1), count.sum(axis=-1)
    (n, big_n, y, yy), emptied = collapse(count, size, sum_y, sum_yy, least=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.where(n > 0, big_n * y / n, 0.0).sum(axis=-1) / population
        factor = np.where(n > 0, big_n**2 * (1.0 - n / big_n) / n, 0.0)
        (n, factor, y, yy), single = collapse(n, factor, y, yy, least=2)
        within = np.where(n > 1, (yy - y**2 / n) / (n - 1.0), 0.0)
        variance = (factor * np.maximum(within, 0.0)).sum(axis=-1) / population**2
    return summary(estimate, variance, size, count, population, reviewed, emptied + single)


def stratified_total(
    sizes: npt.ArrayLike, labels: npt.ArrayLike, *, total: npt.ArrayLike, squares: npt.ArrayLike
) -> StratifiedEstimate:
    """N times `stratified_mean`: sum N_h ybar_h, with y of 0 and 1 the violating volume, with y in views their number.

    >>> found = stratified_total([1000, 200], [50, 50], total=[1, 20], squares=[1, 20])
    >>> float(found.estimate), round(float(found.variance) ** 0.5, 2)
    (100.0, 22.96)
    """
    mean = stratified_mean(sizes, labels, total=total, squares=squares)
    # `sizes` may be one number for all strata.
    population = np.broadcast_arrays(nonnegative("sizes", sizes), labels, total, squares)[0].sum(axis=-1)
    return StratifiedEstimate(
        estimate=mean.estimate * population,
        variance=mean.variance * population**2,
        effective_n=mean.effective_n,
        interval_n=mean.interval_n,
        reason=mean.reason,
        collapsed=mean.collapsed,
        complete=mean.complete,
    )


def require_strata(size: Floats, labels: Floats) -> None:
    """ValueError without an axis of strata, or where a stratum has more labels than decisions."""
    if size.ndim == 0 or size.shape[-1] == 0:
        raise ValueError(f"sizes: got shape {size.shape}, allowed is (..., strata) with at least one stratum")
    if np.any(labels > size):
        raise ValueError("labels: found more than sizes, allowed are 0 <= labels <= sizes in every stratum")


def summary(
    estimate: Floats,
    variance: Floats,
    size: Floats,
    labels: Floats,
    population: Floats,
    reviewed: Floats,
    collapsed: Ints,
    interval_n: Floats | None = None,
) -> StratifiedEstimate:
    """The result, with NaN where too little was reviewed."""
    reason = reasons(
        (population == 0, Reason.EMPTY_POPULATION),
        (reviewed == 0, Reason.NO_LABELS),
        (reviewed < 2, Reason.TOO_FEW_LABELS),
    )
    known = reason == Reason.IDENTIFIED
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(labels > 0, size**2 / labels, 0.0).sum(axis=-1)
        covered = np.where(labels > 0, size, 0.0).sum(axis=-1)
        effective = np.where(reviewed > 0, covered**2 / spread, 0.0)
    nothing = np.full(reason.shape, np.nan)
    return StratifiedEstimate(
        estimate=np.where(known, estimate, np.nan),
        variance=np.where(known, variance, np.nan),
        effective_n=effective,
        interval_n=nothing if interval_n is None else np.where(known, interval_n, 0.0),
        reason=reason,
        collapsed=collapsed,
        complete=(labels == size).all(axis=-1),
    )
