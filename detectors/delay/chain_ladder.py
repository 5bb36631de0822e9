"""Chain ladder with Mack's standard error: what each cohort's count of labels will have grown to.

It needs the counts by cohort and delay only, not how many decisions wait, so it also projects appeals and reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats, nonnegative
from detectors.delay.exits import observed, require_axes, require_passed


@dataclass(frozen=True, slots=True, eq=False)
class ChainLadder:
    """`factors` and `sigma2` are (..., bins - 1), from each bin to the next; the rest is by cohort or in total.

    `ultimate` and `outstanding` = ultimate - seen are (..., cohorts) with their `standard_error`; the totals are (...),
    over the cohorts that are as old as one bin. NaN where a factor that is needed is not known, because no older cohort
    had a label by then; the totals also where no cohort is as old as one bin.
    """

    factors: Floats
    sigma2: Floats
    ultimate: Floats
    outstanding: Floats
    standard_error: Floats
    total_outstanding: Floats
    total_standard_error: Floats


def chain_ladder(increments: npt.ArrayLike, age: npt.ArrayLike) -> ChainLadder:
    """Factors f_k = sum C_{k+1} / sum C_k over cohorts that have seen both; ultimate = C times the factors to come.

    `increments` (..., cohorts, bins): labels of each cohort that came in each delay bin, or sums of weights; `age`
    (..., cohorts): bins that have passed in full, 0..bins; increments in later bins must be 0. Mack's model: given
    the past, C_{k+1} has mean f_k C_k and variance sigma2_k C_k, cohorts are independent. sigma2_k = sum C_k
    (C_{k+1} / C_k - f_k)^2 / (cohorts - 1); where a single cohort is left, min(sigma2_{k-1}^2 / sigma2_{k-2},
    sigma2_{k-2}, sigma2_{k-1}) as Mack does. The standard error is that of the prediction: of the process and of the
    factors, and for the total with the factors that cohorts share.

    It misleads where delays drift with decision time, where counts are so small that a cohort starts at 0 (it stays at
    0, and its standard error too), and where labels still come after the last bin. State: cohorts x bins.

    Source: Mack 1993, ASTIN Bulletin 23(2). Raises ValueError for numbers that are negative or not finite, for labels
    in bins that have not passed and for ages out of range.

    >>> found = chain_ladder([[60, 30, 10], [80, 44, 0], [50, 0, 0]], [3, 2, 1])
    >>> found.factors.round(4).tolist(), found.outstanding.round(2).tolist()
    ([1.5286, 1.1111], [0.0, 13.78, 34.92])
    """
    counts = nonnegative("increments", increments)
    require_axes("increments", counts, "cohorts", "bins")
    bins = counts.shape[-1]
    ages, seen = observed(age, bins)
    require_passed("increments", counts, seen)
    seen = np.broadcast_to(seen, counts.shape)
    cumulative = np.cumsum(counts, axis=-1)
    both = seen[..., 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        base = np.sum(np.where(both, cumulative[..., :-1], 0.0), axis=-2)
        grown = np.sum(np.where(both, cumulative[..., 1:], 0.0), axis=-2)
        factors = np.where(base > 0, grown / base, np.nan)
        sigma2 = _process_variance(cumulative, both, factors)
        log_growth = np.log(factors)
        relative = sigma2 / factors**2

        # A cohort of age a has the steps a - 1, a, ... before it.
        ahead = np.arange(bins - 1) >= ages[..., None] - 1
        begun = (ages > 0) & np.ones(counts.shape[:-1], dtype=bool)
        growth = np.exp(np.sum(np.where(ahead, log_growth[..., None, :], 0.0), axis=-1))
        last = np.take_along_axis(
            cumulative, np.broadcast_to(np.maximum(ages - 1, 0)[..., None], (*counts.shape[:-1], 1)), axis=-1
        )[..., 0]
        ultimate = np.where(begun, last * growth, np.nan)
        steps = np.where(ahead, log_growth[..., None, :], 0.0)
        reached = last[..., None] * np.exp(np.cumsum(steps, axis=-1) - steps)
        process = np.where(ahead & (reached > 0), relative[..., None, :] / reached, 0.0)
        process = np.where(ahead & np.isnan(relative)[..., None, :], np.nan, process).sum(axis=-1)
        shared = relative / base
        errors = ultimate**2 * (process + np.sum(np.where(ahead, shared[..., None, :], 0.0), axis=-1))
        some = begun.any(axis=-1)
        counted = np.where(begun, ultimate, 0.0)
        waiting = np.sum(np.where(ahead & begun[..., None], ultimate[..., None], 0.0), axis=-2)
        total = np.sum(np.where(begun, ultimate**2 * process, 0.0), axis=-1) + np.sum(
            np.where(waiting > 0, shared * waiting**2, 0.0), axis=-1
        )
    return ChainLadder(
        factors=factors,
        sigma2=sigma2,
        ultimate=ultimate,
        outstanding=ultimate - last,
        standard_error=np.sqrt(errors),
        total_outstanding=np.where(some, np.sum(counted - np.where(begun, last, 0.0), axis=-1), np.nan),
        total_standard_error=np.where(some, np.sqrt(total), np.nan),
    )


def _process_variance(cumulative: Floats, both: Bools, factors: Floats) -> Floats:
    start, end = cumulative[..., :-1], cumulative[..., 1:]
    used = both & (start > 0)
    rows = used.sum(axis=-2)
    squares = np.where(used, start * (end / start - factors[..., None, :]) ** 2, 0.0).sum(axis=-2)
    sigma2 = np.where(rows > 1, squares / (rows - 1), np.nan)
    for step in range(2, sigma2.shape[-1]):
        older, old = sigma2[..., step - 2], sigma2[..., step - 1]
        ratio = np.where(older > 0, old**2 / np.where(older > 0, older, 1.0), 0.0)
        extrapolated = np.minimum(ratio, np.minimum(older, old))
        sigma2[..., step] = np.where(rows[..., step] == 1, extrapolated, sigma2[..., step])
    return sigma2
