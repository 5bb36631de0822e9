"""Blocks: aligned ranges of offsets of one partition, and the messages that carry their summaries.

The open block is published again and again, cumulative from its first offset; of two messages about the same block
the one that reaches further replaces the other. Format changes raise FORMAT; an unknown format is not read.
"""

from __future__ import annotations

from typing import Final

import msgspec

from monitor.events import Launch
from monitor.packing import Packed

FORMAT: Final = 2


def block_first(offset: int, size: int) -> int:
    """First offset of the block that holds `offset`."""
    return offset - offset % size


def rewind(committed: int, *, size: int, horizon: int) -> int:
    """Where reading starts so that the open block can be summarised anew and its duplicates recognised.

    `horizon` is a number of blocks. The result may lie before the start of the log.
    """
    return max(0, block_first(committed, size) - horizon * size)


class Span(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which records a summary covers: offsets `first` to `through` (exclusive) of one partition."""

    topic: str
    partition: int
    first: int
    through: int
    closed: bool
    begin: int
    """First offset that was read: beyond `first` where the log no longer held the begin of the block."""
    clock_ms: int
    """Kafka time the block has reached."""


def supersedes(span: Span, *, first: int, begin: int, through: int) -> bool:
    """Whether a span says more than what was taken of its partition: block `first` from `begin` to `through`.

    Part of a block, its begin lost to retention, does not replace what was taken of the same block from further back.
    """
    if span.first == first:
        return span.through > through and span.begin <= begin
    return span.first > first


class Entries(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Sparse sums: parallel arrays of cell number, column number and value, ordered by cell, then column."""

    cell: Packed
    column: Packed
    value: Packed


_NONE: Final = Packed("<i1", b"")
NO_ENTRIES: Final = Entries(_NONE, _NONE, _NONE)


class ModelBlock(msgspec.Struct, frozen=True, array_like=True, tag="model"):
    """What one block says of one model.

    Cell i is series `series[cell_series[i]]` (model_version, variant, policy, segment) in minute `cell_minute[i]` since
    the epoch; a record counts once in `all` and once in each kind of segment. `cohort` counts by the decision's minute;
    `arrival` repeats the label columns by the minute in which the label arrived.
    """

    span: Span
    model: str
    signature: tuple[tuple[str, str, int], ...]
    series: tuple[tuple[str, str, str, str], ...]
    cell_series: Packed
    cell_minute: Packed
    cohort: Entries
    arrival: Entries
    launches: tuple[Launch, ...]
    last_decision_ms: int | None
    format: int = FORMAT


class SourceBlock(msgspec.Struct, frozen=True, array_like=True, tag="source"):
    """What one block says of its own records: (metric name, label values, count)."""

    span: Span
    counts: tuple[tuple[str, tuple[str, ...], int], ...]
    format: int = FORMAT


class Clock(msgspec.Struct, frozen=True, array_like=True, tag="clock"):
    """Kafka time that a source partition has reached, told to every evaluator whatever its models."""

    topic: str
    partition: int
    clock_ms: int
    format: int = FORMAT


BlockMessage = ModelBlock | SourceBlock | Clock


def reach_of(message: BlockMessage) -> Span | Clock:
    """The source partition that a message speaks of, and the Kafka time that it has reached (negative: not told)."""
    return message if isinstance(message, Clock) else message.span


def source_of(message: BlockMessage) -> str:
    """The source partition that a message speaks of, as topic/number."""
    reach = reach_of(message)
    return f"{reach.topic}/{reach.partition}"


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(BlockMessage)


def encode_block(message: BlockMessage) -> bytes:
    """Bytes of a message; equal messages give equal bytes."""
    return _ENCODER.encode(message)


def decode_block(data: bytes) -> BlockMessage:
    """The message that was encoded. ValueError when the bytes are not one of ours or of another format."""
    try:
        message: BlockMessage = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"block message: expected format {FORMAT}, cannot decode: {error}") from error
    if message.format != FORMAT:
        raise ValueError(f"block message: expected format {FORMAT}, got {message.format}")
    return message
