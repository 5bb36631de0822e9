"""Precision, recall, false-positive rate and prevalence from one set of mergeable sums: weights by action and verdict.

Each is a Hajek share within a domain: of actioned decisions, of violating ones, of benign ones, of all. All but
precision need labels of decisions that were not actioned; without them they are not identified, and say so.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats, nonnegative
from detectors.estimation.confusion import ConfusionSums
from detectors.estimation.estimate import Estimate, Reason, Reasons, reasons
from detectors.estimation.hajek import hajek
from detectors.intervals.interval import Interval
from detectors.intervals.typical_weights import shrunk_weight
from detectors.intervals.weighted_score import UNKNOWN_LABELS, weighted_score


class Rate(StrEnum):
    """A share of decisions, estimated from labels."""

    PRECISION = "precision"
    """violating among actioned"""
    RECALL = "recall"
    """actioned among violating"""
    FALSE_POSITIVE_RATE = "false_positive_rate"
    """actioned among benign"""
    PREVALENCE = "prevalence"
    """violating among all"""


_Cell = tuple[int, int]
# Cells (actioned, violating) that are counted, and those that make up the rest of the domain.
_CELLS: Final[dict[Rate, tuple[tuple[_Cell, ...], tuple[_Cell, ...]]]] = {
    Rate.PRECISION: (((1, 1),), ((1, 0),)),
    Rate.RECALL: (((1, 1),), ((0, 1),)),
    Rate.FALSE_POSITIVE_RATE: (((1, 0),), ((0, 0),)),
    Rate.PREVALENCE: (((0, 1), (1, 1)), ((0, 0), (1, 0))),
}


def rate(
    sums: ConfusionSums, which: Rate, *, actioned: npt.ArrayLike = 1.0, not_actioned: npt.ArrayLike = 1.0
) -> Estimate:
    """The Hajek estimate of a rate with its linearised variance; arrays (...), a series each.

    With e = (u - R v) / sum w v the linearised residual of the ratio R = sum w u / sum w v, the variance
    sum (1 - pi)(w e)^2 is that of `hajek` over the labels of the domain, because u is 0 or v there.

    `actioned` and `not_actioned` are the numbers of decisions with and without action: a side that has none needs no
    labels. A side with decisions of which none was reviewed makes a rate that depends on it NaN, with UNSAMPLED_SIDE:
    the side without action for all but precision, the other for all. EMPTY_DENOMINATOR where labels exist and none lies
    in the domain.

    Recall and prevalence rest on what was found where the score is low: a few labels of great weight. A floor under the
    inclusion probabilities and the interval of `rate_interval` matter more for them than for precision.

    Source: Sarndal, Swensson and Wretman 1992, section 5.6. Raises ValueError for counts that are negative.

    >>> from detectors.estimation import confusion_from_labels
    >>> sums = confusion_from_labels([1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0.5, 0.5, 0.5, 0.1, 0.1])
    >>> round(float(rate(sums, Rate.RECALL).estimate), 4), round(float(rate(sums, Rate.PRECISION).estimate), 4)
    (0.2857, 0.6667)
    """
    hit, miss = _CELLS[which]
    found = hajek(
        _sum(sums.weight, hit),
        _sum(sums.weight, miss),
        square_violating=_sum(sums.square, hit),
        square_benign=_sum(sums.square, miss),
        correction_violating=_sum(sums.correction, hit),
        correction_benign=_sum(sums.correction, miss),
    )
    reason = _reasons(sums, which, actioned, not_actioned)
    known = reason == Reason.IDENTIFIED
    return Estimate(
        estimate=np.where(known, found.estimate, np.nan),
        variance=np.where(known, found.variance, np.nan),
        effective_n=np.broadcast_to(found.effective_n, reason.shape),
        interval_n=np.where(known, found.interval_n, 0.0),
        reason=reason,
    )


def rate_interval(
    sums: ConfusionSums,
    which: Rate,
    *,
    actioned: npt.ArrayLike = 1.0,
    not_actioned: npt.ArrayLike = 1.0,
    typical: ConfusionSums | None = None,
    confidence: float = 0.95,
) -> Interval:
    """The `weighted_score` interval of a rate; NaN where `rate` is.

    `typical` are sums of a longer window, or of alike segments, that say which weights the verdicts have; its leading
    axes broadcast. Give it whenever there is one: see `weighted_score` for what it is worth. A verdict that was not
    labelled there either counts as heavy as other labels with its action. Where it contains `sums`, or is them, give
    `weighted_score` what `typical_weights` says instead.

    >>> from detectors.estimation import confusion_from_labels
    >>> sums = confusion_from_labels([1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0.5, 0.5, 0.5, 0.1, 0.1])
    >>> interval = rate_interval(sums, Rate.RECALL)
    >>> float(interval.lower.round(2)), float(interval.upper.round(2))
    (0.01, 0.94)
    """
    hit, miss = _CELLS[which]
    interval = weighted_score(
        _sum(sums.weight, hit),
        _sum(sums.weight, miss),
        square_violating=_sum(sums.square, hit),
        square_benign=_sum(sums.square, miss),
        typical_violating=None if typical is None else _typical_weight(typical, hit),
        typical_benign=None if typical is None else _typical_weight(typical, miss),
        confidence=confidence,
    )
    known = _reasons(sums, which, actioned, not_actioned) == Reason.IDENTIFIED
    return interval.where(known)


def recall(sums: ConfusionSums, *, actioned: npt.ArrayLike = 1.0, not_actioned: npt.ArrayLike = 1.0) -> Estimate:
    """Actioned among violating decisions: `rate` with Rate.RECALL.

    >>> from detectors.estimation import confusion_from_labels
    >>> recall(confusion_from_labels([1, 1], [1, 0], 0.5), not_actioned=900).reason.tolist() == Reason.UNSAMPLED_SIDE
    True
    """
    return rate(sums, Rate.RECALL, actioned=actioned, not_actioned=not_actioned)


def false_positive_rate(
    sums: ConfusionSums, *, actioned: npt.ArrayLike = 1.0, not_actioned: npt.ArrayLike = 1.0
) -> Estimate:
    """Actioned among benign decisions: `rate` with Rate.FALSE_POSITIVE_RATE.

    >>> from detectors.estimation import confusion_from_labels
    >>> sums = confusion_from_labels([1, 0, 0, 0], [0, 0, 0, 1], [0.5, 0.1, 0.1, 0.1])
    >>> round(float(false_positive_rate(sums).estimate), 4)
    0.0909
    """
    return rate(sums, Rate.FALSE_POSITIVE_RATE, actioned=actioned, not_actioned=not_actioned)


def _sum(array: Floats, cells: tuple[_Cell, ...]) -> Floats:
    return np.asarray(sum(array[(..., *cell)] for cell in cells), dtype=np.float64)


def _typical_weight(sums: ConfusionSums, cells: tuple[_Cell, ...]) -> Floats:
    """Sum w^2 / sum w of the cells, with half a label of the mean weight of their sides; NaN without any label there.

    Review knows the action and not the verdict: where a verdict was not seen, labels of the other verdict with the same
    action say best what its labels weigh.
    """
    sides = tuple((action, verdict) for action in sorted({action for action, _ in cells}) for verdict in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = _sum(sums.square, sides) / _sum(sums.weight, sides)
        return shrunk_weight(_sum(sums.weight, cells), _sum(sums.square, cells), guess=mean, labels=UNKNOWN_LABELS)


def _reasons(sums: ConfusionSums, which: Rate, actioned: npt.ArrayLike, not_actioned: npt.ArrayLike) -> Reasons:
    by_side = sums.weight.sum(axis=-1)
    unsampled: Bools = (by_side[..., 1] == 0) & (nonnegative("actioned", actioned) > 0)
    if which is not Rate.PRECISION:
        unsampled = unsampled | ((by_side[..., 0] == 0) & (nonnegative("not_actioned", not_actioned) > 0))
    domain = _sum(sums.weight, _CELLS[which][0] + _CELLS[which][1])
    return reasons(
        (by_side.sum(axis=-1) == 0, Reason.NO_LABELS),
        (unsampled, Reason.UNSAMPLED_SIDE),
        (domain == 0, Reason.EMPTY_DENOMINATOR),
    )
