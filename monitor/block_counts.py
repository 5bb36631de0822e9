"""What a block counts of its source besides what its rows say: records, dead letters, duplicates and the like."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.catalogue import Metric

Key = tuple[str, tuple[str, ...]]
"""(name of a metric, its labels)"""


class BlockCounts:
    """Numbers of records by metric of the service and labels."""

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}

    def add(self, metric: Metric, *labels: str, by: int = 1) -> None:
        """Count so many more."""
        key = (metric.name, labels)
        self._counts[key] = self._counts.get(key, 0) + by

    def entries(self, besides: Mapping[Key, int] | None = None) -> tuple[tuple[str, tuple[str, ...], int], ...]:
        """What is not zero, in order; `besides` is told along and not kept."""
        told = self._counts | dict(besides or {})
        return tuple(sorted((name, labels, count) for (name, labels), count in told.items() if count))
