"""Records for one topic, and a minute of them for all topics.

Record timestamps are the event's own time (`occurred_at`, `reviewed_at`, `at`) in whole milliseconds, so replaying the
files that hold only the events gives the records their timestamps back. The second copy of a retried decision is the
one exception: it is published later than it happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.simulate.truth import TruthRow
from monitor.topics import SOURCES


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one topic. `timestamps` are milliseconds since the epoch, shape (records,)."""

    timestamps: npt.NDArray[np.int64]
    keys: list[bytes]
    values: list[bytes]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: npt.NDArray[np.int64]) -> Records:
        """The records at the given positions, in their order."""
        places = index.tolist()
        return Records(
            self.timestamps[index],
            list(map(self.keys.__getitem__, places)),
            list(map(self.values.__getitem__, places)),
        )

    @staticmethod
    def in_time_order(parts: Sequence[Records]) -> Records:
        """All records by timestamp; those of the same millisecond keep the order of the parts."""
        joined = Records(
            np.concatenate([np.empty(0, dtype=np.int64), *(part.timestamps for part in parts)]),
            [key for part in parts for key in part.keys],
            [value for part in parts for value in part.values],
        )
        return joined.take(np.argsort(joined.timestamps, kind="stable"))


@dataclass(frozen=True, slots=True)
class MinuteBatch:
    """What is published in one minute of event time: records by Kafka topic (every source topic is there), truth."""

    start_ms: int
    """Start of the minute, milliseconds since the epoch."""
    records: Mapping[str, Records]
    truth: tuple[TruthRow, ...]
    """What is true of the decisions of this minute; empty where a drained range holds feedback only."""

    def __len__(self) -> int:
        return sum(len(records) for records in self.records.values())


def empty_topics() -> dict[str, list[Records]]:
    """No records yet, for each source topic."""
    return {source.topic: [] for source in SOURCES}
