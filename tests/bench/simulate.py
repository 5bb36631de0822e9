"""How fast simulated traffic comes: generated, moved in time from prepared batches, and published.

Run `python -m tests.bench.simulate --per-minute 60000 --minutes 5`. Publishing goes to the broker inside
confluent-kafka, so its cost is that of two clients in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from monitor.broker import EmbeddedBroker
from monitor.simulate import MinuteBatch, Prepared, create_producer, generate, publish, quiet
from monitor.topics import SOURCES

START_MS = 1_790_000_040_000 // 60_000 * 60_000


def events(batches: list[MinuteBatch]) -> int:
    """Records of all topics."""
    return sum(len(records) for batch in batches for records in batch.records.values())


def timed(name: str, step: Callable[[], list[MinuteBatch]]) -> list[MinuteBatch]:
    """Run a step and print its rate."""
    wall, cpu = time.perf_counter(), time.process_time()
    batches = step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = events(batches)
    print(f"{name:28s} {count:9,d} events {count / wall / 1e3:7.0f} k/s {count / cpu / 1e3:7.0f} k/CPU s")
    return batches


def main() -> None:
    """Print three rates."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--per-minute", type=float, default=60_000.0)
    arguments.add_argument("--minutes", type=int, default=5)
    given = arguments.parse_args()
    minutes = given.minutes
    scenario = quiet(decisions_per_minute=given.per_minute)
    batches = timed("generate", lambda: list(generate(scenario, seed=1, start_ms=START_MS, minutes=minutes)))
    prepared = Prepared(batches)
    timed("move prepared batches", lambda: list(prepared.moved(minutes=60)))
    with EmbeddedBroker({source.topic: 4 for source in SOURCES}) as broker:
        producer = create_producer(broker.bootstrap)

        def send() -> list[MinuteBatch]:
            publish(batches, producer)
            return batches

        timed("publish prepared batches", send)


if __name__ == "__main__":
    main()
