"""The CUSUM of whole numbers for rises, falls or both: what the Bernoulli and the Poisson CUSUM have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.arrays import Ints
from detectors.charts.lattice import HIGHEST, lattice_run_length
from detectors.charts.run_length import RunLength, two_sided
from detectors.contract import Reading, Readings, Spec, require_observation, require_observations


class Steps(NamedTuple):
    """An observation x adds `one` x - `rise` to the side of rises, and `fall` - `one` x to that of falls.

    A side that is not asked for has 0.
    """

    one: int
    rise: int
    fall: int


class LatticeCusumState(msgspec.Struct, frozen=True):
    """Both statistics, in steps, and the observations so far."""

    rise: int = 0
    fall: int = 0
    n: int = 0


class Side(NamedTuple):
    """What moves one side: increments (k,), their probabilities, and those of the quiet time before (steady state)."""

    increments: npt.ArrayLike
    shares: npt.ArrayLike
    quiet_shares: npt.ArrayLike | None = None


class LatticeCusumLogic:
    """The running chart: two whole numbers and a count."""

    def __init__(self, spec: type[Spec], steps: Steps, *, threshold: int, state: LatticeCusumState) -> None:
        self._spec = spec
        self._steps = steps
        self._shown = threshold - 0.5
        self._state = state

    def update(self, x: float) -> Reading:
        """Take one observation. Raises ValueError for one outside of the domain."""
        require_observation(x, self._spec)
        steps, old = self._steps, self._state
        push = steps.one * int(x)
        rise = max(0, old.rise + push - steps.rise) if steps.rise else 0
        fall = max(0, old.fall + steps.fall - push) if steps.fall else 0
        self._state = LatticeCusumState(rise, fall, old.n + 1)
        statistic = float(max(rise, fall))
        return Reading(statistic=statistic, threshold=self._shown, alarm=statistic > self._shown)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first; the same whole numbers as one by one."""
        values = require_observations(x, self._spec)
        steps, old = self._steps, self._state
        push = values.astype(np.int64) * steps.one
        rise = reflected(push - steps.rise, old.rise) if steps.rise else np.zeros_like(push)
        fall = reflected(steps.fall - push, old.fall) if steps.fall else np.zeros_like(push)
        if len(push):
            self._state = LatticeCusumState(int(rise[-1]), int(fall[-1]), old.n + len(push))
        statistic = np.maximum(rise, fall).astype(np.float64)
        return Readings(statistic=statistic, threshold=np.full(len(push), self._shown), alarm=statistic > self._shown)

    def snapshot(self) -> LatticeCusumState:
        """The three numbers."""
        return self._state


def reflected(increments: Ints, start: int) -> Ints:
    """S = max(0, S + increment) after each of `increments` (n,), from `start` >= 0; exact.

    The sum less the lowest value that it has had.

    >>> reflected(np.array([-1, 6, -1, -1]), 0).tolist()
    [0, 6, 5, 4]
    """
    total = np.add.accumulate(increments)
    lowest = np.minimum(np.minimum.accumulate(total), -start)
    return total - lowest


def lattice_cusum_run_length(rise: Side | None, fall: Side | None, *, threshold: int, start: int) -> RunLength:
    """The run length of one side, or of both; `start` is the statistic before the first observation."""
    sides = [side for side in (rise, fall) if side is not None]
    if len(sides) == 2 and sides[0].quiet_shares is not None:
        raise ValueError("steady: got True with both directions, allowed is one direction, that of the change")
    begun, zero = (
        [
            lattice_run_length(
                side.increments,
                side.shares,
                threshold=threshold,
                head_start=head_start,
                quiet_shares=side.quiet_shares,
            )
            for side in sides
        ]
        for head_start in (start, 0)
    )
    return two_sided(*begun, rise_from_zero=zero[0], fall_from_zero=zero[1]) if len(sides) == 2 else begun[0]


def least_threshold(average: Callable[[int], float], wanted: float) -> int:
    """The least threshold with average(threshold) >= wanted, where `average` does not fall.

    Raises ValueError where none up to 4,000,000 is enough.

    >>> least_threshold(lambda threshold: threshold**2, 50.0)
    8
    """
    low, high = 0, 8
    while average(high) < wanted:
        low, high = high, 2 * high
        if high > HIGHEST:
            raise ValueError(f"average_run_length {wanted:g}: no threshold up to {HIGHEST} reaches it")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if average(middle) >= wanted else (middle, high)
    return high
