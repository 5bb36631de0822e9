"""Crash, redelivery, order and fetch sizes never change a number: both stages, all topics, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given

from monitor.blocks import BlockMessage, encode_block
from monitor.evaluate import PartitionEvaluator, Restored
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
def test_a_former_owner_that_writes_once_more_changes_nothing(seed: int) -> None:
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
    assert Restored(cuts[2], ()) == heir.restore(state)
    for message in topic[cuts[2] :]:
        heir.fold(message)
    heir.advance(end_of(logs))
    assert undisturbed(logs) == facts(heir)


class Owner:
    """One that believes that a partition is its own, for ever; what it writes arrives when it likes, but in order."""

    def __init__(self, number: int, topic: Sequence[BlockMessage], state: dict[bytes, bytes]) -> None:
        self._topic = topic
        self._state = state
        self._evaluator = PartitionEvaluator(EVALUATE, owner=f"owner{number}")
        self.restored = self._evaluator.restore(state)
        self._at = self.restored.reread_from
        self._coming: list[tuple[bytes, bytes | None]] = []
        self._position = -1
        self.written = -1
        """position of its last checkpoint that has arrived, but for tombstones"""

    def fold(self, count: int) -> None:
        for message in self._topic[self._at : self._at + count]:
            self._evaluator.fold(message)
        self._at = min(len(self._topic), self._at + count)

    def write(self, count: int) -> None:
        """So many records arrive; there is another checkpoint when the last one has."""
        if not self._coming:
            self._evaluator.advance()
            self._position = self._at
            self._coming = writes(self._evaluator.checkpoints(position=self._at))
        write(self._state, self._coming[:count])
        del self._coming[:count]
        if all(value is None for _, value in self._coming):
            self.written = self._position

    def facts(self, clock_ms: int) -> dict[str, Any]:
        self._evaluator.advance(clock_ms)
        return facts(self._evaluator)


@examples(20)
@given(seed=seeds)
def test_of_owners_that_all_go_on_writing_the_one_that_restored_last_loses_nothing(seed: int) -> None:
    logs = traffic(seed, decisions=40)
    rng = random.Random(seed)
    topic = interleaved(logs, rng)
    state: dict[bytes, bytes] = {}
    owners = [Owner(0, topic, state)]
    for _ in range(150):
        one = rng.choice(owners[-4:])
        what = rng.random()
        if what < 0.08:
            reached = next((owner.written for owner in reversed(owners) if owner.written >= 0), 0)
            owners.append(Owner(len(owners), topic, state))
            assert () == owners[-1].restored.unreadable
            assert owners[-1].restored.reread_from >= reached
        elif what < 0.4:
            one.fold(rng.randint(1, 8))
        else:
            one.write(rng.choice((1, 3, 10, 1000)))
    last = Owner(len(owners), topic, state)
    last.fold(len(topic))
    assert undisturbed(logs) == last.facts(end_of(logs))


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
