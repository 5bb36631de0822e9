"""Logs merged by time into minutes: which records are there when a minute of event time is over.

Within a partition the order of the log is kept, so a record is due no earlier than those before it. One clock that is
ahead must not hold back a whole partition: a record is due no later than most of those that follow it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.event_log import UNKNOWN_TIME, Batch, EventLog
from monitor.summarise import MINUTE_MS

Ints = npt.NDArray[np.int64]

LOOK_AHEAD: Final = 15
RANK: Final = 3
"""A record is due no later than the fourth earliest of the 15 that follow it. Where clocks agree this changes nothing;
it takes twelve clocks ahead, or four behind, to move it."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The end of a minute and the records that came with it. What follows has later ticks."""

    end_ms: int
    parts: list[tuple[EventLog, Batch]]
    last: bool


def ticks(logs: Sequence[EventLog]) -> Iterator[Tick]:
    """The minutes of the logs that have records, in order; the same however the logs are cut into batches."""
    cursors = [_Cursor(log) for log in logs]
    while True:
        due = [cursor.due for cursor in cursors if cursor.due is not None]
        if not due:
            return
        known = [at for at in due if at != UNKNOWN_TIME]
        end_ms = (min(known, default=UNKNOWN_TIME) // MINUTE_MS + 1) * MINUTE_MS
        parts = [(cursor.log, batch) for cursor in cursors for batch in cursor.before(end_ms)]
        yield Tick(end_ms, parts, last=all(cursor.due is None for cursor in cursors))


class _Cursor:
    """How far a log has been taken."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._scheduled = schedule(log.batches())
        self._batch: Batch | None = None
        self._due: Ints = np.empty(0, dtype=np.int64)
        self._at = 0
        self._load()

    @property
    def due(self) -> int | None:
        """When the next record is due; None at the end of the log."""
        return None if self._batch is None else int(self._due[self._at])

    def before(self, end_ms: int) -> Iterator[Batch]:
        """Take the records that are due before `end_ms`."""
        while self._batch is not None:
            stop = int(np.searchsorted(self._due, end_ms, side="left"))
            if stop > self._at:
                yield self._batch.part(self._at, stop)
                self._at = stop
            if stop < len(self._batch):
                return
            self._load()

    def _load(self) -> None:
        self._batch, self._due = next(self._scheduled, (None, self._due))
        self._at = 0


def schedule(batches: Iterator[Batch]) -> Iterator[tuple[Batch, Ints]]:
    """Each batch with the time at which its records are due, in ms, ascending; shape (records,)."""
    latest = UNKNOWN_TIME
    held: deque[Batch] = deque()
    for batch in batches:
        held.append(batch)
        while sum(map(len, held)) - len(held[0]) >= LOOK_AHEAD:
            first = held.popleft()
            due = _due(first, held, latest)
            latest = int(due[-1])
            yield first, due
    while held:
        first = held.popleft()
        due = _due(first, held, latest)
        latest = int(due[-1])
        yield first, due


def _due(batch: Batch, following: Sequence[Batch], latest: int) -> Ints:
    times = np.array(batch.timestamps, dtype=np.int64)
    ahead = [at for later in following for at in later.timestamps[:LOOK_AHEAD]][:LOOK_AHEAD]
    # Behind the end of the log nothing bounds: infinity.
    padded = np.full(len(times) + LOOK_AHEAD, np.inf)
    padded[: len(times)] = times
    padded[len(times) : len(times) + len(ahead)] = ahead
    windows = np.lib.stride_tricks.sliding_window_view(padded[1:], LOOK_AHEAD)
    bound = np.partition(windows, RANK, axis=1)[:, RANK]
    due = np.minimum(times, bound).astype(np.int64)
    return np.maximum(np.maximum.accumulate(due), latest)
