"""Where batches go: files, moved copies, Kafka."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer

from monitor.broker import EmbeddedBroker
from monitor.simulate import (
    DeliveryError,
    EventClock,
    MinuteBatch,
    Prepared,
    Progress,
    TruthRow,
    create_producer,
    generate,
    publish,
    write_files,
)
from monitor.simulate.designs import Uniform
from tests.simulate.helpers import SEED, START, decisions, flat, log, model, reviews, scenario, total

SMALL = scenario(model(rate=300, audit=Uniform(design_id="u", probability=0.3)), context_share=0.5)


def test_files_hold_the_events_as_published_and_the_truth(tmp_path: Path) -> None:
    batches = log(SMALL)
    lines = write_files(batches, tmp_path / "out")
    for topic in ("decisions", "reviews", "appeals", "reports", "launches"):
        expected = [value for batch in batches for value in batch.records[f"moderation.{topic}"].values]
        assert expected == (tmp_path / "out" / f"{topic}.jsonl").read_bytes().splitlines()
        assert len(expected) == lines[f"{topic}.jsonl"]
    rows = [
        msgspec.json.decode(line, type=TruthRow)
        for line in (tmp_path / "out" / "truth.jsonl").read_bytes().splitlines()
    ]
    assert [row for batch in batches for row in batch.truth] == rows
    assert total(batches)["decisions"] == sum(row.decisions for row in rows)


def test_moved_batches_are_new_decisions_whose_feedback_still_fits() -> None:
    prepared = Prepared(log(SMALL))
    moved = list(prepared.moved(minutes=prepared.minutes))
    assert len(prepared) == sum(len(batch) for batch in moved)
    old, new = {one.decision_id for one in decisions(log(SMALL))}, decisions(moved)
    assert not old & {one.decision_id for one in new}
    by_id = {one.decision_id: one for one in new}
    for review in reviews(moved):
        assert review.decision is None or by_id[review.decision_id].occurred_at == review.decision.occurred_at
        assert review.review_id.endswith(review.decision_id)
    for batch in moved:
        for topic in ("decisions", "reviews", "appeals", "reports"):
            records = batch.records[f"moderation.{topic}"]
            ids = [json.loads(value)["decision_id"].encode() for value in records.values]
            assert ids == records.keys
            assert all(batch.start_ms <= at < batch.start_ms + 60_000 for at in records.timestamps.tolist())
    launches = moved[0].records["moderation.launches"]
    assert [b"m"] == launches.keys
    assert total(log(SMALL)) == total(moved)
    assert {row.minute for batch in moved for row in batch.truth} == {
        one.occurred_at.replace(second=0, microsecond=0) for one in new
    }


def test_moving_by_nothing_changes_nothing() -> None:
    assert flat(log(SMALL)) == flat(Prepared(log(SMALL)).moved(minutes=0))


def test_nothing_prepared_is_no_minutes() -> None:
    assert Prepared([]).minutes == 0
    assert list(Prepared([]).moved(minutes=3)) == []


def test_event_time_runs_as_fast_as_told_and_back() -> None:
    clock = EventClock(wall_start=100.0, event_start_ms=START, speed=60.0)
    assert clock.event_ms(101.0) == START + 60_000
    assert clock.event_ms(50.0) == START
    assert clock.wall(START + 120_000) == pytest.approx(102.0)
    with pytest.raises(ValueError, match="speed: expected more than 0"):
        EventClock(wall_start=0.0, event_start_ms=0, speed=0.0)


class FakeProducer:
    """Takes records; full after `room` of them until polled; refuses values that contain `refuse`."""

    def __init__(self, *, room: int = 10**9, refuse: bytes | None = None, unacknowledged: int = 0) -> None:
        self.taken: list[tuple[str, int, bytes, bytes]] = []
        self.full = 0
        self._room, self._refuse, self._unacknowledged = room, refuse, unacknowledged
        self._waiting: list[tuple[Callable[[object, Any], None], str, bool]] = []

    def produce(self, topic: str, /, *, value: bytes, key: bytes, timestamp: int, on_delivery: Any) -> None:
        if len(self._waiting) >= self._room:
            self.full += 1
            raise BufferError("queue full")
        self.taken.append((topic, timestamp, key, value))
        self._waiting.append((on_delivery, topic, self._refuse is not None and self._refuse in value))

    def poll(self, timeout: float, /) -> int:
        waiting, self._waiting = self._waiting, []
        for report, name, refused in waiting:
            report(
                "broker said no" if refused else None, type("Message", (), {"topic": lambda self, name=name: name})()
            )
        return len(waiting)

    def flush(self, timeout: float, /) -> int:
        self.poll(timeout)
        return self._unacknowledged


class HandClock:
    """A wall clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits = 0

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self.waits += 1
        return False


def test_everything_is_published_with_its_key_and_timestamp_even_through_a_full_queue() -> None:
    producer = FakeProducer(room=100)
    progress = publish(log(SMALL), producer)
    assert Counter(flat(log(SMALL))) == Counter(producer.taken)
    assert producer.full > 0
    assert len(producer.taken) == progress.records


def test_a_stop_is_heard_while_the_queue_is_full_and_nobody_acknowledges() -> None:
    class Away(FakeProducer):
        def poll(self, timeout: float, /) -> int:
            return 0

        def flush(self, timeout: float, /) -> int:
            super().poll(timeout)  # it comes back at last
            return 0

    producer = Away(room=25)
    asked: list[float] = []

    def wait(seconds: float) -> bool:
        asked.append(seconds)
        return len(asked) == 3

    progress = publish(log(SMALL), producer, wait=wait)
    assert 25 == progress.records == len(producer.taken)
    assert 3 == len(asked) == producer.full


def test_a_clock_holds_every_record_back_until_its_time() -> None:
    producer, hand = FakeProducer(), HandClock()
    clock = EventClock(wall_start=0.0, event_start_ms=START, speed=600.0)
    batches = tuple(generate(SMALL, seed=SEED, start_ms=START, minutes=3))
    early: list[int] = []
    seen = [0]

    def look(progress: Progress) -> None:
        early.extend(at for _, at, _, _ in producer.taken[seen[0] :] if at > clock.event_ms(hand.now))
        seen[0] = len(producer.taken)
        assert progress.event_ms is None or progress.behind_seconds < 0.2

    publish(batches, producer, clock=clock, on_progress=look, wait=hand.wait, now=lambda: hand.now)
    assert early == []
    assert len(flat(batches)) == len(producer.taken)
    assert hand.now == pytest.approx(3 * 60 / 600, rel=0.05)


def test_publishing_stops_when_it_is_told_to() -> None:
    producer = FakeProducer()
    publish(log(SMALL), producer, wait=lambda _: True)
    assert 0 < len(producer.taken) == len(flat([log(SMALL)[0]]))


def test_a_refused_record_and_missing_acknowledgements_are_errors() -> None:
    victim = log(SMALL)[0].records["moderation.decisions"].keys[5]
    with pytest.raises(DeliveryError, match=r"moderation\.decisions: broker said no"):
        publish(log(SMALL), FakeProducer(refuse=victim))
    with pytest.raises(DeliveryError, match="7 records are not acknowledged"):
        publish(log(SMALL), FakeProducer(unacknowledged=7))


def test_batches_can_be_taken_lazily() -> None:
    taken: list[int] = []

    def lazily() -> Any:
        for batch in log(SMALL)[:3]:
            taken.append(batch.start_ms)
            yield batch

    published: list[MinuteBatch] = []
    publish(lazily(), FakeProducer(), on_progress=lambda _: published.append(log(SMALL)[0]))
    assert len(taken) == len(published) == 3


def test_a_broker_hands_back_every_record_with_its_key_and_timestamp(embedded_broker: EmbeddedBroker) -> None:
    batches = log(SMALL)
    publish(batches, create_producer(embedded_broker.bootstrap))
    expected = Counter(flat(batches))
    consumer = Consumer(
        {"bootstrap.servers": embedded_broker.bootstrap, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(list(batches[0].records))
    found: Counter[tuple[str, int, bytes, bytes]] = Counter()
    deadline = time.monotonic() + 20
    while found.total() < expected.total() and time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=0.5):
            assert message.error() is None
            found[message.topic(), message.timestamp()[1], message.key(), message.value()] += 1
    consumer.close()
    assert expected == found
