"""Alarm when a target mean has left the confidence sequence: "a precision of .9 is no longer plausible".

It judges the mean since its start, not the newest level: after a long good time a drop is diluted. So it starts anew
every `period` observations; for the quickest word on a change take `ESr`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors import step_loops
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
from detectors.sequential.bernoulli import BernoulliMixture
from detectors.sequential.e_detector import LOG_2
from detectors.step_loops import POWER, ROUNDINGS, Doubles
from detectors.stepwise import memory


class ConfidenceSequenceState(msgspec.Struct, frozen=True):
    """Observations of the current period and their sum, and the e-value that is carried on from verdict to verdict.

    It is `value` times 2^`power`, `error` a bound on what is wrong with `value`, in roundings. Without a `value` the
    rest of the period is judged by count and sum alone: it had another observation than 0 and 1, or nothing else was
    saved.
    """

    n: int = 0
    total: float = 0.0
    value: float | None = None
    error: float = 0.0
    power: Annotated[int, Meta(ge=0, le=2**53)] = 0


class ConfidenceSequence(Spec, frozen=True, tag="confidence_sequence"):
    """Alarm when log e > ln(1/`alpha`), e the `bernoulli_e_value` of the period's observations against `target`.

    That is exactly when `target` is outside `bernoulli_sequence` of the period (direction both), or when the whole side
    of it is refuted: fall = "the mean is below target", rise = "the mean is above". What holds: while every conditional
    mean is on the right side of `target`, at most a share `alpha` of the periods has an alarm at any of its
    observations; so the run length is at least about `period` / `alpha`. The period begins anew after `period`
    observations, whether there was an alarm or not, which is the schedule of a report, not a reset after an alarm.
    Tightest near `optimal_n` observations. Observations within [0, 1]; weighted labels: `weighted_observations`.

    Labels to an alarm at a mean of c below a target of .9, at the default alpha and optimal_n [simulated]: 1359 for c =
    .02, 338 for .05, 108 for .1. Source: Howard et al.
    2021, arXiv 1810.08240.

    >>> spec = ConfidenceSequence(target=0.9, direction="fall", optimal_n=200)
    >>> verdicts = [float(index % 4 > 0) for index in range(400)]
    >>> int(spec.build().update_many(verdicts).alarm.argmax())
    40
    """

    state_type: ClassVar[type[ConfidenceSequenceState]] = ConfidenceSequenceState
    domain: ClassVar[Domain] = Domain.UNIT

    target: Annotated[float, Meta(gt=0, lt=1)] = 0.9
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    optimal_n: Annotated[float, Meta(gt=0, le=1e9)] = 500.0
    period: Annotated[int, Meta(ge=10, le=1_000_000_000)] = 5000
    direction: Sides = "fall"

    @classmethod
    def example(cls) -> ConfidenceSequence:
        """Both directions, in short periods."""
        return cls(target=0.5, optimal_n=50.0, period=100, direction="both")

    @property
    def directions(self) -> frozenset[Direction]:
        """What `direction` says."""
        return directions_of(self.direction)

    def build(self, state: ConfidenceSequenceState | None = None) -> ConfidenceSequenceLogic:
        """A sequence that starts afresh, or goes on from `state`."""
        return ConfidenceSequenceLogic(self, state=ConfidenceSequenceState() if state is None else state)


@lru_cache(maxsize=1024)
def _judge(spec: ConfidenceSequence) -> tuple[BernoulliMixture, tuple[bool, float, float, float, float]]:
    """The mixture and what the steps need of it, made once for all series of one kind.

    That takes as long as thousands of observations.
    """
    found = BernoulliMixture.tuned(spec.target, alpha=spec.alpha, optimal_n=spec.optimal_n, evidence=spec.direction)
    each = found.mixture
    return found, (found.of_misses, float(each.a), float(each.b), float(each.share), each.edge())


class ConfidenceSequenceLogic:
    """The running sequence: a count, a sum, and the e-value of the verdicts so far."""

    def __init__(self, spec: ConfidenceSequence, *, state: ConfidenceSequenceState) -> None:
        if not 0.0 <= state.total <= state.n * (1.0 + 1e-9) or state.n > spec.period:
            raise StateMismatch(f"building ConfidenceSequence: a sum of {state.total} over {state.n} observations")
        if state.value is not None and not _usable(state, state.value):
            raise StateMismatch(f"building ConfidenceSequence: expected an e-value of verdicts, got {state}")
        self._period = spec.period
        self._threshold = float(-np.log(spec.alpha))
        self._mixture, self._steps = _judge(spec)
        self._n, self._total = state.n, state.total
        self._value, self._error, self._power = state.value or math.nan, state.error, float(state.power)
        if not state.n:
            self._value, self._error, self._power = 1.0, ROUNDINGS, 0.0
        # For a single observation: making them anew each time would cost more than all the rest.
        cells = memory(np.empty(3))
        self._cell, self._found, self._powers = cells[:1], cells[1:2], cells[2:]

    def update(self, x: float) -> Reading:
        """Take one observation within [0, 1]. ValueError, and nothing changed, for another."""
        require_observation(x, ConfidenceSequence)
        self._cell[0] = float(x)
        self._step(self._cell, self._found, self._powers)
        found, power = self._found[0], self._powers[0]
        # NumPy's logarithm, as for arrays: the bits are the same.
        log_e = self._mixture.log_e(found, -power) if power < 0.0 else np.log(found) + power * LOG_2
        statistic = float(log_e)
        return Reading(statistic=statistic, threshold=self._threshold, alarm=statistic > self._threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first, one after the other; the same bits."""
        values = np.ascontiguousarray(require_observations(x, ConfidenceSequence))
        found, powers = np.empty((2, len(values)))
        self._step(memory(values), memory(found), memory(powers))
        by_sum = powers < 0.0
        statistic = np.log(found, where=~by_sum, out=np.zeros(found.shape))
        statistic += powers * LOG_2
        if by_sum.any():
            statistic[by_sum] = self._mixture.log_e(found[by_sum], -powers[by_sum])
        return Readings(
            statistic=statistic,
            threshold=np.full(values.shape, self._threshold),
            alarm=statistic > self._threshold,
        )

    def snapshot(self) -> ConfidenceSequenceState:
        """The count, the sum and the e-value."""
        if math.isnan(self._value):
            return ConfidenceSequenceState(n=self._n, total=self._total)
        return ConfidenceSequenceState(
            n=self._n, total=self._total, value=self._value, error=self._error, power=int(self._power)
        )

    def _step(self, values: Doubles, found: Doubles, powers: Doubles) -> None:
        self._n, self._total, self._value, self._error, self._power = step_loops.confidence_sequence(
            values,
            found,
            powers,
            *self._steps,
            self._period,
            self._n,
            self._total,
            self._value,
            self._error,
            self._power,
        )


def _usable(state: ConfidenceSequenceState, value: float) -> bool:
    """Whether this e-value can be carried on."""
    carried = 0.0 < value < math.inf and 0.0 < state.error < math.inf and state.power % POWER == 0
    return carried and state.total == int(state.total)
