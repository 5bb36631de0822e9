"""The running detector of a mathematics that knows only single steps, made of one function that takes a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy.typing as npt

from detectors.contract import Reading, Readings, Spec, one_by_one, require_observation, require_observations

S = TypeVar("S", bound=Spec)
State = TypeVar("State")


class Stepwise(Generic[S, State]):
    """A `Logic` of the parameters `spec` that holds a state and lets `step` replace it.

    `step(spec, state, x)` gives the next state and what to say, None while warming up. It sees only observations of
    the domain, depends on nothing else, and changes nothing; states are immutable, so the state is the snapshot.

    >>> from detectors.river import Ddm
    >>> logic = Ddm(warm_up=2).build()
    >>> [logic.update(x) is None for x in (0, 1, 0)], logic.snapshot().n
    ([True, True, False], 3)
    """

    def __init__(self, spec: S, step: Callable[[S, State, float], tuple[State, Reading | None]], state: State) -> None:
        self._spec = spec
        self._kind = type(spec)
        self._step = step
        self._state = state

    def update(self, x: float) -> Reading | None:
        """Take one observation. ValueError, and nothing changed, for one outside of the domain."""
        require_observation(x, self._kind)
        self._state, reading = self._step(self._spec, self._state, x)
        return reading

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first, one after the other; the same bits."""
        return one_by_one(self, require_observations(x, self._kind).tolist())

    def snapshot(self) -> State:
        """The state after the last observation."""
        return self._state
