"""One block of the join topic: decisions and feedback in, joined feedback and changes of the index out.

Offsets of the topic count chunks. The block keeps what its chunks bring beside the index, which stays as it was when
the block began. A decision is known while a copy of it is no older than the horizon. Of several copies feedback finds
the first in the oldest bucket that has one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from monitor import catalogue
from monitor.blocks import BlockMessage, Span
from monitor.decode import Reason
from monitor.events import DecisionContext
from monitor.join.clock import LogClock, told_clock
from monitor.join.decided import Decisions
from monitor.join.entries import (
    DECISION,
    NAMES,
    Bucket,
    Decided,
    Entry,
    Position,
    Waiting,
    deadline_key,
    deadline_parts,
    decode_decision,
    decode_entry,
    encode,
    encode_decision,
    entry_key,
    expiry_key,
    expiry_parts,
    in_bucket,
    kind_of,
    names_key,
    place_of,
)
from monitor.join.forwarding import (
    KINDS,
    Chunk,
    DecisionChunk,
    FeedbackChunk,
    ForwardedFeedback,
    decode_chunk,
    decode_context,
    with_context,
)
from monitor.join.index import CorruptIndex, Range
from monitor.join.store import BlockChanges, Changes, Store
from monitor.join.summary import JoinSummary
from monitor.summarise_settings import SummariseSettings
from monitor.topics import JOIN

DAY_MS: Final = 86_400_000
BUCKETS: Final = 8
"""Decisions are dropped in parts of the horizon, or of the bound, as large as one over this: fewer buckets keep more
than they need to, more of them cost each feedback a look into each."""


@dataclass(frozen=True, slots=True)
class JoinSettings:
    """What a join depends on besides the log; times in ms of the log's clock.

    `summarise` gives label caps, layouts, and what is late or in the future; its block size and horizon are not used.
    """

    summarise: SummariseSettings
    wait_ms: int = DAY_MS
    """how long feedback waits for its decision"""
    horizon_ms: int = 30 * DAY_MS
    """how long a decision, and the ids of feedback about it, are kept"""
    block_size: int = 256
    """chunks a block"""
    maximum_decisions: int = 20_000_000
    """so many decisions are kept in a partition, and feedback about so many; beyond, what expires first goes first"""

    def __post_init__(self) -> None:
        if not 0 < self.wait_ms <= self.horizon_ms:
            raise ValueError(f"join: expected 0 < wait_ms <= horizon_ms, got {self.wait_ms} and {self.horizon_ms}")


@dataclass(frozen=True, slots=True)
class _Found:
    """A copy of a decision, and the bucket that holds it; None is the open block."""

    value: Decided
    bucket: int | None


class JoinBlock:
    """The chunks of the block that begins at offset `first`, as far as they have been read.

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
        self._decisions = Decisions(horizon_ms=settings.horizon_ms)
        self._buckets = store.position.buckets
        self._kept: dict[bytes, list[_Found]] = {}
        """copies of decisions in buckets, oldest first, of those that feedback asked for"""
        self._entries: dict[bytes, Entry | None] = {}
        """feedback about decisions, as the block has left it; None where there is none"""
        self._stored: dict[bytes, int | None] = {}
        """expiry of these entries when the block began; None where there was none"""
        self._changed: set[bytes] = set()
        self._deadlines: Changes = {}

    def take(self, timestamps: Sequence[int], values: Sequence[bytes | None]) -> None:
        """Take the next records; `timestamps` are Kafka's in the join topic. May raise CorruptIndex."""
        chunks = [self._decode(value) for value in values]
        # What chunks hold, not chunks: how fetches were cut is nobody's number.
        self._summary.count(catalogue.RECORDS, JOIN, by=sum(1 if chunk is None else len(chunk) for chunk in chunks))
        for chunk, now in zip(chunks, self._clock.see(timestamps), strict=True):
            if isinstance(chunk, DecisionChunk):
                self._source_recent.extend(chunk.recent)
                keys = self._decisions.take(chunk, now)
                self._meet([keys[index] for index in self._store.awaited.among(chunk.keys)], now)
            elif isinstance(chunk, FeedbackChunk):
                self._source_recent.extend(record.timestamp_ms for record in chunk.records)
                self._take_feedback(chunk.records, now)

    def _meet(self, keys: Sequence[bytes], now: int) -> None:
        """Join what waits for decisions that have just come."""
        self._load(set(keys))
        for key in keys:
            entry = self._entries[key]
            if entry is None or entry.expires_ms <= now or not entry.waiting:
                continue
            context = self._context(key, now)
            for place, waiting in entry.waiting.items():
                if waiting.deadline_ms > now:  # else its deadline stays, to be counted as an orphan
                    name = deadline_key(key, place, deadline_ms=waiting.deadline_ms)
                    if self._deadlines.pop(name, None) is None:  # else it began to wait in this very block
                        self._deadlines[name] = None
                    self._join(waiting.record, context)
            entry.waiting.clear()
            entry.expires_ms = now + self._settings.horizon_ms
            self._changed.add(key)

    def _take_feedback(self, records: Sequence[ForwardedFeedback], now: int) -> None:
        self._load({record.key for record in records})
        for record in records:
            entry = self._entries[record.key]
            if entry is None or entry.expires_ms <= now:
                entry = self._entries[record.key] = Entry(now + self._settings.horizon_ms)
            self._take_one(record, entry, now)

    def _take_one(self, record: ForwardedFeedback, entry: Entry, now: int) -> None:
        place = place_of(record)
        # Ids of different kinds may be the same text.
        identity = record.identity ^ record.kind
        first = entry.counted.get(identity)
        if first is not None:
            if first != place and place not in entry.copies:
                entry.copies.add(place)
                self._changed.add(record.key)
                self._summary.count(catalogue.DUPLICATES, KINDS[record.kind].topic)
            return
        entry.counted[identity] = place
        self._changed.add(record.key)
        found = self._find(record.key, now)
        if found is not None:
            self._join(record, self._decoded(found))
            return
        deadline_ms = min(now + self._settings.wait_ms, entry.expires_ms)
        entry.waiting[place] = Waiting(deadline_ms, record)
        self._deadlines[deadline_key(record.key, place, deadline_ms=deadline_ms)] = b""
        self._store.awaited.add(record.key, deadline_ms=deadline_ms)

    def _join(self, record: ForwardedFeedback, context: DecisionContext | None) -> None:
        try:
            event = None if context is None else with_context(record, context)
        except ValueError:
            event = None
        if event is None:
            self._summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.MALFORMED.value)
        elif self._summary.add(record.kind, event, timestamp_ms=record.timestamp_ms) is not None:
            self._summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.INVALID.value)

    def _context(self, key: bytes, now: int) -> DecisionContext | None:
        found = self._find(key, now)
        return None if found is None else self._decoded(found)

    def _decoded(self, found: _Found) -> DecisionContext | None:
        """The context of a decision; None when its names are none of ours."""
        _, occurred_us, score, inclusion, hashed = found.value
        names = self._store.names(found.bucket, hashed) if found.bucket is not None else self._decisions.names(hashed)
        if names is None:
            raise CorruptIndex(f"{JOIN}/{self._partition}: a decision's names are missing")
        try:
            return decode_context(names, occurred_us=occurred_us, score=score, inclusion=inclusion)
        except ValueError:
            return None

    def _find(self, key: bytes, now: int) -> _Found | None:
        """The oldest copy of a decision that is known at `now`; `_load` has been asked for its key."""
        since = now - self._settings.horizon_ms
        for found in self._kept[key]:
            if found.value[0] > since:
                return found
        value = self._decisions.get(key)
        return None if value is None or value[0] <= since else _Found(value, None)

    def _decode(self, value: bytes | None) -> Chunk | None:
        """A chunk of the topic; None, and counted, if there is none or if it is not one of ours."""
        if value is None:
            self._summary.count(catalogue.TOMBSTONES, JOIN)
            return None
        try:
            return decode_chunk(value)
        except ValueError:
            self._summary.count(catalogue.DEAD_LETTERS, JOIN, Reason.MALFORMED.value)
            return None

    def _load(self, keys: set[bytes]) -> None:
        """Know what the index holds of these decisions: the feedback about them, and their copies in all buckets."""
        missing = [key for key in keys if key not in self._entries]
        numbers = [bucket.number for bucket in self._buckets]
        prefixes = [in_bucket(DECISION, number) for number in numbers]
        names = [entry_key(key) for key in missing]
        for prefix in prefixes:
            names += [prefix + key for key in missing]
        found = self._store.read(names)
        try:
            for index, key in enumerate(missing):
                data = found[index]
                entry = None if data is None else decode_entry(data)
                self._entries[key] = entry
                self._stored[key] = None if entry is None else entry.expires_ms
                copies = zip(numbers, found[index + len(missing) :: len(missing)], strict=True)
                self._kept[key] = [_Found(decode_decision(copy), number) for number, copy in copies if copy is not None]
        except (msgspec.MsgspecError, ValueError) as error:
            raise CorruptIndex(f"{JOIN}/{self._partition}: an entry cannot be decoded: {error}") from error

    def due(self) -> list[bytes]:
        """Deadlines that the log's clock has reached within the block: one for each orphan."""
        since = self._store.position.log_reached_ms
        return self._store.deadlines(since_ms=since, until_ms=self._clock.reached_ms, more=self._deadlines)

    def messages(self, due: Sequence[bytes], *, closed: bool, evicted: int = 0) -> list[BlockMessage]:
        """What the block says so far; `due` as `due` returns it, `evicted` as `changes` tells it at its end."""
        orphans: dict[int, int] = {}
        for name in due:
            kind = kind_of(deadline_parts(name)[2])
            orphans[kind] = orphans.get(kind, 0) + 1
        span = Span(
            topic=JOIN,
            partition=self._partition,
            first=self.first,
            through=self.first + self._settings.block_size if closed else self.through,
            closed=closed,
            begin=self._begin,
            clock_ms=told_clock(self._source_recent),
        )
        if evicted:
            self._summary.count(catalogue.JOIN_EVICTED, by=evicted)
        return self._summary.messages(span, orphans=orphans)

    def changes(self, due: Sequence[bytes]) -> BlockChanges:
        """What the block changes in the index, orphans, expired and evicted entries removed."""
        before = self._store.position
        waiting = before.waiting - len(due) + sum(1 if value is not None else -1 for value in self._deadlines.values())
        deadlines: Changes = {**self._deadlines, **dict.fromkeys(due, None)}
        self._forget_orphans(due)
        reached = self._clock.reached_ms
        values: Changes = {}
        buckets, drop, expired, evicted = self._write_decisions(values, reached)
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
            values[entry_key(key)] = encode(entry)
        gone = self._store.expiries(since_ms=before.log_reached_ms, until_ms=reached, more=expiries)
        expired += len(gone)
        feedback = before.feedback + added - len(gone)
        if feedback > self._settings.maximum_decisions:
            surplus = feedback - self._settings.maximum_decisions
            soonest = self._store.first_expiries(surplus, since_ms=reached + 1, more=expiries)
            gone += soonest
            evicted += len(soonest)
            feedback -= len(soonest)
        values.update((entry_key(expiry_parts(name)), None) for name in gone)
        expiries.update(dict.fromkeys(gone, None))
        position = Position(
            offset=self.first + self._settings.block_size,
            block_size=self._settings.block_size,
            log_recent=self._clock.recent,
            log_reached_ms=reached,
            source_recent=tuple(self._source_recent),
            buckets=tuple(buckets),
            feedback=feedback,
            waiting=waiting,
            expired=before.expired + expired,
        )
        return BlockChanges(position, values, deadlines, expiries, drop, evicted)

    def _write_decisions(self, values: Changes, reached: int) -> tuple[list[Bucket], list[Range], int, int]:
        """Add the block's decisions to the values to write; buckets that stay, ranges that go, expired, evicted."""
        horizon, maximum = self._settings.horizon_ms, self._settings.maximum_decisions
        buckets = list(self._buckets)
        if len(self._decisions):
            last = buckets[-1] if buckets else None
            full = last is None or last.decisions >= maximum / BUCKETS or reached - last.begin_ms >= horizon / BUCKETS
            if last is None or full:
                last = Bucket(self.first // self._settings.block_size, self._decisions.begin_ms, -1, 0)
            else:
                buckets.pop()
            prefix = in_bucket(DECISION, last.number)
            known = self._known(prefix) if last.decisions else {}
            keys, parts, names = self._decisions.values(known)
            values.update(zip([prefix + key for key in keys], parts, strict=True))
            values.update((prefix + key, data) for key, data in known.items())
            values.update((names_key(last.number, hashed), text) for hashed, text in names.items())
            buckets.append(Bucket(last.number, last.begin_ms, self._decisions.end_ms, last.decisions + len(keys)))
        expired = [bucket for bucket in buckets if bucket.end_ms + horizon <= reached]
        buckets = [bucket for bucket in buckets if bucket.end_ms + horizon > reached]
        evicted = []
        while len(buckets) > 1 and sum(bucket.decisions for bucket in buckets) > maximum:
            evicted.append(buckets.pop(0))
        drop = [
            (in_bucket(prefix, bucket.number), in_bucket(prefix, bucket.number + 1))
            for bucket in (*expired, *evicted)
            for prefix in (DECISION, NAMES)
        ]
        return buckets, drop, sum(one.decisions for one in expired), sum(one.decisions for one in evicted)

    def _known(self, prefix: bytes) -> dict[bytes, bytes]:
        """What a bucket holds of the block's decisions, where that had not expired, with the time of the new copy."""
        keys = list(self._decisions.keys())
        known = {}
        for key, data in zip(keys, self._store.read([prefix + key for key in keys]), strict=True):
            own = self._decisions.get(key) if data is not None else None
            if data is not None and own is not None:
                kept = self._decided(data)
                if kept[0] + self._settings.horizon_ms > own[0]:
                    known[key] = encode_decision((own[0], *kept[1:]))
        return known

    def _decided(self, data: bytes) -> Decided:
        try:
            return decode_decision(data)
        except ValueError as error:
            raise CorruptIndex(f"{JOIN}/{self._partition}: {error}") from error

    def _forget_orphans(self, due: Iterable[bytes]) -> None:
        """Drop what waited too long from its entries; its id stays, so that a copy is recognised."""
        parts = [deadline_parts(name) for name in due]
        self._load({key for _, key, _ in parts})
        for deadline_ms, key, place in parts:
            entry = self._entries[key]
            waiting = None if entry is None else entry.waiting.get(place)
            if entry is not None and waiting is not None and waiting.deadline_ms == deadline_ms:
                del entry.waiting[place]
                self._changed.add(key)
