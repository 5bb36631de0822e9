"""Batches to Kafka, at the pace of an event clock or as fast as they go.

The queue is bounded by the producer's own configuration: when it is full, publishing waits for acknowledgements. A
record that Kafka refuses stops it: a simulated log with holes is not the log whose truth was written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from monitor.simulate.clock import EventClock
from monitor.simulate.records import MinuteBatch, Records

SLICE_SECONDS: Final = 0.05
"""Longest wait between two looks at the clock, in wall time."""
POLL_EVERY: Final = 2000
"""Records between two calls that serve delivery reports."""


class KafkaProducer(Protocol):
    """The part of `confluent_kafka.Producer` that is used here."""

    def produce(
        self,
        topic: str,
        /,
        *,
        value: bytes,
        key: bytes,
        timestamp: int,
        on_delivery: Callable[[object, Any], None],
    ) -> None: ...
    def poll(self, timeout: float, /) -> int: ...
    def flush(self, timeout: float, /) -> int: ...


class DeliveryError(RuntimeError):
    """Kafka did not take a record, or not in time."""


@dataclass(slots=True)
class Progress:
    """How far publishing has come."""

    by_topic: dict[str, int] = field(default_factory=dict)
    event_ms: int | None = None
    """Event time of the latest published record; None: nothing yet."""
    behind_seconds: float = 0.0
    """Wall time by which publishing lags behind its clock."""

    @property
    def records(self) -> int:
        """Records published to all topics."""
        return sum(self.by_topic.values())


def create_producer(bootstrap: str, *, config: Mapping[str, Any] | None = None) -> KafkaProducer:
    """A librdkafka producer that waits for all replicas and partitions keys as Java clients do.

    Its queue holds at most 200 thousand records or 256 MB; nothing is compressed, as the broker is mostly on the same
    machine. `config` (security and the like) overrides. Raises DeliveryError if librdkafka refuses it.
    """
    from confluent_kafka import KafkaException, Producer

    values: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": 20,
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 262_144,
        "delivery.report.only.error": True,
    }
    try:
        producer: KafkaProducer = Producer(values | dict(config or {}))
    except KafkaException as error:
        raise DeliveryError(f"starting a producer: {error.args[0].str()}") from error
    return producer


def publish(
    batches: Iterable[MinuteBatch],
    producer: KafkaProducer,
    *,
    clock: EventClock | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    wait: Callable[[float], bool] | None = None,
    now: Callable[[], float] = time.monotonic,
    flush_seconds: float = 30.0,
) -> Progress:
    """Publish every record with its own timestamp and key, and return when Kafka has acknowledged them all.

    `clock`: no record is published before its time; None: as fast as possible. `wait` sleeps for the given seconds and
    returns True to stop early (`threading.Event().wait` fits); it is asked at least once a slice. `on_progress` is
    called after every slice.

    Raises DeliveryError if a record is refused or acknowledgements are missing after `flush_seconds`.
    """
    wait = wait or _sleep
    sender = _Sender(producer, stopped=lambda: wait(0.0), flush_seconds=flush_seconds)
    for batch in batches:
        parts = [(topic, records) for topic, records in batch.records.items() if len(records)]
        cursors = [0] * len(parts)
        while True:
            wall = now()
            until = None if clock is None else clock.event_ms(wall)
            for index, (topic, records) in enumerate(parts):
                end = len(records) if until is None else int(np.searchsorted(records.timestamps, until, side="right"))
                cursors[index] = sender.send(topic, records, cursors[index], end)
                if cursors[index] < end:
                    sender.finish()
                    return sender.progress
            left = [
                int(records.timestamps[done])
                for done, (_, records) in zip(cursors, parts, strict=True)
                if done < len(records)
            ]
            if clock is not None and sender.progress.event_ms is not None:
                sender.progress.behind_seconds = max(0.0, now() - clock.wall(sender.progress.event_ms))
            if on_progress is not None:
                on_progress(sender.progress)
            pause = 0.0 if clock is None or not left else _pause(clock.wall(min(left)) - now())
            if wait(pause):
                sender.finish()
                return sender.progress
            if not left:
                break
    sender.finish()
    return sender.progress


class _Sender:
    def __init__(self, producer: KafkaProducer, *, stopped: Callable[[], bool], flush_seconds: float) -> None:
        self.progress = Progress()
        self._stopped = stopped
        self._producer = producer
        self._flush_seconds = flush_seconds
        self._errors: list[str] = []

    def send(self, topic: str, records: Records, begin: int, end: int) -> int:
        """Queue the records from `begin` to before `end`; how far it came, less than that where it is to stop."""
        if end <= begin:
            return begin
        produce, poll, on_delivery = self._producer.produce, self._producer.poll, self._delivered
        stamps = records.timestamps[begin:end].tolist()
        for number, (key, value, at) in enumerate(
            zip(records.keys[begin:end], records.values[begin:end], stamps, strict=True)
        ):
            while True:
                try:
                    produce(topic, value=value, key=key, timestamp=at, on_delivery=on_delivery)
                    break
                except BufferError:  # the queue is full: wait for acknowledgements, which may never come
                    poll(0.5)
                    self._check()
                    if self._stopped():
                        return self._sent(topic, stamps[:number], begin)
            if number % POLL_EVERY == 0:
                poll(0)
                self._check()
        return self._sent(topic, stamps, begin)

    def _sent(self, topic: str, stamps: Sequence[int], begin: int) -> int:
        if stamps:
            self.progress.by_topic[topic] = self.progress.by_topic.get(topic, 0) + len(stamps)
            self.progress.event_ms = max(stamps[-1], self.progress.event_ms or stamps[-1])
        return begin + len(stamps)

    def finish(self) -> None:
        """Wait for all acknowledgements."""
        missing = self._producer.flush(self._flush_seconds)
        self._check()
        if missing:
            raise DeliveryError(f"{missing} records are not acknowledged after {self._flush_seconds} seconds")

    def _delivered(self, error: object, record: Any) -> None:
        if error is not None:
            self._errors.append(f"{record.topic()}: {error}")

    def _check(self) -> None:
        if self._errors:
            raise DeliveryError(f"{len(self._errors)} records were refused, the first of them for {self._errors[0]}")


def _pause(seconds: float) -> float:
    """A wait of at least a millisecond: event time is whole milliseconds, so a shorter one may not move it."""
    return min(SLICE_SECONDS, max(0.001, seconds))


def _sleep(seconds: float) -> bool:
    if seconds > 0:
        time.sleep(seconds)
    return False
