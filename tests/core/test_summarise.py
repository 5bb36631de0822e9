"""Sums per cell against counting by hand, in plain Python with fractions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import monitor.summarise as module
from monitor.blocks import ModelBlock
from monitor.cells import KeyTable, Limits
from monitor.layout import (
    ACTIONS,
    LATENCY_EDGES,
    LATENCY_UNIT,
    LIMB_BITS,
    SCORE_UNIT,
    SQUARED_WEIGHT_UNIT,
    WEIGHT_UNIT,
    CategoricalFeature,
    Group,
    Layout,
    NumericFeature,
)
from monitor.packing import unpack
from monitor.rows import Rows, feedback_rows, no_decisions
from monitor.summarise import FIRST_BIN, MISSING, OUT_OF_RANGE, Sums, fixed, sum_by_place, summarise
from monitor.topics import APPEALS, DECISIONS, REPORTS, REVIEWS
from tests.core.runs import FEATURES, LAYOUT, PLAIN, summaries, summarise_settings
from tests.core.strategies import T0, Event, appeal, decision, examples, log, report, review, seeds, traffic

NO_FEEDBACK, _ = feedback_rows([], np.empty(0, dtype=np.int64), KeyTable(Limits()))
NO_SERIES = np.empty((1, 0), dtype=np.int64)

ENTRY = st.tuples(st.integers(0, 30), st.integers(-4, 4))


def block(source: Any, *events: Event, layout: Layout = PLAIN, kinds: tuple[tuple[str, ...], ...] = ()) -> ModelBlock:
    (found,) = [
        message
        for message in summaries(log(source, events), summarise_settings(layout=layout, kinds=kinds, block_size=1024))
        if isinstance(message, ModelBlock)
    ]
    return found


def sums(found: ModelBlock, *, arrival: bool = False) -> dict[int, int]:
    """Column to sum over all cells."""
    entries = found.arrival if arrival else found.cohort
    totals: Counter[int] = Counter()
    for column, value in zip(unpack(entries.column).tolist(), unpack(entries.value).tolist(), strict=True):
        totals[column] += value
    return dict(totals)


@examples(100)
@given(entries=st.lists(ENTRY, max_size=40))
def test_sums_by_place_equal_a_counter_without_its_zeros(entries: list[tuple[int, int]]) -> None:
    expected: Counter[int] = Counter()
    for where, number in entries:
        expected[where] += number
    place = np.array([where for where, _ in entries], dtype=np.int64)
    found = sum_by_place(place, np.array([number for _, number in entries], dtype=np.int64))
    assert sorted((where, total) for where, total in expected.items() if total) == [
        *zip(found[0].tolist(), found[1].tolist(), strict=True)
    ]


@examples(60)
@given(entries=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(-3, 3)), max_size=30))
def test_dense_and_sparse_sums_are_the_same(entries: list[tuple[int, int, int]]) -> None:
    found = []
    for limit in (0, module.DENSE_LIMIT):
        collected = Sums(7)
        for cell, column, value in entries:
            collected.add(np.array([cell]), np.array([column]), np.array([value]))
            collected.count(np.array([cell]), np.array([column]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "DENSE_LIMIT", limit)
            found.append(collected.entries(6))
    assert found[0] == found[1]


def test_fixed_point_is_the_nearest_multiple() -> None:
    values = np.array([0.0, 1 / 3, 0.5 * SCORE_UNIT, 1.0])
    assert [0, round(Fraction(1 / 3) / Fraction(SCORE_UNIT)), 0, 2**30] == fixed(values, SCORE_UNIT).tolist()


def test_a_block_counts_each_cell_of_key_and_decision_minute() -> None:
    events = [
        decision(1, at=T0, language="es", action="remove"),
        decision(2, at=T0 + 1, language="es", action="allow"),
        decision(3, at=T0 + 60, language="es", action="remove"),
        decision(4, at=T0, language="en", action="remove"),
    ]
    found = block(DECISIONS, *events, kinds=(("language",),))
    assert ["all", "language=en", "language=es"] == [name[3] for name in found.series]
    minute = T0 // 60
    assert [0, 0, 1, 2, 2] == unpack(found.cell_series).tolist()
    assert [minute, minute + 1, minute, minute, minute + 1] == unpack(found.cell_minute).tolist()
    cells, values = unpack(found.cohort.cell), unpack(found.cohort.value)
    counted = unpack(found.cohort.column) < len(ACTIONS)
    by_cell: Counter[int] = Counter()
    for cell, value in zip(cells[counted].tolist(), values[counted].tolist(), strict=True):
        by_cell[cell] += value
    assert {0: 3, 1: 1, 2: 1, 3: 2, 4: 1} == by_cell


def joined(found: Mapping[int, int], group: Group, column: int = 0) -> int:
    """A wide sum out of its two limbs."""
    high, low = group.start + column, group.start + group.width // 2 + column
    return (found.get(high, 0) << LIMB_BITS) + found.get(low, 0)


def test_scores_lie_in_the_bin_whose_upper_edge_is_not_below_them() -> None:
    scores = [0.0, 0.025, 0.0250001, 0.5, 0.975, 0.98, 1.0]
    found = sums(block(DECISIONS, *(decision(n, score=score) for n, score in enumerate(scores))))
    edges = PLAIN.score_edges.tolist()
    expected = Counter(sum(edge < score for edge in edges) for score in scores)
    start = PLAIN.score.start
    assert expected == {column - start: n for column, n in found.items() if column in range(start, start + 41)}
    total = sum(round(Fraction(score) / Fraction(SCORE_UNIT)) for score in scores)
    assert total == joined(found, PLAIN.score_sum)


def test_latencies_are_counted_where_they_are_told() -> None:
    told = [0.0, 0.005, 0.2, 59.0, 61.0, 86_400.0]
    events = [decision(n, latency_seconds=latency) for n, latency in enumerate(told)]
    found = sums(block(DECISIONS, *events, decision("none")))
    start = PLAIN.latency.start
    expected = Counter(sum(edge < latency for edge in LATENCY_EDGES) for latency in told)
    assert expected == {column - start: n for column, n in found.items() if column in range(start, start + 14)}
    assert sum(round(latency / LATENCY_UNIT) for latency in told) == found[PLAIN.latency_sum.start]
    assert len(told) + 1 == sum(found.get(column, 0) for column in range(len(ACTIONS)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {MISSING}),
        (0.5, {FIRST_BIN + 1}),
        (1.0, {FIRST_BIN + 1}),
        (-9, {OUT_OF_RANGE, FIRST_BIN}),
        (9, {OUT_OF_RANGE, FIRST_BIN + 2}),
        (1e308, {OUT_OF_RANGE, FIRST_BIN + 2}),
        ("text", {OUT_OF_RANGE, FIRST_BIN + 2}),
    ],
)
def test_a_numeric_feature_is_missing_or_in_a_bin_and_perhaps_out_of_range(value: Any, expected: set[int]) -> None:
    layout = Layout(features=(NumericFeature("x", edges=(0.0, 1.0), low=-1.0, high=2.0),))
    found = sums(block(DECISIONS, decision(1, features={"x": value}), layout=layout))
    (group,) = layout.feature_groups
    assert expected == {column - group.start for column in found if column >= group.start}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, {0}), ("a", {2}), ("b", {3}), ("c", {1, 4}), ("", {1, 4}), (1, {1, 4})],
)
def test_a_categorical_feature_has_a_last_bin_for_everything_else(value: Any, expected: set[int]) -> None:
    layout = Layout(features=(CategoricalFeature("x", categories=("a", "b")),))
    found = sums(block(DECISIONS, decision(1, features={"x": value}), layout=layout))
    (group,) = layout.feature_groups
    assert expected == {column - group.start for column in found if column >= group.start}


def test_a_decision_without_features_misses_each_of_them() -> None:
    found = sums(block(DECISIONS, decision(1), layout=LAYOUT))
    assert [1] * len(FEATURES) == [found[group.start + MISSING] for group in LAYOUT.feature_groups]


def test_labels_are_weighed_by_the_inverse_of_their_probability_where_the_decision_was_made_and_where_they_came() -> (
    None
):
    about = decision(1)
    allowed = decision(2, action="allow")
    events = [
        review(1, about, inclusion_probability=0.1),
        review(2, about, inclusion_probability=1.0, verdict="benign"),
        review(3, allowed, inclusion_probability=0.3),
        review(4, about, verdict="unsure"),
        review(5, about, source="golden"),
        review(6, about, inclusion_probability=None),
    ]
    found = block(REVIEWS, *events)
    weights = {2: Fraction(1 / 0.1), 3: Fraction(1), 0: Fraction(1 / 0.3)}
    for column, weight in weights.items():
        expected = {
            PLAIN.labels.start + column: 1,
        }
        for side in (sums(found), sums(found, arrival=True)):
            assert expected == {place: side[place] for place in expected}
            assert round(weight / Fraction(WEIGHT_UNIT)) == joined(side, PLAIN.weights, column)
            assert round(weight**2 / Fraction(SQUARED_WEIGHT_UNIT)) == joined(side, PLAIN.squared_weights, column)
    reviewed = sums(found)
    assert len(events) == sum(reviewed.get(column, 0) for column in range(*_range(PLAIN.reviews.columns)))
    assert 1 not in {column - PLAIN.labels.start for column in reviewed}


def _range(columns: slice) -> tuple[int, int]:
    return columns.start, columns.stop


def test_the_smallest_probability_leaves_room_for_what_the_layout_promises() -> None:
    found = sums(block(REVIEWS, *(review(n, decision(1), inclusion_probability=1e-5) for n in range(500))))
    assert joined(found, PLAIN.squared_weights, 2) == pytest.approx(500 * 1e10 / SQUARED_WEIGHT_UNIT, rel=1e-12)
    largest = max(value for value in found.values())
    assert largest * 8e9 / 500 < 2**63  # labels of one series


def test_a_label_arrives_in_the_minute_of_its_kafka_timestamp_and_counts_in_that_of_its_decision() -> None:
    (found, _) = summaries(log(REVIEWS, [review(1, decision(1))], at=T0 + 3600), summarise_settings())
    assert isinstance(found, ModelBlock)
    minutes = unpack(found.cell_minute)
    assert {T0 // 60} == set(minutes[unpack(found.cohort.cell)].tolist())
    assert {T0 // 60 + 60} == set(minutes[unpack(found.arrival.cell)].tolist())


def test_appeals_and_reports_are_counted_once_each_and_are_no_labels() -> None:
    about = decision(1)
    filed = block(APPEALS, appeal(1, about), appeal(1, about, stage="overturned"))
    assert {PLAIN.appeals.start: 1, PLAIN.appeals.start + 2: 1} == sums(filed)
    assert {} == sums(filed, arrival=True)
    assert {PLAIN.reports.start: 2} == sums(block(REPORTS, report(1, about), report(2, about)))


@examples(10)
@given(seed=seeds)
def test_each_accepted_decision_is_in_one_action_one_score_bin_and_one_bin_of_each_feature_or_missing(
    seed: int,
) -> None:
    for message in summaries(traffic(seed)[0], summarise_settings(layout=LAYOUT)):
        if isinstance(message, ModelBlock):
            found = sums(message)
            groups = [LAYOUT.actions, LAYOUT.score]
            totals = [sum(found.get(c, 0) for c in range(*_range(group.columns))) for group in groups]
            for group in LAYOUT.feature_groups:
                bins = range(group.start + FIRST_BIN, group.columns.stop)
                totals.append(found.get(group.start + MISSING, 0) + sum(found.get(c, 0) for c in bins))
            assert 1 == len(set(totals))


def test_feedback_without_its_column_group_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="expected decision rows, or feedback rows with a group, got FeedbackRows"):
        summarise(NO_FEEDBACK, NO_SERIES, None, PLAIN)


@pytest.mark.parametrize("rows", [no_decisions(), NO_FEEDBACK], ids=["decisions", "feedback"])
def test_no_rows_have_no_cells(rows: Rows) -> None:
    found = summarise(rows, NO_SERIES, lambda layout: layout.reviews, PLAIN)
    assert 0 == found.minute.size == unpack(found.cohort.value).size
