"""Resident memory of a worker: what it imports, 180 days of 1000 series, hours of load; or of a real one under load.

Run: `python -m tests.bench.memory`, and for the second `python -m tests.bench.memory --soak 60 --rate 20000`, which
needs Kafka and prints a line a minute. The first puts a worker's steps together in one process, without Kafka and
sockets: it imports what a worker imports, goes on from 180 days of cohorts, then takes hours of load in log time. In
each minute of it every series gets decisions and reviews (`--decisions` of them behind the cohort, as memory grows with
the bins that are met) and late reviews restate old cohorts; four partitions of decisions and of reviews fill the ids of
their horizons and the join's indexes on disk; a snapshot is taken and shown, a checkpoint is made.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import numpy as np
from confluent_kafka import Producer

from monitor.assembly import Pipeline, assemble
from monitor.blocks import BlockMessage, ModelBlock, decode_block, encode_block
from monitor.cohorts import DAY, HOUR, HOUR_DAYS, MINUTE_HOURS, Cohorts, Level
from monitor.evaluate import PartitionEvaluator, take_snapshot
from monitor.export import families
from monitor.exposition import Renderer
from monitor.join.block import JoinSettings
from monitor.join.forwarding import Forward, chunks
from monitor.join.joiner import JoinPartition
from monitor.join.rocks import IndexMemory, RocksIndex
from monitor.packing import pack, unpack
from monitor.partition import PartitionSummariser
from monitor.service.allocator import keep_buffers, release_unused
from monitor.service.ingest import block_partition
from monitor.service.outlet import MAX_RECORD_BYTES
from monitor.settings import BlockSettings, Settings
from monitor.snapshot import ServiceSnapshot, Snapshot
from monitor.summarise import MINUTE_MS
from monitor.topics import DECISIONS, REVIEWS, STATE, SourceTopic
from tests.bench.broker import running_broker
from tests.bench.decisions import Decisions
from tests.bench.load import Load
from tests.bench.tables import Table, begin, resident_mb, show
from tests.bench.watch import PRODUCTION, Progress
from tests.e2e.worker_process import WorkerProcess

DAYS: Final = 180
WRITTEN_WITHIN: Final = 120.0
START_MS: Final = 1_790_000_000_000 // (DAY * MINUTE_MS) * DAY * MINUTE_MS
REVIEWED: Final = 0.02
BLOCK: Final = 1_048_576
NONE: Final = np.empty(0, dtype=np.int64)
VERDICTS: Final = ("benign", "violating", "violating", "violating")
PARTITIONS: Final = 4
"""Of each source topic and of the join."""
LATE: Final = 4
"""Cohorts of any age that late reviews restate in each minute of load."""
IMPORTS: Final = "import monitor.worker; print(open('/proc/self/statm').read().split()[1])"
MEASURED_FROM_MINUTE: Final = 10
RETAINED_BYTES: Final = 256 * 1024 * 1024
"""What a partition keeps during a soak: an hour of load would fill the disk."""


def templates(pipeline: Pipeline, *, models: int, count: int) -> list[BlockMessage]:
    """Block messages about one minute: decisions of all series, and reviews that carry their context.

    They come from a partition of their own, in blocks so large that one holds a minute.
    """
    decisions = Decisions(models=models, acted_share=0.2).batch(count, START_MS)
    chosen = map(msgspec.json.decode, decisions[: int(REVIEWED * len(decisions))])
    reviews = [_review(about, verdict=VERDICTS[number % 4], context=True) for number, about in enumerate(chosen)]
    return [*_summaries(pipeline, DECISIONS, decisions), *_summaries(pipeline, REVIEWS, reviews)]


def _review(about: dict[str, object], *, verdict: str, context: bool) -> bytes:
    event = {
        "review_id": f"r-{about['decision_id']}",
        "decision_id": about["decision_id"],
        "reviewed_at": about["occurred_at"],
        "verdict": verdict,
        "source": "audit",
        "inclusion_probability": 0.05,
    }
    if context:
        event["decision"] = {name: about[name] for name in about if name not in {"decision_id", "latency_seconds"}}
    return msgspec.json.encode(event)


def _summaries(pipeline: Pipeline, source: SourceTopic, values: list[bytes]) -> list[BlockMessage]:
    summariser = PartitionSummariser(source, PARTITIONS, summarise_from=0, log_start=0, settings=pipeline.summarise)
    refused, closed = summariser.feed(
        list(range(len(values))), [START_MS] * len(values), list(values), next_offset=len(values)
    )
    if refused:
        raise ValueError(f"{source.topic}: {refused[0].why}")
    return [message for message in [*closed, *summariser.open_block()] if isinstance(message, ModelBlock)]


def moved(
    message: BlockMessage, *, number: int, minutes: int, about: int | None = None, partition: int = PARTITIONS
) -> ModelBlock:
    """The message as block `number` of a partition, so many minutes later; its records about that minute or another."""
    if not isinstance(message, ModelBlock):
        raise TypeError(f"expected a block of a model, got {type(message).__name__}")
    span = msgspec.structs.replace(
        message.span,
        partition=partition,
        first=number * BLOCK,
        through=(number + 1) * BLOCK,
        closed=True,
        begin=number * BLOCK,
        clock_ms=message.span.clock_ms + minutes * MINUTE_MS,
    )
    minute = unpack(message.cell_minute) + (minutes if about is None else about)
    return msgspec.structs.replace(message, span=span, cell_minute=pack(minute))


def aged(days: int) -> Iterator[tuple[Level, int]]:
    """All cohorts of so many days, by their distance to the start: days, then hours, the last ones minutes."""
    hours = max(0, days - HOUR_DAYS) * DAY
    minutes = days * DAY - MINUTE_HOURS * HOUR
    yield from ((Level.DAY, start) for start in range(0, hours, DAY))
    yield from ((Level.HOUR, start) for start in range(hours, minutes, HOUR))
    yield from ((Level.MINUTE, start) for start in range(minutes, days * DAY))


def age(evaluator: PartitionEvaluator, *, days: int) -> int:
    """Give every cohort of `days` days the sums of the only one, as a restored checkpoint would; how many there are."""
    held = 0
    for model in evaluator.models():
        layout, rows = model.ledger.layout, len(model.ledger.table.series)
        level, first = next(iter(model.ledger.cohorts.cohorts()))
        place, value = model.ledger.cohorts.cohort(level, first) or (NONE, NONE)
        daily = layout.daily[place % layout.width]
        sums = {
            (level, first + start): (place[daily], value[daily]) if level is Level.DAY else (place, value)
            for level, start in aged(days)
        }
        model.ledger.cohorts = Cohorts(width=layout.width, daily=layout.daily)
        model.ledger.cohorts.restore(first + days * DAY - 1, rows, sums)
        held += len(sums)
    return held


class Sources:
    """Four partitions of decisions and of reviews without their context, and of the join between them."""

    def __init__(
        self,
        pipeline: Pipeline,
        join: JoinSettings,
        folder: Path,
        *,
        memory: IndexMemory,
        decisions: Decisions,
        a_minute: int,
    ) -> None:
        self._decisions = decisions
        self._a_minute = a_minute
        self._summarisers = {
            (source, number): PartitionSummariser(
                source, number, summarise_from=0, log_start=0, settings=pipeline.summarise
            )
            for source in (DECISIONS, REVIEWS)
            for number in range(PARTITIONS)
        }
        self._indexes = [RocksIndex(folder / str(number), memory=memory) for number in range(PARTITIONS)]
        self._joiners = [JoinPartition(number, index, settings=join) for number, index in enumerate(self._indexes)]
        self._offsets: dict[tuple[SourceTopic, int], int] = dict.fromkeys(self._summarisers, 0)
        self._records = [0] * PARTITIONS

    def minute(self, at_ms: int) -> Iterator[BlockMessage]:
        """A minute of decisions and of reviews of 2 % of them; what it makes both stages publish."""
        decided: list[Forward] = []
        reviewed: list[Forward] = []
        for number in range(PARTITIONS):
            values = self._decisions.batch(self._a_minute, at_ms)
            reviews = [
                _review(one, verdict="violating", context=False)
                for one in map(msgspec.json.decode, values[: int(REVIEWED * len(values))])
            ]
            yield from self._feed(DECISIONS, number, values, at_ms, decided)
            yield from self._feed(REVIEWS, number, reviews, at_ms, reviewed)
        records = [*chunks(decided, partitions=PARTITIONS), *chunks(reviewed, partitions=PARTITIONS)]
        for number, record in records:
            joiner, offset = self._joiners[number], self._records[number]
            self._records[number] += 1
            yield from joiner.feed([offset], [at_ms], [record], next_offset=offset + 1)
        for joiner, reached in zip(self._joiners, self._records, strict=True):
            yield from joiner.open_block()
            joiner.commit(reached)

    def close(self) -> None:
        """Let go of the indexes."""
        for index in self._indexes:
            index.close()

    def _feed(
        self, source: SourceTopic, number: int, values: Sequence[bytes], at_ms: int, forwards: list[Forward]
    ) -> Iterator[BlockMessage]:
        summariser, first = self._summarisers[source, number], self._offsets[source, number]
        self._offsets[source, number] = last = first + len(values)
        refused, closed = summariser.feed(
            list(range(first, last)), [at_ms] * len(values), list(values), next_offset=last
        )
        if refused:
            raise ValueError(f"{source.topic}: {refused[0].why}")
        forwards += summariser.take_forwards()
        yield from closed
        yield from summariser.open_block()


class Evaluation:
    """The second stage of a worker: what it is told it folds, shows and checkpoints."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.evaluator = PartitionEvaluator(pipeline.evaluate, owner="bench")
        self._objectives = pipeline.objectives
        self._renderer = Renderer(process_metrics=False)
        self._folded = 0
        self.shown: Snapshot | None = None

    def fold(self, messages: Iterable[BlockMessage]) -> None:
        """Take messages as they come through Kafka."""
        for message in messages:
            self._folded += 1
            self.evaluator.fold(decode_block(encode_block(message)))

    def show(self) -> None:
        """What a worker does each second, each few seconds, at a scrape and each minute."""
        self.evaluator.advance()
        self.shown = take_snapshot(
            [self.evaluator],
            objectives=self._objectives,
            service=ServiceSnapshot(),
            taken_at=None,
            ready=True,
            reason="",
        )
        self._renderer.render(families(self.shown, version="1", config_fingerprint=""))
        self.evaluator.checkpoints(position=self._folded)
        release_unused()


def worker(*, models: int, days: int, count: int, hours: int, a_minute: int) -> Table:
    """A worker's memory after its imports, with all cohorts, and after each hour of load."""
    imports = int(subprocess.check_output([sys.executable, "-c", IMPORTS])) * os.sysconf("SC_PAGE_SIZE") / 1e6
    settings = Settings()
    blocks = templates(assemble(Settings(blocks=BlockSettings(size=BLOCK))), models=models, count=count)
    reviews = [block for block in blocks if isinstance(block, ModelBlock) and block.span.topic == REVIEWS.topic]
    decisions = Decisions(models=models, acted_share=0.2)
    pipeline = assemble(settings)
    if pipeline.join is None:
        raise ValueError("expected settings with a join")
    keep_buffers()
    gc.collect()
    release_unused()  # what making the messages took must not hide what the state takes
    own = os.getpid()
    made = resident_mb(own)
    evaluation = Evaluation(pipeline)
    evaluation.fold(moved(block, number=0, minutes=0) for block in blocks)
    held = age(evaluation.evaluator, days=days)
    evaluation.show()
    found = [("a worker's imports", 0.0), (f"{days} days of cohorts", resident_mb(own) - made)]
    rng = np.random.default_rng(1)
    with TemporaryDirectory() as folder:
        memory = IndexMemory(settings.join.memory_mb * 1024 * 1024)
        sources = Sources(pipeline, pipeline.join, Path(folder), memory=memory, decisions=decisions, a_minute=a_minute)
        for minute in range(hours * HOUR):
            now = days * DAY + minute
            evaluation.fold(moved(block, number=now, minutes=now) for block in blocks)
            for number, about in enumerate(rng.integers(0, now, size=LATE).tolist(), now * LATE):
                evaluation.fold(
                    moved(block, number=number, minutes=now, about=about, partition=PARTITIONS + 1) for block in reviews
                )
            evaluation.fold(sources.minute(START_MS + now * MINUTE_MS))
            evaluation.show()
            if (minute + 1) % HOUR == 0:
                found.append((f"hour {(minute + 1) // HOUR} of load", resident_mb(own) - made))
        sources.close()
    series = len(evaluation.shown.models[0].series) * len(evaluation.shown.models) if evaluation.shown else 0
    return Table(
        title=f"Memory of a worker: {series:,} series, {days} days of cohorts, {hours} hours of load",
        columns=("resident MB after", "more", "in all"),
        rows=[
            (name, f"{size - before:+.0f}", f"{imports + size:.0f}")
            for (name, size), (_, before) in zip(found, [("", -imports), *found], strict=False)
        ],
        notes=(
            f"{held:,} cohorts, {count:,} decisions and reviews of {REVIEWED:.0%} of them in each; no connections.",
            f"Load: {PARTITIONS * a_minute:,} decisions a minute through ids and join; late reviews of {LATE} cohorts.",
        ),
    )


def publish_state(bootstrap: str, *, models: int, days: int, count: int) -> None:
    """Checkpoints of `days` of cohorts, up to the last midnight, into the state topic: a worker goes on from them."""
    pipeline = assemble(Settings())
    blocks = templates(assemble(Settings(blocks=BlockSettings(size=BLOCK))), models=models, count=count)
    begin_minute = int(time.time()) // 60 // DAY * DAY - days * DAY
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": MAX_RECORD_BYTES})
    for partition in range(PARTITIONS):
        evaluator = PartitionEvaluator(pipeline.evaluate, owner="bench")
        for block in blocks:
            told = moved(block, number=0, minutes=begin_minute - START_MS // MINUTE_MS)
            if block_partition(told.model, PARTITIONS) == partition:
                evaluator.fold(told)
        age(evaluator, days=days)
        for step in evaluator.checkpoints(position=0).steps():
            for key, value in step:
                producer.produce(STATE, value, key, partition=partition)
        if producer.flush(WRITTEN_WITHIN):
            raise RuntimeError(f"{STATE}: a checkpoint was not written within {WRITTEN_WITHIN:g} s")


def soak(*, minutes: float, rate: float, models: int, days: int, count: int) -> Table:
    """A worker that goes on from `days` of cohorts, under load: its memory each minute, and how it grows."""
    retention = {"retention.bytes": str(RETAINED_BYTES), "segment.bytes": str(RETAINED_BYTES // 4)}
    found: list[tuple[float, float]] = []
    with running_broker(properties={"log.retention.check.interval.ms": "5000"}) as broker:
        broker.create_topics(partitions=PARTITIONS, internal=PARTITIONS, config=retention)
        name, folder = broker.run()
        publish_state(broker.bootstrap, models=models, days=days, count=count)
        with WorkerProcess(broker.bootstrap, folder, settings={**PRODUCTION, "kafka.group_id": name}) as worker:
            worker.until_ready()
            with Load(broker.bootstrap, rate=rate, partitions=4, models=models, reviews=True) as load:
                begun = time.monotonic()
                while (passed := (time.monotonic() - begun) / 60) < minutes:
                    if not worker.running:
                        raise RuntimeError(f"the worker has ended: {worker.log()[-2000:]}")
                    if passed >= len(found):
                        found.append((passed, resident_mb(worker.pid)))
                        progress = Progress.of(worker.get("/api/v1/service").json())
                        waiting = "" if progress is None else f"{sum(progress.lag.values()):,} wait"
                        sys.stderr.write(f"  {passed:6.1f} min {found[-1][1]:7.1f} MB {waiting}\n")
                    time.sleep(min(1.0, 0.1 * minutes))
                done = load.stop()
    return _soaked(found, minutes=minutes, rate=done.rate, decisions=done.decisions, days=days)


def _soaked(found: Sequence[tuple[float, float]], *, minutes: float, rate: float, decisions: int, days: int) -> Table:
    late = [one for one in found if one[0] >= MEASURED_FROM_MINUTE]
    slope = "too short" if len(late) < 3 else f"{60 * _slope(late):+.1f}"
    sizes = [size for _, size in late or found]
    return Table(
        title=f"Memory of a worker with {days} days of cohorts under load for {minutes:g} minutes",
        columns=("resident MB", "median", "least", "greatest", "MB an hour", "decisions a second", "decisions"),
        rows=[
            (
                f"after minute {MEASURED_FROM_MINUTE}" if late else "from the start",
                *(f"{size:.0f}" for size in (median(sizes), min(sizes), max(sizes))),
                slope,
                f"{rate:,.0f}",
                f"{decisions:,}",
            )
        ],
        notes=("Join on, with reviews that lack their context; slope by least squares over one value a minute.",),
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    minutes, sizes = np.array(points).T
    return float(np.polyfit(minutes, sizes, deg=1)[0])


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10, help="100 series each")
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--decisions", type=int, default=600_000, help="behind each cohort: 10 thousand a second")
    parser.add_argument("--hours", type=int, default=3, help="of load")
    parser.add_argument("--a-minute", type=int, default=2000, help="decisions of a partition; fills the ids in 3 hours")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="put a worker under load instead")
    parser.add_argument("--rate", type=float, default=20_000.0, help="decisions a second of the soak")
    told = parser.parse_args(arguments)
    if told.soak is not None:
        return show([soak(minutes=told.soak, rate=told.rate, models=told.models, days=told.days, count=told.decisions)])
    return show(
        [worker(models=told.models, days=told.days, count=told.decisions, hours=told.hours, a_minute=told.a_minute)]
    )


if __name__ == "__main__":
    begin(run)
