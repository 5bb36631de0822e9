"""The records of one block as far as they have been read, and the summaries that they make.

Each step is one pass: bytes to events, events to columns, columns to the rows that count, those to sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from monitor import catalogue
from monitor.acceptance import accept
from monitor.block_counts import BlockCounts
from monitor.blocks import BlockMessage, ModelBlock, SourceBlock, Span
from monitor.cells import BlockKeys
from monitor.decode import Rejected, decode_many, invalid_name, name_is_allowed
from monitor.events import Launch, Variant
from monitor.join.capable import Capable
from monitor.join.clock import told_clock
from monitor.join.forwarding import FeedbackEvent, Forward, forward_decisions, forward_feedback
from monitor.join.name_book import NameBook
from monitor.join.read_contexts import read_contexts
from monitor.model_block import model_block
from monitor.read_decisions import read_decisions
from monitor.rows import Ints, Rows, concatenate, feedback_rows, no_decisions, take
from monitor.seen_ids import Mask, SeenIds
from monitor.summarise import GROUPS
from monitor.summarise_settings import SummariseSettings
from monitor.topics import DECISIONS, LAUNCHES, SourceTopic

CLOCK_RECORDS: Final = 64
"""The block's clock is the median Kafka timestamp of so many last records: one absurd timestamp moves nothing.

The records may lie in the blocks before, as far as the horizon reaches: a block that has just begun is no exception."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused record: its place in the sequence that was fed, its offset, and why."""

    index: int
    offset: int
    why: Rejected


class OpenBlock:
    """One block of a partition: records in, summaries out; `begin` is its first offset that the log still holds."""

    def __init__(
        self,
        source: SourceTopic,
        partition: int,
        first: int,
        *,
        begin: int,
        clock: list[int],
        keys: BlockKeys,
        names: NameBook,
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
        self._counts = BlockCounts()
        self._forwards: list[Forward] = []
        self._capable = Capable(keys.table, settings.layout)

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
        self._counts.add(catalogue.RECORDS, topic, by=len(offsets))
        if self._source is DECISIONS:
            refused = self._decisions(offsets, timestamps, values)
        else:
            refused = self._others(offsets, timestamps, values)
        for why in refused.values():
            self._counts.add(catalogue.DEAD_LETTERS, topic, why.reason.value)
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
            clock_ms=told_clock([*self._clock, *self.timestamps][-CLOCK_RECORDS:]),
        )
        if len(self._accepted) > 1:
            self._accepted = [concatenate(self._accepted)]
        models = self._models(span, self._accepted[0] if self._accepted else no_decisions())
        return [*models, SourceBlock(span=span, counts=self._counts.entries())]

    def _decisions(
        self, offsets: Sequence[int], timestamps: Sequence[int], values: Sequence[bytes | None]
    ) -> dict[int, Rejected]:
        """Take decisions; returns, by index, those that are refused."""
        found = read_decisions(values, timestamps, self._keys.table, features=self._settings.features)
        self._take(found.rows)
        if self._settings.join and len(capable := found.places[self._capable.rows(found.rows)]):
            told = read_contexts(values, capable, self._names)
            forwarded = forward_decisions(told, offsets=_at(offsets, capable), timestamps=_at(timestamps, capable))
            self._forwards.append(forwarded)
        return self._refused(found.refused)

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
            fresh = self._take(rows)
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
        self._counts.add(catalogue.TOMBSTONES, self._source.topic, by=tombstones)
        return {index: why for index, why in decoded.items() if why is not None}

    def _take(self, rows: Rows) -> Mask:
        """Keep the rows that count; returns which are first copies."""
        kept, fresh = accept(
            rows, source=self._source, ids=self._ids, keys=self._keys, counts=self._counts, settings=self._settings
        )
        self._accepted.append(kept)
        return fresh

    def _models(self, span: Span, rows: Rows) -> list[ModelBlock]:
        """One summary a model; the rows of each lie together once they are ordered by model."""
        table = self._keys.table
        codes = self._keys.counted(rows.key)
        number = table.model_of(codes)
        order = np.argsort(number.astype(np.min_scalar_type(len(table.models))), kind="stable")
        rows = take(rows, order, key=codes)
        bounds = np.searchsorted(number[order], np.arange(len(table.models) + 1)).tolist()
        found = zip(table.models, pairwise(bounds), strict=True)
        parts = {model: slice(begin, end) for model, (begin, end) in found if begin < end}
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
                unknown = int(launch.variant is Variant.OTHER)
                self._counts.add(catalogue.UNKNOWN_VALUES, self._source.topic, "variant", by=unknown)
        return refused


def _at(column: Sequence[int], places: Sequence[int] | Ints) -> Ints:
    at: Ints = np.asarray(column, dtype=np.int64)[np.asarray(places, dtype=np.int64)]
    return at
