"""One partition of the join topic: forwarded records in, block messages about joined feedback out.

Pure as the summaries of source partitions: a block's messages depend on the log up to its end and on the settings. Two
times matter: the log's clock (Kafka timestamps of the join topic) decides how long feedback waits and decisions are
kept, so that a source partition that is read far behind the others loses nothing; the source's timestamps, which travel
in the records, decide what is late and in which minute a label arrived.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from monitor import catalogue
from monitor.blocks import BlockMessage, Span, block_first
from monitor.decode import Reason
from monitor.join.clock import WINDOW, LogClock, low_median
from monitor.join.entries import (
    Entry,
    Position,
    Received,
    Waiting,
    deadline_key,
    deadline_parts,
    decode_entry,
    encode,
    entry_key,
    expiry_key,
    expiry_parts,
    kind_of,
    place_of,
)
from monitor.join.forwarding import (
    JOIN,
    KINDS,
    Forwarded,
    ForwardedDecision,
    ForwardedFeedback,
    decode_context,
    decode_forwarded,
    with_context,
)
from monitor.join.index import CorruptIndex, Index
from monitor.join.store import BlockChanges, Changes, Store
from monitor.join.summary import JoinSummary
from monitor.partition import SummariseSettings

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class JoinSettings:
    """What a join depends on besides the log; times in ms of the log's clock.

    `summarise` gives block size, label caps, layouts, and what is late or in the future; its horizon is not used.
    """

    summarise: SummariseSettings
    wait_ms: int = DAY_MS
    """how long feedback waits for its decision"""
    horizon_ms: int = 30 * DAY_MS
    """how long a decision, and the ids of feedback about it, are kept"""

    def __post_init__(self) -> None:
        if not 0 < self.wait_ms <= self.horizon_ms:
            raise ValueError(f"join: expected 0 < wait_ms <= horizon_ms, got {self.wait_ms} and {self.horizon_ms}")


@dataclass(frozen=True, slots=True)
class JoinStatistics:
    """Size of one partition's index as of the last finished block; `expired` since the index was begun."""

    entries: int
    waiting: int
    expired: int
    bytes: int


@dataclass(slots=True)
class _OpenBlock:
    """A block as far as it has been read: what it has joined, and what it will change in the index."""

    first: int
    begin: int
    through: int
    summary: JoinSummary
    entries: dict[bytes, Entry | None] = field(default_factory=dict)
    """entries that the block's records name; None where there is none"""
    stored: dict[bytes, int | None] = field(default_factory=dict)
    """expiry of these entries when the block began; None where there was none"""
    changed: set[bytes] = field(default_factory=set)
    deadlines: Changes = field(default_factory=dict)


class JoinPartition:
    """Follows one partition of the join topic from `position`, which the index tells.

    The log holds offsets from `log_start` up to `log_end`; an index that is ahead of it was made from another log and
    is cleared. Blocks before `summarise_from`, the begin of a block, change the index but give no messages. Whoever
    feeds this writes the messages, and then calls `commit`. All methods may raise CorruptIndex: the index is then to
    be removed, and a new partition object begins again.
    """

    def __init__(
        self,
        partition: int,
        index: Index,
        *,
        settings: JoinSettings,
        log_start: int = 0,
        log_end: int | None = None,
        summarise_from: int = 0,
    ) -> None:
        self._partition = partition
        self._index = index
        self._settings = settings
        self._size = settings.summarise.block_size
        self._log_start = log_start
        self._from = summarise_from
        self._store = Store(index, block_size=self._size)
        if log_end is not None and self._store.position.offset > log_end:
            self._store.clear(Position(0, self._size))
        self._resume()
        self._block: _OpenBlock | None = None
        self._told_through = -1

    @property
    def position(self) -> int:
        """The offset that reading has to start at: the begin of a block, which may lie before the log's start."""
        return self._store.committed.offset

    @property
    def statistics(self) -> JoinStatistics:
        """Size of the index."""
        position = self._store.position
        return JoinStatistics(position.entries, position.waiting, position.expired, self._index.bytes())

    def feed(
        self, offsets: Sequence[int], timestamps: Sequence[int], values: Sequence[bytes | None], *, next_offset: int
    ) -> list[BlockMessage]:
        """Take records in order of offset; `next_offset` is where the log goes on, beyond gaps.

        Returns the messages of the blocks that ended.
        """
        closed: list[BlockMessage] = []
        at = 0
        while at < len(offsets):
            first = block_first(offsets[at], self._size)
            end = bisect_left(offsets, first + self._size, at)
            if self._block is None or self._block.first != first:
                closed += self._close()
                self._block = _OpenBlock(
                    first, max(first, self._log_start), first, JoinSummary(self._settings.summarise)
                )
            self._take(self._block, timestamps[at:end], values[at:end])
            self._block.through = offsets[end - 1] + 1
            at = end
        block = self._block
        if block is not None:
            block.through = max(block.through, min(next_offset, block.first + self._size))
            if next_offset >= block.first + self._size:
                closed += self._close()
        return closed

    def open_block(self) -> list[BlockMessage]:
        """Messages of the open block, if it has grown since it was last asked for."""
        block = self._block
        if block is None or block.through <= self._told_through or block.first < self._from:
            return []
        self._told_through = block.through
        return self._messages(block, self._due(block), closed=False)

    def commit(self, through: int) -> None:
        """Enter finished blocks up to offset `through` into the index: their messages have been acknowledged."""
        self._store.commit(through)

    def _resume(self) -> None:
        position = self._store.position
        self._clock = LogClock(position.log_recent, reached_ms=position.log_reached_ms)
        self._source_recent = deque(position.source_recent, WINDOW)

    def _take(self, block: _OpenBlock, timestamps: Sequence[int], values: Sequence[bytes | None]) -> None:
        block.summary.count(catalogue.RECORDS, JOIN, by=len(values))
        records = [self._decode(block, value) for value in values]
        self._source_recent.extend(record.timestamp_ms for record in records if record is not None)
        self._load(block, {record.key for record in records if record is not None})
        entries, horizon_ms = block.entries, self._settings.horizon_ms
        for record, now in zip(records, self._clock.see(timestamps), strict=True):
            if record is None:
                continue
            entry = entries[record.key]
            if entry is None or entry.expires_ms <= now:
                entry = entries[record.key] = Entry(now + horizon_ms)
            if isinstance(record, ForwardedDecision):
                self._take_decision(block, record, entry, now)
            else:
                self._take_feedback(block, record, entry, now)

    def _take_decision(self, block: _OpenBlock, record: ForwardedDecision, entry: Entry, now: int) -> None:
        if entry.context is not None:
            return
        entry.context = record.context
        entry.expires_ms = now + self._settings.horizon_ms
        block.changed.add(record.key)
        if entry.received is None:
            return
        for place, waiting in entry.received.waiting.items():
            if waiting.deadline_ms > now:  # else its deadline stays, to be counted as an orphan
                name = deadline_key(record.key, place, deadline_ms=waiting.deadline_ms)
                if block.deadlines.pop(name, None) is None:  # else it began to wait in this very block
                    block.deadlines[name] = None
                self._join(block, waiting.record, record.context)
        entry.received.waiting.clear()

    def _take_feedback(self, block: _OpenBlock, record: ForwardedFeedback, entry: Entry, now: int) -> None:
        place = place_of(record)
        # Ids of different kinds may be the same text.
        identity = record.identity ^ record.kind
        received = entry.received
        if received is None:
            received = entry.received = Received()
        first = received.counted.get(identity)
        if first is not None:
            if first != place and place not in received.copies:
                received.copies.add(place)
                block.changed.add(record.key)
                block.summary.count(catalogue.DUPLICATES, KINDS[record.kind].topic)
            return
        received.counted[identity] = place
        block.changed.add(record.key)
        if entry.context is not None:
            self._join(block, record, entry.context)
            return
        deadline_ms = min(now + self._settings.wait_ms, entry.expires_ms)
        received.waiting[place] = Waiting(deadline_ms, record)
        block.deadlines[deadline_key(record.key, place, deadline_ms=deadline_ms)] = b""

    def _join(self, block: _OpenBlock, record: ForwardedFeedback, context: bytes) -> None:
        try:
            event = with_context(record, decode_context(context))
        except ValueError:
            block.summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.MALFORMED.value)
            return
        if block.summary.add(record.kind, event, timestamp_ms=record.timestamp_ms) is not None:
            block.summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.INVALID.value)

    def _decode(self, block: _OpenBlock, value: bytes | None) -> Forwarded | None:
        """A record of the topic; None, and counted, if there is none or if it is not one of ours."""
        if value is None:
            block.summary.count(catalogue.TOMBSTONES, JOIN)
            return None
        try:
            return decode_forwarded(value)
        except ValueError:
            block.summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.MALFORMED.value)
            return None

    def _load(self, block: _OpenBlock, keys: set[bytes]) -> None:
        missing = [key for key in keys if key not in block.entries]
        for key, data in zip(missing, self._store.read([entry_key(key) for key in missing]), strict=True):
            try:
                entry = None if data is None else decode_entry(data)
            except msgspec.MsgspecError as error:
                raise CorruptIndex(f"{JOIN}/{self._partition}: an entry cannot be decoded: {error}") from error
            block.entries[key] = entry
            block.stored[key] = None if entry is None else entry.expires_ms

    def _due(self, block: _OpenBlock) -> list[bytes]:
        """Deadlines that the log's clock has reached within the block: one for each orphan."""
        since = self._store.position.log_reached_ms
        return self._store.deadlines(since_ms=since, until_ms=self._clock.reached_ms, more=block.deadlines)

    def _messages(self, block: _OpenBlock, due: Sequence[bytes], *, closed: bool) -> list[BlockMessage]:
        orphans: dict[int, int] = {}
        for name in due:
            kind = kind_of(deadline_parts(name)[2])
            orphans[kind] = orphans.get(kind, 0) + 1
        span = Span(
            topic=JOIN,
            partition=self._partition,
            first=block.first,
            through=block.first + self._size if closed else block.through,
            closed=closed,
            begin=block.begin,
            clock_ms=low_median(self._source_recent) if self._source_recent else -1,
        )
        return block.summary.messages(span, orphans=orphans)

    def _close(self) -> list[BlockMessage]:
        block = self._block
        if block is None:
            return []
        due = self._due(block)
        told = block.first >= self._from
        messages = self._messages(block, due, closed=True) if told else []
        self._store.finish(self._changes(block, due))
        self._block = None
        if not told:
            self._store.commit(block.first + self._size)  # its messages were acknowledged in an earlier life
        return messages

    def _changes(self, block: _OpenBlock, due: Sequence[bytes]) -> BlockChanges:
        """What the block changes in the index, orphans and expired entries removed."""
        before = self._store.position
        waiting = before.waiting - len(due) + sum(1 if value is not None else -1 for value in block.deadlines.values())
        deadlines: Changes = {**block.deadlines, **dict.fromkeys(due, None)}
        self._forget_orphans(block, due)
        entries: Changes = {}
        expiries: Changes = {}
        added = 0
        for key in block.changed:
            entry = block.entries[key]
            if entry is None:
                continue
            stored = block.stored[key]
            added += stored is None
            if stored != entry.expires_ms:
                if stored is not None:
                    expiries[expiry_key(key, expires_ms=stored)] = None
                expiries[expiry_key(key, expires_ms=entry.expires_ms)] = b""
            entries[entry_key(key)] = encode(entry)
        reached = self._clock.reached_ms
        gone = self._store.expiries(since_ms=before.log_reached_ms, until_ms=reached, more=expiries)
        entries.update((entry_key(expiry_parts(name)), None) for name in gone)
        expiries.update(dict.fromkeys(gone, None))
        position = Position(
            offset=block.first + self._size,
            block_size=self._size,
            log_recent=self._clock.recent,
            log_reached_ms=reached,
            source_recent=tuple(self._source_recent),
            entries=before.entries + added - len(gone),
            waiting=waiting,
            expired=before.expired + len(gone),
        )
        return BlockChanges(position, entries, deadlines, expiries)

    def _forget_orphans(self, block: _OpenBlock, due: Sequence[bytes]) -> None:
        """Drop what waited too long from its entries; its id stays, so that a copy is recognised."""
        parts = [deadline_parts(name) for name in due]
        self._load(block, {key for _, key, _ in parts})
        for deadline_ms, key, place in parts:
            entry = block.entries[key]
            received = None if entry is None else entry.received
            waiting = None if received is None else received.waiting.get(place)
            if received is not None and waiting is not None and waiting.deadline_ms == deadline_ms:
                del received.waiting[place]
                block.changed.add(key)
