"""Alarm when a target mean has left the confidence sequence: "a precision of .9 is no longer plausible".

It judges the mean since its start, not the newest level: after a long good time a drop is diluted. So it starts anew
every `period` observations; for the quickest word on a change take `ESr`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from detectors.arrays import Floats
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


class ConfidenceSequenceState(msgspec.Struct, frozen=True):
    """Observations of the current period and their sum."""

    n: int = 0
    total: float = 0.0


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
def _mixture(spec: ConfidenceSequence) -> BernoulliMixture:
    """Tuned once for all series of one kind: that takes as long as thousands of observations."""
    return BernoulliMixture.tuned(spec.target, alpha=spec.alpha, optimal_n=spec.optimal_n, evidence=spec.direction)


class ConfidenceSequenceLogic:
    """The running sequence: a count and a sum."""

    def __init__(self, spec: ConfidenceSequence, *, state: ConfidenceSequenceState) -> None:
        if not 0.0 <= state.total <= state.n * (1.0 + 1e-9) or state.n > spec.period:
            raise StateMismatch(f"building ConfidenceSequence: a sum of {state.total} over {state.n} observations")
        self._period = spec.period
        self._threshold = float(-np.log(spec.alpha))
        self._mixture = _mixture(spec)
        self._n = state.n
        self._total = state.total

    def update(self, x: float) -> Reading:
        """Take one observation within [0, 1]. ValueError, and nothing changed, for another."""
        require_observation(x, ConfidenceSequence)
        if self._n == self._period:
            self._n, self._total = 0, 0.0
        self._n += 1
        self._total += float(x)
        statistic = float(self._mixture.log_e(self._total, self._n))
        return Reading(statistic=statistic, threshold=self._threshold, alarm=statistic > self._threshold)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first."""
        values = require_observations(x, ConfidenceSequence)
        sums = self._sums(values)
        counts = (self._n + np.arange(len(values))) % self._period + 1.0
        if len(values):
            self._n, self._total = int(counts[-1]), float(sums[-1])
        statistic = self._mixture.log_e(sums, counts)
        return Readings(
            statistic=statistic,
            threshold=np.full(values.shape, self._threshold),
            alarm=statistic > self._threshold,
        )

    def snapshot(self) -> ConfidenceSequenceState:
        """The count and the sum."""
        return ConfidenceSequenceState(n=self._n, total=self._total)

    def _sums(self, values: Floats) -> Floats:
        """Sums up to each observation: in what is left of this period, in whole periods, in the beginning of one."""
        left = self._period - self._n
        begun = np.cumsum(np.concatenate([[self._total], values[:left]]))[1:]
        after = values[left:]
        whole = len(after) // self._period * self._period
        rows = after[:whole].reshape(-1, self._period).cumsum(axis=1)
        return np.concatenate([begun, rows.ravel(), after[whole:].cumsum()])
