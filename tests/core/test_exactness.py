"""Crash, redelivery, order and fetch sizes never change a number: both stages, all topics, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given

from monitor.blocks import encode_block
from monitor.evaluate import PartitionEvaluator
from tests.core.runs import (
    BLOCK,
    EVALUATE,
    HORIZON,
    SUMMARISE,
    crashing,
    disturbed_summaries,
    evaluated,
    facts,
    feed,
    interleaved,
    last_of,
    summaries,
    summariser,
    write,
    writes,
)
from tests.core.strategies import Log, examples, seeds, traffic


def end_of(logs: Sequence[Log]) -> int:
    return max(at for log in logs for at in log.timestamps)


def undisturbed(logs: Sequence[Log]) -> dict[str, object]:
    messages = [message for log in logs for message in summaries(log)]
    return facts(evaluated(messages, clock_ms=end_of(logs)))


@examples(20)
@given(seed=seeds)
def test_any_split_into_fetches_any_crash_and_any_open_block_give_the_bytes_of_one_undisturbed_read(seed: int) -> None:
    rng = random.Random(seed)
    for log in traffic(seed, decisions=60):
        expected = [encode_block(message) for message in last_of(summaries(log))]
        assert expected == [encode_block(message) for message in last_of(list(disturbed_summaries(log, rng)))]


@examples(15)
@given(seed=seeds)
def test_messages_are_the_same_when_every_record_is_a_fetch_of_its_own(seed: int) -> None:
    log = traffic(seed, decisions=40)[0]
    follower = summariser(log)
    closed = [message for index in range(len(log)) for message in feed(follower, log, index, index + 1)[1]]
    assert summaries(log) == [*closed, *follower.open_block()]


@examples(15)
@given(seed=seeds)
def test_a_ledger_does_not_depend_on_repeated_messages_nor_on_the_order_of_source_partitions(seed: int) -> None:
    logs = traffic(seed)
    topic = interleaved(logs, random.Random(seed))
    assert undisturbed(logs) == facts(evaluated(topic, clock_ms=end_of(logs)))


@examples(15)
@given(seed=seeds)
def test_a_ledger_does_not_depend_on_when_its_clock_is_moved(seed: int) -> None:
    logs = traffic(seed)
    rng = random.Random(seed)
    evaluator = PartitionEvaluator(EVALUATE)
    for message in interleaved(logs, rng):
        evaluator.fold(message)
        if rng.random() < 0.3:
            evaluator.advance()
    evaluator.advance(end_of(logs))
    assert undisturbed(logs) == facts(evaluator)


@examples(15)
@given(seed=seeds)
def test_an_evaluator_that_crashes_anywhere_even_while_it_writes_ends_with_the_same_ledger(seed: int) -> None:
    logs = traffic(seed)
    rng = random.Random(seed)
    evaluator, _ = crashing(interleaved(logs, rng), rng)
    evaluator.advance(end_of(logs))
    assert undisturbed(logs) == facts(evaluator)


def test_the_crashing_runs_do_crash() -> None:
    crashes = 0
    for seed in range(3):
        rng = random.Random(seed)
        crashes += crashing(interleaved(traffic(seed), rng), rng)[1]
    assert crashes > 15


@examples(12)
@given(seed=seeds)
def test_every_prefix_of_a_checkpoints_writes_is_a_state_to_go_on_from(seed: int) -> None:
    logs = traffic(seed, decisions=40)
    topic = interleaved(logs, random.Random(seed))
    middle = len(topic) // 2
    first = PartitionEvaluator(EVALUATE, owner="first")
    for message in topic[: middle // 2]:
        first.fold(message)
    first.advance()
    before: dict[bytes, bytes] = {}
    write(before, writes(first.checkpoints(position=middle // 2)))
    for message in topic[middle // 2 : middle]:
        first.fold(message)
    first.advance()
    records = writes(first.checkpoints(position=middle))
    expected = undisturbed(logs)
    for reached in sorted({0, 1, len(records) // 3, len(records) - 1, len(records)}):
        state = dict(before)
        write(state, records[:reached])
        second = PartitionEvaluator(EVALUATE, owner="second")
        restored = second.restore(state)
        assert () == restored.unreadable
        for message in topic[restored.reread_from :]:
            second.fold(message)
        second.advance(end_of(logs))
        assert expected == facts(second)


@examples(12)
@given(seed=seeds)
def test_a_former_owner_that_writes_once_more_costs_reading_again_but_no_number(seed: int) -> None:
    logs = traffic(seed, decisions=40)
    rng = random.Random(seed)
    topic = interleaved(logs, rng)
    cuts = sorted(rng.sample(range(len(topic)), 3))
    state: dict[bytes, bytes] = {}
    zombie = PartitionEvaluator(EVALUATE, owner="zombie")
    for message in topic[: cuts[0]]:
        zombie.fold(message)
    write(state, writes(zombie.checkpoints(position=cuts[0])))
    owner = PartitionEvaluator(EVALUATE, owner="owner")
    for message in topic[owner.restore(state).reread_from : cuts[2]]:
        owner.fold(message)
    write(state, writes(owner.checkpoints(position=cuts[2])))
    for message in topic[cuts[0] : cuts[1]]:
        zombie.fold(message)
    records = writes(zombie.checkpoints(position=cuts[1]))
    write(state, records[: rng.randrange(len(records) + 1)])
    heir = PartitionEvaluator(EVALUATE, owner="heir")
    for message in topic[heir.restore(state).reread_from :]:
        heir.fold(message)
    heir.advance(end_of(logs))
    assert undisturbed(logs) == facts(heir)


def test_the_logs_hold_what_the_properties_speak_of() -> None:
    logs = [log for seed in range(20) for log in traffic(seed)]
    assert any(None in log.values for log in logs)
    assert any(log.offsets[-1] - log.offsets[0] >= len(log) + 3 * BLOCK for log in logs)
    assert any(
        later < earlier for log in logs for earlier, later in zip(log.timestamps, log.timestamps[1:], strict=False)
    )
    blocks = [{offset // BLOCK for offset in log.offsets} for log in logs if log.source.name == "decision"]
    assert sum(len(found) > HORIZON + 1 for found in blocks) > 0.9 * len(blocks)
    assert BLOCK == SUMMARISE.block_size
