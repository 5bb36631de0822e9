"""Arrival curve: the share of the labels of one verdict that have come by a delay, from labels that came alone.

Labels still on their way are not in the data at all (right truncation), so the curve is built from the oldest bin
backwards. It stays right where the share of violating decisions changes from day to day; Kaplan-Meier would not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Bools, Floats
from detectors.delay.exits import observed, require_axes, require_passed, squared
from detectors.delay.kaplan_meier import from_here_on


@dataclass(frozen=True, slots=True, eq=False)
class ArrivalCurve:
    """`arrived` G and the `variance` of log G, (..., bins): the share that has come by the end of each bin.

    NaN where it is not identified: in bins after which some delay was never watched in full by any cohort, or no label.
    """

    arrived: Floats
    variance: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Triangle:
    """Sums of w and w^2 by cohort and bin with what of it was seen, and the parts of the reverse-time hazards.

    `until` R_j: labels in bin j or before, `earlier` R_j - n_j: those before, both of cohorts that have seen bin j.
    """

    sums: Floats
    squares: Floats
    seen: Bools
    until: Floats
    earlier: Floats

    def log_arrived(self) -> Floats:
        """log G at ages 0 to bins (..., bins + 1); -inf where no label is that young, NaN where not identified."""
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.log(self.earlier / self.until)
        later = from_here_on(steps)
        return np.concatenate([later, np.zeros_like(later[..., :1])], axis=-1)

    def influence(self, pending: Floats) -> Floats:
        """d/dW of sum_j pending_j log(earlier_j / until_j), for each cell (..., cohorts, bins); 0 for bins not seen.

        With pending_j = 1 from bin a on, the sum is log G at age a.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            before = np.where(pending > 0, pending / self.earlier, 0.0)
            within = np.where(pending > 0, pending / self.until, 0.0)
            through = np.broadcast_to(np.cumsum(before - within, axis=-1)[..., None, :], self.sums.shape)
            last_seen = np.max(np.where(self.seen, np.arange(self.seen.shape[-1]), 0), axis=-1, keepdims=True)
            final = np.take_along_axis(through, last_seen, axis=-1)
            influence: Floats = final - (through + within[..., None, :])
        influence[~self.seen] = 0.0
        return influence


def triangle(name: str, sums: npt.ArrayLike, squares: npt.ArrayLike | None, age: npt.ArrayLike) -> Triangle:
    """Read sums by cohort and bin; labels in bins that have not passed are refused.

    >>> triangle("labels", [[2, 1], [4, 0]], None, [2, 1]).until.tolist()
    [6.0, 3.0]
    """
    first, second = squared(name, sums, squares)
    require_axes(name, first, "cohorts", "bins")
    _, seen = observed(age, first.shape[-1])
    require_passed(name, first, seen)
    seen = np.broadcast_to(seen, first.shape)
    until = (np.cumsum(first, axis=-1) * seen).sum(axis=-2)
    return Triangle(
        sums=first,
        squares=second,
        seen=seen,
        until=until,
        earlier=until - first.sum(axis=-2),
    )


def arrival_curve(labels: npt.ArrayLike, age: npt.ArrayLike, *, squares: npt.ArrayLike | None = None) -> ArrivalCurve:
    """G(d) = prod over bins j > d of (1 - n_j / R_j), n_j the labels in bin j, R_j those in bin j or before.

    `labels` (..., cohorts, bins): counts, or sums of w = 1 / pi with `squares`, the sums of w^2, of one verdict; `age`
    (..., cohorts): bins that have passed in full. Both n_j and R_j count the cohorts that have seen bin j. 1 / G is
    the chain ladder's factor to ultimate. The variance of log G is sum w^2 (d log G / dw)^2 over labels; for counts
    it is near sum n_j / (R_j (R_j - n_j)), Greenwood's sum in reverse time, and equal to it where all cohorts are as
    old as the last bin.

    G is relative to labels that come within the last bin: choose bins so that hardly any comes later. Assumes that the
    delay of this verdict does not drift with decision time.

    Source: Lagakos, Barraj and De Gruttola 1988, Biometrika 75; Kalbfleisch and Lawless 1989, JASA 84.
    Raises ValueError for numbers that are negative or not finite, and for labels in bins that have not passed.

    >>> found = arrival_curve([[60, 30, 10], [80, 44, 0], [50, 0, 0]], [3, 2, 1])
    >>> found.arrived.round(4).tolist(), found.variance.round(5).tolist()
    ([0.5888, 0.9, 1.0], [0.0036, 0.00111, 0.0])
    """
    table = triangle("labels", labels, squares, age)
    bins = table.sums.shape[-1]
    log_arrived = table.log_arrived()[..., 1:]
    with np.errstate(invalid="ignore"):  # infinite influence times no labels, where nothing came before a bin
        each = [table.squares * table.influence(_after(day, table.until)) ** 2 for day in range(bins)]
        variance = np.stack([np.sum(part, axis=(-2, -1)) for part in each], axis=-1)
    # Nothing says that the last bin was ever reached: not even where labels happen to fill it.
    reached = np.where(table.seen[..., -1:].any(axis=-2) & (table.until[..., -1:] > 0), log_arrived, np.nan)
    return ArrivalCurve(arrived=np.exp(reached), variance=np.where(np.isfinite(reached), variance, np.nan))


def _after(bin_: int, like: Floats) -> Floats:
    return np.broadcast_to((np.arange(like.shape[-1]) > bin_).astype(np.float64), like.shape)
