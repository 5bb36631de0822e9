"""One model: in which order minutes are shown to the streaming detectors, and what its snapshot says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monitor.blocks import BlockMessage, ModelBlock
from monitor.cohorts import Level
from monitor.layout import LATENCY_EDGES, Layout
from monitor.ledger import LedgerSettings
from monitor.model import Model, ModelSettings
from monitor.overflow import snapshots
from monitor.snapshot import ModelSnapshot
from monitor.streams import StreamSettings
from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS, SourceTopic
from tests.core.runs import model_settings, summaries, summarise_settings
from tests.core.strategies import HOUR, MINUTE, T0, Event, appeal, decision, launch, log, report, review

NOW = T0 // MINUTE
SETTINGS = summarise_settings(block_size=4096)


def model(**more: Any) -> Model:
    return Model("m", model_settings(kinds=(), minimum_decisions=1, minimum_labels=1, **more))


def fold(one: Model, source: SourceTopic, events: list[Event], *, at: float | list[float] = T0) -> None:
    for message in messages(source, events, at=at):
        if isinstance(message, ModelBlock):
            one.fold(message)


def messages(source: SourceTopic, events: list[Event], *, at: float | list[float] = T0) -> list[BlockMessage]:
    return summaries(log(source, events, at=at), SETTINGS)


class Watched:
    """Writes down which minutes are closed, and with how much."""

    def __init__(self, one: Model) -> None:
        self.closed: list[tuple[int, int, int]] = []
        one.streams.close = self.close  # type: ignore[method-assign]

    def close(self, minute: int, *, decisions: Any, labels: Any, **_: Any) -> None:
        self.closed.append((minute - NOW, decisions[0].size, labels[0].size))

    def minutes(self) -> list[int]:
        return [minute for minute, *_ in self.closed]


def test_minutes_are_closed_once_in_order_when_they_are_over_and_the_grace_has_passed() -> None:
    one = model()
    watched = Watched(one)
    fold(one, DECISIONS, [decision(n, at=T0 + n * MINUTE) for n in (2, 0, 1)])
    one.advance(NOW + 1, complete=NOW + 1)
    assert [] == watched.minutes()
    one.advance(NOW + 2, complete=NOW + 2)
    assert [0] == watched.minutes()
    one.advance(NOW + 10, complete=NOW + 10)
    assert [0, 1, 2] == watched.minutes()
    one.advance(NOW + 10, complete=NOW + 10)
    assert 3 == len(watched.closed)


def test_a_source_that_lags_behind_keeps_minutes_open() -> None:
    one = model()
    watched = Watched(one)
    fold(one, DECISIONS, [decision(n, at=T0 + n * MINUTE) for n in range(4)], at=T0 + 4 * MINUTE)
    one.advance(NOW + 9, complete=NOW + 3)
    assert [0, 1] == watched.minutes()
    one.advance(NOW + 9, complete=NOW + 9)
    assert [0, 1, 2, 3] == watched.minutes()


def test_what_comes_after_its_minute_was_closed_restates_the_ledger_but_not_the_detectors() -> None:
    one = model()
    watched = Watched(one)
    fold(one, DECISIONS, [decision(1)])
    one.advance(NOW + 5, complete=NOW + 5)
    fold(one, REVIEWS, [review(1, decision(1))], at=T0)
    one.advance(NOW + 9, complete=NOW + 9)
    assert [0] == watched.minutes()
    assert {} == one.ledger.arrivals
    assert 1 == one.ledger.totals[0, one.ledger.layout.labels.columns].sum()


def test_labels_enter_by_the_minute_in_which_they_arrive() -> None:
    one = model()
    watched = Watched(one)
    fold(one, DECISIONS, [decision(1)])
    fold(one, REVIEWS, [review(1, decision(1))], at=T0 + 3 * MINUTE)
    one.advance(NOW + 9, complete=NOW + 9)
    assert [(0, True, False), (3, False, True)] == [(m, bool(d), bool(n)) for m, d, n in watched.closed]


def test_a_minute_is_closed_before_its_cohort_becomes_part_of_an_hour() -> None:
    one = model()
    watched = Watched(one)
    fold(
        one, DECISIONS, [decision(n, at=T0 + n * MINUTE) for n in range(300)], at=[T0 + n * MINUTE for n in range(300)]
    )
    one.advance(NOW + 20 * 60, complete=NOW + 20 * 60)
    assert [(minute, 1) for minute in range(300)] == [(minute, size > 0) for minute, size, _ in watched.closed]
    assert Level.MINUTE not in {level for level, _ in one.ledger.cohorts.cohorts()}


def test_one_look_after_an_outage_gives_the_detectors_what_many_looks_would_have() -> None:
    seldom, often = model(), model()
    events = [decision(n, at=T0 + n * MINUTE, score=0.2 if n < 150 else 0.9) for n in range(400)]
    for one in (seldom, often):
        fold(one, DECISIONS, events, at=[T0 + n * MINUTE for n in range(400)])
    for minute in range(NOW, NOW + 500, 7):
        often.advance(minute, complete=minute)
    for one in (seldom, often):
        one.advance(NOW + 500, complete=NOW + 500)
    assert often.streams.detections() == seldom.streams.detections()
    assert 1 in {found.count for found in seldom.streams.detections()}


def snapshot_of(model: Model) -> ModelSnapshot:
    [found] = snapshots([model])
    return found


def snapshot(*parts: tuple[SourceTopic, list[Event]], thresholds: tuple[float, ...] = ()) -> ModelSnapshot:
    layout = Layout(thresholds=thresholds)
    settings = ModelSettings(
        ledger=LedgerSettings(layout=lambda _: layout, kinds=()),
        streams=StreamSettings(()),
        score_thresholds={"m": thresholds},
    )
    one = Model("m", settings)
    for source, events in parts:
        for message in summaries(log(source, events), summarise_settings(layout=layout, block_size=4096)):
            if isinstance(message, ModelBlock):
                one.fold(message)
    return snapshot_of(one)


ABOUT = decision(1)


def counts(found: Any) -> dict[tuple[str, ...], int]:
    return {labels: int(n) for labels, n in zip(found.labels, found.values[0], strict=True) if n}


def test_counters_of_a_snapshot_bear_the_names_of_the_contract() -> None:
    found = snapshot(
        (DECISIONS, [ABOUT, decision(2, action="allow"), decision(3, action="blur")]),
        (REVIEWS, [review(1, ABOUT), review(2, ABOUT, source="queue", verdict="benign")]),
        (APPEALS, [appeal(1, ABOUT), appeal(1, ABOUT, stage="overturned")]),
        (REPORTS, [report(1, ABOUT), report(2, ABOUT)]),
        (LAUNCHES, [launch("1", traffic_share=0.5)]),
    )
    assert {("remove",): 1, ("allow",): 1, ("other",): 1} == counts(found.decisions)
    assert {("audit", "violating"): 1, ("queue", "benign"): 1} == counts(found.reviews)
    assert {("filed",): 1, ("overturned",): 1} == counts(found.appeals)
    assert {(): 2} == counts(found.reports)
    assert [("1", "champion", "full", 0.5)] == [
        (one.model_version, one.variant, one.stage, one.traffic_share) for one in found.launches
    ]
    assert T0 == found.last_decision_at


def test_histograms_of_a_snapshot_are_cumulated_from_the_events() -> None:
    scores = [0.01, 0.05, 0.3, 0.33, 0.34, 0.999]
    events = [decision(n, score=score, latency_seconds=score) for n, score in enumerate(scores)]
    found = snapshot((DECISIONS, events), thresholds=(0.333,))
    assert 0.333 in found.score.edges
    assert 20 == len(found.score.edges)
    for histogram in (found.score, found.latency):
        expected = [sum(score <= edge for score in scores) for edge in histogram.edges]
        assert expected == np.cumsum(histogram.counts[0])[:-1].tolist()
        assert len(scores) == histogram.counts[0].sum()
        assert histogram.total[0] == pytest.approx(sum(scores), abs=1e-6)
    assert LATENCY_EDGES == found.latency.edges


def test_a_snapshot_does_not_change_when_the_model_does() -> None:
    one = model()
    fold(one, DECISIONS, [decision(1)])
    before = snapshot_of(one)
    kept = [before.decisions.values.copy(), before.score.counts.copy(), before.readings[0].value.copy()]
    follow = messages(DECISIONS, [decision(n) for n in range(5)])
    fold(one, DECISIONS, [decision(n, at=T0 + HOUR) for n in range(5)])
    assert follow
    after = [before.decisions.values, before.score.counts, before.readings[0].value]
    assert all(np.array_equal(old, new) for old, new in zip(kept, after, strict=True))
    assert not np.array_equal(snapshot_of(one).decisions.values, before.decisions.values)


def test_a_model_that_was_only_launched_has_a_snapshot() -> None:
    found = snapshot((LAUNCHES, [launch("1")]))
    assert () == found.series
    assert found.last_decision_at is None
    assert 1 == len(found.launches)
