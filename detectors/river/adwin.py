"""ADWIN, River's adaptive window: did the mean of a series change anywhere in a window that grows until it does?

Its bound takes values within [0, 1] for granted: give it shares and mean scores, not latencies. It is not a chart with
an adjustable false-alarm rate, and a daily rhythm is a change to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from msgspec import Meta
from river._river_rust.drift import AdaptiveWindowing

from detectors.contract import (
    Reading,
    Readings,
    Spec,
    StateMismatch,
    require_observation,
    require_observations,
)
from detectors.river.river_state import RiverState, freeze, thaw


class Adwin(Spec, frozen=True, tag="adwin"):
    """Adaptive windowing (Bifet and Gavalda 2007, SIAM Data Mining 443-448), arithmetic of River.

    The window is cut where two neighbouring parts of n0 and n1 values differ in mean by more than
    sqrt(2 v ln(2/d') / m) + (2/3) ln(2/d') / m, with 1/m = 1/n0 + 1/n1, v the window's variance, d' = delta / ln n.
    After a cut the oldest values are dropped and the rest stays: the published algorithm. (River's own `ADWIN.update`
    throws the whole window away one update after an alarm; until the first alarm both are the same.) The values from
    before a change leave the window in several cuts, so one large change gives some ten alarms; to count changes,
    replace the logic by `spec.build()` after an alarm, which is what River does.

    Defaults suit one value a minute. `clock` 1 tests each minute; River's 32 would wait half an hour between tests.
    `warm_up` is River's `grace_period`, here an hour.

    Measured on independent normal minute values, sd .02 / .05 / .1: no alarm in 200 days each. Mean delay after a day
    of baseline: shift of .1 77 / 90 / 117 minutes, .05 161 / 201 / 306, .03 302 / 471 / 906, .02 9 h / 16 h / over a
    day with half of them missed within two. It sees rises and falls alike. It is slow: an hour against an hour shows
    only differences above .2. A daily sine of amplitude .01 (sd .02) gives no alarm, one of .02 1.7 alarms a day, one
    of .05 nine. On Bernoulli(.05) and (.3) single values: no alarm in 500,000 (delta .002, clock 32).

    >>> logic = Adwin().build()
    >>> [minute for minute in range(600) if (r := logic.update(0.9 if minute < 300 else 0.7)) and r.alarm][0]
    348
    """

    state_type: ClassVar[type[RiverState]] = RiverState

    delta: Annotated[float, Meta(gt=0, lt=1)] = 0.002
    clock: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    max_buckets: Annotated[int, Meta(ge=2, le=64)] = 5
    min_window_length: Annotated[int, Meta(ge=1, le=1_000_000)] = 5
    warm_up: Annotated[int, Meta(ge=1, le=1_000_000)] = 60

    @classmethod
    def example(cls) -> Adwin:
        """A short warm-up and a lax delta."""
        return cls(delta=0.05, warm_up=10)

    def build(self, state: RiverState | None = None) -> AdwinLogic:
        """An empty window, or the one in `state`; StateMismatch for another River version or other parameters."""
        parameters = (self.delta, self.clock, self.max_buckets, self.min_window_length, self.warm_up)
        if state is None:
            return AdwinLogic(AdaptiveWindowing(*parameters), warm_up=self.warm_up)
        window = thaw(state)
        if window.__getnewargs__() != parameters:
            raise StateMismatch(f"building Adwin{parameters}: the state has parameters {window.__getnewargs__()}")
        return AdwinLogic(window, warm_up=self.warm_up)


class AdwinLogic:
    """The running window. Its size grows with the logarithm of the stream: 2.7 kB of state after a million values."""

    def __init__(self, window: Any, *, warm_up: int) -> None:
        self._window = window
        self._warm_up = warm_up

    def update(self, x: float) -> Reading | None:
        """Take one value. The statistic is the share of the window that this update cut off, the threshold 0.

        (River does not tell the difference in means that made it cut.) None until the window holds more than `warm_up`
        values, also after a cut. Raises ValueError for NaN and infinity.
        """
        require_observation(x, Adwin)
        (cut,) = self._take((x,))
        return None if math.isnan(cut) else Reading(statistic=cut, threshold=0.0, alarm=cut > 0.0)

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take values of shape (n,), one after the other."""
        statistic = np.array(self._take(require_observations(x, Adwin).tolist()), dtype=np.float64)
        threshold = np.where(np.isnan(statistic), np.nan, 0.0)
        return Readings(statistic=statistic, threshold=threshold, alarm=statistic > threshold)

    def _take(self, values: Sequence[float]) -> list[float]:
        """The share of the window that each value cut off, NaN while warming up."""
        width, warm_up, update, told = self.width, self._warm_up, self._window.update, []
        for x in values:
            longest = width + 1
            # Without a cut the window is longer by one: River need not be asked.
            width = self.width if update(x) else longest
            told.append(math.nan if width == longest <= warm_up else (longest - width) / longest)
        return told

    @property
    def width(self) -> int:
        """How many values the window holds."""
        return int(self._window.get_width())

    @property
    def mean(self) -> float | None:
        """Mean of the window, the present level of the series; None before the first value."""
        return self._window.get_total() / self.width if self.width else None

    def snapshot(self) -> RiverState:
        """River's window as bytes."""
        return freeze(self._window)
