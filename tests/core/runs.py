"""Runs of the two stages over logs: an undisturbed one, and ones that crash and repeat; what they know can be compared.

The disturbed runs do what a worker does: read again from `rewind`, publish the open block now and then, restore from
whatever prefix of a checkpoint's writes has reached the state topic.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Final

from detectors import Adwin, PageHinkley
from monitor.blocks import BlockMessage, ModelBlock, SourceBlock, block_first, decode_block, encode_block, rewind
from monitor.cells import Limits
from monitor.cohorts import WINDOWS
from monitor.evaluate import Checkpoints, PartitionEvaluator
from monitor.layout import CategoricalFeature, Layout, NumericFeature
from monitor.ledger import LedgerSettings, ModelLedger
from monitor.model import ModelSettings
from monitor.open_block import DeadLetter
from monitor.partition import PartitionSummariser
from monitor.shared_keys import SharedKeys
from monitor.sources import merge_totals
from monitor.streams import StreamSettings
from monitor.summarise_settings import SummariseSettings
from tests.core.strategies import Log

BLOCK: Final = 16
HORIZON: Final = 2

FEATURES: Final = (
    NumericFeature("length", edges=(-1.0, 0.0, 1.0), low=-3.0, high=3.0),
    CategoricalFeature("kind", categories=("a", "b")),
)
LAYOUT: Final = Layout(features=FEATURES)
PLAIN: Final = Layout()

KINDS: Final = (("language",), ("language", "region"))

SUMMARISE: Final = SummariseSettings(layout=lambda _: LAYOUT, kinds=KINDS, block_size=BLOCK, horizon=HORIZON)


def summarise_settings(*, layout: Layout = PLAIN, limits: Limits | None = None, **more: Any) -> SummariseSettings:
    """Settings with small blocks, in which every record counts once: in no segment, unless `kinds` are given."""
    told: dict[str, Any] = {"block_size": BLOCK, "horizon": HORIZON, "kinds": ()} | more
    return SummariseSettings(layout=lambda _: layout, limits=limits or Limits(), **told)


def model_settings(
    *,
    layout: Layout = PLAIN,
    limits: Limits | None = None,
    kinds: Sequence[tuple[str, ...]] = KINDS,
    **streams: Any,
) -> ModelSettings:
    """Settings of the second stage."""
    told: dict[str, Any] = {"detectors": (Adwin(), PageHinkley()), "minimum_decisions": 2, "minimum_labels": 1}
    told |= streams
    return ModelSettings(
        ledger=LedgerSettings(layout=lambda _: layout, kinds=kinds, limits=limits or Limits()),
        streams=StreamSettings(**told),
    )


EVALUATE: Final = model_settings(layout=LAYOUT)


def summariser(
    log: Log, settings: SummariseSettings = SUMMARISE, *, committed: int = 0, keys: SharedKeys | None = None
) -> PartitionSummariser:
    """What a new owner makes of a partition that was processed up to `committed`."""
    return PartitionSummariser(
        log.source,
        log.partition,
        summarise_from=block_first(committed, settings.block_size),
        log_start=0,
        settings=settings,
        keys=keys,
    )


def feed(follower: PartitionSummariser, log: Log, begin: int, end: int) -> tuple[list[DeadLetter], list[BlockMessage]]:
    """Give a summariser the records with index `begin` to `end`."""
    following = log.offsets[end] if end < len(log) else log.end
    return follower.feed(
        log.offsets[begin:end],
        log.timestamps[begin:end],
        log.values[begin:end],
        next_offset=following,
        first_offset=log.offsets[begin - 1] + 1 if begin else 0,
    )


def summaries(log: Log, settings: SummariseSettings = SUMMARISE) -> list[BlockMessage]:
    """All messages of a log that is read in one fetch."""
    follower = summariser(log, settings)
    _, closed = feed(follower, log, 0, len(log))
    return [*closed, *follower.open_block()]


def dead_letters(log: Log, settings: SummariseSettings = SUMMARISE) -> list[DeadLetter]:
    """All refused records of a log."""
    return feed(summariser(log, settings), log, 0, len(log))[0]


def disturbed_summaries(
    log: Log, rng: random.Random, settings: SummariseSettings = SUMMARISE, keys: SharedKeys | None = None
) -> Iterator[BlockMessage]:
    """The messages of a worker that fetches as it likes, publishes the open block now and then, and crashes.

    Each new owner starts from some offset that a former one may have committed.
    """
    at = committed = 0
    follower = summariser(log, settings, keys=keys)
    while at < len(log):
        end = min(len(log), at + rng.choice((1, 3, 10, 40)))
        _, closed = feed(follower, log, at, end)
        at = end
        yield from closed
        if rng.random() < 0.5:
            yield from follower.open_block()
        if rng.random() < 0.5:
            committed = log.offsets[at - 1] + 1
        if rng.random() < 0.25:
            start = rewind(committed, size=settings.block_size, horizon=settings.horizon)
            follower = summariser(log, settings, committed=committed, keys=keys)
            at = next((index for index, offset in enumerate(log.offsets) if offset >= start), len(log))
    # The last owner has read everything; it may have to be asked for a block that nobody published.
    start = rewind(committed, size=settings.block_size, horizon=settings.horizon)
    follower = summariser(log, settings, committed=committed, keys=keys)
    at = next((index for index, offset in enumerate(log.offsets) if offset >= start), len(log))
    yield from feed(follower, log, at, len(log))[1]
    yield from follower.open_block()


def interleaved(logs: Sequence[Log], rng: random.Random, settings: SummariseSettings = SUMMARISE) -> list[BlockMessage]:
    """The blocks topic after disturbed runs over several partitions, in one of the orders that it may have."""
    keys = {log.source: SharedKeys(settings) for log in logs}
    running = [disturbed_summaries(log, random.Random(rng.random()), settings, keys[log.source]) for log in logs]
    topic: list[BlockMessage] = []
    while running:
        one = rng.choice(running)
        message = next(one, None)
        if message is None:
            running.remove(one)
        else:
            topic.append(decode_block(encode_block(message)))
    return topic


def evaluated(
    messages: Iterable[BlockMessage], settings: ModelSettings = EVALUATE, *, clock_ms: int | None = None
) -> PartitionEvaluator:
    """The state after all messages, moved to `clock_ms` at the end."""
    evaluator = PartitionEvaluator(settings)
    for message in messages:
        evaluator.fold(message)
    evaluator.advance(clock_ms)
    return evaluator


def fold(ledger: ModelLedger, messages: Iterable[BlockMessage]) -> None:
    """Give a ledger the messages that speak of models."""
    for message in messages:
        if isinstance(message, ModelBlock):
            ledger.fold(message)


def writes(taken: Checkpoints) -> list[tuple[bytes, bytes | None]]:
    """A checkpoint's records in the order in which they reach the state topic; None removes."""
    return [record for step in taken.steps() for record in step]


def write(state: dict[bytes, bytes], records: Iterable[tuple[bytes, bytes | None]]) -> None:
    """What compaction leaves of a topic after more records."""
    for key, value in records:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


def crashing(
    topic: Sequence[BlockMessage], rng: random.Random, settings: ModelSettings = EVALUATE
) -> tuple[PartitionEvaluator, int]:
    """The state after owners that crash, also in the middle of writing a checkpoint; and how many there were."""
    state: dict[bytes, bytes] = {}
    owners = count()
    owner = next(owners)
    evaluator = PartitionEvaluator(settings, owner=str(owner))
    at = 0
    while at < len(topic):
        evaluator.fold(topic[at])
        at += 1
        if rng.random() < 0.2:
            evaluator.advance()
        if rng.random() < 0.1:
            records = writes(evaluator.checkpoints(position=at))
            torn = rng.random() < 0.5
            write(state, records[: rng.randrange(len(records))] if torn else records)
            if not torn and rng.random() < 0.7:
                continue
        elif rng.random() > 0.02:
            continue
        owner = next(owners)
        evaluator = PartitionEvaluator(settings, owner=str(owner))
        restored = evaluator.restore(state)
        assert () == restored.unreadable
        at = restored.reread_from
    return evaluator, owner


def facts(evaluator: PartitionEvaluator) -> dict[str, Any]:
    """Everything that two runs over the same logs have to agree on, whatever the order of their rows."""
    return {
        "counters": merge_totals(dict(evaluator.sources())),
        "models": {model.name: ledger_facts(model.ledger) for model in evaluator.models()},
    }


def ledger_facts(ledger: ModelLedger) -> dict[str, Any]:
    """Totals, windows and cohorts by series, launches and the last decision."""
    series, width = ledger.table.series, ledger.layout.width
    sums: dict[Any, Any] = {("totals", key): ledger.totals[row].tolist() for row, key in enumerate(series)}
    for window in WINDOWS:
        held = ledger.cohorts.window(window)
        sums |= {(window.name, key): held[row].tolist() for row, key in enumerate(series)}
    for level, start in ledger.cohorts.cohorts():
        found = ledger.cohorts.cohort(level, start)
        assert found is not None
        for place, value in zip(found[0].tolist(), found[1].tolist(), strict=True):
            sums[int(level), start, series[place // width], place % width] = value
    return {
        "now": ledger.cohorts.now,
        "sums": sums,
        "launches": dict(ledger.launches),
        "last decision": ledger.last_decision_ms,
    }


def last_of(messages: Sequence[BlockMessage]) -> list[BlockMessage]:
    """The farthest message of each block and model: all that a ledger needs."""
    farthest: dict[Any, BlockMessage] = {}
    for message in messages:
        assert isinstance(message, (ModelBlock, SourceBlock))
        key = (message.span.first, message.model if isinstance(message, ModelBlock) else "")
        if key not in farthest or farthest[key].span.through < message.span.through:  # type: ignore[union-attr]
            farthest[key] = message
    return [farthest[key] for key in sorted(farthest)]


def counted(messages: Sequence[BlockMessage]) -> dict[tuple[str, tuple[str, ...]], int]:
    """Sum of the source counters over the farthest messages of all blocks: (metric name, labels) to count."""
    totals: dict[tuple[str, tuple[str, ...]], int] = {}
    for message in last_of(messages):
        if isinstance(message, SourceBlock):
            for name, labels, number in message.counts:
                totals[name, labels] = totals.get((name, labels), 0) + number
    return totals
