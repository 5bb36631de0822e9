"""What alarms are worth on streams whose changes are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectors.arrays import Floats, Ints
from detectors.delay import restricted_mean
from detectors.evaluation.streams import Streams
from detectors.intervals import PoissonRate, poisson_rate


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Counts, and what follows from them. An episode tells of the change in whose window it begins, or is false.

    `delay` is of shape (changes,): from a change to the first episode within its window, NaN where it was missed.
    `repeats` are the further episodes about a change that was found already: not false, but a page too many.
    """

    changes: int
    detected: int
    episodes: int
    repeats: int
    false_alarms: int
    quiet: int
    """observations outside the windows of all changes, where the false alarms came"""
    false_alarm_rate: PoissonRate
    """false alarms per quiet observation; its `mean_between` is the mean time between false alarms"""
    delay: Floats
    restricted_delay: float
    """expected min(delay, tolerance), missed changes counting as `tolerance`; NaN if none was followed so long"""
    conditional_delay: float
    """the same of the changes before which nothing had alarmed since the change before; NaN where there is none"""

    @property
    def missed(self) -> int:
        """Changes without an episode in their window."""
        return self.changes - self.detected

    @property
    def mean_delay(self) -> float:
        """Mean delay of the changes that were found, NaN where none was: short for who finds only plain ones."""
        return float(np.nanmean(self.delay)) if self.detected else math.nan

    @property
    def precision(self) -> float:
        """Share of the episodes that tell of a change, repeats among them; NaN where there was no episode."""
        return 1.0 - self.false_alarms / self.episodes if self.episodes else math.nan

    @property
    def recall(self) -> float:
        """Share of the changes that were found; NaN where there was no change."""
        return self.detected / self.changes if self.changes else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 0 where nothing was found, NaN where there was nothing to find."""
        if not self.changes:
            return math.nan
        return 2.0 / (1.0 / self.precision + 1.0 / self.recall) if self.detected else 0.0


def score(streams: Streams, begins: Ints, *, tolerance: int, confidence: float) -> Score:
    """The score of episodes that begin at `begins`, sorted, in the numbering of `streams`.

    >>> streams = Streams.of([[100, 500]], lengths=[1000], tolerance=50)
    >>> found = score(streams, np.array([110, 130, 900]), tolerance=50, confidence=0.95)
    >>> found.detected, found.repeats, found.false_alarms, found.restricted_delay
    (1, 1, 1, 30.0)
    """
    first = np.searchsorted(begins, streams.change)
    after = np.searchsorted(begins, streams.window)
    within = after - first
    found = within > 0
    hits = int(within.sum())
    at = np.append(begins, 0)[np.where(found, first, -1)]
    delay = np.where(found, at - streams.change, np.nan)
    followed = streams.window - streams.change
    clean = np.searchsorted(begins, streams.before) == first
    # What was said in the window of the change before was about that change.
    second = 1 + np.flatnonzero(streams.before[1:] == streams.change[:-1])
    clean[second] = after[second - 1] == first[second]
    false_alarms, quiet = len(begins) - hits, streams.quiet
    return Score(
        changes=len(found),
        detected=int(found.sum()),
        episodes=len(begins),
        repeats=hits - int(found.sum()),
        false_alarms=false_alarms,
        quiet=quiet,
        false_alarm_rate=poisson_rate(false_alarms, quiet, confidence=confidence),
        delay=delay,
        restricted_delay=_restricted_mean(delay, followed, limit=tolerance),
        conditional_delay=_restricted_mean(delay[clean], followed[clean], limit=tolerance),
    )


def _restricted_mean(delay: Floats, followed: Ints, *, limit: int) -> float:
    """Expected min(delay, `limit`): NaN without a change, and where none was followed so long and not all were found.

    `delay` is NaN for a change not found in the `followed` observations after it. A change that the next one cuts short
    says nothing of what would have come later; right if changes do not come sooner where they are harder to see.
    """
    if not len(delay):
        return math.nan
    found = ~np.isnan(delay)
    # Beyond the longest following nothing is known: one bin shows that as well as all up to the limit.
    limit = min(limit, int(followed.max()) + 1)
    # Delays of whole observations are the bins; in the last is all that comes at the limit or later.
    last = np.minimum(np.where(found, delay, followed - 1), limit).astype(np.int64)
    events, censored = (np.bincount(last[which], minlength=limit + 1) for which in (found, ~found))
    return restricted_mean(events, censored, limit=limit).item()
