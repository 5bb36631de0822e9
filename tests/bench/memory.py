"""Resident memory: of a ledger of 1000 series with 180 days of cohorts, and of a worker under load for a long time.

Run: `python -m tests.bench.memory`, and for the second `python -m tests.bench.memory --soak 60 --rate 20000`, which
needs Kafka and prints a line a minute. The first puts real block messages, with decisions and reviews, into the
evaluator again and again, each time about another day, hour or minute, until all cohorts are held; then it takes a
checkpoint and a snapshot, as a worker does. The worker's own modules are loaded, so the figure is what a worker would
have without its connections. Memory grows with the bins that are met: `--decisions` are behind every cohort.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

import msgspec
import numpy as np

from monitor.assembly import Pipeline, assemble
from monitor.blocks import BlockMessage, ModelBlock
from monitor.cohorts import DAY, HOUR, HOUR_DAYS, MINUTE_HOURS
from monitor.evaluate import PartitionEvaluator, take_snapshot
from monitor.packing import pack, unpack
from monitor.partition import PartitionSummariser
from monitor.settings import BlockSettings, Settings
from monitor.snapshot import ServiceSnapshot
from monitor.summarise import MINUTE_MS
from monitor.topics import DECISIONS, REVIEWS, SourceTopic
from tests.bench.broker import running_broker
from tests.bench.decisions import Decisions
from tests.bench.load import Load
from tests.bench.tables import Table, begin, resident_mb, show
from tests.bench.watch import PRODUCTION, Progress
from tests.e2e.worker_process import WorkerProcess

DAYS: Final = 180
START_MS: Final = 1_790_000_000_000 // (DAY * MINUTE_MS) * DAY * MINUTE_MS
REVIEWED: Final = 0.02
BLOCK: Final = 1_048_576
MEASURED_FROM_MINUTE: Final = 10
RETAINED_BYTES: Final = 256 * 1024 * 1024
"""What a partition keeps during a soak: an hour of load would fill the disk."""


def templates(pipeline: Pipeline, *, models: int, count: int) -> list[BlockMessage]:
    """Block messages about one minute: decisions of all series, and reviews that carry their context."""
    decisions = Decisions(models=models, acted_share=0.2).batch(count, START_MS)
    chosen = decisions[: int(REVIEWED * len(decisions))]
    reviews = [_review(number, msgspec.json.decode(value)) for number, value in enumerate(chosen)]
    return [*_summaries(pipeline, DECISIONS, decisions), *_summaries(pipeline, REVIEWS, reviews)]


def _review(number: int, about: dict[str, object]) -> bytes:
    context = {name: value for name, value in about.items() if name not in {"decision_id", "latency_seconds"}}
    event = {
        "review_id": f"r-{number}",
        "decision_id": about["decision_id"],
        "reviewed_at": about["occurred_at"],
        "verdict": "violating" if number % 4 else "benign",
        "source": "audit",
        "inclusion_probability": 0.05,
        "decision": context,
    }
    return msgspec.json.encode(event)


def _summaries(pipeline: Pipeline, source: SourceTopic, values: list[bytes]) -> list[BlockMessage]:
    summariser = PartitionSummariser(source, 0, summarise_from=0, log_start=0, settings=pipeline.summarise)
    refused, closed = summariser.feed(
        list(range(len(values))), [START_MS] * len(values), list(values), next_offset=len(values)
    )
    if refused:
        raise ValueError(f"{source.topic}: {refused[0].why}")
    return [message for message in [*closed, *summariser.open_block()] if isinstance(message, ModelBlock)]


def moved(message: BlockMessage, *, number: int, minutes: int) -> BlockMessage:
    """The message as block `number` of its partition, about decisions so many minutes later."""
    if not isinstance(message, ModelBlock):
        raise TypeError(f"expected a block of a model, got {type(message).__name__}")
    span = msgspec.structs.replace(
        message.span,
        first=number * BLOCK,
        through=(number + 1) * BLOCK,
        closed=True,
        begin=number * BLOCK,
        clock_ms=message.span.clock_ms + minutes * MINUTE_MS,
    )
    return msgspec.structs.replace(message, span=span, cell_minute=pack(unpack(message.cell_minute) + minutes))


def steps(days: int) -> Iterator[int]:
    """Minutes after the start of each step: a day at a time, then hours, then minutes, to where cohorts are so fine."""
    hours = max(0, days - HOUR_DAYS + 1) * DAY
    minutes = days * DAY - (MINUTE_HOURS - 1) * HOUR
    yield from range(0, hours, DAY)
    yield from range(hours, minutes, HOUR)
    yield from range(minutes, days * DAY + HOUR)


def ledger(*, models: int, days: int, count: int) -> Table:
    """Memory before, with all cohorts, and with a checkpoint and a snapshot taken."""
    importlib.import_module("monitor.worker")
    own = os.getpid()
    before = resident_mb(own)
    # One block a step and model: how many there were changes no cohort.
    pipeline = assemble(Settings(blocks=BlockSettings(size=BLOCK)))
    blocks = templates(pipeline, models=models, count=count)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what making the messages took must not hide what the state takes
    made = resident_mb(own)
    evaluator = PartitionEvaluator(pipeline.evaluate, owner="bench")
    number = 0
    for minutes in steps(days):
        for block in blocks:
            number += 1
            evaluator.fold(moved(block, number=number, minutes=minutes))
        evaluator.advance()
        evaluator.checkpoints(position=number)  # a worker writes what has changed each few seconds
    for _ in range(2):
        snapshot = take_snapshot(
            [evaluator],
            objectives=pipeline.objectives,
            service=ServiceSnapshot(),
            taken_at=None,
            ready=True,
            reason="",
        )
    gc.collect()
    after = resident_mb(own)
    cohorts = sum(1 for model in evaluator.models() for _ in model.ledger.cohorts.cohorts())
    series = sum(len(model.series) for model in snapshot.models)
    return Table(
        title=f"Memory of a ledger: {series:,} series, {days} days of cohorts",
        columns=("resident MB", "imports", "the state", "both", "cohorts"),
        rows=[
            (
                f"{count:,} decisions a cohort",
                f"{before:.0f}",
                f"{after - made:.0f}",
                f"{before + after - made:.0f}",
                f"{cohorts:,}",
            )
        ],
        notes=("Decisions and reviews of 2 % of them in every cohort; a checkpoint and a snapshot taken at the end.",),
    )


def soak(*, minutes: float, rate: float, models: int) -> Table:
    """A worker with the join under load: its memory each minute, and the slope after the first ten."""
    retention = {"retention.bytes": str(RETAINED_BYTES), "segment.bytes": str(RETAINED_BYTES // 4)}
    found: list[tuple[float, float]] = []
    with running_broker(properties={"log.retention.check.interval.ms": "5000"}) as broker:
        broker.create_topics(partitions=4, internal=4, config=retention)
        name, folder = broker.run()
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
    return _soaked(found, minutes=minutes, rate=done.rate, decisions=done.decisions)


def _soaked(found: Sequence[tuple[float, float]], *, minutes: float, rate: float, decisions: int) -> Table:
    late = [one for one in found if one[0] >= MEASURED_FROM_MINUTE]
    slope = "too short" if len(late) < 3 else f"{60 * _slope(late):+.1f}"
    sizes = [size for _, size in late or found]
    return Table(
        title=f"Memory of a worker under load for {minutes:g} minutes",
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
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="put a worker under load instead")
    parser.add_argument("--rate", type=float, default=20_000.0, help="decisions a second of the soak")
    told = parser.parse_args(arguments)
    if told.soak is not None:
        return show([soak(minutes=told.soak, rate=told.rate, models=told.models)])
    return show([ledger(models=told.models, days=told.days, count=told.decisions)])


if __name__ == "__main__":
    begin(run)
