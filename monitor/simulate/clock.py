"""Wall time to event time: a straight line.

Neither end reads a clock; the caller passes `time.monotonic()` or whatever it measures with.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventClock:
    """Event time that starts at `event_start_ms` when the wall clock says `wall_start` and runs `speed` times as fast.

    Wall times are seconds of any steady clock, event times milliseconds since the epoch. Raises ValueError if the speed
    is not positive.
    """

    wall_start: float
    event_start_ms: int
    speed: float = 1.0

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"speed: expected more than 0, got {self.speed}")

    def event_ms(self, wall: float) -> int:
        """Event time at a wall time; what lies before the start is the start."""
        return self.event_start_ms + max(0, int((wall - self.wall_start) * self.speed * 1000))

    def wall(self, event_ms: int) -> float:
        """Wall time at which an event time is reached."""
        return self.wall_start + (event_ms - self.event_start_ms) / 1000 / self.speed
