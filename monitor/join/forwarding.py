"""Records of the internal topic `moderation.join`: decisions that can get feedback, and feedback without context.

Both go to the partition of their decision's id, whose order fixes which came first. Writing is at least once: a record
names the place in its source topic, so that a second copy is recognised. FORMAT rises when a record changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any, Final, get_type_hints

import msgspec
from msgspec import Meta
from xxhash import xxh3_64_intdigest, xxh3_128_digest

from monitor.events import Action, Appeal, CountedDecision, Decision, DecisionContext, Report, Review
from monitor.topics import APPEALS, JOIN, REPORTS, REVIEWS, SourceTopic

FORMAT: Final = 1

KINDS: Final = (REVIEWS, APPEALS, REPORTS)
"""Source topics of feedback. The index in this tuple is written to disk and to Kafka: add at the end, at most four."""

MAX_PARTITION: Final = 2**14 - 1
MAX_OFFSET: Final = 2**47 - 1
"""Source partition, offset and kind are kept as one integer of 63 bits."""
KEY_BYTES: Final = 16

Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
Milliseconds = Annotated[int, Meta(ge=-1, le=2**47)]

FeedbackEvent = Review | Appeal | Report

CONTEXT_FIELDS: Final = DecisionContext.__struct_fields__
"""The order in which a context's fields are written; a changed order or number is another FORMAT."""


class ForwardedDecision(msgspec.Struct, frozen=True, array_like=True, tag="decision", gc=False):
    """A decision that can get feedback. `key` as in `decision_key`, `timestamp_ms` Kafka's in the source topic."""

    key: Key
    timestamp_ms: Milliseconds
    context: bytes
    format: int = FORMAT


class ForwardedFeedback(msgspec.Struct, frozen=True, array_like=True, tag="feedback", gc=False):
    """Feedback without context and where it was read. `timestamp_ms` is Kafka's in the source topic."""

    key: Key
    timestamp_ms: Milliseconds
    kind: Annotated[int, Meta(ge=0, lt=len(KINDS))]
    partition: Annotated[int, Meta(ge=0, le=MAX_PARTITION)]
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)]
    identity: int
    """64-bit hash of what makes two feedback events the same: the id of a review, ..."""
    event: bytes
    format: int = FORMAT


Forwarded = ForwardedDecision | ForwardedFeedback

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Forwarded)
_CONTEXT: Final[Callable[[bytes], tuple[Any, ...]]] = msgspec.msgpack.Decoder(
    tuple[tuple(get_type_hints(DecisionContext, include_extras=True)[name] for name in CONTEXT_FIELDS)]  # type: ignore[misc]
).decode
_EVENTS: Final[tuple[Callable[[bytes], FeedbackEvent], ...]] = (
    msgspec.msgpack.Decoder(Review).decode,
    msgspec.msgpack.Decoder(Appeal).decode,
    msgspec.msgpack.Decoder(Report).decode,
)


def decision_key(decision_id: str) -> bytes:
    """16 bytes that stand for a decision id. Two of 10^12 ids share them with probability below 1e-14."""
    return xxh3_128_digest(decision_id.encode())


def join_partition(decision_id: str, count: int) -> int:
    """Partition of JOIN, out of `count`, for a decision id."""
    return xxh3_64_intdigest(decision_id.encode()) % count


def can_get_feedback(decision: CountedDecision, positive_actions: Collection[Action]) -> bool:
    """Whether feedback may come that has to find this decision: it was acted on, or sampled for review.

    A probability alone says that it was sampled only where `sampled` is not told: many producers log it for all.
    """
    sampled = decision.inclusion_probability is not None if decision.sampled is None else decision.sampled
    return decision.action in positive_actions or sampled


def forward_decision(decision: Decision, *, timestamp_ms: int) -> bytes:
    """The record for a decision that came with Kafka's `timestamp_ms`."""
    context = _ENCODER.encode([getattr(decision, name) for name in CONTEXT_FIELDS])
    return _ENCODER.encode(ForwardedDecision(decision_key(decision.decision_id), timestamp_ms, context))


def forward_feedback(
    event: FeedbackEvent, source: SourceTopic, *, partition: int, offset: int, timestamp_ms: int, id_hash: int
) -> bytes:
    """The record for feedback without context, read at `offset` of a partition of its source topic.

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
    return _ENCODER.encode(
        ForwardedFeedback(
            key=decision_key(event.decision_id),
            timestamp_ms=timestamp_ms,
            kind=KINDS.index(source),
            partition=partition,
            offset=offset,
            identity=int(id_hash),
            event=_ENCODER.encode(event),
        )
    )


def decode_forwarded(value: bytes) -> Forwarded:
    """The record that was encoded. ValueError when the bytes are not one of ours or of another format."""
    try:
        record: Forwarded = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{JOIN}: expected a record of format {FORMAT}, cannot decode: {error}") from error
    if record.format != FORMAT:
        raise ValueError(f"{JOIN}: expected a record of format {FORMAT}, got {record.format}")
    return record


def decode_context(data: bytes) -> DecisionContext:
    """The context of a decision as it was forwarded. ValueError when it is not one."""
    try:
        values = _CONTEXT(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{JOIN}: context of a decision: {error}") from error
    return DecisionContext(**dict(zip(CONTEXT_FIELDS, values, strict=True)))


def with_context(record: ForwardedFeedback, context: DecisionContext) -> FeedbackEvent:
    """The feedback as if its producer had sent the decision's context along. ValueError when it cannot be read."""
    try:
        event = _EVENTS[record.kind](record.event)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{JOIN}: feedback: {error}") from error
    return msgspec.structs.replace(event, decision=context)
