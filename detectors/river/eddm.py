"""EDDM: has the distance between errors shrunk below a share of the largest that it ever was?

Its limit is a ratio with no regard to how many errors stand behind it, so most of its alarms are chance.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from detectors import step_loops
from detectors.contract import Direction, Domain, Spec
from detectors.step_loops import Doubles
from detectors.stepwise import Stepwise


class EddmState(msgspec.Struct, frozen=True):
    """Verdicts, place of the last error, number of errors, mean and squared deviations of their distances, and more.

    `largest` is the greatest mean + 2 sd, `level` the last one's share of it; None before there is one.
    """

    n: int = 0
    last: int = 0
    errors: int = 0
    mean: float = 0.0
    squares: float = 0.0
    largest: float | None = None
    level: float | None = None


class Eddm(Spec, frozen=True, tag="eddm"):
    """Early Drift Detection Method (Baena-Garcia et al. 2006) with the arithmetic of River 0.26.1, number for number.

    With v = mean + 2 sd of the distances between errors, the level is v over the largest v so far; River alarms where
    level < `share`. The statistic is -level and the threshold -`share`: the sign is turned so that above is an alarm.
    Between errors the reading of the last one stands. River's names: `warm_up` = `warm_start` (verdicts before the
    largest v is taken, and errors before it speaks), `share` = `beta`. River starts afresh after an alarm; this logic
    does not: for River's behaviour replace it by `spec.build()` after each alarm.

    Give it ones for errors. It sees rises; a fall only raises the largest v.

    Measured (`tests/studies/river_detectors.py`, independent verdicts, defaults): of 300 fresh starts 96 % alarm
    falsely within 5000 values, at an error rate of .05 after 639 in the median, at .3 after 108. A start whose largest
    v happened to be small is then quiet for ever, so no run length can be stated. Delay .1 to .2: 92 values, but mostly
    chance. .3 to .1: 40 % alarm, by chance.

    >>> logic = Eddm(share=0.75).build()
    >>> import random
    >>> rng = random.Random(42)
    >>> errors = rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=[0.3, 0.7])
    >>> [i for i, x in enumerate(errors) if (r := logic.update(x)) and r.alarm][0]
    1278
    """

    state_type: ClassVar[type[EddmState]] = EddmState
    domain: ClassVar[Domain] = Domain.BINARY

    warm_up: Annotated[int, Meta(ge=2, le=1_000_000)] = 30
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.9

    @classmethod
    def example(cls) -> Eddm:
        """A short warm-up, and a limit at which the stream of the tests is quiet; others of its kind are not."""
        return cls(warm_up=20, share=0.87)

    @property
    def directions(self) -> frozenset[Direction]:
        """Rises."""
        return frozenset({Direction.RISE})

    def build(self, state: EddmState | None = None) -> Stepwise[Eddm, EddmState]:
        """A test that starts afresh, or goes on from `state`."""
        return Stepwise(self, _steps, EddmState() if state is None else state)


def _steps(spec: Eddm, old: EddmState, values: Doubles, statistics: Doubles, thresholds: Doubles) -> EddmState:
    n, last, errors, mean, squares, largest, level = step_loops.eddm(
        values,
        statistics,
        thresholds,
        spec.warm_up,
        spec.share,
        old.n,
        old.last,
        old.errors,
        old.mean,
        old.squares,
        -math.inf if old.largest is None else old.largest,
        math.nan if old.level is None else old.level,
    )
    return EddmState(
        n,
        last,
        errors,
        mean,
        squares,
        None if math.isinf(largest) else largest,
        None if math.isnan(level) else level,
    )
