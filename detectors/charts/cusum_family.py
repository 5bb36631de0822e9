"""Many tabular CUSUMs in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from detectors import step_loops
from detectors.arrays import Floats, Ints
from detectors.charts.cusum import Cusum
from detectors.charts.design import family_threshold, require_head_start
from detectors.charts.family import ChartFamily, State, table
from detectors.charts.normal_run_length import cusum_threshold
from detectors.contract import Sides, Spec
from detectors.step_loops import LOWEST
from detectors.stepwise import memory


def cusum_family(
    target: npt.ArrayLike,
    sigma: npt.ArrayLike,
    *,
    slack: npt.ArrayLike = 0.5,
    threshold: npt.ArrayLike | None = None,
    average_run_length: float | None = None,
    head_start: npt.ArrayLike = 0.0,
    direction: Sides = "both",
) -> ChartFamily:
    """A `Cusum` for each target: arrays of shape (charts,) or single numbers, with the meaning of its parameters.

    A wanted `average_run_length` is that of each chart and needs one slack and head start for all.
    Raises ValueError where `Cusum` would, and unless one of `threshold` and `average_run_length` is given.

    >>> family = cusum_family([0.0, 0.5], [1.0, 0.1], threshold=5.0)
    >>> family.update([[1.0, 1.0, 1.0], [0.4, 0.4, 0.4]]).statistic.round(9).tolist()
    [[0.5, 1.0, 1.5], [0.5, 1.0, 1.5]]
    """
    limit = family_threshold(
        threshold,
        average_run_length,
        lambda wanted: cusum_threshold(
            wanted, slack=float(np.asarray(slack)), head_start=float(np.asarray(head_start)), direction=direction
        ),
    )
    parameters = table(target=target, sigma=sigma, slack=slack, threshold=limit, head_start=head_start)
    _, sigmas, slacks, thresholds, starts = parameters
    if not ((sigmas > 0).all() and (slacks >= 0).all() and (thresholds > 0).all()):
        raise ValueError("sigma, slack, threshold: allowed are sigma > 0, slack >= 0 and threshold > 0")
    if not ((starts >= 0) & (starts < 1)).all():
        raise ValueError("head_start: allowed are fractions of the threshold within [0, 1)")
    require_head_start("cusum_family", starts, direction)
    return ChartFamily(CusumArithmetic(parameters, direction))


@dataclass(frozen=True, eq=False)
class CusumArithmetic:
    """`table` has a row each for target, sigma, slack, threshold and head start."""

    table: Floats
    direction: Sides
    spec: ClassVar[type[Spec]] = Cusum

    @property
    def threshold(self) -> Floats:
        """In sigmas."""
        threshold: Floats = self.table[3]
        return threshold

    def start(self) -> State:
        """Sum and lowest of the rise, then of the fall."""
        lowest = -(self.table[4] * self.table[3])
        return np.zeros_like(lowest), lowest.copy(), np.zeros_like(lowest), lowest.copy()

    def select(self, charts: Ints) -> Self:
        """Some of the charts."""
        return type(self)(self.table[:, charts], self.direction)

    def step(self, state: State, x: Floats) -> Floats:
        """Across the charts."""
        count = len(x)
        target, sigma, slack = self.table[:3, :count]
        z = (x - target) / sigma
        if self.direction == "both":
            return np.maximum(_advance(state[:2], z - slack), _advance(state[2:], -z - slack))
        return _advance(state[:2], z - slack) if self.direction == "rise" else _advance(state[2:], -z - slack)

    def run(self, state: State, chart: int, x: Floats) -> Floats:
        """Along one chart."""
        statistic, threshold = np.empty((2, len(x)))
        target, sigma, slack, limit = self.table[:4, chart].tolist()
        rise, lowest_rise, fall, lowest_fall = (float(array[chart]) for array in state)
        rises, falls = self.direction != "fall", self.direction != "rise"
        *carried, _ = step_loops.cusum(
            memory(np.ascontiguousarray(x)),
            memory(statistic),
            memory(threshold),
            target,
            sigma,
            slack,
            limit,
            rises,
            falls,
            rise,
            lowest_rise,
            fall,
            lowest_fall,
            0,
        )
        for array, value in zip(state, carried, strict=True):
            array[chart] = value
        return statistic

    def parameters(self) -> bytes:
        """All of them."""
        return self.direction.encode() + self.table.tobytes()


def _advance(side: State, increment: Floats) -> Floats:
    total, lowest = (array[: len(increment)] for array in side)
    total += increment
    np.minimum(lowest, total, out=lowest)
    low = lowest < LOWEST
    if low.any():
        total[low] -= lowest[low]
        lowest[low] = 0.0
    held: Floats = total - lowest
    return held
