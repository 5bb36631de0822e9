"""What the index holds: decisions in buckets of time, feedback about each, its deadlines and expiries, the position.

Keys begin with a letter that says what they are; numbers in keys are big-endian: their order is the order of time.
Decisions come many and go unseen: one value each, in a bucket that is dropped as a whole. Feedback about one decision
is one entry, written once a block however much the block brought, and has an expiry of its own.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec
import numpy as np

from monitor.join.forwarding import MAX_PARTITION, ForwardedFeedback

FORMAT: Final = 2

POSITION: Final = b"position"
DECISION: Final = b"d"
NAMES: Final = b"n"
FEEDBACK: Final = b"f"
DEADLINE: Final = b"w"
EXPIRY: Final = b"x"

DECISION_VALUE: Final = np.dtype(
    [("at_ms", "<i8"), ("occurred_us", "<i8"), ("score", "<f8"), ("inclusion", "<f8"), ("names", "<u8")]
)
"""A decision as it is kept: the log's clock when it came, and its context; `names` is a hash of the encoded names."""

Decided = tuple[int, int, float, float, int]
"""One DECISION_VALUE as a tuple."""


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Feedback that waits for its decision until the log's clock reaches `deadline_ms`."""

    deadline_ms: int
    record: ForwardedFeedback


class Entry(msgspec.Struct, array_like=True):
    """Feedback about one decision. It is gone once the log's clock has reached `expires_ms`."""

    expires_ms: int
    counted: dict[int, int] = msgspec.field(default_factory=dict)
    """identity of feedback to the place of its first copy, whatever became of it"""
    copies: set[int] = msgspec.field(default_factory=set)
    """places of further copies, which were counted as duplicates"""
    waiting: dict[int, Waiting] = msgspec.field(default_factory=dict)
    """feedback that waits, by its place"""


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Decisions that came from `begin_ms` through `end_ms` of the log's clock, and how many."""

    number: int
    begin_ms: int
    end_ms: int
    decisions: int


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far the topic is in the index, and what else the next block depends on."""

    offset: int
    """the first offset that is not in the index: the begin of a block"""
    block_size: int
    log_recent: tuple[int, ...] = ()
    log_reached_ms: int = -1
    source_recent: tuple[int, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    """oldest first; the last one is being filled"""
    feedback: int = 0
    """entries of feedback"""
    waiting: int = 0
    expired: int = 0
    """decisions and entries that were removed since the index was begun, their time being over"""
    format: int = FORMAT

    @property
    def decisions(self) -> int:
        """Decisions in all buckets."""
        return sum(bucket.decisions for bucket in self.buckets)


_TIME: Final = struct.Struct(">Q").pack
_BUCKET: Final = struct.Struct(">I").pack
_VALUE: Final = struct.Struct("<qqddQ")
_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRY: Final = msgspec.msgpack.Decoder(Entry)
_POSITION: Final = msgspec.msgpack.Decoder(Position)


def encode(value: Entry | Position) -> bytes:
    """Bytes of an entry or a position."""
    return _ENCODER.encode(value)


def decode_entry(data: bytes) -> Entry:
    """The entry that was encoded. msgspec.MsgspecError when the bytes are not one."""
    return _ENTRY.decode(data)


def decode_decision(data: bytes) -> Decided:
    """The decision that was kept. ValueError when the bytes are not one."""
    try:
        value: Decided = _VALUE.unpack(data)
    except struct.error as error:
        raise ValueError(f"decision: {error}") from error
    return value


def encode_decision(value: Decided) -> bytes:
    """Bytes of a decision."""
    return _VALUE.pack(*value)


def decode_position(data: bytes | None, *, block_size: int) -> Position | None:
    """The position that was encoded; None if there is none, or none that blocks of this size can go on from."""
    if data is None:
        return None
    try:
        position = _POSITION.decode(data)
    except msgspec.MsgspecError:
        return None
    return position if (position.format, position.block_size) == (FORMAT, block_size) else None


def place_of(record: ForwardedFeedback) -> int:
    """Source topic, partition and offset of feedback as one integer below 2^63."""
    return (record.offset * (MAX_PARTITION + 1) + record.partition) * 4 + record.kind


def kind_of(place: int) -> int:
    """The kind of feedback at a place, as index of KINDS."""
    return place % 4


def in_bucket(prefix: bytes, number: int) -> bytes:
    """What the keys of decisions (DECISION) or of their names (NAMES) in a bucket begin with."""
    return prefix + _BUCKET(number)


def names_key(number: int, names: int) -> bytes:
    """Where the names with a hash are, for the decisions of a bucket."""
    return NAMES + _BUCKET(number) + _TIME(names)


def entry_key(key: bytes) -> bytes:
    """Where the feedback about a decision is."""
    return FEEDBACK + key


def time_key(prefix: bytes, at_ms: int) -> bytes:
    """The first key of a prefix at a time, which is not negative."""
    return prefix + _TIME(at_ms)


def deadline_key(key: bytes, place: int, *, deadline_ms: int) -> bytes:
    """Says that feedback about a decision waits until `deadline_ms`."""
    return DEADLINE + _TIME(deadline_ms) + key + _TIME(place)


def deadline_parts(name: bytes) -> tuple[int, bytes, int]:
    """Deadline in ms, decision key and place of a deadline key."""
    return int.from_bytes(name[1:9], "big"), name[9:25], int.from_bytes(name[25:], "big")


def expiry_key(key: bytes, *, expires_ms: int) -> bytes:
    """Says that the feedback about a decision is gone at `expires_ms`."""
    return EXPIRY + _TIME(expires_ms) + key


def expiry_parts(name: bytes) -> bytes:
    """Decision key of an expiry key."""
    return name[9:]
