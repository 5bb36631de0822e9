"""One source partition: duplicates, lateness, clocks, gaps, dead letters, and the account of every record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from monitor import catalogue
from monitor.blocks import BlockMessage, ModelBlock, SourceBlock
from monitor.cells import OTHER, Limits
from monitor.decode import Rejected, decode_event
from monitor.events import Appeal, Decision, Report, Review
from monitor.join.forwarding import chunks, decode_chunk
from monitor.layout import ACTIONS
from monitor.open_block import CLOCK_RECORDS, DeadLetter
from monitor.packing import unpack
from monitor.partition import PartitionSummariser
from monitor.sources import SourceLedger
from monitor.summarise_settings import SummariseSettings
from monitor.topics import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS, SourceTopic
from tests.core.runs import (
    BLOCK,
    HORIZON,
    PLAIN,
    SUMMARISE,
    counted,
    dead_letters,
    feed,
    summaries,
    summarise_settings,
    summariser,
)
from tests.core.strategies import (
    DAY,
    HOUR,
    POISON,
    T0,
    Event,
    Log,
    appeal,
    decision,
    encoded,
    examples,
    launch,
    log,
    report,
    review,
    seeds,
    traffic,
)

SETTINGS = summarise_settings()
YEAR_2100 = 4_102_444_800


def count(metric: catalogue.Metric, messages: Sequence[BlockMessage]) -> int:
    return sum(number for (name, _), number in counted(messages).items() if name == metric.name)


def accepted(messages: Sequence[BlockMessage], layout: Any = PLAIN) -> int:
    """Records in the sums of the farthest messages: each is in one column of these groups."""
    total = 0
    for message in farthest(messages):
        columns, values = unpack(message.cohort.column), unpack(message.cohort.value)
        for group in (layout.actions, layout.reviews, layout.appeals, layout.reports):
            total += int(values[(columns >= group.start) & (columns < group.columns.stop)].sum())
    return total


def farthest(messages: Sequence[BlockMessage]) -> list[ModelBlock]:
    last = {(m.span.first, m.model): m for m in messages if isinstance(m, ModelBlock)}
    return list(last.values())


def minutes(messages: Sequence[BlockMessage]) -> list[int]:
    """Minute of each accepted decision, in order."""
    found: list[int] = []
    for message in farthest(messages):
        counts = unpack(message.cohort.column) < len(ACTIONS)
        cells, values = unpack(message.cohort.cell)[counts], unpack(message.cohort.value)[counts]
        for minute, value in zip(unpack(message.cell_minute)[cells].tolist(), values.tolist(), strict=True):
            found += [minute] * value
    return sorted(found)


def with_offsets(events: Log, offsets: list[int], end: int) -> Log:
    return Log(events.source, events.partition, offsets, events.timestamps, events.values, end)


# --- duplicates ------------------------------------------------------------------------------------------------------


def test_a_copy_in_the_same_block_counts_once() -> None:
    messages = summaries(log(DECISIONS, [decision(1), decision(2), decision(1, score=0.9), decision(1)]), SETTINGS)
    assert (2, 2) == (accepted(messages), count(catalogue.DUPLICATES, messages))


@pytest.mark.parametrize("distance", [1, HORIZON])
def test_a_copy_within_the_horizon_of_blocks_counts_once(distance: int) -> None:
    between = [decision(n) for n in range(2, distance * BLOCK + BLOCK)]
    first, copy = [decision(1), *between[: BLOCK - 1]], [decision(1)]
    messages = summaries(log(DECISIONS, [*first, *between[BLOCK - 1 : distance * BLOCK - 1], *copy]), SETTINGS)
    assert 1 == count(catalogue.DUPLICATES, messages)
    assert distance * BLOCK == accepted(messages)


def test_a_copy_beyond_the_horizon_counts_again() -> None:
    size = (HORIZON + 1) * BLOCK
    messages = summaries(log(DECISIONS, [decision(n) for n in (*range(size), 0)]), SETTINGS)
    assert (0, size + 1) == (count(catalogue.DUPLICATES, messages), accepted(messages))


def test_the_horizon_reaches_over_gaps_by_offsets_not_by_blocks_read() -> None:
    events = log(DECISIONS, [decision(1), decision(1), decision(1)])
    far = with_offsets(events, [0, HORIZON * BLOCK, (2 * HORIZON + 1) * BLOCK], (2 * HORIZON + 1) * BLOCK + 1)
    assert 1 == count(catalogue.DUPLICATES, summaries(far, SETTINGS))


def test_copies_on_two_partitions_are_not_recognised() -> None:
    messages = [m for number in (0, 1) for m in summaries(log(DECISIONS, [decision(1)], partition=number), SETTINGS)]
    assert 0 == count(catalogue.DUPLICATES, messages)


def test_after_a_refused_first_copy_the_next_one_counts() -> None:
    events = [decision(1, score=7), decision(1, model="a b"), decision(1), decision(1)]
    messages = summaries(log(DECISIONS, events), SETTINGS)
    assert (1, 1, 2) == (
        accepted(messages),
        count(catalogue.DUPLICATES, messages),
        count(catalogue.DEAD_LETTERS, messages),
    )


def test_a_copy_of_a_late_decision_is_a_duplicate() -> None:
    late = decision(1, at=T0 - 3 * DAY)
    messages = summaries(log(DECISIONS, [late, late]), SETTINGS)
    assert (1, 1) == (count(catalogue.LATE, messages), count(catalogue.DUPLICATES, messages))


ABOUT = decision(1)


@pytest.mark.parametrize(
    ("source", "copies", "others"),
    [
        (REVIEWS, [review(1, ABOUT), review(1, ABOUT, verdict="benign")], [review(2, ABOUT)]),
        (APPEALS, [appeal(1, ABOUT), appeal(1, ABOUT)], [appeal(1, ABOUT, stage="upheld"), appeal(2, ABOUT)]),
        (REPORTS, [report(1, ABOUT), report(1, ABOUT)], [report(2, ABOUT)]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_each_kind_of_feedback_has_its_own_idea_of_a_copy(
    source: SourceTopic, copies: list[Event], others: list[Event]
) -> None:
    messages = summaries(log(source, [*copies, *others]), SETTINGS)
    assert (1, 1 + len(others)) == (count(catalogue.DUPLICATES, messages), accepted(messages))


def test_the_memory_for_duplicates_is_bounded_by_the_horizon() -> None:
    events = log(DECISIONS, [decision(n) for n in range(20 * BLOCK)])
    follower = summariser(events, SETTINGS)
    for begin in range(0, len(events), 7):
        feed(follower, events, begin, min(begin + 7, len(events)))
        assert np.count_nonzero(follower._ids._block) <= (HORIZON + 1) * BLOCK
        assert len(follower._clocks) <= HORIZON


# --- the account -----------------------------------------------------------------------------------------------------


def identifier(event: object) -> tuple[str, ...]:
    match event:
        case Decision():
            return (event.decision_id,)
        case Review():
            return (event.review_id,)
        case Appeal():
            return (event.stage, event.appeal_id)
        case Report():
            return (event.report_id,)
    raise AssertionError(event)


@examples(25)
@given(seed=seeds)
def test_published_distinct_is_counted_dead_late_tombstones_and_orphans(seed: int) -> None:
    for events in traffic(seed):
        if events.source is LAUNCHES:
            continue
        whole = SummariseSettings(layout=SUMMARISE.layout, kinds=(), block_size=4096, horizon=1)
        decoded = [None if value is None else decode_event(events.source, value) for value in events.values]
        distinct = {identifier(event) for event in decoded if event is not None and not isinstance(event, Rejected)}
        dead = sum(isinstance(event, Rejected) for event in decoded)
        messages = summaries(events, whole)
        terms = {
            "counted": accepted(messages, SUMMARISE.layout("")),
            "dead": count(catalogue.DEAD_LETTERS, messages),
            "late": count(catalogue.LATE, messages),
            "orphans": count(catalogue.ORPHANS, messages),
        }
        assert len(distinct) + dead == sum(terms.values())
        tombstones = count(catalogue.TOMBSTONES, messages)
        assert events.values.count(None) == tombstones
        copies = count(catalogue.DUPLICATES, messages)
        assert len(events) == sum(terms.values()) + tombstones + copies == count(catalogue.RECORDS, messages)


def test_only_feedback_without_context_is_an_orphan_and_its_copies_are_duplicates() -> None:
    events = [review(1, ABOUT, known=False), review(2, ABOUT), review(1, ABOUT)]
    messages = summaries(log(REVIEWS, events), SETTINGS)
    assert (1, 1, 1) == (
        count(catalogue.ORPHANS, messages),
        count(catalogue.DUPLICATES, messages),
        accepted(messages),
    )


# --- dead letters ----------------------------------------------------------------------------------------------------


def test_dead_letters_say_where_they_are_in_order_and_why() -> None:
    events = [decision(1, model="a b"), b"{", decision(2), None, decision(3, score=-1), decision(4, language=" ")]
    records = with_offsets(log(DECISIONS, events), [3, 5, 6, 7, 30, 31], 32)
    found = dead_letters(records, SETTINGS)
    assert [(0, 3), (1, 5), (4, 30), (5, 31)] == [(letter.index, letter.offset) for letter in found]
    assert ["invalid", "malformed", "invalid", "invalid"] == [letter.why.reason for letter in found]
    assert {("malformed",): 1, ("invalid",): 3} == {
        labels[1:]: number
        for (name, labels), number in counted(summaries(records, SETTINGS)).items()
        if name == catalogue.DEAD_LETTERS.name
    }


def test_nothing_but_poison_leaves_counts_and_no_model() -> None:
    events = list(POISON) * 20
    messages = summaries(log(DECISIONS, events), SETTINGS)
    assert not [message for message in messages if isinstance(message, ModelBlock)]
    assert len(events) == count(catalogue.DEAD_LETTERS, messages) == count(catalogue.RECORDS, messages)


def test_a_launch_with_a_bad_name_is_refused() -> None:
    found = dead_letters(log(LAUNCHES, [launch("1"), launch("a b"), launch("2", stage="\n")]), SETTINGS)
    assert [(1, "model_version"), (2, "stage")] == [(letter.index, letter.why.field) for letter in found]


def test_unknown_enumeration_values_are_counted_by_field() -> None:
    events = [
        decision(1, action="blur", modality="smell", variant="canary"),
        decision(2, action="blur"),
        decision(2, action="blur"),
        decision(3),
    ]
    found = counted(summaries(log(DECISIONS, events), SETTINGS))
    expected = {"action": 2, "modality": 1, "variant": 1}
    unknown = catalogue.UNKNOWN_VALUES.name
    assert expected == {labels[1]: number for (name, labels), number in found.items() if name == unknown}
    reviews = counted(summaries(log(REVIEWS, [review(1, ABOUT, verdict="x", source="y")]), SETTINGS))
    assert {"source": 1, "verdict": 1} == {
        labels[1]: number for (name, labels), number in reviews.items() if name == unknown
    }
    appeals = counted(summaries(log(APPEALS, [appeal(1, ABOUT, stage="x")]), SETTINGS))
    assert 1 == appeals[unknown, (APPEALS.topic, "stage")]
    launches = counted(summaries(log(LAUNCHES, [launch("1", variant="x")]), SETTINGS))
    assert 1 == launches[unknown, (LAUNCHES.topic, "variant")]


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_decision_is_late_beyond_the_lateness_and_not_at_it() -> None:
    events = [decision(1, at=T0 - DAY), decision(2, at=T0 - DAY - 0.001), decision(3, at=T0 - 2 * DAY)]
    messages = summaries(log(DECISIONS, events), SETTINGS)
    assert (2, 1) == (count(catalogue.LATE, messages), accepted(messages))


def test_feedback_is_late_by_the_age_of_its_decision() -> None:
    old, older = decision(1, at=T0 - 180 * DAY), decision(2, at=T0 - 180 * DAY - 1)
    messages = summaries(log(REVIEWS, [review(1, old), review(2, older)]), SETTINGS)
    assert (1, 1) == (count(catalogue.LATE, messages), accepted(messages))


def test_a_decision_from_the_future_is_counted_at_its_kafka_time_and_a_little_ahead_is_left_alone() -> None:
    events = [decision(1, at=T0 + 300), decision(2, at=T0 + 301), decision(3, at=T0 + HOUR), decision(4, at=YEAR_2100)]
    messages = summaries(log(DECISIONS, events), SETTINGS)
    assert (3, 4) == (count(catalogue.FUTURE, messages), accepted(messages))
    assert [T0 // 60] * 3 + [T0 // 60 + 5] == minutes(messages)


def test_the_clock_is_the_median_of_the_last_timestamps() -> None:
    times = [T0 + n for n in range(200)]
    messages = summaries(
        log(DECISIONS, [decision(n) for n in range(200)], at=times), summarise_settings(block_size=256)
    )
    last = sorted(times[-CLOCK_RECORDS:])
    assert 1000 * last[CLOCK_RECORDS // 2 - 1] == messages[-1].span.clock_ms  # type: ignore[union-attr]


def spans(messages: Sequence[BlockMessage]) -> list[int]:
    return [message.span.clock_ms for message in messages if isinstance(message, SourceBlock)]


@pytest.mark.parametrize("where", [1, 5, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_one_record_of_the_year_2100_moves_no_clock_not_even_at_the_begin_of_a_block(where: int) -> None:
    times = [float(T0 + n) for n in range(4 * BLOCK)]
    times[where] = YEAR_2100
    events = log(DECISIONS, [decision(n) for n in range(len(times))], at=times)
    follower = summariser(events, SETTINGS)
    clocks = []
    for index in range(len(events)):
        _, closed = feed(follower, events, index, index + 1)
        clocks += spans(closed) + spans(follower.open_block())
    assert max(clocks) <= 1000 * (T0 + len(times))
    assert len(times) == len(clocks)


def test_timestamps_that_step_back_move_nothing_but_the_median() -> None:
    times = [T0 + (600 if n % 2 else -600) for n in range(40)]
    found = spans(summaries(log(DECISIONS, [decision(n) for n in range(40)], at=times), SETTINGS))
    assert {1000 * (T0 - 600)} == set(found)


@pytest.mark.parametrize("timestamp", [-1, 0, 2**62])
def test_records_without_a_believable_timestamp_are_counted_somewhere(timestamp: int) -> None:
    events = log(DECISIONS, [decision(1), decision(2)])
    strange = Log(events.source, 0, events.offsets, [timestamp, timestamp], events.values, events.end)
    messages = summaries(strange, SETTINGS)
    assert 2 == accepted(messages) + count(catalogue.LATE, messages)
    assert count(catalogue.FUTURE, messages) == accepted(messages)


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_a_block_ends_with_an_offset_at_or_beyond_its_end_or_when_the_log_goes_on_there() -> None:
    events = log(DECISIONS, [decision(n) for n in range(3)])
    cases = {(0, 5, BLOCK - 1): BLOCK, (0, 5, BLOCK): BLOCK + 1, (0, 5, 9): BLOCK, (0, 5, 7 * BLOCK): 7 * BLOCK + 1}
    for offsets, end in cases.items():
        records = with_offsets(events, list(offsets), end)
        _, closed = feed(summariser(records, SETTINGS), records, 0, 3)
        span = next(message.span for message in closed if isinstance(message, SourceBlock))
        assert (0, BLOCK, True) == (span.first, span.through, span.closed)


def test_blocks_that_hold_only_gaps_are_told_once_the_log_goes_on_and_count_as_read() -> None:
    records = with_offsets(log(DECISIONS, [decision(1), decision(2)]), [1, 5 * BLOCK + 2], 9 * BLOCK)
    found = [message for message in summaries(records, SETTINGS) if isinstance(message, SourceBlock)]
    assert [number * BLOCK for number in range(6)] == [message.span.first for message in found]
    assert [True, False, False, False, False, True] == [bool(message.counts) for message in found]
    ledger = SourceLedger(DECISIONS.topic, 0)
    assert all(ledger.fold(message) for message in found)
    assert (catalogue.MISSED.name, (DECISIONS.topic,)) not in ledger.totals()


@pytest.mark.parametrize(("committed", "told"), [(0, [1, 2, 3, 4, 5]), (3 * BLOCK + 1, [3, 4, 5]), (6 * BLOCK, [])])
def test_a_new_owner_tells_of_gaps_from_where_it_goes_on(committed: int, told: list[int]) -> None:
    records = with_offsets(log(DECISIONS, [decision(1), decision(2)]), [1, 5 * BLOCK + 2], 9 * BLOCK)
    follower = summariser(records, SETTINGS, committed=committed)
    _, closed = follower.feed(
        records.offsets[1:], records.timestamps[1:], records.values[1:], next_offset=9 * BLOCK, first_offset=2
    )
    found = [message.span.first // BLOCK for message in closed if isinstance(message, SourceBlock)]
    assert told == found


def test_blocks_that_the_log_no_longer_holds_are_not_told_and_count_as_missed() -> None:
    records = with_offsets(log(DECISIONS, [decision(1), decision(2)]), [1, 5 * BLOCK + 2], 9 * BLOCK)
    follower = summariser(records, SETTINGS)
    _, closed = follower.feed([1], records.timestamps[:1], records.values[:1], next_offset=2, first_offset=0)
    _, later = follower.feed(
        records.offsets[1:],
        records.timestamps[1:],
        records.values[1:],
        next_offset=9 * BLOCK,
        first_offset=2 * BLOCK + 1,
    )
    found = [message for message in [*closed, *later] if isinstance(message, SourceBlock)]
    assert [0, 3, 4, 5] == [message.span.first // BLOCK for message in found]
    ledger = SourceLedger(DECISIONS.topic, 0)
    for message in found:
        ledger.fold(message)
    assert 2 * BLOCK == ledger.totals()[catalogue.MISSED.name, (DECISIONS.topic,)]


def test_a_fetch_without_records_moves_the_position_and_may_end_the_block() -> None:
    records = log(DECISIONS, [decision(1)])
    follower = summariser(records, SETTINGS)
    feed(follower, records, 0, 1)
    assert ([], []) == follower.feed([], [], [], next_offset=7)
    (_, told) = follower.open_block()
    assert isinstance(told, SourceBlock)
    assert 7 == told.span.through
    _, closed = follower.feed([], [], [], next_offset=BLOCK)
    assert all(isinstance(message, (ModelBlock, SourceBlock)) and message.span.closed for message in closed)
    assert 2 == len(closed)


def test_the_open_block_is_told_once_until_it_grows() -> None:
    records = log(DECISIONS, [decision(1), decision(2)])
    follower = summariser(records, SETTINGS)
    assert [] == follower.open_block()
    feed(follower, records, 0, 1)
    assert 2 == len(follower.open_block())
    assert [] == follower.open_block()
    feed(follower, records, 1, 2)
    assert 2 == accepted(follower.open_block())


def test_blocks_of_the_horizon_are_read_but_not_told() -> None:
    records = log(DECISIONS, [decision(n) for n in range(3 * BLOCK)])
    follower = summariser(records, SETTINGS, committed=2 * BLOCK + 3)
    _, closed = feed(follower, records, 0, len(records))
    assert {2 * BLOCK} == {message.span.first for message in closed if isinstance(message, (ModelBlock, SourceBlock))}


def test_a_block_whose_begin_is_gone_from_the_log_says_from_where_it_counts() -> None:
    records = log(DECISIONS, [decision(n) for n in range(2 * BLOCK)])
    kept = Log(DECISIONS, 0, records.offsets[5:], records.timestamps[5:], records.values[5:], records.end)
    follower = PartitionSummariser(DECISIONS, 0, summarise_from=0, log_start=5, settings=SETTINGS)
    _, closed = feed(follower, kept, 0, len(kept))
    found = [(m.span.first, m.span.begin) for m in closed if isinstance(m, SourceBlock)]
    assert [(0, 5), (BLOCK, BLOCK)] == found


def test_the_model_part_of_a_block_says_when_its_last_decision_was() -> None:
    (first, second, _) = summaries(
        log(DECISIONS, [decision(1, at=T0 + 9), decision(2, at=T0, model="n"), decision(3, at=T0)]), SETTINGS
    )
    assert isinstance(first, ModelBlock)
    assert isinstance(second, ModelBlock)
    assert [("m", 1000 * T0 + 9000), ("n", 1000 * T0)] == [(b.model, b.last_decision_ms) for b in (first, second)]
    (about, _) = summaries(log(REVIEWS, [review(1, ABOUT)]), SETTINGS)
    assert isinstance(about, ModelBlock)
    assert about.last_decision_ms is None


def test_a_decision_of_the_day_after_tomorrow_is_not_the_last_one() -> None:
    (block, _) = summaries(
        log(DECISIONS, [decision(n, at=T0 + at) for n, at in enumerate((0, 7, 2 * 86_400))]), SETTINGS
    )
    assert isinstance(block, ModelBlock)
    assert 1000 * (T0 + 7) == block.last_decision_ms


# --- caps ------------------------------------------------------------------------------------------------------------


def test_models_beyond_the_cap_of_a_block_are_one_block_of_other_with_exact_counts() -> None:
    events = [decision(n, model=f"m{n % 10}") for n in range(BLOCK)]
    messages = summaries(log(DECISIONS, events), summarise_settings(limits=Limits(models_in_block=3)))
    blocks = {block.model: block for block in farthest(messages)}
    assert {"m0", "m1", "m2", OTHER} == set(blocks)
    assert BLOCK == accepted(messages)
    expected = Counter(event["model"] if event["model"] in blocks else OTHER for event in events)
    assert expected[OTHER] == accepted([blocks[OTHER]])


def test_launches_of_models_beyond_the_cap_are_told_under_other() -> None:
    events = [launch("1", model=f"m{n}") for n in range(8)]
    blocks = farthest(summaries(log(LAUNCHES, events), summarise_settings(limits=Limits(models_in_block=2))))
    assert {"m0": 1, "m1": 1, OTHER: 6} == {block.model: len(block.launches) for block in blocks}


def test_arrays_of_a_message_are_of_one_length() -> None:
    for message in summaries(traffic(3)[0]):
        if isinstance(message, ModelBlock):
            for entries in (message.cohort, message.arrival):
                sizes = {unpack(part).size for part in (entries.cell, entries.column, entries.value)}
                assert 1 == len(sizes)
            assert unpack(message.cell_series).size == unpack(message.cell_minute).size
            assert sorted(set(message.series)) == list(message.series)
            assert np.array_equal(np.unique(unpack(message.cell_series)), np.arange(len(message.series)))


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_how_many_decisions_are_read_at_once_changes_nothing(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SummariseSettings(layout=SUMMARISE.layout, kinds=(), block_size=256, horizon=1, join=True)
    strange: list[bytes | None] = [None, b"junk", encoded(decision(0, score=7)), encoded(decision(0, model="a b"))]
    acted = [encoded(decision(n, action="remove", policy_version="é" if n % 3 else "1")) for n in range(60)]
    others = [encoded(decision(100 + n, action="allow", sampled=n % 5 == 0)) for n in range(80)]
    values = [value for four in zip(acted, others, strange * 15, others[20:], strict=False) for value in four]

    def told() -> tuple[list[DeadLetter], list[tuple[int, bytes]], list[BlockMessage]]:
        follower = PartitionSummariser(DECISIONS, 0, summarise_from=0, log_start=0, settings=settings)
        times = [1000 * T0 + n for n in range(len(values))]
        dead, _ = follower.feed(range(len(values)), times, values, next_offset=len(values))
        forwards = follower.take_forwards()
        written = chunks(forwards, partitions=1)
        assert (45, 84) == (len(dead), len(decode_chunk(written[0][1])))
        return dead, written, follower.open_block()

    expected = told()
    monkeypatch.setattr("monitor.read_decisions.DECODED_AT_ONCE", at_once)
    assert expected == told()
    monkeypatch.setattr("monitor.read_decisions.COMPILED", False)
    assert expected == told()
