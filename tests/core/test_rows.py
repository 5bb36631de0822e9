"""Events as columns: times in milliseconds, ids as hashes, which reviews are labels and with which probability."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cells import KeyTable, Limits
from monitor.decode import decode_event
from monitor.events import Appeal, Decision, Report, Review
from monitor.layout import ACTIONS, REVIEW_KINDS, STAGES
from monitor.rows import FeedbackRows, concatenate, decision_rows, feedback_rows, hash_id, take
from monitor.topics import APPEALS, DECISIONS, REPORTS, REVIEWS, SourceTopic
from tests.core.strategies import T0, Event, appeal, context, decision, encoded, examples, instant, report, review


def decisions(*events: Event) -> list[Decision]:
    found = [decode_event(DECISIONS, encoded(event)) for event in events]
    return [event for event in found if isinstance(event, Decision)]


def feedback(source: SourceTopic, *events: Event) -> FeedbackRows:
    found = [decode_event(source, encoded(event)) for event in events]
    known = [event for event in found if isinstance(event, (Review, Appeal, Report))]
    assert len(events) == len(known)
    rows, refused = feedback_rows(known, np.zeros(len(known), dtype=np.int64), KeyTable(Limits()))
    assert {} == refused
    return rows


def label(**fields: Any) -> tuple[int, float]:
    rows = feedback(REVIEWS, review(1, decision(1), **fields))
    return int(rows.verdict[0]), float(rows.probability[0])


def test_columns_of_decisions_say_what_the_events_say() -> None:
    events = decisions(
        decision(1, at=T0 + 0.25, action="allow", score=0.75, latency_seconds=2.0, features={"a": 1}),
        decision(2, action="strange"),
    )
    rows, refused = decision_rows(events, np.array([7, 8]), KeyTable(Limits()), features=True)
    assert {} == refused
    assert [7, 8] == rows.timestamp_ms.tolist()
    assert [1000 * T0 + 250, 1000 * T0] == rows.occurred_ms.tolist()
    assert ["allow", "other"] == [ACTIONS[column].value for column in rows.column]
    assert [0.75, 0.5] == rows.score.tolist()
    assert 2.0 == rows.latency[0]
    assert np.isnan(rows.latency[1])
    assert rows.features is not None
    assert [{"a": 1.0}, None] == rows.features.tolist()


def test_an_event_with_a_name_that_may_not_become_a_label_has_no_row() -> None:
    events = decisions(decision(1), decision(2, model="a b"), decision(3, language="\n"), decision(4))
    rows, refused = decision_rows(events, np.array([1, 2, 3, 4]), KeyTable(Limits()))
    assert {1: "model", 2: "language"} == {index: why.field for index, why in refused.items()}
    assert [1, 4] == rows.timestamp_ms.tolist()
    assert [hash_id("d1"), hash_id("d4")] == rows.id_hash.tolist()


def test_times_before_1970_and_with_fractions_of_milliseconds_are_rounded_to_the_nearest() -> None:
    events = decisions(decision(1, occurred_at="1969-12-31T23:59:59.9994Z"), decision(2, at=0.0006))
    rows, _ = decision_rows(events, np.zeros(2, dtype=np.int64), KeyTable(Limits()))
    assert [-1, 1] == rows.occurred_ms.tolist()


@examples(60)
@given(ids=st.lists(st.text(max_size=10), unique=True, max_size=50))
def test_hashes_tell_ids_apart_and_fit_64_bits(ids: list[str]) -> None:
    hashes = [hash_id(identifier) for identifier in ids]
    assert len(ids) == len(set(hashes))
    assert all(0 <= value < 2**64 for value in hashes)


def test_a_hash_is_the_same_in_every_process() -> None:
    # XXH3 of the empty input with seed 0, as printed by its reference implementation.
    assert 0x2D06800538D394C2 == hash_id("")


def test_each_kind_of_feedback_has_its_column() -> None:
    about = decision(1)
    reviews = feedback(REVIEWS, review(1, about, source="queue", verdict="benign"))
    assert ("queue", "benign") == tuple(kind.value for kind in REVIEW_KINDS[reviews.column[0]])
    appeals = feedback(APPEALS, appeal(1, about, stage="overturned"))
    assert "overturned" == STAGES[appeals.column[0]].value
    assert [0] == feedback(REPORTS, report(1, about)).column.tolist()


def test_feedback_without_context_has_no_key_and_no_action() -> None:
    rows = feedback(REVIEWS, review(1, decision(1), known=False), review(2, decision(1)))
    assert [-1, 0] == rows.key.tolist()
    assert -1 == rows.action[0]
    assert "remove" == ACTIONS[rows.action[1]].value


def test_feedback_whose_context_has_a_name_that_may_not_become_a_label_has_no_row() -> None:
    events = [report(1, decision(1)), report(2, decision(2, model="a b")), report(3, decision(3))]
    found = [decode_event(REPORTS, encoded(event)) for event in events]
    rows, refused = feedback_rows(
        [one for one in found if isinstance(one, Report)], np.array([1, 2, 3]), KeyTable(Limits())
    )
    assert {1: "model"} == {index: why.field for index, why in refused.items()}
    assert [1, 3] == rows.timestamp_ms.tolist()


def test_the_stages_of_an_appeal_are_told_apart_and_its_copies_are_not() -> None:
    about = decision(1)
    rows = feedback(
        APPEALS,
        appeal(1, about),
        appeal(1, about, stage="upheld"),
        appeal(1, about, at=T0 + 5),
        appeal(2, about),
    )
    filed, upheld, copy, other = rows.id_hash.tolist()
    assert filed == copy
    assert 3 == len({filed, upheld, other})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"verdict": "violating"}, (0, 0.5)),
        ({"verdict": "benign"}, (1, 0.5)),
        ({"verdict": "benign", "source": "queue"}, (1, 0.5)),
        ({"verdict": "benign", "source": "escalation", "inclusion_probability": 1}, (1, 1.0)),
    ],
)
def test_a_review_of_known_probability_is_a_label(fields: Event, expected: tuple[int, float]) -> None:
    assert expected == label(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"verdict": "unsure"},
        {"verdict": "perhaps"},
        {"source": "golden"},
        {"inclusion_probability": None},
        {"inclusion_probability": None, "source": "queue"},
    ],
)
def test_other_reviews_are_no_labels(fields: Event) -> None:
    verdict, probability = label(**fields)
    assert -1 == verdict
    assert np.isnan(probability)


def test_an_audit_may_leave_its_probability_to_the_decision_but_no_other_review_may() -> None:
    about = context(decision(1)) | {"inclusion_probability": 0.125}
    unsaid = {"inclusion_probability": None, "decision": about}
    assert (0, 0.125) == label(**unsaid)
    assert (0, 0.5) == label(**(unsaid | {"inclusion_probability": 0.5}))
    assert -1 == label(**(unsaid | {"source": "queue"}))[0]


def test_rows_of_several_fetches_are_one_and_selections_keep_all_columns_together() -> None:
    table = KeyTable(Limits())
    parts = [decision_rows(decisions(decision(n, score=n / 8)), np.array([n]), table)[0] for n in range(4)]
    rows = concatenate(parts)
    assert [0, 1, 2, 3] == rows.timestamp_ms.tolist()
    chosen = take(rows, np.array([False, True, False, True]), occurred_ms=np.arange(4))
    assert ([1, 3], [1, 3]) == (chosen.timestamp_ms.tolist(), chosen.occurred_ms.tolist())
    assert [hash_id("d1"), hash_id("d3")] == chosen.id_hash.tolist()
    assert instant(T0) == "2025-10-09T08:53:20+00:00"
