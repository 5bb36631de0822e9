"""Poisson CUSUM: has the mean of counts (reports a minute, appeals an hour) left mean0, towards mean1 or either way?

Counts of equal intervals. Moderation counts usually vary more than Poisson counts do (campaigns, rhythms), and then
false alarms come more often than stated: compare the variance of the baseline with its mean before use.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
import scipy
from msgspec import Meta

from detectors.arrays import Floats
from detectors.charts.design import designed_threshold, require_head_start, require_one_design
from detectors.charts.lattice_cusum import (
    LatticeCusumLogic,
    LatticeCusumState,
    Steps,
    lattice_cusum_run_length,
    least_threshold,
    whole_steps,
)
from detectors.charts.run_length import RunLength
from detectors.contract import Direction, Domain, Sides, Spec, directions_of
from detectors.intervals import poisson_rate


@lru_cache(maxsize=65_536)
def poisson_steps(mean0: float, mean1: float, *, direction: Sides = "rise") -> Steps:
    """The whole numbers that stand for the log-likelihood ratio of mean1 against mean0.

    A count x is worth x - k with k = (mean1 - mean0) / ln(mean1 / mean0), between both; the fall of "both" has the k of
    mean0^2 / mean1. The smallest whole numbers whose ratio is k within a twentieth of |mean1 - mean0|.
    Raises ValueError unless mean1 is above mean0 (rise, both) or below (fall), both positive.

    Source: Lucas 1985, Technometrics 27, 129-144.

    >>> poisson_steps(0.16, 0.375), poisson_steps(20.0, 25.0)
    (Steps(one=4, rise=1, fall=0), Steps(one=2, rise=45, fall=0))
    """
    if not (mean0 > 0.0 and mean1 > 0.0 and (mean1 < mean0 if direction == "fall" else mean1 > mean0)):
        side = "below" if direction == "fall" else "above"
        raise ValueError(f"mean1: got {mean1!r}, allowed for {direction} is a mean {side} mean0 = {mean0!r}")
    slacks = [(mean1 - mean0) / math.log(mean1 / mean0)]
    if direction == "both":
        slacks.append((mean0 - mean0**2 / mean1) / math.log(mean1 / mean0))
    steps = whole_steps(slacks, range(1, 1_000_000), within=abs(mean1 - mean0) / 20.0, direction=direction)
    if steps is None:
        raise ValueError(f"mean0 {mean0!r}, mean1 {mean1!r}: too close to each other for a chart")
    return steps


class PoissonCusum(Spec, frozen=True, tag="poisson_cusum"):
    """CUSUM of counts (Lucas 1985) on whole numbers: S = max(0, S + step), alarm at S >= threshold.

    Steps as `poisson_steps` says, from 0 or from `head_start` of the threshold. `direction` "rise" looks for mean1 >
    mean0, "fall" for mean1 < mean0, "both" for mean1 > mean0 and mean0^2 / mean1; the statistic is then the larger, and
    the head start at most .5. Readings show a threshold half a step lower, because an alarm is a statistic above it.

    Give `threshold` in steps, or the `average_run_length` in control that is wanted, in counts: then the threshold is
    the least that has it. With neither it is 10,000. `run_length` is exact for independent Poisson counts.

    It sees the moves of `direction`.

    >>> spec = PoissonCusum(mean0=4.0, mean1=6.0)
    >>> spec.decision_interval(), round(spec.run_length(4.0).mean), round(spec.run_length(6.0).mean, 1)
    (18, 13668, 17.7)
    >>> logic = spec.build()
    >>> [minute for minute in range(100) if logic.update(4 if minute < 50 else 7).alarm][0]
    58
    """

    state_type: ClassVar[type[LatticeCusumState]] = LatticeCusumState
    domain: ClassVar[Domain] = Domain.COUNT

    mean0: Annotated[float, Meta(gt=0, le=1e6)] = 4.0
    mean1: Annotated[float, Meta(gt=0, le=1e6)] = 6.0
    threshold: Annotated[int, Meta(ge=1, le=4_000_000)] | None = None
    average_run_length: Annotated[float, Meta(gt=1, le=1e12)] | None = None
    head_start: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    direction: Sides = "rise"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_design(self)
        require_head_start(type(self).__name__, self.head_start, self.direction)
        poisson_steps(self.mean0, self.mean1, direction=self.direction)

    @classmethod
    def example(cls) -> PoissonCusum:
        """Both sides of a mean of 10."""
        return cls(mean0=10.0, mean1=15.0, average_run_length=100_000.0, direction="both")

    @property
    def directions(self) -> frozenset[Direction]:
        """What `direction` says."""
        return directions_of(self.direction)

    @property
    def steps(self) -> Steps:
        """What a count adds."""
        return poisson_steps(self.mean0, self.mean1, direction=self.direction)

    def decision_interval(self) -> int:
        """The threshold in steps: the one given, or the least with the wanted average run length."""
        return designed_threshold(self, lambda wanted: _threshold(wanted, self.mean0, self.steps, self.head_start))

    def run_length(self, mean: float, *, steady: bool = False) -> RunLength:
        """The exact run length where the mean is `mean` from the first count on.

        With `steady` it has been mean0 for long without an alarm before (for one direction only).
        Raises ValueError for a negative mean, and for `steady` with both directions.
        """
        return _run_length(mean, self.steps, self.decision_interval(), self.head_start, self.mean0 if steady else None)

    def average_run_length_range(self, baseline: int, *, confidence: float = 0.95) -> tuple[float, float]:
        """The average run lengths in control that go with a mean0 that is an estimate from `baseline` counts.

        Taken at both limits of the exact interval for a Poisson mean (Garwood 1936), and at mean0.
        """
        limits = poisson_rate(self.mean0 * baseline, baseline, confidence=confidence)
        means = [self.run_length(float(mean)).mean for mean in (limits.lower, self.mean0, limits.upper)]
        return min(means), max(means)

    def build(self, state: LatticeCusumState | None = None) -> LatticeCusumLogic:
        """A chart that starts afresh, or goes on from `state`."""
        return LatticeCusumLogic(
            PoissonCusum, self.steps, threshold=self.decision_interval(), head_start=self.head_start, state=state
        )


@lru_cache(maxsize=65_536)
def _threshold(wanted: float, mean0: float, steps: Steps, head_start: float) -> int:
    return least_threshold(lambda threshold: _run_length(mean0, steps, threshold, head_start).mean, wanted)


def _run_length(mean: float, steps: Steps, threshold: int, head_start: float, quiet: float | None = None) -> RunLength:
    if not 0.0 <= mean <= 1e7:
        raise ValueError(f"mean: got {mean!r}, allowed is a mean >= 0")
    # Above this count a rise alarms from anywhere, and a fall is at 0 from anywhere.
    most = (threshold + max(steps.rise, steps.fall)) // steps.one + 1
    return lattice_cusum_run_length(
        np.arange(most + 1),
        _shares(mean, most),
        steps=steps,
        threshold=threshold,
        head_start=head_start,
        quiet_shares=None if quiet is None else _shares(quiet, most),
    )


def _shares(mean: float, most: int) -> Floats:
    """Probabilities of 0, 1, ... `most` and more, also of those that are tiny, adding up to 1."""
    at = np.arange(most)
    shares: Floats = np.exp(scipy.special.xlogy(at, mean) - mean - scipy.special.gammaln(at + 1.0))
    below = shares.sum()
    if below > 0.0:
        shares *= scipy.special.gammaincc(most, mean) / below
    return np.append(shares, scipy.special.gammainc(most, mean))
