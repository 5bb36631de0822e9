"""Cells ready to search: their crossings, their usual rates, and how much their volumes vary by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.arrays import Floats, Ints
from detectors.attribution.cells import Cells, Role, ratio
from detectors.attribution.crossings import Crossings, crossings
from detectors.attribution.scans import RateSums
from detectors.attribution.smooth_rate import smooth_rate

MOST_STRATA: Final = 32
"""Bounds memory: sums are kept for each segment and stratum."""
CHI_SQUARE_MEDIAN: Final = 0.454936
_VERDICTS: Final = ("positive", "negative")


@dataclass(frozen=True, slots=True)
class Contribution:
    """Part of the change of the whole rate; `of_rates` is the error that comes from rates alone, shares being known.

    Both errors are NaN where a rate is not identified: without labels.
    """

    size: float
    standard_error: float
    of_rates: float


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Cells of some dimensions, their crossings, and sums of both windows as arrays (2, cells)."""

    cells: Cells
    found: Crossings
    sums: RateSums
    decisions: Floats
    labels: Floats
    label_variance: Floats


def level_of(cells: Cells, *, order: int) -> Level:
    """Cells ready to search: mature sums, and in each cell the rate that both windows' labels together suggest.

    Squares are scaled to mature sums: a label's weight is w / G.
    """
    windows = (cells.reference, cells.current)
    positive, negative = (np.stack([getattr(w, f"mature_{verdict}") for w in windows]) for verdict in _VERDICTS)
    arrived = [np.stack([getattr(w, verdict) for w in windows]) for verdict in _VERDICTS]
    square = [np.stack([getattr(w, f"square_{verdict}") for w in windows]) for verdict in _VERDICTS]
    squares = [
        raw * np.divide(sums, came, out=np.ones_like(sums), where=came > 0) ** 2
        for raw, sums, came in zip(square, (positive, negative), arrived, strict=True)
    ]
    labels, variance = positive + negative, squares[0] + squares[1]
    rarer = negative.sum(axis=0) if negative.sum() <= positive.sum() else positive.sum(axis=0)
    rate = smooth_rate(
        rarer,
        labels.sum(axis=0),
        effective=effective_labels(labels, variance),
        codes=cells.codes,
        dimensions=cells.dimensions,
    )
    rate = np.clip(rate, 1e-6, 1.0 - 1e-6)
    rate = 1.0 - rate if negative.sum() <= positive.sum() else rate
    return Level(
        cells=cells,
        found=crossings(cells, order=order, strata=_strata(cells, labels.sum(axis=0))),
        sums=RateSums(positive, negative, squares[0], squares[1], np.stack([rate, rate])),
        decisions=np.stack([w.decisions for w in windows]),
        labels=labels,
        label_variance=variance,
    )


def sampled(cells: Cells) -> bool:
    """Whether labels stand for decisions that are counted apart from them."""
    group = cells.groups(Role.SEGMENT, Role.VERSION)
    return any(
        not np.allclose(np.bincount(group, w.decisions), np.bincount(group, w.mature_positive + w.mature_negative))
        for w in (cells.reference, cells.current)
    )


def volume_variation(cells: Cells) -> float:
    """Variance of the logarithm of a cell's volume in one window, beyond that of a count; robust: half may move.

    The value at which the median of d^2 / (1/n0 + 1/n1 + 2 variance) is that of chi-square with one degree of freedom,
    d being the logarithm of the ratio of both volumes less its median. 0 with fewer than 5 cells.
    """
    volumes = np.stack([cells.reference.decisions, cells.current.decisions])
    before, after = volumes[:, volumes.sum(axis=0) >= 20] + 0.5
    if len(before) < 5:
        return 0.0
    moved = np.log(after / before)
    squares, counting = (moved - np.median(moved)) ** 2, 1.0 / before + 1.0 / after
    low, high = 0.0, float(squares.max())
    for _ in range(50):
        middle = 0.5 * (low + high)
        if np.median(squares / (counting + 2.0 * middle)) > CHI_SQUARE_MEDIAN:
            low = middle
        else:
            high = middle
    return low


def effective_labels(labels: Floats, variance: Floats) -> Floats:
    """Effective number of labels of each cell, both windows together."""
    return ratio(labels.sum(axis=0) ** 2, variance.sum(axis=0))


def _strata(cells: Cells, labels: Floats) -> Ints:
    """The combinations of version and reviewer, those with few labels together in the last one."""
    group = cells.groups(Role.VERSION, Role.REVIEWER)
    rank = np.argsort(np.argsort(-np.bincount(group, labels), kind="stable"))
    return np.minimum(rank, MOST_STRATA - 1)[group]
