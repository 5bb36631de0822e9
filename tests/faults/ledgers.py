"""Ledgers as the last checkpoint and the blocks behind it leave them, and as a batch over the topics computes them.

Both are the service's own pure steps, on different ways: through crashes, checkpoints and any number of owners, and in
one pass over the log. What `state_of` returns has to be the same, integer for integer.

Left out is what the order of arrival decides and no count depends on: the streaming detectors (a late label reaches
them or does not) and the labels kept for them until they have seen the minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.assembly import assemble
from monitor.blocks import decode_block
from monitor.evaluate import PartitionEvaluator
from monitor.kafka_range import TopicRange
from monitor.ledger import ModelLedger
from monitor.model import Model
from monitor.offline import OfflinePipeline
from monitor.settings import load_settings
from monitor.sources import merge_totals
from monitor.summarise import MINUTE_MS
from monitor.topics import BLOCKS, JOIN, SOURCES, STATE
from tests.faults.read_back import records_of

Ints = npt.NDArray[np.int64]
State = dict[tuple[str, ...], Any]
"""(model, what, ...) -> an array or a plain value"""


def from_checkpoints(bootstrap: str, *, partitions: int) -> tuple[list[PartitionEvaluator], int]:
    """One evaluator for each partition of the blocks topic, restored; and how many blocks were read behind.

    AssertionError when a piece of the checkpoint cannot be read.
    """
    pipeline = assemble(load_settings(None, {}))
    evaluators: list[PartitionEvaluator] = []
    blocks = 0
    for number in range(partitions):
        records: dict[bytes, bytes] = {}
        for message in records_of(bootstrap, [STATE], partition=number):
            key, value = message.key() or b"", message.value()
            if value is None:
                records.pop(key, None)
            else:
                records[key] = value
        evaluator = PartitionEvaluator(pipeline.evaluate)
        restored = evaluator.restore(records)
        assert () == restored.unreadable
        for message in records_of(bootstrap, [BLOCKS], partition=number, start=restored.reread_from):
            evaluator.fold(decode_block(message.value() or b""))
            blocks += 1
        evaluators.append(evaluator)
    return evaluators, blocks


class Batch(OfflinePipeline):
    """One pass over the topics, partition after partition."""

    def __init__(self) -> None:
        super().__init__(assemble(load_settings(None, {})))

    def read(self, bootstrap: str) -> None:
        """Take all that is in the source topics."""
        with TopicRange(bootstrap, SOURCES) as whole:
            for log in whole.logs:
                for batch in log.batches():
                    self.feed(
                        log.source,
                        log.partition,
                        batch.offsets,
                        batch.timestamps,
                        batch.values,
                        next_offset=batch.next_offset,
                    )
        self.publish_open()

    @property
    def evaluator(self) -> PartitionEvaluator:
        return self._evaluator


def last_minute(evaluators: Iterable[PartitionEvaluator]) -> int:
    """The minute that the furthest of them has reached."""
    return max((one.clock_ms or 0) // MINUTE_MS for one in evaluators)


def state_of(evaluators: Iterable[PartitionEvaluator], *, minute: int) -> State:
    """Every number of the ledgers once their clock stands in `minute`, by names instead of places."""
    told: State = {}
    for evaluator in evaluators:
        for model in evaluator.models():
            model.ledger.advance(minute)
            told |= _of_model(model)
    counted = merge_totals({at: ledger for one in evaluators for at, ledger in one.sources().items()})
    for metric, values in counted.items():
        # How often a crash wrote the same into the internal topic again is nobody's number.
        told |= {
            ("source", metric, *labels): number for labels, number in values.items() if number and labels[0] != JOIN
        }
    return told


def _of_model(model: Model) -> State:
    ledger = model.ledger
    name = model.name
    order, ranks = _ordered(ledger)
    told: State = {
        (name, "series"): [ledger.table.series[row] for row in order],
        (name, "totals"): ledger.totals[order],
        (name, "columns"): ledger.layout.signature,
        (name, "launches"): ledger.launches,
        (name, "last decision"): ledger.last_decision_ms,
    }
    for level, start in ledger.cohorts.cohorts():
        held = ledger.cohorts.cohort(level, start)
        if held is None or not len(held[0]):
            continue
        place, value = held
        width = ledger.layout.width
        moved = ranks[place // width] * width + place % width
        sequence = np.argsort(moved)
        told[name, "cohort", level.name, str(start)] = np.stack([moved[sequence], value[sequence]])
    return told


def _ordered(ledger: ModelLedger) -> tuple[list[int], Ints]:
    """Rows in order of their series' names, and the rank of each row: which came first is chance."""
    series = ledger.table.series
    order = sorted(range(len(series)), key=series.__getitem__)
    ranks = np.empty(len(series), dtype=np.int64)
    ranks[order] = np.arange(len(series))
    return order, ranks


def unlike(expected: Mapping[tuple[str, ...], Any], actual: Mapping[tuple[str, ...], Any]) -> list[str]:
    """What differs, a line each."""
    wrong = [f"{key}: only in one of the two" for key in sorted(expected.keys() ^ actual.keys())]
    for key in sorted(expected.keys() & actual.keys()):
        left, right = expected[key], actual[key]
        if isinstance(left, np.ndarray):
            if not np.array_equal(left, right):
                apart = "" if left.shape != right.shape else f", {int((left != right).sum())} numbers differ"
                wrong.append(f"{key}: shapes {left.shape} and {right.shape}{apart}")
        elif left != right:
            wrong.append(f"{key}: expected {left}, got {right}")
    return wrong


def integers(state: State) -> int:
    """How many numbers were compared."""
    return sum(value.size if isinstance(value, np.ndarray) else 1 for value in state.values())
