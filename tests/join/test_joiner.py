"""What becomes of decisions and feedback that meet in the join topic, case by case."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from monitor import catalogue
from monitor.blocks import BlockMessage, ModelBlock, SourceBlock
from monitor.join.block import JoinSettings
from monitor.join.index import Index, MemoryIndex
from monitor.join.joiner import JoinPartition
from monitor.topics import APPEALS, JOIN, REPORTS, REVIEWS
from tests.core.runs import BLOCK, evaluated, model_settings
from tests.core.strategies import DAY, HOUR, T0, Event, appeal, decision, report, review
from tests.join.brute_force import counted
from tests.join.traffic import LAYOUT, SETTINGS, SUMMARISE, Place, chunk
from tests.join.traffic import Item as Forwarded

DECIDED = decision(1, at=T0)
WAIT = SETTINGS.wait_ms // 1000
HORIZON = SETTINGS.horizon_ms // 1000

Item = tuple[Event, Place | None] | None
"""An event with its place in its source topic (none for decisions), or a tombstone."""


class Topic:
    """A joiner and the log that it follows."""

    def __init__(self, index: Index | None = None, *, settings: JoinSettings = SETTINGS, **more: Any) -> None:
        self.index = MemoryIndex() if index is None else index
        self.joiner = JoinPartition(0, self.index, settings=settings, **more)
        self.closed: list[BlockMessage] = []
        self._open: list[BlockMessage] = []
        self.next = self.joiner.position

    def write(self, event: Event | None, place: Place | None = None, *, at: float = T0, source: float = T0) -> None:
        """One more record at a time of the log's clock; `source` is the time in the source topic."""
        value = None if event is None else chunk([Forwarded(1000 * round(source), event, place)])
        self.closed += self.joiner.feed([self.next], [1000 * round(at)], [value], next_offset=self.next + 1)
        self.next += 1
        self._open = []

    def pass_time(self, until: float) -> None:
        """Move the log's clock: a median of 64 records needs some."""
        for _ in range(64):
            self.write(None, at=until)

    def counts(self) -> dict[Any, int]:
        """All counts so far, without those of the topic's own records."""
        self._open = self.joiner.open_block() or self._open
        told = counted([*self.closed, *self._open])
        return {key: count for key, count in told.items() if key[1] != (JOIN,)}


def reviewed(number: int = 1, **fields: Any) -> Event:
    return review(number, DECIDED, known=False, **fields)


def cells(topic: Topic) -> set[tuple[str, int]]:
    """(model, minute) of all cells that count a review."""
    columns = LAYOUT.reviews.columns
    return {(key[1], key[3]) for key in topic.counts() if key[0] == "cohort" and columns.start <= key[4] < columns.stop}


@pytest.mark.parametrize("early", [False, True], ids=["decision first", "feedback first"])
def test_feedback_counts_in_the_cell_of_its_decision_whichever_came_first(early: bool) -> None:
    topic = Topic()
    events: list[tuple[Event, Place | None]] = [(DECIDED, None), (reviewed(), (0, 0, 5))]
    for event, place in reversed(events) if early else events:
        topic.write(event, place)
    assert {("m", T0 // 60)} == cells(topic)


def test_a_review_weighs_with_the_inclusion_probability_of_its_decision_unless_it_has_its_own() -> None:
    weights = []
    for of_decision, of_review in ((0.25, None), (None, 0.25), (0.5, 0.25), (0.5, None)):
        topic = Topic()
        topic.write(decision(1, inclusion_probability=of_decision))
        topic.write(reviewed(inclusion_probability=of_review), (0, 0, 5))
        columns = range(LAYOUT.weights.columns.start, LAYOUT.weights.columns.stop)
        weights.append(
            {key: count for key, count in topic.counts().items() if key[0] == "cohort" and key[4] in columns}
        )
    assert weights[0] == weights[1] == weights[2]
    assert weights[0] != weights[3]
    assert all(weights)


def test_feedback_whose_wait_is_over_is_an_orphan_of_its_source_topic_once() -> None:
    topic = Topic()
    topic.write(reviewed(), (0, 0, 5))
    topic.write(report(1, DECIDED, known=False), (2, 0, 9))
    assert {} == topic.counts()
    topic.pass_time(T0 + WAIT - 1)
    assert {} == topic.counts()
    topic.pass_time(T0 + WAIT)
    orphans = {(catalogue.ORPHANS.name, (REVIEWS.topic,)): 1, (catalogue.ORPHANS.name, (REPORTS.topic,)): 1}
    assert orphans == topic.counts()
    topic.pass_time(T0 + WAIT + HOUR)
    assert orphans == topic.counts()


def test_an_orphan_is_counted_while_its_block_is_still_open() -> None:
    wide = dataclasses.replace(SETTINGS, block_size=4096)
    topic = Topic(settings=wide)
    topic.write(reviewed(), (0, 0, 5))
    topic.pass_time(T0 + WAIT)
    assert [] == topic.closed
    assert {(catalogue.ORPHANS.name, (REVIEWS.topic,)): 1} == topic.counts()


def test_a_decision_that_comes_after_the_wait_finds_no_orphan_but_later_feedback_finds_it() -> None:
    topic = Topic()
    topic.write(reviewed(), (0, 0, 5))
    topic.pass_time(T0 + WAIT)
    topic.write(DECIDED, at=T0 + WAIT)
    assert set() == cells(topic)
    topic.write(reviewed(2), (0, 0, 6), at=T0 + WAIT)
    assert {("m", T0 // 60)} == cells(topic)
    assert 1 == topic.counts()[catalogue.ORPHANS.name, (REVIEWS.topic,)]


def test_a_late_copy_of_an_orphan_is_a_duplicate_and_no_second_orphan() -> None:
    topic = Topic()
    topic.write(reviewed(), (0, 0, 5))
    topic.pass_time(T0 + WAIT)
    topic.write(reviewed(), (0, 0, 6), at=T0 + WAIT)
    topic.pass_time(T0 + 3 * WAIT)
    expected = {(catalogue.ORPHANS.name, (REVIEWS.topic,)): 1, (catalogue.DUPLICATES.name, (REVIEWS.topic,)): 1}
    assert expected == topic.counts()


@pytest.mark.parametrize(("later", "found"), [(HORIZON - 1, True), (HORIZON, False)])
def test_a_decision_is_kept_for_the_horizon(later: int, found: bool) -> None:
    topic = Topic()
    topic.write(DECIDED)
    topic.pass_time(T0 + later)
    topic.write(reviewed(), (0, 0, 5), at=T0 + later)
    assert found == bool(cells(topic))
    assert (0 if found else 1) == topic.joiner.statistics.expired


def test_feedback_waits_no_longer_than_what_is_known_of_its_decision_is_kept() -> None:
    topic = Topic()
    topic.write(reviewed(1), (0, 0, 5))
    topic.pass_time(T0 + HORIZON - 10)
    topic.write(reviewed(2), (0, 0, 6), at=T0 + HORIZON - 10)
    assert 1 == topic.counts()[catalogue.ORPHANS.name, (REVIEWS.topic,)]
    topic.pass_time(T0 + HORIZON)
    assert 2 == topic.counts()[catalogue.ORPHANS.name, (REVIEWS.topic,)]


def test_feedback_that_comes_again_beyond_the_horizon_waits_anew() -> None:
    settings = dataclasses.replace(SETTINGS, block_size=128)
    topic = Topic(settings=settings)
    topic.write(reviewed(), (0, 0, 5))
    topic.pass_time(T0 + HORIZON)
    topic.write(reviewed(), (0, 0, 5), at=T0 + HORIZON)
    topic.pass_time(T0 + HORIZON)
    assert 1 == len(topic.closed)
    topic.write(DECIDED, at=T0 + HORIZON)
    assert {("m", T0 // 60)} == cells(topic)


def test_an_index_is_empty_again_when_everything_has_expired() -> None:
    topic = Topic()
    for number in range(40):
        topic.write(decision(number))
        topic.write(report(number, decision(number + 20), known=False), (2, 0, number))
    topic.pass_time(T0 + 2 * HORIZON)
    topic.joiner.commit(topic.next)
    assert (0, 0, 80) == dataclasses.astuple(topic.joiner.statistics)[:3]
    assert [b"position"] == topic.index.scan(b"", b"\xff")


def test_the_same_place_again_is_a_redelivery_and_another_one_a_duplicate() -> None:
    topic = Topic()
    topic.write(DECIDED)
    for place in ((0, 0, 5), (0, 0, 5), (0, 0, 6), (0, 1, 5), (0, 0, 6), (0, 0, 5)):
        topic.write(reviewed(), place)
    assert 2 == topic.counts()[catalogue.DUPLICATES.name, (REVIEWS.topic,)]
    assert 1 == sum(
        count
        for key, count in topic.counts().items()
        if key[0] == "cohort" and key[4] in range(LAYOUT.reviews.start, LAYOUT.reviews.columns.stop)
    )


def test_the_first_of_two_decisions_with_one_id_counts() -> None:
    topic = Topic()
    topic.write(DECIDED)
    topic.write(DECIDED | {"model": "another"})
    topic.write(reviewed(), (0, 0, 5))
    assert {("m", T0 // 60)} == cells(topic)


def test_ids_of_different_kinds_are_told_apart() -> None:
    topic = Topic()
    topic.write(DECIDED)
    topic.write(reviewed() | {"review_id": "same"}, (0, 0, 5))
    topic.write(report(1, DECIDED, known=False) | {"report_id": "same"}, (2, 0, 5))
    assert all(key[0] != catalogue.DUPLICATES.name for key in topic.counts())


def test_feedback_about_a_decision_older_than_the_retention_is_late() -> None:
    topic = Topic()
    topic.write(DECIDED)
    topic.write(reviewed(), (0, 0, 5), source=T0 + 21 * DAY)
    assert {(catalogue.LATE.name, (REVIEWS.topic,)): 1} == topic.counts()


def test_a_source_that_is_read_days_behind_the_others_loses_nothing() -> None:
    topic = Topic()
    for number in range(200):
        topic.write(reviewed(number), (0, 0, number), at=T0 + number, source=T0 + 10 * DAY)
    topic.write(DECIDED, at=T0 + 200, source=T0)
    assert 200 == sum(
        count
        for key, count in topic.counts().items()
        if key[0] == "cohort" and key[4] in range(LAYOUT.reviews.start, LAYOUT.reviews.columns.stop)
    )


def test_all_kinds_of_feedback_share_one_message_a_model_and_the_ledger_takes_them_all() -> None:
    topic = Topic()
    topic.write(DECIDED)
    topic.write(reviewed(), (0, 0, 5))
    topic.write(appeal(1, DECIDED, known=False), (1, 0, 5))
    for number in range(3):
        topic.write(report(number, DECIDED, known=False), (2, 0, number))
    messages = topic.joiner.open_block()
    assert [ModelBlock, SourceBlock] == [type(message) for message in messages]
    model = next(iter(evaluated(messages, model_settings(layout=LAYOUT), clock_ms=1000 * T0).models()))
    whole = model.ledger.totals[[key.segment for key in model.ledger.table.series].index("all")]
    assert (1, 1, 3) == tuple(
        int(whole[group.columns].sum()) for group in (LAYOUT.reviews, LAYOUT.appeals, LAYOUT.reports)
    )


def test_the_index_moves_only_when_what_was_told_is_acknowledged() -> None:
    topic = Topic()
    for number in range(3 * BLOCK):
        topic.write(decision(number))
    assert 0 == topic.joiner.position
    topic.joiner.commit(2 * BLOCK - 1)
    assert BLOCK == topic.joiner.position
    topic.joiner.commit(3 * BLOCK)
    assert 3 * BLOCK == topic.joiner.position
    assert 3 * BLOCK == topic.joiner.statistics.entries


def test_what_is_not_yet_committed_is_found() -> None:
    topic = Topic()
    topic.write(DECIDED)
    for _ in range(3 * BLOCK):
        topic.write(None)
    topic.write(reviewed(), (0, 0, 5))
    assert {("m", T0 // 60)} == cells(topic)


def test_blocks_that_were_told_in_an_earlier_life_are_silent_and_enter_the_index() -> None:
    topic = Topic(summarise_from=2 * BLOCK)
    topic.write(DECIDED)
    topic.write(reviewed(), (0, 0, 5))
    for _ in range(2 * BLOCK):
        topic.write(None)
    assert [] == topic.closed
    assert 2 * BLOCK == topic.joiner.position
    topic.write(reviewed(2), (0, 0, 6))
    assert {("m", T0 // 60)} == cells(topic)


def test_an_index_of_a_topic_that_was_made_anew_is_cleared() -> None:
    topic = Topic()
    for number in range(2 * BLOCK):
        topic.write(decision(number))
    topic.joiner.commit(topic.next)
    assert 2 * BLOCK == Topic(topic.index, log_end=2 * BLOCK).joiner.position
    assert 0 == Topic(topic.index, log_end=BLOCK).joiner.position
    assert [] == topic.index.scan(b"e", b"y")


def test_an_index_of_blocks_of_another_size_is_cleared() -> None:
    topic = Topic()
    for number in range(2 * BLOCK):
        topic.write(decision(number))
    topic.joiner.commit(topic.next)
    other = dataclasses.replace(SETTINGS, block_size=2 * BLOCK)
    assert 0 == Topic(topic.index, settings=other).joiner.position


def test_a_block_that_has_lost_its_begin_says_so() -> None:
    topic = Topic(log_start=5)
    topic.next = 5
    topic.write(DECIDED)
    (told,) = topic.joiner.open_block()
    assert isinstance(told, SourceBlock)
    assert (0, 5, 6, False) == (told.span.first, told.span.begin, told.span.through, told.span.closed)


def test_an_open_block_is_told_again_only_when_it_has_grown() -> None:
    topic = Topic()
    topic.write(DECIDED)
    assert 1 == len(topic.joiner.open_block())
    assert [] == topic.joiner.open_block()
    topic.write(None)
    assert 1 == len(topic.joiner.open_block())
    topic.write(None)
    assert 2 == topic.joiner.told
    assert [] == topic.joiner.open_block(least_growth=0.6)
    topic.write(None)
    assert 1 == len(topic.joiner.open_block(least_growth=0.6))
    assert 4 == topic.joiner.told


def test_the_clock_of_a_message_is_that_of_the_sources() -> None:
    topic = Topic()
    topic.write(DECIDED, at=T0 + 9 * DAY, source=T0 + 7)
    (told,) = topic.joiner.open_block()
    assert isinstance(told, SourceBlock)
    assert 1000 * (T0 + 7) == told.span.clock_ms


@pytest.mark.parametrize(("wait_ms", "horizon_ms"), [(0, 1), (2, 1)])
def test_feedback_waits_no_longer_than_decisions_are_kept(wait_ms: int, horizon_ms: int) -> None:
    with pytest.raises(ValueError, match="expected 0 < wait_ms <= horizon_ms"):
        JoinSettings(SUMMARISE, wait_ms=wait_ms, horizon_ms=horizon_ms)


def test_many_reports_about_one_decision_all_count() -> None:
    topic = Topic()
    topic.write(DECIDED)
    for number in range(40 * BLOCK):
        topic.write(report(number, DECIDED, known=False), (2, number % 3, number))
    counts = topic.counts()
    assert 40 * BLOCK == sum(count for key, count in counts.items() if key[0] == "cohort")
    assert all(key[0] != catalogue.DUPLICATES.name for key in counts)
    assert APPEALS.topic not in {key[1][0] for key in counts if isinstance(key[1], tuple)}


BOUNDED = dataclasses.replace(SETTINGS, maximum_decisions=4 * BLOCK)


def test_beyond_the_bound_the_oldest_decisions_go_and_are_counted() -> None:
    topic = Topic(settings=BOUNDED)
    for number in range(10 * BLOCK):
        topic.write(decision(number), at=T0 + number)
    assert 4 * BLOCK == topic.joiner.statistics.entries
    assert 6 * BLOCK == topic.counts()[catalogue.JOIN_EVICTED.name, ()]
    topic.write(review(1, decision(6 * BLOCK - 1), known=False), (0, 0, 1), at=T0 + 10 * BLOCK)
    topic.write(review(2, decision(6 * BLOCK), known=False), (0, 0, 2), at=T0 + 10 * BLOCK)
    assert 1 == sum(
        count
        for key, count in topic.counts().items()
        if key[0] == "cohort" and key[4] in range(LAYOUT.reviews.start, LAYOUT.reviews.columns.stop)
    )


def test_beyond_the_bound_the_feedback_that_expires_first_goes_and_its_orphans_are_counted_all_the_same() -> None:
    topic = Topic(settings=BOUNDED)
    for number in range(10 * BLOCK):
        topic.write(report(number, decision(number), known=False), (2, 0, number), at=T0 + number)
    assert 4 * BLOCK == topic.joiner.statistics.entries
    assert 6 * BLOCK == topic.counts()[catalogue.JOIN_EVICTED.name, ()]
    assert 10 * BLOCK == topic.joiner.statistics.waiting
    topic.pass_time(T0 + 2 * WAIT)
    assert 10 * BLOCK == topic.counts()[catalogue.ORPHANS.name, (REPORTS.topic,)]


def test_a_decision_stays_known_while_copies_of_it_come() -> None:
    topic = Topic()
    for later in (0, HORIZON - 10, 2 * HORIZON - 20):
        topic.pass_time(T0 + later)
        topic.write(DECIDED, at=T0 + later)
    topic.write(reviewed(), (0, 0, 5), at=T0 + 2 * HORIZON)
    assert {("m", T0 // 60)} == cells(topic)
