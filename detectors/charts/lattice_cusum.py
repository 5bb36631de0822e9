"""The CUSUM of whole numbers for rises, falls or both: what the Bernoulli and the Poisson CUSUM have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.arrays import Ints
from detectors.charts.design import require_head_start
from detectors.charts.lattice import HIGHEST, lattice_run_length
from detectors.charts.run_length import RunLength, two_sided
from detectors.contract import Reading, Readings, Sides, Spec, require_observation, require_observations

CEILING: Final = 1 << 53
"""No statistic goes above this, far beyond every threshold: sums stay whole numbers, exact as floats too."""

MOST_STEPS: Final = 1_000_000_000
"""The greatest `one`: a batch of 1e9 verdicts stays within 64 bits."""


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


class LatticeCusumLogic:
    """The running chart: two whole numbers and a count; a fresh one begins at `head_start` of the threshold."""

    def __init__(
        self, spec: type[Spec], steps: Steps, *, threshold: int, head_start: float, state: LatticeCusumState | None
    ) -> None:
        if state is None:
            start = int(head_start * threshold)
            state = LatticeCusumState(start if steps.rise else 0, start if steps.fall else 0)
        self._spec = spec
        self._steps = steps
        # Half a step lower, because an alarm is a statistic above it.
        self._shown = threshold - 0.5
        self._state = state

    def update(self, x: float) -> Reading:
        """Take one observation. Raises ValueError for one outside of the domain."""
        require_observation(x, self._spec)
        steps, old = self._steps, self._state
        push = steps.one * int(x)
        rise = _held(old.rise, push - steps.rise) if steps.rise else 0
        fall = _held(old.fall, steps.fall - push) if steps.fall else 0
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
    """S = min(CEILING, max(0, S + increment)) after each of `increments` (n,), from `start` >= 0; exact.

    The sum less the lowest value that it has had; one by one where it may come near the ceiling.

    >>> reflected(np.array([-1, 6, -1, -1]), 0).tolist()
    [0, 6, 5, 4]
    """
    if start + len(increments) * int(np.abs(increments).max(initial=0)) > CEILING:
        held = accumulate(increments.tolist(), _held, initial=start)
        return np.array(list(held)[1:], dtype=np.int64)
    total = np.add.accumulate(increments)
    lowest = np.minimum(np.minimum.accumulate(total), -start)
    return total - lowest


def whole_steps(slacks: Sequence[float], ones: Iterable[int], *, within: float, direction: Sides) -> Steps | None:
    """The steps of the first of `ones` at which each slack is a whole number over it, within `within` and not 0.

    `slacks` are what an observation is compared with, in its own unit: of the rise, then of the fall, or of the one
    side of `direction`. None where none of `ones` up to 1e9 is right.

    >>> whole_steps([0.26], range(1, 100), within=0.02, direction="fall")
    Steps(one=4, rise=0, fall=1)
    """
    for one in ones:
        if one > MOST_STEPS:
            break
        whole = [round(one * slack) for slack in slacks]
        if all(step > 0 and abs(step / one - slack) <= within for step, slack in zip(whole, slacks, strict=True)):
            return Steps(one, 0 if direction == "fall" else whole[0], 0 if direction == "rise" else whole[-1])
    return None


def lattice_cusum_run_length(
    values: npt.ArrayLike,
    shares: npt.ArrayLike,
    *,
    steps: Steps,
    threshold: int,
    head_start: float,
    quiet_shares: npt.ArrayLike | None = None,
) -> RunLength:
    """The run length of the sides that `steps` has, for observations that are `values` (k,) with these `shares`.

    `head_start` is the fraction of the threshold at which the sides begin. With `quiet_shares`, the shares for long
    before without an alarm, it is the run length from the steady state. ValueError for two sides with either a steady
    state or a head start above half of the threshold.
    """
    observed = np.asarray(values, dtype=np.int64)
    rise, fall = steps.one * observed - steps.rise, steps.fall - steps.one * observed
    sides = [increments for increments, asked in ((rise, steps.rise), (fall, steps.fall)) if asked]
    if len(sides) == 2 and quiet_shares is not None:
        raise ValueError("steady: got True with both directions, allowed is one direction, that of the change")

    def from_start(start: int) -> list[RunLength]:
        return [
            lattice_run_length(side, shares, threshold=threshold, head_start=start, quiet_shares=quiet_shares)
            for side in sides
        ]

    start = int(head_start * threshold)
    begun = from_start(start)
    if len(begun) == 1:
        return begun[0]
    require_head_start("lattice_cusum_run_length", start / threshold, "both")
    zero = from_start(0) if start else begun
    return two_sided(*begun, rise_from_zero=zero[0], fall_from_zero=zero[1])


def least_threshold(average: Callable[[int], float], wanted: float) -> int:
    """The least threshold with average(threshold) >= wanted, where `average` does not fall.

    Raises ValueError where none up to 4,000,000 is enough.

    >>> least_threshold(lambda threshold: threshold**2, 50.0)
    8
    """
    low, high = 0, 8
    while average(high) < wanted:
        low, high = high, high + max(8, high // 2)
        if high > HIGHEST:
            raise ValueError(f"average_run_length {wanted:g}: no threshold up to {HIGHEST} reaches it")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if average(middle) >= wanted else (middle, high)
    return high


def _held(total: int, increment: int) -> int:
    return min(CEILING, max(0, total + increment))
