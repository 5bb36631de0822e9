"""Many EWMA charts in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Ints
from detectors.charts.design import family_threshold
from detectors.charts.ewma import Ewma, in_deviations, weighted_means
from detectors.charts.family import ChartFamily, State, table
from detectors.charts.normal_run_length import Limits, ewma_width
from detectors.contract import Spec


def ewma_family(
    target: npt.ArrayLike,
    sigma: npt.ArrayLike,
    *,
    smoothing: npt.ArrayLike = 0.1,
    threshold: npt.ArrayLike | None = None,
    average_run_length: float | None = None,
    limits: Limits = "fixed",
) -> ChartFamily:
    """An `Ewma` for each target: arrays of shape (charts,) or single numbers, with the meaning of its parameters.

    A wanted `average_run_length` is that of each chart and needs one smoothing for all.
    Raises ValueError where `Ewma` would, and unless one of `threshold` and `average_run_length` is given.

    >>> family = ewma_family([0.0, 0.5], [1.0, 0.1], smoothing=0.5, threshold=3.0)
    >>> family.update([1.0, 0.4]).statistic.round(6).tolist()
    [0.866025, 0.866025]
    """
    width = family_threshold(
        threshold,
        average_run_length,
        lambda wanted: ewma_width(wanted, smoothing=float(np.asarray(smoothing)), limits=limits),
    )
    parameters = table(target=target, sigma=sigma, smoothing=smoothing, threshold=width)
    _, sigmas, weights, thresholds = parameters
    if not ((sigmas > 0).all() and (weights > 0).all() and (weights <= 1).all() and (thresholds > 0).all()):
        raise ValueError("sigma, smoothing, threshold: allowed are sigma > 0, 0 < smoothing <= 1 and threshold > 0")
    return ChartFamily(EwmaArithmetic(parameters, limits))


@dataclass(frozen=True, eq=False)
class EwmaArithmetic:
    """`table` has a row each for target, sigma, smoothing and threshold."""

    table: Floats
    limits: Limits
    spec: ClassVar[type[Spec]] = Ewma

    @property
    def threshold(self) -> Floats:
        """In standard deviations of the weighted mean."""
        threshold: Floats = self.table[3]
        return threshold

    def start(self) -> State:
        """Level, and the part of the variance still to come."""
        return np.zeros_like(self.table[0]), np.ones_like(self.table[0])

    def select(self, charts: Ints) -> Self:
        """Some of the charts."""
        return type(self)(self.table[:, charts], self.limits)

    def step(self, state: State, x: Floats) -> Floats:
        """Across the charts."""
        target, sigma, smoothing = self.table[:3, : len(x)]
        level, missing = (array[: len(x)] for array in state)
        keep = 1.0 - smoothing
        level[:] = smoothing * ((x - target) / sigma) + keep * level
        missing *= keep * keep
        return in_deviations(level, missing, smoothing=smoothing, limits=self.limits)

    def run(self, state: State, chart: int, x: Floats) -> Floats:
        """Along one chart."""
        target, sigma, smoothing = (float(value) for value in self.table[:3, chart])
        if not len(x):
            return np.empty(0)
        level, missing = state
        along, left = weighted_means((x - target) / sigma, level[chart], missing[chart], smoothing=smoothing)
        level[chart], missing[chart] = along[-1], left[-1]
        return in_deviations(along, left, smoothing=smoothing, limits=self.limits)

    def parameters(self) -> bytes:
        """All of them."""
        return self.limits.encode() + self.table.tobytes()
