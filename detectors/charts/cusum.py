"""Tabular CUSUM: has the mean of a series of known target and standard deviation moved, up, down or either way?

Target and sigma are those of single observations in control; from a baseline that is too short they make the stated run
length a guess (`average_run_length_range`), and observations that depend on each other make it too long.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors.arrays import Floats
from detectors.charts.design import designed_threshold, require_head_start, require_one_design
from detectors.charts.normal_run_length import baseline_range, cusum_run_length, cusum_threshold
from detectors.charts.run_length import RunLength
from detectors.contract import (
    Direction,
    Reading,
    Readings,
    Sides,
    Spec,
    directions_of,
    require_observation,
    require_observations,
)

LOWEST: Final = -4096.0
"""A sum that has been lower starts again at its lowest, so that rounding does not grow with the stream."""

SHORTEST: Final = 16
LONGEST: Final = 4096
"""How long a piece of an array is that is summed up at once: at least, and at first."""


class CusumState(msgspec.Struct, frozen=True):
    """The running sum of each side, and the lowest that it has been; a statistic is their difference."""

    rise: float = 0.0
    lowest_rise: float = 0.0
    fall: float = 0.0
    lowest_fall: float = 0.0
    n: int = 0


class Cusum(Spec, frozen=True, tag="cusum"):
    """Two-sided tabular CUSUM (Page 1954, Biometrika 41, 100-115) with a head start (Lucas and Crosier 1982).

    With z = (x - target) / sigma: rise = max(0, rise + z - slack), fall = max(0, fall - z - slack); the statistic is
    the larger of both, or the one of `direction`, and alarms above `threshold`. Slack and threshold are in sigmas:
    half of the smallest shift that is worth a page is the best slack. They begin at `head_start` of the threshold, both
    at .5 of it at most.

    Give the `threshold`, or the `average_run_length` in control that is wanted, head start included. With neither it
    is 10,000 observations: a week of minutes. It takes independent normal observations for granted: the means of at
    least some tens of verdicts or scores each.

    It sees the moves of `direction`. Slack .5, threshold 5: average run length 465 in control, 38, 10.4 and 4 after a
    shift of .5, 1 and 2 sigmas; wanted 10,000: threshold 8.05. With 1,000 observations of baseline the 95 % range of
    those 465 is 260 to 750.

    >>> spec = Cusum(target=0.5, sigma=0.05, threshold=5.0)
    >>> round(spec.run_length(0.5).mean, 1), round(spec.run_length(0.55).mean, 1)
    (465.4, 10.4)
    >>> logic = spec.build()
    >>> [minute for minute in range(100) if logic.update(0.5 if minute < 50 else 0.55).alarm][0]
    60
    """

    state_type: ClassVar[type[CusumState]] = CusumState

    target: Annotated[float, Meta(ge=-1e100, le=1e100)] = 0.0
    sigma: Annotated[float, Meta(ge=1e-100, le=1e100)] = 1.0
    slack: Annotated[float, Meta(ge=0, le=100)] = 0.5
    threshold: Annotated[float, Meta(gt=0, lt=10_000)] | None = None
    average_run_length: Annotated[float, Meta(gt=1, le=1e9)] | None = None
    head_start: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    direction: Sides = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_design(self)
        require_head_start(type(self).__name__, self.head_start, self.direction)

    @classmethod
    def example(cls) -> Cusum:
        """A series around .5, standard deviation .05."""
        return cls(target=0.5, sigma=0.05, average_run_length=100_000.0)

    @property
    def directions(self) -> frozenset[Direction]:
        """What `direction` says."""
        return directions_of(self.direction)

    def decision_interval(self) -> float:
        """The threshold in sigmas: the one given, or that of the wanted average run length."""
        return designed_threshold(
            self,
            lambda wanted: cusum_threshold(
                wanted, slack=self.slack, head_start=self.head_start, direction=self.direction
            ),
        )

    def run_length(self, mean: float, *, steady: bool = False) -> RunLength:
        """The run length of independent normal observations with this mean and standard deviation `sigma`.

        With `steady` the mean has been `target` for long without an alarm before (for one direction only).
        """
        return self._run_length((mean - self.target) / self.sigma, 1.0, steady=steady)

    def average_run_length_range(self, baseline: int, *, confidence: float = 0.95) -> tuple[float, float]:
        """The average run lengths in control if target and sigma are estimates from `baseline` observations."""
        return baseline_range(self._run_length, baseline, confidence=confidence)

    def build(self, state: CusumState | None = None) -> CusumLogic:
        """A chart that starts afresh, or goes on from `state`."""
        threshold = self.decision_interval()
        if state is None:
            start = self.head_start * threshold
            state = CusumState(lowest_rise=-start, lowest_fall=-start)
        return CusumLogic(self, threshold=threshold, state=state)

    def _run_length(self, shift: float, spread: float, *, steady: bool = False) -> RunLength:
        threshold = self.decision_interval()
        return cusum_run_length(
            shift / spread,
            slack=self.slack / spread,
            threshold=threshold / spread,
            head_start=self.head_start * threshold / spread,
            direction=self.direction,
            steady=steady,
        )


class CusumLogic:
    """The running chart: two sums, their lowest values and a count."""

    def __init__(self, spec: Cusum, *, threshold: float, state: CusumState) -> None:
        self._spec = spec
        self._threshold = threshold
        self._state = state

    def update(self, x: float) -> Reading:
        """Take one observation. Raises ValueError for NaN and infinity."""
        require_observation(x, Cusum)
        spec, old = self._spec, self._state
        z = (x - spec.target) / spec.sigma
        rise, lowest_rise, fall, lowest_fall = old.rise, old.lowest_rise, old.fall, old.lowest_fall
        if spec.direction != "fall":
            rise, lowest_rise = _advanced(rise, lowest_rise, z - spec.slack)
        if spec.direction != "rise":
            fall, lowest_fall = _advanced(fall, lowest_fall, -z - spec.slack)
        self._state = CusumState(rise, lowest_rise, fall, lowest_fall, old.n + 1)
        statistic = max(
            rise - lowest_rise if spec.direction != "fall" else 0.0,
            fall - lowest_fall if spec.direction != "rise" else 0.0,
        )
        return Reading(statistic=statistic, threshold=self._threshold, alarm=statistic > self._threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first; the same bits as one by one."""
        values = require_observations(x, Cusum)
        spec, old = self._spec, self._state
        z = (values - spec.target) / spec.sigma
        rise, lowest_rise, fall, lowest_fall = old.rise, old.lowest_rise, old.fall, old.lowest_fall
        statistic = np.zeros(len(z))
        if spec.direction != "fall":
            statistic, rise, lowest_rise = held_sum(z - spec.slack, rise, lowest_rise)
        if spec.direction != "rise":
            falling, fall, lowest_fall = held_sum(-z - spec.slack, fall, lowest_fall)
            statistic = np.maximum(statistic, falling)
        self._state = CusumState(rise, lowest_rise, fall, lowest_fall, old.n + len(z))
        return Readings(
            statistic=statistic, threshold=np.full(len(z), self._threshold), alarm=statistic > self._threshold
        )

    def snapshot(self) -> CusumState:
        """The five numbers."""
        return self._state


def held_sum(increments: Floats, total: float, lowest: float) -> tuple[Floats, float, float]:
    """The sum of `increments` (n,) less the lowest that it has been, the sum, and the lowest; both go on from before.

    Where the sum is below `LOWEST` both begin again at 0: a rule of the state, so that it does not matter how a stream
    is cut into arrays. The sums are those of one addition after the other, to the last bit. They are taken in pieces of
    twice the length that the last one had up to such a place: additions that a place makes void are at most as many as
    those before it, or 16.

    >>> held_sum(np.array([1.0, -3.0, 0.5]), 0.0, 0.0)
    (array([1. , 0. , 0.5]), -1.5, -2.0)
    """
    # A head start may have put the lowest below `LOWEST`: the first observation ends that.
    done, length = 0, LONGEST if lowest >= LOWEST else 1
    parts: list[Floats] = []
    while done < len(increments) or not parts:
        sums = np.add.accumulate(np.concatenate([[total], increments[done : done + length]]))[1:]
        if len(sums) and sums.min() < LOWEST:
            sums = sums[: int(np.argmax(sums < LOWEST)) + 1]
        lows = np.minimum(np.minimum.accumulate(sums), lowest)
        parts.append(sums - lows)
        if len(sums):
            total, lowest = float(sums[-1]), float(lows[-1])
            if lowest < LOWEST:
                total, lowest = total - lowest, 0.0
        done += len(sums)
        length = max(SHORTEST, 2 * len(sums))
    return parts[0] if len(parts) == 1 else np.concatenate(parts), total, lowest


def _advanced(total: float, lowest: float, increment: float) -> tuple[float, float]:
    total += increment
    lowest = min(lowest, total)
    return (total - lowest, 0.0) if lowest < LOWEST else (total, lowest)
