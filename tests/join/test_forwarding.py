"""Records of the join topic."""

from __future__ import annotations

from datetime import UTC
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cells import KeyTable, Limits
from monitor.decode import decode_decisions, decode_event, decode_identified
from monitor.events import DecisionContext, IdentifiedContext, Report, Review
from monitor.join.capable import Capable
from monitor.join.forwarding import (
    CHUNK_BYTES,
    CHUNK_RECORDS,
    KEY_BYTES,
    NAMES,
    DecisionChunk,
    FeedbackChunk,
    Forward,
    ForwardedDecisions,
    ForwardedFeedback,
    chunks,
    contexts_of,
    decision_key,
    decode_chunk,
    decode_context,
    forward_decisions,
    forward_feedback,
    join_partition,
    since,
    with_context,
)
from monitor.join.name_book import NameBook
from monitor.layout import Layout
from monitor.rows import decision_rows
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


def decided(**fields: object) -> IdentifiedContext:
    return decode_identified(encoded(FULL | fields))


def told_of(*decisions: IdentifiedContext, at_ms: int = 0) -> ForwardedDecisions:
    count = len(decisions)
    return forward_decisions(
        contexts_of(decisions, NameBook()), offsets=np.arange(count), timestamps=np.full(count, at_ms)
    )


def told() -> Review:
    event = decode_event(REVIEWS, encoded(review(1, FULL, known=False, verdict="strange", reviewer="r9")))
    assert isinstance(event, Review)
    return event


def forwarded(event: Review | None = None, *, offset: int = 2**40) -> ForwardedFeedback:
    about = event or told()
    return forward_feedback(about, REVIEWS, partition=3, offset=offset, timestamp_ms=5, id_hash=2**64 - 1)


def record(*forwards: Forward) -> bytes:
    ((_, value),) = chunks(forwards, partitions=1)
    return value


def contexts(chunk: object) -> list[tuple[bytes, DecisionContext]]:
    """Key and context of each decision of a chunk."""
    assert isinstance(chunk, DecisionChunk)
    columns = zip(
        np.frombuffer(chunk.which, "<u2").tolist(),
        np.frombuffer(chunk.occurred_us, "<i8").tolist(),
        np.frombuffer(chunk.score, "<f8").tolist(),
        np.frombuffer(chunk.inclusion, "<f8").tolist(),
        strict=True,
    )
    return [
        (
            chunk.keys[KEY_BYTES * index : KEY_BYTES * (index + 1)],
            decode_context(chunk.names[which], occurred_us=occurred_us, score=score, inclusion=inclusion),
        )
        for index, (which, occurred_us, score, inclusion) in enumerate(columns)
    ]


def test_decisions_come_back_with_every_field_of_a_context() -> None:
    full = decided()
    plain = decided(
        decision_id="d8", inclusion_probability=None, language=None, occurred_at="2025-01-06T12:00:00.000001Z"
    )
    chunk = decode_chunk(record(told_of(full, plain, full, at_ms=123)))
    fields = DecisionContext.__struct_fields__
    sent_along = [
        (decision_key(one.decision_id), msgspec.convert({name: getattr(one, name) for name in fields}, DecisionContext))
        for one in (full, plain, full)
    ]
    assert sent_along == contexts(chunk)
    assert isinstance(chunk, DecisionChunk)
    assert [123, 123, 123] == chunk.recent
    assert 2 == len(chunk.names)


@pytest.mark.parametrize(("at_ms", "kept"), [(-(2**63), -1), (2**47, 2**47), (1_790_000_000_000_000, 2**47)])
def test_an_absurd_timestamp_of_one_record_costs_no_chunk(at_ms: int, kept: int) -> None:
    chunk = decode_chunk(record(told_of(decided(), at_ms=at_ms)))
    assert isinstance(chunk, DecisionChunk)
    assert [kept] == chunk.recent
    about = forward_feedback(told(), REVIEWS, partition=3, offset=4, timestamp_ms=at_ms, id_hash=5)
    feedback = decode_chunk(record(about))
    assert isinstance(feedback, FeedbackChunk)
    assert [kept] == [one.timestamp_ms for one in feedback.records]


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
def test_feedback_of_the_ends_of_time_is_forwarded(at: str) -> None:
    event = decode_event(REVIEWS, encoded(review(1, FULL, known=False) | {"reviewed_at": at}))
    assert isinstance(event, Review)
    chunk = decode_chunk(record(forwarded(event)))
    assert isinstance(chunk, FeedbackChunk)
    ((_, context),) = contexts(decode_chunk(record(told_of(decided()))))
    found = with_context(chunk.records[0], context)
    assert isinstance(found, Review)
    assert found.reviewed_at == event.reviewed_at.replace(tzinfo=UTC)


def test_feedback_comes_back_as_it_was_with_its_place() -> None:
    event = told()
    chunk = decode_chunk(record(forwarded()))
    assert isinstance(chunk, FeedbackChunk)
    (one,) = chunk.records
    assert (3, 2**40, 5, 2**64 - 1) == (one.partition, one.offset, one.timestamp_ms, one.identity)
    ((_, context),) = contexts(decode_chunk(record(told_of(decided()))))
    assert msgspec.structs.replace(event, decision=context) == with_context(one, context)


def test_a_decision_and_its_feedback_share_key_and_partition() -> None:
    decision = told_of(decided())
    key = decision.keys.tobytes()
    assert key == forwarded().key == decision_key("d7")
    assert [number for number, _ in chunks([decision], partitions=7)] == [
        number for number, _ in chunks([forwarded()], partitions=7)
    ]
    assert join_partition(key, 7) == chunks([decision], partitions=7)[0][0]


def test_chunks_keep_the_order_of_a_partition_and_hold_no_more_than_allowed() -> None:
    decisions = told_of(*(decided(decision_id=f"d{n}") for n in range(2000)))
    found: dict[int, list[bytes]] = {}
    for number, value in chunks([decisions], partitions=3):
        keys = [key for key, _ in contexts(decode_chunk(value))]
        assert len(keys) <= CHUNK_RECORDS
        found.setdefault(number, []).extend(keys)
    keys = [key.tobytes() for key in decisions.keys]
    own = [[key for key in keys if join_partition(key, 3) == number] for number in range(3)]
    assert own == [found[number] for number in range(3)]


@given(cuts=st.lists(st.integers(0, 40), max_size=5), offset=st.integers(-1, 41))
def test_decisions_forwarded_in_parts_are_those_forwarded_at_once(cuts: list[int], offset: int) -> None:
    whole = told_of(*(decided(decision_id=f"d{n}", policy=f"p{n % 3}", score=n / 64) for n in range(40)), at_ms=9)
    parts = [whole.rows(slice(begin, end)) for begin, end in pairwise([0, *sorted(cuts), 40])]
    assert chunks([whole], partitions=3) == chunks(parts, partitions=3)
    kept = whole.rows(np.flatnonzero(whole.offset >= offset))
    assert chunks([kept], partitions=3) == chunks(since(parts, offset), partitions=3)


def test_each_decision_alone_is_what_it_is_among_others() -> None:
    decisions = told_of(*(decided(decision_id=f"d{n}", policy=f"p{n % 3}") for n in range(40)), at_ms=9)
    alone = [value for _, value in chunks([decisions], partitions=1, at_most=1)]
    assert [1] * 40 == [len(decode_chunk(value)) for value in alone]
    together = contexts(decode_chunk(record(decisions)))
    assert together == [one for value in alone for one in contexts(decode_chunk(value))]
    feedback = [value for _, value in chunks([forwarded(offset=n) for n in range(9)], partitions=1, at_most=1)]
    assert [1] * 9 == [len(decode_chunk(value)) for value in feedback]


def test_large_feedback_makes_more_chunks() -> None:
    long = msgspec.structs.replace(told(), schema_version="1." + "0" * 100_000)
    values = [value for _, value in chunks([forwarded(long, offset=n) for n in range(20)], partitions=1)]
    records = [decode_chunk(value) for value in values]
    assert all(len(value) < CHUNK_BYTES + 1000 for value in values)
    assert list(range(20)) == [one.offset for chunk in records for one in chunk.records]  # type: ignore[union-attr]


def test_partitions_get_equal_shares() -> None:
    shares = [0] * 8
    for number in range(8000):
        shares[join_partition(decision_key(f"d{number}"), 8)] += 1
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
    table = KeyTable(Limits())
    found = decode_decisions([encoded(FULL | fields)], features=False)
    rows, _ = decision_rows(found.events, np.zeros(1, dtype=np.int64), table)
    assert ([0] if expected else []) == Capable(table, lambda _: Layout()).rows(rows).tolist()


@examples(200)
@given(value=st.binary(max_size=60))
def test_any_bytes_are_a_record_or_a_value_error(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"moderation\.join: "):
        decode_chunk(value)


@examples(200)
@given(data=st.data())
def test_a_damaged_record_never_gives_anything_but_a_value_error(data: st.DataObject) -> None:
    decision = record(told_of(decided(decision_id="a"), decided(decision_id="b")))
    value = bytearray(data.draw(st.sampled_from([record(forwarded()), decision])))
    value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    told = ""
    try:
        chunk = decode_chunk(bytes(value))
        if isinstance(chunk, DecisionChunk):
            contexts(chunk)
        else:
            for one in chunk.records:
                with_context(one, contexts(decode_chunk(decision))[0][1])
    except ValueError as error:
        told = str(error)
    assert not told or told.startswith("moderation.join: ")


def test_a_record_of_another_format_is_refused() -> None:
    newer = msgspec.structs.replace(decode_chunk(record(forwarded())), format=3)
    with pytest.raises(ValueError, match="expected a record of format 2, got 3"):
        decode_chunk(msgspec.msgpack.encode(newer))


def test_columns_of_different_lengths_are_refused() -> None:
    chunk = decode_chunk(record(told_of(decided())))
    for broken in ({"score": b""}, {"keys": b"short"}, {"which": b"\1\0"}):
        with pytest.raises(ValueError, match=r"moderation\.join: expected (columns|indices)"):
            decode_chunk(msgspec.msgpack.encode(msgspec.structs.replace(chunk, **broken)))


def test_only_feedback_topics_are_forwarded() -> None:
    event = decode_event(REPORTS, encoded(report(1, FULL, known=False)))
    assert isinstance(event, Report)
    with pytest.raises(ValueError, match=r"expected a topic out of moderation\.reviews, .*, got moderation\.decisions"):
        forward_feedback(event, DECISIONS, partition=0, offset=0, timestamp_ms=0, id_hash=0)


def test_the_order_of_a_contexts_names_is_part_of_the_format() -> None:
    expected = (
        *("model", "model_version", "policy", "action", "policy_version", "modality"),
        *("language", "region", "surface", "variant", "design_id"),
    )
    assert expected == NAMES
    kept_as_numbers = {"occurred_at", "score", "inclusion_probability"}
    assert {*expected, *kept_as_numbers} == set(DecisionContext.__struct_fields__)


@pytest.mark.parametrize(("partition", "offset"), [(2**14, 0), (0, 2**47), (-1, 0)])
def test_a_place_beyond_what_can_be_kept_is_refused_where_it_is_written(partition: int, offset: int) -> None:
    with pytest.raises(ValueError, match="expected a partition up to 16383 and an offset up to"):
        forward_feedback(told(), REVIEWS, partition=partition, offset=offset, timestamp_ms=0, id_hash=0)
