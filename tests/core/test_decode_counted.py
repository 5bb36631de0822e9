"""Decoding many records at once, plainly or with known names, says of each what decoding it alone says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import MAX_EVENT_BYTES, Decoded, Rejected, decode_decisions, decode_event, decode_many
from monitor.events import CountedDecision, FeaturedDecision
from monitor.known_names import MAXIMUM_NAMES, KnownNames
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


NAMED = [
    encoded(decision(number, model=f"m{number % 3}", policy=f"p{number % 5}", language=language, region=region))
    for number, (language, region) in enumerate([("en", None), (None, "us"), ("es", "eu"), ("en", "us"), (None, None)])
]


@examples(100)
@given(fetches=st.lists(st.lists(st.sampled_from([*GOOD[:3], *NAMED, *NAMED, *BAD]), max_size=8), max_size=8))
def test_decisions_are_decoded_alike_whichever_names_are_known(fetches: list[list[bytes | None]]) -> None:
    names = KnownNames(features=True)
    for values in fetches:
        agree(decode_decisions(values, names), DECISIONS, values)


def test_a_name_is_known_once_enough_decisions_had_it() -> None:
    names = KnownNames(features=False)
    decode_decisions([encoded(decision(1))], names)
    assert (True, False) == (names.renewed(), names.renewed())
    known = names.decode
    new = [encoded(decision(2, language="fr"))]
    for _ in range(20):
        decode_decisions(new, names)
    assert known is not names.decode
    (event,) = decode_decisions(new, names).events
    assert names.decode(new[0]) == event
    assert type(event) is not CountedDecision
    assert "fr" == event.language


def test_with_new_names_all_the_time_decisions_are_decoded_plainly() -> None:
    names = KnownNames(features=False)
    for begin in range(0, MAXIMUM_NAMES + 100, 100):
        values: list[bytes | None] = [encoded(decision(n, surface=f"s{n}")) for n in range(begin, begin + 100)]
        assert [f"s{n}" for n in range(begin, begin + 100)] == [
            event.surface for event in decode_decisions(values, names).events
        ]
    assert names.decode is names.plain


@pytest.mark.parametrize(("features", "kind"), [(False, CountedDecision), (True, FeaturedDecision)])
def test_decisions_are_decoded_as_far_as_they_count(features: bool, kind: type[CountedDecision]) -> None:
    (event,) = decode_decisions(GOOD[1:2], KnownNames(features=features)).events
    assert kind is type(event)


@pytest.mark.parametrize("field", [{"views": -1}, {"policy_version": 7}, {"actor_key": ""}, {"embedding_sketch": "x"}])
def test_fields_that_nothing_is_counted_of_are_not_looked_at(field: dict[str, Any]) -> None:
    value = encoded(decision(1, **field))
    assert isinstance(decode_event(DECISIONS, value), Rejected)
    assert {} == decode_decisions([value], KnownNames(features=True)).refused


def test_features_of_the_wrong_shape_are_looked_at_only_where_features_count() -> None:
    value = encoded(decision(1, features=[1]))
    assert {} == decode_decisions([value], KnownNames(features=False)).refused
    assert [0] == list(decode_decisions([value], KnownNames(features=True)).refused)


def test_no_records_are_no_events() -> None:
    found = decode_many(REVIEWS, [])
    assert ([], [], {}) == (found.events, list(found.places), found.refused)
