"""What e-SR and e-CUSUM share: bets on bounded observations, carried on in logarithms, for one series or many.

The two differ in one operation. With a bet's log increment l and its carried W >= 0 the log of its e-detector is
l + W; then W <- join(0, l + W), where join is log(e^a + e^b) for e-SR, so that W = log(1 + M), and the maximum for
e-CUSUM, so that W = max(0, log M). W starts at 0 for both and no step leaves the range of a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors.arrays import Floats
from detectors.contract import (
    Direction,
    Reading,
    Readings,
    Spec,
    StateMismatch,
    directions_of,
    require_observation,
    require_observations,
)
from detectors.sequential.alternatives import Side, alternatives

# Sums of increments are restarted after so many observations: their rounding stays below 1e-11, their memory small.
STRIDE = 512


class EDetectorState(msgspec.Struct, frozen=True):
    """The carried W of each alternative."""

    carried: tuple[float, ...] = ()


class EDetector(Spec, frozen=True):
    """The parameters of `ESr` and `ECusum`; see there."""

    mean: Annotated[float, Meta(gt=0, lt=1)] = 0.9
    smallest_change: Annotated[float, Meta(gt=0, lt=1)] = 0.02
    largest_change: Annotated[float, Meta(gt=0, lt=1)] | None = None
    direction: Side = "fall"
    average_run_length: Annotated[float, Meta(gt=1, le=1e100)] = 10_000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self.bets()
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}.{error}") from None

    @property
    def directions(self) -> frozenset[Direction]:
        """What `direction` says."""
        return directions_of(self.direction)

    def bets(self) -> Bets:
        """The bets on the doubling grid of `alternatives`."""
        grid = alternatives(
            self.mean,
            smallest_change=self.smallest_change,
            largest_change=self.largest_change,
            direction=self.direction,
        )
        at_zero = (1.0 - grid.means) / (1.0 - self.mean)
        return Bets(at_zero=at_zero, slope=grid.means / self.mean - at_zero, log_weight=np.log(grid.weights))


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """L = at_zero + slope x, the factor of each bet; shapes (grid,), or (series, grid). `log_weight`: of the stakes."""

    at_zero: Floats
    slope: Floats
    log_weight: Floats

    def log_increments(self, x: Floats) -> Floats:
        """log L of observations of shape (...), on a further last axis (grid,)."""
        increments: Floats = np.log(self.at_zero + x[..., np.newaxis] * self.slope)
        return increments

    def log_mixture(self, log_each: Floats) -> Floats:
        """log of the weighted sum over the grid, the last axis. Term by term, so that a bet of weight 0 is as none."""
        mixed: Floats = np.logaddexp.reduce(log_each + self.log_weight, axis=-1)
        return mixed


def step(bets: Bets, carried: Floats, x: Floats, *, join: np.ufunc) -> tuple[Floats, Floats]:
    """One observation a series, x (...), carried (..., grid): the statistics (...) and what is carried on."""
    log_each = bets.log_increments(x) + carried
    return bets.log_mixture(log_each), join(0.0, log_each)


def steps(bets: Bets, carried: Floats, x: Floats, *, join: np.ufunc) -> tuple[Floats, Floats]:
    """Observations x (..., n), oldest first: the statistics (..., n) and what is carried on, (..., grid).

    With C_t the sum of the first t log increments, W_t = C_t + join over s of (W_0, -C_1, ..., -C_t).
    """
    statistic = np.empty(x.shape)
    spread = Bets(bets.at_zero[..., np.newaxis, :], bets.slope[..., np.newaxis, :], bets.log_weight[..., np.newaxis, :])
    for start in range(0, x.shape[-1], STRIDE):
        part = x[..., start : start + STRIDE]
        increments = spread.log_increments(part)
        total = np.cumsum(increments, axis=-2)
        joined = join.accumulate(np.concatenate([carried[..., np.newaxis, :], -total], axis=-2), axis=-2)
        before = np.concatenate([carried[..., np.newaxis, :], (total + joined[..., 1:, :])[..., :-1, :]], axis=-2)
        statistic[..., start : start + STRIDE] = spread.log_mixture(increments + before)
        carried = total[..., -1, :] + joined[..., -1, :]
    return statistic, carried


class EDetectorLogic:
    """The running e-detector: a number for each alternative."""

    def __init__(self, spec: EDetector, *, join: np.ufunc, state: EDetectorState | None) -> None:
        self._kind = type(spec)
        self._join = join
        self._bets = spec.bets()
        self._threshold = float(np.log(spec.average_run_length))
        grid = len(self._bets.at_zero)
        carried = np.zeros(grid) if state is None else np.array(state.carried, dtype=np.float64)
        if carried.shape != (grid,) or not np.isfinite(carried).all():
            raise StateMismatch(f"building {self._kind.__name__}: expected a state of {grid} finite numbers")
        self._carried = carried

    def update(self, x: float) -> Reading:
        """Take one observation within [0, 1]. ValueError, and nothing changed, for another."""
        require_observation(x, self._kind)
        mixed, self._carried = step(self._bets, self._carried, np.asarray(x, dtype=np.float64), join=self._join)
        statistic = float(mixed)
        return Reading(statistic=statistic, threshold=self._threshold, alarm=statistic > self._threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first."""
        values = require_observations(x, self._kind)
        statistic, self._carried = steps(self._bets, self._carried, values, join=self._join)
        return Readings(
            statistic=statistic,
            threshold=np.full(statistic.shape, self._threshold),
            alarm=statistic > self._threshold,
        )

    def snapshot(self) -> EDetectorState:
        """What is carried on."""
        return EDetectorState(carried=tuple(self._carried.tolist()))
