"""The time a log has reached: the running maximum of the median of its last timestamps.

One absurd timestamp moves nothing; half a window of them does, and for good: the clock never steps back.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

WINDOW: Final = 64
"""Timestamps that the median is taken of."""


class LogClock:
    """Follows the timestamps of a log. `recent` and `reached_ms` are all of its state."""

    __slots__ = ("_recent", "reached_ms")

    def __init__(self, recent: Iterable[int] = (), *, reached_ms: int = -1) -> None:
        self._recent = deque(recent, WINDOW)
        self.reached_ms = reached_ms
        """-1 before the first timestamp"""

    @property
    def recent(self) -> tuple[int, ...]:
        """The last timestamps, at most WINDOW, in order of the log."""
        return tuple(self._recent)

    def see(self, timestamps: Sequence[int]) -> list[int]:
        """Take the next timestamps; returns the time reached at each. Of two middle values the earlier counts."""
        known = len(self._recent)
        times = [*self._recent, *timestamps]
        self._recent.extend(timestamps)
        # Where time never steps back, as when the broker stamps records, a window needs no sorting.
        if times == sorted(times):
            medians = [times[(max(0, n - WINDOW) + n - 1) // 2] for n in range(known + 1, len(times) + 1)]
        else:
            medians = _medians(times, known)
        reached = list(accumulate(medians, max, initial=self.reached_ms))
        self.reached_ms = reached[-1]
        return reached[1:]


def low_median(values: Sequence[int]) -> int:
    """The middle value, of two the earlier: never a value between two that nobody told."""
    return sorted(values)[(len(values) - 1) // 2]


def told_clock(times: Sequence[int]) -> int:
    """The time that some timestamps tell: their `low_median`, -1 where there are none."""
    return low_median(times) if times else -1


def _medians(times: Sequence[int], known: int) -> list[int]:
    """Median of the window that ends at each of `times` but the first `known`, which are at most a window."""
    ordered = sorted(times[:known])
    medians = []
    for n in range(known, len(times)):
        insort(ordered, times[n])
        if len(ordered) > WINDOW:
            del ordered[bisect_left(ordered, times[n - WINDOW])]
        medians.append(ordered[(len(ordered) - 1) // 2])
    return medians
