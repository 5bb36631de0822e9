"""How fast simulated traffic comes: generated, moved in time from prepared batches, and published.

Run `python -m tests.bench.simulate --per-minute 60000 --minutes 5`. Publishing goes to the broker inside
confluent-kafka, so its cost is that of two clients in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

from monitor.broker import EmbeddedBroker
from monitor.simulate import MinuteBatch, Prepared, create_producer, generate, publish, quiet
from monitor.topics import SOURCES
from tests.bench.tables import Table, begin, show

START_MS = 1_790_000_040_000 // 60_000 * 60_000


def events(batches: list[MinuteBatch]) -> int:
    """Records of all topics."""
    return sum(len(records) for batch in batches for records in batch.records.values())


def timed(name: str, step: Callable[[], list[MinuteBatch]]) -> tuple[str, ...]:
    """The rate of a step, as a row."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = events(step())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return name, f"{count:,}", f"{count / wall / 1e3:.0f} k", f"{count / cpu / 1e3:.0f} k"


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-minute", type=float, default=60_000.0)
    parser.add_argument("--minutes", type=int, default=5)
    told = parser.parse_args(arguments)
    scenario = quiet(decisions_per_minute=told.per_minute)
    batches: list[MinuteBatch] = []

    def make() -> list[MinuteBatch]:
        batches.extend(generate(scenario, seed=1, start_ms=START_MS, minutes=told.minutes))
        return batches

    rows = [timed("generate", make)]
    prepared = Prepared(batches)
    rows.append(timed("move prepared batches", lambda: list(prepared.moved(minutes=12 * told.minutes))))
    with EmbeddedBroker({source.topic: 4 for source in SOURCES}) as broker:
        producer = create_producer(broker.bootstrap)

        def send() -> list[MinuteBatch]:
            publish(batches, producer)
            return batches

        rows.append(timed("publish prepared batches", send))
    return show([Table("Simulator", ("step", "events", "a second", "a CPU second"), rows)])


if __name__ == "__main__":
    begin(run)
