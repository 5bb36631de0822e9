"""What e-SR and e-CUSUM share: bets on bounded observations, carried on for one series or many.

The two differ in one operation. With a bet's factor L and its carried V >= 1 its e-detector is L V; then
V <- join(1, L V), where join is the sum for e-SR, so that V = 1 + M, and the maximum for e-CUSUM, so that
V = max(1, M). V starts at 1 for both. It is kept as a number and a power of two, so that no step leaves the range of a
float; a step costs a few products and sums a bet, and one logarithm a series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors import step_loops
from detectors.arrays import Floats, Ints
from detectors.contract import (
    Direction,
    Domain,
    Reading,
    Readings,
    Sides,
    Spec,
    StateMismatch,
    directions_of,
    require_observation,
    require_observations,
)
from detectors.sequential.alternatives import alternatives
from detectors.step_loops import POWER, Doubles
from detectors.stepwise import memory

HIGHEST: Final = 2.0**POWER
"""A number above this gives POWER to its exponent."""
LOG_2: Final = math.log(2.0)


class EDetectorState(msgspec.Struct, frozen=True):
    """The carried V of each bet: `value` times 2 to the power `exponent`."""

    value: tuple[float, ...] = ()
    exponent: tuple[Annotated[int, Meta(ge=0, le=2**53)], ...] = ()


class EDetector(Spec, frozen=True):
    """The parameters of `ESr` and `ECusum`; see there."""

    state_type: ClassVar[type[EDetectorState]] = EDetectorState
    domain: ClassVar[Domain] = Domain.UNIT
    join: ClassVar[np.ufunc]
    """what is done with 1 and an e-detector: np.add or np.maximum"""

    mean: Annotated[float, Meta(ge=1e-100, lt=1)] = 0.9
    smallest_change: Annotated[float, Meta(gt=0, lt=1)] = 0.02
    largest_change: Annotated[float, Meta(gt=0, lt=1)] | None = None
    direction: Sides = "fall"
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

    def build(self, state: EDetectorState | None = None) -> EDetectorLogic:
        """A detector that starts afresh, or goes on from `state`."""
        return EDetectorLogic(self, state=state)

    def bets(self) -> Bets:
        """The bets on the doubling grid of `alternatives`."""
        grid = alternatives(
            self.mean,
            smallest_change=self.smallest_change,
            largest_change=self.largest_change,
            direction=self.direction,
        )
        at_zero = (1.0 - grid.means) / (1.0 - self.mean)
        # A factor near 0 at x = 1 must not be rounded to 0 or below.
        slope = np.maximum(grid.means / self.mean - at_zero, -at_zero * (1.0 - 1e-15))
        return Bets(at_zero=at_zero[:, np.newaxis], slope=slope[:, np.newaxis], weight=grid.weights[:, np.newaxis])


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """L = at_zero + slope x, the factor of each bet, and its share of the stake; shapes (grid, series or 1)."""

    at_zero: Floats
    slope: Floats
    weight: Floats

    def factors(self, x: Floats) -> Floats:
        """L of observations x (series,), shape (grid, series)."""
        factors: Floats = self.slope * x
        factors += self.at_zero
        return factors

    def of(self, series: Ints) -> Bets:
        """The bets of some series."""
        return Bets(self.at_zero[:, series], self.slope[:, series], self.weight[:, series])


class Lanes:
    """Series side by side: V = `value` times 2^`exponent`, both (grid, series), and both changed in place."""

    def __init__(self, bets: Bets, value: Floats, exponent: Ints, *, join: np.ufunc) -> None:
        self._bets, self._join = bets, join
        self.value, self.exponent = value, exponent
        self._follow()

    def update(self, x: Floats) -> Floats:
        """One observation a series, x (series,): the statistics (series,)."""
        each = self._bets.factors(x)
        each *= self.value
        self._join(self._one, each, out=self.value)
        each *= self._share
        # Row by row: the order of the sum, and so its last bit, must not depend on the number of series.
        mixture = each[0]
        for bet in each[1:]:
            mixture += bet
        statistic: Floats = np.log(mixture)
        statistic += self._offset
        if self.value.max() > HIGHEST or (self._raised and self.value.min() < 1.0):
            up = self.value > HIGHEST
            powers = POWER * (up.astype(np.int64) - ((self.value < 1.0) & (self.exponent > 0)))
            self.value[...] = np.ldexp(self.value, -powers)
            self.exponent += powers
            self._follow()
        return statistic

    def _follow(self) -> None:
        """What the exponents make of the 1 that is joined and of the weights, and what the log of the sum lacks."""
        largest = self.exponent.max(axis=0)
        self._raised = bool(largest.any())
        self._one = np.ldexp(1.0, -self.exponent) if self._raised else 1.0
        self._share = np.ldexp(self._bets.weight, self.exponent - largest) if self._raised else self._bets.weight
        self._offset = largest * LOG_2


def usable(value: Floats, exponent: npt.NDArray[np.float64 | np.int64]) -> bool:
    """Whether these can be carried on."""
    return bool(((value > 0.0) & (value <= HIGHEST) & (exponent >= 0) & (exponent % POWER == 0)).all())


@lru_cache(maxsize=1024)
def _flat_bets(spec: EDetector) -> Doubles:
    """`at_zero`, `slope` and `weight` of the bets: made once for all series of one kind, changed by none."""
    bets = spec.bets()
    return memory(np.concatenate([bets.at_zero, bets.slope, bets.weight]).ravel())


class EDetectorLogic:
    """The running e-detector: a number and an exponent for each bet, in the memory of `step_loops.e_detector`."""

    def __init__(self, spec: EDetector, *, state: EDetectorState | None) -> None:
        self._kind = type(spec)
        self._sums = spec.join is np.add
        self._threshold = math.log(spec.average_run_length)
        self._bets = _flat_bets(spec)
        grid = len(self._bets) // 3
        value, exponent = np.ones(grid), np.zeros(grid, dtype=np.int64)
        if state is not None:
            value, exponent = np.array(state.value, dtype=np.float64), np.array(state.exponent, dtype=np.int64)
            if value.shape != (grid,) or exponent.shape != (grid,) or not usable(value, exponent):
                raise StateMismatch(f"building {self._kind.__name__}: expected a state of {grid} numbers and exponents")
        self._carried = memory(np.concatenate([value, exponent, np.empty(2 * grid)]))
        self._x, self._mixture, self._power = (memory(np.empty(1)) for _ in range(3))

    def update(self, x: float) -> Reading:
        """Take one observation within [0, 1]. ValueError, and nothing changed, for another."""
        require_observation(x, self._kind)
        self._x[0] = float(x)
        step_loops.e_detector(self._x, self._mixture, self._power, self._bets, self._sums, self._carried)
        # NumPy's logarithm, as for arrays: the bits are the same.
        statistic = float(np.log(self._mixture[0])) + self._power[0] * LOG_2
        return Reading(statistic=statistic, threshold=self._threshold, alarm=statistic > self._threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first, one after the other; the same bits."""
        values = np.ascontiguousarray(require_observations(x, self._kind))
        mixtures, powers = np.empty((2, len(values)))
        step_loops.e_detector(memory(values), memory(mixtures), memory(powers), self._bets, self._sums, self._carried)
        statistic: Floats = np.log(mixtures) + powers * LOG_2
        threshold = np.full(statistic.shape, self._threshold)
        return Readings(statistic=statistic, threshold=threshold, alarm=statistic > threshold)

    def snapshot(self) -> EDetectorState:
        """What is carried on."""
        grid = len(self._bets) // 3
        value, exponent = self._carried[:grid], self._carried[grid : 2 * grid]
        return EDetectorState(value=tuple(value), exponent=tuple(map(int, exponent)))
