"""KSWIN: does the newest part of a sliding window differ in distribution from a random sample of the rest?

The test runs at every value, on windows that overlap, with a part of the old values left out at random: its `alpha` is
that of one look, and far from the rate of false alarms.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, ClassVar, Final

import msgspec
import numpy as np
from msgspec import Meta

from detectors.arrays import Ints
from detectors.contract import Spec, StateMismatch
from detectors.step_loops import Doubles
from detectors.stepwise import Stepwise

_MASK: Final = 2**64 - 1
_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT: Final = np.uint64(31)


class KswinState(msgspec.Struct, frozen=True):
    """How many values came, and the last `window` of them, oldest first."""

    n: int = 0
    window: tuple[float, ...] = ()


class Kswin(Spec, frozen=True, tag="kswin"):
    """Kolmogorov-Smirnov windowing (Raab, Heusinger and Schleif 2020, Neurocomputing 416), the rule of River 0.26.1.

    Of the last `window` values, the newest `recent` are compared with as many drawn at random from the others. The
    statistic is their KS distance D; the threshold is the largest D that River lets pass: one with an exact two-sample
    p-value above `alpha`, or not above .1. River's names: `window` = `window_size`, `recent` = `stat_size`. It is
    silent until the window is full.

    Two things differ from River. The draw depends on `seed` and on the number of the value only, not on the draws
    before: a logic resumed from a checkpoint draws what it would have drawn, and the state holds no generator. And
    nothing is thrown away after an alarm: River means to keep the newest values, but empties the window at the next
    update. Replace the logic by `spec.build()` after an alarm for the same.

    Measured (`tests/studies/river_detectors.py`, seeded, defaults, a fresh start after each alarm): on N(0, 1) one
    alarm in 800 values, at `alpha` 1e-4 one in 20,000; on verdicts of .05 none in 40,000, of .3 one in 20,000, since
    ties make the test conservative. A mean moved by one standard deviation: 24 values, by chance alarms in part.
    Verdicts from .1 to .2: never within 1000. It sees rises, falls and changes of shape. 20 microseconds a value.

    >>> logic = Kswin(alpha=0.0001).build()
    >>> rng = np.random.default_rng(1)
    >>> values = [*rng.normal(0.9, 0.02, 300), *rng.normal(0.8, 0.02, 100)]
    >>> [i for i, x in enumerate(values) if (r := logic.update(x)) and r.alarm][0]
    316
    """

    state_type: ClassVar[type[KswinState]] = KswinState

    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.005
    window: Annotated[int, Meta(ge=4, le=400)] = 100
    recent: Annotated[int, Meta(ge=2, le=200)] = 30
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.recent > self.window:
            raise ValueError(f"Kswin.recent: got {self.recent}, allowed is at most half of the window, {self.window}")
        if critical_count(self.alpha, self.recent) > self.recent:
            raise ValueError(f"Kswin.alpha: got {self.alpha!r}, which no distance of {self.recent} values can reach")

    @classmethod
    def example(cls) -> Kswin:
        """A short window and a strict test."""
        return cls(alpha=1e-6, window=48, recent=20)

    def build(self, state: KswinState | None = None) -> Stepwise[Kswin, KswinState]:
        """An empty window, or the one in `state`; StateMismatch for a longer one."""
        if state is not None and len(state.window) > self.window:
            raise StateMismatch(f"building Kswin: {len(state.window)} values, allowed are {self.window}")
        return Stepwise(self, _steps, KswinState() if state is None else state)


def _steps(spec: Kswin, old: KswinState, values: Doubles, statistics: Doubles, thresholds: Doubles) -> KswinState:
    threshold = max((critical_count(spec.alpha, spec.recent) - 1) / spec.recent, 0.1)
    everything, earlier = (*old.window, *values), len(old.window)
    together = np.array(everything)
    for place in range(max(spec.window - earlier - 1, 0), len(values)):
        end = earlier + place + 1
        window = together[end - spec.window : end]
        recent = window[-spec.recent :].copy()
        recent.sort()
        older = window[drawn(spec.window - spec.recent, spec.recent, seed=spec.seed, n=old.n + place + 1)]
        older.sort()
        both = np.concatenate([recent, older])
        apart = recent.searchsorted(both, side="right") - older.searchsorted(both, side="right")
        statistics[place], thresholds[place] = int(np.abs(apart).max()) / spec.recent, threshold
    return KswinState(n=old.n + len(values), window=everything[-spec.window :])


def drawn(older: int, size: int, *, seed: int, n: int) -> Ints:
    """Places of `size` of the first `older` values, without replacement, the same for the same `seed` and `n`.

    Those with the smallest keys, where the keys are SplitMix64 (Steele, Lea and Flood 2014) of seed, n and place: a
    generator made anew for each value costs as much as the whole test.
    """
    keys = (np.arange(older, dtype=np.uint64) + np.uint64((seed << 32) + n << 9 & _MASK)) * _GAMMA
    for shift, factor in _MIX:
        keys = (keys ^ (keys >> shift)) * factor
    places: Ints = (keys ^ (keys >> _LAST_SHIFT)).argpartition(size - 1)[:size]
    return places


@lru_cache(maxsize=256)
def critical_count(alpha: float, size: int) -> int:
    """The least k for which a KS distance of k / `size` of two samples of `size` has a p-value of at most `alpha`.

    P(D >= k / r) = 2 sum over j >= 1 of (-1)^(j-1) C(2r, r - jk) / C(2r, r), exact without ties (Gnedenko and Korolyuk
    1951). One more than `size` where even separate samples are not significant.

    >>> critical_count(0.005, 30)
    14
    """
    splits = math.comb(2 * size, size)
    for count in range(1, size + 1):
        terms = [math.comb(2 * size, size - j * count) * (-1) ** (j - 1) for j in range(1, size // count + 1)]
        if 2 * sum(terms) <= alpha * splits:
            return count
    return size + 1
