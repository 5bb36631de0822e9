"""Decoding is total: any bytes give an event or the reason why not, and the reason says field, found and allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import MAX_EVENT_BYTES, Reason, Rejected, decode_event, name_is_allowed
from monitor.events import Action, Appeal, AppealStage, Decision, Modality, Review, ReviewSource, Variant, Verdict
from monitor.topics import APPEALS, DECISIONS, REVIEWS, SOURCES, SourceTopic
from tests.core.strategies import decision, encoded, examples, review

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "events").glob("*/*.json"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def decoded(**fields: Any) -> Decision:
    event = decode_event(DECISIONS, encoded(decision(1, **fields)))
    assert isinstance(event, Decision)
    return event


def refused(value: bytes, source: SourceTopic = DECISIONS) -> Rejected:
    found = decode_event(source, value)
    assert isinstance(found, Rejected)
    return found


def with_field(text: str) -> bytes:
    """A good decision with more JSON text before its end."""
    return encoded(decision(1))[:-1] + f", {text}}}".encode()


@examples(300)
@given(source=st.sampled_from(SOURCES), value=st.binary(max_size=200))
def test_any_bytes_give_an_event_or_a_refusal(source: SourceTopic, value: bytes) -> None:
    assert isinstance(decode_event(source, value), Rejected)


@examples(200)
@given(source=st.sampled_from(SOURCES), fields=st.dictionaries(st.sampled_from(list(decision(1))), JSON))
def test_any_json_in_place_of_fields_gives_an_event_or_a_refusal(source: SourceTopic, fields: dict[str, Any]) -> None:
    value = json.dumps(decision(1) | fields).encode()
    assert isinstance(decode_event(source, value), (source.event, Rejected))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_events_of_every_released_version_are_accepted(path: Path) -> None:
    source = next(source for source in SOURCES if path.name.startswith(source.name))
    assert isinstance(decode_event(source, path.read_bytes()), source.event)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"x",
        b"{",
        b"\xff\xfe\x00",
        encoded(decision(1)).replace(b"d1", b"\xc3\x28"),
        b"\x00\x00\x00\x00\x01{}",
        b"\xef\xbb\xbf" + encoded(decision(1)),
        encoded(decision(1)) + b" {}",
        encoded(decision(1)).replace(b"0.5", b"NaN"),
        encoded(decision(1)).replace(b"0.5", b"Infinity"),
        encoded(decision(1)).replace(b'"d1"', b'"\\ud800"'),
    ],
    ids=["empty", "space", "word", "open", "bytes", "utf-8", "confluent", "bom", "two", "nan", "infinity", "surrogate"],
)
def test_what_is_not_one_json_object_in_utf8_is_malformed(value: bytes) -> None:
    assert Reason.MALFORMED is refused(value).reason


def test_what_stands_in_fields_that_are_not_read_is_not_looked_at() -> None:
    assert isinstance(decode_event(DECISIONS, encoded(decision(1))[:-1] + b', "x": "\xc3\x28"}'), Decision)


@pytest.mark.parametrize("depth", [2000, 400_000])
def test_deep_nesting_is_refused_wherever_it_stands(depth: int) -> None:
    assert refused(b"[" * depth).reason in (Reason.MALFORMED, Reason.INVALID)
    assert Reason.MALFORMED is refused(with_field('"x": ' + "[" * depth + "]" * depth)).reason
    assert Reason.MALFORMED is refused(with_field('"x": ' + '{"a":' * (depth // 4))).reason


def test_of_a_key_that_stands_twice_the_last_value_counts() -> None:
    event = decode_event(DECISIONS, with_field('"score": 0.25'))
    assert isinstance(event, Decision)
    assert 0.25 == event.score


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"score": True}, "score"),
        ({"score": "0.5"}, "score"),
        ({"score": 1e308}, "score"),
        ({"score": -1e-9}, "score"),
        ({"score": 1.0000001}, "score"),
        ({"latency_seconds": -0.001}, "latency_seconds"),
        ({"latency_seconds": 1e308}, "latency_seconds"),
        ({"inclusion_probability": 0}, "inclusion_probability"),
        ({"inclusion_probability": 1e-6}, "inclusion_probability"),
        ({"views": -1}, "views"),
        ({"views": 1.5}, "views"),
        ({"decision_id": ""}, "decision_id"),
        ({"decision_id": "x" * 201}, "decision_id"),
        ({"decision_id": 7}, "decision_id"),
        ({"model": "x" * 65}, "model"),
        ({"occurred_at": "2025-10-09T08:53:20"}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": 1760000000}, "occurred_at"),
        ({"action": 3}, "action"),
        ({"features": {"a": True}}, "features[...]"),
        ({"features": {"a": [1]}}, "features[...]"),
        ({"schema_version": "1"}, "schema_version"),
        ({"schema_version": "1.0\n"}, "schema_version"),
        ({"schema_version": "\u0661.0"}, "schema_version"),
        ({"schema_version": 1.0}, "schema_version"),
    ],
    ids=str,
)
def test_a_wrong_value_is_invalid_and_its_field_is_named(fields: dict[str, Any], path: str) -> None:
    found = refused(encoded(decision(1, **fields)))
    assert (Reason.INVALID, path) == (found.reason, found.field)
    assert f"{path}: " in str(found)


@pytest.mark.parametrize("text", ['"latency_seconds": 1e999', '"features": {"a": -1e400}'])
def test_a_number_beyond_floating_point_is_refused(text: str) -> None:
    assert refused(with_field(text)).reason in (Reason.MALFORMED, Reason.INVALID)


def test_minus_zero_and_whole_numbers_are_numbers() -> None:
    assert [0.0, 1.0, 0.0] == [decoded(score=score).score for score in (-0.0, 1, 0)]


@pytest.mark.parametrize("name", ["decision_id", "occurred_at", "model", "model_version", "policy", "action", "score"])
def test_a_required_field_that_is_missing_is_named(name: str) -> None:
    event = decision(1)
    del event[name]
    found = refused(encoded(event))
    assert Reason.INVALID is found.reason
    assert name in found.message


def test_times_at_the_edge_of_the_calendar_are_read_or_refused() -> None:
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "2016-12-31T23:59:60Z"):
        found = decode_event(DECISIONS, encoded(decision(1, occurred_at=text)))
        if isinstance(found, Decision):
            assert isinstance(found.occurred_at.timestamp(), float)


def test_unknown_fields_are_ignored_and_unknown_enumeration_values_read_as_other() -> None:
    event = decoded(action="quarantine", modality="smell", variant="canary", new_field={"a": [1]}, schema_version="1.7")
    assert (Action.OTHER, Modality.OTHER, Variant.OTHER) == (event.action, event.modality, event.variant)
    about = decision(1)
    found = decode_event(REVIEWS, encoded(review(1, about, verdict="maybe", source="crowd")))
    assert isinstance(found, Review)
    assert (Verdict.OTHER, ReviewSource.OTHER) == (found.verdict, found.source)
    step = {"appeal_id": "a", "decision_id": "d", "at": "2025-10-09T08:53:20Z", "stage": "escalated"}
    appeal = decode_event(APPEALS, encoded(step))
    assert isinstance(appeal, Appeal)
    assert AppealStage.OTHER is appeal.stage


@pytest.mark.parametrize("version", ["2.0", "2.13", "10.0", "0.9"])
def test_another_major_version_is_unsupported_whatever_else_has_changed(version: str) -> None:
    assert Reason.UNSUPPORTED_SCHEMA is refused(encoded(decision(1, schema_version=version))).reason
    changed = {"schema_version": version, "id": 5}
    assert Reason.UNSUPPORTED_SCHEMA is refused(encoded(changed)).reason


def test_an_event_of_another_topic_has_the_wrong_type() -> None:
    assert Reason.WRONG_TYPE is refused(encoded(decision(1, type="review"))).reason
    assert "decision" == decoded(type="decision").type


def test_an_oversize_record_is_refused_without_being_read() -> None:
    found = refused(b"[" * (MAX_EVENT_BYTES + 1))
    assert Reason.OVERSIZE is found.reason
    assert str(MAX_EVENT_BYTES) in found.message
    assert Reason.OVERSIZE is not refused(b" " * MAX_EVENT_BYTES).reason


@pytest.mark.parametrize("name", ["m", "9", "a.b_c:d/e+f-g", "x" * 64])
def test_names_of_the_pattern_may_become_labels(name: str) -> None:
    assert name_is_allowed(name)


@pytest.mark.parametrize(
    "name",
    ["", "a b", "-a", "_a", "a\n", "\na", "a\x00", "a\x1f", "a=b", "a,b", "a{", 'a"', "\u202eabc", "\u00e9", "a\u0661"],
    ids=repr,
)
def test_other_names_may_not_become_labels(name: str) -> None:
    assert not name_is_allowed(name)
