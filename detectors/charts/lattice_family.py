"""Many Bernoulli or Poisson CUSUMs in one call, also from counts of verdicts whose order is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Ints, finite, nonnegative
from detectors.charts.bernoulli_cusum import BernoulliCusum, bernoulli_steps
from detectors.charts.design import family_threshold, require_head_start
from detectors.charts.family import ChartFamily, FamilyReadings, State
from detectors.charts.lattice import binary_thresholds
from detectors.charts.lattice_cusum import CEILING, Steps, reflected
from detectors.charts.poisson_cusum import PoissonCusum, poisson_steps
from detectors.contract import MOST, Sides, Spec


class BernoulliCusumFamily(ChartFamily):
    """Bernoulli CUSUMs; the observations are single verdicts, or counts of them."""

    _arithmetic: LatticeArithmetic

    def update_counts(
        self, ones: npt.ArrayLike, total: npt.ArrayLike, *, bound: Literal["low", "high"] = "low"
    ) -> FamilyReadings:
        """Take `ones` violating of `total` verdicts for each chart, arrays (charts,), where their order is not known.

        The statistic after them depends on the order. "low" takes what no order is below: for a rise max(0, S + all
        increments), the ones having come first. An alarm of it is one of the true chart, so the stated average run
        length holds and detection waits at most for the end of the count. "high" takes what no order is above, the
        ones having come last: max(0, S - all decrements) + all increases; it alarms earlier and more often than stated.
        Raises ValueError, and changes nothing, for numbers that are not whole, more ones than verdicts, or above 1e9.

        >>> family = bernoulli_cusum_family([0.1, 0.1], 0.2, threshold=50)
        >>> family.update_counts([3, 0], [10, 10]).statistic.tolist()
        [11.0, 0.0]
        >>> family.update_counts([3, 0], [10, 0], bound="high").statistic.tolist()
        [22.0, 0.0]
        """
        hits, count = (nonnegative(name, value) for name, value in (("ones", ones), ("total", total)))
        if hits.shape != (len(self),) or count.shape != hits.shape:
            raise ValueError(f"ones, total: got shapes {hits.shape}, {count.shape}, allowed is ({len(self)},)")
        if ((hits != np.floor(hits)) | (count != np.floor(count)) | (hits > count) | (count > MOST)).any():
            raise ValueError(f"ones, total: allowed are whole numbers, ones <= total <= {MOST:g}")
        k, n = hits.astype(np.int64), count.astype(np.int64)
        one, rise, fall, _, _ = self._arithmetic.table
        statistic = np.zeros(len(self), dtype=np.int64)
        sides = ((self._state[0], k * (one - rise), (n - k) * rise), (self._state[1], (n - k) * fall, k * (one - fall)))
        for side, (value, increase, decrease) in zip(("rise", "fall"), sides, strict=True):
            if self._arithmetic.direction in (side, "both"):
                if bound == "low":
                    _hold(value, increase - decrease)
                else:
                    _hold(value, -decrease)
                    _hold(value, increase)
                statistic = np.maximum(statistic, value)
        self._n += n
        return FamilyReadings(statistic=statistic.astype(np.float64), alarm=statistic > self.threshold)


def bernoulli_cusum_family(
    p0: npt.ArrayLike,
    p1: npt.ArrayLike,
    *,
    threshold: npt.ArrayLike | None = None,
    average_run_length: npt.ArrayLike | None = None,
    head_start: float = 0.0,
    direction: Sides = "rise",
) -> BernoulliCusumFamily:
    """A `BernoulliCusum` for each p0: arrays of shape (charts,) or single numbers, with the meaning of its parameters.

    Thresholds for wanted average run lengths are exact, and found for all charts side by side where one of a chart's
    two steps is 1 (as for most rises or falls alone, without a head start).
    Raises ValueError where `BernoulliCusum` would, and unless one of `threshold` and `average_run_length` is
    given.

    >>> family = bernoulli_cusum_family([0.1, 0.05], [0.2, 0.1], average_run_length=10_000)
    >>> family.threshold.tolist()
    [50.5, 94.5]
    >>> family.update([[1, 0, 1], [0, 0, 1]]).statistic.tolist()
    [[6.0, 5.0, 11.0], [0.0, 0.0, 13.0]]
    """
    first, second, wanted = _parameters(p0, p1, threshold, average_run_length)
    steps = [bernoulli_steps(a, b, direction=direction) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    if threshold is not None:
        return BernoulliCusumFamily(_arithmetic(BernoulliCusum, steps, wanted, head_start, direction))
    up, down, share = _binary(steps, first, direction)
    simple = ((up == 1) | (down == 1)) & (direction != "both") & (head_start == 0.0)
    thresholds = np.zeros(len(first))
    if simple.any():
        thresholds[simple] = binary_thresholds(wanted[simple], share[simple], up=up[simple], down=down[simple])
    for chart in np.flatnonzero(~simple):
        spec = BernoulliCusum(
            p0=float(first[chart]),
            p1=float(second[chart]),
            average_run_length=float(wanted[chart]),
            head_start=head_start,
            direction=direction,
        )
        thresholds[chart] = spec.decision_interval()
    return BernoulliCusumFamily(_arithmetic(BernoulliCusum, steps, thresholds, head_start, direction))


def poisson_cusum_family(
    mean0: npt.ArrayLike,
    mean1: npt.ArrayLike,
    *,
    threshold: npt.ArrayLike | None = None,
    average_run_length: npt.ArrayLike | None = None,
    head_start: float = 0.0,
    direction: Sides = "rise",
) -> ChartFamily:
    """A `PoissonCusum` for each mean0: arrays of shape (charts,) or single numbers, as its parameters.

    Thresholds for wanted average run lengths are found one chart after the other, some milliseconds each.
    Raises ValueError where `PoissonCusum` would, and unless one of `threshold` and `average_run_length` is
    given.

    >>> poisson_cusum_family([4.0, 1.0], [6.0, 2.0], threshold=[18, 20]).update([9, 1]).statistic.tolist()
    [4.0, 0.0]
    """
    first, second, wanted = _parameters(mean0, mean1, threshold, average_run_length)
    steps = [poisson_steps(a, b, direction=direction) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    if threshold is None:
        specs = (
            PoissonCusum(mean0=a, mean1=b, average_run_length=length, head_start=head_start, direction=direction)
            for a, b, length in zip(first.tolist(), second.tolist(), wanted.tolist(), strict=True)
        )
        wanted = np.array([spec.decision_interval() for spec in specs], dtype=np.float64)
    return ChartFamily(_arithmetic(PoissonCusum, steps, wanted, head_start, direction))


@dataclass(frozen=True, eq=False)
class LatticeArithmetic:
    """`table` has a row each for one, rise, fall, threshold and head start, whole numbers."""

    spec: type[Spec]
    table: Ints
    direction: Sides

    @property
    def threshold(self) -> Floats:
        """Half a step below the threshold in steps, because an alarm is a statistic above it."""
        threshold: Floats = self.table[3] - 0.5
        return threshold

    def start(self) -> State:
        """The statistics of rises and of falls."""
        begin, none = self.table[4], np.zeros_like(self.table[4])
        return (
            (none if self.direction == "fall" else begin).copy(),
            (none if self.direction == "rise" else begin).copy(),
        )

    def select(self, charts: Ints) -> Self:
        """Some of the charts."""
        return type(self)(self.spec, self.table[:, charts], self.direction)

    def step(self, state: State, x: Floats) -> Floats:
        """Across the charts."""
        one, rise, fall = self.table[:3, : len(x)]
        push = x.astype(np.int64) * one
        up, down = (array[: len(x)] for array in state)
        if self.direction != "fall":
            _hold(up, push - rise)
        if self.direction != "rise":
            _hold(down, fall - push)
        return _larger(up, down, self.direction)

    def run(self, state: State, chart: int, x: Floats) -> Floats:
        """Along one chart."""
        one, rise, fall = (int(value) for value in self.table[:3, chart])
        push = x.astype(np.int64) * one
        up = down = np.zeros(len(x), dtype=np.int64)
        if not len(x):
            return np.empty(0)
        if self.direction != "fall":
            up = reflected(push - rise, int(state[0][chart]))
            state[0][chart] = up[-1]
        if self.direction != "rise":
            down = reflected(fall - push, int(state[1][chart]))
            state[1][chart] = down[-1]
        return _larger(up, down, self.direction)

    def parameters(self) -> bytes:
        """All of them."""
        return self.direction.encode() + self.table.tobytes()


def _hold(sums: Ints, increments: Ints) -> None:
    """S = min(CEILING, max(0, S + increment)), in place."""
    np.minimum(np.maximum(sums + increments, 0), CEILING, out=sums)


def _larger(up: Ints, down: Ints, direction: Sides) -> Floats:
    larger = np.maximum(up, down) if direction == "both" else up if direction == "rise" else down
    return larger.astype(np.float64)


def _parameters(
    first: npt.ArrayLike, second: npt.ArrayLike, threshold: npt.ArrayLike | None, average: npt.ArrayLike | None
) -> list[Floats]:
    third = finite("threshold", family_threshold(threshold, average, partial(finite, "average_run_length")))
    if (third < 1).any() or (threshold is not None and (third != np.floor(third)).any()):
        raise ValueError(
            "threshold, average_run_length: allowed are whole thresholds >= 1 and average run lengths >= 1"
        )
    arrays = (np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64), third)
    return [np.ascontiguousarray(a) for a in np.broadcast_arrays(*(np.atleast_1d(array) for array in arrays))]


def _binary(steps: Sequence[Steps], p0: Floats, direction: Sides) -> tuple[Ints, Ints, Floats]:
    one, rise, fall = np.array(steps, dtype=np.int64).T
    return (fall, one - fall, 1.0 - p0) if direction == "fall" else (one - rise, rise, p0)


def _arithmetic(
    spec: type[Spec], steps: Sequence[Steps], threshold: Floats, head_start: float, direction: Sides
) -> LatticeArithmetic:
    if not 0.0 <= head_start < 1.0:
        raise ValueError(f"head_start: got {head_start!r}, allowed is a fraction of the threshold within [0, 1)")
    require_head_start(spec.__name__, head_start, direction)
    whole = np.ascontiguousarray(threshold).astype(np.int64)
    table = np.vstack([np.array(steps, dtype=np.int64).T, whole, (head_start * whole).astype(np.int64)])
    return LatticeArithmetic(spec, table, direction)
