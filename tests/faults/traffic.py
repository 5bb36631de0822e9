"""What fault tests publish: simulated minutes with everything in them that a producer may do wrong, and its publisher.

Minutes are made while they are published, so that millions of records need no memory.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from confluent_kafka import KafkaError, Producer

from monitor.simulate import demo, generate
from tests.e2e.events import decision
from tests.e2e.independent_count import APPEALS, DECISIONS, LAUNCHES, REPORTS, REVIEWS
from tests.e2e.junk import JUNK, ORPHAN
from tests.e2e.published import Published

HOUR_MS: Final = 3_600_000
WEEK_MS: Final = 7 * 24 * HOUR_MS


def latest_start_ms(now_ms: int) -> int:
    """The last Monday, 12:00Z, that is a day ago at least.

    Weekdays and hours are the same in every run. Records must not be old: a broker forgets a producer whose last
    record was older than `producer.id.expiration.ms` when it starts again, and takes what that one sends anew after
    a `kill -9` for new. Nor may they lie in the future, which a broker refuses.
    """
    monday = 1_736_164_800_000  # 2025-01-06T12:00Z
    return monday + (now_ms - 24 * HOUR_MS - monday) // WEEK_MS * WEEK_MS


START_MS: Final = latest_start_ms(time.time_ns() // 1_000_000)
TOPICS: Final = (DECISIONS, REVIEWS, APPEALS, REPORTS, LAUNCHES)

AGAIN: Final = 40
"""One feedback record in so many is published twice."""
JUNK_EVERY: Final = 200
TOMBSTONE_EVERY: Final = 1500
LATE_EVERY: Final = 1200
FUTURE_EVERY: Final = 3000
ORPHAN_EVERY: Final = 2000

SLICE_SECONDS: Final = 0.05
FLUSH_SECONDS: Final = 120.0


def simulated_minutes(*, decisions: int, minutes: int, seed: int) -> Iterator[list[Published]]:
    """About so many decisions in so many minutes, and feedback, half of it without context.

    One decision in 50 is published twice. Junk, tombstones, late and future decisions and feedback about nobody's
    decision are strewn in.
    """
    scenario = msgspec.structs.replace(
        demo(decisions_per_minute=decisions / minutes, incident_minute=max(2, minutes // 6)),
        retry_share=0.02,
        context_share=0.5,
        name="faults",
    )
    number = 0
    for batch in generate(scenario, seed=seed, start_ms=START_MS, minutes=minutes):
        found: list[Published] = []
        for topic, records in batch.records.items():
            stamps = records.timestamps.tolist()
            for key, value, at in zip(records.keys, records.values, stamps, strict=True):
                record = Published(topic, key, value, at)
                found.append(record)
                found += strewn(number, record)
                number += 1
        found.sort(key=lambda record: record.timestamp_ms)  # topics go side by side; copies stay behind their first
        yield found


def strewn(number: int, record: Published) -> Iterator[Published]:
    """What else is published with the record of this number."""
    topic, _, _, at, _ = record
    if topic in {REVIEWS, APPEALS, REPORTS} and number % AGAIN == 0:
        yield record
    if number % JUNK_EVERY == 0:
        junk = JUNK[topic]
        yield Published(topic, None, junk[number // JUNK_EVERY % len(junk)][0], at)
    if number % TOMBSTONE_EVERY == 0:
        yield Published(topic, b"gone-%d" % number, None, at)
    if topic == DECISIONS and number % LATE_EVERY == 0:
        yield _dated(f"late-{number}", at - 48 * HOUR_MS, published_ms=at)
    if topic == DECISIONS and number % FUTURE_EVERY == 0:
        yield _dated(f"future-{number}", at + HOUR_MS, published_ms=at)
    if topic == REVIEWS and number % ORPHAN_EVERY == 0:
        yield Published(REVIEWS, b"nobody-%d" % number, ORPHAN % (number, number), at)


def _dated(identifier: str, at_ms: int, *, published_ms: int) -> Published:
    event = zulu(decision(identifier, at_ms=at_ms, model="text-guard"))
    return Published(DECISIONS, identifier.encode(), msgspec.json.encode(event), published_ms)


def zulu(event: dict[str, Any]) -> dict[str, Any]:
    """A decision with its time as the simulator writes it and the independent count reads it."""
    return event | {"occurred_at": event["occurred_at"].replace("+00:00", "Z")}


def fingerprint(topic: str, value: bytes | None, timestamp_ms: int) -> int:
    """A number whose sum over records tells two collections apart, whatever their order; within one process."""
    return hash((topic, value, timestamp_ms))


@contextmanager
def publishing(bootstrap: str, batches: Sequence[Sequence[Published]], *, per_second: float) -> Iterator[Publisher]:
    """A publisher at work at about this pace; at the end it publishes what is left at once."""
    records = sum(map(len, batches))
    with Publisher(bootstrap, batches, seconds_per_batch=records / per_second / len(batches)) as publisher:
        publisher.limit = float("inf")
        publisher.start()
        yield publisher
        publisher.finish(at_once=True)


class Publisher(threading.Thread):
    """Publishes batches in the background at an even pace, and stops before batch `limit` until that is raised.

    Idempotent, acknowledged by all replicas. A record that is refused ends it: `finish` raises. A context manager that
    ends it in any case; `start` begins.
    """

    def __init__(
        self,
        bootstrap: str,
        batches: Iterable[Sequence[Published]],
        *,
        seconds_per_batch: float,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name="publisher", daemon=True)
        self.acknowledged = 0
        self.by_topic: Counter[str] = Counter()
        """records handed to Kafka"""
        self.fingerprint = 0
        self.position = 0
        """batches that were handed to Kafka"""
        self.limit: float = 0
        self._batches = batches
        self._pace = seconds_per_batch
        self._refused: list[KafkaError] = []
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "acks": "all",
                "enable.idempotence": True,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 0,
                **(config or {}),
            }
        )

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    def run(self) -> None:
        try:
            self._publish()
            left = 0 if self.done else self._producer.flush(FLUSH_SECONDS)
            assert 0 == left, f"{left} records were not acknowledged within {FLUSH_SECONDS:g} s"
        except BaseException as error:  # raised again in the test's own thread
            self._failure = error
        finally:
            self._ended.set()

    def until(self, reached: Callable[[], bool], *, what: str, within: float = 300.0) -> None:
        """Wait for a condition while publishing goes on; AssertionError when it does not come."""
        deadline = time.monotonic() + within
        while not reached():
            self.check()
            assert time.monotonic() < deadline, f"not within {within:g} s: {what}; published {self.position} batches"
            time.sleep(SLICE_SECONDS)

    def until_published(self, batches: int) -> None:
        """Wait until so many batches were handed to Kafka."""
        self.until(lambda: self.position >= batches, what=f"{batches} batches")

    def finish(self, *, within: float = 600.0, at_once: bool = False) -> None:
        """Publish what is left, the batches that have not begun `at_once`, and wait until all is acknowledged."""
        self._pace = 0.0 if at_once else self._pace
        self.limit = float("inf")
        self.until(lambda: self.done, what="all is published", within=within)
        self.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self.ident is not None:
            self.join()
        self._producer.purge()

    def check(self) -> None:
        """Raises what publishing failed with."""
        if self._failure is not None:
            raise self._failure
        assert [] == self._refused[:5]

    def _publish(self) -> None:
        for number, batch in enumerate(self._batches):
            while number >= self.limit and not self.done:
                self._producer.poll(SLICE_SECONDS)
            begin = time.monotonic()
            step = max(1, len(batch) * SLICE_SECONDS / self._pace) if self._pace else len(batch) + 1
            at = 0
            while at < len(batch) and not self.done:
                elapsed = time.monotonic() - begin
                due = int(min(len(batch), (elapsed / SLICE_SECONDS + 1) * step))
                for record in batch[at:due]:
                    self._send(record)
                at = max(at, due)
                self._producer.poll(SLICE_SECONDS if at < len(batch) else 0)
            if self.done:
                return
            self.position = number + 1

    def _send(self, record: Published) -> None:
        topic, key, value, at, headers = record
        while True:
            try:
                self._producer.produce(
                    topic, value, key, timestamp=at, headers=headers or [], on_delivery=self._delivered
                )
                break
            except BufferError:  # the queue is full: wait for acknowledgements
                self._producer.poll(SLICE_SECONDS)
        self.by_topic[topic] += 1
        self.fingerprint += fingerprint(topic, value, at)

    def _delivered(self, error: KafkaError | None, _record: object) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self._refused.append(error)
