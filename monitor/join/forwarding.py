"""What is forwarded to the internal topic `moderation.join`: decisions that can get feedback, feedback without context.

Both go to the partition of their decision's id, whose order fixes which came first. One record of the topic is a chunk:
what one fetch of a source partition brings for one partition of the join, as columns. Writing is at least once and
chunks may be cut otherwise the next time: a decision is recognised by its key, feedback by its place. FORMAT rises when
a chunk changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta
from xxhash import xxh3_128_digest

from monitor.events import Appeal, DecisionContext, IdentifiedContext, Report, Review
from monitor.topics import APPEALS, JOIN, REPORTS, REVIEWS, SourceTopic

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
LATEST_MS: Final = 2**47
"""Kafka takes any timestamp from its producers; what lies outside of -1 to this is taken for the nearer end."""
Milliseconds = Annotated[int, Meta(ge=-1, le=LATEST_MS)]

FeedbackEvent = Review | Appeal | Report

NAMES: Final = (
    *("model", "model_version", "policy", "action", "policy_version", "modality"),
    *("language", "region", "surface", "variant", "design_id"),
)
"""The order in which a context's names are written; a changed order or number is another FORMAT."""


class ForwardedDecision(msgspec.Struct, frozen=True, gc=False):
    """A decision that can get feedback, read at `offset` of its source partition; `key` as in `decision_key`.

    `timestamp_ms` is Kafka's in the source topic. What makes up its context: encoded `names`, `occurred_us` since the
    epoch, score and inclusion probability, NaN where there is none.
    """

    offset: int
    key: bytes
    timestamp_ms: int
    names: bytes
    occurred_us: int
    score: float
    inclusion: float


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


Forward = ForwardedDecision | ForwardedFeedback


class DecisionChunk(msgspec.Struct, frozen=True, array_like=True, tag="decisions", gc=False):
    """Decisions of one fetch as columns, all but `names` little-endian bytes; `names` holds each text once."""

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
    """Feedback of one fetch."""

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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def decision_key(decision_id: str) -> bytes:
    """16 bytes that stand for a decision id. Two of 10^12 ids share them with probability below 1e-14."""
    return xxh3_128_digest(decision_id.encode())


def join_partition(key: bytes, count: int) -> int:
    """Partition of JOIN, out of `count`, for the key of a decision."""
    return int.from_bytes(key[8:], "big") % count


class Contexts(NamedTuple):
    """Decisions as far as feedback needs them, as columns: `names` encoded, times in microseconds since the epoch, NaN
    where no score or inclusion probability is told."""

    ids: Sequence[bytes]
    names: Sequence[bytes]
    occurred_us: Sequence[int]
    score: Sequence[float]
    inclusion: Sequence[float]


def contexts_of(decisions: Sequence[IdentifiedContext]) -> Contexts:
    """The columns of decisions."""
    return Contexts(
        ids=[one.decision_id.encode() for one in decisions],
        names=[encode_names(_NAMES_OF(one)) for one in decisions],
        # A float holds microseconds exactly for another 200 years.
        occurred_us=[round(one.occurred_at.timestamp() * 1e6) for one in decisions],
        score=[_or_nan(one.score) for one in decisions],
        inclusion=[_or_nan(one.inclusion_probability) for one in decisions],
    )


def encode_names(values: Sequence[str | None]) -> bytes:
    """The names of a context, in the order of NAMES."""
    return _ENCODER.encode(values)


def forward_decisions(
    decisions: Contexts, *, offsets: Sequence[int], timestamps: Sequence[int]
) -> list[ForwardedDecision]:
    """What is forwarded of decisions, each read at its offset with Kafka's timestamp in ms."""
    keys = map(xxh3_128_digest, decisions.ids)
    columns = (decisions.names, decisions.occurred_us, decisions.score, decisions.inclusion)
    return list(map(ForwardedDecision, offsets, keys, map(_kept, timestamps), *columns))


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
        timestamp_ms=_kept(timestamp_ms),
        kind=KINDS.index(source),
        partition=partition,
        offset=offset,
        identity=int(id_hash),
        event=_encoded(event),
    )


def chunks(forwards: Sequence[Forward], *, partitions: int) -> list[tuple[int, bytes]]:
    """Records for JOIN, each with its partition out of `partitions`; in each of these the order is kept.

    What is forwarded at once comes from one source partition: all of it decisions, or all of it feedback.
    """
    shares: list[list[Any]] = [[] for _ in range(partitions)]
    # As `join_partition`, for all keys at once.
    numbers = np.frombuffer(b"".join([one.key for one in forwards]), ">u8")[1::2] % np.uint64(partitions)
    for one, number in zip(forwards, numbers.tolist(), strict=True):
        shares[number].append(one)
    records: list[tuple[int, bytes]] = []
    for partition, share in enumerate(shares):
        if share and isinstance(share[0], ForwardedDecision):
            parts = [share[at : at + CHUNK_RECORDS] for at in range(0, len(share), CHUNK_RECORDS)]
            records += [(partition, _ENCODER.encode(_decision_chunk(part))) for part in parts]
        else:
            records += [(partition, _ENCODER.encode(FeedbackChunk(part))) for part in _parts(share)]
    return records


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


def _kept(timestamp_ms: int) -> int:
    return min(max(timestamp_ms, -1), LATEST_MS)


def _or_nan(told: float | None) -> float:
    return math.nan if told is None else told


def _decision_chunk(part: Sequence[ForwardedDecision]) -> DecisionChunk:
    numbers: dict[bytes, int] = {}
    for one in part:
        numbers.setdefault(one.names, len(numbers))
    return DecisionChunk(
        keys=b"".join([one.key for one in part]),
        names=list(numbers),
        which=np.array([numbers[one.names] for one in part], dtype="<u2").tobytes(),
        occurred_us=np.array([one.occurred_us for one in part], dtype="<i8").tobytes(),
        score=np.array([one.score for one in part], dtype="<f8").tobytes(),
        inclusion=np.array([one.inclusion for one in part], dtype="<f8").tobytes(),
        recent=[one.timestamp_ms for one in part[-RECENT:]],
    )


def _parts(share: Sequence[ForwardedFeedback]) -> list[list[ForwardedFeedback]]:
    parts: list[list[ForwardedFeedback]] = []
    size = 0
    for one in share:
        size += len(one.event)
        if not parts or len(parts[-1]) == CHUNK_RECORDS or size > CHUNK_BYTES:
            parts.append([])
            size = len(one.event)
        parts[-1].append(one)
    return parts
