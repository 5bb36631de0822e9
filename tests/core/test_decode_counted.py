"""Decoding many records at once says of each what decoding it alone says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import (
    MAX_EVENT_BYTES,
    Decoded,
    Rejected,
    decode_decisions,
    decode_event,
    decode_identified,
    decode_many,
)
from monitor.events import CountedDecision, FeaturedDecision, IdentifiedContext
from monitor.topics import DECISIONS, REVIEWS, SOURCES, SourceTopic
from tests.core.strategies import decision, encoded, examples, review

GOOD = [
    encoded(decision(1)),
    encoded(decision(2, schema_version="1.7", action="strange", latency_seconds=0.5, features={"a": 1, "b": "c"})),
    encoded(decision(3, type="decision")),
    encoded(review(1, decision(1))),
]
BAD: list[bytes | None] = [
    None,
    b"",
    b"{",
    b"[]",
    b"\xff",
    b"[" * 3000,
    encoded(decision(4, score=7)),
    encoded(decision(5, schema_version="2.0")),
    encoded(decision(6, type="review")),
    encoded(decision(7, occurred_at="yesterday")),
    encoded(decision(8))[:-1] + b" " * MAX_EVENT_BYTES + b"}",
    b"x" * (MAX_EVENT_BYTES + 1),
]


def alone(source: SourceTopic, value: bytes | None) -> Any:
    return None if value is None else decode_event(source, value)


def agree(found: Decoded, source: SourceTopic, values: list[bytes | None]) -> None:
    """Each record is accepted with the same content, or refused for the same reason, as when it is decoded alone."""
    expected = [alone(source, value) for value in values]
    refused = {index: one for index, one in enumerate(expected) if one is None or isinstance(one, Rejected)}
    assert refused == found.refused
    assert [index for index in range(len(values)) if index not in refused] == list(found.places)
    for index, event in zip(found.places, found.events, strict=True):
        names = type(event).__struct_fields__
        assert {name: getattr(expected[index], name) for name in names} == {n: getattr(event, n) for n in names}


@examples(100)
@given(values=st.lists(st.sampled_from([*GOOD, *GOOD, *BAD]), max_size=12), source=st.sampled_from(SOURCES))
def test_many_records_are_accepted_and_refused_as_each_of_them_alone(
    values: list[bytes | None], source: SourceTopic
) -> None:
    agree(decode_many(source, values), source, values)


@pytest.mark.parametrize(("features", "kind"), [(False, CountedDecision), (True, FeaturedDecision)])
def test_decisions_are_decoded_as_far_as_they_count(features: bool, kind: type[CountedDecision]) -> None:
    (event,) = decode_decisions(GOOD[1:2], features=features).events
    assert kind is type(event)


@pytest.mark.parametrize("field", [{"views": -1}, {"policy_version": 7}, {"actor_key": ""}, {"embedding_sketch": "x"}])
def test_fields_that_nothing_is_counted_of_are_not_looked_at(field: dict[str, Any]) -> None:
    value = encoded(decision(1, **field))
    assert isinstance(decode_event(DECISIONS, value), Rejected)
    assert {} == decode_decisions([value], features=True).refused


NAMED: dict[str, Any] = {"policy_version": "pv3", "design_id": "weekly", "inclusion_probability": 0.25}


@pytest.mark.parametrize("field", [{}, {"views": -1}, {"embedding_sketch": "x"}, {"automated": True}])
def test_feedback_is_told_the_policy_version_and_design_whatever_else_is_wrong(field: dict[str, Any]) -> None:
    value = encoded(decision(1, **NAMED, **field))
    found = decode_identified(value)
    assert ("pv3", "weekly") == (found.policy_version, found.design_id)
    (counted,) = decode_decisions([value], features=False).events
    names = set(CountedDecision.__struct_fields__) & set(IdentifiedContext.__struct_fields__)
    assert {"decision_id", "occurred_at", "score", "inclusion_probability", "model", "variant"} <= names
    assert {name: getattr(counted, name) for name in names} == {name: getattr(found, name) for name in names}


@pytest.mark.parametrize("field", [{"policy_version": 7}, {"design_id": ""}, {"design_id": ["x"]}])
def test_of_an_accepted_decision_feedback_is_told_what_counts_whatever_is_wrong_with_the_rest(
    field: dict[str, Any],
) -> None:
    found = decode_identified(encoded(decision(1, **(NAMED | field))))
    assert decode_identified(encoded(decision(1, inclusion_probability=0.25))) == found


def test_features_of_the_wrong_shape_are_looked_at_only_where_features_count() -> None:
    value = encoded(decision(1, features=[1]))
    assert {} == decode_decisions([value], features=False).refused
    assert [0] == list(decode_decisions([value], features=True).refused)


def test_no_records_are_no_events() -> None:
    found = decode_many(REVIEWS, [])
    assert ([], [], {}) == (found.events, list(found.places), found.refused)
