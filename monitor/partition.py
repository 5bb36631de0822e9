"""One source partition: records in, dead letters and block summaries out.

Pure and deterministic: fetches may split the records anywhere; the summary of a block is the same bytes. The caller
writes what comes out to Kafka and commits; nothing here knows of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from monitor import catalogue
from monitor.blocks import BlockMessage, ModelBlock, SourceBlock, Span, block_first
from monitor.catalogue import Metric
from monitor.cells import KeyTable, Limits
from monitor.decode import Rejected, decode_event, invalid_name, name_is_allowed
from monitor.events import (
    Action,
    Appeal,
    AppealStage,
    Decision,
    Event,
    Launch,
    Report,
    Review,
    ReviewSource,
    Variant,
    Verdict,
)
from monitor.join.forwarding import KINDS, Forward, can_get_feedback, forward_decision, forward_feedback
from monitor.layout import ACTIONS, REVIEW_KINDS, STAGES, Group, Layout
from monitor.model_block import model_block
from monitor.rows import (
    DecisionRows,
    FeedbackRows,
    Hashes,
    Ints,
    Rows,
    concatenate,
    decision_rows,
    feedback_rows,
    no_decisions,
    take,
)
from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS, SourceTopic

Counts = dict[tuple[Metric, tuple[str, ...]], int]

GROUPS: Final[dict[str, Callable[[Layout], Group] | None]] = {
    DECISIONS.topic: None,
    REVIEWS.topic: lambda layout: layout.reviews,
    APPEALS.topic: lambda layout: layout.appeals,
    REPORTS.topic: lambda layout: layout.reports,
    LAUNCHES.topic: None,
}
"""Column group that the rows of a topic count in; decisions have several."""

CLOCK_RECORDS: Final = 64
"""The block's clock is the median Kafka timestamp of so many last records: one absurd timestamp moves nothing.

The records may lie in the blocks before, as far as the horizon reaches: a block that has just begun is no exception."""


@dataclass(frozen=True, slots=True)
class SummariseSettings:
    """What a summary depends on besides the log. Times in ms, `block_size` in records, `horizon` in blocks."""

    layout: Callable[[str], Layout]
    limits: Limits = field(default_factory=Limits)
    block_size: int = 16_384
    horizon: int = 16
    lateness_ms: int = 24 * 3_600_000
    """Decisions older than this when they reach Kafka are late."""
    retention_ms: int = 180 * 24 * 3_600_000
    """Feedback about decisions older than this is late."""
    future_ms: int = 300_000
    """Decisions dated further ahead of Kafka's timestamp are clamped to it."""
    join: bool = False
    """Whether feedback without context, and the decisions that it may speak of, are forwarded to the join."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused record: its place in the sequence that was fed, its offset, and why."""

    index: int
    offset: int
    why: Rejected


class PartitionSummariser:
    """Follows one partition of a source topic from `start`.

    Records below `summarise_from` (the first offset of the open block) only tell which ids have been seen.
    `log_start` is the first offset that the log still holds.
    """

    def __init__(
        self, source: SourceTopic, partition: int, *, summarise_from: int, log_start: int, settings: SummariseSettings
    ) -> None:
        self._source = source
        self._partition = partition
        self._settings = settings
        self._from = summarise_from
        self._log_start = log_start
        self._seen: dict[int, Hashes] = {}
        self._clocks: dict[int, list[int]] = {}
        self._block: _OpenBlock | None = None
        self._told_through = -1
        self._position = -1
        self._forwards: list[Forward] = []

    def feed(
        self, offsets: Sequence[int], timestamps: Sequence[int], values: Sequence[bytes | None], *, next_offset: int
    ) -> tuple[list[DeadLetter], list[BlockMessage]]:
        """Take records in order of offset; `next_offset` is where the log goes on, beyond gaps.

        Returns the refused records and the summaries of the blocks that ended.
        """
        dead: list[DeadLetter] = []
        closed: list[BlockMessage] = []
        self._position = next_offset
        at = 0
        while at < len(offsets):
            first = block_first(offsets[at], self._settings.block_size)
            end = at + int(np.searchsorted(offsets[at:], first + self._settings.block_size))
            if self._block is None or self._block.first != first:
                closed += self._close()
                self._block = _OpenBlock(
                    self._source,
                    self._partition,
                    first,
                    begin=max(first, self._log_start),
                    clock=self._clock(first),
                    horizon=self._horizon(first) if self._settings.join and self._source in KINDS else _NO_IDS,
                    settings=self._settings,
                )
            dead += self._block.add(offsets[at:end], timestamps[at:end], values[at:end], base=at)
            self._forwards += self._block.take_forwards()
            at = end
        if self._block is not None:
            self._block.through = max(self._block.through, min(next_offset, self._block.end))
            if next_offset >= self._block.end:
                closed += self._close()
        return dead, closed

    @property
    def told(self) -> int:
        """Records below this offset are in summaries that were handed out, or count in none."""
        block = self._block
        if block is None or block.first < self._from:
            return self._position
        return max(block.first, self._told_through)

    def take_forwards(self) -> list[Forward]:
        """What goes to the join out of what was fed since the last call, in order of offset."""
        forwards, self._forwards = self._forwards, []
        return forwards

    def open_block(self, *, least_growth: float = 0.0) -> list[BlockMessage]:
        """Summaries of the open block, if it has grown by this share since it was last asked for, at least by one."""
        block = self._block
        if block is None or block.first < self._from:
            return []
        told = max(block.first, self._told_through)
        if block.through <= told or block.through - told < least_growth * (told - block.first):
            return []
        self._told_through = block.through
        return block.messages(self._horizon(block.first), closed=False)

    def _close(self) -> list[BlockMessage]:
        block = self._block
        if block is None:
            return []
        messages: list[BlockMessage] = []
        if block.first >= self._from:
            messages = block.messages(self._horizon(block.first), closed=True)
        self._seen[block.first] = block.ids()
        self._clocks[block.first] = block.timestamps
        self._block = None
        oldest = block.first - (self._settings.horizon - 1) * self._settings.block_size
        for first in [first for first in self._seen if first < oldest]:
            del self._seen[first], self._clocks[first]
        return messages

    def _clock(self, first: int) -> list[int]:
        """Last timestamps before block `first`, of the blocks within the horizon: a restart reads these and no more."""
        oldest = first - self._settings.horizon * self._settings.block_size
        known = [at for start, clock in sorted(self._clocks.items()) if start >= oldest for at in clock]
        return known[-CLOCK_RECORDS:]

    def _horizon(self, first: int) -> Hashes:
        """Sorted ids of the blocks before `first` that are within the horizon."""
        oldest = first - self._settings.horizon * self._settings.block_size
        parts = [ids for start, ids in self._seen.items() if oldest <= start < first]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.uint64)


class _OpenBlock:
    """The records of one block as far as they have been read."""

    def __init__(
        self,
        source: SourceTopic,
        partition: int,
        first: int,
        *,
        begin: int,
        clock: list[int],
        horizon: Hashes,
        settings: SummariseSettings,
    ) -> None:
        self.first = first
        self.end = first + settings.block_size
        self.through = first
        self.timestamps: list[int] = []
        """Kafka timestamps of the last records of the block, as many as the clock looks at"""
        self._source = source
        self._partition = partition
        self._begin = begin
        self._clock = clock
        self._settings = settings
        self._table = KeyTable(settings.limits)
        self._parts: list[Rows] = []
        self._launches: list[tuple[str, Launch]] = []
        self._counts: Counts = {}
        self._seen: set[int] = set(horizon.tolist())
        """ids of feedback in the blocks of the horizon and in this one so far"""
        self._forwards: list[Forward] = []

    def take_forwards(self) -> list[Forward]:
        """What goes to the join since the last call."""
        forwards, self._forwards = self._forwards, []
        return forwards

    def add(
        self, offsets: Sequence[int], timestamps: Sequence[int], values: Sequence[bytes | None], *, base: int
    ) -> list[DeadLetter]:
        """Take the next records of the block; returns those that are refused."""
        topic = self._source.topic
        self.through = offsets[-1] + 1
        self.timestamps = [*self.timestamps, *timestamps][-CLOCK_RECORDS:]
        self._count(catalogue.RECORDS, (topic,), len(offsets))
        dead: list[DeadLetter] = []
        events: list[Event] = []
        places: list[int] = []
        source = self._source
        for index, value in enumerate(values):
            if value is None:
                self._count(catalogue.TOMBSTONES, (topic,), 1)
                continue
            event = decode_event(source, value)
            if isinstance(event, Rejected):
                dead.append(DeadLetter(base + index, offsets[index], event))
            else:
                events.append(event)
                places.append(index)
        refused = self._keep(events, [timestamps[place] for place in places], [offsets[place] for place in places])
        dead += [DeadLetter(base + places[at], offsets[places[at]], why) for at, why in refused.items()]
        for letter in dead:
            self._count(catalogue.DEAD_LETTERS, (topic, letter.why.reason.value), 1)
        return sorted(dead, key=lambda letter: letter.index)

    def ids(self) -> Hashes:
        """Sorted ids of the block's records."""
        return np.sort(np.concatenate([part.id_hash for part in self._parts])) if self._parts else _NO_IDS

    def messages(self, horizon: Hashes, *, closed: bool) -> list[BlockMessage]:
        """The block's summaries: one a model it speaks of, in order of name, then one of the source itself."""
        span = Span(
            topic=self._source.topic,
            partition=self._partition,
            first=self.first,
            through=self.end if closed else self.through,
            closed=closed,
            begin=self._begin,
            clock_ms=_lower_median([*self._clock, *self.timestamps][-CLOCK_RECORDS:]),
        )
        counts = dict(self._counts)
        messages: list[BlockMessage] = []
        rows: Rows = no_decisions()
        if self._parts:
            rows = self._accepted(concatenate(self._parts), horizon, counts)
            self._count_unknown(rows, counts)
        messages += self._models(span, rows)
        told = sorted((metric.name, labels, count) for (metric, labels), count in counts.items() if count)
        return [*messages, SourceBlock(span=span, counts=tuple(told))]

    def _keep(self, events: Sequence[Event], timestamps: Sequence[int], offsets: Sequence[int]) -> dict[int, Rejected]:
        if not events:
            return {}
        if self._source is LAUNCHES:
            return self._keep_launches([event for event in events if isinstance(event, Launch)])
        if self._source is DECISIONS:
            decisions = [event for event in events if isinstance(event, Decision)]
            rows, refused = decision_rows(decisions, timestamps, self._table)
            self._parts.append(rows)
            if self._settings.join:
                self._forward_decisions(decisions, timestamps, offsets, refused)
        else:
            feedback = [event for event in events if isinstance(event, (Review, Appeal, Report))]
            found, refused = feedback_rows(feedback, timestamps, self._table)
            self._parts.append(found)
            if self._settings.join:
                self._forward_feedback(feedback, timestamps, offsets, refused, found)
        return refused

    def _forward_decisions(
        self,
        events: Sequence[Decision],
        timestamps: Sequence[int],
        offsets: Sequence[int],
        refused: Mapping[int, Rejected],
    ) -> None:
        for index, event in enumerate(events):
            positive = self._settings.layout(event.model).positive_actions
            if index not in refused and can_get_feedback(event, positive):
                self._forwards.append(forward_decision(event, offset=offsets[index], timestamp_ms=timestamps[index]))

    def _forward_feedback(
        self,
        events: Sequence[Review | Appeal | Report],
        timestamps: Sequence[int],
        offsets: Sequence[int],
        refused: Mapping[int, Rejected],
        rows: FeedbackRows,
    ) -> None:
        """Forward the first copy, within the horizon, of feedback without context; further ones count here."""
        kept = [index for index in range(len(events)) if index not in refused]
        for index, id_hash in zip(kept, rows.id_hash.tolist(), strict=True):
            fresh = id_hash not in self._seen
            self._seen.add(id_hash)
            if fresh and events[index].decision is None:
                told = forward_feedback(
                    events[index],
                    self._source,
                    partition=self._partition,
                    offset=offsets[index],
                    timestamp_ms=timestamps[index],
                    id_hash=id_hash,
                )
                self._forwards.append(told)

    def _keep_launches(self, launches: Sequence[Launch]) -> dict[int, Rejected]:
        refused: dict[int, Rejected] = {}
        for index, launch in enumerate(launches):
            names = {"model": launch.model, "model_version": launch.model_version, "stage": launch.stage}
            bad = next((item for item in names.items() if not name_is_allowed(item[1])), None)
            if bad is not None:
                refused[index] = invalid_name(*bad)
            else:
                self._launches.append((self._table.model(launch.model), launch))
                _increase(
                    self._counts,
                    catalogue.UNKNOWN_VALUES,
                    (self._source.topic, "variant"),
                    int(launch.variant is Variant.OTHER),
                )
        return refused

    def _accepted(self, rows: Rows, horizon: Hashes, counts: Counts) -> Rows:
        """Rows that count: the first copy of each id, with a known decision, not late; times clamped."""
        topic = (self._source.topic,)
        _, firsts = np.unique(rows.id_hash, return_index=True)
        fresh = np.zeros(len(rows.id_hash), dtype=np.bool_)
        fresh[firsts] = True
        if horizon.size:
            at = np.minimum(np.searchsorted(horizon, rows.id_hash), horizon.size - 1)
            fresh &= horizon[at] != rows.id_hash
        known = rows.key >= 0
        settings = self._settings
        allowed = settings.lateness_ms if isinstance(rows, DecisionRows) else settings.retention_ms
        timely = rows.timestamp_ms - rows.occurred_ms <= allowed
        future = rows.occurred_ms - rows.timestamp_ms > settings.future_ms
        accepted = fresh & known & timely
        counts[catalogue.DUPLICATES, topic] = int((~fresh).sum())
        counts[catalogue.ORPHANS, topic] = 0 if settings.join else int((fresh & ~known).sum())
        counts[catalogue.LATE, topic] = int((fresh & known & ~timely).sum())
        counts[catalogue.FUTURE, topic] = int((accepted & future).sum())
        return take(rows, accepted, occurred_ms=np.where(future, rows.timestamp_ms, rows.occurred_ms))

    def _count_unknown(self, rows: Rows, counts: Counts) -> None:
        """Count enumeration values not known here among the rows that count."""
        topic = self._source.topic
        for name, keys in self._table.unknown.items():
            if keys:
                _increase(counts, catalogue.UNKNOWN_VALUES, (topic, name), int(np.isin(rows.key, keys).sum()))
        for name, columns in _UNKNOWN_COLUMNS.get(topic, {}).items():
            count = int(np.isin(rows.column, columns).sum())
            _increase(counts, catalogue.UNKNOWN_VALUES, (topic, name), count)

    def _models(self, span: Span, rows: Rows) -> list[ModelBlock]:
        names = sorted({key.model for key in self._table.keys} | {model for model, _ in self._launches})
        number = {name: index for index, name in enumerate(names)}
        of_key = np.array([number[key.model] for key in self._table.keys], dtype=np.int64)
        of_row = of_key[rows.key] if len(rows.key) else rows.key
        blocks = []
        for index, name in enumerate(names):
            own = take(rows, of_row == index)
            launches = tuple(launch for model, launch in self._launches if model == name)
            if len(own.key) or launches:
                layout = self._settings.layout(name)
                group = GROUPS[self._source.topic]
                blocks.append(model_block(span, name, own, self._table.keys, group, layout, launches=launches))
        return blocks

    def _count(self, metric: Metric, labels: tuple[str, ...], by: int) -> None:
        _increase(self._counts, metric, labels, by)


def _lower_median(values: Sequence[int]) -> int:
    """The middle value, of two the earlier: never a value between two that nobody told."""
    return sorted(values)[(len(values) - 1) // 2]


def _increase(counts: Counts, metric: Metric, labels: tuple[str, ...], by: int) -> None:
    counts[metric, labels] = counts.get((metric, labels), 0) + by


_NO_IDS: Final[Hashes] = np.empty(0, dtype=np.uint64)


def _where(kinds: Iterable[bool]) -> Ints:
    return np.flatnonzero(np.fromiter(kinds, dtype=np.bool_))


_UNKNOWN_COLUMNS: Final[dict[str, dict[str, Ints]]] = {
    DECISIONS.topic: {"action": _where(action is Action.OTHER for action in ACTIONS)},
    REVIEWS.topic: {
        "source": _where(source is ReviewSource.OTHER for source, _ in REVIEW_KINDS),
        "verdict": _where(verdict is Verdict.OTHER for _, verdict in REVIEW_KINDS),
    },
    APPEALS.topic: {"stage": _where(stage is AppealStage.OTHER for stage in STAGES)},
}
"""Columns that stand for an enumeration value not known here, by topic and field."""
