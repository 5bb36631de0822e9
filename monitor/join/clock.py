"""The time a log has reached: the running maximum of the median of its last timestamps.

One absurd timestamp moves nothing; half a window of them does, and for good: the clock never steps back.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from typing import Final

WINDOW: Final = 64
"""Timestamps that the median is taken of."""


class LogClock:
    """Follows the timestamps of a log, one by one. `recent` and `reached_ms` are all of its state."""

    __slots__ = ("_recent", "_sorted", "reached_ms")

    def __init__(self, recent: Iterable[int] = (), *, reached_ms: int = -1) -> None:
        self._recent = deque(recent)
        self._sorted = sorted(self._recent)
        self.reached_ms = reached_ms
        """-1 before the first timestamp"""

    @property
    def recent(self) -> tuple[int, ...]:
        """The last timestamps, at most WINDOW, in order of the log."""
        return tuple(self._recent)

    def see(self, timestamp_ms: int) -> int:
        """Take the next timestamp; returns the time reached. Of two middle values the earlier counts."""
        recent, ordered = self._recent, self._sorted
        recent.append(timestamp_ms)
        insort(ordered, timestamp_ms)
        if len(recent) > WINDOW:
            del ordered[bisect_left(ordered, recent.popleft())]
        median = ordered[(len(ordered) - 1) // 2]
        if median > self.reached_ms:
            self.reached_ms = median
        return self.reached_ms
