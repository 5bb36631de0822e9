"""What every estimator from sampled labels returns, and why a number may be missing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats

Reasons = npt.NDArray[np.uint8]


class Reason(IntEnum):
    """Why an estimate is missing; IDENTIFIED where it is not. Small integers, so that they fit in arrays."""

    IDENTIFIED = 0
    """the number may be used"""
    NO_LABELS = 1
    """nothing was reviewed"""
    UNSAMPLED_SIDE = 2
    """decisions of one side (not actioned, for one) were made and none of them reviewed: no guess at what they hold"""
    EMPTY_DENOMINATOR = 3
    """labels exist, but none of the kind that the share is a share of: no violating one for recall"""
    TOO_FEW_LABELS = 4
    """fewer labels than a variance needs, even with all strata in one"""
    EMPTY_POPULATION = 5
    """no decisions: there is nothing to estimate a mean of"""
    IMPOSSIBLE_SUMS = 6
    """weights without their squares: sums that were damaged, or are not of the same labels"""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Arrays of one shape, a series each.

    `estimate` and its sampling `variance` are NaN wherever `reason` (of `Reason`) is not IDENTIFIED. The variance has a
    finite population correction: it is for the decisions of the window and 0 where all of them were reviewed.

    `effective_n` is Kish's effective sample size (sum w)^2 / sum w^2: the labels an equal-probability sample would need
    to be as sure if weights and verdicts were unrelated. `interval_n` is the sample size for a binomial interval of a
    share: without that condition and without finite population correction. Both are 0 without labels, and without sums
    to trust; `interval_n` is NaN for what is no share (totals, ratios of amounts).
    """

    estimate: Floats
    variance: Floats
    effective_n: Floats
    interval_n: Floats
    reason: Reasons


def reasons(*conditions: tuple[npt.ArrayLike, Reason]) -> Reasons:
    """The first reason whose condition holds, of conditions that broadcast; IDENTIFIED where none does.

    >>> reasons(([True, False], Reason.NO_LABELS), ([True, True], Reason.TOO_FEW_LABELS)).tolist()
    [1, 4]
    """
    where = np.broadcast_arrays(*(np.asarray(condition, dtype=np.bool_) for condition, _ in conditions))
    codes = [np.uint8(reason) for _, reason in conditions]
    return np.asarray(np.select(list(where), codes, np.uint8(Reason.IDENTIFIED)), dtype=np.uint8)
