"""From source logs through forwarding and the join to the ledger: as if all feedback had carried its context."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest
from hypothesis import given

from monitor import catalogue
from monitor.blocks import BlockMessage, block_first, rewind
from monitor.events import Action
from monitor.join.block import JoinSettings
from monitor.join.forwarding import chunks, since
from monitor.join.index import MemoryIndex
from monitor.join.joiner import JoinPartition
from monitor.layout import Layout
from monitor.partition import PartitionSummariser
from monitor.summarise_settings import SummariseSettings
from monitor.topics import DECISIONS, JOIN, LAUNCHES
from tests.core.runs import BLOCK, HORIZON, evaluated, facts, last_of, model_settings
from tests.core.strategies import Log, context, examples, seeds, traffic

LAYOUT = Layout(positive_actions=tuple(Action))
PLAIN = SummariseSettings(layout=lambda _: LAYOUT, block_size=BLOCK, horizon=10_000, retention_ms=10**14)
SHORT = dataclasses.replace(PLAIN, horizon=HORIZON)
FORWARDING = dataclasses.replace(PLAIN, horizon=HORIZON, join=True)
ENDLESS = JoinSettings(FORWARDING, wait_ms=10**14, horizon_ms=10**14, block_size=BLOCK)


def read(log: Log, settings: SummariseSettings) -> list[BlockMessage]:
    summariser = PartitionSummariser(log.source, log.partition, summarise_from=0, log_start=0, settings=settings)
    closed = summariser.feed(log.offsets, log.timestamps, log.values, next_offset=log.end)[1]
    return [*closed, *summariser.open_block()]


def forwarded(log: Log, rng: random.Random, settings: SummariseSettings) -> list[bytes]:
    """What workers that crash write to the join topic."""
    written: list[bytes] = []
    committed, at = 0, 0
    for life in range(4):
        follower = PartitionSummariser(
            log.source, log.partition, summarise_from=block_first(committed, BLOCK), log_start=0, settings=settings
        )
        start = rewind(committed, size=BLOCK, horizon=settings.horizon)
        at = next((index for index, offset in enumerate(log.offsets) if offset >= start), len(log))
        while at < len(log):
            end = min(len(log), at + rng.choice((1, 5, 30)))
            following = log.offsets[end] if end < len(log) else log.end
            follower.feed(log.offsets[at:end], log.timestamps[at:end], log.values[at:end], next_offset=following)
            forwards = since(follower.take_forwards(), committed)
            fresh = [value for _, value in chunks(forwards, partitions=1)]
            crash = life < 3 and rng.random() < 0.05
            written += fresh[: rng.randrange(len(fresh) + 1)] if crash else fresh
            if crash:
                break
            at = end
            if rng.random() < 0.6:
                committed = max(committed, following)
    return written


def without_contexts(log: Log) -> Log:
    def told(value: bytes | None) -> bytes | None:
        if not value or b'"decision": {' not in value:
            return value
        return json.dumps({name: part for name, part in json.loads(value).items() if name != "decision"}).encode()

    return dataclasses.replace(log, values=[told(value) for value in log.values])


def with_contexts(logs: list[Log]) -> list[Log]:
    decided: dict[str, dict[str, object]] = {}
    for log in logs:
        if log.source is DECISIONS:
            for value in log.values:
                if value and value.startswith(b'{"decision_id": "'):
                    event = json.loads(value)
                    decided.setdefault(event["decision_id"], event)

    def told(value: bytes | None) -> bytes | None:
        if not value or b'"decision_id": "' not in value:
            return value
        event = json.loads(value)
        if "decision" in event or event["decision_id"] not in decided:
            return value
        return json.dumps(event | {"decision": context(decided[event["decision_id"]])}).encode()

    return [
        log if log.source in (DECISIONS, LAUNCHES) else dataclasses.replace(log, values=[told(v) for v in log.values])
        for log in logs
    ]


@pytest.mark.parametrize("mixed", [False, True], ids=["no contexts", "some contexts"])
@examples(10)
@given(seed=seeds)
def test_the_ledger_is_that_of_feedback_that_carries_its_context(mixed: bool, seed: int) -> None:
    # Where some feedback carries its context, copies beyond the horizon of its source partition are not recognised.
    forwarding = {False: FORWARDING, True: dataclasses.replace(FORWARDING, horizon=10_000)}[mixed]
    rng = random.Random(seed)
    logs = [log if mixed else without_contexts(log) for log in traffic(seed, decisions=60)]
    end = max(at for log in logs for at in log.timestamps)
    streams = [forwarded(log, rng, FORWARDING if log.source is DECISIONS else forwarding) for log in logs]
    topic: list[bytes] = []
    while any(streams):
        topic.append(rng.choice([stream for stream in streams if stream]).pop(0))
    joiner = JoinPartition(0, MemoryIndex(), settings=ENDLESS)
    messages = joiner.feed(range(len(topic)), [10**12] * len(topic), topic, next_offset=len(topic))
    messages += joiner.open_block()
    messages += [
        message for log in logs for message in read(log, FORWARDING if log.source is DECISIONS else forwarding)
    ]
    authority = [
        message for log in with_contexts(logs) for message in read(log, SHORT if log.source is DECISIONS else PLAIN)
    ]

    settings = model_settings(layout=LAYOUT)
    ours = facts(evaluated(last_of_all(messages), settings, clock_ms=end))
    theirs = facts(evaluated(last_of_all(authority), settings, clock_ms=end))

    assert theirs["models"].keys() == ours["models"].keys()
    for name, model in theirs["models"].items():
        assert {key: sums for key, sums in model["sums"].items() if key[0] == "totals"} == {
            key: sums for key, sums in ours["models"][name]["sums"].items() if key[0] == "totals"
        }
    for metric in (catalogue.DUPLICATES, catalogue.LATE, catalogue.FUTURE, catalogue.UNKNOWN_VALUES):
        assert {k: v for k, v in theirs["counters"][metric.name].items() if v} == {
            k: v for k, v in ours["counters"].get(metric.name, {}).items() if v and k != (JOIN,)
        }, metric


def last_of_all(messages: list[BlockMessage]) -> list[BlockMessage]:
    return [
        last
        for source in {(m.span.topic, m.span.partition) for m in messages}  # type: ignore[union-attr]
        for last in last_of([m for m in messages if (m.span.topic, m.span.partition) == source])  # type: ignore[union-attr]
    ]
