"""Whether the consumer group may have given our partitions to somebody else.

A member that the group has not heard of for a session timeout loses its partitions. Who was stopped and goes on does
not know that yet, so the time of the last answer decides what may be exported, at the moment of the scrape.
"""

from __future__ import annotations

from typing import Final

WAITING: Final = "waiting for the consumer group"


class Membership:
    """Any thread may call any method. Times are seconds of `time.monotonic`."""

    def __init__(self, *, session_timeout: float) -> None:
        self._session_timeout = session_timeout
        self._known_at: float | None = None
        self._left = False

    @property
    def known_at(self) -> float | None:
        """When we asked the group for the last time and it still knew us; None if it does not."""
        return self._known_at

    def heard(self, at: float | None) -> None:
        """The group knew us when we asked at `at`, or (None) does not know us any more."""
        self._known_at = at

    def leave(self) -> None:
        """From here on our partitions are somebody else's."""
        self._left = True

    def why_not(self, now: float) -> str | None:
        """Why what we had may not be ours; None while it is."""
        known_at = self._known_at
        if self._left:
            return "stopping"
        if known_at is None:
            return WAITING
        silent = now - known_at
        if silent > self._session_timeout:
            return f"the consumer group has not answered for {silent:.0f} s: another worker may own what this one had"
        return None
