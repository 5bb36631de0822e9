"""What the validator tells a producer, word for word where the words matter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import Rejected, decode_event
from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS, SOURCES, SourceTopic
from monitor.validate import Level, Problem, guess, validate

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "events" / "v1.0").glob("*.json"))
DECISION = {
    "decision_id": "d",
    "occurred_at": "2026-03-14T09:26:53Z",
    "model": "m",
    "model_version": "1",
    "policy": "p",
    "action": "allow",
    "score": 0.5,
}


def lines(*events: object) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def told(*events: object, source: SourceTopic | None = None) -> list[str]:
    return [str(problem) for problem in validate(lines(*events), source=source)]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_released_fixtures_have_no_errors_and_their_type_is_told_by_their_fields(path: Path) -> None:
    event = json.loads(path.read_bytes())
    event.pop("type", None)
    assert [problem for problem in validate(lines(event)) if problem.level is Level.ERROR] == []
    found = guess(event)
    assert found is not None
    assert path.name.split(".")[0] == found.name


def test_the_message_says_line_field_what_is_allowed_and_what_was_found() -> None:
    assert ["line 2: decision.score: expected a number from 0 to 1, got true"] == told(
        DECISION, DECISION | {"score": True}
    )


def test_every_mistake_of_a_line_is_told_not_only_the_first() -> None:
    paths = [problem.path for problem in validate(lines(DECISION | {"score": 2, "model": "a b", "views": -1}))]
    assert sorted(["score", "model", "views"]) == sorted(paths)


def test_a_missing_field_is_named_with_what_it_takes() -> None:
    event = {name: value for name, value in DECISION.items() if name != "occurred_at"}
    assert [
        "line 1: decision.occurred_at: missing, expected an RFC 3339 time with an offset, such as 2026-01-31T23:59:59Z"
    ] == told(event)


def test_a_mistake_in_the_context_has_its_path() -> None:
    review = json.loads((FIXTURES[0].parent / "review.full.json").read_bytes())
    review["decision"]["score"] = "high"
    assert ['line 1: review.decision.score: expected a number from 0 to 1 or null, got "high"'] == told(review)


def test_a_value_that_would_read_as_other_is_a_note() -> None:
    [problem] = validate(lines(DECISION | {"action": "removed"}))
    assert problem.level is Level.NOTE
    assert str(problem).startswith('line 1: note: decision.action: "removed" reads as `other`, known are allow, remove')


def test_a_misspelt_field_is_a_note_with_a_suggestion() -> None:
    assert [
        "line 1: note: decision.polcy_version: unknown field, would be ignored, did you mean `policy_version`?"
    ] == (told(DECISION | {"polcy_version": "1"}))


def test_a_newer_major_version_is_one_problem_whatever_its_shape() -> None:
    assert ["line 1: decision.schema_version: expected major version 1, got `2.0`"] == told(
        {"type": "decision", "schema_version": "2.0", "score": {"mean": 1}}
    )


def test_events_meant_for_another_topic_are_refused_when_the_topic_is_given() -> None:
    assert ['line 1: review.type: expected `review` or no type at all, got "decision"'] == told(
        DECISION | {"type": "decision"}, source=REVIEWS
    )


def test_an_unknown_type_lists_the_types() -> None:
    assert ['line 1: type: expected one of decision, review, appeal, report, launch, got "decisions"'] == told(
        DECISION | {"type": "decisions"}
    )


def test_without_type_and_telling_fields_the_line_cannot_be_read() -> None:
    [problem] = validate(lines({"colour": "red"}))
    assert problem.event is None
    assert "expected `type`" in problem.message


def test_lines_that_are_not_json_objects_are_told_and_empty_lines_skipped() -> None:
    problems = list(validate([b"", b"{", b"[1]", b"\xff", b"  \n", b"[" * 3000]))
    assert [2, 3, 4, 6] == [problem.line for problem in problems]
    assert all("expected one JSON object" in problem.message for problem in problems)


def test_a_number_beyond_a_double_matters_only_where_something_is_read() -> None:
    [line] = lines(DECISION)
    ignored, read = (line.replace(b"}", b', "%s": 1e999}' % name) for name in (b"colour", b"threshold"))
    assert [Level.NOTE] == [problem.level for problem in validate([ignored], source=DECISIONS)]
    assert [Level.ERROR] == [problem.level for problem in validate([read], source=DECISIONS)]


def test_long_values_are_cut() -> None:
    [problem] = validate(lines(DECISION | {"model": "x" * 5000}))
    assert len(problem.message) < 300
    assert "(5002 characters)" in problem.message


@pytest.mark.parametrize(
    ("event", "source"),
    [
        ({"review_id": "r", "score": 1}, REVIEWS),
        ({"appeal_id": "a", "stage": "filed"}, APPEALS),
        ({"report_id": "p"}, REPORTS),
        ({"model": "m", "stage": "live"}, LAUNCHES),
        ({"score": 0.2, "decision_id": "d"}, DECISIONS),
    ],
)
def test_the_type_is_guessed_from_the_fields_that_only_it_has(event: dict[str, object], source: SourceTopic) -> None:
    assert source == guess(event)


ODD_VALUES = st.sampled_from([None, True, "", "1.0", "2.0", "m", "a b", [], [1.5], {}, {"a": None}, {"a": [1]}])
FIELDS = st.sampled_from([*DECISION, "type", "schema_version", "views", "features", "embedding_sketch", "x"])


@given(
    change=st.dictionaries(FIELDS, ODD_VALUES | st.integers() | st.floats(allow_nan=False, allow_infinity=False)),
    source=st.sampled_from(SOURCES),
)
def test_whatever_the_decoder_refuses_is_an_error_and_nothing_raises(
    change: dict[str, object], source: SourceTopic
) -> None:
    [line] = lines(DECISION | change)
    errors: list[Problem] = [one for one in validate([line], source=source) if one.level is Level.ERROR]
    if isinstance(decode_event(source, line), Rejected):
        assert errors
