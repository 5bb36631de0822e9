"""The ledger of one model: replacing, skipping and taking back blocks, launches, arrivals, caps and changed layouts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from monitor.blocks import ModelBlock
from monitor.cells import OTHER, Limits
from monitor.cohorts import WINDOWS
from monitor.events import Action
from monitor.layout import ACTIONS, Layout
from monitor.ledger import MAX_LAUNCHES, LedgerSettings, ModelLedger
from monitor.topics import DECISIONS, LAUNCHES, REVIEWS
from tests.core.runs import BLOCK, PLAIN, feed, ledger_facts, summaries, summarise_settings, summariser
from tests.core.strategies import DAY, HOUR, T0, Event, Log, decision, launch, log, review

KINDS = (("language",),)
SETTINGS = summarise_settings(kinds=KINDS)
Blocks = list[ModelBlock]


def ledger(layout: Layout = PLAIN, **more: Any) -> ModelLedger:
    kinds = more.pop("kinds", KINDS)
    return ModelLedger("m", LedgerSettings(layout=lambda _: layout, kinds=kinds, limits=Limits(**more)))


def steps(events: list[Event], *, layout: Layout = PLAIN, source: Any = DECISIONS, at: float = T0) -> Blocks:
    """The model's messages when the open block is told after each record."""
    records = log(source, [*events], at=at)
    follower = summariser(records, summarise_settings(layout=layout, kinds=KINDS))
    found: Blocks = []
    for index in range(len(records)):
        closed = feed(follower, records, index, index + 1)[1]
        found += [m for m in (*closed, *follower.open_block()) if isinstance(m, ModelBlock)]
    return found


def decisions(one: ModelLedger, segment: str = "all") -> int:
    return sum(
        int(one.totals[row, : len(ACTIONS)].sum())
        for row, series in enumerate(one.table.series)
        if series.segment == segment
    )


def test_the_open_block_replaces_itself_and_is_never_added_twice() -> None:
    one = ledger()
    blocks = steps([decision(n) for n in range(BLOCK + 3)])
    for number, block in enumerate(blocks, start=1):
        assert one.fold(block)
        assert min(number, BLOCK + 3) == decisions(one)
    for block in blocks:
        assert not one.fold(block)
    assert BLOCK + 3 == decisions(one)


def test_messages_that_are_skipped_are_made_up_for_by_later_ones() -> None:
    blocks = steps([decision(n, language=f"l{n % 3}") for n in range(3 * BLOCK)])
    all_told, some_told = ledger(), ledger()
    for number, block in enumerate(blocks):
        all_told.fold(block)
        if block.span.closed or number % 5 == 2:
            some_told.fold(block)
    assert ledger_facts(all_told) == ledger_facts(some_told)


def test_a_first_block_whose_begin_is_gone_is_counted_to_its_end() -> None:
    records = log(DECISIONS, [decision(n) for n in range(BLOCK)])
    kept = Log(DECISIONS, 0, records.offsets[5:], records.timestamps[5:], records.values[5:], records.end)
    follower = summariser(kept, SETTINGS)
    follower._log_start = 5
    one = ledger()
    for index in range(len(kept)):
        closed = feed(follower, kept, index, index + 1)[1]
        for message in (*closed, *follower.open_block()):
            if isinstance(message, ModelBlock):
                one.fold(message)
    assert BLOCK - 5 == decisions(one)


def test_a_block_that_lost_its_begin_takes_nothing_away() -> None:
    blocks = steps([decision(n) for n in range(10)])
    one = ledger()
    one.fold(blocks[-1])
    span = msgspec.structs.replace(blocks[-1].span, begin=8, through=BLOCK, closed=True)
    assert not one.fold(msgspec.structs.replace(blocks[2], span=span))
    assert 10 == decisions(one)


def test_source_partitions_do_not_touch_each_other() -> None:
    first, second = (summaries(log(DECISIONS, [decision(n)], partition=n), SETTINGS)[0] for n in (0, 1))
    one = ledger()
    assert isinstance(first, ModelBlock)
    assert isinstance(second, ModelBlock)
    assert one.fold(first)
    assert one.fold(second)
    assert not one.fold(first)
    assert 2 == decisions(one)


def test_a_late_label_restates_the_cohort_of_its_decision_and_no_other_window() -> None:
    one = ledger()
    about = [decision(n, at=T0 - n * 600) for n in range(20)]
    for block in steps(about):
        one.fold(block)
    one.advance(T0 // 60 + 1)
    recent = {window.name: one.cohorts.window(window).tobytes() for window in WINDOWS[:2]}
    (label,) = steps([review(1, about[-1])], source=REVIEWS, at=T0 + 30)
    one.fold(label)
    assert recent == {window.name: one.cohorts.window(window).tobytes() for window in WINDOWS[:2]}
    day = next(window for window in WINDOWS if window.name == "24h")
    assert 1 == one.cohorts.window(day)[0, PLAIN.labels.columns].sum()


def test_what_is_beyond_the_horizon_stays_in_the_totals_only() -> None:
    one = ledger()
    for block in steps([decision(1)]):
        one.fold(block)
    (label,) = steps([review(1, decision(2, at=T0 - 170 * DAY))], source=REVIEWS)
    one.advance(T0 // 60 + 30 * 1440)
    one.fold(label)
    assert 1 == one.totals[0, PLAIN.reviews.columns].sum()
    assert all(0 == one.cohorts.window(window)[:, PLAIN.reviews.columns].sum() for window in WINDOWS)


def test_arrivals_are_held_until_they_were_seen_and_never_come_back() -> None:
    one = ledger()
    blocks = steps([review(n, decision(n)) for n in range(5)], source=REVIEWS)
    one.fold(blocks[1])
    assert [T0 // 60] == list(one.arrivals)
    one.forget_arrivals(T0 // 60 + 1)
    one.fold(blocks[-1])
    assert {} == one.arrivals
    assert 5 == one.totals[0, PLAIN.labels.columns].sum()


def test_the_latest_launch_of_a_stage_counts_however_they_arrive() -> None:
    events = [
        launch("1", at=T0 + 5, traffic_share=0.5),
        launch("1", at=T0, traffic_share=0.1),
        launch("2", at=T0, stage="canary"),
    ]
    one = ledger()
    for block in steps(events, source=LAUNCHES):
        one.fold(block)
    shares = {key: (found.at, found.traffic_share) for key, found in one.launches.items()}
    assert {("1", "champion", "full"): (T0 + 5, 0.5), ("2", "champion", "canary"): (T0, None)} == shares


def test_a_flood_of_launches_keeps_the_latest_ones() -> None:
    count = MAX_LAUNCHES + 3 * BLOCK
    one = ledger()
    for block in steps([launch(f"v{n}", at=T0 + n) for n in range(count)], source=LAUNCHES):
        one.fold(block)
    assert {f"v{n}" for n in range(count - MAX_LAUNCHES, count)} == {version for version, *_ in one.launches}


def test_other_takes_the_blocks_of_several_models_of_one_source_block() -> None:
    events = [decision(n, model=f"m{n % 3}") for n in range(9)]
    records = log(DECISIONS, [*events])
    follower = summariser(records, SETTINGS)
    one = ModelLedger(OTHER, LedgerSettings(layout=lambda _: PLAIN))
    for index in range(len(records)):
        feed(follower, records, index, index + 1)
        told = [message for message in follower.open_block() if isinstance(message, ModelBlock)]
        for message in told:
            one.fold(message)
        for message in reversed(told):
            assert not one.fold(message)
    assert 9 == decisions(one)


def test_the_memory_of_what_was_taken_holds_one_block_of_each_source_partition() -> None:
    one = ModelLedger(OTHER, LedgerSettings(layout=lambda _: PLAIN))
    records = log(DECISIONS, [decision(n, model=f"m{n}") for n in range(20 * BLOCK)])
    for message in summaries(records, SETTINGS):
        if isinstance(message, ModelBlock):
            one.fold(message)
        assert sum(len(last.taken) for last in one.last.values()) <= BLOCK
    assert 20 * BLOCK == decisions(one)


def test_a_bomb_of_distinct_values_fills_the_caps_and_the_counts_stay_exact() -> None:
    one = ledger(series=50, segments=10, versions=5, policies=5)
    events = [decision(n, model_version=f"v{n}", policy=f"p{n}", language=f"l{n}") for n in range(600)]
    for message in summaries(log(DECISIONS, [*events]), SETTINGS):
        if isinstance(message, ModelBlock):
            one.fold(message)
    assert len(one.table.series) <= 50 + 1
    assert 600 == decisions(one)
    assert len(one.totals) == len(one.table.series)


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        (Layout(thresholds=(0.333,)), {"score"}),
        (Layout(positive_actions={Action.REMOVE}), {"labels", "weights", "squared_weights"}),
    ],
    ids=["thresholds", "positive actions"],
)
def test_blocks_of_another_configuration_count_in_every_group_of_the_same_meaning(
    after: Layout, lost: set[str]
) -> None:
    one, expected = ledger(after), ledger()
    blocks = [*steps([decision(n) for n in range(5)]), *steps([review(1, decision(1))], source=REVIEWS)]
    for block in blocks:
        one.fold(block)
        expected.fold(block)
    own = {group.name: group for group in after.groups}
    for group in PLAIN.groups:
        found = one.totals[:, own[group.name].columns]
        if group.name in lost:
            assert not found.any()
        else:
            assert expected.totals[:, group.columns].tolist() == found.tolist()


def test_the_open_block_may_change_its_configuration_half_way() -> None:
    after = Layout(thresholds=(0.333,))
    one = ledger(after)
    events = [decision(n, score=0.3) for n in range(8)]
    for block in (*steps(events)[:4], *steps(events, layout=after)[4:]):
        one.fold(block)
    assert 8 == decisions(one)
    assert 8 == one.totals[0, after.score.columns].sum()


def test_the_last_decision_is_the_latest_that_any_partition_told() -> None:
    one = ledger()
    for block in steps([decision(1, at=T0 + 7), decision(2, at=T0 - HOUR)]):
        one.fold(block)
    assert 1000 * (T0 + 7) == one.last_decision_ms
