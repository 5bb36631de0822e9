"""Logs with gaps: transactions, some of them aborted, and a compacted topic. Offsets that hold no event are no lag.

The worker reads committed records only: what was aborted counts nowhere. A recount reads the topics the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.compaction import compacted
from tests.e2e import topics
from tests.e2e.events import DECISIONS, decision, record
from tests.e2e.published import publish
from tests.e2e.worker_process import QUICK
from tests.faults.conftest import PATIENCE, Size
from tests.faults.fleet import Fleet
from tests.faults.kafka_nodes import one_node
from tests.faults.traffic import zulu
from tests.faults.verdict import settle

pytestmark = pytest.mark.kafka

PARTITIONS: Final = 4
INTERVALS: Final = 2
"""Commits reach the log's end within so many commit intervals after everything is counted."""
TRANSACTIONS: Final = {"small": 12, "full": 600}
EACH: Final = 200
"""Records of a transaction."""
GROUP: Final = "moderation-monitor"
COMPACTED: Final = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.bytes": str(2**20)}
KEYS: Final = {"small": 500, "full": 5_000}
PADDING: Final = "x" * 1500
"""A field that no one knows: segments are at least a megabyte, and only whole ones are compacted."""
ROUNDS: Final = 12
"""How often each key of the compacted topic is published, with another decision each time."""


def in_transactions(bootstrap: str, count: int, *, first: int = 0) -> int:
    """Publish transactions of decisions, every third of them aborted, the last one too; the number of aborted records.

    Ids of aborted decisions are used by no other.
    """
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"test-{first}", "linger.ms": 5})
    producer.init_transactions(30)
    aborted = 0
    for number in range(first, first + count):
        producer.begin_transaction()
        for index in range(EACH):
            name = f"d-{number}-{index}"
            kept = record(zulu(decision(name)))
            producer.produce(DECISIONS, kept.value, kept.key, timestamp=kept.timestamp_ms)
        producer.flush(30)  # an abort would drop what has not been sent
        if number % 3 == 0 or number == first + count - 1:
            producer.abort_transaction(30)
            aborted += EACH
        else:
            producer.commit_transaction(30)
    return aborted


def uncommitted(bootstrap: str) -> dict[int, int]:
    """Offsets between what the group has committed and the end of each partition of the decisions, where any are."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP})
    try:
        places = [TopicPartition(DECISIONS, number) for number in range(PARTITIONS)]
        committed = {place.partition: max(0, place.offset) for place in consumer.committed(places, timeout=10)}
        ends = {place.partition: consumer.get_watermark_offsets(place, timeout=10)[1] for place in places}
    finally:
        consumer.close()
    return {number: end - committed[number] for number, end in ends.items() if end > committed[number]}


def until_committed(fleet: Fleet, bootstrap: str, *, patience: float) -> float:
    """Seconds until the group has committed the ends of all partitions, markers included."""
    interval = max(float(str(QUICK[f"{name}_interval_seconds"])) for name in ("kafka.commit", "blocks.publish"))
    begin = time.monotonic()
    # The open block is published when it has grown enough, or at the fifth attempt; then it may be committed.
    within = patience * (5 * interval + INTERVALS * interval)
    fleet.until(lambda: not uncommitted(bootstrap), what="commits reach the ends of the logs", within=within)
    return time.monotonic() - begin


def test_aborted_records_count_nowhere_and_markers_leave_no_lag(
    tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    count = TRANSACTIONS[size]
    with one_node(tmp_path / "kafka") as kafka:
        topics.create(kafka, source=PARTITIONS, internal=2)
        with Fleet(kafka.bootstrap, tmp_path / "workers", patience=PATIENCE[size]) as fleet:
            fleet.start("only")
            fleet.until_ready()
            aborted = in_transactions(kafka.bootstrap, count)
            fleet.kill("only")
            aborted += in_transactions(kafka.bootstrap, count, first=count)
            verdict = settle(fleet, kafka.bootstrap)
            seconds = until_committed(fleet, kafka.bootstrap, patience=PATIENCE[size])
            (scrape,) = fleet.scrapes()
            told = scrape.total("moderation_decisions_total", segment="all")
    assert 2 * count * EACH - aborted == told
    assert aborted > count * EACH / 2
    outcome(
        number="27",
        name="transactions, a third of them aborted, and a `kill -9`",
        events=verdict.events,
        faults=2 * count // 3 + 1,
        lost=verdict.lost + abs(2 * count * EACH - aborted - round(told)),
        told=f"{aborted:,} aborted records count nowhere;"
        f" commits at the log's end {seconds:.1f} s after the last count",
    )


def test_a_compacted_topic_with_holes_is_read_to_its_end(
    tmp_path: Path, size: Size, outcome: Callable[..., None]
) -> None:
    keys = KEYS[size]
    with one_node(tmp_path / "kafka") as kafka:
        topics.create(kafka, source=PARTITIONS, internal=2, config={DECISIONS: COMPACTED})
        for turn in range(ROUNDS):
            events = [zulu(decision(f"d-{turn}-{number}", padding=PADDING)) for number in range(keys)]
            keyed = [record(event, key=b"key-%d" % number) for number, event in enumerate(events)]
            publish(kafka.bootstrap, keyed)
        holes = compacted(kafka.bootstrap, DECISIONS, published=keys * ROUNDS, holes=keys)
        with Fleet(kafka.bootstrap, tmp_path / "workers", patience=PATIENCE[size]) as fleet:
            fleet.start("only")
            fleet.until_ready()
            first = settle(fleet, kafka.bootstrap)
            fleet.kill("only")
            publish(kafka.bootstrap, [record(zulu(decision(f"new-{number}"))) for number in range(keys)])
            verdict = settle(fleet, kafka.bootstrap)
            seconds = until_committed(fleet, kafka.bootstrap, patience=PATIENCE[size])
    assert first.events + keys == verdict.events
    assert keys * ROUNDS - holes == first.events
    outcome(
        number="27",
        name="a compacted topic with holes, and a `kill -9`",
        events=verdict.events,
        faults=1,
        lost=verdict.lost,
        told=f"{holes:,} offsets hold nothing; commits at the log's end {seconds:.1f} s after the last count",
    )
