"""Reading a partition of an internal topic from one offset to another, outside the consumer group."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.service.outlet import MAX_RECORD_BYTES
from monitor.streaming.security import Security, aiokafka_options


@dataclass(frozen=True, slots=True)
class PartitionLog:
    """Where the internal topics are."""

    bootstrap_servers: str
    security: Security
    client_id: str

    async def read(
        self, topic: str, partition: int, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[tuple[int, bytes | None, bytes | None]]:
        """(offset, key, value) of all records from `start` (or the log's first) up to `end`, not including it.

        `end` None is the log's end when reading begins.
        """
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            client_id=self.client_id,
            enable_auto_commit=False,
            isolation_level="read_uncommitted",
            max_partition_fetch_bytes=MAX_RECORD_BYTES,
            **aiokafka_options(self.security),
        )
        await consumer.start()
        try:
            at = TopicPartition(topic, partition)
            consumer.assign([at])
            first = (await consumer.beginning_offsets([at]))[at]
            last = (await consumer.end_offsets([at]))[at]
            stop = last if end is None else min(end, last)
            consumer.seek(at, max(start, first))
            while await consumer.position(at) < stop:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        if record.offset < stop:
                            yield record.offset, record.key, record.value
        finally:
            await consumer.stop()
