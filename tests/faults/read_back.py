"""What is in the topics after a test, read back from Kafka, and what that says that the metrics have to say.

Nothing of the service is used here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from tests.e2e.independent_count import Count, count
from tests.e2e.junk import refused
from tests.e2e.published import Published
from tests.faults.traffic import TOPICS, fingerprint

IDLE_SECONDS: Final = 30.0
BATCH: Final = 5000
POLL_SECONDS: Final = 0.2

Place = tuple[str, int, int]
"""(topic, partition, offset)"""


def records_of(
    bootstrap: str, topics: Sequence[str], *, partition: int | None = None, start: int = 0
) -> Iterator[Message]:
    """All committed records of the topics (or of one partition of each, from an offset on) up to the log's end now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "read-back",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 16 * 1024 * 1024,
            "log_level": 0,
        }
    )
    try:
        known = consumer.list_topics(timeout=IDLE_SECONDS).topics
        left = {
            (topic, number)
            for topic in topics
            for number in known[topic].partitions
            if partition is None or number == partition
        }
        consumer.assign([TopicPartition(topic, number, start) for topic, number in sorted(left)])
        moved = time.monotonic()
        while left:
            messages = consumer.consume(BATCH, timeout=POLL_SECONDS)  # waits that long unless all of BATCH is there
            moved = time.monotonic() if messages else moved
            assert time.monotonic() - moved < IDLE_SECONDS, f"nothing for {IDLE_SECONDS:g} s before the end of {left}"
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
                elif not error.retriable():
                    raise AssertionError(str(error))
    finally:
        consumer.close()


@dataclass
class ReadBack:
    """The source topics as Kafka holds them."""

    count: Count = field(default_factory=Count)
    records: Counter[str] = field(default_factory=Counter)
    fingerprint: int = 0
    refused: dict[Place, bytes | None] = field(default_factory=dict)
    """junk by its place"""

    @property
    def events(self) -> int:
        return sum(self.records.values())


def read_back(bootstrap: str) -> ReadBack:
    """Read the source topics and count them independently."""
    result = ReadBack()
    result.count = count(_told(records_of(bootstrap, TOPICS), result, refused()), refused=refused())
    return result


def _told(messages: Iterator[Message], result: ReadBack, junk: Any) -> Iterator[Published]:
    for message in messages:
        topic, value, at = str(message.topic()), message.value(), int(message.timestamp()[1])
        result.records[topic] += 1
        result.fingerprint += fingerprint(topic, value, at)
        if value in junk:
            result.refused[topic, int(message.partition() or 0), int(message.offset() or 0)] = value
        yield Published(topic, message.key(), value, at)


@dataclass
class DeadLetters:
    """What is in the dead-letter topics."""

    found: dict[Place, tuple[bytes | None, str]] = field(default_factory=dict)
    """where each came from -> its bytes and the reason"""
    written: int = 0
    """records in the topics: a crash may have written one twice"""

    @property
    def redelivered(self) -> float | None:
        """Share of refused records that were written again; None when there was none.

        Writing dead letters is at least once, so one that is there twice was processed, lost, and processed again. It
        stands for all records, among which junk is strewn evenly.
        """
        return self.written / len(self.found) - 1 if self.found else None


def dead_letters(bootstrap: str) -> DeadLetters:
    """Read the dead-letter topics; AssertionError when two of one record differ."""
    result = DeadLetters()
    for message in records_of(bootstrap, [f"{topic}.dlq" for topic in TOPICS]):
        told = {name: bytes(content or b"").decode() for name, content in message.headers() or []}
        error = {name.removeprefix("monitor.error."): text for name, text in told.items()}
        place = (error["topic"], int(error["partition"]), int(error["offset"]))
        entry = (message.value(), error["exception"])
        assert entry == result.found.setdefault(place, entry), f"two different dead letters of {place}"
        result.written += 1
    return result
