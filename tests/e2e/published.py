"""What a test publishes: records with their Kafka timestamps, kept in memory for the independent count.

Records with equal keys go to one partition in the order of publishing; a timestamp is Kafka's CreateTime in ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from monitor.simulate import Scenario, generate
from monitor.topics import SOURCES

Headers = list[tuple[str, bytes | None]]


class Published(NamedTuple):
    """One record. `key` and `value` None are Kafka's null."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers | None = None


class Read(NamedTuple):
    """One record as read back."""

    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    all_headers: Headers


def simulated(scenario: Scenario, *, seed: int, start_ms: int, minutes: int) -> list[Published]:
    """The records of a simulation, minute by minute."""
    return [
        Published(topic, key, value, at)
        for batch in generate(scenario, seed=seed, start_ms=start_ms, minutes=minutes)
        for topic, records in batch.records.items()
        for key, value, at in zip(records.keys, records.values, records.timestamps.tolist(), strict=True)
    ]


def counts_by_topic(records: Iterable[Published]) -> dict[str, int]:
    """Number of records of each source topic."""
    counts = dict.fromkeys([source.topic for source in SOURCES], 0)
    for record in records:
        counts[record.topic] += 1
    return counts


def publish(bootstrap: str, records: Iterable[Published], *, within: float = 60.0, **config: Any) -> None:
    """Publish all records and return when they are acknowledged. AssertionError when one is refused or none answers."""
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, _record: object) -> None:
        if error is not None:
            refused.append(error)

    settings = {
        "bootstrap.servers": bootstrap,
        "partitioner": "murmur2_random",
        "linger.ms": 5,
        "acks": "all",
        "enable.idempotence": True,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 1_000_000,
    }
    producer = Producer({name.replace("_", "."): value for name, value in (settings | config).items()})
    for number, (topic, key, value, at, headers) in enumerate(records):
        producer.produce(topic, value, key, timestamp=at, headers=headers or [], on_delivery=delivered)
        if number % 5000 == 0:
            producer.poll(0)
    assert 0 == producer.flush(within), "not all records were acknowledged"
    assert [] == refused


def read_topic(bootstrap: str, topic: str, *, partitions: int = 1, expect: int, within: float = 30.0) -> list[Read]:
    """All records of a topic, at least `expect`: what lies between the log's begin and its end now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 16 * 1024 * 1024,
        }
    )
    try:
        ends = {}
        for number in range(partitions):
            first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=within)
            ends[number] = end - first
        wanted = max(expect, sum(ends.values()))
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        found: list[Read] = []
        while len(found) < wanted:
            records = consumer.consume(wanted - len(found), timeout=within)
            assert records, f"{topic}: {len(found)} of {wanted} records within {within:g} s"
            for record in records:
                assert record.error() is None, record.error()
                headers: Headers = record.headers() or []
                found.append(Read(record.key(), record.value(), {n: v or b"" for n, v in headers}, headers))
        return found
    finally:
        consumer.close()


def write_lines(records: Sequence[Published], topic: str, path: Path) -> Path:
    """The values of one topic as lines of a file, for `replay`; raises ValueError for what a file cannot hold."""
    values = [record.value for record in records if record.topic == topic]
    if any(value is None or b"\n" in value or not value.strip() for value in values):
        raise ValueError(f"{topic}: tombstones, line breaks and blank values do not fit a file")
    path.write_bytes(b"".join(value + b"\n" for value in values if value is not None))
    return path
