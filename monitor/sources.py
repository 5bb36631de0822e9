"""What is counted of the source partitions themselves: records, dead letters, duplicates, and how far their time is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from monitor import catalogue
from monitor.blocks import SourceBlock, supersedes

Counts = dict[tuple[str, tuple[str, ...]], int]


class SavedSource(msgspec.Struct, frozen=True, array_like=True):
    """The state of one source partition."""

    topic: str
    partition: int
    first: int
    begin: int
    through: int
    clock_ms: int
    finished: tuple[tuple[str, tuple[str, ...], int], ...]
    open: tuple[tuple[str, tuple[str, ...], int], ...]
    position: int
    """Blocks below this offset of the partition of the blocks topic are in the state."""


@dataclass(slots=True)
class SourceLedger:
    """Counts of one source partition: of the finished blocks, and of the last block taken.

    Blocks come in order and leave nothing out. Where one begins beyond the end of the one before, the offsets between
    count as missed: the topic no longer held them when they were to be read, or blocks were lost or out of order.
    """

    topic: str
    partition: int
    first: int = -1
    begin: int = -1
    through: int = -1
    clock_ms: int = -1
    finished: Counts = field(default_factory=dict)
    open: Counts = field(default_factory=dict)

    def fold(self, block: SourceBlock) -> bool:
        """Take a block; False if nothing of it is new."""
        span = block.span
        if not supersedes(span, first=self.first, begin=self.begin, through=self.through):
            return False
        if span.first != self.first:
            _add(self.finished, self.open)
            if 0 <= self.through < span.begin:
                _add(self.finished, {(catalogue.MISSED.name, (self.topic,)): span.begin - self.through})
        self.open = {(name, labels): count for name, labels, count in block.counts}
        self.first, self.begin, self.through = span.first, span.begin, span.through
        # Not the greatest ever: an absurd one must not stay.
        self.clock_ms = span.clock_ms if span.clock_ms >= 0 else self.clock_ms
        return True

    def totals(self) -> Counts:
        """Counts since the beginning by (metric name, label values)."""
        totals = dict(self.finished)
        _add(totals, self.open)
        return totals

    def snapshot(self, position: int) -> SavedSource:
        """The state, to be continued by `restore`; `position` as in `SavedSource`."""
        return SavedSource(
            self.topic,
            self.partition,
            self.first,
            self.begin,
            self.through,
            self.clock_ms,
            _listed(self.finished),
            _listed(self.open),
            position,
        )

    @classmethod
    def restore(cls, saved: SavedSource) -> SourceLedger:
        """Continue from a state."""
        return cls(
            topic=saved.topic,
            partition=saved.partition,
            first=saved.first,
            begin=saved.begin,
            through=saved.through,
            clock_ms=saved.clock_ms,
            finished={(name, labels): count for name, labels, count in saved.finished},
            open={(name, labels): count for name, labels, count in saved.open},
        )


def merge_totals(ledgers: Mapping[tuple[str, int], SourceLedger]) -> dict[str, dict[tuple[str, ...], int]]:
    """Totals of all source partitions: metric name to label values to count."""
    merged: dict[str, dict[tuple[str, ...], int]] = {}
    for ledger in ledgers.values():
        for (name, labels), count in ledger.totals().items():
            family = merged.setdefault(name, {})
            family[labels] = family.get(labels, 0) + count
    return merged


def _add(into: Counts, more: Counts) -> None:
    for key, count in more.items():
        into[key] = into.get(key, 0) + count


def _listed(counts: Counts) -> tuple[tuple[str, tuple[str, ...], int], ...]:
    return tuple(sorted((name, labels, count) for (name, labels), count in counts.items()))
