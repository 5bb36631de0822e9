"""CPU of each step from bytes to metric, in one thread and without Kafka: where the time of a decision goes.

Run: `python -m tests.bench.hotpath --decisions 300000`. Record batches are made as a producer makes them; then each
goes through the worker's steps: aiokafka's bytes to columns, columns to rows, rows to block messages (when a block
ends, and once in each simulated second), messages to bytes and back into the ledgers, a snapshot a simulated second, a
rendering of the metrics every 15. Then the same once more without the compiled loops. Feeding the last record of a
block, which ends it, is counted as summarising. `--rate` is how many decisions make a second: the higher, the fewer
snapshots and open blocks a decision.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest.mock import patch

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from monitor import seen_loops
from monitor.assembly import Pipeline, assemble
from monitor.blocks import BlockMessage, block_first, decode_block, encode_block
from monitor.evaluate import PartitionEvaluator, take_snapshot
from monitor.export import families
from monitor.exposition import Renderer
from monitor.partition import PartitionSummariser
from monitor.service.ingest import LEAST_GROWTH
from monitor.settings import Settings, load_settings
from monitor.snapshot import ServiceSnapshot
from monitor.streaming.fetch import BatchRecords, RecordBatch, merge
from monitor.topics import DECISIONS
from tests.bench.decisions import Decisions
from tests.bench.tables import Table, begin, show
from tests.sources import source_of

START_MS: Final = 1_790_000_000_000
IN_A_BATCH: Final = 2000
"""Decisions in one of the log's batches: what a producer collects in a few milliseconds at these rates."""
BATCHES_A_FETCH: Final = 5
SCRAPE_EVERY: Final = 15
READ_COMMITTED: Final = 1
STAGES: Final = (
    "fetched bytes to columns",
    "decode, rows",
    "summarise blocks",
    "encode messages",
    "decode and fold messages",
    "advance and snapshot",
    "render /metrics",
)


class Stages:
    """CPU seconds of this thread by stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add what the block takes."""
        begun = time.thread_time()
        yield
        self.seconds[stage] += time.thread_time() - begun


class Worker:
    """The two stages of a worker with one partition of decisions, joined without Kafka."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.stages = Stages()
        self._block_size = pipeline.summarise.block_size
        self._objectives = pipeline.objectives
        self._summariser = PartitionSummariser(DECISIONS, 0, summarise_from=0, log_start=0, settings=pipeline.summarise)
        self._evaluator = PartitionEvaluator(pipeline.evaluate)
        self._renderer = Renderer(process_metrics=False)
        self._seconds = 0
        self.series = 0

    def take(self, fetched: Sequence[bytes], offset: int) -> None:
        """One fetch: batches of the log from `offset` on."""
        with self.stages.time(STAGES[0]):
            records = BatchRecords(
                TopicPartition(DECISIONS.topic, 0),
                MemoryRecords(data := b"".join(fetched)),
                data,
                [],
                offset,
                None,
                None,
                True,
                READ_COMMITTED,
            )
            batch = merge([record.value for record in records])
        begin = 0
        while begin < len(batch):
            block_end = block_first(batch.offsets[begin], self._block_size) + self._block_size
            last = min(len(batch), begin + block_end - batch.offsets[begin]) - 1
            self._feed(STAGES[1], batch, begin, last)
            self._feed(STAGES[2] if batch.offsets[last] + 1 == block_end else STAGES[1], batch, last, last + 1)
            begin = last + 1

    def second(self) -> None:
        """What happens once a second: the open block is published, readings are taken; every 15 they are scraped."""
        with self.stages.time(STAGES[2]):
            messages = self._summariser.open_block(least_growth=LEAST_GROWTH)
        self._publish(messages)
        with self.stages.time(STAGES[5]):
            self._evaluator.advance()
            snapshot = take_snapshot(
                [self._evaluator],
                objectives=self._objectives,
                service=ServiceSnapshot(),
                taken_at=None,
                ready=True,
                reason="",
            )
        if self._seconds % SCRAPE_EVERY == 0:
            with self.stages.time(STAGES[6]):
                self._renderer.render(families(snapshot, version="1", config_fingerprint=""))
        self._seconds += 1
        self.series = sum(len(model.series) for model in snapshot.models)

    def _feed(self, stage: str, batch: RecordBatch, begin: int, end: int) -> None:
        if begin == end:
            return
        following = batch.next_offset if end == len(batch) else batch.offsets[end]
        with self.stages.time(stage):
            refused, closed = self._summariser.feed(
                batch.offsets[begin:end], batch.timestamps[begin:end], batch.values[begin:end], next_offset=following
            )
            self._summariser.take_forwards()
        if refused:
            raise ValueError(f"expected valid decisions, got {refused[0].why}")
        self._publish(closed)

    def _publish(self, messages: Sequence[BlockMessage]) -> None:
        with self.stages.time(STAGES[3]):
            told = [encode_block(message) for message in messages]
        with self.stages.time(STAGES[4]):
            for message in told:
                self._evaluator.fold(decode_block(message))


def log_batches(decisions: Decisions, *, total: int, rate: int) -> list[bytes]:
    """The log as a producer writes it at this rate: batches of version 2, one timestamp a batch."""
    found = []
    for offset in range(0, total, IN_A_BATCH):
        at = START_MS + 1000 * offset // rate
        values = decisions.batch(min(IN_A_BATCH, total - offset), at)
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 24)
        for index, value in enumerate(values):
            builder.append(index, at, None, value, [])
        batch: Any = bytearray(builder.build())
        batch[:8] = offset.to_bytes(8, "big")  # not under the CRC
        found.append(bytes(batch))
    return found


def once(pipeline: Pipeline, batches: Sequence[bytes], *, rate: int) -> Worker:
    """All batches through a fresh worker."""
    worker = Worker(pipeline)
    fetched = IN_A_BATCH * BATCHES_A_FETCH
    due = float(rate)
    for number in range(0, len(batches), BATCHES_A_FETCH):
        offset = number * IN_A_BATCH
        worker.take(batches[number : number + BATCHES_A_FETCH], offset)
        while offset + fetched >= due:
            worker.second()
            due += rate
    worker.second()
    return worker


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=500_000)
    parser.add_argument("--rate", type=int, default=100_000, help="decisions in a simulated second")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--join", action="store_true", help="forward decisions that were acted on")
    parser.add_argument("--config", type=Path, help="settings of the worker")
    told = parser.parse_args(arguments)
    settings = load_settings(told.config, {})
    settings = Settings.model_validate(settings.model_dump() | {"join": {"enabled": told.join}})
    batches = log_batches(Decisions(), total=told.decisions, rate=told.rate)
    tables = []
    for scanned in (True, False):
        with (
            patch("monitor.decision_cells.COMPILED", new=scanned),
            patch("monitor.read_decisions.COMPILED", new=scanned),
            patch("monitor.seen_ids.seen_loops", new=seen_loops if scanned else source_of("monitor.seen_loops")),
            patch("monitor.streaming.records.COMPILED", new=scanned),
        ):
            workers = [once(assemble(settings), batches, rate=told.rate) for _ in range(told.runs)]
        how = "" if scanned else ", without the compiled loops"
        tables.append(_table(workers, f"Hot path{how}: {told.decisions:,} decisions, {told.rate:,} a second", told))
    return show(tables)


def _table(workers: Sequence[Worker], title: str, told: argparse.Namespace) -> Table:
    micro = {
        stage: median(worker.stages.seconds[stage] for worker in workers) * 1e6 / told.decisions for stage in STAGES
    }
    whole = sum(micro.values())
    rows = [(stage, f"{spent:.3f}", f"{spent / whole:.0%}") for stage, spent in micro.items()]
    return Table(
        title=f"{title}, {workers[0].series} series",
        columns=("step", "CPU µs a decision", "share"),
        rows=[*rows, (f"all: {1e3 / whole:.0f} thousand a CPU second", f"{whole:.3f}", "100%")],
        notes=(f"Medians of {told.runs} runs in one thread, no Kafka, no Faust, no sockets.",),
    )


if __name__ == "__main__":
    begin(run)
