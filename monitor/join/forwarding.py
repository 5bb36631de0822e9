"""What is forwarded to the internal topic `moderation.join`: decisions that can get feedback, feedback without context.

Both go to the partition of their decision's id, whose order fixes which came first. One record of the topic is a chunk:
what a source partition brings at once for one partition of the join, as columns. Writing is at least once and
chunks may be cut otherwise the next time: a decision is recognised by its key, feedback by its place. FORMAT rises when
a chunk changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta
from xxhash import xxh3_128_digest

from monitor.events import Appeal, DecisionContext, IdentifiedContext, Report, Review
from monitor.join.name_book import NameBook
from monitor.topics import APPEALS, JOIN, REPORTS, REVIEWS, SourceTopic

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FORMAT: Final = 2

KINDS: Final = (REVIEWS, APPEALS, REPORTS)
"""Source topics of feedback. The index in this tuple is written to disk and to Kafka: add at the end, at most four."""

MAX_PARTITION: Final = 2**14 - 1
MAX_OFFSET: Final = 2**47 - 1
"""Source partition, offset and kind are kept as one integer of 63 bits."""
KEY_BYTES: Final = 16
CHUNK_RECORDS: Final = 256
CHUNK_BYTES: Final = 512 * 1024
"""A chunk ends at so many decisions or feedback events, or bytes of feedback: it has to fit into a record of Kafka."""
RECENT: Final = 64
"""Last source timestamps of a chunk that it tells."""

Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
_EARLIEST_MS: Final = -1
LATEST_MS: Final = 2**47
"""Kafka takes any timestamp from its producers; what lies outside of -1 to this is taken for the nearer end."""
Milliseconds = Annotated[int, Meta(ge=_EARLIEST_MS, le=LATEST_MS)]

FeedbackEvent = Review | Appeal | Report

NAMES: Final = (
    *("model", "model_version", "policy", "action", "policy_version", "modality"),
    *("language", "region", "surface", "variant", "design_id"),
)
"""The order in which a context's names are written; a changed order or number is another FORMAT."""


@dataclass(frozen=True, slots=True, eq=False)
class ForwardedDecisions:
    """Decisions that can get feedback, read at `offset` of their source partition, as columns of one length.

    `timestamp_ms` is Kafka's in the source topic. What makes up a context: encoded `names`, of which a decision has
    those that `which` numbers, `occurred_us` since the epoch, score and inclusion probability, NaN where there is none.
    """

    offset: Ints
    keys: npt.NDArray[np.void]
    """as `decision_key` makes them"""
    timestamp_ms: Ints
    names: Sequence[bytes]
    which: Ints
    occurred_us: Ints
    score: Floats
    inclusion: Floats

    def __len__(self) -> int:
        return len(self.offset)

    def rows(self, rows: Ints | slice) -> ForwardedDecisions:
        """Some of them; the names stay."""
        return ForwardedDecisions(
            self.offset[rows],
            self.keys[rows],
            self.timestamp_ms[rows],
            self.names,
            self.which[rows],
            self.occurred_us[rows],
            self.score[rows],
            self.inclusion[rows],
        )


class ForwardedFeedback(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Feedback without context and where it was read. `timestamp_ms` is Kafka's in the source topic."""

    key: Key
    timestamp_ms: Milliseconds
    kind: Annotated[int, Meta(ge=0, lt=len(KINDS))]
    partition: Annotated[int, Meta(ge=0, le=MAX_PARTITION)]
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)]
    identity: int
    """64-bit hash of what makes two feedback events the same: the id of a review, ..."""
    event: bytes


Forward = ForwardedDecisions | ForwardedFeedback
"""Decisions that were read at once, or one feedback event."""


class DecisionChunk(msgspec.Struct, frozen=True, array_like=True, tag="decisions", gc=False):
    """Decisions as columns, all but `names` little-endian bytes; `names` holds each text once."""

    keys: bytes
    names: list[bytes]
    which: bytes
    """index of a decision's names, uint16"""
    occurred_us: bytes
    """int64"""
    score: bytes
    """float64"""
    inclusion: bytes
    """float64"""
    recent: Annotated[list[Milliseconds], Meta(max_length=RECENT)]
    """Kafka's timestamps of the last decisions in the source topic"""
    format: int = FORMAT

    def __len__(self) -> int:
        return len(self.keys) // KEY_BYTES


class FeedbackChunk(msgspec.Struct, frozen=True, array_like=True, tag="feedback", gc=False):
    """Feedback."""

    records: list[ForwardedFeedback]
    format: int = FORMAT

    def __len__(self) -> int:
        return len(self.records)


Chunk = DecisionChunk | FeedbackChunk

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Chunk)
_NAMES: Final[Callable[[bytes], tuple[Any, ...]]] = msgspec.msgpack.Decoder(
    tuple[tuple(get_type_hints(DecisionContext, include_extras=True)[name] for name in NAMES)]  # type: ignore[misc]
).decode
_NAMES_OF: Final[Callable[[Any], tuple[Any, ...]]] = attrgetter(*NAMES)
_EVENTS: Final[tuple[Callable[[bytes], FeedbackEvent], ...]] = (
    msgspec.msgpack.Decoder(Review).decode,
    msgspec.msgpack.Decoder(Appeal).decode,
    msgspec.msgpack.Decoder(Report).decode,
)
_KEY: Final = np.dtype((np.void, KEY_BYTES))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def decision_key(decision_id: str) -> bytes:
    """16 bytes that stand for a decision id. Two of 10^12 ids share them with probability below 1e-14."""
    return xxh3_128_digest(decision_id.encode())


def join_partition(key: bytes, count: int) -> int:
    """Partition of JOIN, out of `count`, for the key of a decision."""
    return int.from_bytes(key[8:], "big") % count


class Contexts(NamedTuple):
    """Decisions as far as feedback needs them, as columns: `names` encoded, of which a decision has those that `which`
    numbers, times in microseconds since the epoch, NaN where no score or inclusion probability is told."""

    ids: list[bytes]
    names: list[bytes]
    which: Ints
    occurred_us: Ints
    score: Floats
    inclusion: Floats


def contexts_of(decisions: Sequence[IdentifiedContext], book: NameBook) -> Contexts:
    """The columns of decisions, their names numbered by the book."""
    which = book.numbers(encode_names(_NAMES_OF(one)) for one in decisions)
    # A float holds microseconds exactly for another 200 years.
    occurred_us = [round(one.occurred_at.timestamp() * 1e6) for one in decisions]
    return Contexts(
        ids=[one.decision_id.encode() for one in decisions],
        names=book.texts,
        which=np.array(which, dtype=np.int64),
        occurred_us=np.array(occurred_us, dtype=np.int64),
        score=_or_nan([one.score for one in decisions]),
        inclusion=_or_nan([one.inclusion_probability for one in decisions]),
    )


def encode_names(values: Sequence[str | None]) -> bytes:
    """The names of a context, in the order of NAMES."""
    return _ENCODER.encode(values)


def forward_decisions(decisions: Contexts, *, offsets: Ints, timestamps: Ints) -> ForwardedDecisions:
    """What is forwarded of decisions, each read at its offset with Kafka's timestamp in ms."""
    keys = b"".join(map(xxh3_128_digest, decisions.ids))
    return ForwardedDecisions(
        offsets, np.frombuffer(keys, _KEY), np.clip(timestamps, _EARLIEST_MS, LATEST_MS), *decisions[1:]
    )


def forward_feedback(
    event: FeedbackEvent, source: SourceTopic, *, partition: int, offset: int, timestamp_ms: int, id_hash: int
) -> ForwardedFeedback:
    """What is forwarded of feedback without context, read at `offset` of a partition of its source topic.

    `id_hash` is `monitor.rows`' hash of the event's id. ValueError for a source topic that carries no feedback, and
    for a place beyond what can be kept.
    """
    if source not in KINDS:
        allowed = ", ".join(kind.topic for kind in KINDS)
        raise ValueError(f"forwarding feedback: expected a topic out of {allowed}, got {source.topic}")
    if not (0 <= partition <= MAX_PARTITION and 0 <= offset <= MAX_OFFSET):
        raise ValueError(
            f"forwarding feedback: expected a partition up to {MAX_PARTITION} and an offset up to {MAX_OFFSET},"
            f" got {source.topic}/{partition} at {offset}"
        )
    return ForwardedFeedback(
        key=decision_key(event.decision_id),
        timestamp_ms=min(max(timestamp_ms, _EARLIEST_MS), LATEST_MS),
        kind=KINDS.index(source),
        partition=partition,
        offset=offset,
        identity=int(id_hash),
        event=_encoded(event),
    )


def since(forwards: Iterable[Forward], offset: int) -> list[Forward]:
    """What was read at `offset` of the source partition and beyond."""
    kept: list[Forward] = []
    for one in forwards:
        if isinstance(one, ForwardedFeedback):
            kept += [one] if one.offset >= offset else []
        else:
            rest = one.rows(slice(int(np.searchsorted(one.offset, offset)), None))
            kept += [rest] if len(rest) else []
    return kept


def events_in(forwards: Iterable[Forward]) -> int:
    """Decisions and feedback events."""
    return sum(1 if isinstance(one, ForwardedFeedback) else len(one) for one in forwards)


def timestamps_of(forwards: Iterable[Forward]) -> list[int]:
    """Kafka's timestamps in the source topic, in ms, one for each decision and feedback event."""
    told: list[int] = []
    for one in forwards:
        told += [one.timestamp_ms] if isinstance(one, ForwardedFeedback) else one.timestamp_ms.tolist()
    return told


def chunks(forwards: Sequence[Forward], *, partitions: int, at_most: int = CHUNK_RECORDS) -> list[tuple[int, bytes]]:
    """Records for JOIN of so many at most, each with its partition out of `partitions`, where the order is kept.

    What is forwarded at once comes from one source partition: all of it decisions, or all of it feedback.
    """
    decisions = [one for one in forwards if isinstance(one, ForwardedDecisions)]
    found = list(_decision_chunks(_joined(decisions), partitions, at_most)) if decisions else []
    shares: list[list[ForwardedFeedback]] = [[] for _ in range(partitions)]
    for one in forwards:
        if isinstance(one, ForwardedFeedback):
            shares[join_partition(one.key, partitions)].append(one)
    found += [(number, FeedbackChunk(part)) for number, share in enumerate(shares) for part in _parts(share, at_most)]
    return [(number, _ENCODER.encode(chunk)) for number, chunk in found]


def decode_chunk(value: bytes) -> Chunk:
    """The chunk that was encoded. ValueError when the bytes are not one of ours or of another format."""
    try:
        chunk: Chunk = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{JOIN}: expected a record of format {FORMAT}, cannot decode: {error}") from error
    if chunk.format != FORMAT:
        raise ValueError(f"{JOIN}: expected a record of format {FORMAT}, got {chunk.format}")
    if isinstance(chunk, DecisionChunk):
        count = len(chunk)
        told = [len(chunk.keys), len(chunk.which), len(chunk.occurred_us), len(chunk.score), len(chunk.inclusion)]
        if told != [size * count for size in (KEY_BYTES, 2, 8, 8, 8)]:
            raise ValueError(f"{JOIN}: expected columns of one length, got {told} bytes")
        if count and int(np.frombuffer(chunk.which, "<u2").max()) >= len(chunk.names):
            raise ValueError(f"{JOIN}: expected indices below {len(chunk.names)}")
    return chunk


def decode_context(names: bytes, *, occurred_us: int, score: float, inclusion: float) -> DecisionContext:
    """The context of a decision as it was forwarded. ValueError when it is not one."""
    try:
        values = _NAMES(names)
        occurred_at = _EPOCH + timedelta(microseconds=occurred_us)
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"{JOIN}: context of a decision: {error}") from error
    return DecisionContext(
        occurred_at=occurred_at,
        score=None if math.isnan(score) else score,
        inclusion_probability=None if math.isnan(inclusion) else inclusion,
        **dict(zip(NAMES, values, strict=True)),
    )


def with_context(record: ForwardedFeedback, context: DecisionContext) -> FeedbackEvent:
    """The feedback as if its producer had sent the decision's context along. ValueError when it cannot be read."""
    try:
        event = _EVENTS[record.kind](record.event)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{JOIN}: feedback: {error}") from error
    return msgspec.structs.replace(event, decision=context)


def _encoded(event: FeedbackEvent) -> bytes:
    try:
        return _ENCODER.encode(event)
    except OverflowError:  # a time of the first or last day of the calendar, which in UTC is beyond it: to some hours
        told = {name: getattr(event, name) for name in event.__struct_fields__}
        times = {name: at.replace(tzinfo=UTC) for name, at in told.items() if isinstance(at, datetime)}
        return _ENCODER.encode(msgspec.structs.replace(event, **times))


def _or_nan(told: Sequence[float | None]) -> Floats:
    return np.array(told, dtype=np.float64)  # which makes NaN of None


def _joined(parts: Sequence[ForwardedDecisions]) -> ForwardedDecisions:
    if len(parts) == 1:
        return parts[0]
    names, which = _same_names(parts)
    return ForwardedDecisions(
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.timestamp_ms for part in parts]),
        names,
        np.concatenate(which),
        np.concatenate([part.occurred_us for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.inclusion for part in parts]),
    )


def _same_names(parts: Sequence[ForwardedDecisions]) -> tuple[Sequence[bytes], list[Ints]]:
    """Names that all parts can have, and their numbers in each: most often one book has numbered all."""
    if all(part.names is parts[0].names for part in parts):
        return parts[0].names, [part.which for part in parts]
    book = NameBook()
    numbers = {id(part.names): np.array(book.numbers(part.names), dtype=np.int64) for part in parts}
    return book.texts, [numbers[id(part.names)][part.which] for part in parts]


def _decision_chunks(decisions: ForwardedDecisions, partitions: int, at_most: int) -> Iterator[tuple[int, Chunk]]:
    # As `join_partition`, for all keys at once.
    numbers = decisions.keys.view(">u8")[1::2] % np.uint64(partitions)
    for number in range(partitions):
        own = decisions.rows(np.flatnonzero(numbers == number))
        for at in range(0, len(own), at_most):
            yield number, _decision_chunk(own.rows(slice(at, at + at_most)))


def _decision_chunk(part: ForwardedDecisions) -> DecisionChunk:
    used, which = np.unique(part.which, return_inverse=True)
    return DecisionChunk(
        keys=part.keys.tobytes(),
        names=[part.names[number] for number in used.tolist()],
        which=which.astype("<u2").tobytes(),
        occurred_us=part.occurred_us.astype("<i8").tobytes(),
        score=part.score.astype("<f8").tobytes(),
        inclusion=part.inclusion.astype("<f8").tobytes(),
        recent=part.timestamp_ms[-RECENT:].tolist(),
    )


def _parts(share: Sequence[ForwardedFeedback], at_most: int) -> list[list[ForwardedFeedback]]:
    parts: list[list[ForwardedFeedback]] = []
    size = 0
    for one in share:
        size += len(one.event)
        if not parts or len(parts[-1]) == at_most or size > CHUNK_BYTES:
            parts.append([])
            size = len(one.event)
        parts[-1].append(one)
    return parts
