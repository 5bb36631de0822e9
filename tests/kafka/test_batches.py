"""Record batches of a real broker, each compared with what a stock aiokafka consumer reads of the same topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from confluent_kafka import Producer

from monitor.streaming.fetch import RecordBatch, deliver_batches
from tests.compaction import compacted
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

Row = tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]


@asynccontextmanager
async def consumer(kafka: KafkaServer, topic: str, *, batched: bool, start: int = 0) -> AsyncIterator[Any]:
    reader = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, isolation_level="read_committed", group_id=None)
    await reader.start()
    try:
        if batched:
            deliver_batches(reader._fetcher, topics={topic})
        reader.assign([TopicPartition(topic, 0)])
        reader.seek(TopicPartition(topic, 0), start)
        yield reader
    finally:
        await reader.stop()


async def read_up_to(reader: Any, end: int) -> list[Any]:
    """Records until the position is `end`."""
    [tp] = reader.assignment()
    records, deadline = [], time.monotonic() + 30
    while await reader.position(tp) < end:
        assert time.monotonic() < deadline, f"at {await reader.position(tp)} of {end}"
        for found in (await reader.getmany(timeout_ms=200)).values():
            records += found
    return records


async def read(kafka: KafkaServer, topic: str, *, start: int = 0, end: int | None = None) -> list[RecordBatch]:
    """The batches from `start` to an end, after a check that they say what a stock consumer says.

    Without `end` to where reading would end now: what is committed may take a moment longer to be told as such.
    """
    async with (
        consumer(kafka, topic, batched=True, start=start) as ours,
        consumer(kafka, topic, batched=False, start=start) as stock,
    ):
        [tp] = stock.assignment()
        if end is None:
            end = (await stock.end_offsets([tp]))[tp]
        expected: list[Row] = [
            (record.offset, record.timestamp, record.key, record.value, list(record.headers))
            for record in await read_up_to(stock, end)
        ]
        batches = [record.value for record in await read_up_to(ours, end)]
    assert expected == [row for batch in batches for row in rows(batch)]
    assert [start, *(batch.next_offset for batch in batches)] == [*(batch.first_offset for batch in batches), end]
    return batches


def rows(batch: RecordBatch) -> list[Row]:
    columns = zip(batch.offsets, batch.timestamps, batch.keys, batch.values, strict=True)
    return [(*row, list(batch.headers(index))) for index, row in enumerate(columns)]


def publish(kafka: KafkaServer, topic: str, count: int, **options: Any) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 50, **options})
    for number in range(count):
        headers = [("number", b"%d" % number)] if number % 3 == 0 else None
        value = None if number % 7 == 6 else b"value %d " % number * 10
        producer.produce(topic, value, key=b"key %d" % number, headers=headers, partition=0)
    assert producer.flush(30) == 0


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4", "snappy", "zstd"])
async def test_columns_keys_and_headers_are_those_of_a_stock_consumer(kafka: KafkaServer, codec: str) -> None:
    topic = kafka.create_topic(f"codec-{codec}")
    publish(kafka, topic, 3000, **{"compression.type": codec})
    batches = await read(kafka, topic)
    assert 3000 == sum(len(batch) for batch in batches)
    assert len(batches) < 300


@pytest.mark.parametrize("start", [1, 499, 500, 999])
async def test_a_fetch_may_start_inside_a_batch(kafka: KafkaServer, start: int) -> None:
    topic = kafka.create_topic(f"inside-{start}")
    publish(kafka, topic, 1000, **{"batch.num.messages": 250, "compression.type": "lz4"})
    batches = await read(kafka, topic, start=start)
    assert [*range(start, 1000)] == [offset for batch in batches for offset in batch.offsets]


async def test_aborted_transactions_leave_holes_that_are_covered(kafka: KafkaServer) -> None:
    topic = kafka.create_topic("transactions")
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id="t") as producer:
        for number, abort in enumerate([False, True, False, True, True, False, True]):
            await producer.begin_transaction()
            for index in range(20):
                await producer.send(topic, b"%d.%d" % (number, index), partition=0)
            await (producer.abort_transaction() if abort else producer.commit_transaction())
    batches = await read(kafka, topic, end=7 * 21)  # each transaction ends with a marker
    expected = [b"%d.%d" % (number, index) for number in (0, 2, 5) for index in range(20)]
    assert expected == [value for batch in batches for value in batch.values]
    assert [] == list(batches[-1].values)  # the last one was aborted


async def test_an_open_transaction_is_read_when_it_ends(kafka: KafkaServer) -> None:
    topic = kafka.create_topic("open")
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id="open") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"pending", partition=0)
        async with consumer(kafka, topic, batched=True) as reader:
            assert {} == await reader.getmany(timeout_ms=500)
            await producer.commit_transaction()
            records = await read_up_to(reader, 2)
    assert [b"pending"] == [value for record in records for value in record.value.values]


async def test_compaction_leaves_holes_that_are_covered(kafka: KafkaServer) -> None:
    rules = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "segment.bytes": "1048576"}
    topic = kafka.create_topic(
        "compacted", config={**rules, "delete.retention.ms": "100", "max.compaction.lag.ms": "100"}
    )
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 20, "batch.num.messages": 100})
    for number in range(4000):
        producer.produce(topic, b"x" * 1000, key=b"%d" % (number % 50 if number < 3000 else number), partition=0)
        producer.poll(0)
    assert producer.flush(30) == 0
    gone = await asyncio.to_thread(compacted, kafka.bootstrap, topic, published=4000, holes=1000)
    batches = await read(kafka, topic)
    assert 4000 - gone == sum(len(batch) for batch in batches)
    assert 4000 == batches[-1].next_offset


async def test_a_message_of_ten_megabytes_arrives(kafka: KafkaServer) -> None:
    topic = kafka.create_topic("large", config={"max.message.bytes": str(12 << 20)})
    large = bytes(10 << 20)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.max.bytes": 12 << 20})
    for value in (b"before", large, b"after"):
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0
    assert [b"before", large, b"after"] == [value for batch in await read(kafka, topic) for value in batch.values]
