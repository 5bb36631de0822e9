"""The running detector of a mathematics that knows only single steps, made of one function that loops over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats
from detectors.contract import Reading, Readings, Spec, require_observation, require_observations
from detectors.step_loops import Doubles

S = TypeVar("S", bound=Spec)
State = TypeVar("State")

Steps = Callable[[S, State, Doubles, Doubles, Doubles], State]


class Stepwise(Generic[S, State]):
    """A `Logic` of the parameters `spec` that holds a state and lets `steps` replace it.

    `steps(spec, state, values, statistics, thresholds)` gives the state after all values, and writes statistic and
    threshold after each, which are NaN and stay so while warming up. It is the one home of the arithmetic: a single
    observation is a batch of one. It should keep what it carries in local variables: a loop over plain numbers costs a
    fraction of a state and a reading made at every step; one in `detectors.step_loops` is compiled too. It sees only
    observations of the domain, depends on nothing else, and changes nothing else; states are immutable, so the state is
    the snapshot.

    >>> from detectors.river import Ddm
    >>> logic = Ddm(warm_up=2).build()
    >>> [logic.update(x) is None for x in (0, 1, 0)], logic.snapshot().n
    ([True, True, False], 3)
    """

    def __init__(self, spec: S, steps: Steps[S, State], state: State) -> None:
        self._spec = spec
        self._kind = type(spec)
        self._steps = steps
        self._state = state
        # For a single observation: making them anew each time would cost more than all the rest.
        cells = memory(np.empty(3))
        self._value, self._statistic, self._threshold = cells[:1], cells[1:2], cells[2:]

    def update(self, x: float) -> Reading | None:
        """Take one observation. ValueError, and nothing changed, for one outside of the domain."""
        require_observation(x, self._kind)
        self._value[0], self._statistic[0], self._threshold[0] = float(x), math.nan, math.nan
        self._state = self._steps(self._spec, self._state, self._value, self._statistic, self._threshold)
        statistic, threshold = self._statistic[0], self._threshold[0]
        if math.isnan(statistic):
            return None
        return Reading(statistic=statistic, threshold=threshold, alarm=statistic > threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first, one after the other; the same bits."""
        values = np.ascontiguousarray(require_observations(x, self._kind))
        statistic, threshold = np.full((2, len(values)), math.nan)
        self._state = self._steps(self._spec, self._state, memory(values), memory(statistic), memory(threshold))
        return Readings(statistic=statistic, threshold=threshold, alarm=statistic > threshold)

    def snapshot(self) -> State:
        """The state after the last observation."""
        return self._state


def memory(numbers: Floats) -> Doubles:
    """The memory of a contiguous array, for a loop."""
    found: Any = numbers.data
    return cast(Doubles, found)
