"""The ledger of one model: folds block summaries into series x cohort, exactly once whatever is delivered again.

For each source partition it remembers the last block it took. The same block reaching further replaces what was
taken of it; anything not further than what was taken is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.blocks import NO_ENTRIES, Entries, ModelBlock, supersedes
from monitor.cells import Limits
from monitor.cohorts import AHEAD, Cohorts
from monitor.events import Launch
from monitor.layout import Layout
from monitor.packing import unpack
from monitor.segments import DEFAULT_KINDS, SeriesTable
from monitor.snapshot import LaunchRecord
from monitor.summarise import MINUTE_MS, sums_of
from monitor.tally import Tally

Ints = npt.NDArray[np.int64]
Partition = tuple[str, int]

MAX_LAUNCHES: Final = 256
"""Launches (version, variant, stage) that are kept, the latest ones: each becomes a series of the metrics."""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """What the ledger depends on besides the blocks. `kinds` are the dimensions of each kind of segment."""

    layout: Callable[[str], Layout]
    kinds: Sequence[tuple[str, ...]] = DEFAULT_KINDS
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True)
class Taken:
    """What was taken of a block under one model name; the block itself only while it may still be replaced."""

    through: int
    block: ModelBlock | None
    rows: Ints | None
    """row that each series of the block was counted in"""

    @property
    def begin(self) -> int:
        """First offset that the block covers; -1 once it may not be replaced."""
        return -1 if self.block is None else self.block.span.begin


@dataclass(slots=True)
class LastBlock:
    """The last block taken from a source partition: its first offset, and what was taken by model name.

    There is one name, except in the ledger `other`, which takes the blocks of all models beyond the limit.
    """

    first: int
    taken: dict[str, Taken] = field(default_factory=dict)


class ModelLedger:
    """Sums of one model by series and cohort, totals since the beginning, and what is needed to go on exactly."""

    def __init__(self, model: str, settings: LedgerSettings) -> None:
        self.model = model
        self.layout = settings.layout(model)
        self.table = SeriesTable(model, kinds=settings.kinds, limits=settings.limits)
        self.cohorts = Cohorts(width=self.layout.width, daily=self.layout.daily)
        self.arrivals: dict[int, Tally] = {}
        """labels by the minute of their arrival, until the streaming detectors have seen the minute"""
        self.arrivals_from = 0
        self.last: dict[Partition, LastBlock] = {}
        self.launches: dict[tuple[str, str, str], LaunchRecord] = {}
        self.last_decision_ms: int | None = None
        self._totals = np.zeros((0, self.layout.width), dtype=np.int64)

    @property
    def totals(self) -> Ints:
        """Sums since the beginning; shape (series, width)."""
        return self._totals[: len(self.table.series)]

    def fold(self, block: ModelBlock, *, clock_ms: int | None = None) -> bool:
        """Take a block; False if nothing of it is new. No time of the block beyond `clock_ms` is believed."""
        span = block.span
        last = self.last.setdefault((span.topic, span.partition), LastBlock(span.first))
        before = last.taken.get(block.model)
        if before is None:
            more = span.first >= last.first
        else:
            more = supersedes(span, first=last.first, begin=before.begin, through=before.through)
        if not more:
            return False
        if span.first > last.first:
            last.first, last.taken, before = span.first, {}, None
        if self.cohorts.now is None:
            # Not at the block's clock: its minutes must still be minutes when the streaming detectors see them.
            reached = span.clock_ms if clock_ms is None else min(span.clock_ms, clock_ms)
            begin = max(reached, 0) // MINUTE_MS
            self.cohorts.advance(min([begin, *unpack(block.cell_minute).tolist()]))
        rows = self.table.rows(block.series)
        self._resize()
        parts = [(block, rows, 1)]
        if before is not None and before.block is not None and before.rows is not None:
            parts.append((before.block, before.rows, -1))
        self._apply_cohorts(parts)
        self._apply_arrivals(parts)
        self._note(block, clock_ms)
        keep = not span.closed
        last.taken[block.model] = Taken(span.through, block if keep else None, rows if keep else None)
        return True

    def advance(self, minute: int) -> None:
        """Move the clock to a minute since the epoch."""
        self.cohorts.advance(minute)

    def forget_arrivals(self, before: int) -> None:
        """Drop what the streaming detectors have seen: minutes before `before`."""
        self.arrivals_from = max(self.arrivals_from, before)
        for minute in [minute for minute in self.arrivals if minute < before]:
            del self.arrivals[minute]

    def restore_totals(self, totals: Ints) -> None:
        """Take over totals for the series of the table."""
        self._resize()
        self._totals[: len(totals)] = totals

    def _apply_cohorts(self, parts: Sequence[tuple[ModelBlock, Ints, int]]) -> None:
        flat = self._totals.reshape(-1)
        for minute, place, value in self._by_minute([(b, b.cohort, rows, sign) for b, rows, sign in parts]):
            self.cohorts.add(minute, place, value)
            flat[place] += value

    def _apply_arrivals(self, parts: Sequence[tuple[ModelBlock, Ints, int]]) -> None:
        for minute, place, value in self._by_minute([(b, b.arrival, rows, sign) for b, rows, sign in parts]):
            if minute >= self.arrivals_from:
                self.arrivals.setdefault(minute, Tally()).add(place, value)

    def _by_minute(self, parts: Sequence[tuple[ModelBlock, Entries, Ints, int]]) -> list[tuple[int, Ints, Ints]]:
        """(minute, places, values) of the parts' signed sums, without repeats and zeros."""
        parts = [part for part in parts if part[1] != NO_ENTRIES]  # blocks of decisions have no arrivals
        if not parts:
            return []
        size = len(self.table.series) * self.layout.width
        minutes = [unpack(block.cell_minute) for block, *_ in parts]
        known = np.unique(np.concatenate(minutes))
        places: list[Ints] = []
        values: list[Ints] = []
        for (block, entries, rows, sign), minute in zip(parts, minutes, strict=True):
            place, value = self._places(block, entries, rows, np.searchsorted(known, minute) * size)
            places.append(place)
            values.append(sign * value)
        place, value = sums_of(np.concatenate(places), np.concatenate(values), size * len(known))
        cuts = np.searchsorted(place, np.arange(len(known) + 1) * size).tolist()
        return [
            (minute, place[begin:end] - index * size, value[begin:end])
            for index, (minute, (begin, end)) in enumerate(zip(known.tolist(), pairwise(cuts), strict=True))
            if begin < end
        ]

    def _places(self, block: ModelBlock, entries: Entries, rows: Ints, base: Ints) -> tuple[Ints, Ints]:
        """Places (base of the cell + row * width + column) of a block's entries that have a row, and their values."""
        cell, column, value = unpack(entries.cell), unpack(entries.column), unpack(entries.value)
        translation = self.layout.translation(block.signature)
        if translation is not None:
            column = translation[column]
        row = rows[unpack(block.cell_series)]
        place = (base + row * self.layout.width)[cell] + column
        if translation is None and (row >= 0).all():
            return place, value
        counted = (row >= 0)[cell] & (column >= 0)
        return place[counted], value[counted]

    def _note(self, block: ModelBlock, clock_ms: int | None) -> None:
        last = block.last_decision_ms
        if last is not None and (clock_ms is None or last <= clock_ms + AHEAD * MINUTE_MS):
            self.last_decision_ms = max(last, self.last_decision_ms or 0)
        for launch in block.launches:
            key = (launch.model_version, launch.variant.value, launch.stage)
            known = self.launches.get(key)
            if known is None or known.at <= launch.at.timestamp():
                self.launches[key] = _launch_record(launch)
        while len(self.launches) > MAX_LAUNCHES:
            del self.launches[min(self.launches, key=lambda key: (self.launches[key].at, key))]

    def _resize(self) -> None:
        rows = len(self.table.series)
        self.cohorts.resize(rows)
        if len(self._totals) < rows:
            grown = np.zeros((max(rows, 2 * len(self._totals), 64), self.layout.width), dtype=np.int64)
            grown[: len(self._totals)] = self._totals
            self._totals = grown


def _launch_record(launch: Launch) -> LaunchRecord:
    return LaunchRecord(
        model_version=launch.model_version,
        variant=launch.variant.value,
        stage=launch.stage,
        at=launch.at.timestamp(),
        traffic_share=launch.traffic_share,
    )
