"""EWMA chart: an exponentially weighted mean that alarms when it is too many of its own deviations off its target.

It finds small lasting shifts that single observations hide. Target and sigma are those of single, independent, normal
observations in control; an EWMA forgives skewed ones more than other charts do, the less it forgets (smoothing .05).
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt
import scipy
from msgspec import Meta

from detectors.arrays import Floats
from detectors.charts.design import designed_threshold, require_one_design
from detectors.charts.normal_run_length import Limits, baseline_range, ewma_run_length, ewma_width
from detectors.charts.run_length import RunLength
from detectors.contract import Reading, Readings, Spec, require_observation, require_observations


class EwmaState(msgspec.Struct, frozen=True):
    """The weighted mean in sigmas from the target, and (1 - smoothing)^2n, the part of its variance still to come."""

    level: float = 0.0
    missing: float = 1.0
    n: int = 0


class Ewma(Spec, frozen=True, tag="ewma"):
    """EWMA control chart (Roberts 1959, Technometrics 1, 239-250; Lucas and Saccucci 1990).

    z = (1 - smoothing) z + smoothing (x - target) / sigma; the statistic is |z| in its own standard deviations, and
    alarms above `threshold` (L). With `limits` "fixed" the deviation is sqrt(smoothing / (2 - smoothing)), that of a
    long stream; with "transient" that of z so far, smaller by sqrt(1 - (1 - smoothing)^2n): it finds a shift that was
    there from the start sooner, and gives more false alarms there.

    Give the `threshold`, or the `average_run_length` in control that is wanted. With neither it is 10,000 observations.

    It sees rises and falls. Smoothing .1, L 2.814: average run length 500 in control, 31, 10.3 and 4.4 after a shift
    of .5, 1 and 2 sigmas; wanted 10,000: L 3.75.

    >>> spec = Ewma(target=0.5, sigma=0.05, threshold=2.814)
    >>> round(spec.run_length(0.5).mean, 1), round(spec.run_length(0.55).mean, 1)
    (499.6, 10.3)
    >>> logic = spec.build()
    >>> [minute for minute in range(100) if logic.update(0.5 if minute < 50 else 0.55).alarm][0]
    59
    """

    state_type: ClassVar[type[EwmaState]] = EwmaState

    target: Annotated[float, Meta(ge=-1e100, le=1e100)] = 0.0
    sigma: Annotated[float, Meta(ge=1e-100, le=1e100)] = 1.0
    smoothing: Annotated[float, Meta(ge=0.001, le=1)] = 0.1
    threshold: Annotated[float, Meta(gt=0, lt=100)] | None = None
    average_run_length: Annotated[float, Meta(gt=1, le=1e9)] | None = None
    limits: Limits = "fixed"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_design(self)

    @classmethod
    def example(cls) -> Ewma:
        """A series around .5, standard deviation .05."""
        return cls(target=0.5, sigma=0.05, average_run_length=100_000.0)

    def width(self) -> float:
        """The threshold in standard deviations: the one given, or that of the wanted average run length."""
        return designed_threshold(self, lambda wanted: ewma_width(wanted, smoothing=self.smoothing, limits=self.limits))

    def run_length(self, mean: float, *, steady: bool = False) -> RunLength:
        """The run length of independent normal observations with this mean and standard deviation `sigma`.

        With `steady` the mean has been `target` for long without an alarm before.
        """
        shift = (mean - self.target) / self.sigma
        return ewma_run_length(shift, smoothing=self.smoothing, width=self.width(), limits=self.limits, steady=steady)

    def average_run_length_range(self, baseline: int, *, confidence: float = 0.95) -> tuple[float, float]:
        """The average run lengths in control if target and sigma are estimates from `baseline` observations."""

        def run_length(shift: float, spread: float) -> RunLength:
            width = self.width() / spread
            return ewma_run_length(shift / spread, smoothing=self.smoothing, width=width, limits=self.limits)

        return baseline_range(run_length, baseline, confidence=confidence)

    def build(self, state: EwmaState | None = None) -> EwmaLogic:
        """A chart that starts afresh, or goes on from `state`."""
        return EwmaLogic(self, threshold=self.width(), state=EwmaState() if state is None else state)


class EwmaLogic:
    """The running chart: three numbers."""

    def __init__(self, spec: Ewma, *, threshold: float, state: EwmaState) -> None:
        self._spec = spec
        self._threshold = threshold
        self._state = state
        self._keep = 1.0 - spec.smoothing
        self._variance = spec.smoothing / (2.0 - spec.smoothing)

    def update(self, x: float) -> Reading:
        """Take one observation. Raises ValueError for NaN and infinity."""
        require_observation(x, Ewma)
        spec, old = self._spec, self._state
        level = spec.smoothing * ((x - spec.target) / spec.sigma) + self._keep * old.level
        missing = old.missing * (self._keep * self._keep)
        self._state = EwmaState(level, missing, old.n + 1)
        variance = self._variance * (1.0 - missing) if spec.limits == "transient" else self._variance
        statistic = abs(level) / math.sqrt(variance)
        return Reading(statistic=statistic, threshold=self._threshold, alarm=statistic > self._threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first."""
        values = require_observations(x, Ewma)
        spec, old, count = self._spec, self._state, len(values)
        if not count:
            return Readings(statistic=np.empty(0), threshold=np.empty(0), alarm=np.empty(0, dtype=np.bool_))
        z = (values - spec.target) / spec.sigma
        level, missing = weighted_means(z, old.level, old.missing, smoothing=spec.smoothing)
        self._state = EwmaState(float(level[-1]), float(missing[-1]), old.n + count)
        statistic = in_deviations(level, missing, smoothing=spec.smoothing, limits=spec.limits)
        return Readings(
            statistic=statistic, threshold=np.full(count, self._threshold), alarm=statistic > self._threshold
        )

    def snapshot(self) -> EwmaState:
        """The three numbers."""
        return self._state


def weighted_means(z: Floats, level: float, missing: float, *, smoothing: float) -> tuple[Floats, Floats]:
    """Level and missing part of the variance after each of `z` (n,), n >= 1, going on from those before.

    They are those of one observation after the other, to the last bit.

    >>> weighted_means(np.array([1.0, 1.0]), 0.0, 1.0, smoothing=0.5)
    (array([0.5 , 0.75]), array([0.25  , 0.0625]))
    """
    keep = 1.0 - smoothing
    along, _ = scipy.signal.lfilter([smoothing], [1.0, -keep], z, zi=[keep * level])
    left = np.multiply.accumulate(np.concatenate([[missing], np.full(len(z), keep * keep)]))[1:]
    return np.asarray(along), left


def in_deviations(level: Floats, missing: Floats, *, smoothing: npt.ArrayLike, limits: Limits) -> Floats:
    """|level| in its own standard deviations; arrays broadcast.

    >>> in_deviations(np.array([0.5]), np.array([0.0]), smoothing=0.4, limits="fixed").tolist()
    [1.0]
    """
    weight = np.asarray(smoothing, dtype=np.float64)
    variance = weight / (2.0 - weight)
    statistic: Floats = np.abs(level) / np.sqrt(variance * (1.0 - missing) if limits == "transient" else variance)
    return statistic
