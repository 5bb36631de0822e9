"""Records of the join topic."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import decode_event
from monitor.events import Action, Decision, DecisionContext, Report, Review
from monitor.join.forwarding import (
    CONTEXT_FIELDS,
    ForwardedDecision,
    ForwardedFeedback,
    can_get_feedback,
    decision_key,
    decode_context,
    decode_forwarded,
    forward_decision,
    forward_feedback,
    join_partition,
    with_context,
)
from monitor.layout import POSITIVE_ACTIONS
from monitor.topics import DECISIONS, REPORTS, REVIEWS
from tests.core.strategies import decision, encoded, examples, report, review

FULL = decision(
    7,
    action="blur",
    policy_version="p3",
    modality="text",
    language="es",
    region="us",
    surface="feed",
    variant="shadow",
    inclusion_probability=0.125,
    design_id="weekly",
)


def decided(**fields: object) -> Decision:
    event = decode_event(DECISIONS, encoded(FULL | fields))
    assert isinstance(event, Decision)
    return event


def told() -> Review:
    event = decode_event(REVIEWS, encoded(review(1, FULL, known=False, verdict="strange", reviewer="r9")))
    assert isinstance(event, Review)
    return event


def forwarded() -> bytes:
    return forward_feedback(told(), REVIEWS, partition=3, offset=2**40, timestamp_ms=5, id_hash=2**64 - 1)


def test_a_decision_comes_back_with_every_field_of_a_context() -> None:
    about = decided()
    record = decode_forwarded(forward_decision(about, timestamp_ms=123))
    assert isinstance(record, ForwardedDecision)
    assert (decision_key("d7"), 123) == (record.key, record.timestamp_ms)
    sent_along = msgspec.convert({name: getattr(about, name) for name in CONTEXT_FIELDS}, DecisionContext)
    assert sent_along == decode_context(record.context)
    assert Action.OTHER is decode_context(record.context).action


def test_feedback_comes_back_as_it_was_with_its_place() -> None:
    event = told()
    record = decode_forwarded(forwarded())
    assert isinstance(record, ForwardedFeedback)
    assert (3, 2**40, 5, 2**64 - 1) == (record.partition, record.offset, record.timestamp_ms, record.identity)
    context = decode_context(forward_context())
    assert msgspec.structs.replace(event, decision=context) == with_context(record, context)


def forward_context() -> bytes:
    record = decode_forwarded(forward_decision(decided(), timestamp_ms=0))
    assert isinstance(record, ForwardedDecision)
    return record.context


def test_a_decision_and_its_feedback_share_key_and_partition() -> None:
    record = decode_forwarded(forwarded())
    assert decision_key(decided().decision_id) == record.key
    assert join_partition(decided().decision_id, 7) == join_partition(told().decision_id, 7)


def test_partitions_get_equal_shares() -> None:
    shares = [0] * 8
    for number in range(8000):
        shares[join_partition(f"d{number}", 8)] += 1
    assert all(900 < share < 1100 for share in shares)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"action": "remove", "inclusion_probability": None}, True),
        ({"action": "allow", "inclusion_probability": None}, False),
        ({"action": "allow", "inclusion_probability": 0.01}, True),
        ({"action": "allow", "inclusion_probability": 0.01, "sampled": False}, False),
        ({"action": "remove", "inclusion_probability": 0.01, "sampled": False}, True),
        ({"action": "allow", "inclusion_probability": None, "sampled": True}, True),
        ({"action": "allow", "inclusion_probability": None, "sampled": False}, False),
    ],
)
def test_decisions_that_were_acted_on_or_sampled_can_get_feedback(fields: dict[str, object], expected: bool) -> None:
    assert expected == can_get_feedback(decided(**fields), POSITIVE_ACTIONS)


@examples(200)
@given(value=st.binary(max_size=60))
def test_any_bytes_are_a_record_or_a_value_error(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"moderation\.join: "):
        decode_forwarded(value)


@examples(100)
@given(data=st.data())
def test_a_damaged_record_never_gives_anything_but_a_value_error(data: st.DataObject) -> None:
    value = bytearray(data.draw(st.sampled_from([forwarded(), forward_decision(decided(), timestamp_ms=1)])))
    value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    told = ""
    try:
        record = decode_forwarded(bytes(value))
        if isinstance(record, ForwardedDecision):
            decode_context(record.context)
        else:
            with_context(record, decode_context(forward_context()))
    except ValueError as error:
        told = str(error)
    assert not told or told.startswith("moderation.join: ")


def test_a_record_of_another_format_is_refused() -> None:
    newer = msgspec.structs.replace(decode_forwarded(forwarded()), format=2)
    with pytest.raises(ValueError, match="expected a record of format 1, got 2"):
        decode_forwarded(msgspec.msgpack.encode(newer))


def test_only_feedback_topics_are_forwarded() -> None:
    event = decode_event(REPORTS, encoded(report(1, FULL, known=False)))
    assert isinstance(event, Report)
    with pytest.raises(ValueError, match=r"expected a topic out of moderation\.reviews, .*, got moderation\.decisions"):
        forward_feedback(event, DECISIONS, partition=0, offset=0, timestamp_ms=0, id_hash=0)


def test_the_order_of_a_contexts_fields_is_part_of_the_format() -> None:
    expected = (
        *("occurred_at", "model", "model_version", "policy", "action", "policy_version", "modality", "language"),
        *("region", "surface", "variant", "score", "inclusion_probability", "design_id"),
    )
    assert expected == CONTEXT_FIELDS


@pytest.mark.parametrize(("partition", "offset"), [(2**14, 0), (0, 2**47), (-1, 0)])
def test_a_place_beyond_what_can_be_kept_is_refused_where_it_is_written(partition: int, offset: int) -> None:
    with pytest.raises(ValueError, match="expected a partition up to 16383 and an offset up to"):
        forward_feedback(told(), REVIEWS, partition=partition, offset=offset, timestamp_ms=0, id_hash=0)
