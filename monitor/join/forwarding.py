"""Records of the internal topic `moderation.join`: decisions that can get feedback, and feedback without context.

Both go to the partition of their decision's id, whose order fixes which came first. Writing is at least once: a record
names the place in its source topic, so that a second copy is recognised. FORMAT rises when a record changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import msgspec
from xxhash import xxh3_64_intdigest, xxh3_128_digest

from monitor.events import Action, Appeal, Decision, DecisionContext, Report, Review
from monitor.topics import APPEALS, REPORTS, REVIEWS, SourceTopic

JOIN: Final = "moderation.join"
"""Internal: decisions that can get feedback and feedback without context, partitioned by decision id."""

FORMAT: Final = 1

KINDS: Final = (REVIEWS, APPEALS, REPORTS)
"""Source topics of feedback. The index in this tuple is written to disk and to Kafka: add at the end, at most four."""

FeedbackEvent = Review | Appeal | Report

CONTEXT_FIELDS: Final = DecisionContext.__struct_fields__
"""The order in which a context's fields are written; a changed order or number is another FORMAT."""


class ForwardedDecision(msgspec.Struct, frozen=True, array_like=True, tag="decision", gc=False):
    """A decision that can get feedback. `key` as in `decision_key`, `timestamp_ms` Kafka's in the source topic."""

    key: bytes
    timestamp_ms: int
    context: bytes
    format: int = FORMAT


class ForwardedFeedback(msgspec.Struct, frozen=True, array_like=True, tag="feedback", gc=False):
    """Feedback without context and where it was read. `timestamp_ms` is Kafka's in the source topic."""

    key: bytes
    timestamp_ms: int
    kind: int
    partition: int
    offset: int
    identity: int
    """64-bit hash of what makes two feedback events the same: the id of a review, ..."""
    event: bytes
    format: int = FORMAT


Forwarded = ForwardedDecision | ForwardedFeedback

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Forwarded)
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


def can_get_feedback(decision: Decision, positive_actions: Collection[Action]) -> bool:
    """Whether feedback may come that has to find this decision: it was acted on, or sampled for review."""
    return decision.action in positive_actions or bool(decision.sampled) or decision.inclusion_probability is not None


def forward_decision(decision: Decision, *, timestamp_ms: int) -> bytes:
    """The record for a decision that came with Kafka's `timestamp_ms`."""
    context = _ENCODER.encode([getattr(decision, name) for name in CONTEXT_FIELDS])
    return _ENCODER.encode(ForwardedDecision(decision_key(decision.decision_id), timestamp_ms, context))


def forward_feedback(
    event: FeedbackEvent, source: SourceTopic, *, partition: int, offset: int, timestamp_ms: int, id_hash: int
) -> bytes:
    """The record for feedback without context, read at `offset` of a partition of its source topic.

    `id_hash` is `monitor.rows`' hash of the event's id. ValueError for a source topic that carries no feedback.
    """
    if source not in KINDS:
        allowed = ", ".join(kind.topic for kind in KINDS)
        raise ValueError(f"forwarding feedback: expected a topic out of {allowed}, got {source.topic}")
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
    except msgspec.MsgspecError as error:
        raise ValueError(f"{JOIN}: expected a record of format {FORMAT}, cannot decode: {error}") from error
    if record.format != FORMAT:
        raise ValueError(f"{JOIN}: expected a record of format {FORMAT}, got {record.format}")
    if isinstance(record, ForwardedFeedback) and not 0 <= record.kind < len(KINDS):
        raise ValueError(f"{JOIN}: expected a kind of feedback below {len(KINDS)}, got {record.kind}")
    return record


def decode_context(data: bytes) -> DecisionContext:
    """The context of a decision as it was forwarded. ValueError when it is not one."""
    try:
        values = msgspec.msgpack.decode(data)
        if len(values) != len(CONTEXT_FIELDS):
            raise ValueError(f"{JOIN}: expected {len(CONTEXT_FIELDS)} fields of a decision, got {len(values)}")
        return msgspec.convert(dict(zip(CONTEXT_FIELDS, values, strict=True)), DecisionContext)
    except (msgspec.MsgspecError, TypeError) as error:
        raise ValueError(f"{JOIN}: context of a decision: {error}") from error


def with_context(record: ForwardedFeedback, context: DecisionContext) -> FeedbackEvent:
    """The feedback as if its producer had sent the decision's context along. ValueError when it cannot be read."""
    try:
        event = _EVENTS[record.kind](record.event)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{JOIN}: feedback: {error}") from error
    return msgspec.structs.replace(event, decision=context)
