"""Bernoulli CUSUM: has the share of ones among single verdicts left p0, towards p1 or on both sides of p0?

It counts verdicts, not minutes, and takes them as independent: verdicts of one campaign or one reviewer that come
together alarm earlier than stated. A p0 that is itself an estimate moves the run length by more than one may think:
`average_run_length_range` says by how much.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from detectors.charts.design import designed_threshold, require_head_start, require_one_design
from detectors.charts.lattice import binary_thresholds
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
from detectors.intervals import wilson


@lru_cache(maxsize=65_536)
def bernoulli_steps(p0: float, p1: float, *, direction: Sides = "rise") -> Steps:
    """The whole numbers that stand for the log-likelihood ratio of p1 against p0.

    With t = ln[p1 (1 - p0) / (p0 (1 - p1))] a verdict y is worth t (y - k), k = ln[(1 - p0) / (1 - p1)] / t between p0
    and p1, and t (k - y) in the mirror, the share with the odds ratio 1/t below p0. The smallest whole numbers whose
    ratio is k within a twentieth of |p1 - p0|; for most rises that is one - rise = m - 1 and rise = 1 with m = 1/k
    rounded. Sides that are not asked for have 0.
    Raises ValueError unless p1 is above p0 (rise, both) or below (fall), both within (0, 1) and not within 1e-9 or so
    of each other, 0 or 1.

    Source: Reynolds and Stoumbos 1999, J. Quality Technology 31, 87-108.

    >>> bernoulli_steps(0.1, 0.2), bernoulli_steps(0.5, 0.6), bernoulli_steps(0.1, 0.2, direction="both")
    (Steps(one=7, rise=1, fall=0), Steps(one=11, rise=6, fall=0), Steps(one=14, rise=2, fall=1))
    """
    if not (0.0 < p0 < 1.0 and 0.0 < p1 < 1.0 and (p1 < p0 if direction == "fall" else p1 > p0)):
        side = "below" if direction == "fall" else "above"
        raise ValueError(f"p1: got {p1!r}, allowed for {direction} is a share {side} p0 = {p0!r}")
    odds = p1 * (1.0 - p0) / (p0 * (1.0 - p1))
    slacks = [np.log((1.0 - p0) / (1.0 - p1)) / np.log(odds)]
    if direction == "both":
        mirror = p0 / (p0 + odds * (1.0 - p0))
        slacks.append(np.log((1.0 - p0) / (1.0 - mirror)) / -np.log(odds))
    rare = max(min(slacks[-1], 1.0 - slacks[0]), 1e-300)
    # Both values of a verdict then move the statistic: `one` k and `one` (1 - k) are at least 1 - rare / 2 > .5.
    ones = (round(whole / rare) for whole in range(1, 100_000))
    steps = whole_steps(slacks, ones, within=abs(p1 - p0) / 20.0, direction=direction)
    if steps is None:
        raise ValueError(f"p0 {p0!r}, p1 {p1!r}: too close to each other, or to 0 or 1, for a chart")
    return steps


class BernoulliCusum(Spec, frozen=True, tag="bernoulli_cusum"):
    """CUSUM of the log-likelihood ratio of single verdicts (Reynolds and Stoumbos 1999), on whole numbers.

    S = max(0, S + step) from 0, or from `head_start` of the threshold, with the steps of `bernoulli_steps`; alarm at
    S >= threshold. `direction` "rise" looks for p1 > p0, "fall" for p1 < p0, "both" for p1 > p0 and the share with the
    same odds ratio below p0; the statistic is then the larger of both, and the head start at most .5. Readings show a
    threshold half a step lower, because an alarm is a statistic above it.

    Give `threshold` in steps, or the `average_run_length` in control that is wanted, in verdicts: then the threshold is
    the least that has it, head start included. With neither it is 10,000. `run_length` is exact. Choose p1 as the
    smallest change that is worth a page: larger ones are found sooner, smaller ones later.

    It sees the moves of `direction`. p0 .1, threshold 50 (p1 .2): average run length 9,505 in control, 344 at .15, 110
    at .2. With p0 known from 1,000 verdicts the 95 % range of those 9,505 is 1,600 to 74,000.

    >>> spec = BernoulliCusum(p0=0.1, p1=0.2, threshold=50)
    >>> round(spec.run_length(0.1).mean, 1), round(spec.run_length(0.2).mean, 1)
    (9504.9, 110.3)
    >>> logic = spec.build()
    >>> [n for n in range(400) if logic.update(n % 10 == 0 if n < 200 else n % 4 == 0).alarm][0]
    260
    """

    state_type: ClassVar[type[LatticeCusumState]] = LatticeCusumState
    domain: ClassVar[Domain] = Domain.BINARY

    p0: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    p1: Annotated[float, Meta(gt=0, lt=1)] = 0.1
    threshold: Annotated[int, Meta(ge=1, le=4_000_000)] | None = None
    average_run_length: Annotated[float, Meta(gt=1, le=1e12)] | None = None
    head_start: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    direction: Sides = "rise"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_design(self)
        require_head_start(type(self).__name__, self.head_start, self.direction)
        bernoulli_steps(self.p0, self.p1, direction=self.direction)

    @classmethod
    def example(cls) -> BernoulliCusum:
        """Both sides of one half."""
        return cls(p0=0.5, p1=0.8, average_run_length=100_000.0, direction="both")

    @property
    def directions(self) -> frozenset[Direction]:
        """What `direction` says."""
        return directions_of(self.direction)

    @property
    def steps(self) -> Steps:
        """What a verdict adds."""
        return bernoulli_steps(self.p0, self.p1, direction=self.direction)

    def decision_interval(self) -> int:
        """The threshold in steps: the one given, or the least with the wanted average run length."""
        return designed_threshold(self, lambda wanted: _threshold(wanted, self.p0, self.steps, self.head_start))

    def run_length(self, p: float, *, steady: bool = False) -> RunLength:
        """The exact run length, in verdicts, where the share is p from the first verdict on.

        With `steady` the share has been p0 for long without an alarm before (for one direction only).
        Raises ValueError for p outside [0, 1], and for `steady` with both directions.
        """
        return _run_length(p, self.steps, self.decision_interval(), self.head_start, self.p0 if steady else None)

    def average_run_length_range(self, baseline: int, *, confidence: float = 0.95) -> tuple[float, float]:
        """The average run lengths in control that go with a p0 that is an estimate from `baseline` verdicts.

        The mean run lengths at both limits of Wilson's interval around p0, smaller first, and at p0 for two sides, of
        which the longest is near p0. The chart's true average is between them with about that confidence.

        >>> chart = BernoulliCusum(p0=0.1, p1=0.2, threshold=50)
        >>> [round(mean, -2) for mean in chart.average_run_length_range(10_000)]
        [5200.0, 17800.0]
        """
        limits = wilson(self.p0 * baseline, baseline, confidence=confidence)
        means = [self.run_length(float(p)).mean for p in (limits.lower, self.p0, limits.upper)]
        return min(means), max(means)

    def build(self, state: LatticeCusumState | None = None) -> LatticeCusumLogic:
        """A chart that starts afresh, or goes on from `state`."""
        return LatticeCusumLogic(
            BernoulliCusum, self.steps, threshold=self.decision_interval(), head_start=self.head_start, state=state
        )


@lru_cache(maxsize=65_536)
def _threshold(wanted: float, p0: float, steps: Steps, head_start: float) -> int:
    up, down = (steps.one - steps.rise, steps.rise) if steps.rise else (steps.fall, steps.one - steps.fall)
    if not (steps.rise and steps.fall) and 1 in (up, down) and not head_start:
        return int(binary_thresholds(wanted, p0 if steps.rise else 1.0 - p0, up=up, down=down))

    return least_threshold(lambda threshold: _run_length(p0, steps, threshold, head_start).mean, wanted)


def _run_length(p: float, steps: Steps, threshold: int, head_start: float, quiet: float | None = None) -> RunLength:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p: got {p!r}, allowed is a share within [0, 1]")
    return lattice_cusum_run_length(
        [1, 0],
        [p, 1.0 - p],
        steps=steps,
        threshold=threshold,
        head_start=head_start,
        quiet_shares=None if quiet is None else [quiet, 1.0 - quiet],
    )
