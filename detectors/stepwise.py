"""The running detector of a mathematics that knows only single steps, made of one function that loops over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from detectors.contract import Reading, Readings, Spec, require_observation, require_observations

S = TypeVar("S", bound=Spec)
State = TypeVar("State")

Steps = Callable[[S, State, Sequence[float]], tuple[State, list[float], list[float]]]


class Stepwise(Generic[S, State]):
    """A `Logic` of the parameters `spec` that holds a state and lets `steps` replace it.

    `steps(spec, state, values)` gives the state after all values, and statistic and threshold after each, NaN while
    warming up. It is the one home of the arithmetic: a single observation is a batch of one. It should keep what it
    carries in local variables: a loop over plain numbers costs a fraction of a state and a reading made at every step.
    It sees only observations of the domain, depends on nothing else, and changes nothing; states are immutable, so the
    state is the snapshot.

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

    def update(self, x: float) -> Reading | None:
        """Take one observation. ValueError, and nothing changed, for one outside of the domain."""
        require_observation(x, self._kind)
        self._state, (statistic,), (threshold,) = self._steps(self._spec, self._state, (float(x),))
        if math.isnan(statistic):
            return None
        return Reading(statistic=statistic, threshold=threshold, alarm=statistic > threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first, one after the other; the same bits."""
        values = require_observations(x, self._kind)
        self._state, told, limits = self._steps(self._spec, self._state, values.tolist())
        statistic, threshold = np.array(told, dtype=np.float64), np.array(limits, dtype=np.float64)
        return Readings(statistic=statistic, threshold=threshold, alarm=statistic > threshold)

    def snapshot(self) -> State:
        """The state after the last observation."""
        return self._state
