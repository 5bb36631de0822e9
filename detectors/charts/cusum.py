"""Tabular CUSUM: has the mean of a series of known target and standard deviation moved, up, down or either way?

Target and sigma are those of single observations in control; from a baseline that is too short they make the stated run
length a guess (`average_run_length_range`), and observations that depend on each other make it too long.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, cast

import msgspec
from msgspec import Meta

from detectors import step_loops
from detectors.charts.design import designed_threshold, require_head_start, require_one_design
from detectors.charts.normal_run_length import baseline_range, cusum_run_length, cusum_threshold
from detectors.charts.run_length import RunLength
from detectors.contract import Direction, Reading, Sides, Spec, directions_of
from detectors.step_loops import Doubles
from detectors.stepwise import Stepwise


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
        return CusumLogic(self, partial(_steps, threshold), state)

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


class CusumLogic(Stepwise[Cusum, CusumState]):
    """The running chart: two sums, their lowest values and a count. It says something from the first observation on."""

    def update(self, x: float) -> Reading:
        """Take one observation. Raises ValueError for NaN and infinity."""
        return cast(Reading, super().update(x))


def _steps(
    threshold: float, spec: Cusum, old: CusumState, values: Doubles, statistics: Doubles, thresholds: Doubles
) -> CusumState:
    rises, falls = spec.direction != "fall", spec.direction != "rise"
    parameters = (spec.target, spec.sigma, spec.slack, threshold, rises, falls)
    return CusumState(*step_loops.cusum(values, statistics, thresholds, *parameters, *msgspec.structs.astuple(old)))
