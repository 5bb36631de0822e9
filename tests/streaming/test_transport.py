"""The transport under a running Faust app, on the embedded broker."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka import Consumer, TopicPartition
from faust.types import TP

from monitor.broker import EmbeddedBroker
from monitor.streaming.consumer import BatchScheduler
from monitor.streaming.fetch import RecordBatch, as_record
from monitor.streaming.transport import broker_urls
from tests.streaming.apps import Reader, build, committed, numbers, publish, read_into, reading, until

TOPIC = "events"


async def test_every_event_arrives_once_in_order_and_in_batches(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 3)
    for partition in range(3):
        publish(embedded_broker.bootstrap, TOPIC, numbers(0, 5000), partition=partition)
    async with reading(embedded_broker.bootstrap, TOPIC) as (reader, _):
        await until(lambda: reader.read() == 15000)
    for partition in range(3):
        batches = reader.batches[TP(TOPIC, partition)]
        assert numbers(0, 5000) == reader.values(TP(TOPIC, partition))
        assert len(batches) < 500
        assert [0, *(batch.next_offset for batch in batches[:-1])] == [batch.first_offset for batch in batches]
    assert [{TP(TOPIC, partition): 0 for partition in range(3)}] == reader.starts


async def test_a_fetch_of_many_small_batches_is_taken_bit_by_bit(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 2)
    for partition in range(2):
        publish(embedded_broker.bootstrap, TOPIC, numbers(0, 600), partition=partition, **{"batch.num.messages": 10})
    reader = Reader()
    app = build(
        embedded_broker.bootstrap,
        "bits",
        topics={TOPIC},
        on_start=reader.on_start,
        settings={"broker_max_poll_records": 7},
    )
    read_into(reader, app, TOPIC)
    await app.start()
    try:
        await until(lambda: reader.read() == 1200)
    finally:
        await app.stop()
    for partition in range(2):
        batches = reader.batches[TP(TOPIC, partition)]
        assert numbers(0, 600) == reader.values(TP(TOPIC, partition))
        assert max(map(len, batches)) <= 70
        assert [0, *(batch.next_offset for batch in batches[:-1])] == [batch.first_offset for batch in batches]


async def test_other_topics_of_the_same_app_keep_one_event_a_record(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    embedded_broker.create_topic("single", 1)
    publish(embedded_broker.bootstrap, "single", numbers(0, 300))
    app, seen = build(embedded_broker.bootstrap, "both", topics={TOPIC}), []
    read_into(Reader(), app, TOPIC)

    @app.agent(app.topic("single", value_type=None, value_serializer="raw"), name="single")
    async def receive(stream):  # type: ignore[no-untyped-def]
        async for event in stream.noack().events():
            seen.append(event.value)
            event.ack()

    await app.start()
    try:
        await until(lambda: len(seen) == 300)
    finally:
        await app.stop()
    assert numbers(0, 300) == seen


async def test_a_topic_that_is_held_is_left_until_it_is_not(embedded_broker: EmbeddedBroker) -> None:
    for topic in (TOPIC, "other"):
        embedded_broker.create_topic(topic, 2)
        publish(embedded_broker.bootstrap, topic, numbers(0, 300), partition=1)
    held, reader, other = {TOPIC}, Reader(), Reader()

    def on_start(starts: Mapping[Any, int]) -> None:
        reader.on_start(starts)
        other.on_start(starts)

    app = build(embedded_broker.bootstrap, "held", topics={TOPIC, "other"}, on_start=on_start, held=held.__contains__)
    read_into(reader, app, TOPIC)
    read_into(other, app, "other")
    await app.start()
    try:
        await until(lambda: other.read() == 300)
        publish(embedded_broker.bootstrap, "other", numbers(0, 50), partition=0)
        await until(lambda: other.read() == 350)
        assert 0 == reader.read()
        held.clear()
        await until(lambda: reader.read() == 300)
    finally:
        await app.stop()
    assert numbers(0, 300) == reader.values(TP(TOPIC, 1))


async def test_a_restart_reads_from_rewind_and_commits_nothing_backwards(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    tp, asked = TP(TOPIC, 0), []

    def rewind(topic: str, partition: int, committed: int) -> int:
        asked.append((topic, partition, committed))
        return committed - committed % 400 - 400

    publish(embedded_broker.bootstrap, TOPIC, numbers(0, 1000))
    async with reading(embedded_broker.bootstrap, TOPIC, rewind=rewind) as (reader, app):
        await until(lambda: app.consumer.progress()[tp].committed == 1000)
        assert app.consumer.progress()[tp].end == 1000
    assert [] == asked  # nothing was committed: the beginning
    async with reading(embedded_broker.bootstrap, TOPIC, rewind=rewind) as (reader, app):
        await until(lambda: reader.read() == 600)
        assert {tp: 400} == reader.starts[-1]
        assert numbers(400, 1000) == reader.values(tp)
        await until(lambda: len(app.monitor.commit_latency) > 2)  # a wrong commit would have happened
        progress = app.consumer.progress()[tp]
        assert (1000, None) == (progress.committed, progress.committed_at)
        assert 1000 == await committed(app)
        publish(embedded_broker.bootstrap, TOPIC, numbers(1000, 1001))
        await until(lambda: app.consumer.progress()[tp].committed == 1001)
        assert 1001 == await committed(app)
        assert abs(time.time() - (app.consumer.progress()[tp].committed_at or 0)) < 10
    assert {(TOPIC, 0, 1000)} == set(asked)


async def test_rewind_is_clamped_to_what_the_log_still_has(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    publish(embedded_broker.bootstrap, TOPIC, numbers(0, 1000), **{"batch.num.messages": 100})
    async with reading(embedded_broker.bootstrap, TOPIC) as (_, app):
        await until(lambda: app.consumer.progress()[TP(TOPIC, 0)].committed == 1000)
    embedded_broker.truncate(TOPIC, 0, before=700)
    async with reading(embedded_broker.bootstrap, TOPIC, rewind=lambda *_: -5) as (reader, _):
        await until(lambda: reader.read() == 300)
    assert [{TP(TOPIC, 0): 700}] == reader.starts
    async with reading(embedded_broker.bootstrap, TOPIC, group="new") as (reader, _):
        await until(lambda: reader.read() == 300)
    assert [{TP(TOPIC, 0): 700}] == reader.starts


async def test_a_rewind_beyond_the_committed_offset_skips_nothing(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    publish(embedded_broker.bootstrap, TOPIC, numbers(0, 10))
    async with reading(embedded_broker.bootstrap, TOPIC) as (_, app):
        await until(lambda: app.consumer.progress()[TP(TOPIC, 0)].committed == 10)
    publish(embedded_broker.bootstrap, TOPIC, numbers(10, 20))
    async with reading(embedded_broker.bootstrap, TOPIC, rewind=lambda *_: 15) as (reader, _):
        await until(lambda: reader.read() == 10)
    assert numbers(10, 20) == reader.values(TP(TOPIC, 0))


async def test_a_committed_offset_beyond_the_end_is_of_another_log(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    publish(embedded_broker.bootstrap, TOPIC, numbers(0, 10))
    former = Consumer({"bootstrap.servers": embedded_broker.bootstrap, "group.id": "readers"})
    former.commit(offsets=[TopicPartition(TOPIC, 0, 5000)], asynchronous=False)
    former.close()
    async with reading(embedded_broker.bootstrap, TOPIC) as (reader, app):
        await until(lambda: app.consumer.progress()[TP(TOPIC, 0)].committed == 10)
        assert numbers(0, 10) == reader.values(TP(TOPIC, 0))
        assert 10 == await committed(app)


@pytest.mark.parametrize("step", ["bounds", "seek_all"])
async def test_a_seek_that_outlasts_its_assignment_starts_nothing(embedded_broker: EmbeddedBroker, step: str) -> None:
    # A worker that was told of a start after the end would own, for good, what another one owns.
    embedded_broker.create_topic(TOPIC, 2)
    async with reading(embedded_broker.bootstrap, TOPIC) as (reader, app):
        everything = {TP(TOPIC, 0), TP(TOPIC, 1)}
        await until(lambda: reader.owned == everything)
        thread, asked, go_on = app.consumer._thread, asyncio.Event(), asyncio.Event()
        wanted = getattr(thread, step)

        async def slow(*args: Any) -> Any:
            asked.set()
            await go_on.wait()
            return await wanted(*args)

        setattr(thread, step, slow)
        seek = asyncio.create_task(app.consumer.perform_seek())
        await asked.wait()
        await app.consumer.on_partitions_revoked(everything)
        go_on.set()
        await seek
        await app.consumer.perform_seek()  # Faust asks again before there is another assignment
        assert set() == reader.owned
        assert not everything & set(app.consumer._read_offset)


async def test_seeks_at_once_start_reading_once_and_a_later_one_again(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    async with reading(embedded_broker.bootstrap, TOPIC) as (reader, app):
        await until(lambda: TP(TOPIC, 0) in reader.owned and not app.rebalancing)
        thread, asked, go_on = app.consumer._thread, asyncio.Event(), asyncio.Event()
        bounds, starts = thread.bounds, len(reader.starts)

        async def slow() -> Any:
            asked.set()
            await go_on.wait()
            return await bounds()

        thread.bounds = slow
        seeks = [asyncio.create_task(app.consumer.perform_seek()) for _ in range(3)]
        await asked.wait()
        go_on.set()
        await asyncio.gather(*seeks)
        assert starts + 1 == len(reader.starts)
        await app.consumer.perform_seek()
        assert starts + 2 == len(reader.starts)


async def test_a_slow_agent_is_waited_for_without_idle_seconds(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    publish(embedded_broker.bootstrap, TOPIC, numbers(0, 20_000), **{"batch.num.messages": 100})
    app, batches, slow = build(embedded_broker.bootstrap, "slow", topics={TOPIC}, max_records=100), [], 0.005

    @app.agent(app.topic(TOPIC, value_type=None, value_serializer="raw"), name="slow")
    async def receive(stream):  # type: ignore[no-untyped-def]
        async for event in stream.noack().events():
            await asyncio.sleep(slow)
            batches.append(event.value)
            event.ack()

    await app.start()
    try:
        await until(lambda: len(batches) > 0)
        started = time.monotonic()
        await until(lambda: batches[-1].next_offset == 20_000)
        assert time.monotonic() - started < 4 * slow * len(batches)
    finally:
        await app.stop()
    assert numbers(0, 20_000) == [value for batch in batches for value in batch.values]


@pytest.mark.parametrize("outage", [0.0, 2.0])
async def test_a_stop_while_the_broker_is_down_is_bounded(embedded_broker: EmbeddedBroker, outage: float) -> None:
    embedded_broker.create_topic(TOPIC, 1)
    publish(embedded_broker.bootstrap, TOPIC, numbers(0, 100))
    async with reading(embedded_broker.bootstrap, TOPIC, stop_within=1.0) as (reader, app):
        reader.hold.clear()
        await until(lambda: reader.read() == 100)
        embedded_broker.go_down()
        down = time.monotonic()
        await until(lambda: time.monotonic() > down + outage)
        reader.hold.set()  # acknowledged, but not committed: the last commit is tried
        started = time.monotonic()
        await app.stop()
        assert time.monotonic() - started < 8.0
    embedded_broker.come_up()
    async with reading(embedded_broker.bootstrap, TOPIC) as (reader, _):
        await until(lambda: reader.read() == 100)


def test_merged_batches_end_where_they_reach_the_bound() -> None:
    tp, other = TopicPartition("t", 0), TopicPartition("o", 0)
    found = [as_record(RecordBatch("t", 0, at, at + 40, offsets=array("q", range(at, at + 40)))) for at in (0, 40, 80)]
    plain = [Mock(), Mock()]
    events = [*BatchScheduler(topics={"t"}, max_records=80).iterate({tp: found, other: plain})]
    assert [(tp, 79), (tp, 119)] == [(where, record.offset) for where, record in events[:2]]
    assert [(0, 80), (80, 120)] == [(r.value.first_offset, r.value.next_offset) for _, r in events[:2]]
    assert [(other, record) for record in plain] == events[2:]


def test_bootstrap_servers_become_urls_of_our_scheme() -> None:
    assert ["moderation://a:9092", "moderation://b:9093"] == broker_urls("a:9092, b:9093")
    with pytest.raises(ValueError, match="expected host:port"):
        broker_urls(" ,")
