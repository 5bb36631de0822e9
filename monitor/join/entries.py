"""What the index holds: one entry a decision id, the deadlines of feedback that waits, expiries, and the position.

Keys begin with a letter that says what they are; times in keys are big-endian: their order is the order of time.
An entry holds all feedback of its decision: it is written once a block, however much feedback the block brought.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from monitor.join.forwarding import MAX_PARTITION, ForwardedFeedback

FORMAT: Final = 1

POSITION: Final = b"position"
ENTRY: Final = b"e"
DEADLINE: Final = b"w"
EXPIRY: Final = b"x"


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Feedback that waits for its decision until the log's clock reaches `deadline_ms`."""

    deadline_ms: int
    record: ForwardedFeedback


class Received(msgspec.Struct, array_like=True):
    """Feedback about one decision."""

    counted: dict[int, int] = msgspec.field(default_factory=dict)
    """identity of feedback to the place of its first copy, whatever became of it"""
    copies: set[int] = msgspec.field(default_factory=set)
    """places of further copies, which were counted as duplicates"""
    waiting: dict[int, Waiting] = msgspec.field(default_factory=dict)
    """feedback that waits, by its place"""


class Entry(msgspec.Struct, array_like=True, gc=False):
    """All that is known of one decision id. It is gone once the log's clock has reached `expires_ms`."""

    expires_ms: int
    context: bytes | None = None
    """None until the decision comes"""
    received: Received | None = None
    """None until feedback comes: most decisions get none"""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far the topic is in the index, and what else the next block depends on."""

    offset: int
    """the first offset that is not in the index: the begin of a block"""
    block_size: int
    log_recent: tuple[int, ...] = ()
    log_reached_ms: int = -1
    source_recent: tuple[int, ...] = ()
    entries: int = 0
    waiting: int = 0
    expired: int = 0
    """entries that were removed since the index was begun"""
    format: int = FORMAT


_TIME: Final = struct.Struct(">Q").pack
_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRY: Final = msgspec.msgpack.Decoder(Entry)
_POSITION: Final = msgspec.msgpack.Decoder(Position)


def encode(value: Entry | Position) -> bytes:
    """Bytes of an entry or a position."""
    return _ENCODER.encode(value)


def decode_entry(data: bytes) -> Entry:
    """The entry that was encoded. msgspec.MsgspecError when the bytes are not one."""
    return _ENTRY.decode(data)


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


def entry_key(key: bytes) -> bytes:
    """Where the entry of a decision is."""
    return ENTRY + key


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
    """Says that the entry of a decision is gone at `expires_ms`."""
    return EXPIRY + _TIME(expires_ms) + key


def expiry_parts(name: bytes) -> bytes:
    """Decision key of an expiry key."""
    return name[9:]
