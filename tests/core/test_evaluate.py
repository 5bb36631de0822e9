"""A partition of the blocks topic: clocks, caps on models, and one consistent snapshot of everything."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from monitor import catalogue
from monitor.blocks import BlockMessage, Clock, ModelBlock
from monitor.cells import OTHER, Limits
from monitor.evaluate import IDLE_MS, LEAD_MS, ObjectiveSettings, PartitionEvaluator, label_overflow, take_snapshot
from monitor.snapshot import Objective, Quantity, ServiceSnapshot, Snapshot
from monitor.state import model_key
from monitor.topics import DECISIONS, LAUNCHES, REVIEWS
from tests.core.runs import EVALUATE, evaluated, model_settings, summaries, summarise_settings, write, writes
from tests.core.strategies import HOUR, MINUTE, T0, decision, launch, log, review, traffic

NOW = 1000 * T0


def snapshot(*evaluators: PartitionEvaluator, objectives: ObjectiveSettings | None = None) -> Snapshot:
    return take_snapshot(
        evaluators,
        objectives=objectives or ObjectiveSettings(),
        service=ServiceSnapshot(lag={("t", 0): 3}),
        taken_at=float(T0 + 1),
        ready=True,
        reason="",
    )


def bomb(count: int, **limits: Any) -> list[BlockMessage]:
    """Decisions of as many models as records."""
    events = [decision(n, model=f"m{n}", at=T0 + n) for n in range(count)]
    return summaries(
        log(DECISIONS, events, at=[T0 + n for n in range(count)]), summarise_settings(limits=Limits(**limits))
    )


def total(found: Snapshot) -> int:
    return sum(
        int(row.sum())
        for model in found.models
        for key, row in zip(model.series, model.decisions.values, strict=True)
        if key.segment == "all"
    )


# --- clocks ----------------------------------------------------------------------------------------------------------


def test_there_is_no_clock_before_the_first_message() -> None:
    evaluator = PartitionEvaluator(EVALUATE)
    evaluator.advance()
    assert evaluator.clock_ms is None
    found = snapshot(evaluator)
    assert found.clock is None
    assert () == found.models


def test_the_clock_is_where_the_farthest_source_is_and_never_runs_back() -> None:
    evaluator = PartitionEvaluator(EVALUATE)
    for message in (Clock("t", 0, NOW), Clock("t", 1, NOW + 5), Clock("t", 1, NOW + 3), Clock("t", 2, -1)):
        evaluator.fold(message)
    assert NOW + 5 == evaluator.clock_ms


def test_a_time_that_nobody_has_reached_yet_is_not_believed_and_the_right_one_after_it_is() -> None:
    evaluator = PartitionEvaluator(EVALUATE)
    for clock in (NOW, NOW + LEAD_MS + 1):
        evaluator.fold(Clock("t", 0, clock), now_ms=NOW)
    assert NOW == evaluator.clock_ms
    evaluator.fold(Clock("t", 0, NOW + LEAD_MS), now_ms=NOW)
    assert NOW + LEAD_MS == evaluator.clock_ms


def test_one_source_with_an_absurd_time_empties_no_window_not_even_after_a_restart() -> None:
    topic = summaries(log(DECISIONS, [decision(n, at=T0) for n in range(100)], at=[T0] * 100))
    topic += summaries(log(REVIEWS, [review(1, decision(1))], at=[T0 + 365 * 24 * HOUR]))
    evaluator = PartitionEvaluator(EVALUATE, owner="a")
    for message in topic:
        evaluator.fold(message, now_ms=NOW)
    state: dict[bytes, bytes] = {}
    write(state, writes(evaluator.checkpoints(position=len(topic))))
    heir = PartitionEvaluator(EVALUATE, owner="b")
    heir.restore(state, now_ms=NOW)
    for one in (evaluator, heir):
        one.advance()
        found = snapshot(one)
        assert T0 == found.clock
        assert {DECISIONS.topic: T0} == found.service.last_event_at
        (volume,) = {
            int(column.value[0])
            for column in found.models[0].readings
            if (column.quantity, column.window) == (Quantity.VOLUME, "5m")
        }
        assert 100 == volume


@pytest.mark.parametrize("kind", ["launch", "decision"])
def test_a_model_that_is_first_told_of_by_a_host_a_year_ahead_has_its_windows_all_the_same(kind: str) -> None:
    later = T0 + 365 * 24 * HOUR
    first = (
        summaries(log(LAUNCHES, [launch("1", at=later)], at=[later]))
        if kind == "launch"
        else summaries(log(DECISIONS, [decision("x", at=later)], at=[later], partition=1))
    )
    events = [decision(n, at=T0 - n) for n in range(100)]
    evaluator = PartitionEvaluator(EVALUATE)
    for message in [*first, *summaries(log(DECISIONS, events, at=[T0] * 100))]:
        evaluator.fold(message, now_ms=NOW)
    evaluator.advance()
    (model,) = snapshot(evaluator).models
    volumes = {column.window: int(column.value[0]) for column in model.readings if column.quantity is Quantity.VOLUME}
    assert {"5m": 100, "1h": 100, "24h": 100, "7d": 100} == volumes
    assert T0 == model.last_decision_at


def test_a_restart_knows_how_far_sources_were_whose_own_counts_go_through_another_partition() -> None:
    clocks = [Clock(DECISIONS.topic, 0, NOW + 600_000), Clock(REVIEWS.topic, 3, NOW + 120_000)]
    events = [decision(n, at=T0 + n * MINUTE) for n in range(10)]
    topic: list[BlockMessage] = [
        *(one for one in summaries(log(DECISIONS, events, at=[T0] * 10)) if isinstance(one, ModelBlock)),
        *clocks,
    ]
    evaluator = PartitionEvaluator(EVALUATE, owner="a")
    for message in topic:
        evaluator.fold(message, now_ms=NOW + 600_000)
    state: dict[bytes, bytes] = {}
    write(state, writes(evaluator.checkpoints(position=len(topic))))
    heir = PartitionEvaluator(EVALUATE, owner="b")
    assert len(topic) == heir.restore(state, now_ms=NOW + 600_000).reread_from
    closed = []
    for one in (evaluator, heir):
        one.advance()
        (model,) = one.models()
        closed.append((snapshot(one).clock, model.streams.next_minute))
    assert [(T0 + 600, T0 // MINUTE + 2 - 1)] * 2 == closed


def test_launches_move_no_window() -> None:
    evaluator = PartitionEvaluator(EVALUATE)
    evaluator.fold(Clock(DECISIONS.topic, 0, NOW))
    evaluator.fold(Clock(LAUNCHES.topic, 0, NOW + 60_000))
    assert NOW == evaluator.clock_ms


def closed_until(*clocks: Clock) -> int:
    """How far minutes are closed for a model with a decision in each of twenty minutes."""
    settings = model_settings(kinds=())
    times = [T0 + n * MINUTE for n in range(20)]
    events = [decision(n, at=time) for n, time in enumerate(times)]
    evaluator = PartitionEvaluator(settings)
    for message in summaries(log(DECISIONS, events, at=times), summarise_settings(block_size=64)):
        evaluator.fold(message)
    for clock in clocks:
        evaluator.fold(clock)
    evaluator.advance()
    (model,) = evaluator.models()
    return model.streams.next_minute - T0 // MINUTE


def test_the_slowest_source_that_is_not_idle_says_which_minutes_are_complete() -> None:
    fast = Clock(DECISIONS.topic, 0, NOW + 1_200_000)
    assert 20 - 1 == closed_until(fast)
    assert 15 - 1 == closed_until(fast, Clock(REVIEWS.topic, 0, NOW + 900_000))
    assert 20 - 1 == closed_until(fast, Clock(REVIEWS.topic, 0, NOW + 1_200_000 - IDLE_MS - 1))


# --- caps ------------------------------------------------------------------------------------------------------------


def test_models_beyond_the_cap_count_under_other_and_all_decisions_are_counted() -> None:
    evaluator = evaluated(bomb(400), model_settings(limits=Limits(models=5)))
    found = snapshot(evaluator)
    assert 5 + 1 == len({model.model for model in found.models})
    assert OTHER in {model.model for model in found.models}
    assert 400 == total(found)
    assert 395 == found.service.counters[catalogue.LABEL_OVERFLOW.name]["model",]


@pytest.mark.parametrize(
    ("limits", "over"), [(Limits(values={"language": frozenset({"es"})}), 0), (Limits(dimension_values=1), 5)]
)
def test_other_that_the_settings_ask_for_is_no_overflow(limits: Limits, over: int) -> None:
    kinds = (("language",),)
    events = [decision(n, at=T0, language="es" if n % 2 else "en") for n in range(10)]
    topic = summaries(log(DECISIONS, events, at=[T0] * 10), summarise_settings(limits=limits, kinds=kinds))
    found = snapshot(evaluated(topic, model_settings(limits=limits, kinds=kinds)))
    assert "language=other" in {series.segment for series in found.models[0].series}
    assert over == found.service.counters[catalogue.LABEL_OVERFLOW.name]["segment",]


def test_a_restored_evaluator_gives_the_same_models_to_other() -> None:
    settings = model_settings(limits=Limits(models=3))
    topic = [message for log_ in traffic(3, models=6) for message in summaries(log_)]
    rng = random.Random(1)
    expected = {model.name: model.ledger.totals.sum() for model in evaluated(topic, settings).models()}
    for _ in range(5):
        cut = rng.randrange(len(topic))
        first, state = PartitionEvaluator(settings, owner="a"), dict[bytes, bytes]()
        for message in topic[:cut]:
            first.fold(message)
        records = writes(first.checkpoints(position=cut))
        write(state, records[: rng.randrange(len(records) + 1)])
        second = PartitionEvaluator(settings, owner="b")
        for message in topic[second.restore(state).reread_from :]:
            second.fold(message)
        assert expected == {model.name: model.ledger.totals.sum() for model in second.models()}


def test_other_takes_no_place_of_a_model_not_even_when_a_crash_left_it_without_one() -> None:
    settings = model_settings(limits=Limits(models=2))
    names = ("a", "x", "z")
    topic = [
        m for n, name in enumerate(names) for m in summaries(log(DECISIONS, [decision(1, model=name)], partition=n))
    ]
    first = PartitionEvaluator(settings, owner="1")
    for message in topic:
        first.fold(message)
    assert ["a", OTHER, "x"] == [model.name for model in first.models()]
    records = writes(first.checkpoints(position=len(topic)))
    reached = next(n for n, (key, _) in enumerate(records) if key == model_key(OTHER, "1")) + 1
    state: dict[bytes, bytes] = {}
    write(state, records[:reached])
    second = PartitionEvaluator(settings, owner="2")
    for message in topic[second.restore(state).reread_from :]:
        second.fold(message)
    assert ["a", OTHER, "x"] == [model.name for model in second.models()]
    assert [1, 1, 1] == [model.ledger.last_decision_ms is not None for model in second.models()]


def test_overflow_is_told_by_the_label_that_ran_over() -> None:
    limits = Limits(versions=2, policies=3, dimension_values=4)
    events = [decision(n, model_version=f"v{n}", policy=f"p{n}", language=f"l{n}") for n in range(10)]
    kinds = (("language",),)
    settings = model_settings(limits=limits, kinds=kinds)
    messages = summaries(log(DECISIONS, events), summarise_settings(limits=limits, kinds=kinds))
    found = snapshot(evaluated(messages, settings)).service.counters[catalogue.LABEL_OVERFLOW.name]
    assert {("model",): 0, ("model_version",): 8, ("policy",): 7, ("segment",): 6} == found
    assert set(found) == set(label_overflow(()))


def test_a_value_that_the_contract_calls_other_is_no_overflow() -> None:
    events = [decision(1, modality="smell", action="blur")]
    settings = model_settings(kinds=(("modality",),))
    found = snapshot(evaluated(summaries(log(DECISIONS, events)), settings)).service.counters
    assert {0} == set(found[catalogue.LABEL_OVERFLOW.name].values())


def test_segments_that_had_no_room_are_told_also_where_other_is_a_name_of_the_contract() -> None:
    events = [decision(n, modality="text") for n in range(3)] + [decision(n + 3, modality="video") for n in range(10)]
    kinds = (("language",), ("modality",))
    for limits, over in ((Limits(segments=2), 10), (Limits(series=3), 10), (Limits(), 0)):
        topic = summaries(log(DECISIONS, events), summarise_settings(limits=limits, kinds=kinds, block_size=4))
        found = snapshot(evaluated(topic, model_settings(limits=limits, kinds=kinds))).service.counters
        assert over == found[catalogue.LABEL_OVERFLOW.name]["segment",], limits


def test_a_segment_that_only_begins_like_other_takes_a_place_as_any() -> None:
    limits, kinds = Limits(segments=2), (("language",), ("modality",))
    events = [decision(n, modality="text", language="otherland") for n in range(3)]
    events += [decision(n + 3, modality="video", language="otherland") for n in range(10)]
    topic = summaries(log(DECISIONS, events), summarise_settings(limits=limits, kinds=kinds, block_size=4))
    found = snapshot(evaluated(topic, model_settings(limits=limits, kinds=kinds))).service.counters
    assert 10 == found[catalogue.LABEL_OVERFLOW.name]["segment",]


# --- snapshots -------------------------------------------------------------------------------------------------------


def split(messages: Iterable[BlockMessage]) -> list[PartitionEvaluator]:
    """Two partitions, by the last character of the model's name."""
    parts = [PartitionEvaluator(EVALUATE) for _ in range(2)]
    for message in messages:
        parts[int(message.model[-1]) % 2 if isinstance(message, ModelBlock) and message.model != "m" else 0].fold(
            message
        )
    for part in parts:
        part.advance(max(p.clock_ms or 0 for p in parts))
    return parts


def test_a_snapshot_of_several_partitions_is_that_of_one() -> None:
    topic = [message for log_ in traffic(5) for message in summaries(log_)]
    one, two = snapshot(evaluated(topic)), snapshot(*split(topic))
    assert [model.model for model in one.models] == [model.model for model in two.models]
    assert one.service.counters == two.service.counters
    assert one.clock == two.clock
    for whole, part in zip(one.models, two.models, strict=True):
        assert whole.series == part.series
        assert whole.decisions.values.tolist() == part.decisions.values.tolist()


def test_a_snapshot_says_what_the_shell_says_and_adds_what_the_state_knows() -> None:
    events = [decision(1), None, b"{"]
    found = snapshot(evaluated(summaries(log(DECISIONS, events))))
    assert {("t", 0): 3} == found.service.lag
    assert (T0 + 1.0, True, "") == (found.taken_at, found.ready, found.reason)
    assert T0 == found.clock
    assert {DECISIONS.topic: T0} == found.service.last_event_at
    counters = found.service.counters
    assert {(DECISIONS.topic,): 3} == counters[catalogue.RECORDS.name]
    assert {(DECISIONS.topic,): 1} == counters[catalogue.TOMBSTONES.name]
    assert {(DECISIONS.topic, "malformed"): 1} == counters[catalogue.DEAD_LETTERS.name]


def test_a_snapshot_of_nothing_is_complete() -> None:
    found = snapshot()
    assert (None, (), (), {}) == (found.clock, found.models, found.objectives, found.drift_thresholds)


def test_pieces_that_were_set_aside_are_counted_by_reason() -> None:
    evaluator = PartitionEvaluator(EVALUATE)
    evaluator.set_aside("block")
    evaluator.set_aside("block")
    assert {("block",): 2} == snapshot(evaluator).service.counters[catalogue.STATE_DISCARDED.name]


def test_objectives_are_told_for_each_policy_that_was_seen_the_finer_one_first() -> None:
    objectives = ObjectiveSettings(
        precision=0.8, minimum_labels=10, models={"n": (0.7, 20)}, policies={("n", "b"): (0.6, 30)}
    )
    events = [decision(1), decision(2, model="n", policy="a"), decision(3, model="n", policy="b")]
    found = snapshot(evaluated(summaries(log(DECISIONS, events))), objectives=objectives)
    expected = (Objective("m", "p", 0.8, 10), Objective("n", "a", 0.7, 20), Objective("n", "b", 0.6, 30))
    assert expected == found.objectives


def test_late_records_leave_the_windows_of_the_last_hour_as_they_are_bit_for_bit() -> None:
    recent = [decision(n, at=T0 - n * 30) for n in range(60)]
    late = [decision(f"late{n}", at=T0 - 3 * HOUR - n * HOUR) for n in range(60)]
    labels = [review(n, event) for n, event in enumerate(late)]
    without = evaluated(summaries(log(DECISIONS, recent)), clock_ms=NOW)
    topic = [*summaries(log(DECISIONS, [*recent, *late])), *summaries(log(REVIEWS, labels))]
    (before,), (after,) = without.models(), evaluated(topic, clock_ms=NOW).models()
    for window, dense in before.ledger.cohorts._windows.items():
        if window.minutes <= 60:
            rows = len(before.ledger.table.series)
            assert dense[:rows].tobytes() == after.ledger.cohorts._windows[window][:rows].tobytes()
    assert before.ledger.totals.sum() < after.ledger.totals.sum()
