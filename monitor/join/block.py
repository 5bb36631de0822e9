"""One block of the join topic: decisions and feedback in, joined feedback and changes of the index out.

The block works on copies of the entries that its records name; the index stays as it was when the block began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from monitor import catalogue
from monitor.blocks import BlockMessage, Span
from monitor.decode import Reason
from monitor.join.clock import LogClock, low_median
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
    KINDS,
    Forwarded,
    ForwardedDecision,
    ForwardedFeedback,
    decode_context,
    decode_forwarded,
    with_context,
)
from monitor.join.index import CorruptIndex
from monitor.join.store import BlockChanges, Changes, Store
from monitor.join.summary import JoinSummary
from monitor.partition import SummariseSettings
from monitor.topics import JOIN

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


class JoinBlock:
    """The records of the block that begins at offset `first`, as far as they have been read.

    `clock` and `source_recent` (the last source timestamps) go on from block to block; `begin` is as in `Span`.
    """

    def __init__(
        self,
        partition: int,
        first: int,
        *,
        begin: int,
        store: Store,
        clock: LogClock,
        source_recent: deque[int],
        settings: JoinSettings,
    ) -> None:
        self.first = first
        self.through = first
        self._partition = partition
        self._begin = begin
        self._store = store
        self._clock = clock
        self._source_recent = source_recent
        self._settings = settings
        self._summary = JoinSummary(settings.summarise)
        self._entries: dict[bytes, Entry | None] = {}
        """entries that the records name, as these have left them; None where there is none"""
        self._stored: dict[bytes, int | None] = {}
        """expiry of these entries when the block began; None where there was none"""
        self._changed: set[bytes] = set()
        self._deadlines: Changes = {}

    def take(self, timestamps: Sequence[int], values: Sequence[bytes | None]) -> None:
        """Take the next records; `timestamps` are Kafka's in the join topic. May raise CorruptIndex."""
        self._summary.count(catalogue.RECORDS, JOIN, by=len(values))
        records = [self._decode(value) for value in values]
        self._source_recent.extend(record.timestamp_ms for record in records if record is not None)
        self._load({record.key for record in records if record is not None})
        entries, horizon_ms = self._entries, self._settings.horizon_ms
        for record, now in zip(records, self._clock.see(timestamps), strict=True):
            if record is None:
                continue
            entry = entries[record.key]
            if entry is None or entry.expires_ms <= now:
                entry = entries[record.key] = Entry(now + horizon_ms)
            if isinstance(record, ForwardedDecision):
                self._take_decision(record, entry, now)
            else:
                self._take_feedback(record, entry, now)

    def _take_decision(self, record: ForwardedDecision, entry: Entry, now: int) -> None:
        if entry.context is not None:
            return
        entry.context = record.context
        entry.expires_ms = now + self._settings.horizon_ms
        self._changed.add(record.key)
        if entry.received is None:
            return
        for place, waiting in entry.received.waiting.items():
            if waiting.deadline_ms > now:  # else its deadline stays, to be counted as an orphan
                name = deadline_key(record.key, place, deadline_ms=waiting.deadline_ms)
                if self._deadlines.pop(name, None) is None:  # else it began to wait in this very block
                    self._deadlines[name] = None
                self._join(waiting.record, record.context)
        entry.received.waiting.clear()

    def _take_feedback(self, record: ForwardedFeedback, entry: Entry, now: int) -> None:
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
                self._changed.add(record.key)
                self._summary.count(catalogue.DUPLICATES, KINDS[record.kind].topic)
            return
        received.counted[identity] = place
        self._changed.add(record.key)
        if entry.context is not None:
            self._join(record, entry.context)
            return
        deadline_ms = min(now + self._settings.wait_ms, entry.expires_ms)
        received.waiting[place] = Waiting(deadline_ms, record)
        self._deadlines[deadline_key(record.key, place, deadline_ms=deadline_ms)] = b""

    def _join(self, record: ForwardedFeedback, context: bytes) -> None:
        try:
            event = with_context(record, decode_context(context))
        except ValueError:
            self._summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.MALFORMED.value)
            return
        if self._summary.add(record.kind, event, timestamp_ms=record.timestamp_ms) is not None:
            self._summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.INVALID.value)

    def _decode(self, value: bytes | None) -> Forwarded | None:
        """A record of the topic; None, and counted, if there is none or if it is not one of ours."""
        if value is None:
            self._summary.count(catalogue.TOMBSTONES, JOIN)
            return None
        try:
            return decode_forwarded(value)
        except ValueError:
            self._summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.MALFORMED.value)
            return None

    def _load(self, keys: set[bytes]) -> None:
        missing = [key for key in keys if key not in self._entries]
        for key, data in zip(missing, self._store.read([entry_key(key) for key in missing]), strict=True):
            try:
                entry = None if data is None else decode_entry(data)
            except msgspec.MsgspecError as error:
                raise CorruptIndex(f"{JOIN}/{self._partition}: an entry cannot be decoded: {error}") from error
            self._entries[key] = entry
            self._stored[key] = None if entry is None else entry.expires_ms

    def due(self) -> list[bytes]:
        """Deadlines that the log's clock has reached within the block: one for each orphan."""
        since = self._store.position.log_reached_ms
        return self._store.deadlines(since_ms=since, until_ms=self._clock.reached_ms, more=self._deadlines)

    def messages(self, due: Sequence[bytes], *, closed: bool) -> list[BlockMessage]:
        """What the block says so far; `due` as `due` returns it."""
        orphans: dict[int, int] = {}
        for name in due:
            kind = kind_of(deadline_parts(name)[2])
            orphans[kind] = orphans.get(kind, 0) + 1
        span = Span(
            topic=JOIN,
            partition=self._partition,
            first=self.first,
            through=self.first + self._settings.summarise.block_size if closed else self.through,
            closed=closed,
            begin=self._begin,
            clock_ms=low_median(self._source_recent) if self._source_recent else -1,
        )
        return self._summary.messages(span, orphans=orphans)

    def changes(self, due: Sequence[bytes]) -> BlockChanges:
        """What the block changes in the index, orphans and expired entries removed."""
        before = self._store.position
        waiting = before.waiting - len(due) + sum(1 if value is not None else -1 for value in self._deadlines.values())
        deadlines: Changes = {**self._deadlines, **dict.fromkeys(due, None)}
        self._forget_orphans(due)
        entries: Changes = {}
        expiries: Changes = {}
        added = 0
        for key in self._changed:
            entry = self._entries[key]
            if entry is None:
                continue
            stored = self._stored[key]
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
            offset=self.first + self._settings.summarise.block_size,
            block_size=self._settings.summarise.block_size,
            log_recent=self._clock.recent,
            log_reached_ms=reached,
            source_recent=tuple(self._source_recent),
            entries=before.entries + added - len(gone),
            waiting=waiting,
            expired=before.expired + len(gone),
        )
        return BlockChanges(position, entries, deadlines, expiries)

    def _forget_orphans(self, due: Sequence[bytes]) -> None:
        """Drop what waited too long from its entries; its id stays, so that a copy is recognised."""
        parts = [deadline_parts(name) for name in due]
        self._load({key for _, key, _ in parts})
        for deadline_ms, key, place in parts:
            entry = self._entries[key]
            received = None if entry is None else entry.received
            waiting = None if received is None else received.waiting.get(place)
            if received is not None and waiting is not None and waiting.deadline_ms == deadline_ms:
                del received.waiting[place]
                self._changed.add(key)
