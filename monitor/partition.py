"""One source partition: records in, dead letters and block summaries out.

Pure and deterministic: fetches may split the records anywhere; the summary of a block is the same bytes. The caller
writes what comes out to Kafka and commits; nothing here knows of either.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

import numpy as np

from monitor import catalogue
from monitor.blocks import BlockMessage, ModelBlock, SourceBlock, Span, block_first
from monitor.catalogue import Metric
from monitor.cells import BlockKeys, KeyTable, Limits
from monitor.decode import Rejected, decode_decisions, decode_event, decode_many, invalid_name, name_is_allowed
from monitor.events import (
    Action,
    AppealStage,
    CountedDecision,
    Decision,
    Launch,
    ReviewSource,
    Variant,
    Verdict,
)
from monitor.join.clock import low_median
from monitor.join.forwarding import FeedbackEvent, Forward, forward_decision, forward_feedback, is_sampled
from monitor.known_names import KnownNames
from monitor.layout import ACTIONS, REVIEW_KINDS, STAGES, Group, Layout
from monitor.model_block import model_block
from monitor.rows import DecisionRows, Ints, Rows, concatenate, decision_rows, feedback_rows, no_decisions, take
from monitor.seen_ids import Mask, SeenIds
from monitor.segments import DEFAULT_KINDS
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


DECODED_AT_ONCE: Final = 1024
"""Decisions that are objects at the same time: so many fit into a processor's cache, between JSON and columns."""
KEYS_KEPT: Final = 20_000
"""A key table with more keys, some 20 MB, is begun anew with the next block."""
CROWDED_KEYS: Final = 8_000
CROWDED_BLOCKS: Final = 64
"""One that has met more names than the caps allow is begun anew with so many keys, or after so many blocks: the names
may have gone."""


@dataclass(frozen=True, slots=True)
class SummariseSettings:
    """What a summary depends on besides the log. Times in ms, `block_size` in records, `horizon` in blocks."""

    layout: Callable[[str], Layout]
    limits: Limits = field(default_factory=Limits)
    kinds: Sequence[tuple[str, ...]] = DEFAULT_KINDS
    """dimensions of each kind of segment"""
    features: bool = True
    """whether any layout counts features: decisions are decoded without them otherwise"""
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
        self._table = KeyTable(settings.limits, settings.kinds)
        self._table_blocks = 0
        self._names = KnownNames(features=settings.features)
        self._ids = SeenIds(horizon=settings.horizon, block_size=settings.block_size)
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
            end = bisect_left(offsets, first + self._settings.block_size, at)
            if self._block is None or self._block.first != first:
                closed += self._close()
                self._block = self._open(first)
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
        return block.messages(closed=False)

    def _open(self, first: int) -> _OpenBlock:
        self._table_blocks += 1
        keys = len(self._table.keys) + len(self._table.refusals)
        tired = self._table.crowded and (keys > CROWDED_KEYS or self._table_blocks > CROWDED_BLOCKS)
        if tired or keys > KEYS_KEPT:
            self._table, self._table_blocks = KeyTable(self._settings.limits, self._settings.kinds), 0
            self._names = KnownNames(features=self._settings.features)
        self._ids.begin(first // self._settings.block_size)
        return _OpenBlock(
            self._source,
            self._partition,
            first,
            begin=max(first, self._log_start),
            clock=self._clock(first),
            keys=BlockKeys(self._table),
            names=self._names,
            ids=self._ids,
            settings=self._settings,
        )

    def _close(self) -> list[BlockMessage]:
        block = self._block
        if block is None:
            return []
        messages = block.messages(closed=True) if block.first >= self._from else []
        self._clocks[block.first] = block.timestamps
        self._block = None
        oldest = block.first - (self._settings.horizon - 1) * self._settings.block_size
        for first in [first for first in self._clocks if first < oldest]:
            del self._clocks[first]
        return messages

    def _clock(self, first: int) -> list[int]:
        """Last timestamps before block `first`, of the blocks within the horizon: a restart reads these and no more."""
        oldest = first - self._settings.horizon * self._settings.block_size
        known = [at for start, clock in sorted(self._clocks.items()) if start >= oldest for at in clock]
        return known[-CLOCK_RECORDS:]


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
        keys: BlockKeys,
        names: KnownNames,
        ids: SeenIds,
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
        self._keys = keys
        self._names = names
        self._ids = ids
        self._settings = settings
        self._accepted: list[Rows] = []
        self._launches: list[tuple[str, Launch]] = []
        self._counts: Counts = {}
        self._forwards: list[Forward] = []
        self._positive: list[list[bool]] = []
        """by number of the model, which actions say "violating" """

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
        self.timestamps = [*self.timestamps, *timestamps[-CLOCK_RECORDS:]][-CLOCK_RECORDS:]
        self._count(catalogue.RECORDS, (topic,), len(offsets))
        refused: dict[int, Rejected] = {}
        if self._source is DECISIONS:
            rows: list[Rows] = []
            for begin in range(0, len(values), DECODED_AT_ONCE):
                part = slice(begin, begin + DECODED_AT_ONCE)
                wrong = self._decisions(offsets[part], timestamps[part], values[part], rows)
                refused |= {begin + index: why for index, why in wrong.items()}
            self._accept(concatenate(rows))
        else:
            refused = self._others(offsets, timestamps, values)
        for why in refused.values():
            self._count(catalogue.DEAD_LETTERS, (topic, why.reason.value), 1)
        return [DeadLetter(base + index, offsets[index], refused[index]) for index in sorted(refused)]

    def messages(self, *, closed: bool) -> list[BlockMessage]:
        """The block's summaries: one a model it speaks of, in order of name, then one of the source itself."""
        span = Span(
            topic=self._source.topic,
            partition=self._partition,
            first=self.first,
            through=self.end if closed else self.through,
            closed=closed,
            begin=self._begin,
            clock_ms=low_median([*self._clock, *self.timestamps][-CLOCK_RECORDS:]),
        )
        if len(self._accepted) > 1:
            self._accepted = [concatenate(self._accepted)]
        models = self._models(span, self._accepted[0] if self._accepted else no_decisions())
        told = sorted((metric.name, labels, count) for (metric, labels), count in self._counts.items() if count)
        return [*models, SourceBlock(span=span, counts=tuple(told))]

    def _decisions(
        self,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        values: Sequence[bytes | None],
        rows: list[Rows],
    ) -> dict[int, Rejected]:
        """Decode some decisions into `rows`; returns, by index, those that are refused."""
        if self._names.renewed():
            self._keys.table.codes.clear()  # its keys hold the former objects: equal, but slow to compare
        decoded = decode_decisions(values, self._names)
        events: list[CountedDecision] = decoded.events
        places = decoded.places
        table, features = self._keys.table, self._settings.features
        found, unnamed = decision_rows(events, _at(timestamps, places), table, features=features)
        rows.append(found)
        if self._settings.join:
            kept: Sequence[int] = range(len(events))
            if unnamed:
                kept = [index for index in kept if index not in unnamed]
            named = [events[index] for index in kept] if unnamed else events
            for row in self._capable(found, named):
                index = kept[row]
                value = values[places[index]]
                if value is not None:
                    at = {"offset": offsets[places[index]], "timestamp_ms": timestamps[places[index]]}
                    self._forwards.append(forward_decision(_whole(events[index], value), **at))
        return self._refused(decoded.refused) | {places[index]: why for index, why in unnamed.items()}

    def _capable(self, rows: DecisionRows, events: Sequence[CountedDecision]) -> list[int]:
        """Rows of the decisions that can get feedback (`join.forwarding.can_get_feedback`), in order."""
        if not events:
            return []
        for name in self._keys.table.models[len(self._positive) :]:
            positive = self._settings.layout(name).positive_actions
            self._positive.append([action in positive for action in ACTIONS])
        capable = np.array(self._positive)[self._keys.table.model_of(rows.key), rows.column]
        sampling = list(map(_SAMPLING, events))
        told = {form for form in set(sampling) if is_sampled(*form)}
        if told:
            capable[[row for row, form in enumerate(sampling) if form in told]] = True
        found: list[int] = np.flatnonzero(capable).tolist()
        return found

    def _others(
        self, offsets: Sequence[int], timestamps: Sequence[int], values: Sequence[bytes | None]
    ) -> dict[int, Rejected]:
        """Take feedback or launches; returns, by index, those that are refused."""
        decoded = decode_many(self._source, values)
        places = decoded.places
        if self._source is LAUNCHES:
            unnamed = self._keep_launches(decoded.events)
        else:
            events: list[FeedbackEvent] = decoded.events
            rows, unnamed = feedback_rows(events, _at(timestamps, places), self._keys.table)
            fresh = self._accept(rows)
            if self._settings.join:
                kept = [index for index in range(len(events)) if index not in unnamed]
                for row in np.flatnonzero(fresh & (rows.key < 0)).tolist():
                    self._forward(events[kept[row]], places[kept[row]], offsets, timestamps, int(rows.id_hash[row]))
        return self._refused(decoded.refused) | {places[index]: why for index, why in unnamed.items()}

    def _forward(
        self, event: FeedbackEvent, index: int, offsets: Sequence[int], timestamps: Sequence[int], id_hash: int
    ) -> None:
        """Forward the first copy, within the horizon, of feedback without context; further ones count here."""
        told = forward_feedback(
            event,
            self._source,
            partition=self._partition,
            offset=offsets[index],
            timestamp_ms=timestamps[index],
            id_hash=id_hash,
        )
        self._forwards.append(told)

    def _refused(self, decoded: dict[int, Rejected | None]) -> dict[int, Rejected]:
        """What is refused of what is no event; tombstones are counted."""
        tombstones = sum(why is None for why in decoded.values())
        self._count(catalogue.TOMBSTONES, (self._source.topic,), tombstones)
        return {index: why for index, why in decoded.items() if why is not None}

    def _accept(self, rows: Rows) -> Mask:
        """Keep the rows that count: the first copy of each id, with a known decision, not late; times clamped.

        Returns which rows are first copies. What a row counts as depends on earlier rows only: it is decided once.
        """
        topic, settings = (self._source.topic,), self._settings
        fresh = self._ids.add(rows.id_hash)
        self._keys.note(rows.key)
        known = rows.key >= 0
        ahead = rows.occurred_ms - rows.timestamp_ms
        allowed = settings.lateness_ms if isinstance(rows, DecisionRows) else settings.retention_ms
        timely = ahead >= -allowed
        accepted = fresh & known & timely
        future = accepted & (ahead > settings.future_ms)
        self._count(catalogue.DUPLICATES, topic, int(np.count_nonzero(~fresh)))
        self._count(catalogue.ORPHANS, topic, 0 if settings.join else int(np.count_nonzero(fresh & ~known)))
        self._count(catalogue.LATE, topic, int(np.count_nonzero(fresh & known & ~timely)))
        self._count(catalogue.FUTURE, topic, int(np.count_nonzero(future)))
        kept = rows
        if future.any():
            kept = replace(kept, occurred_ms=np.where(future, rows.timestamp_ms, rows.occurred_ms))
        if not accepted.all():
            kept = take(kept, accepted)
        self._count_unknown(kept)
        self._accepted.append(kept)
        return fresh

    def _count_unknown(self, rows: Rows) -> None:
        """Count enumeration values not known here among the rows that count."""
        topic = self._source.topic
        for name, codes in self._keys.table.unknown.items():
            if codes:
                self._count(catalogue.UNKNOWN_VALUES, (topic, name), int(np.isin(rows.key, codes).sum()))
        for name, columns in _UNKNOWN_COLUMNS.get(topic, {}).items():
            found = sum(int(np.count_nonzero(rows.column == column)) for column in columns)
            self._count(catalogue.UNKNOWN_VALUES, (topic, name), found)

    def _models(self, span: Span, rows: Rows) -> list[ModelBlock]:
        """One summary a model; the rows of each lie together once they are ordered by model."""
        table = self._keys.table
        codes = self._keys.counted(rows.key)
        number = table.model_of(codes)
        order = np.argsort(number.astype(np.min_scalar_type(len(table.models))), kind="stable")
        rows = take(rows, order, key=codes)
        found = np.unique(number[order], return_index=True, return_counts=True)
        parts = {
            table.models[model]: slice(begin, begin + count)
            for model, begin, count in zip(*(column.tolist() for column in found), strict=True)
        }
        group = GROUPS[self._source.topic]
        blocks = []
        for name in sorted(parts.keys() | {model for model, _ in self._launches}):
            own = take(rows, parts.get(name, slice(0)))
            launches = tuple(launch for model, launch in self._launches if model == name)
            layout = self._settings.layout(name)
            blocks.append(model_block(span, name, own, table, group, layout, launches=launches))
        return blocks

    def _keep_launches(self, launches: Sequence[Launch]) -> dict[int, Rejected]:
        refused: dict[int, Rejected] = {}
        for index, launch in enumerate(launches):
            names = {"model": launch.model, "model_version": launch.model_version, "stage": launch.stage}
            bad = next((item for item in names.items() if not name_is_allowed(item[1])), None)
            if bad is not None:
                refused[index] = invalid_name(*bad)
            else:
                self._launches.append((self._keys.model(launch.model), launch))
                _increase(
                    self._counts,
                    catalogue.UNKNOWN_VALUES,
                    (self._source.topic, "variant"),
                    int(launch.variant is Variant.OTHER),
                )
        return refused

    def _count(self, metric: Metric, labels: tuple[str, ...], by: int) -> None:
        _increase(self._counts, metric, labels, by)


def _increase(counts: Counts, metric: Metric, labels: tuple[str, ...], by: int) -> None:
    counts[metric, labels] = counts.get((metric, labels), 0) + by


def _at(timestamps: Sequence[int], places: Sequence[int]) -> Ints:
    told = timestamps if isinstance(places, range) else [timestamps[place] for place in places]
    return np.array(told, dtype=np.int64)


_SAMPLING: Final = attrgetter("sampled", "inclusion_probability")


def _whole(event: CountedDecision, value: bytes) -> Decision:
    """The decision with all of its fields; without those that nobody counts where one of these is wrong."""
    whole = decode_event(DECISIONS, value)
    if isinstance(whole, Decision):
        return whole
    return Decision(**{name: getattr(event, name) for name in CountedDecision.__struct_fields__})


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
